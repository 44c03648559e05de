/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Predicates on struct kvm_vcpu_events: exceptions, interrupts, NMIs, SMIs. Included by
 * predicates.h. */

/* ---- Exceptions --------------------------------------------------------------------------------- */

static inline enum nestmig_holds rule_evt_flags_known(const struct nestmig_ctx *c)
{
	return nm_holds(!(c->v->events.flags & ~(uint32_t)NM_EVENT_FLAGS));
}

static inline enum nestmig_holds rule_evt_payload_cap(const struct nestmig_ctx *c)
{
	if (!nm_has_flag(c, NM_EVENT_PAYLOAD))
		return NESTMIG_HOLDS;
	return nm_vm_cap(c, NESTMIG_VM_EXCEPTION_PAYLOAD);
}

static inline enum nestmig_holds rule_evt_payload_pending_excl(const struct nestmig_ctx *c)
{
	return nm_holds(!nm_exc_pending(c) || !c->v->events.exc_injected);
}

static inline enum nestmig_holds rule_evt_payload_none_pending(const struct nestmig_ctx *c)
{
	return nm_holds(!c->v->events.exc_pending || nm_has_flag(c, NM_EVENT_PAYLOAD));
}

static inline enum nestmig_holds rule_evt_exc_vector(const struct nestmig_ctx *c)
{
	unsigned vector = c->v->events.exc_nr;

	return nm_holds(!nm_exc_any(c) || (vector <= 31 && vector != NM_VECTOR_NMI));
}

/*
 * A processor of AMD refuses vector 31 in event_inj; what it does with the other vectors that no
 * exception has is not documented. Vector 2 and those above 31 are evt-exc-vector's.
 */
static inline enum nestmig_holds rule_evt_exc_vector_defined(const struct nestmig_ctx *c)
{
	unsigned vector = c->v->events.exc_nr;

	if (!nm_exc_delivered(c) || vector > 31 || vector == NM_VECTOR_NMI ||
	    (NM_KVM_EXCEPTIONS >> vector & 1))
		return NESTMIG_HOLDS;
	if (nm_on_amd(c, 0) == NESTMIG_BROKEN)
		return vector == 31 ? NESTMIG_BROKEN : NESTMIG_UNKNOWN;
	return nm_on_amd(c, 0);
}

/*
 * IA32_VMX_BASIC bit 56 of the destination's processor is known where KVM shows it, which 6.1 does not: that it
 * is clear there says nothing. #BP and #OF are injected as software exceptions, which never have a code.
 */
static inline enum nestmig_holds rule_evt_exc_errcode_intel(const struct nestmig_ctx *c)
{
	unsigned vector = c->v->events.exc_nr;
	int pushes = vector < 32 && (NM_ERROR_CODE_VECTORS >> vector & 1);

	if (nm_on_intel(c, 0) == NESTMIG_HOLDS || !nm_exc_any(c) || nm_exc_exits(c) ||
	    vector > 31 || vector == NM_VECTOR_NMI || !(c->v->sregs.cr0 & NM_CR0_PE))
		return NESTMIG_HOLDS;
	if (pushes == !!c->v->events.exc_has_error_code)
		return NESTMIG_HOLDS;
	return vector == 3 || vector == 4 ? nm_on_intel(c, 0) : NESTMIG_UNKNOWN;
}

/* KVM leaves the error code away in real mode. */
static inline enum nestmig_holds rule_evt_exc_errcode(const struct nestmig_ctx *c)
{
	unsigned vector = c->v->events.exc_nr;
	int pushes = vector < 32 && (NM_ERROR_CODE_VECTORS >> vector & 1);

	if (!nm_exc_any(c) || !(c->v->sregs.cr0 & NM_CR0_PE))
		return NESTMIG_HOLDS;
	return nm_holds(pushes == !!c->v->events.exc_has_error_code);
}

static inline int nm_has_error_code(const struct nestmig_ctx *c)
{
	return nm_exc_any(c) && c->v->events.exc_has_error_code;
}

/* Where the code is absent QEMU sends 0. */
static inline enum nestmig_holds nm_error_code(const struct nestmig_ctx *c, int condition)
{
	if (!nm_has_error_code(c))
		return NESTMIG_HOLDS;
	if (!(c->v->have & NESTMIG_HAVE(ERROR_CODE)))
		return c->is_qemu ? NESTMIG_HOLDS : NESTMIG_UNKNOWN;
	return nm_holds(condition);
}

static inline enum nestmig_holds rule_evt_exc_errcode_value(const struct nestmig_ctx *c)
{
	uint32_t bad = c->v->events.exc_nr == NM_VECTOR_DF ? ~0U : 0xffff0000U;

	return nm_error_code(c, !(c->v->events.exc_error_code & bad));
}

/* P W/R U/S RSVD I/D PK SS; SGX's 15 and AMD's RMP bit 31 are no part of what KVM gives a guest. */
static inline enum nestmig_holds rule_evt_exc_errcode_pf(const struct nestmig_ctx *c)
{
	uint32_t code = c->v->events.exc_error_code;

	if (c->v->events.exc_nr != NM_VECTOR_PF)
		return NESTMIG_HOLDS;
	return nm_error_code(c, !(code & ~0x7fU) && (!(code & 8) || (code & 1)));
}

static inline enum nestmig_holds rule_evt_exc_soft(const struct nestmig_ctx *c)
{
	unsigned vector = c->v->events.exc_nr;

	return nm_holds(c->svm_l2 || !nm_exc_any(c) || (vector != 3 && vector != 4));
}

static inline enum nestmig_holds rule_evt_exc_int_both(const struct nestmig_ctx *c)
{
	const struct nestmig_events *e = &c->v->events;

	return nm_holds(nm_exc_injected(c) + !!e->intr_injected + !!e->nmi_injected <= 1);
}

/* Bits of the pending debug exceptions: B0-B3, bus lock, enabled breakpoint, BD, BS, BT, RTM. */
static inline enum nestmig_holds rule_evt_exc_payload_db(const struct nestmig_ctx *c)
{
	if (!nm_has_payload(c) || c->v->events.exc_nr != NM_VECTOR_DB)
		return NESTMIG_HOLDS;
	return nm_holds(!(c->v->events.exc_payload & ~UINT64_C(0x1f80f)));
}

static inline enum nestmig_holds rule_evt_exc_payload_other(const struct nestmig_ctx *c)
{
	unsigned vector = c->v->events.exc_nr;

	return nm_holds(!nm_has_payload(c) || vector == NM_VECTOR_DB || vector == NM_VECTOR_PF);
}

/* #BR in 64-bit code. #OF is not delivered there at all: nm_exc_delivered. */
static inline enum nestmig_holds rule_evt_exc_mode(const struct nestmig_ctx *c)
{
	const struct nestmig_sregs *s = &c->v->sregs;

	if (!nm_exc_delivered(c) || c->v->events.exc_nr != NM_VECTOR_BR)
		return NESTMIG_HOLDS;
	return nm_on_amd(c, !((s->efer & NM_EFER_LMA) && s->cs.l));
}

static inline enum nestmig_holds rule_evt_gm_morph(const struct nestmig_ctx *c)
{
	return nm_holds(!nm_exc_exits(c));
}

static inline enum nestmig_holds rule_evt_gm_injected_no_intercept(const struct nestmig_ctx *c)
{
	return nm_holds(!nm_exc_injected(c) || !nm_l1_takes(c, c->v->events.exc_nr));
}

/* ---- Interrupts and NMIs ------------------------------------------------------------------------ */

static inline enum nestmig_holds rule_evt_int_nr(const struct nestmig_ctx *c)
{
	const struct nestmig_events *e = &c->v->events;

	return nm_holds(!e->intr_injected || e->intr_soft || e->intr_nr >= 16);
}

static inline enum nestmig_holds rule_evt_int_soft(const struct nestmig_ctx *c)
{
	return nm_holds(c->svm_l2 || !c->v->events.intr_injected || !c->v->events.intr_soft);
}

/* A hardware interrupt that the processor will be asked to deliver. */
static inline int nm_int_delivered(const struct nestmig_ctx *c)
{
	const struct nestmig_events *e = &c->v->events;

	return e->intr_injected && !e->intr_soft && !e->nmi_injected && !nm_exc_any(c);
}

static inline enum nestmig_holds rule_evt_int_if(const struct nestmig_ctx *c)
{
	return nm_on_intel(c, !nm_int_delivered(c) || (c->v->regs.rflags & NM_RFLAGS_IF));
}

/* Does the VMCS that holds the shadow give way to another? KVM_SET_NESTED_STATE enters L2 of VMX with that of
 * the VMCS12 or none (prepare_vmcs02). */
static inline int nm_loses_shadow(const struct nestmig_ctx *c)
{
	return c->vmx_l2 && c->events_first;
}

/* What KVM makes of the shadow: MOV SS is bit 0, STI bit 1 (vmx_set_interrupt_shadow). */
static inline unsigned nm_shadow(const struct nestmig_ctx *c)
{
	if (nm_loses_shadow(c))
		return 0;
	return nm_has_flag(c, NM_EVENT_SHADOW) ? c->v->events.intr_shadow & 3 : 0;
}

static inline int nm_shadow_unknown(const struct nestmig_ctx *c)
{
	return nm_has_flag(c, NM_EVENT_SHADOW) && !nm_loses_shadow(c) &&
	       !(c->v->have & NESTMIG_HAVE(INT_SHADOW));
}

static inline enum nestmig_holds rule_evt_int_shadow_both(const struct nestmig_ctx *c)
{
	int blocked = nm_int_delivered(c) ||
		      (c->v->events.nmi_injected && !nm_exc_any(c) && (nm_shadow(c) & 1));

	if (nm_on_intel(c, 0) == NESTMIG_HOLDS ||
	    !(c->v->events.intr_injected | c->v->events.nmi_injected))
		return NESTMIG_HOLDS;
	if (nm_shadow_unknown(c))
		return NESTMIG_UNKNOWN;
	return nm_on_intel(c, !blocked || !nm_shadow(c));
}

static inline enum nestmig_holds rule_evt_intr_shadow(const struct nestmig_ctx *c)
{
	if (nm_on_intel(c, 0) == NESTMIG_HOLDS)
		return NESTMIG_HOLDS;
	if (nm_shadow_unknown(c))
		return NESTMIG_UNKNOWN;
	return nm_on_intel(c, nm_shadow(c) != 2 || (c->v->regs.rflags & NM_RFLAGS_IF));
}

static inline enum nestmig_holds rule_evt_intr_shadow_absent(const struct nestmig_ctx *c)
{
	if (nm_has_flag(c, NM_EVENT_SHADOW))
		return NESTMIG_HOLDS;
	if (!(c->v->have & NESTMIG_HAVE(INT_SHADOW)))
		return NESTMIG_UNKNOWN;
	return nm_holds(!c->v->events.intr_shadow);
}

static inline enum nestmig_holds rule_evt_lost_nmi_vmx_l1(const struct nestmig_ctx *c)
{
	if (!c->v->events.nmi_injected || c->no_nested)
		return NESTMIG_HOLDS;
	if (!(c->v->have & NESTMIG_HAVE(NESTED)))
		return NESTMIG_UNKNOWN;
	return nm_holds(!(c->v->nested.flags & KVMNS_GUEST_MODE));
}

static inline enum nestmig_holds rule_evt_nmi_injected(const struct nestmig_ctx *c)
{
	const struct nestmig_events *e = &c->v->events;

	return nm_holds(!e->nmi_injected || e->nmi_masked);
}

/* 6.1 takes the number as it stands; newer kernels cut it (process_nmi). */
static inline enum nestmig_holds rule_evt_nmi_pending(const struct nestmig_ctx *c)
{
	const struct nestmig_events *e = &c->v->events;
	unsigned limit = e->nmi_masked || e->nmi_injected ? 1 : 2;

	return nm_holds(!nm_has_flag(c, NM_EVENT_NMI_PENDING) || e->nmi_pending <= limit);
}

static inline enum nestmig_holds rule_evt_sipi_vector(const struct nestmig_ctx *c)
{
	if (!nm_has_flag(c, NM_EVENT_SIPI_VECTOR))
		return NESTMIG_HOLDS;
	return nm_vm_cap(c, NESTMIG_VM_IRQCHIP);
}

/* ---- SMM ------------------------------------------------------------------------------------- */

static inline enum nestmig_holds rule_evt_smi_flag(const struct nestmig_ctx *c)
{
	return nm_holds(!nm_has_flag(c, NM_EVENT_SMM) || c->v->events.smi_smm <= 1);
}

static inline enum nestmig_holds rule_evt_smi_inside_nmi(const struct nestmig_ctx *c)
{
	return nm_holds(!c->v->events.smi_inside_nmi || nm_in_smm(c));
}

/* An INIT that waits while it is blocked is normal; so is one that L1 intercepts. */
static inline enum nestmig_holds rule_evt_smi_latched_init(const struct nestmig_ctx *c)
{
	if (!c->v->events.smi_latched_init)
		return NESTMIG_HOLDS;
	if (c->is_qemu)
		return NESTMIG_BROKEN;
	return nm_holds(!nm_init_pending(c) || nm_in_smm(c) || !nm_gif(c));
}

/* Without the flag SMM nothing of SMM is restored. */
static inline enum nestmig_holds rule_evt_smi_pending(const struct nestmig_ctx *c)
{
	const struct nestmig_events *e = &c->v->events;

	return nm_holds(nm_has_flag(c, NM_EVENT_SMM) || !(e->smi_pending | e->smi_smm));
}

/* vmx_set_nested_state: SMM flags need the SMM bit, which has to come first. */
static inline enum nestmig_holds rule_evt_smm_before_nested(const struct nestmig_ctx *c)
{
	if (!nm_is_vmx_state(c) || !c->v->nested.vmx_smm_flags)
		return NESTMIG_HOLDS;
	return nm_holds(c->events_first && nm_in_smm(c));
}

/* On SVM svm-hdr-smm-guest says it. */
static inline enum nestmig_holds rule_evt_smm_guest_mode(const struct nestmig_ctx *c)
{
	uint16_t modes = KVMNS_GUEST_MODE | KVMNS_RUN_PENDING;

	return nm_holds(!nm_is_vmx_state(c) || c->svm_l2 || !(c->v->nested.flags & modes) ||
			!nm_in_smm(c));
}

/* ---- What a QEMU stream loses --------------------------------------------------------------------- */

/* A raw dump has it; QEMU has it since 10.2. */
static inline enum nestmig_holds rule_evt_q_exception_error_code(const struct nestmig_ctx *c)
{
	return nm_holds(!c->is_qemu || !nm_has_error_code(c) ||
			(c->v->have & NESTMIG_HAVE(ERROR_CODE)));
}

static inline enum nestmig_holds rule_evt_q_hf_guest(const struct nestmig_ctx *c)
{
	return nm_holds(!c->is_qemu ||
			!(c->v->nested.stored_flags & ~c->v->nested.flags & KVMNS_GUEST_MODE));
}

static inline enum nestmig_holds rule_evt_q_triple_fault(const struct nestmig_ctx *c)
{
	return nm_holds(!c->is_qemu || !c->v->events.triple_fault);
}

/* Bit 6 of the pin-based controls, at offset 744 of KVM's VMCS12. */
static inline enum nestmig_holds rule_evt_lost_preemption_deadline(const struct nestmig_ctx *c)
{
	if (!c->is_qemu || !nm_is_vmx_state(c) || c->svm_l2 ||
	    !(c->v->nested.flags & KVMNS_GUEST_MODE))
		return NESTMIG_HOLDS;
	if (!(c->v->have & NESTMIG_HAVE(VMCS12)))
		return NESTMIG_UNKNOWN;
	return nm_holds(!(nm_le32(c->v->vmcs12 + 744) >> 6 & 1));
}

/* ---- A triple fault that waits -------------------------------------------------------------------- */

static inline enum nestmig_holds rule_evt_tf_cap(const struct nestmig_ctx *c)
{
	if (!nm_has_flag(c, NM_EVENT_TRIPLE_FAULT))
		return NESTMIG_HOLDS;
	return nm_vm_cap(c, NESTMIG_VM_TRIPLE_FAULT_EVENT);
}

/* Whether QEMU passes one on is not known where the kernel is not. */
static inline enum nestmig_holds nm_no_triple_fault(const struct nestmig_ctx *c)
{
	if (nm_triple_fault(c) && c->is_qemu && !c->h->kernel)
		return NESTMIG_UNKNOWN;
	return nm_holds(!nm_triple_fault(c));
}

/* In L2 of SVM evt-tf-svm-intercept says it, in L2 of VMX L1 always gets it. */
static inline enum nestmig_holds rule_evt_tf_pending(const struct nestmig_ctx *c)
{
	int vmx_l2 = nm_is_vmx_state(c) && (c->v->nested.flags & KVMNS_GUEST_MODE);

	return c->svm_l2 || vmx_l2 ? NESTMIG_HOLDS : nm_no_triple_fault(c);
}

static inline enum nestmig_holds rule_evt_tf_svm_intercept(const struct nestmig_ctx *c)
{
	return c->svm_l2 ? nm_no_triple_fault(c) : NESTMIG_HOLDS;
}
