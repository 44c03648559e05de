/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Predicates on the first run after a restore, on L2's exits, on L1's VMRUN, and on what a migration
 * loses. Included by predicates.h.
 */

/* ---- Exits ----------------------------------------------------------------------------------- */

/* VMRUN asks for paging in L1, so that CR3 always names page tables. */
static inline enum nestmig_holds rule_svm_exit_host_errors(const struct nestmig_ctx *c)
{
	return nm_backed(c->mem.host_cr3);
}

/* Only a KVM that shadows L1's page tables looks at all four pages beforehand. */
static inline enum nestmig_holds rule_svm_exit_host_pdptes(const struct nestmig_ctx *c)
{
	enum nestmig_holds pae = nm_host_pae_at_exit(c);

	if (pae == NESTMIG_BROKEN || c->mem.host_pdptes == NESTMIG_BACKED_YES)
		return NESTMIG_HOLDS;
	return nm_if_shadowed(c, pae == NESTMIG_HOLDS ? nm_backed(c->mem.host_pdptes)
						      : NESTMIG_UNKNOWN);
}

static inline int nm_shutdown_intercepted(const struct nestmig_ctx *c)
{
	return !!(vmcb12_intercept_word3(c->v->vmcb12) & VMCB12_INTERCEPT3_SHUTDOWN);
}

#define NM_EVENTS_VALID_TRIPLE_FAULT 0x20

/* A triple fault goes to L1 at once, though its VMRUN has not been completed (6.1). */
static inline enum nestmig_holds rule_svm_exit_run_pending_warn(const struct nestmig_ctx *c)
{
	const struct nestmig_events *e = &c->v->events;

	if (!(c->v->nested.flags & KVMNS_RUN_PENDING) || !nm_shutdown_intercepted(c))
		return NESTMIG_HOLDS;
	return nm_holds(!(e->flags & NM_EVENTS_VALID_TRIPLE_FAULT) || !e->triple_fault);
}

static inline enum nestmig_holds rule_svm_exit_shutdown(const struct nestmig_ctx *c)
{
	return nm_holds(nm_shutdown_intercepted(c));
}

/* ---- What a migration loses ------------------------------------------------------------------ */

#define NM_LBR_ENABLE 1
#define NM_VLS_ENABLE 2

/* Features of the VMCB12 that have no rule of their own: bits of CPUID Fn8000_000A_EDX. */
static inline enum nestmig_holds rule_svm_mig_cpuid(const struct nestmig_ctx *c)
{
	const uint8_t *page = c->v->vmcb12;
	uint64_t virt = vmcb12_virt_ext(page);
	enum nestmig_holds holds = NESTMIG_HOLDS;

	if (virt & NM_LBR_ENABLE)
		holds = nm_both(holds, nm_cpuid_bit(c, NESTMIG_CPUID_8000000A_EDX, 1));
	if (vmcb12_pause_filter_count(page))
		holds = nm_both(holds, nm_cpuid_bit(c, NESTMIG_CPUID_8000000A_EDX, 10));
	if (vmcb12_pause_filter_thresh(page))
		holds = nm_both(holds, nm_cpuid_bit(c, NESTMIG_CPUID_8000000A_EDX, 12));
	if (virt & NM_VLS_ENABLE)
		holds = nm_both(holds, nm_cpuid_bit(c, NESTMIG_CPUID_8000000A_EDX, 15));
	return holds;
}

/* #BP and #OF are injected as soft exceptions. */
static inline enum nestmig_holds rule_svm_mig_soft_int(const struct nestmig_ctx *c)
{
	const struct nestmig_events *e = &c->v->events;

	return nm_holds(!(e->intr_injected && e->intr_soft) &&
			!(e->exc_injected && (e->exc_nr == 3 || e->exc_nr == 4)));
}

/* Where the page is not RAM, svm-hdr-vmcb-pa-backed says so. */
static inline enum nestmig_holds rule_svm_mig_vmcb12_dup(const struct nestmig_ctx *c)
{
	if (c->mem.vmcb12 == NESTMIG_BACKED_NO)
		return NESTMIG_HOLDS;
	return nm_backed(c->mem.vmcb12_same);
}

/* ---- The first run --------------------------------------------------------------------------- */

static inline int nm_live_pae_paging(const struct nestmig_ctx *c)
{
	return nm_pae_paging(c->v->sregs.efer, c->v->sregs.cr0, c->v->sregs.cr4);
}

/* Outside guest mode; without paging CR3 names nothing. */
static inline enum nestmig_holds rule_svm_run_l1_cr3(const struct nestmig_ctx *c)
{
	return c->v->sregs.cr0 & NM_CR0_PG ? nm_backed(c->mem.cr3) : NESTMIG_HOLDS;
}

static inline enum nestmig_holds rule_svm_run_l1_pdptes(const struct nestmig_ctx *c)
{
	if (!nm_live_pae_paging(c))
		return NESTMIG_HOLDS;
	return nm_if_shadowed(c, nm_backed(c->mem.cr3_pdptes));
}

/* With nested paging L2's CR3 is an address of L2, about which nested_cr3 decides. */
static inline enum nestmig_holds rule_svm_run_memslots(const struct nestmig_ctx *c)
{
	if (nm_np_enabled(c) || !(c->v->sregs.cr0 & NM_CR0_PG))
		return NESTMIG_HOLDS;
	return nm_backed(c->mem.cr3);
}

static inline enum nestmig_holds rule_svm_run_pdptes(const struct nestmig_ctx *c)
{
	if (nm_np_enabled(c) || !nm_live_pae_paging(c))
		return NESTMIG_HOLDS;
	return nm_if_shadowed(c, nm_backed(c->mem.cr3_pdptes));
}

/* ---- VMRUN ----------------------------------------------------------------------------------- */

static inline enum nestmig_holds rule_svm_vmrun_hsave(const struct nestmig_ctx *c)
{
	return nm_holds(!(c->v->sregs.efer & NM_EFER_SVME) || c->v->hsave_pa);
}

static inline enum nestmig_holds rule_svm_vmrun_nested_run_pending(const struct nestmig_ctx *c)
{
	return nm_holds(!(c->v->nested.flags & KVMNS_RUN_PENDING) || !nm_event_queued(c));
}
