/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Predicates on debug registers and mp_state. Included by predicates.h. */

/* ---- Debug registers -------------------------------------------------------------------------- */

static inline enum nestmig_holds rule_evt_dbg_flags(const struct nestmig_ctx *c)
{
	return nm_holds(!c->v->debugregs.flags);
}

static inline enum nestmig_holds rule_evt_dbg_dr6(const struct nestmig_ctx *c)
{
	return c->svm_l2 ? NESTMIG_HOLDS : rule_svm_l2_dr6(c);
}

static inline enum nestmig_holds rule_evt_dbg_dr7(const struct nestmig_ctx *c)
{
	return c->svm_l2 ? NESTMIG_HOLDS : rule_svm_l2_dr7(c);
}

/* Always 1: bits 4 to 10 and 17 to 31 (11 and 16 are cleared by a bus lock and in RTM). Always 0: 12. */
static inline enum nestmig_holds rule_evt_dbg_dr6_fixed(const struct nestmig_ctx *c)
{
	return nm_holds((c->v->debugregs.dr6 & 0xfffe17f0) == 0xfffe07f0);
}

/* Bit 10 reads as 1; 12, 14 and 15 as 0. */
static inline enum nestmig_holds rule_evt_dbg_dr7_fixed(const struct nestmig_ctx *c)
{
	return nm_holds((c->v->debugregs.dr7 & 0xd400) == 0x400);
}

/* ---- mp_state --------------------------------------------------------------------------------- */

/* Values that kvm_arch_vcpu_ioctl_set_mpstate knows: 0 to 4 and 9. All but 0 need a local APIC. */
static inline enum nestmig_holds rule_evt_mp_lapic(const struct nestmig_ctx *c)
{
	uint32_t state = c->v->mp_state;

	if (state == NM_MP_RUNNABLE)
		return NESTMIG_HOLDS;
	if (state > NM_MP_RESET_HOLD || !(0x21f >> state & 1))
		return NESTMIG_BROKEN;
	return nm_vm_cap(c, NESTMIG_VM_IRQCHIP);
}

static inline int nm_waits_for_sipi(const struct nestmig_ctx *c)
{
	return c->v->mp_state == NM_MP_INIT_RECEIVED || c->v->mp_state == NM_MP_SIPI_RECEIVED;
}

/* INIT is blocked in VMX root operation (vmx_apic_init_signal_blocked); on SVM GIF blocks it, which is
 * svm-gif-nmi-init's. */
static inline int nm_vmx_blocks_init(const struct nestmig_ctx *c)
{
	return nm_is_vmx_state(c) && c->v->nested.vmxon_pa != ~UINT64_C(0) &&
	       !(c->v->nested.flags & KVMNS_GUEST_MODE);
}

/*
 * Up to 6.16 what is in force when KVM_SET_MP_STATE comes decides, and a pending SMI counts; later it
 * is what is in force at KVM_RUN, and it does not.
 */
static inline enum nestmig_holds rule_evt_mp_init_smm(const struct nestmig_ctx *c)
{
	int at_set, at_run;

	if (!nm_waits_for_sipi(c))
		return NESTMIG_HOLDS;
	at_set = (!c->mp_before_events && (nm_in_smm(c) || nm_smi_pending(c))) ||
		 (!c->mp_before_nested && nm_vmx_blocks_init(c));
	at_run = nm_in_smm(c) || nm_vmx_blocks_init(c);
	if (!c->h->kernel)
		return at_set == at_run ? nm_holds(!at_set) : NESTMIG_UNKNOWN;
	return nm_holds(c->h->kernel < NM_MP_AT_RUN_SINCE ? !at_set : !at_run);
}

/* The events meet the mp_state that is already there. */
static inline enum nestmig_holds rule_evt_smm_mpstate(const struct nestmig_ctx *c)
{
	return nm_holds(!c->mp_before_events || !nm_waits_for_sipi(c) ||
			!(nm_in_smm(c) || nm_smi_pending(c)));
}

/* QEMU sets the flag itself for this state. */
static inline enum nestmig_holds rule_evt_mp_sipi_vector(const struct nestmig_ctx *c)
{
	return nm_holds(c->v->mp_state != NM_MP_SIPI_RECEIVED || c->is_qemu ||
			nm_has_flag(c, NM_EVENT_SIPI_VECTOR));
}

/* In L2 it is L1 that decides what wakes it. */
static inline enum nestmig_holds rule_evt_mp_halted_if(const struct nestmig_ctx *c)
{
	const struct nestmig_events *e = &c->v->events;

	return nm_holds(c->v->mp_state != NM_MP_HALTED || c->svm_l2 ||
			(c->v->regs.rflags & NM_RFLAGS_IF) || e->nmi_pending || e->smi_pending);
}
