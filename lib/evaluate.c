// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Evaluating every rule for one vCPU. The rows become straight code, by what they apply to: no row is
 * read and no pointer followed for a rule that holds.
 */
#include <string.h>

#include "judge.h"
#include "smram/predicates.h"
#include "vcpu/predicates.h"
#include "vmcb/predicates.h"
#include "vmcs/predicates.h"

#define ALWAYS_INLINE    static inline __attribute__((always_inline))

#define EVENTS_VALID_SMM 0x8 /* KVM_VCPUEVENT_VALID_SMM */

enum nm_applies nm_is_svm(const struct nestmig_vcpu_view *v)
{
	bool has_nested = v->have & NESTMIG_HAVE(NESTED);

	if (v->vendor == NESTMIG_VENDOR_AMD || (has_nested && v->nested.format == KVMNS_FORMAT_SVM))
		return NM_APPLIES_YES;
	if (v->vendor == NESTMIG_VENDOR_INTEL || has_nested)
		return NM_APPLIES_NO;
	return NM_APPLIES_UNKNOWN;
}

enum nm_applies nm_is_vmx(const struct nestmig_vcpu_view *v)
{
	bool has_nested = v->have & NESTMIG_HAVE(NESTED);

	if (v->vendor == NESTMIG_VENDOR_INTEL)
		return NM_APPLIES_YES;
	if (v->vendor == NESTMIG_VENDOR_AMD || (has_nested && v->nested.format != KVMNS_FORMAT_VMX))
		return NM_APPLIES_NO;
	return has_nested ? NM_APPLIES_YES : NM_APPLIES_UNKNOWN;
}

/* Without its flag KVM_SET_VCPU_EVENTS leaves the SMM bit alone. */
static enum nm_applies is_in_smm(const struct nestmig_vcpu_view *v)
{
	if (!(v->have & NESTMIG_HAVE(EVENTS)))
		return NM_APPLIES_UNKNOWN;
	return v->events.smi_smm && (v->events.flags & EVENTS_VALID_SMM) ? NM_APPLIES_YES
									 : NM_APPLIES_NO;
}

/* Rules on VMX state: L2 runs, L1 runs and has a current VMCS12 (vmx_has_valid_vmcs12), or either. */
static enum nm_applies applies_vmx(enum nm_when when, const struct nestmig_ctx *ctx)
{
	const struct nestmig_nested *nested = &ctx->v->nested;
	enum nm_applies vmx = ctx->no_nested ? NM_APPLIES_NO : nm_is_vmx(ctx->v);
	bool in_l2 = nested->flags & KVMNS_GUEST_MODE;
	bool has_vmcs12 = nested->vmxon_pa != UINT64_MAX &&
			  (nested->vmcs12_pa != UINT64_MAX || (nested->flags & KVMNS_EVMCS));

	if (when == NM_WHEN_VMX || vmx == NM_APPLIES_NO)
		return vmx;
	if (!(ctx->v->have & NESTMIG_HAVE(NESTED)))
		return NM_APPLIES_UNKNOWN;
	if (in_l2)
		return when == NM_WHEN_VMX_L1 ? NM_APPLIES_NO : vmx;
	return when == NM_WHEN_VMX_L2 || !has_vmcs12 ? NM_APPLIES_NO : vmx;
}

/* Whether rules of one kind of `when` apply to this vCPU. */
static enum nm_applies applies_when(enum nm_when when, const struct nestmig_ctx *ctx)
{
	enum nm_applies svm = nm_is_svm(ctx->v);

	if (when == NM_WHEN_ALWAYS)
		return NM_APPLIES_YES;
	if (when >= NM_WHEN_VMX && when <= NM_WHEN_VMCS12)
		return applies_vmx(when, ctx);
	if (when == NM_WHEN_SMM)
		return is_in_smm(ctx->v);
	if (ctx->no_nested)
		return NM_APPLIES_NO;
	if (when == NM_WHEN_NESTED)
		return NM_APPLIES_YES;
	if (svm == NM_APPLIES_NO || when == NM_WHEN_SVM)
		return svm;
	if (!(ctx->v->have & NESTMIG_HAVE(NESTED)))
		return NM_APPLIES_UNKNOWN;
	if (!(ctx->v->nested.flags & KVMNS_GUEST_MODE) == (when == NM_WHEN_L1))
		return svm;
	return NM_APPLIES_NO;
}

/* What is the same for all rules of one kind. */
struct evaluation {
	const struct nestmig_ctx *ctx;
	const struct nm_order *order;
	uint64_t have;
	enum nm_applies applies;
	uint64_t *broken, *unknown;
};

/* What of a row decides: constants wherever this is called. */
struct row {
	enum nestmig_rule rule;
	uint64_t inputs;
	enum nm_consequence before;
	uint32_t changed;
	enum nm_consequence after;
	nm_predicate *predicate;
};

/* Does nothing follow on this kernel? If it is not known: does nothing follow on some? */
ALWAYS_INLINE bool is_without_consequence(const struct row *row, uint32_t kernel)
{
	if (!row->changed)
		return row->before == NM_CONSEQUENCE_NONE;
	if (!kernel)
		return row->before == NM_CONSEQUENCE_NONE || row->after == NM_CONSEQUENCE_NONE;
	return (kernel < row->changed ? row->before : row->after) == NM_CONSEQUENCE_NONE;
}

ALWAYS_INLINE enum nestmig_holds evaluate(const struct evaluation *e, const struct row *row)
{
	uint32_t kernel = e->ctx->h->kernel;
	bool none = is_without_consequence(row, kernel);
	enum nestmig_holds holds;

	if (none && kernel)
		return NESTMIG_HOLDS;
	if (e->applies == NM_APPLIES_UNKNOWN || (e->have & row->inputs) != row->inputs)
		return NESTMIG_UNKNOWN;
	holds = row->predicate(e->ctx);
	return holds == NESTMIG_BROKEN && none ? NESTMIG_UNKNOWN : holds;
}

/* A broken rule of which it is not known what follows is an unknown one. */
static __attribute__((noinline, cold)) void mark(const struct evaluation *e, unsigned rule,
						 enum nestmig_holds holds)
{
	uint64_t bit = UINT64_C(1) << (rule % 64);

	if (holds == NESTMIG_BROKEN &&
	    !nm_is_open(nm_rule_consequence(&nm_rules[rule], e->ctx, e->order), e->ctx))
		e->broken[rule / 64] |= bit;
	else
		e->unknown[rule / 64] |= bit;
}

ALWAYS_INLINE void judge_row(const struct evaluation *e, struct row row)
{
	enum nestmig_holds holds = evaluate(e, &row);

	if (__builtin_expect(holds != NESTMIG_HOLDS, 0))
		mark(e, row.rule, holds);
}

/* All rows of one kind; the others leave no code. */
ALWAYS_INLINE void judge_when(enum nm_when when, const struct evaluation *e)
{
#define RULE(ident, id, title, group, severity, when_, inputs, may_read, fields, before, changed,  \
	     after, reference, cause, remedy)                                                      \
	if (when == NM_##when_)                                                                    \
		judge_row(e, (struct row){NESTMIG_RULE_##ident, inputs, NM_CONSEQUENCE_##before,   \
					  changed, NM_CONSEQUENCE_##after, rule_##ident});
#include "rules.def"
#undef RULE
}

/* Every kind of `when`. */
#define KINDS(X)  X(ALWAYS) X(NESTED) X(SVM) X(L2) X(L1) X(VMX) X(VMX_L2) X(VMX_L1) X(VMCS12) X(SMM)
#define ONE(name) +1
_Static_assert(NM_WHENS == 0 KINDS(ONE), "a kind of rules would never be judged");
#undef ONE

void nm_judge_vcpu(const struct nestmig_ctx *ctx, const struct nm_order *order,
		   uint64_t *ret_broken, uint64_t *ret_unknown)
{
	struct evaluation e = {.ctx = ctx,
			       .order = order,
			       .have = ctx->v->have | ctx->h->have,
			       .broken = ret_broken,
			       .unknown = ret_unknown};

	memset(ret_broken, 0, NM_RULE_WORDS * sizeof(*ret_broken));
	memset(ret_unknown, 0, NM_RULE_WORDS * sizeof(*ret_unknown));
#define JUDGE(name)                                                                                \
	e.applies = applies_when(NM_WHEN_##name, ctx);                                             \
	if (e.applies != NM_APPLIES_NO)                                                            \
		judge_when(NM_WHEN_##name, &e);
	KINDS(JUDGE)
#undef JUDGE
}

/* A row that asks for nothing on the kernel of the context was not evaluated either. */
static bool is_asked_for(const struct nm_rule *rule, uint32_t kernel)
{
	enum nm_consequence consequence = rule->before;

	if (rule->changed && !kernel)
		return true;
	if (rule->changed && kernel >= rule->changed)
		consequence = rule->after;
	return consequence != NM_CONSEQUENCE_NONE;
}

void nm_find_held(const struct nestmig_ctx *ctx, const uint64_t *broken, const uint64_t *unknown,
		  uint64_t *ret_held)
{
	bool applies[NM_WHENS];

	for (unsigned when = 0; when < NM_WHENS; when++)
		applies[when] = applies_when(when, ctx) == NM_APPLIES_YES;
	memset(ret_held, 0, NM_RULE_WORDS * sizeof(*ret_held));
	for (unsigned i = 0; i < NESTMIG_RULES; i++)
		if (applies[nm_rules[i].when] && is_asked_for(&nm_rules[i], ctx->h->kernel) &&
		    !nm_rule_bit(broken, i) && !nm_rule_bit(unknown, i))
			ret_held[i / 64] |= UINT64_C(1) << (i % 64);
}

uint64_t nm_rule_missing(const struct nm_rule *rule, const struct nestmig_ctx *ctx)
{
	uint64_t have = ctx->v->have | ctx->h->have;
	uint64_t missing = nm_rule_inputs(rule) & ~have;

	if (missing)
		return missing;
	missing = rule->may_read & ~have;
	if (!missing && rule->changed && !ctx->h->kernel)
		missing = NESTMIG_HAVE(HOST_KERNEL);
	/* Of the CPUID libvirt's XML gives one word, the width of addresses. */
	if (!missing && ctx->v->cpuid.have == UINT32_C(1) << NESTMIG_CPUID_80000008_EAX)
		missing = (nm_rule_inputs(rule) | rule->may_read) & NESTMIG_HAVE(CPUID);
	/* All there: of memory only a part may be known, else nothing that can be given would
	 * decide. */
	return missing ? missing : rule->may_read & NESTMIG_HAVE(MEMORY);
}
