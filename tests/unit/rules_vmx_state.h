/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What breaks and what satisfies the rules on the header and on the host state: one row a rule. */
#ifndef NESTMIG_RULES_VMX_STATE_H
#define NESTMIG_RULES_VMX_STATE_H

#include "rules_vmx_vm.h"

#define NO_VMXON     VIEW(nested.vmxon_pa, UINT64_MAX), VIEW(nested.vmcs12_pa, UINT64_MAX)
#define NO_VMCS      VIEW(nested.vmcs12_pa, UINT64_MAX), VIEW(nested.flags, 0)
#define HEADER_ONLY  VIEW(nested.size, KVMNS_HEADER_SIZE)
#define IN_SMM       VIEW(events.smi_smm, 1)
#define SMM_HOLDS_L2 VIEW(nested.vmx_smm_flags, VMX_SMM_GUEST_MODE | VMX_SMM_VMXON)
#define SHADOWING                                                                                  \
	PROC2(HEALTHY_PROC2 | PROC2_SHADOW), VMCS(vmcs_link_pointer, GPA_SHADOW),                  \
		VMCS(vmread_bitmap, GPA_FREE_PAGE), VMCS(vmwrite_bitmap, GPA_FREE_PAGE),           \
		RAM(GPA_SHADOW, VMCS12_REVISION | VMCS12_SHADOW)
#define SHADOW_WORD(value)                                                                         \
	{                                                                                          \
		PLACE_SHADOW, 0, 4, value                                                          \
	}

static const struct rule_case vmx_header_cases[] = {
	{NESTMIG_RULE_vmx_hdr_evmcs_enabled,
	 {VIEW(nested.flags, KVMNS_EVMCS), NO_VMXON},
	 {VIEW(nested.flags, KVMNS_EVMCS), NO_VMXON,
	  VIEW(vm_caps, NESTMIG_VM_IRQCHIP | NESTMIG_VM_EVMCS)},
	 {0}},
	{NESTMIG_RULE_vmx_hdr_flags_known,
	 {VIEW(nested.flags, KVMNS_GUEST_MODE | 0x10)},
	 {VIEW(nested.flags, KVMNS_GUEST_MODE | KVMNS_GIF_SET)},
	 {0}},
	{NESTMIG_RULE_vmx_hdr_mtf_needs_guestmode,
	 {VIEW(nested.flags, KVMNS_MTF_PENDING)},
	 {VIEW(nested.flags, KVMNS_MTF_PENDING | KVMNS_GUEST_MODE)},
	 {0}},
	{NESTMIG_RULE_vmx_hdr_novmxon_flags,
	 {NO_VMXON, VIEW(nested.flags, KVMNS_GIF_SET)},
	 {VIEW(nested.flags, KVMNS_GIF_SET)},
	 {0}},
	{NESTMIG_RULE_vmx_hdr_novmxon_smmflags,
	 {NO_VMXON, VIEW(nested.flags, 0), SMM_HOLDS_L2, IN_SMM},
	 {SMM_HOLDS_L2, VIEW(nested.flags, 0), IN_SMM},
	 {NESTMIG_RULE_smm_vmx_flags_noxon + 1}},
	{NESTMIG_RULE_vmx_hdr_novmxon_vmcs12pa,
	 {VIEW(nested.vmxon_pa, UINT64_MAX), VIEW(nested.flags, 0)},
	 {NO_VMXON, VIEW(nested.flags, 0)},
	 {NESTMIG_RULE_smm_vmx_flags_noxon + 1}},
	{NESTMIG_RULE_vmx_hdr_preempt_deadline,
	 {PIN(HEALTHY_PIN | PIN_TIMER)},
	 {PIN(HEALTHY_PIN | PIN_TIMER), VIEW(nested.vmx_flags, VMX_DEADLINE)},
	 {0}},
	{NESTMIG_RULE_vmx_hdr_runpending_implies_guestmode,
	 {VIEW(nested.flags, KVMNS_RUN_PENDING)},
	 {VMX_PENDING},
	 {0}},
	{NESTMIG_RULE_vmx_hdr_shadow_indicator,
	 {SHADOWING, SHADOW_WORD(VMCS12_REVISION)},
	 {SHADOWING},
	 {0}},
	{NESTMIG_RULE_vmx_hdr_shadow_revision,
	 {SHADOWING, SHADOW_WORD(VMCS12_SHADOW)},
	 {SHADOWING},
	 {0}},
	{NESTMIG_RULE_vmx_hdr_size_min,
	 {NO_VMCS, VIEW(nested.size, KVMNS_HEADER_SIZE - 1)},
	 {NO_VMCS, HEADER_ONLY},
	 {0}},
	{NESTMIG_RULE_vmx_hdr_size_shadow,
	 {SHADOWING, VIEW(nested.size, 128 + 4096 + 997)},
	 {SHADOWING, VIEW(nested.size, 128 + 4096 + 998)},
	 {0}},
	{NESTMIG_RULE_vmx_hdr_size_vmcs12,
	 {VIEW(nested.size, 128 + 997)},
	 {VIEW(nested.size, 128 + 998)},
	 {0}},
	{NESTMIG_RULE_vmx_hdr_smm_flags_known,
	 {VIEW(nested.flags, 0), VIEW(nested.vmx_smm_flags, 4), IN_SMM},
	 {VIEW(nested.flags, 0), SMM_HOLDS_L2, IN_SMM},
	 {NESTMIG_RULE_smm_vmx_flags_known + 1}},
	{NESTMIG_RULE_vmx_hdr_smm_guestmode_excl,
	 {SMM_HOLDS_L2},
	 {SMM_HOLDS_L2, VIEW(nested.flags, 0), IN_SMM},
	 {NESTMIG_RULE_evt_smm_before_nested + 1, NESTMIG_RULE_smm_vmx_flags_notguest + 1}},
	{NESTMIG_RULE_vmx_hdr_smm_guestmode_needs_vmxon,
	 {VIEW(nested.flags, 0), VIEW(nested.vmx_smm_flags, VMX_SMM_GUEST_MODE), IN_SMM},
	 {VIEW(nested.flags, 0), VIEW(nested.vmx_smm_flags, VMX_SMM_VMXON), IN_SMM},
	 {NESTMIG_RULE_smm_vmx_flags_vmxon + 1}},
	{NESTMIG_RULE_vmx_hdr_vmcs12_revision,
	 {VMCS(revision_id_and_shadow_bit, 0x11e57ed1)},
	 {VMX_IN_L1},
	 {0}},
	{NESTMIG_RULE_vmx_hdr_vmcs12_shadow_bit,
	 {VMCS(revision_id_and_shadow_bit, VMCS12_REVISION | VMCS12_SHADOW)},
	 {VMCS(revision_id_and_shadow_bit, VMCS12_REVISION)},
	 {0}},
	{NESTMIG_RULE_vmx_hdr_vmcs12pa_ne_vmxonpa,
	 {VIEW(nested.vmcs12_pa, GPA_VMXON)},
	 {VIEW(nested.vmcs12_pa, GPA_VMCS12)},
	 {0}},
	{NESTMIG_RULE_vmx_hdr_vmcs12pa_page,
	 {VIEW(nested.vmcs12_pa, GPA_FREE_PAGE + 1)},
	 {VIEW(nested.vmcs12_pa, GPA_FREE_PAGE)},
	 {0}},
	{NESTMIG_RULE_vmx_hdr_vmcs12pa_present, {NO_VMCS}, {NO_VMCS, HEADER_ONLY}, {0}},
	{NESTMIG_RULE_vmx_hdr_vmx_allowed,
	 {HOST(nested, 0)},
	 {HOST(nested, 0), NO_VMXON, VIEW(nested.flags, 0)},
	 {0}},
	{NESTMIG_RULE_vmx_hdr_vmx_flags_known,
	 {VIEW(nested.vmx_flags, 2)},
	 {VIEW(nested.vmx_flags, VMX_DEADLINE)},
	 {0}},
	{NESTMIG_RULE_vmx_hdr_vmxonpa_page,
	 {VIEW(nested.vmxon_pa, BEYOND_40_BITS)},
	 {VIEW(nested.vmxon_pa, GPA_FREE_PAGE)},
	 {0}},
};

/* ---- Host state ------------------------------------------------------------------------------ */

/* Canonical with 57 bits, not with 48. */
#define WIDE     UINT64_C(0x00ffff0000000000)
#define HOST_32  EXIT(HEALTHY_EXIT & ~(EXIT_HOST_64 | EXIT_LOAD_EFER))
#define GUEST_32 ENTRY(HEALTHY_ENTRY & ~ENTRY_IA32E)
#define NARROW_GUEST                                                                               \
	GUEST_32, VMCS(guest_ia32_efer, 0), VMCS(guest_cr0, 0x80000031),                           \
		VMCS(guest_cs_ar_bytes, 0xc09b)
#define LOADS_CET                                                                                  \
	KERNEL(6, 18), EXIT(HEALTHY_EXIT | EXIT_LOAD_CET),                                         \
		GUEST_CAP(TRUE_EXIT, UINT64_C(0x107fffff00036dfb)),                                \
		HOST_CAP(TRUE_EXIT, UINT64_C(0x107fffff00036dfb))
#define RPL_TI(seg)                                                                                \
	{                                                                                          \
		NESTMIG_RULE_vmx_host_##seg##_rpl_ti, {VMCS(host_##seg##_selector, 0x1b)},         \
			{VMCS(host_##seg##_selector, 0x18)},                                       \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}
/* 6.1 goes by L2's CR4, newer kernels by the processor. */
#define CANONICAL(rule, field)                                                                     \
	{                                                                                          \
		NESTMIG_RULE_vmx_host_##rule, {VMCS(field, WIDE)},                                 \
			{VMCS(field, WIDE), KERNEL(6, 13),                                         \
			 HOST(cpuid.word[NESTMIG_CPUID_7_0_ECX], 1 << 16)},                        \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}

static const struct rule_case vmx_host_cases[] = {
	{NESTMIG_RULE_vmx_host_asize_vs_lma,
	 {VMX_IN_L1, VIEW(sregs.efer, 0), VIEW(sregs.cs.l, 0)},
	 {VMX_IN_L1},
	 {0}},
	{NESTMIG_RULE_vmx_host_asize32_no_ia32eguest, {HOST_32}, {HOST_32, NARROW_GUEST}, {0}},
	{NESTMIG_RULE_vmx_host_asize32_no_pcide,
	 {HOST_32, NARROW_GUEST, VMCS(host_cr4, 0x22020)},
	 {VMCS(host_cr4, 0x22020)},
	 {0}},
	{NESTMIG_RULE_vmx_host_asize32_rip_high,
	 {HOST_32, NARROW_GUEST, VMCS(host_rip, UINT64_C(0x100000000))},
	 {VMCS(host_rip, UINT64_C(0x100000000))},
	 {0}},
	{NESTMIG_RULE_vmx_host_asize64_pae,
	 {VMCS(host_cr4, 0x2000)},
	 {HOST_32, NARROW_GUEST, VMCS(host_cr4, 0x2000)},
	 {0}},
	{NESTMIG_RULE_vmx_host_asize64_rip_canonical,
	 {VMCS(host_rip, WIDE)},
	 {VMCS(host_rip, WIDE), KERNEL(6, 13), CPUID(7_0_ECX, 1 << 16), VMCS(host_cr4, 0x3020)},
	 {0}},
	{NESTMIG_RULE_vmx_host_cr0_fixed0,
	 {VMCS(host_cr0, 0x80000011)},
	 {VMCS(host_cr0, 0x80000011), GUEST_CAP(CR0_FIXED0, 0x80000001)},
	 {0}},
	{NESTMIG_RULE_vmx_host_cr0_fixed1,
	 {VMCS(host_cr0, UINT64_C(0x180000031))},
	 {VMCS(host_cr0, UINT64_C(0xf0000031))},
	 {0}},
	{NESTMIG_RULE_vmx_host_cr3_width,
	 {VMCS(host_cr3, BEYOND_40_BITS)},
	 {VMCS(host_cr3, BEYOND_40_BITS - 0x1000)},
	 {0}},
	{NESTMIG_RULE_vmx_host_cr4_cet_wp,
	 {VMCS(host_cr4, 0x802020), KERNEL(6, 18), CPUID(7_0_ECX, 1 << 7),
	  HOST(cpuid.word[NESTMIG_CPUID_7_0_ECX], 1 << 7)},
	 {VMCS(host_cr4, 0x802020), VMCS(host_cr0, 0x80010031)},
	 {0}},
	{NESTMIG_RULE_vmx_host_cr4_fixed0, {VMCS(host_cr4, 0x20)}, {VMCS(host_cr4, 0x2020)}, {0}},
	{NESTMIG_RULE_vmx_host_cr4_fixed1,
	 {VMCS(host_cr4, 0x2820)},
	 {VMCS(host_cr4, 0x2820), CPUID(7_0_ECX, 1 << 2)},
	 {RELATED(vmx_host_cr4_kvm_reserved)}},
	{NESTMIG_RULE_vmx_host_cr4_kvm_reserved,
	 {VMCS(host_cr4, 0x2820), CPUID(7_0_ECX, 1 << 2)},
	 {VMCS(host_cr4, 0x2820), CPUID(7_0_ECX, 1 << 2),
	  HOST(cpuid.word[NESTMIG_CPUID_7_0_ECX], 1 << 2)},
	 {0}},
	{NESTMIG_RULE_vmx_host_cs_nonzero,
	 {VMCS(host_cs_selector, 0)},
	 {VMCS(host_cs_selector, 8)},
	 {0}},
	RPL_TI(cs),
	RPL_TI(ds),
	{NESTMIG_RULE_vmx_host_efer_lma,
	 {VMCS(host_ia32_efer, 0x901)},
	 {VMCS(host_ia32_efer, 0x901), EXIT(HEALTHY_EXIT & ~EXIT_LOAD_EFER)},
	 {0}},
	{NESTMIG_RULE_vmx_host_efer_lme,
	 {VMCS(host_ia32_efer, 0xc01)},
	 {VMCS(host_ia32_efer, 0xd01)},
	 {0}},
	{NESTMIG_RULE_vmx_host_efer_reserved,
	 {VMCS(host_ia32_efer, 0x1d01)},
	 {VMCS(host_ia32_efer, 0x1d01), EXIT(HEALTHY_EXIT & ~EXIT_LOAD_EFER)},
	 {0}},
	RPL_TI(es),
	CANONICAL(fs_base_canonical, host_fs_base),
	RPL_TI(fs),
	CANONICAL(gdtr_base_canonical, host_gdtr_base),
	CANONICAL(gs_base_canonical, host_gs_base),
	RPL_TI(gs),
	{NESTMIG_RULE_vmx_host_ia32eguest_needs_lma,
	 {VMX_IN_L1, VIEW(sregs.efer, 0), VIEW(sregs.cs.l, 0)},
	 {VMX_IN_L1, VIEW(sregs.efer, 0), VIEW(sregs.cs.l, 0), NARROW_GUEST, HOST_32},
	 {0}},
	CANONICAL(idtr_base_canonical, host_idtr_base),
	{NESTMIG_RULE_vmx_host_pat,
	 {VMCS(host_ia32_pat, 0x0007040600070402)},
	 {VMCS(host_ia32_pat, 0x0007040600070402), EXIT(HEALTHY_EXIT & ~EXIT_LOAD_PAT)},
	 {0}},
	{NESTMIG_RULE_vmx_host_pdptes,
	 {HOST_32, NARROW_GUEST, RAM(GPA_HOST_CR3 + 8, 0x3)},
	 {HOST_32, NARROW_GUEST, RAM(GPA_HOST_CR3 + 8, 0x114001)},
	 {0}},
	{NESTMIG_RULE_vmx_host_pgc,
	 {EXIT(HEALTHY_EXIT | EXIT_LOAD_PGC), VMCS(host_ia32_perf_global_ctrl, 0x10)},
	 {EXIT(HEALTHY_EXIT | EXIT_LOAD_PGC),
	  VMCS(host_ia32_perf_global_ctrl, UINT64_C(0x70000000f))},
	 {0}},
	{NESTMIG_RULE_vmx_host_s_cet_canonical,
	 {LOADS_CET, VMCS(host_s_cet, WIDE), CPUID(7_0_EDX, 1 << 20)},
	 {LOADS_CET, VMCS(host_s_cet, 0x1000)},
	 {0}},
	{NESTMIG_RULE_vmx_host_s_cet_reserved,
	 {LOADS_CET, VMCS(host_s_cet, 0x40)},
	 {LOADS_CET, VMCS(host_s_cet, 4), CPUID(7_0_EDX, 1 << 20)},
	 {0}},
	{NESTMIG_RULE_vmx_host_s_cet_suppress,
	 {LOADS_CET, VMCS(host_s_cet, 0xc00), CPUID(7_0_EDX, 1 << 20)},
	 {LOADS_CET, VMCS(host_s_cet, 0x400), CPUID(7_0_EDX, 1 << 20)},
	 {0}},
	{NESTMIG_RULE_vmx_host_ss_nonzero_32,
	 {HOST_32, NARROW_GUEST, VMCS(host_ss_selector, 0)},
	 {VMCS(host_ss_selector, 0)},
	 {0}},
	RPL_TI(ss),
	{NESTMIG_RULE_vmx_host_ssp_align,
	 {LOADS_CET, VMCS(host_ssp, 2)},
	 {LOADS_CET, VMCS(host_ssp, 4)},
	 {0}},
	{NESTMIG_RULE_vmx_host_ssp_canonical,
	 {LOADS_CET, VMCS(host_ssp, WIDE)},
	 {LOADS_CET, VMCS(host_ssp, 0x1000)},
	 {0}},
	{NESTMIG_RULE_vmx_host_ssp_table,
	 {LOADS_CET, VMCS(host_ssp_tbl, WIDE)},
	 {VMCS(host_ssp_tbl, WIDE), KERNEL(6, 18)},
	 {0}},
	CANONICAL(sysenter_eip, host_ia32_sysenter_eip),
	CANONICAL(sysenter_esp, host_ia32_sysenter_esp),
	CANONICAL(tr_base_canonical, host_tr_base),
	{NESTMIG_RULE_vmx_host_tr_nonzero,
	 {VMCS(host_tr_selector, 0)},
	 {VMCS(host_tr_selector, 0x18)},
	 {0}},
	RPL_TI(tr),
};

#endif
