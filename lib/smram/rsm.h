/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What RSM of KVM does with a save area, followed step by step: em_rsm, svm_leave_smm, enter_svm_guest_mode,
 * rsm_load_state_64, rsm_load_state_32 and rsm_enter_protected_mode of Linux 6.1; from 6.2 on the same
 * in smm.c. Needs no libc.
 *
 * The order: 1 the image is read; 2 the vCPU drops to real mode with EFER 0; 3 an image that was written in
 * L2 enters L2 again from its VMCB12; 4 DR6, DR7, EFER, CR3, CR4, CR0 and CR4.PCIDE are loaded, which can
 * fail; 5 segments, which cannot; 6 the emulator looks at the mode that this makes. An L2 is therefore
 * loaded twice, first from its VMCB12, and every write of step 4 is a write to that L2.
 */
#ifndef NESTMIG_SMRAM_RSM_H
#define NESTMIG_SMRAM_RSM_H

#include "../vmcb/predicates.h"
#include "../vmcs/vmcs12.h"
#include "smram.h"

#define NM_CR0_ET         (UINT64_C(1) << 4)
#define NM_CR0_KNOWN      UINT64_C(0xe005003f) /* all that KVM does not mask */
#define NM_CR4_PGE        (UINT64_C(1) << 7)
#define NM_CR4_PSE        (UINT64_C(1) << 4)
#define NM_CR4_PCIDE      (UINT64_C(1) << 17)
#define NM_CR4_SMEP       (UINT64_C(1) << 20)
#define NM_CR3_NOFLUSH    (UINT64_C(1) << 63)
#define NM_CR0_PDPTR_BITS (NM_CR0_PG | NM_CR0_CD | NM_CR0_NW)
#define NM_CR4_PDPTR_BITS (NM_CR4_PGE | NM_CR4_PSE | NM_CR4_PAE | NM_CR4_SMEP)

static inline int nm_has(const struct nestmig_ctx *c, uint64_t items)
{
	return (c->v->have & items) == items;
}

/* Does the image use the 64-bit map? (guest_cpuid_has X86_FEATURE_LM) */
static inline enum nestmig_holds nm_rsm_is_64(const struct nestmig_ctx *c)
{
	return nm_cpuid_bit(c, NESTMIG_CPUID_80000001_EDX, 29);
}

static inline int nm_rsm_is_vmx(const struct nestmig_ctx *c)
{
	return c->v->vendor == NESTMIG_VENDOR_INTEL ||
	       (nm_has(c, NESTMIG_HAVE(NESTED)) && c->v->nested.format == KVMNS_FORMAT_VMX);
}

/* VMX: its L2 is not in the image but in the nested state, whose VMCS12 it is entered from. Only a CR3
 * beyond the guest's width is in the way of that (nested_vmx_load_cr3). */
static inline enum nm_rsm_path nm_rsm_path_vmx(const struct nestmig_ctx *c)
{
	if (c->no_nested)
		return NM_RSM_TO_L1;
	if (!nm_has(c, NESTMIG_HAVE(NESTED)))
		return NM_RSM_OPEN;
	if (!(c->v->nested.vmx_smm_flags & 1))
		return NM_RSM_TO_L1;
	if (!nm_has(c, NESTMIG_HAVE(VMCS12)))
		return NM_RSM_OPEN;
	switch (nm_fits(&c->lim, vmcs12_guest_cr3(c->v->vmcs12))) {
	case NESTMIG_HOLDS:
		return NM_RSM_TO_L2;
	case NESTMIG_BROKEN:
		return NM_RSM_STOPS;
	default:
		return NM_RSM_OPEN;
	}
}

NM_SHARED(enum nm_rsm_path, nm_rsm_path, NM_RSM_OPEN)
{
	enum nestmig_holds is_64 = nm_rsm_is_64(c), enters;

	if (nm_rsm_is_vmx(c))
		return nm_rsm_path_vmx(c);
	if (is_64 == NESTMIG_BROKEN)
		return NM_RSM_TO_L1;
	if (is_64 == NESTMIG_UNKNOWN || !nm_has(c, NESTMIG_HAVE(SMRAM)))
		return NM_RSM_OPEN;
	if (!smram64_svm_guest_flag(c->v->smram))
		return NM_RSM_TO_L1;
	enters = nm_both(nm_cpuid_bit(c, NESTMIG_CPUID_80000001_ECX, 2),
			 nm_holds(!!(smram64_efer(c->v->smram) & NM_EFER_SVME)));
	enters = nm_both(enters, nm_backed(c->mem.smm_vmcb12));
	enters = nm_both(enters, nm_backed(c->mem.hsave));
	if (enters == NESTMIG_UNKNOWN)
		return NM_RSM_OPEN;
	return enters == NESTMIG_HOLDS ? NM_RSM_TO_L2 : NM_RSM_STOPS;
}

static inline uint64_t nm_image_cr0(const struct nestmig_ctx *c, int is_64)
{
	return is_64 ? smram64_cr0(c->v->smram) : smram32_cr0(c->v->smram);
}

static inline uint64_t nm_image_cr3(const struct nestmig_ctx *c, int is_64)
{
	return is_64 ? smram64_cr3(c->v->smram) : smram32_cr3(c->v->smram);
}

static inline uint64_t nm_image_cr4(const struct nestmig_ctx *c, int is_64)
{
	return is_64 ? smram64_cr4(c->v->smram) : smram32_cr4(c->v->smram);
}

/* Up to 6.1 the emulator writes the low half of CR0 and CR4 only (mk_cr_64). */
static inline uint64_t nm_rsm_written(const struct nestmig_ctx *c, uint64_t old, uint64_t image)
{
	if (c->h->kernel && c->h->kernel < NESTMIG_KERNEL(6, 2))
		return (old & NM_HIGH_HALF) | (image & ~NM_HIGH_HALF);
	return image;
}

/* EFER.LMA as a write of CR0 leaves it (svm_set_cr0, vmx_set_cr0). */
static inline uint64_t nm_with_lma(uint64_t efer, uint64_t old_cr0, uint64_t cr0)
{
	if (!(efer & NM_EFER_LME) || !((old_cr0 ^ cr0) & NM_CR0_PG))
		return efer;
	return cr0 & NM_CR0_PG ? efer | NM_EFER_LMA : efer & ~NM_EFER_LMA;
}

/* L2 as prepare_vmcs02 makes it while EFER is 0 and no entry is pending. */
static inline void nm_rsm_old_vmx(const uint8_t *page, struct nm_rsm *rsm)
{
	rsm->old_cr0 = vmcs12_guest_cr0(page);
	rsm->old_cr3 = vmcs12_guest_cr3(page);
	rsm->old_cr4 = vmcs12_guest_cr4(page);
	rsm->old_efer = vmcs12_entry(page, ENTRY_IA32E) ? NM_EFER_LME | NM_EFER_LMA : 0;
	rsm->old_efer = nm_with_lma(rsm->old_efer, 0, rsm->old_cr0);
	rsm->old_cs_l = !!(vmcs12_guest_cs_ar_bytes(page) & AR_L);
	rsm->has_old_cr3 = 1;
}

/* Step 3 as far as step 4 sees it; false: not known. */
static inline int nm_rsm_old(const struct nestmig_ctx *c, struct nm_rsm *rsm, int is_64)
{
	const uint8_t *page = c->v->smm_vmcb12;

	if (rsm->path != NM_RSM_TO_L2) {
		/* A guest without long mode keeps its EFER. */
		if (!is_64 && nm_has(c, NESTMIG_HAVE(SREGS)))
			rsm->old_efer = c->v->sregs.efer;
		rsm->has_old_cr3 = nm_has(c, NESTMIG_HAVE(SREGS));
		rsm->old_cr3 = c->v->sregs.cr3;
		return !(rsm->old_efer & (NM_EFER_LME | NM_EFER_LMA));
	}
	if (nm_rsm_is_vmx(c)) {
		nm_rsm_old_vmx(c->v->vmcs12, rsm);
		return 1;
	}
	if (!nm_has(c, NESTMIG_HAVE(SMM_VMCB12)))
		return 0;
	rsm->old_cr0 = vmcb12_save_cr0(page);
	rsm->old_cr3 = vmcb12_save_cr3(page);
	rsm->old_cr4 = vmcb12_save_cr4(page);
	rsm->old_efer = nm_with_lma(vmcb12_save_efer(page), 0, rsm->old_cr0);
	rsm->old_cs_l = !!(vmcb12_save_cs_attrib(page) & VMCB12_ATTRIB_L);
	rsm->has_old_cr3 = 1;
	return 1;
}

/* Follows the steps as if none failed. False: something that they go by is not known. */
static inline int nm_rsm_steps(const struct nestmig_ctx *c, struct nm_rsm *ret)
{
	enum nestmig_holds holds_64 = nm_rsm_is_64(c);
	int is_64 = holds_64 == NESTMIG_HOLDS;
	uint64_t high;

	*ret = (struct nm_rsm){.path = NM_RSM_OPEN};
	if (holds_64 == NESTMIG_UNKNOWN || !nm_has(c, NESTMIG_HAVE(SMRAM)))
		return 0;
	ret->path = nm_rsm_path(c);
	if (ret->path == NM_RSM_OPEN || !nm_rsm_old(c, ret, is_64))
		return 0;
	high = (nm_image_cr0(c, is_64) | nm_image_cr4(c, is_64) | ret->old_cr0 | ret->old_cr4) &
	       NM_HIGH_HALF;
	if (high && !c->h->kernel)
		return 0;
	ret->efer = is_64 ? smram64_efer(c->v->smram) & ~NM_EFER_LMA : ret->old_efer;
	ret->cr0 = nm_rsm_written(c, ret->old_cr0, nm_image_cr0(c, is_64));
	ret->cr4 = nm_rsm_written(c, ret->old_cr4, nm_image_cr4(c, is_64));
	ret->cr3 = nm_image_cr3(c, is_64);
	if (ret->cr4 & NM_CR4_PCIDE)
		ret->cr3 &= ~UINT64_C(0xfff);
	if (ret->old_cr4 & NM_CR4_PCIDE)
		ret->cr3 &= ~NM_CR3_NOFLUSH;
	ret->loaded_efer = (ret->efer & ~NM_EFER_LMA) | (ret->old_efer & NM_EFER_LMA);
	ret->final_efer = nm_with_lma(ret->loaded_efer, ret->old_cr0, ret->cr0);
	return 1;
}

/* NM_RSM(c, rsm) declares rsm, a pointer to those registers, or NULL if they are not known. */
#ifdef __bpf__
NM_SHARED(int, nm_rsm_follow, 0)
{
	return nm_rsm_steps(c, &((struct nestmig_ctx *)c)->spare.rsm);
}
#define NM_RSM(c, name) const struct nm_rsm *name = nm_rsm_follow(c) ? &(c)->spare.rsm : 0
#else
#define NM_RSM(c, name)                                                                            \
	struct nm_rsm name##_room;                                                                 \
	const struct nm_rsm *name = nm_rsm_steps(c, &name##_room) ? &name##_room : 0
#endif

/* Does the L2 that step 3 has entered run in long mode, as step 4 sees it? */
static inline int nm_rsm_in_long(const struct nm_rsm *rsm)
{
	return !!(rsm->loaded_efer & NM_EFER_LMA);
}

#endif
