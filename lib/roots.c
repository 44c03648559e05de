// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Are the roots of the page tables RAM? Where KVM shadows page tables, it needs the page that CR3 (or
 * nested_cr3) names, with PAE also the four pages that the page-directory pointers name, before the
 * vCPU runs (mmu_alloc_shadow_roots of KVM 6.1 and 6.12).
 */
#include <string.h>

#include "bytes.h"
#include "judge.h"
#include "vmcb/predicates.h"

#define PDPTE_COUNT 4

_Static_assert(NM_VMCB12_COPY == VMCB12_OFFSET_nested_cr3 + 8, "what L1 alone writes");

static enum nestmig_backed page_backed(const struct nestmig_state *state, uint64_t address)
{
	return nm_state_backed(state, address & VMCB12_PAGE_MASK, 4096);
}

/* Is each page RAM that a present one of the four pointers names? All bits above the offset count:
 * KVM shifts the pointer without a mask. */
static enum nestmig_backed pointed_at(const struct nestmig_state *state, const uint64_t *pdptes)
{
	enum nestmig_backed all = NESTMIG_BACKED_YES;

	for (unsigned i = 0; i < PDPTE_COUNT; i++) {
		enum nestmig_backed one;

		if (!(pdptes[i] & 1))
			continue;
		one = page_backed(state, pdptes[i]);
		if (one == NESTMIG_BACKED_NO)
			return one;
		if (one == NESTMIG_BACKED_UNKNOWN)
			all = one;
	}
	return all;
}

/* The same of the pointers in memory; KVM takes those that it cannot read for absent. */
static enum nestmig_backed pointed_at_in_memory(const struct nestmig_state *state,
						const struct nm_pdptes *table, uint64_t cr3)
{
	uint64_t gpa = cr3 & ~UINT64_C(0x1f), pdptes[PDPTE_COUNT];

	switch (nm_state_backed(state, gpa, sizeof(pdptes))) {
	case NESTMIG_BACKED_NO:
		return NESTMIG_BACKED_YES;
	case NESTMIG_BACKED_UNKNOWN:
		return NESTMIG_BACKED_UNKNOWN;
	case NESTMIG_BACKED_YES:
		break;
	}
	if (!table->known || table->gpa != gpa)
		return NESTMIG_BACKED_UNKNOWN;
	for (unsigned i = 0; i < PDPTE_COUNT; i++)
		pdptes[i] = nm_le64(table->bytes + 8 * i);
	return pointed_at(state, pdptes);
}

/*
 * Of the fields of a VMCB12 that L1 alone writes: does its page in guest memory hold the same as the
 * blob? KVM cuts the addresses of the maps off below the page.
 */
static enum nestmig_backed same_vmcb12(const struct nm_vcpu *vcpu)
{
	const uint8_t *page = vcpu->vmcb12_copy.bytes, *blob = vcpu->view.vmcb12;

	if (!vcpu->vmcb12_copy.known ||
	    vcpu->vmcb12_copy.gpa != (vcpu->view.nested.vmcb_pa & VMCB12_PAGE_MASK))
		return NESTMIG_BACKED_UNKNOWN;
	if (memcmp(page, blob, VMCB12_OFFSET_intercept_word5 + 4) ||
	    (vmcb12_iopm_base_pa(page) ^ vmcb12_iopm_base_pa(blob)) & VMCB12_PAGE_MASK ||
	    (vmcb12_msrpm_base_pa(page) ^ vmcb12_msrpm_base_pa(blob)) & VMCB12_PAGE_MASK ||
	    (vmcb12_nested_ctl(page) ^ vmcb12_nested_ctl(blob)) & VMCB12_NP_ENABLE ||
	    vmcb12_tsc_offset(page) != vmcb12_tsc_offset(blob) ||
	    vmcb12_asid(page) != vmcb12_asid(blob) ||
	    vmcb12_nested_cr3(page) != vmcb12_nested_cr3(blob))
		return NESTMIG_BACKED_NO;
	return NESTMIG_BACKED_YES;
}

void nm_find_roots(struct nestmig_ctx *ctx, const struct nestmig_state *state,
		   const struct nm_vcpu *vcpu)
{
	const struct nestmig_vcpu_view *v = ctx->v;
	const struct nestmig_sregs *s = &v->sregs;
	struct nestmig_backing *mem = &ctx->mem;
	const uint8_t *blob = v->vmcb12;

	if ((v->have & NESTMIG_HAVE(SREGS)) && nm_pae_paging(s->efer, s->cr0, s->cr4))
		mem->cr3_pdptes = v->have & NESTMIG_HAVE(PDPTRS)
					  ? pointed_at(state, s->pdptrs)
					  : pointed_at_in_memory(
						    state, &vcpu->pdptes[NM_PDPTES_LIVE], s->cr3);
	if (!(v->have & NESTMIG_HAVE(VMCB12)))
		return;
	mem->host_cr3 = page_backed(state, vmcb12_save_cr3(blob));
	if (nm_np_enabled(ctx) && nm_host_pae_tables(blob))
		mem->ncr3_pdptes = pointed_at_in_memory(state, &vcpu->pdptes[NM_PDPTES_NESTED],
							vmcb12_nested_cr3(blob));
	if (nm_pae_paging(vmcb12_save_efer(blob), vmcb12_save_cr0(blob), vmcb12_save_cr4(blob)))
		mem->host_pdptes = pointed_at_in_memory(state, &vcpu->pdptes[NM_PDPTES_L1],
							vmcb12_save_cr3(blob));
	mem->vmcb12_same = same_vmcb12(vcpu);
}
