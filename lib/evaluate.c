// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Calls every predicate. The rows are written out as code, so that each predicate is inlined with its
 * inputs and kernels as constants: some ten instructions a rule, no table to read and no call.
 */
#include "judge.h"
#include "smram/predicates.h"
#include "vcpu/predicates.h"
#include "vmcb/predicates.h"

/* Does nothing follow from a broken rule on this kernel, or (0) on some kernel? */
static inline bool is_void(uint32_t kernel, bool none_before, uint32_t changed, bool none_after)
{
	if (!changed)
		return none_before;
	if (!kernel)
		return none_before || none_after;
	return kernel < changed ? none_before : none_after;
}

static inline enum nestmig_holds evaluate(nm_predicate *predicate, const struct nestmig_ctx *ctx,
					  uint8_t applies, bool has_inputs, bool none)
{
	enum nestmig_holds holds;

	if (applies == NM_APPLIES_NO || (none && ctx->h->kernel))
		return NESTMIG_HOLDS;
	if (applies == NM_APPLIES_UNKNOWN || !has_inputs)
		return NESTMIG_UNKNOWN;
	holds = predicate(ctx);
	return none && holds == NESTMIG_BROKEN ? NESTMIG_UNKNOWN : holds;
}

static inline void put(unsigned rule, enum nestmig_holds holds, uint64_t *broken, uint64_t *unknown)
{
	if (holds != NESTMIG_HOLDS)
		(holds == NESTMIG_BROKEN ? broken : unknown)[rule / 64] |= UINT64_C(1)
									   << (rule % 64);
}

void nm_evaluate(const struct nestmig_ctx *ctx, const uint8_t applies[NM_WHENS], uint64_t *broken,
		 uint64_t *unknown)
{
	uint64_t have = ctx->v->have | ctx->h->have;
	uint32_t kernel = ctx->h->kernel;

#define RULE(ident, id, title, group, severity, when, inputs, may_read, fields, before, changed,   \
	     after, reference, cause, remedy)                                                      \
	put(NESTMIG_RULE_##ident,                                                                  \
	    evaluate(rule_##ident, ctx, applies[NM_##when], (have & (inputs)) == (inputs),         \
		     is_void(kernel, NM_CONSEQUENCE_##before == NM_CONSEQUENCE_NONE, changed,      \
			     NM_CONSEQUENCE_##after == NM_CONSEQUENCE_NONE)),                      \
	    broken, unknown);
#include "rules.def"
#undef RULE
}
