/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Predicates on L1's controls for L2 (VMCB12 control area), and on GIF. Included by predicates.h.
 */

/* ---- Controls -------------------------------------------------------------------------------- */

static inline enum nestmig_holds rule_svm_ctl_asid_range(const struct nestmig_ctx *c)
{
	const struct nestmig_cpuid *cpuid = &c->v->cpuid;

	if (!(cpuid->have >> NESTMIG_CPUID_8000000A_EBX & 1))
		return NESTMIG_UNKNOWN;
	return nm_holds(vmcb12_asid(c->v->vmcb12) < cpuid->word[NESTMIG_CPUID_8000000A_EBX]);
}

static inline enum nestmig_holds rule_svm_ctl_asid_zero(const struct nestmig_ctx *c)
{
	return nm_holds(vmcb12_asid(c->v->vmcb12) != 0);
}

/* Vectors of exceptions that push an error code: #DF #TS #NP #SS #GP #PF #AC #CP #VC #SX. */
#define NM_ERROR_CODE_VECTORS 0x60227d00U

static inline enum nestmig_holds rule_svm_ctl_evtinj_errcode(const struct nestmig_ctx *c)
{
	uint64_t event = vmcb12_event_inj(c->v->vmcb12);
	unsigned vector = event & 0xff;
	int pushes = vector < 32 && (NM_ERROR_CODE_VECTORS >> vector & 1);

	if (!(event & VMCB12_EVENT_VALID))
		return NESTMIG_HOLDS;
	if (VMCB12_EVENT_TYPE(event) != VMCB12_TYPE_EXEPT || !(c->v->sregs.cr0 & NM_CR0_PE))
		pushes = 0;
	return nm_holds(pushes == !!(event & VMCB12_EVENT_EV));
}

/*
 * What the processor would refuse in event_inj is refused only if it gets there: an injected event of
 * the vCPU events takes its place first.
 */
static inline enum nestmig_holds nm_if_not_replaced(const struct nestmig_ctx *c,
						    enum nestmig_holds holds)
{
	if (holds == NESTMIG_HOLDS)
		return holds;
	if (!(c->v->have & NESTMIG_HAVE(EVENTS)))
		return NESTMIG_UNKNOWN;
	return nm_event_queued(c) ? NESTMIG_HOLDS : holds;
}

static inline enum nestmig_holds rule_svm_ctl_evtinj_mode(const struct nestmig_ctx *c)
{
	const struct nestmig_sregs *s = &c->v->sregs;
	uint64_t event = vmcb12_event_inj(c->v->vmcb12);
	unsigned vector = event & 0xff;

	if (!(event & VMCB12_EVENT_VALID) || VMCB12_EVENT_TYPE(event) != VMCB12_TYPE_EXEPT ||
	    !(s->efer & NM_EFER_LMA) || !s->cs.l)
		return NESTMIG_HOLDS;
	return nm_if_not_replaced(c, nm_holds(vector != 4 && vector != 5));
}

static inline enum nestmig_holds rule_svm_ctl_evtinj_resv(const struct nestmig_ctx *c)
{
	return nm_holds(!(vmcb12_event_inj(c->v->vmcb12) & 0x7ffff000));
}

static inline enum nestmig_holds rule_svm_ctl_evtinj_run_pending(const struct nestmig_ctx *c)
{
	return nm_holds(!(vmcb12_event_inj(c->v->vmcb12) & VMCB12_EVENT_VALID) ||
			(c->v->nested.flags & KVMNS_RUN_PENDING));
}

/* A software interrupt or #BP, #OF returns to next_rip, at most 15 bytes after rip. */
static inline enum nestmig_holds rule_svm_ctl_evtinj_soft_nrip(const struct nestmig_ctx *c)
{
	uint64_t event = vmcb12_event_inj(c->v->vmcb12);
	unsigned type = VMCB12_EVENT_TYPE(event), vector = event & 0xff;
	int soft = type == VMCB12_TYPE_SOFT ||
		   (type == VMCB12_TYPE_EXEPT && (vector == 3 || vector == 4));

	if (!(event & VMCB12_EVENT_VALID) || !soft)
		return NESTMIG_HOLDS;
	if (vmcb12_next_rip(c->v->vmcb12) - c->v->regs.rip <= 15)
		return NESTMIG_HOLDS;
	switch (nm_cpuid_bit(c, NESTMIG_CPUID_8000000A_EDX, 3)) {
	case NESTMIG_HOLDS:
		return NESTMIG_BROKEN;
	case NESTMIG_BROKEN:
		return nm_holds(c->v->nested.flags & KVMNS_RUN_PENDING);
	default:
		return NESTMIG_UNKNOWN;
	}
}

/* From 7.1 KVM_SET_NESTED_STATE looks at event_inj itself. */
static inline int nm_refused_by_kvm(const struct nestmig_ctx *c)
{
	return c->h->kernel >= NESTMIG_KERNEL(7, 1);
}

static inline enum nestmig_holds rule_svm_ctl_evtinj_type(const struct nestmig_ctx *c)
{
	uint64_t event = vmcb12_event_inj(c->v->vmcb12);

	/* Types 0, 2, 3 and 4 exist. */
	if (!(event & VMCB12_EVENT_VALID) || (0x1d >> VMCB12_EVENT_TYPE(event) & 1))
		return NESTMIG_HOLDS;
	return nm_refused_by_kvm(c) ? NESTMIG_BROKEN : nm_if_not_replaced(c, NESTMIG_BROKEN);
}

/* Exceptions that KVM 7.1 lets L1 inject whatever the CPUID (nested_svm_event_inj_valid_exept). */
#define NM_KVM_EXCEPTIONS 0x500f7dfbU

/*
 * A processor refuses vector 2 and what is beyond the exceptions; from 7.1 KVM refuses every vector
 * that it knows no exception for. What older processors do with those is not documented.
 */
static inline enum nestmig_holds rule_svm_ctl_evtinj_vector(const struct nestmig_ctx *c)
{
	uint64_t event = vmcb12_event_inj(c->v->vmcb12);
	unsigned vector = event & 0xff;

	if (!(event & VMCB12_EVENT_VALID) || VMCB12_EVENT_TYPE(event) != VMCB12_TYPE_EXEPT)
		return NESTMIG_HOLDS;
	if (vector != 2 && vector < 31 && (NM_KVM_EXCEPTIONS >> vector & 1))
		return NESTMIG_HOLDS;
	if (!nm_refused_by_kvm(c))
		return nm_if_not_replaced(c, vector == 2 || vector >= 31 ? NESTMIG_BROKEN
									 : NESTMIG_UNKNOWN);
	if (vector == 2 || vector >= 31)
		return NESTMIG_BROKEN;
	return vector == 21 ? nm_cpuid_bit(c, NESTMIG_CPUID_7_0_ECX, 7) : NESTMIG_BROKEN;
}

static inline enum nestmig_holds rule_svm_ctl_gmet(const struct nestmig_ctx *c)
{
	if (!(vmcb12_nested_ctl(c->v->vmcb12) & VMCB12_GMET))
		return NESTMIG_HOLDS;
	return nm_cpuid_bit(c, NESTMIG_CPUID_8000000A_EDX, 17);
}

static inline enum nestmig_holds rule_svm_ctl_iopm_range(const struct nestmig_ctx *c)
{
	return nm_fits_map(&c->lim, vmcb12_iopm_base_pa(c->v->vmcb12), VMCB12_IOPM_SIZE);
}

static inline enum nestmig_holds rule_svm_ctl_iopm_readable(const struct nestmig_ctx *c)
{
	if (!(vmcb12_intercept_word3(c->v->vmcb12) & VMCB12_INTERCEPT3_IOIO_PROT))
		return NESTMIG_HOLDS;
	return nm_backed(c->mem.iopm);
}

static inline enum nestmig_holds rule_svm_ctl_lbr(const struct nestmig_ctx *c)
{
	return nm_holds(!(vmcb12_virt_ext(c->v->vmcb12) & VMCB12_LBR_ENABLE));
}

/* Reserved bits of int_ctl, int_vector and int_state. */
static inline enum nestmig_holds rule_svm_ctl_mbz_vintr(const struct nestmig_ctx *c)
{
	return nm_holds(!(vmcb12_int_ctl(c->v->vmcb12) & 0x38e0e400) &&
			!(vmcb12_int_vector(c->v->vmcb12) >> 8) &&
			!(vmcb12_int_state(c->v->vmcb12) >> 2));
}

static inline enum nestmig_holds rule_svm_ctl_msrpm_range(const struct nestmig_ctx *c)
{
	return nm_fits_map(&c->lim, vmcb12_msrpm_base_pa(c->v->vmcb12), VMCB12_MSRPM_SIZE);
}

static inline enum nestmig_holds rule_svm_ctl_msrpm_readable(const struct nestmig_ctx *c)
{
	if (!(vmcb12_intercept_word3(c->v->vmcb12) & VMCB12_INTERCEPT3_MSR_PROT))
		return NESTMIG_HOLDS;
	return nm_backed(c->mem.msrpm);
}

static inline enum nestmig_holds rule_svm_ctl_ncr3_backed(const struct nestmig_ctx *c)
{
	return nm_np_enabled(c) ? nm_backed(c->mem.ncr3) : NESTMIG_HOLDS;
}

static inline enum nestmig_holds rule_svm_ctl_ncr3_pdptes(const struct nestmig_ctx *c)
{
	if (!nm_np_enabled(c) || !nm_host_pae_tables(c->v->vmcb12))
		return NESTMIG_HOLDS;
	return nm_backed(c->mem.ncr3_pdptes);
}

/* Low bits of nCR3 where L1 runs in long mode: all but PWT and PCD. */
static inline enum nestmig_holds rule_svm_ctl_ncr3_mbz(const struct nestmig_ctx *c)
{
	if (!nm_np_enabled(c) || !(vmcb12_save_efer(c->v->vmcb12) & NM_EFER_LMA))
		return NESTMIG_HOLDS;
	return nm_holds(!(vmcb12_nested_cr3(c->v->vmcb12) & 0xfe7));
}

static inline enum nestmig_holds rule_svm_ctl_ncr3_width(const struct nestmig_ctx *c)
{
	if (!nm_np_enabled(c))
		return NESTMIG_HOLDS;
	return nm_fits(&c->lim, vmcb12_nested_cr3(c->v->vmcb12));
}

static inline enum nestmig_holds rule_svm_ctl_np_cpuid(const struct nestmig_ctx *c)
{
	return nm_np_enabled(c) ? nm_cpuid_bit(c, NESTMIG_CPUID_8000000A_EDX, 0) : NESTMIG_HOLDS;
}

static inline enum nestmig_holds rule_svm_ctl_np_host(const struct nestmig_ctx *c)
{
	if (!nm_np_enabled(c))
		return NESTMIG_HOLDS;
	if (!(c->h->have & NESTMIG_HAVE(HOST_PARAMS)))
		return NESTMIG_UNKNOWN;
	return nm_holds(c->h->npt);
}

/* Bits of nested_ctl that neither the rules above nor below know. */
static inline enum nestmig_holds rule_svm_ctl_rogpt(const struct nestmig_ctx *c)
{
	return nm_holds(!(vmcb12_nested_ctl(c->v->vmcb12) &
			  ~(VMCB12_NP_ENABLE | VMCB12_SEV | VMCB12_SEV_ES | VMCB12_GMET)));
}

static inline enum nestmig_holds rule_svm_ctl_sev(const struct nestmig_ctx *c)
{
	return nm_holds(!(vmcb12_nested_ctl(c->v->vmcb12) & VMCB12_SEV));
}

static inline enum nestmig_holds rule_svm_ctl_sev_es(const struct nestmig_ctx *c)
{
	return nm_holds(!(vmcb12_nested_ctl(c->v->vmcb12) & VMCB12_SEV_ES));
}

/* 0 and 1 always, 3 and 7 with flush by ASID. */
static inline enum nestmig_holds rule_svm_ctl_tlb_control(const struct nestmig_ctx *c)
{
	uint64_t request = vmcb12_tlb_ctl(c->v->vmcb12);

	if (request <= 1)
		return NESTMIG_HOLDS;
	if (request != 3 && request != 7)
		return NESTMIG_BROKEN;
	return nm_cpuid_bit(c, NESTMIG_CPUID_8000000A_EDX, 6);
}

static inline enum nestmig_holds rule_svm_ctl_vgif_cpuid(const struct nestmig_ctx *c)
{
	if (!(vmcb12_int_ctl(c->v->vmcb12) & VMCB12_V_GIF_ENABLE))
		return NESTMIG_HOLDS;
	return nm_cpuid_bit(c, NESTMIG_CPUID_8000000A_EDX, 16);
}

static inline enum nestmig_holds rule_svm_ctl_vmrun_intercept(const struct nestmig_ctx *c)
{
	return nm_holds(!!(vmcb12_intercept_word4(c->v->vmcb12) & VMCB12_INTERCEPT4_VMRUN));
}

static inline enum nestmig_holds rule_svm_ctl_vmsa(const struct nestmig_ctx *c)
{
	return nm_holds(!vmcb12_vmsa_pa(c->v->vmcb12) && !vmcb12_ghcb_gpa(c->v->vmcb12));
}

static inline enum nestmig_holds rule_svm_ctl_vnmi_cpuid(const struct nestmig_ctx *c)
{
	if (!(vmcb12_int_ctl(c->v->vmcb12) & VMCB12_V_NMI_BITS))
		return NESTMIG_HOLDS;
	return nm_cpuid_bit(c, NESTMIG_CPUID_8000000A_EDX, 25);
}

static inline enum nestmig_holds rule_svm_ctl_vnmi_nmi_intercept(const struct nestmig_ctx *c)
{
	return nm_holds(!(vmcb12_int_ctl(c->v->vmcb12) & VMCB12_V_NMI_ENABLE) ||
			(vmcb12_intercept_word3(c->v->vmcb12) & VMCB12_INTERCEPT3_NMI));
}

/* ---- GIF ------------------------------------------------------------------------------------- */

#define NM_MP_STATE_INIT_RECEIVED 2
#define NM_MP_STATE_SIPI_RECEIVED 4

/* Up to 6.16 an mp_state that comes before the nested state does not meet its GIF. */
static inline enum nestmig_holds rule_svm_gif_nmi_init(const struct nestmig_ctx *c)
{
	if (c->mp_before_nested && c->h->kernel && c->h->kernel < NESTMIG_KERNEL(6, 17))
		return NESTMIG_HOLDS;
	return nm_holds((c->v->nested.flags & KVMNS_GIF_SET) ||
			(c->v->mp_state != NM_MP_STATE_INIT_RECEIVED &&
			 c->v->mp_state != NM_MP_STATE_SIPI_RECEIVED));
}

static inline enum nestmig_holds rule_svm_gif_qemu(const struct nestmig_ctx *c)
{
	return nm_holds(!((c->v->nested.flags ^ c->v->nested.stored_flags) & KVMNS_GIF_SET));
}

static inline enum nestmig_holds rule_svm_gif_run(const struct nestmig_ctx *c)
{
	return nm_holds(c->v->nested.flags & KVMNS_GIF_SET);
}
