/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Predicates of the SVM rules, and the few questions they share. A predicate rule_<ident> belongs
 * to the row of that ident; it is called only where the row's `when` applies and its inputs are
 * there. Plain C without libc: they compile into the library and into BPF programs alike.
 */
#ifndef NESTMIG_VMCB_PREDICATES_H
#define NESTMIG_VMCB_PREDICATES_H

#include "../predicate.h"
#include "vmcb12.h"

#define NM_CR0_PE    (UINT64_C(1) << 0)
#define NM_CR0_WP    (UINT64_C(1) << 16)
#define NM_CR0_NW    (UINT64_C(1) << 29)
#define NM_CR0_CD    (UINT64_C(1) << 30)
#define NM_CR0_PG    (UINT64_C(1) << 31)
#define NM_CR4_PAE   (UINT64_C(1) << 5)
#define NM_CR4_LA57  (UINT64_C(1) << 12)
#define NM_CR4_CET   (UINT64_C(1) << 23)

#define NM_EFER_LME  (UINT64_C(1) << 8)
#define NM_EFER_LMA  (UINT64_C(1) << 10)
#define NM_EFER_SVME (UINT64_C(1) << 12)

#define NM_RFLAGS_VM (UINT64_C(1) << 17)

#define NM_HIGH_HALF UINT64_C(0xffffffff00000000)

/* From a plain condition. */
static inline enum nestmig_holds nm_holds(int condition)
{
	return condition ? NESTMIG_HOLDS : NESTMIG_BROKEN;
}

/* What both say if they agree. */
static inline enum nestmig_holds nm_agreed(enum nestmig_holds a, enum nestmig_holds b)
{
	return a == b ? a : NESTMIG_UNKNOWN;
}

/* Is a physical address below the guest's physical width? (kvm_vcpu_is_legal_gpa) */
static inline enum nestmig_holds nm_fits(const struct nestmig_limits *lim, uint64_t address)
{
	if (lim->phys_bits_max < 64 && address >> lim->phys_bits_max)
		return NESTMIG_BROKEN;
	if (lim->phys_bits_min >= 64 || !(address >> lim->phys_bits_min))
		return NESTMIG_HOLDS;
	return NESTMIG_UNKNOWN;
}

/* The same of the first and the last byte of a permission map (nested_svm_check_bitmap_pa). */
static inline enum nestmig_holds nm_fits_map(const struct nestmig_limits *lim, uint64_t base,
					     uint64_t size)
{
	base &= VMCB12_PAGE_MASK;
	return nm_both(nm_fits(lim, base), nm_fits(lim, base + size - 1));
}

/* Are all bits of a value allowed? */
static inline enum nestmig_holds nm_bits(uint64_t value, uint64_t ok, uint64_t bad)
{
	if (value & bad)
		return NESTMIG_BROKEN;
	return value & ~ok ? NESTMIG_UNKNOWN : NESTMIG_HOLDS;
}

/* Is it RAM? */
static inline enum nestmig_holds nm_backed(enum nestmig_backed backed)
{
	if (backed == NESTMIG_BACKED_UNKNOWN)
		return NESTMIG_UNKNOWN;
	return nm_holds(backed == NESTMIG_BACKED_YES);
}

/* Is a bit of the guest's CPUID set? A leaf that a whole CPUID lacks reads as zero (nm_cpuid_words), as
 * in KVM; a register of which nothing is known is unknown. */
static inline enum nestmig_holds nm_cpuid_bit(const struct nestmig_ctx *c,
					      enum nestmig_cpuid_word word, unsigned bit)
{
	const struct nestmig_cpuid *cpuid = &c->v->cpuid;

	if (!(c->v->have & NESTMIG_HAVE(CPUID)) || !(cpuid->have >> word & 1))
		return NESTMIG_UNKNOWN;
	return nm_holds(cpuid->word[word] >> bit & 1);
}

/* Is a linear address canonical, with 57 bits if CR4.LA57 is set, else with 48? */
static inline int nm_canonical(uint64_t address, uint64_t cr4)
{
	unsigned shift = cr4 & NM_CR4_LA57 ? 57 - 1 : 48 - 1;
	uint64_t high = address >> shift;

	return !high || high == ~UINT64_C(0) >> shift;
}

/* Long mode as KVM's checks see it: EFER.LME and CR0.PG, whatever EFER.LMA says. */
static inline int nm_long(uint64_t efer, uint64_t cr0)
{
	return (efer & NM_EFER_LME) && (cr0 & NM_CR0_PG);
}

/* PAE paging: PDPTEs are in use (is_pae_paging, which goes by EFER.LMA). */
static inline int nm_pae_paging(uint64_t efer, uint64_t cr0, uint64_t cr4)
{
	return !(efer & NM_EFER_LMA) && (cr0 & NM_CR0_PG) && (cr4 & NM_CR4_PAE);
}

/* A write-through, cacheable mix that no processor takes: CD=0 with NW=1. */
static inline int nm_cd_nw_ok(uint64_t cr0)
{
	return (cr0 & NM_CR0_CD) || !(cr0 & NM_CR0_NW);
}

/* Does L1 use nested paging for L2? */
static inline int nm_np_enabled(const struct nestmig_ctx *c)
{
	return !!(vmcb12_nested_ctl(c->v->vmcb12) & VMCB12_NP_ENABLE);
}

/* Nested page tables are of L1's mode: PAE outside long mode (nested_svm_init_mmu_context). */
static inline int nm_host_pae_tables(const uint8_t *vmcb12)
{
	return !(vmcb12_save_efer(vmcb12) & NM_EFER_LMA) && (vmcb12_save_cr4(vmcb12) & NM_CR4_PAE);
}

/* Does an injected event of the vCPU events take the place of event_inj? (kvm_check_and_inject_events) */
static inline int nm_event_queued(const struct nestmig_ctx *c)
{
	const struct nestmig_events *e = &c->v->events;

	return e->exc_injected || e->nmi_injected || e->intr_injected;
}

/* What matters only where KVM shadows the page tables that L1 or L2 loads with CR3: kvm_amd npt=0. */
static inline enum nestmig_holds nm_if_shadowed(const struct nestmig_ctx *c,
						enum nestmig_holds holds)
{
	if (holds == NESTMIG_HOLDS)
		return holds;
	if (!(c->h->have & NESTMIG_HAVE(HOST_PARAMS)))
		return NESTMIG_UNKNOWN;
	return c->h->npt ? NESTMIG_HOLDS : holds;
}

#include "predicates_control.h"
#include "predicates_header.h"
#include "predicates_host.h"
#include "predicates_l2.h"
#include "predicates_run.h"

#endif
