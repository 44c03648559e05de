// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Evaluating every rule for one vCPU. The rows become straight code, by what they apply to: no row is
 * read and no pointer followed for a rule that holds.
 */
#include <string.h>

#include "evaluate.h"
#include "judge.h"
#include "smram/predicates.h"
#include "vcpu/predicates.h"
#include "vmcb/predicates.h"
#include "vmcs/predicates.h"

/* What is the same for all rules of one kind. */
struct evaluation {
	const struct nestmig_ctx *ctx;
	uint64_t have;
	enum nm_applies applies;
	uint64_t *broken, *unknown;
};

static __attribute__((noinline, cold)) void mark(const struct evaluation *e, unsigned rule,
						 enum nestmig_holds holds)
{
	uint64_t *bitmap = holds == NESTMIG_BROKEN ? e->broken : e->unknown;

	bitmap[rule / 64] |= UINT64_C(1) << (rule % 64);
}

NM_ALWAYS_INLINE void judge_row(const struct evaluation *e, enum nestmig_rule rule,
				struct nm_row row)
{
	enum nestmig_holds holds = nm_evaluate_row(&row, e->ctx, e->have, e->applies);

	if (__builtin_expect(holds != NESTMIG_HOLDS, 0))
		mark(e, rule, holds);
}

/* All rows of one kind; the others leave no code. */
NM_ALWAYS_INLINE void judge_when(enum nm_when when, const struct evaluation *e)
{
#define RULE(ident, id, title, group, severity, when_, inputs, may_read, fields, before, changed,  \
	     after, reference, cause, remedy)                                                      \
	if (when == NM_##when_)                                                                    \
		judge_row(e, NESTMIG_RULE_##ident,                                                 \
			  (struct nm_row){inputs, NM_CONSEQUENCE_##before, changed,                \
					  NM_CONSEQUENCE_##after, rule_##ident});
#include "rules.def"
#undef RULE
}

/* Every kind of `when`. */
#define KINDS(X)  X(ALWAYS) X(NESTED) X(SVM) X(L2) X(L1) X(VMX) X(VMX_L2) X(VMX_L1) X(VMCS12) X(SMM)
#define ONE(name) +1
_Static_assert(NM_WHENS == 0 KINDS(ONE), "a kind of rules would never be judged");
#undef ONE

void nm_evaluate_vcpu(const struct nestmig_ctx *ctx, uint64_t *ret_broken, uint64_t *ret_unknown)
{
	struct evaluation e = {.ctx = ctx,
			       .have = ctx->v->have | ctx->h->have,
			       .broken = ret_broken,
			       .unknown = ret_unknown};

	memset(ret_broken, 0, NM_RULE_WORDS * sizeof(*ret_broken));
	memset(ret_unknown, 0, NM_RULE_WORDS * sizeof(*ret_unknown));
#define JUDGE(name)                                                                                \
	e.applies = nm_applies_when(NM_WHEN_##name, ctx);                                          \
	if (e.applies != NM_APPLIES_NO)                                                            \
		judge_when(NM_WHEN_##name, &e);
	KINDS(JUDGE)
#undef JUDGE
}

/* A broken rule of which it is not known what follows is an unknown one. */
void nm_judge_vcpu(const struct nestmig_ctx *ctx, const struct nm_order *order,
		   uint64_t *ret_broken, uint64_t *ret_unknown)
{
	nm_evaluate_vcpu(ctx, ret_broken, ret_unknown);
	for (unsigned word = 0; word < NM_RULE_WORDS; word++) {
		for (uint64_t left = ret_broken[word]; left; left &= left - 1) {
			unsigned bit = (unsigned)__builtin_ctzll(left);
			const struct nm_rule *rule = &nm_rules[64 * word + bit];

			if (!nm_is_open(nm_rule_consequence(rule, ctx, order), ctx))
				continue;
			ret_broken[word] &= ~(UINT64_C(1) << bit);
			ret_unknown[word] |= UINT64_C(1) << bit;
		}
	}
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
		applies[when] = nm_applies_when(when, ctx) == NM_APPLIES_YES;
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
