// SPDX-License-Identifier: LGPL-2.1-or-later
/* From broken rules to what the destination does: the order of a restore decides. */
#include "judge.h"

#include <string.h>
#include <strings.h>

#include "vcpu/predicates.h"

/* Ioctls of a restore and the stage that each is. */
static const struct {
	const char *name; /* after "KVM_SET_" */
	enum nm_stage stage;
} ioctls[] = {
	{"SREGS", NM_STAGE_SET_SREGS},
	{"SREGS2", NM_STAGE_SET_SREGS},
	{"NESTED_STATE", NM_STAGE_SET_NESTED_STATE},
	{"REGS", NM_STAGE_SET_REGS},
	{"MSRS", NM_STAGE_SET_MSRS},
	{"VCPU_EVENTS", NM_STAGE_SET_VCPU_EVENTS},
	{"MP_STATE", NM_STAGE_SET_MP_STATE},
	{"DEBUGREGS", NM_STAGE_SET_DEBUGREGS},
};

static bool same_word(const char *text, size_t length, const char *word)
{
	return strlen(word) == length && !strncasecmp(text, word, length);
}

/* The stage of one name of a restore order, NM_STAGES if it is none. */
static enum nm_stage stage_of(const char *text, size_t length)
{
	static const char prefix[] = "KVM_SET_";

	if (length > strlen(prefix) && !strncasecmp(text, prefix, strlen(prefix))) {
		text += strlen(prefix);
		length -= strlen(prefix);
	}
	for (size_t i = 0; i < sizeof(ioctls) / sizeof(ioctls[0]); i++)
		if (same_word(text, length, ioctls[i].name))
			return ioctls[i].stage;
	return NM_STAGES;
}

void nm_order_parse(const char *restore_order, struct nm_order *ret_order)
{
	static const char separators[] = ", \t\n";
	bool placed[NM_STAGES] = {false};
	uint8_t next = 0;

	for (const char *text = restore_order; text && *text;) {
		size_t length = strcspn(text, separators);
		enum nm_stage stage = stage_of(text, length);

		if (stage < NM_STAGES && !placed[stage]) {
			ret_order->rank[stage] = next++;
			placed[stage] = true;
		}
		text += length;
		text += strspn(text, separators);
	}
	for (unsigned stage = 0; stage < NM_STAGES; stage++)
		if (!placed[stage])
			ret_order->rank[stage] = next++;
}

/* Does a come before b? Of two at the same stage, the one that does not let the vCPU run; else the
 * rows of one stage stand in the order in which they come. */
static bool comes_first(enum nm_consequence a, enum nm_consequence b, const struct nm_order *order)
{
	const struct nm_consequence_row *row_a = &nm_consequences[a], *row_b = &nm_consequences[b];
	bool a_runs = !strcmp(row_a->outcome, "resumes"),
	     b_runs = !strcmp(row_b->outcome, "resumes");

	if (order->rank[row_a->stage] != order->rank[row_b->stage])
		return order->rank[row_a->stage] < order->rank[row_b->stage];
	return a_runs == b_runs ? a < b : b_runs;
}

/* ---- Consequences that go by the state ------------------------------------------------------- */

/* Control word 3, bit 31: L1 wants a #VMEXIT for a shutdown of L2. */
#define INTERCEPT3_SHUTDOWN (UINT64_C(1) << 31)

/* A triple fault of L2 goes to L1 if L1's VMCB12 intercepts it, else it ends the VM
 * (nested_svm_triple_fault, 6.1 and 7.2). Where the VMCB12 is not known, it stays open. */
static enum nm_consequence by_intercept(enum nm_consequence open, const uint8_t *vmcb12,
					enum nm_consequence to_l1, enum nm_consequence shutdown)
{
	if (!vmcb12)
		return open;
	return vmcb12_intercept_word3(vmcb12) & INTERCEPT3_SHUTDOWN ? to_l1 : shutdown;
}

static enum nm_consequence triple_fault(const struct nestmig_vcpu_view *v, bool no_nested)
{
	const uint8_t *vmcb12 = v->have & NESTMIG_HAVE(VMCB12) ? v->vmcb12 : NULL;

	if (no_nested)
		return NM_CONSEQUENCE_TRIPLE_FAULT_SHUTDOWN;
	if (!(v->have & NESTMIG_HAVE(NESTED)))
		return NM_CONSEQUENCE_TRIPLE_FAULT_L2;
	if (!(v->nested.flags & KVMNS_GUEST_MODE))
		return NM_CONSEQUENCE_TRIPLE_FAULT_SHUTDOWN;
	return by_intercept(NM_CONSEQUENCE_TRIPLE_FAULT_L2, vmcb12,
			    NM_CONSEQUENCE_TRIPLE_FAULT_TO_L1,
			    NM_CONSEQUENCE_TRIPLE_FAULT_SHUTDOWN);
}

/* What a row comes to with this vCPU and this order of ioctls. */
static enum nm_consequence resolve(enum nm_consequence consequence, const struct nestmig_ctx *ctx,
				   const struct nm_order *order)
{
	const struct nestmig_vcpu_view *v = ctx->v;

	switch (consequence) {
	case NM_CONSEQUENCE_SET_NESTED_STATE_SMM:
		/* The SMM bit and guest mode exclude each other; which of them goes depends on who
		 * comes first. */
		if (order->rank[NM_STAGE_SET_VCPU_EVENTS] > order->rank[NM_STAGE_SET_NESTED_STATE])
			return NM_CONSEQUENCE_SMM_LEAVES_NESTED;
		return consequence;
	case NM_CONSEQUENCE_FIRST_RUN_REFUSED:
		return ctx->svm_l2 ? NM_CONSEQUENCE_FIRST_RUN_SVM_EXIT_ERR
				   : NM_CONSEQUENCE_FIRST_RUN_FAIL_ENTRY;
	case NM_CONSEQUENCE_TRIPLE_FAULT_L2:
		return triple_fault(v, ctx->no_nested);
	case NM_CONSEQUENCE_RSM_TRIPLE_FAULT_L2:
		return by_intercept(consequence,
				    v->have & NESTMIG_HAVE(SMM_VMCB12) ? v->smm_vmcb12 : NULL,
				    NM_CONSEQUENCE_RSM_TRIPLE_FAULT_TO_L1,
				    NM_CONSEQUENCE_RSM_TRIPLE_FAULT_SHUTDOWN);
	default:
		return consequence;
	}
}

bool nm_is_open(enum nm_consequence consequence)
{
	return consequence == NM_CONSEQUENCE_TRIPLE_FAULT_L2 ||
	       consequence == NM_CONSEQUENCE_RSM_TRIPLE_FAULT_L2;
}

enum nm_consequence nm_rule_consequence(const struct nm_rule *rule, const struct nestmig_ctx *ctx,
					const struct nm_order *order)
{
	enum nm_consequence before = resolve(rule->before, ctx, order);
	enum nm_consequence after = resolve(rule->after, ctx, order);
	uint32_t kernel = ctx->h->kernel;

	if (!rule->changed)
		return before;
	if (kernel)
		return kernel < rule->changed ? before : after;
	if (before == NM_CONSEQUENCE_NONE || after == NM_CONSEQUENCE_NONE)
		return NM_CONSEQUENCE_NONE;
	return comes_first(after, before, order) ? after : before;
}

/* ---- What comes of the vCPU before a finding bites -------------------------------------------- */

/* Does L1 want a #VMEXIT for this event of L2? */
static bool intercepts(const struct nestmig_ctx *ctx, uint64_t bit)
{
	return (ctx->v->have & NESTMIG_HAVE(VMCB12)) &&
	       (vmcb12_intercept_word3(ctx->v->vmcb12) & bit);
}

static bool nmi_is_open(const struct nestmig_ctx *ctx)
{
	const struct nestmig_events *events = &ctx->v->events;

	if (!events->nmi_pending || !nm_has_flag(ctx, NM_EVENT_NMI_PENDING) || !nm_gif(ctx))
		return false;
	return (ctx->svm_l2 && intercepts(ctx, VMCB12_INTERCEPT3_NMI)) ||
	       (!events->nmi_masked && !nm_shadow(ctx));
}

static bool smi_is_open(const struct nestmig_ctx *ctx)
{
	return nm_smi_pending(ctx) && nm_gif(ctx) && !nm_in_smm(ctx);
}

static bool init_is_open(const struct nestmig_ctx *ctx)
{
	return nm_init_pending(ctx) && nm_gif(ctx) && !nm_in_smm(ctx);
}

/* Does KVM_RUN sleep on this mp_state, as far as the saved state says what would wake it? */
static bool sleeps(const struct nestmig_ctx *ctx)
{
	switch (ctx->v->mp_state) {
	case NM_MP_UNINITIALIZED:
	case NM_MP_INIT_RECEIVED:
		return !init_is_open(ctx);
	case NM_MP_HALTED:
	case NM_MP_RESET_HOLD:
		return !init_is_open(ctx) && !nm_exc_pending(ctx) && !nm_triple_fault(ctx) &&
		       !nmi_is_open(ctx) && !smi_is_open(ctx);
	default:
		return false;
	}
}

/* Of L2, in the order of svm_check_nested_events (6.1). */
static enum nm_consequence leaves_l2(const struct nestmig_ctx *ctx)
{
	bool blocked = nm_run_pending(ctx) || nm_reinjects(ctx);

	if (nm_init_pending(ctx)) {
		if (blocked)
			return NM_CONSEQUENCE_NONE;
		if (intercepts(ctx, VMCB12_INTERCEPT3_INIT))
			return NM_CONSEQUENCE_LEAVES_L2;
		return nm_gif(ctx) ? NM_CONSEQUENCE_INIT_RESETS : NM_CONSEQUENCE_NONE;
	}
	if (nm_exc_pending(ctx))
		return nm_exc_exits(ctx) && !nm_run_pending(ctx) ? NM_CONSEQUENCE_LEAVES_L2
								 : NM_CONSEQUENCE_NONE;
	if (blocked)
		return NM_CONSEQUENCE_NONE;
	if (smi_is_open(ctx))
		return intercepts(ctx, VMCB12_INTERCEPT3_SMI) ? NM_CONSEQUENCE_LEAVES_L2
							      : NM_CONSEQUENCE_ENTERS_SMM;
	if (nmi_is_open(ctx) && intercepts(ctx, VMCB12_INTERCEPT3_NMI))
		return NM_CONSEQUENCE_LEAVES_L2;
	return NM_CONSEQUENCE_NONE;
}

/* What becomes of the vCPU between KVM_RUN and the processor, other than that it is entered. */
static enum nm_consequence diverts(const struct nestmig_ctx *ctx)
{
	const struct nestmig_vcpu_view *v = ctx->v;

	if (!(v->have & NESTMIG_HAVE(EVENTS)))
		return NM_CONSEQUENCE_NONE;
	if ((v->have & NESTMIG_HAVE(MP_STATE)) && v->mp_state && sleeps(ctx))
		return NM_CONSEQUENCE_WAITS;
	if (ctx->svm_l2)
		return leaves_l2(ctx);
	if (init_is_open(ctx))
		return NM_CONSEQUENCE_INIT_RESETS;
	if (smi_is_open(ctx) && !nm_reinjects(ctx) && !nm_exc_pending(ctx))
		return NM_CONSEQUENCE_ENTERS_SMM;
	return NM_CONSEQUENCE_NONE;
}

/* Is a stage passed by if the vCPU takes this turn? What L2's next exit to L1 meets, it meets then. */
static bool is_missed(enum nm_stage stage, enum nm_consequence turn, const struct nm_order *order)
{
	if (turn == NM_CONSEQUENCE_NONE ||
	    order->rank[stage] <= order->rank[nm_consequences[turn].stage])
		return false;
	return stage != NM_STAGE_EXECUTION || turn == NM_CONSEQUENCE_WAITS ||
	       turn == NM_CONSEQUENCE_INIT_RESETS;
}

enum nm_consequence nm_predict(const uint64_t *broken, const struct nestmig_ctx *ctx,
			       const struct nm_order *order)
{
	enum nm_consequence first = NM_CONSEQUENCE_NONE, turn = diverts(ctx);

	for (unsigned i = 0; i < NESTMIG_RULES; i++) {
		enum nm_consequence consequence;

		if (!nm_rule_bit(broken, i) || nm_rules[i].severity != NM_SEVERITY_ERROR)
			continue;
		consequence = nm_rule_consequence(&nm_rules[i], ctx, order);
		if (is_missed(nm_consequences[consequence].stage, turn, order))
			continue;
		if (comes_first(consequence, first, order))
			first = consequence;
	}
	if (first == NM_CONSEQUENCE_NONE)
		return turn == NM_CONSEQUENCE_NONE ? NM_CONSEQUENCE_ACCEPTED : turn;
	return first;
}
