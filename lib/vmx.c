// SPDX-License-Identifier: LGPL-2.1-or-later
/* What of guest memory a VMCS12 points at, worked out once per vCPU. */
#include "judge.h"
#include "vmcs/vmcs12.h"

static enum nestmig_backed page(const struct nestmig_state *state, uint64_t gpa)
{
	return nm_state_backed(state, gpa & ~(NM_PAGE_SIZE - 1), NM_PAGE_SIZE);
}

/* An MSR area; no entries are always there. */
static enum nestmig_backed area(const struct nestmig_state *state, uint64_t gpa, uint64_t count)
{
	return count ? nm_state_backed(state, gpa, 16 * count) : NESTMIG_BACKED_YES;
}

void nm_vmx_backing(const struct nestmig_state *state, const struct nestmig_vcpu_view *vcpu,
		    struct nestmig_vmx_backing *ret_backing)
{
	const uint8_t *p = vcpu->vmcs12;

	*ret_backing = (struct nestmig_vmx_backing){0};
	if (vcpu->have & NESTMIG_HAVE(NESTED))
		ret_backing->vmcs12 = page(state, vcpu->nested.vmcs12_pa);
	if (!(vcpu->have & NESTMIG_HAVE(VMCS12)))
		return;
	ret_backing->io_bitmap_a = page(state, vmcs12_io_bitmap_a(p));
	ret_backing->io_bitmap_b = page(state, vmcs12_io_bitmap_b(p));
	ret_backing->msr_bitmap = page(state, vmcs12_msr_bitmap(p));
	ret_backing->vapic = page(state, vmcs12_virtual_apic_page_addr(p));
	ret_backing->apic_access = page(state, vmcs12_apic_access_addr(p));
	ret_backing->posted = page(state, vmcs12_posted_intr_desc_addr(p));
	ret_backing->vmread_bitmap = page(state, vmcs12_vmread_bitmap(p));
	ret_backing->vmwrite_bitmap = page(state, vmcs12_vmwrite_bitmap(p));
	ret_backing->pml = page(state, vmcs12_pml_address(p));
	ret_backing->ept_root = page(state, vmcs12_ept_pointer(p));
	ret_backing->guest_cr3 = page(state, vmcs12_guest_cr3(p));
	ret_backing->eptp_list = page(state, vmcs12_eptp_list_address(p));
	ret_backing->link = page(state, vmcs12_vmcs_link_pointer(p));
	ret_backing->entry_load =
		area(state, vmcs12_vm_entry_msr_load_addr(p), vmcs12_vm_entry_msr_load_count(p));
	ret_backing->exit_load =
		area(state, vmcs12_vm_exit_msr_load_addr(p), vmcs12_vm_exit_msr_load_count(p));
	ret_backing->exit_store =
		area(state, vmcs12_vm_exit_msr_store_addr(p), vmcs12_vm_exit_msr_store_count(p));
}
