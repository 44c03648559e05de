// SPDX-License-Identifier: GPL-2.0-or-later
/* Edges of what only a VMX vCPU has. */
#include <stdio.h>
#include <string.h>

#include "edge_rows.h"

#define PATS                                                                                       \
	UINT64_C(0x0007040600070406), UINT64_C(0x0606060606060606), UINT64_C(0x0007040600070402),  \
		UINT64_C(0x0007040603070406), UINT64_C(0x0807040600070406), UINT64_MAX, 0
#define BITS_EPT                                                                                   \
	BIT(0), BIT(0) | BIT(1), BIT(1), BIT(2), BIT(0) | BIT(1) | BIT(2), BIT(3), BIT(6), BIT(7), \
		BIT(8), BIT(11), BIT(18), BIT(40), BIT(51), BIT(63)
#define BITS_EPTP                                                                                  \
	BIT(0), BIT(1), BIT(2), 6, BIT(3), BIT(4), BIT(3) | BIT(4), BIT(5), 0x38, BIT(6), BIT(7),  \
		BIT(8), BIT(11), BIT(12), BIT(18), BIT(39), BIT(40), BIT(51), BIT(63)
#define BITS_CR0_VMX                                                                               \
	BIT(0), BIT(31), CR0_PE_PG, BIT(5), BIT(5), BIT(29), BIT(30), CR0_CD_NW, BIT(16), BIT(4),  \
		BIT(1), BIT(32), BIT(63), BIT(18)
#define BITS_CR4_VMX                                                                               \
	BIT(5), BIT(5), BIT(13), BIT(13), BIT(17), BIT(0), BIT(1), BIT(4), BIT(7), BIT(11),        \
		BIT(12), BIT(14), BIT(15), BIT(16), BIT(18), BIT(20), BIT(21), BIT(22), BIT(23),   \
		BIT(24), BIT(25), BIT(28), BIT(32), BIT(63)
#define BITS_EFER_VMX                                                                              \
	BIT(8) | BIT(10), BIT(8), BIT(10), BIT(0), BIT(1), BIT(11), BIT(12), BIT(13), BIT(14),     \
		BIT(15), BIT(32), BIT(63)
#define BITS_PDPTE                                                                                 \
	BIT(0), BIT(0) | BIT(1), BIT(1), BIT(2), BIT(5), BIT(8), BIT(9), BIT(18), BIT(40),         \
		BIT(51), BIT(63), 3, 5
#define COUNTERS  BIT(0), BIT(1), BIT(2), BIT(4), BIT(8), BIT(32), BIT(34), BIT(35), BIT(48), BIT(63)
#define SELECTORS 0, 0, 1, 2, 3, 4, 8, 0xb, 0xc, 0x10
/* A bit in each half of a capability MSR: must be 1 (low), may be 1 (high). */
#define MUST(n) BIT(n)
#define MAY(n)  BIT(32 + (n))

static const struct edge edges[] = {
	/* the header */
	FLIP("nested_state.flags", 6, BIT(0), BIT(1), BIT(1), BIT(1), BIT(2), BIT(3), BIT(3),
	     BIT(4), BIT(8), BIT(9), BIT(0) | BIT(1), BIT(15)),
	SET("nested_state.size", 3, 0, 64, 127, 128, 129, 4223, 4224, 4225, 8319, 8320, 8321,
	    0xffffffff),
	ADDRESS("nested_state.vmxon_pa", 3),
	ADDRESS("nested_state.vmcs12_pa", 3),
	FLIP("nested_state.smm_flags", 3, 1, 2, 3, 4, 0x8000),
	FLIP("nested_state.vmx_flags", 2, 1, 2, BIT(31)),
	SET("nested_state.preemption_timer_deadline", 1, 0, 1, UINT64_MAX),
	FLIP("shadow_vmcs12.revision_id_and_shadow_bit", 2, 1, BIT(31), BIT(30)),
	FLIP("vmcs12.revision_id_and_shadow_bit", 4, 1, BIT(31), BIT(31), BIT(30)),
	/* controls */
	FLIP("vmcs12.pin_based_vm_exec_control", 5, BIT(0), BIT(3), BIT(5), BIT(3) | BIT(5), BIT(6),
	     BIT(7), BIT(1), BIT(2), BIT(4), BIT(8), BIT(31)),
	FLIP("vmcs12.cpu_based_vm_exec_control", 6, BIT(0), BIT(1), BIT(2), BIT(3), BIT(4), BIT(7),
	     BIT(9), BIT(11), BIT(12), BIT(13), BIT(14), BIT(15), BIT(16), BIT(17), BIT(18),
	     BIT(19), BIT(20), BIT(21), BIT(21), BIT(22), BIT(22), BIT(23), BIT(24), BIT(25),
	     BIT(25), BIT(26), BIT(27), BIT(28), BIT(29), BIT(30), BIT(31), BIT(31)),
	FLIP("vmcs12.secondary_vm_exec_control", 8, BIT(0), BIT(1), BIT(1), BIT(2), BIT(3), BIT(4),
	     BIT(4), BIT(5), BIT(6), BIT(7), BIT(7), BIT(8), BIT(9), BIT(9), BIT(10), BIT(11),
	     BIT(12), BIT(13), BIT(14), BIT(14), BIT(15), BIT(16), BIT(17), BIT(17), BIT(18),
	     BIT(19), BIT(20), BIT(22), BIT(23), BIT(24), BIT(25), BIT(26), BIT(31)),
	FLIP("vmcs12.vm_exit_controls", 6, BIT(0), BIT(1), BIT(2), BIT(4), BIT(9), BIT(9), BIT(12),
	     BIT(12), BIT(15), BIT(18), BIT(19), BIT(20), BIT(21), BIT(22), BIT(22), BIT(23),
	     BIT(24), BIT(25), BIT(26), BIT(28), BIT(29), BIT(31)),
	FLIP("vmcs12.vm_entry_controls", 6, BIT(0), BIT(1), BIT(2), BIT(4), BIT(9), BIT(9), BIT(10),
	     BIT(11), BIT(10) | BIT(11), BIT(13), BIT(13), BIT(14), BIT(15), BIT(16), BIT(17),
	     BIT(18), BIT(20), BIT(22), BIT(31)),
	ADDRESS("vmcs12.io_bitmap_a", 2),
	ADDRESS("vmcs12.io_bitmap_b", 2),
	ADDRESS("vmcs12.msr_bitmap", 3),
	ADDRESS("vmcs12.vm_exit_msr_store_addr", 2),
	ADDRESS("vmcs12.vm_exit_msr_load_addr", 2),
	ADDRESS("vmcs12.vm_entry_msr_load_addr", 2),
	ADDRESS("vmcs12.virtual_apic_page_addr", 3),
	ADDRESS("vmcs12.apic_access_addr", 2),
	ADDRESS("vmcs12.posted_intr_desc_addr", 2),
	ADDRESS("vmcs12.eptp_list_address", 2),
	ADDRESS("vmcs12.vmread_bitmap", 2),
	ADDRESS("vmcs12.vmwrite_bitmap", 2),
	ADDRESS("vmcs12.pml_address", 2),
	FLIP("vmcs12.ept_pointer", 5, BITS_EPTP),
	SET("vmcs12.cr3_target_count", 2, 0, 1, 4, 5, 256, 0xffffffff),
	SET("vmcs12.vm_exit_msr_store_count", 2, 0, 1, 3, 4, 512, 513, 0x10000, 0xffffffff),
	SET("vmcs12.vm_exit_msr_load_count", 2, 0, 1, 3, 4, 512, 513, 0x10000, 0xffffffff),
	SET("vmcs12.vm_entry_msr_load_count", 2, 0, 1, 3, 4, 512, 513, 0x10000, 0xffffffff),
	SET("vmcs12.tpr_threshold", 2, 0, 1, 15, 16, 0xff, BIT(31)),
	SET("vmcs12.virtual_processor_id", 2, 0, 0, 1, 2, 0xffff),
	SET("vmcs12.posted_intr_nv", 2, 0, 0xf2, 0xff, 0x100, 0xffff),
	SET("vmcs12.vm_function_control", 2, 0, 1, 2, 3, BIT(63)),
	SET("vmcs12.tsc_multiplier", 1, 0, 1, BIT(47), BIT(48), BIT(49), UINT64_MAX),
	SET("vmcs12.guest_pml_index", 1, 0, 511, 512, 0xffff),
	SET("vmcs12.guest_intr_status", 1, 0, 0x20, 0xff, 0xf0f0),
	SET("vmcs12.vmx_preemption_timer_value", 1, 0, 1, 1000, 0xffffffff),
	FLIP("vmcs12.exception_bitmap", 1, BIT(1), BIT(3), BIT(6), BIT(8), BIT(13), BIT(14),
	     0xffffffff),
	/* L2's registers */
	FLIP("vmcs12.guest_cr0", 4, BITS_CR0_VMX),
	ADDRESS("vmcs12.guest_cr3", 3),
	FLIP("vmcs12.guest_cr4", 5, BITS_CR4_VMX),
	FLIP("vmcs12.guest_dr7", 2, BIT(10), BIT(12), BIT(13), BIT(32), BIT(63), BIT(1)),
	FLIP("vmcs12.guest_ia32_debugctl", 2, BIT(0), BIT(1), BIT(2), BIT(6), BIT(8), BIT(11),
	     BIT(14), BIT(15), BIT(16), BIT(32), BIT(63)),
	SET("vmcs12.guest_ia32_pat", 2, PATS),
	FLIP("vmcs12.guest_ia32_efer", 3, BITS_EFER_VMX),
	FLIP("vmcs12.guest_ia32_perf_global_ctrl", 1, COUNTERS),
	FLIP("vmcs12.guest_pdptr0", 1, BITS_PDPTE),
	FLIP("vmcs12.guest_pdptr1", 1, BITS_PDPTE),
	FLIP("vmcs12.guest_pdptr2", 1, BITS_PDPTE),
	FLIP("vmcs12.guest_pdptr3", 1, BITS_PDPTE),
	SET("vmcs12.guest_bndcfgs", 1, 1, 3, 4, 0x800, 0x1000, BIT(63), BIT(47)),
	ADDRESS("vmcs12.vmcs_link_pointer", 3),
	SET("vmcs12.guest_rip", 3, NON_CANONICAL, BIT(48), BIT(56), 0, 0x100000000),
	FLIP("vmcs12.guest_rflags", 4, BIT(1), BIT(1), BIT(3), BIT(5), BIT(8), BIT(9), BIT(14),
	     BIT(15), BIT(16), BIT(17), BIT(17), BIT(18), BIT(22), BIT(32), BIT(63)),
	SET("vmcs12.guest_sysenter_esp", 1, NON_CANONICAL),
	SET("vmcs12.guest_sysenter_eip", 1, NON_CANONICAL),
	/* L2's segments, see vmx_edge_find */
	SET("segment_selector", 1, SELECTORS),
	SET("segment_base", 1, NON_CANONICAL, BIT(32), 0x10, 0x10000),
	SET("segment_limit", 1, 0, 0xff, 0x103, 0xfff, 0x1000, 0xffff, 0xfffff, 0x100000, 0x100fff,
	    0xffffffff),
	FLIP("segment_ar_bytes", 3, 1, 2, 4, 8, 3, 6, BIT(4), BIT(4), BIT(5), BIT(6), 0x60, BIT(7),
	     BIT(7), BIT(8), BIT(11), BIT(12), BIT(13), BIT(14), BIT(14), BIT(13) | BIT(14),
	     BIT(15), BIT(15), BIT(16), BIT(16), BIT(17), BIT(31)),
	SET("vmcs12.guest_gdtr_limit", 1, 0, 0xffff, 0x10000, 0x80000000, 0xffffffff),
	SET("vmcs12.guest_idtr_limit", 1, 0, 0xffff, 0x10000, 0x80000000, 0xffffffff),
	/* events of L2 */
	SET("vmcs12.vm_entry_intr_info_field", 6, BIT(31), BIT(31) | 0x20, BIT(31) | 0x202,
	    BIT(31) | 0x202, BIT(31) | 0x203, BIT(31) | 0x303, BIT(31) | 0x306, BIT(31) | 0x30d,
	    BIT(31) | 0xb0d, BIT(31) | 0xb0e, BIT(31) | 0xb06, BIT(31) | 0xb08, BIT(31) | 0x31f,
	    BIT(31) | 0x320, BIT(31) | 0x480, BIT(31) | 0xc80, BIT(31) | 0x501, BIT(31) | 0x603,
	    BIT(31) | 0x604, BIT(31) | 0x700, BIT(31) | 0x701, BIT(31) | 0x100, BIT(31) | 0x1020,
	    BIT(31) | BIT(30) | 0x20, BIT(31) | BIT(12) | 0x202, 0x303),
	SET("vmcs12.vm_entry_exception_error_code", 1, 0, 1, 0xffff, 0x10000, BIT(31)),
	SET("vmcs12.vm_entry_instruction_len", 1, 0, 1, 2, 15, 16, 0xffffffff),
	SET("vmcs12.guest_interruptibility_info", 4, 1, 2, 3, 4, 8, 9, 16, 18, 0x20, BIT(31)),
	SET("vmcs12.guest_activity_state", 4, 0, 1, 1, 2, 3, 4, 0xffffffff),
	FLIP("vmcs12.guest_pending_dbg_exceptions", 3, BIT(0), BIT(4), BIT(11), BIT(12), BIT(13),
	     BIT(14), BIT(15), BIT(16), BIT(12) | BIT(16), BIT(17), BIT(32), BIT(63)),
	/* L1's registers */
	FLIP("vmcs12.host_cr0", 4, BITS_CR0_VMX),
	ADDRESS("vmcs12.host_cr3", 3),
	FLIP("vmcs12.host_cr4", 4, BITS_CR4_VMX),
	SET("vmcs12.host_fs_base", 1, NON_CANONICAL),
	SET("vmcs12.host_gs_base", 1, NON_CANONICAL),
	SET("vmcs12.host_tr_base", 1, NON_CANONICAL),
	SET("vmcs12.host_gdtr_base", 1, NON_CANONICAL),
	SET("vmcs12.host_idtr_base", 1, NON_CANONICAL),
	SET("vmcs12.host_ia32_sysenter_esp", 1, NON_CANONICAL),
	SET("vmcs12.host_ia32_sysenter_eip", 1, NON_CANONICAL),
	SET("vmcs12.host_rip", 2, NON_CANONICAL, 0x100000000),
	SET("vmcs12.host_ia32_pat", 2, PATS),
	FLIP("vmcs12.host_ia32_efer", 3, BITS_EFER_VMX),
	FLIP("vmcs12.host_ia32_perf_global_ctrl", 1, COUNTERS),
	SET("vmcs12.host_es_selector", 1, SELECTORS),
	SET("vmcs12.host_cs_selector", 1, SELECTORS),
	SET("vmcs12.host_ss_selector", 1, SELECTORS),
	SET("vmcs12.host_ds_selector", 1, SELECTORS),
	SET("vmcs12.host_fs_selector", 1, SELECTORS),
	SET("vmcs12.host_gs_selector", 1, SELECTORS),
	SET("vmcs12.host_tr_selector", 1, SELECTORS),
	/* MSRs */
	SET("msr.feature_control", 1, 0, 1, 4, 5),
	SET("msr.pat", 1, UINT64_C(0x0606060606060606), UINT64_C(0x0007040600070400)),
	FLIP("vmx_msr.basic", 3, BIT(0), BIT(31), BIT(32), BIT(44), BIT(48), BIT(49), BIT(50),
	     BIT(52), BIT(54), BIT(55), BIT(56), BIT(63)),
	FLIP("vmx_msr.true_pin", 3, MUST(0), MUST(3), MUST(5), MUST(6), MUST(7), MUST(1), MAY(0),
	     MAY(3), MAY(5), MAY(6), MAY(7), MAY(1), MAY(8), MAY(31)),
	FLIP("vmx_msr.true_proc", 3, MUST(2), MUST(3), MUST(7), MUST(15), MUST(21), MUST(25),
	     MUST(28), MUST(31), MUST(1), MAY(2), MAY(7), MAY(19), MAY(21), MAY(25), MAY(27),
	     MAY(28), MAY(31), MAY(1), MAY(0), MAY(17)),
	FLIP("vmx_msr.true_exit", 3, MUST(2), MUST(9), MUST(12), MUST(15), MUST(18), MUST(21),
	     MUST(0), MAY(2), MAY(9), MAY(12), MAY(18), MAY(19), MAY(20), MAY(21), MAY(22), MAY(0),
	     MAY(31)),
	FLIP("vmx_msr.true_entry", 3, MUST(2), MUST(9), MUST(13), MUST(14), MUST(15), MUST(0),
	     MAY(2), MAY(9), MAY(13), MAY(14), MAY(15), MAY(10), MAY(0), MAY(31)),
	FLIP("vmx_msr.proc2", 4, MUST(1), MUST(3), MUST(5), MUST(7), MAY(0), MAY(1), MAY(1), MAY(3),
	     MAY(4), MAY(5), MAY(7), MAY(8), MAY(9), MAY(13), MAY(14), MAY(17), MAY(18), MAY(20),
	     MAY(22), MAY(24), MAY(25), MAY(31)),
	FLIP("vmx_msr.misc", 3, BIT(0), BIT(1), BIT(4), BIT(5), BIT(6), BIT(7), BIT(8), BIT(14),
	     BIT(15), BIT(16), BIT(18), BIT(25), BIT(27), BIT(28), BIT(29), BIT(29), BIT(30),
	     BIT(32), BIT(63)),
	FLIP("vmx_msr.ept_vpid", 3, BIT(0), BIT(6), BIT(6), BIT(7), BIT(8), BIT(14), BIT(14),
	     BIT(16), BIT(17), BIT(20), BIT(21), BIT(21), BIT(25), BIT(26), BIT(32), BIT(40),
	     BIT(44), BIT(63)),
	FLIP("vmx_msr.vmfunc", 2, BIT(0), BIT(0), BIT(1), BIT(63)),
	FLIP("vmx_msr.cr0_fixed0", 1, BIT(0), BIT(1), BIT(5), BIT(31), BIT(16), BIT(32)),
	FLIP("vmx_msr.cr4_fixed0", 1, BIT(13), BIT(5), BIT(0), BIT(32)),
	FLIP("vmx_msr.vmcs_enum", 1, BIT(1), BIT(5), BIT(9), BIT(10), BIT(63)),
	/* left out (IA32_SYSENTER_CS, which takes anything), or one that nobody may set */
	SET("vmx_msr_index", 1, 0x174, 0x174, 0x174, 0x481, 0x482, 0x483, 0x484, 0x487, 0x489),
	/* what the VMCS12 points at */
	FLIP("ept-root", 3, BITS_EPT),
	FLIP("ept-table", 1, BITS_EPT),
	FLIP("eptp", 2, BITS_EPTP),
	SET("entry-load.index", 2, 0xc0000100, 0xc0000101, 0x9b, 0x79, 0x8b, 0x800, 0x808, 0x8ff,
	    0x9e, 0x174),
	SET("exit-load.index", 2, 0xc0000100, 0xc0000101, 0x9b, 0x79, 0x8b, 0x800, 0x808, 0x8ff,
	    0x9e, 0x174),
	SET("exit-store.index", 2, 0xc0000100, 0xc0000101, 0x9b, 0x79, 0x8b, 0x800, 0x808, 0x8ff,
	    0x9e, 0x174),
	FLIP("entry-load.reserved", 1, 1, BIT(31)),
	FLIP("exit-load.reserved", 1, 1, BIT(31)),
	FLIP("exit-store.reserved", 1, 1, BIT(31)),
	FLIP("link.header", 2, BIT(31), 1),
	SET("vapic.tpr", 2, 0, 0x10, 0xf0, 0xff),
};

static const struct edge *find(const char *name)
{
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
		if (strcmp(edges[i].place, name) == 0)
			return &edges[i];
	return NULL;
}

/* "vmcs12.guest_cs_base" is a "segment_base" if it has no edge of its own. */
const struct edge *vmx_edge_find(const char *name)
{
	static const char *const segments[] = {"es_", "cs_", "ss_",   "ds_",   "fs_",
					       "gs_", "tr_", "ldtr_", "gdtr_", "idtr_"};
	static const char prefix[] = "vmcs12.guest_";
	const struct edge *edge = find(name);
	char other[64];

	if (edge || strncmp(name, prefix, strlen(prefix)) != 0)
		return edge;
	name += strlen(prefix);
	for (size_t i = 0; i < sizeof(segments) / sizeof(segments[0]); i++) {
		size_t length = strlen(segments[i]);

		if (strncmp(name, segments[i], length) != 0)
			continue;
		snprintf(other, sizeof(other), "segment_%s", name + length);
		return find(other);
	}
	return NULL;
}
