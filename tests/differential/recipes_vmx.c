// SPDX-License-Identifier: GPL-2.0-or-later
/* Recipes for a VMX vCPU: controls that go together, modes of L2, what an address needs to be looked at. */
#include "edge_rows.h"
#include "vmcs/vmcs12.h"

#define PIN(bits, mask)                                                                            \
	{                                                                                          \
		"vmcs12.pin_based_vm_exec_control", bits, mask                                     \
	}
#define PROC(bits)                                                                                 \
	{                                                                                          \
		"vmcs12.cpu_based_vm_exec_control", bits, bits                                     \
	}
#define NO_PROC(bits)                                                                              \
	{                                                                                          \
		"vmcs12.cpu_based_vm_exec_control", 0, bits                                        \
	}
#define PROC2(bits)                                                                                \
	{                                                                                          \
		"vmcs12.secondary_vm_exec_control", bits, bits                                     \
	}
#define NO_PROC2(bits)                                                                             \
	{                                                                                          \
		"vmcs12.secondary_vm_exec_control", 0, bits                                        \
	}
#define EXIT(bits, mask)                                                                           \
	{                                                                                          \
		"vmcs12.vm_exit_controls", bits, mask                                              \
	}
#define ENTRY(bits, mask)                                                                          \
	{                                                                                          \
		"vmcs12.vm_entry_controls", bits, mask                                             \
	}
#define FIELD(name, value)                                                                         \
	{                                                                                          \
		"vmcs12." #name, value, 0                                                          \
	}
#define BITS(name, value, mask)                                                                    \
	{                                                                                          \
		"vmcs12." #name, value, mask                                                       \
	}
#define PENDING                                                                                    \
	{                                                                                          \
		"nested_state.flags", 3, 3                                                         \
	}
#define SECONDARY    PROC(PROC_SECONDARY)
#define INJECT(info) FIELD(vm_entry_intr_info_field, INJECT_VALID | (info))

/* RAM ends at 0x40000; these pages are nobody's. */
#define FREE_PAGE 0x30000
#define NO_RAM    0x40000
#define TOO_HIGH  BIT(52)

#define CONTROL(...)                                                                               \
	{                                                                                          \
		GROUP_VMCS_CONTROL,                                                                \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
#define GUEST(...)                                                                                 \
	{                                                                                          \
		GROUP_VMCS_GUEST,                                                                  \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
#define SEGMENT(...)                                                                               \
	{                                                                                          \
		GROUP_VMCS_SEGMENT,                                                                \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
#define OF_EVENT(...)                                                                              \
	{                                                                                          \
		GROUP_VMCS_EVENT,                                                                  \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
#define HOST(...)                                                                                  \
	{                                                                                          \
		GROUP_VMCS_HOST,                                                                   \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
#define HEADER(...)                                                                                \
	{                                                                                          \
		GROUP_HEADER,                                                                      \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}

const struct recipe vmx_recipes[] = {
	/* pages that a control makes KVM look at */
	CONTROL(PROC(PROC_IO_BITMAPS), FIELD(io_bitmap_a, FREE_PAGE),
		FIELD(io_bitmap_b, FREE_PAGE)),
	CONTROL(PROC(PROC_IO_BITMAPS), FIELD(io_bitmap_a, FREE_PAGE + 1)),
	CONTROL(PROC(PROC_IO_BITMAPS), FIELD(io_bitmap_a, FREE_PAGE), FIELD(io_bitmap_b, TOO_HIGH)),
	CONTROL(PROC(PROC_IO_BITMAPS), FIELD(io_bitmap_a, NO_RAM), FIELD(io_bitmap_b, NO_RAM)),
	CONTROL(PROC(PROC_TPR_SHADOW), FIELD(virtual_apic_page_addr, FREE_PAGE)),
	CONTROL(PROC(PROC_TPR_SHADOW), FIELD(virtual_apic_page_addr, NO_RAM)),
	CONTROL(PROC(PROC_TPR_SHADOW | PROC_CR8_LOAD | PROC_CR8_STORE),
		FIELD(virtual_apic_page_addr, NO_RAM)),
	CONTROL(PROC(PROC_TPR_SHADOW), FIELD(virtual_apic_page_addr, TOO_HIGH)),
	CONTROL(PROC(PROC_TPR_SHADOW), FIELD(virtual_apic_page_addr, FREE_PAGE),
		FIELD(tpr_threshold, 16)),
	CONTROL(PROC(PROC_TPR_SHADOW), FIELD(virtual_apic_page_addr, FREE_PAGE),
		FIELD(tpr_threshold, 1)),
	CONTROL(SECONDARY, PROC2(PROC2_APIC_ACCESS), FIELD(apic_access_addr, FREE_PAGE)),
	CONTROL(SECONDARY, PROC2(PROC2_APIC_ACCESS), FIELD(apic_access_addr, NO_RAM)),
	CONTROL(SECONDARY, PROC2(PROC2_APIC_ACCESS), FIELD(apic_access_addr, FREE_PAGE + 8)),
	CONTROL(SECONDARY, PROC2(PROC2_SHADOW), FIELD(vmread_bitmap, FREE_PAGE),
		FIELD(vmwrite_bitmap, FREE_PAGE)),
	CONTROL(SECONDARY, PROC2(PROC2_SHADOW), FIELD(vmread_bitmap, TOO_HIGH)),
	CONTROL(SECONDARY, PROC2(PROC2_SHADOW), FIELD(vmread_bitmap, FREE_PAGE),
		FIELD(vmwrite_bitmap, FREE_PAGE + 4)),
	CONTROL(SECONDARY, PROC2(PROC2_PML), FIELD(pml_address, FREE_PAGE)),
	CONTROL(SECONDARY, PROC2(PROC2_PML), FIELD(pml_address, FREE_PAGE + 0x800)),
	CONTROL(SECONDARY, PROC2(PROC2_VMFUNC), FIELD(vm_function_control, 1),
		FIELD(eptp_list_address, FREE_PAGE)),
	CONTROL(SECONDARY, PROC2(PROC2_VMFUNC), FIELD(vm_function_control, 1),
		FIELD(eptp_list_address, TOO_HIGH)),
	CONTROL(SECONDARY, PROC2(PROC2_VMFUNC), FIELD(vm_function_control, 2)),
	/* controls that need each other */
	CONTROL(PIN(0, PIN_NMI), PIN(PIN_VNMI, PIN_VNMI)),
	CONTROL(PIN(PIN_NMI | PIN_VNMI, PIN_NMI | PIN_VNMI), PROC(PROC_NMI_WINDOW)),
	CONTROL(PIN(0, PIN_VNMI), PROC(PROC_NMI_WINDOW)),
	CONTROL(SECONDARY, NO_PROC2(PROC2_EPT), PROC2(PROC2_URG)),
	CONTROL(SECONDARY, NO_PROC2(PROC2_EPT), PROC2(PROC2_PML)),
	CONTROL(SECONDARY, NO_PROC2(PROC2_EPT), PROC2(PROC2_MBEC)),
	CONTROL(SECONDARY, NO_PROC2(PROC2_EPT | PROC2_URG | PROC2_PML), PROC2(PROC2_VMFUNC),
		FIELD(vm_function_control, 1), FIELD(eptp_list_address, FREE_PAGE)),
	CONTROL(SECONDARY, PROC2(PROC2_VPID), FIELD(virtual_processor_id, 0)),
	CONTROL(SECONDARY, PROC2(PROC2_X2APIC | PROC2_APIC_ACCESS), PROC(PROC_TPR_SHADOW),
		FIELD(virtual_apic_page_addr, FREE_PAGE), FIELD(apic_access_addr, FREE_PAGE)),
	CONTROL(SECONDARY, PROC2(PROC2_X2APIC), NO_PROC(PROC_TPR_SHADOW)),
	CONTROL(SECONDARY, PROC2(PROC2_APIC_REG), NO_PROC2(PROC2_X2APIC | PROC2_VID),
		NO_PROC(PROC_TPR_SHADOW)),
	CONTROL(SECONDARY, PROC2(PROC2_VID), NO_PROC(PROC_TPR_SHADOW)),
	CONTROL(SECONDARY, PROC2(PROC2_VID), PROC(PROC_TPR_SHADOW), PIN(0, PIN_EXTINT | PIN_POSTED),
		FIELD(virtual_apic_page_addr, FREE_PAGE)),
	CONTROL(PIN(PIN_POSTED, PIN_POSTED), SECONDARY, NO_PROC2(PROC2_VID)),
	CONTROL(PIN(PIN_POSTED, PIN_POSTED), EXIT(0, EXIT_ACK_INTR)),
	CONTROL(PIN(PIN_POSTED, PIN_POSTED), FIELD(posted_intr_nv, 0x100)),
	CONTROL(PIN(PIN_POSTED, PIN_POSTED), FIELD(posted_intr_desc_addr, FREE_PAGE + 0x20)),
	CONTROL(PIN(PIN_POSTED, PIN_POSTED), FIELD(posted_intr_desc_addr, TOO_HIGH)),
	CONTROL(PIN(PIN_POSTED, PIN_POSTED), FIELD(posted_intr_desc_addr, NO_RAM)),
	CONTROL(PIN(PIN_POSTED, PIN_POSTED), SECONDARY, PROC2(PROC2_VID), PROC(PROC_TPR_SHADOW),
		EXIT(EXIT_ACK_INTR, EXIT_ACK_INTR), FIELD(virtual_apic_page_addr, FREE_PAGE)),
	CONTROL(PIN(0, PIN_TIMER), EXIT(EXIT_SAVE_TIMER, EXIT_SAVE_TIMER)),
	CONTROL(PIN(PIN_TIMER, PIN_TIMER), FIELD(vmx_preemption_timer_value, 0xffffffff)),
	CONTROL(PIN(PIN_TIMER, PIN_TIMER), FIELD(vmx_preemption_timer_value, 0)),
	CONTROL(NO_PROC(PROC_SECONDARY)),
	CONTROL(NO_PROC(PROC_SECONDARY), FIELD(secondary_vm_exec_control, 0xffffffff)),
	CONTROL(SECONDARY, PROC2(PROC2_TSC_SCALING), FIELD(tsc_multiplier, 0)),
	/* EPT, with and without a root */
	CONTROL(SECONDARY, PROC2(PROC2_EPT), FIELD(ept_pointer, 0x1201e)),
	CONTROL(SECONDARY, PROC2(PROC2_EPT), FIELD(ept_pointer, NO_RAM | 0x1e)),
	CONTROL(SECONDARY, PROC2(PROC2_EPT), FIELD(ept_pointer, 0x12018)),
	CONTROL(SECONDARY, PROC2(PROC2_EPT), FIELD(ept_pointer, 0x12006)),
	CONTROL(SECONDARY, PROC2(PROC2_EPT), FIELD(ept_pointer, 0x1205e)),
	CONTROL(SECONDARY, NO_PROC2(PROC2_EPT | PROC2_URG | PROC2_PML | PROC2_VMFUNC)),
	/* MSR areas */
	CONTROL(FIELD(vm_entry_msr_load_count, 1), FIELD(vm_entry_msr_load_addr, FREE_PAGE)),
	CONTROL(FIELD(vm_entry_msr_load_count, 1), FIELD(vm_entry_msr_load_addr, FREE_PAGE + 8)),
	CONTROL(FIELD(vm_entry_msr_load_count, 2), FIELD(vm_entry_msr_load_addr, BIT(40) - 16)),
	CONTROL(FIELD(vm_entry_msr_load_count, 1), FIELD(vm_entry_msr_load_addr, NO_RAM)),
	CONTROL(FIELD(vm_exit_msr_load_count, 1), FIELD(vm_exit_msr_load_addr, FREE_PAGE)),
	CONTROL(FIELD(vm_exit_msr_load_count, 1), FIELD(vm_exit_msr_load_addr, FREE_PAGE + 8)),
	CONTROL(FIELD(vm_exit_msr_load_count, 2), FIELD(vm_exit_msr_load_addr, BIT(40) - 16)),
	CONTROL(FIELD(vm_exit_msr_load_count, 1), FIELD(vm_exit_msr_load_addr, NO_RAM)),
	CONTROL(FIELD(vm_exit_msr_store_count, 1), FIELD(vm_exit_msr_store_addr, FREE_PAGE)),
	CONTROL(FIELD(vm_exit_msr_store_count, 1), FIELD(vm_exit_msr_store_addr, FREE_PAGE + 8)),
	CONTROL(FIELD(vm_exit_msr_store_count, 2), FIELD(vm_exit_msr_store_addr, BIT(40) - 16)),
	CONTROL(FIELD(vm_exit_msr_store_count, 1), FIELD(vm_exit_msr_store_addr, NO_RAM)),
	/* what a VM entry loads, with one pending */
	GUEST(PENDING, ENTRY(ENTRY_LOAD_EFER, ENTRY_LOAD_EFER), BITS(guest_ia32_efer, 0, BIT(10))),
	GUEST(PENDING, ENTRY(ENTRY_LOAD_EFER, ENTRY_LOAD_EFER),
	      BITS(guest_ia32_efer, BIT(8), BIT(8) | BIT(10))),
	GUEST(PENDING, ENTRY(ENTRY_LOAD_EFER, ENTRY_LOAD_EFER),
	      BITS(guest_ia32_efer, BIT(15), BIT(15))),
	GUEST(PENDING, ENTRY(ENTRY_LOAD_DEBUG, ENTRY_LOAD_DEBUG),
	      BITS(guest_dr7, BIT(32), BIT(32))),
	GUEST(ENTRY(0, ENTRY_LOAD_DEBUG), BITS(guest_dr7, BIT(32), BIT(32))),
	GUEST(ENTRY(0, ENTRY_LOAD_PAT), FIELD(guest_ia32_pat, 2)),
	GUEST(ENTRY(ENTRY_LOAD_PAT, ENTRY_LOAD_PAT), FIELD(guest_ia32_pat, 2)),
	GUEST(ENTRY(ENTRY_LOAD_PGC, ENTRY_LOAD_PGC), FIELD(guest_ia32_perf_global_ctrl, BIT(63))),
	GUEST(ENTRY(ENTRY_LOAD_PGC, ENTRY_LOAD_PGC), FIELD(guest_ia32_perf_global_ctrl, 1)),
	GUEST(ENTRY(ENTRY_LOAD_BNDCFGS, ENTRY_LOAD_BNDCFGS), FIELD(guest_bndcfgs, 4)),
	/* modes of L2 */
	GUEST(ENTRY(0, ENTRY_IA32E)),
	GUEST(ENTRY(ENTRY_IA32E, ENTRY_IA32E)),
	GUEST(ENTRY(0, ENTRY_IA32E), BITS(guest_ia32_efer, 0, BIT(8) | BIT(10)),
	      BITS(guest_cs_ar_bytes, AR_DB, AR_L | AR_DB)),
	GUEST(ENTRY(0, ENTRY_IA32E), BITS(guest_ia32_efer, 0, BIT(8) | BIT(10)),
	      BITS(guest_cs_ar_bytes, AR_DB, AR_L | AR_DB), BITS(guest_cr4, 0, BIT(5))),
	GUEST(ENTRY(0, ENTRY_IA32E), BITS(guest_ia32_efer, 0, BIT(8) | BIT(10)),
	      BITS(guest_cs_ar_bytes, AR_DB, AR_L | AR_DB), BITS(guest_cr4, BIT(17), BIT(17))),
	GUEST(ENTRY(0, ENTRY_IA32E), BITS(guest_ia32_efer, 0, BIT(8) | BIT(10)),
	      BITS(guest_cs_ar_bytes, AR_DB, AR_L | AR_DB), BITS(guest_cr0, 0, CR0_PE_PG)),
	GUEST(BITS(guest_cr0, BIT(31), CR0_PE_PG)),
	GUEST(SECONDARY, PROC2(PROC2_EPT | PROC2_URG), FIELD(ept_pointer, 0x1201e),
	      BITS(guest_cr0, 0, BIT(31)), ENTRY(0, ENTRY_IA32E)),
	GUEST(BITS(guest_rflags, BIT(17), BIT(17))),
	GUEST(BITS(guest_cr4, BIT(23), BIT(23)), BITS(guest_cr0, 0, BIT(16))),
	/* the shadow VMCS that L2 may have */
	GUEST(FIELD(vmcs_link_pointer, FREE_PAGE)),
	GUEST(FIELD(vmcs_link_pointer, NO_RAM)),
	GUEST(FIELD(vmcs_link_pointer, 0x5000)),
	GUEST(FIELD(vmcs_link_pointer, 0x1c000)),
	GUEST(FIELD(vmcs_link_pointer, UINT64_MAX)),
	/* segments: two fields that only together are wrong */
	SEGMENT(BITS(guest_cs_selector, 3, 3), BITS(guest_ss_selector, 3, 3)),
	SEGMENT(BITS(guest_cs_selector, 3, 3), BITS(guest_ss_selector, 3, 3),
		BITS(guest_cs_ar_bytes, 0x60, 0x60), BITS(guest_ss_ar_bytes, 0x60, 0x60)),
	SEGMENT(BITS(guest_cs_ar_bytes, 0x60, 0x60)),
	SEGMENT(BITS(guest_ss_ar_bytes, 0x60, 0x60)),
	SEGMENT(BITS(guest_ss_selector, 3, 3), BITS(guest_ss_ar_bytes, 0x60, 0x60)),
	SEGMENT(BITS(guest_cs_ar_bytes, 0xd, 0xf)),
	SEGMENT(BITS(guest_cs_ar_bytes, 0x6d, 0x6f)),
	SEGMENT(BITS(guest_cs_ar_bytes, 0x3, 0xf)),
	SEGMENT(SECONDARY, PROC2(PROC2_EPT | PROC2_URG), FIELD(ept_pointer, 0x1201e),
		BITS(guest_cs_ar_bytes, 0x3, 0xf)),
	SEGMENT(SECONDARY, PROC2(PROC2_EPT | PROC2_URG), FIELD(ept_pointer, 0x1201e),
		BITS(guest_cs_ar_bytes, 0x63, 0x6f)),
	SEGMENT(SECONDARY, PROC2(PROC2_EPT | PROC2_URG), FIELD(ept_pointer, 0x1201e),
		BITS(guest_cs_ar_bytes, 0x1, 0xf)),
	SEGMENT(BITS(guest_ldtr_ar_bytes, 0x82, 0x1f0ff), FIELD(guest_ldtr_limit, 0xff)),
	SEGMENT(BITS(guest_ldtr_ar_bytes, 0x83, 0x1f0ff)),
	SEGMENT(BITS(guest_ldtr_ar_bytes, 0x92, 0x1f0ff)),
	SEGMENT(BITS(guest_ldtr_ar_bytes, 0x02, 0x1f0ff)),
	SEGMENT(BITS(guest_ldtr_ar_bytes, 0x182, 0x1ffff)),
	SEGMENT(BITS(guest_ldtr_ar_bytes, 0x82, 0x1f0ff), FIELD(guest_ldtr_limit, 0x100000)),
	SEGMENT(BITS(guest_ldtr_ar_bytes, 0x8082, 0x1f0ff), FIELD(guest_ldtr_limit, 0x0ff0)),
	SEGMENT(BITS(guest_ldtr_ar_bytes, 0x82, 0x1f0ff), FIELD(guest_ldtr_selector, 4)),
	SEGMENT(BITS(guest_ldtr_ar_bytes, 0x82, 0x1f0ff), FIELD(guest_ldtr_base, BIT(47))),
	SEGMENT(BITS(guest_tr_ar_bytes, 0x3, 0xf)),
	SEGMENT(FIELD(guest_tr_selector, 4)),
	SEGMENT(BITS(guest_tr_ar_bytes, AR_UNUSABLE, AR_UNUSABLE)),
	SEGMENT(FIELD(guest_tr_limit, 0x100067)),
	SEGMENT(BITS(guest_tr_ar_bytes, AR_G, AR_G)),
	SEGMENT(BITS(guest_fs_ar_bytes, 0xc093, 0x1f0ff), FIELD(guest_fs_limit, 0xffffffff)),
	SEGMENT(BITS(guest_fs_ar_bytes, 0xc093, 0x1f0ff), FIELD(guest_fs_limit, 0xfffffff0)),
	SEGMENT(BITS(guest_fs_ar_bytes, 0x4093, 0x1f0ff), FIELD(guest_fs_limit, 0x100000)),
	SEGMENT(BITS(guest_fs_ar_bytes, 0x4092, 0x1f0ff), FIELD(guest_fs_limit, 0xfff)),
	SEGMENT(BITS(guest_fs_ar_bytes, 0x4099, 0x1f0ff), FIELD(guest_fs_limit, 0xfff)),
	SEGMENT(BITS(guest_fs_ar_bytes, 0x4013, 0x1f0ff), FIELD(guest_fs_limit, 0xfff)),
	SEGMENT(BITS(guest_gs_ar_bytes, 0x4083, 0x1f0ff), FIELD(guest_gs_limit, 0xfff)),
	SEGMENT(BITS(guest_gs_ar_bytes, 0x4093, 0x1f0ff), FIELD(guest_gs_selector, 3)),
	SEGMENT(BITS(guest_gs_ar_bytes, 0x14193, 0x1ffff)),
	SEGMENT(BITS(guest_gs_ar_bytes, 0x4193, 0x1ffff), FIELD(guest_gs_limit, 0xfff)),
	SEGMENT(BITS(guest_gs_ar_bytes, 0x4092, 0x1f0ff), FIELD(guest_gs_limit, 0xfff)),
	SEGMENT(BITS(guest_gs_ar_bytes, 0x4099, 0x1f0ff), FIELD(guest_gs_limit, 0xfff)),
	SEGMENT(BITS(guest_gs_ar_bytes, 0xc093, 0x1f0ff), FIELD(guest_gs_limit, 0xffff00)),
	SEGMENT(BITS(guest_gs_ar_bytes, 0x4093, 0x1f0ff), FIELD(guest_gs_limit, 0x1fffff)),
	SEGMENT(FIELD(guest_ds_limit, 0x1ffff0)),
	SEGMENT(BITS(guest_ds_ar_bytes, 0, AR_G)),
	SEGMENT(FIELD(guest_es_limit, 0x1ffff0)),
	SEGMENT(FIELD(guest_ss_limit, 0x1ffff0)),
	SEGMENT(FIELD(guest_cs_limit, 0x1ffff0)),
	SEGMENT(BITS(guest_ds_ar_bytes, 0x9, 0xf)),
	SEGMENT(BITS(guest_es_ar_bytes, 0x9, 0xf)),
	/* events of a VM entry */
	OF_EVENT(PENDING, INJECT(0x306)),
	OF_EVENT(PENDING, INJECT(0xb0d)),
	OF_EVENT(PENDING, INJECT(0x30d)),
	OF_EVENT(PENDING, INJECT(0xb06)),
	OF_EVENT(PENDING, INJECT(0xb0d), FIELD(vm_entry_exception_error_code, 0x10000)),
	OF_EVENT(PENDING, INJECT(0x202)),
	OF_EVENT(PENDING, INJECT(0x203)),
	OF_EVENT(PENDING, INJECT(0x202), FIELD(guest_interruptibility_info, 2)),
	OF_EVENT(PENDING, INJECT(0x202), FIELD(guest_interruptibility_info, 1),
		 BITS(guest_rflags, BIT(9), BIT(9))),
	OF_EVENT(PENDING, INJECT(0x202), FIELD(guest_interruptibility_info, 8),
		 PIN(PIN_VNMI | PIN_NMI, PIN_VNMI | PIN_NMI)),
	OF_EVENT(PENDING, INJECT(0x202), FIELD(guest_interruptibility_info, 8), PIN(0, PIN_VNMI)),
	OF_EVENT(PENDING, INJECT(0x20)),
	OF_EVENT(PENDING, INJECT(0x20), BITS(guest_rflags, BIT(9), BIT(9))),
	OF_EVENT(PENDING, INJECT(0x20), BITS(guest_rflags, BIT(9), BIT(9)),
		 FIELD(guest_interruptibility_info, 1)),
	OF_EVENT(PENDING, INJECT(0x20), BITS(guest_rflags, BIT(9), BIT(9)),
		 FIELD(guest_interruptibility_info, 2)),
	OF_EVENT(PENDING, INJECT(0x480), FIELD(vm_entry_instruction_len, 2)),
	OF_EVENT(PENDING, INJECT(0x480), FIELD(vm_entry_instruction_len, 16)),
	OF_EVENT(PENDING, INJECT(0x480), FIELD(vm_entry_instruction_len, 0)),
	OF_EVENT(PENDING, INJECT(0x603), FIELD(vm_entry_instruction_len, 1)),
	OF_EVENT(PENDING, INJECT(0x501), FIELD(vm_entry_instruction_len, 0)),
	OF_EVENT(PENDING, INJECT(0x700)),
	OF_EVENT(PENDING, INJECT(0x100)),
	OF_EVENT(PENDING, INJECT(0x320)),
	OF_EVENT(PENDING, INJECT(0x31f)),
	OF_EVENT(PENDING, INJECT(BIT(12) | 0x20), BITS(guest_rflags, BIT(9), BIT(9))),
	/* what blocks them */
	OF_EVENT(PENDING, FIELD(guest_interruptibility_info, 1)),
	OF_EVENT(PENDING, FIELD(guest_interruptibility_info, 1),
		 BITS(guest_rflags, BIT(9), BIT(9))),
	OF_EVENT(PENDING, FIELD(guest_interruptibility_info, 3),
		 BITS(guest_rflags, BIT(9), BIT(9))),
	OF_EVENT(PENDING, FIELD(guest_interruptibility_info, 2),
		 FIELD(guest_pending_dbg_exceptions, BIT(14))),
	OF_EVENT(PENDING, FIELD(guest_interruptibility_info, 2),
		 BITS(guest_rflags, BIT(8), BIT(8))),
	OF_EVENT(PENDING, FIELD(guest_interruptibility_info, 4)),
	OF_EVENT(PENDING, FIELD(guest_interruptibility_info, 16)),
	OF_EVENT(PENDING, FIELD(guest_interruptibility_info, 0x20)),
	OF_EVENT(FIELD(guest_pending_dbg_exceptions, BIT(14)), BITS(guest_rflags, BIT(8), BIT(8))),
	OF_EVENT(FIELD(guest_pending_dbg_exceptions, BIT(16))),
	OF_EVENT(FIELD(guest_pending_dbg_exceptions, BIT(16) | BIT(12))),
	OF_EVENT(FIELD(guest_activity_state, 1), {"mp_state", 3, 0}),
	OF_EVENT(FIELD(guest_activity_state, 3), {"mp_state", 2, 0}),
	/* modes of L1 */
	HOST(EXIT(0, EXIT_HOST_64)),
	HOST(EXIT(0, EXIT_HOST_64), ENTRY(0, ENTRY_IA32E),
	     BITS(guest_ia32_efer, 0, BIT(8) | BIT(10)), BITS(host_ia32_efer, 0, BIT(8) | BIT(10)),
	     BITS(guest_cs_ar_bytes, AR_DB, AR_L | AR_DB)),
	HOST(EXIT(0, EXIT_HOST_64 | EXIT_LOAD_EFER), ENTRY(0, ENTRY_IA32E),
	     BITS(host_cr4, BIT(17), BIT(17))),
	HOST(EXIT(0, EXIT_HOST_64 | EXIT_LOAD_EFER), ENTRY(0, ENTRY_IA32E),
	     BITS(host_rip, BIT(32), BIT(32))),
	HOST(EXIT(0, EXIT_HOST_64 | EXIT_LOAD_EFER), ENTRY(0, ENTRY_IA32E),
	     FIELD(host_ss_selector, 0)),
	HOST(FIELD(host_ss_selector, 0)),
	HOST(BITS(host_cr4, 0, BIT(5))),
	HOST(EXIT(EXIT_LOAD_PAT, EXIT_LOAD_PAT), FIELD(host_ia32_pat, 2)),
	HOST(EXIT(0, EXIT_LOAD_PAT), FIELD(host_ia32_pat, 2)),
	HOST(EXIT(EXIT_LOAD_PGC, EXIT_LOAD_PGC), FIELD(host_ia32_perf_global_ctrl, BIT(63))),
	HOST(EXIT(EXIT_LOAD_PGC, EXIT_LOAD_PGC), FIELD(host_ia32_perf_global_ctrl, 1)),
	HOST(EXIT(0, EXIT_LOAD_EFER), FIELD(host_ia32_efer, BIT(63))),
	HOST(BITS(host_cr4, BIT(23), BIT(23)), BITS(host_cr0, 0, BIT(16))),
	/* the header */
	HEADER({"nested_state.vmcs12_pa", UINT64_MAX, 0}),
	HEADER({"nested_state.vmxon_pa", UINT64_MAX, 0}),
	HEADER({"nested_state.vmxon_pa", UINT64_MAX, 0}, {"nested_state.vmcs12_pa", UINT64_MAX, 0}),
	HEADER({"nested_state.vmxon_pa", UINT64_MAX, 0}, {"nested_state.vmcs12_pa", UINT64_MAX, 0},
	       {"nested_state.flags", 0, 0}),
	HEADER({"nested_state.vmxon_pa", UINT64_MAX, 0}, {"nested_state.vmcs12_pa", UINT64_MAX, 0},
	       {"nested_state.flags", 0, 0}, {"nested_state.smm_flags", 2, 0}),
	HEADER({"nested_state.vmxon_pa", 0x5000, 0}),
	HEADER({"nested_state.vmcs12_pa", 0x6000, 0}),
	HEADER({"nested_state.flags", 0, 0}, {"nested_state.size", 128, 0}),
	HEADER({"nested_state.flags", 0, 0}, {"nested_state.size", 128, 0},
	       {"nested_state.vmcs12_pa", UINT64_MAX, 0}),
	HEADER({"nested_state.flags", 0, 0}, {"nested_state.vmcs12_pa", UINT64_MAX, 0}),
	HEADER({"nested_state.flags", 0, 0}, {"nested_state.smm_flags", 2, 0},
	       {"events.smi_smm", 1, 0}, {"events.flags", 8, 8}),
	HEADER({"nested_state.flags", 0, 0}, {"nested_state.smm_flags", 3, 0},
	       {"events.smi_smm", 1, 0}, {"events.flags", 8, 8}),
	HEADER({"nested_state.flags", 0, 0}, {"nested_state.smm_flags", 1, 0},
	       {"events.smi_smm", 1, 0}, {"events.flags", 8, 8}),
	HEADER({"nested_state.flags", 1, 0}, {"nested_state.smm_flags", 2, 0},
	       {"events.smi_smm", 1, 0}, {"events.flags", 8, 8}),
	HEADER({"nested_state.flags", 4, 0}),
	HEADER({"nested_state.flags", 2, 0}),
	HEADER({"nested_state.flags", 9, 0}),
};

const size_t vmx_recipe_count = sizeof(vmx_recipes) / sizeof(vmx_recipes[0]);
