/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What breaks and what satisfies the rules on an RSM that enters an L2 of VMX again: one row a rule. */
#ifndef NESTMIG_RULES_SMRAM_VMX_H
#define NESTMIG_RULES_SMRAM_VMX_H

#include "rules_vmx_vm.h"

static const struct rule_case smram_vmx_cases[] = {
	{NESTMIG_RULE_smm_cr4_vmxe_kvm, {IMAGE(cr4, 0x20)}, {IMAGE(cr4, 0x2030)}, {0}},
	{NESTMIG_RULE_smm_vmx_emulation_required,
	 {IMAGE(ss_attributes, 0xc0f3)},
	 {IMAGE(ss_attributes, 0xc097)},
	 {RELATED(smm_vmx_guest_state)}},
	{NESTMIG_RULE_smm_vmx_guest_state,
	 {IMAGE(ds_attributes, 0xc092)},
	 {IMAGE(ds_selector, 0x20)},
	 {0}},
	{NESTMIG_RULE_smm_vmx_host_cr3,
	 {VMCS(host_cr3, BEYOND_40_BITS)},
	 {VMCS(host_cr3, NO_RAM)},
	 {0}},
	{NESTMIG_RULE_smm_vmx_root,
	 {VMCS(ept_pointer, NO_RAM | 3 << 3 | 6)},
	 {VMCS(ept_pointer, HEALTHY_EPTP | EPTP_AD)},
	 {0}},
};

/* The healthy VMX guest in the handler of an SMI that came in L2. */
static void vmx_smm_vm_new(struct vm *vm)
{
	static const struct poke fields[] = {
		VIEW(nested.flags, 0),
		VIEW(nested.vmx_smm_flags, VMX_SMM_GUEST_MODE | VMX_SMM_VMXON),
		VIEW(events.smi_smm, 1),
		VIEW(events.nmi_masked, 1),
		VIEW(sregs.cr0, 0x30),
		VIEW(sregs.cr4, 0),
		VIEW(sregs.efer, 0),
		IMAGE(es_selector, 0x10),
		IMAGE(es_attributes, 0xc093),
		IMAGE(es_limit, 0xffffffff),
		IMAGE(cs_selector, 0x08),
		IMAGE(cs_attributes, 0xa09b),
		IMAGE(cs_limit, 0xffffffff),
		IMAGE(ss_selector, 0x10),
		IMAGE(ss_attributes, 0xc093),
		IMAGE(ss_limit, 0xffffffff),
		IMAGE(ds_selector, 0x10),
		IMAGE(ds_attributes, 0xc093),
		IMAGE(ds_limit, 0xffffffff),
		IMAGE(tr_selector, 0x18),
		IMAGE(tr_attributes, 0x8b),
		IMAGE(tr_limit, 0x67),
		IMAGE(cr0, 0x80000031),
		IMAGE(cr4, 0x2020),
		IMAGE(efer, 0x500),
		{0},
	};
	struct nestmig_vcpu_view *v = &vm->vcpu.view;

	vmx_vm_new(vm);
	fill_image(vm);
	vm_poke(vm, fields);
	v->sregs.cs.l = 0;
	v->smram = vm->image;
	v->have |= NESTMIG_HAVE(SMRAM) | NESTMIG_HAVE(SMBASE) | NESTMIG_HAVE(HSAVE_PA);
}

#endif
