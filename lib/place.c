// SPDX-License-Identifier: LGPL-2.1-or-later
/* One state against many hosts. */
#include "place.h"

#include <stdlib.h>

#define NO_RULE UINT32_MAX
#define NO_VCPU UINT32_MAX

struct nm_placer {
	const struct nestmig_state *state;
	struct nm_order order;
	uint8_t ram_bits;
	struct nestmig_ctx contexts[]; /* one a vCPU */
};

enum nestmig_error nm_placer_new(const struct nestmig_state *state, struct nm_placer **ret_placer)
{
	struct nm_placer *placer =
		calloc(1, sizeof(*placer) + state->vcpu_count * sizeof(placer->contexts[0]));

	if (!placer)
		return NESTMIG_ERR_NOMEM;
	placer->state = state;
	placer->ram_bits = nm_ram_bits(state);
	nm_order_parse(state->restore_order, &placer->order);
	for (size_t i = 0; i < state->vcpu_count; i++)
		nm_ctx_init(&placer->contexts[i], state, &state->vcpus[i], NULL, &placer->order);
	*ret_placer = placer;
	return NESTMIG_OK;
}

void nm_placer_free(struct nm_placer *placer)
{
	free(placer);
}

/* The broken rule of severity ERROR that leads to the outcome; else the one that comes first in the restore;
 * NO_RULE if there is none. */
static uint32_t deciding_rule(const struct nm_placer *placer, const struct nestmig_ctx *ctx,
			      const uint64_t *broken, enum nm_consequence outcome)
{
	uint32_t first = NO_RULE;
	uint8_t first_rank = UINT8_MAX;

	for (unsigned word = 0; word < NM_RULE_WORDS; word++) {
		for (uint64_t left = broken[word]; left; left &= left - 1) {
			unsigned i = 64 * word + (unsigned)__builtin_ctzll(left);
			enum nm_consequence consequence =
				nm_rule_consequence(&nm_rules[i], ctx, &placer->order);
			uint8_t rank = placer->order.rank[nm_consequences[consequence].stage];

			if (nm_rule_severity(&nm_rules[i], consequence) != NM_SEVERITY_ERROR)
				continue;
			if (consequence == outcome)
				return i;
			if (first == NO_RULE || rank < first_rank) {
				first = i;
				first_rank = rank;
			}
		}
	}
	return first;
}

/* How many rules of severity ERROR could not be decided, and what they lack. */
static void count_undecided(const struct nm_placer *placer, const struct nestmig_ctx *ctx,
			    const uint64_t *unknown, struct nm_placement *placement)
{
	for (unsigned word = 0; word < NM_RULE_WORDS; word++) {
		for (uint64_t left = unknown[word]; left; left &= left - 1) {
			const struct nm_rule *rule =
				&nm_rules[64 * word + (unsigned)__builtin_ctzll(left)];

			if (nm_rule_severity(rule,
					     nm_rule_consequence(rule, ctx, &placer->order)) !=
			    NM_SEVERITY_ERROR)
				continue;
			placement->undecided++;
			placement->missing |= nm_rule_missing(rule, ctx);
		}
	}
}

static void place_vcpu(const struct nm_placer *placer, const struct nestmig_ctx *ctx, uint32_t id,
		       struct nm_placement *ret_placement)
{
	struct nm_placement placement = {.verdict = NESTMIG_VERDICT_OK, .vcpu = id};
	uint64_t broken[NM_RULE_WORDS], unknown[NM_RULE_WORDS];

	nm_judge_vcpu(ctx, &placer->order, broken, unknown);
	placement.outcome = nm_predict(broken, ctx, &placer->order);
	placement.rule = deciding_rule(placer, ctx, broken, placement.outcome);
	if (placement.rule != NO_RULE) {
		placement.verdict = NESTMIG_VERDICT_FAIL;
	} else {
		count_undecided(placer, ctx, unknown, &placement);
		if (placement.undecided || placer->state->ram.unread > 0)
			placement.verdict = NESTMIG_VERDICT_UNKNOWN;
	}
	*ret_placement = placement;
}

void nm_place(struct nm_placer *placer, const struct nestmig_host_view *host,
	      struct nm_placement *ret_placement)
{
	const struct nestmig_state *state = placer->state;
	struct nm_placement worst = {.verdict = NESTMIG_VERDICT_UNKNOWN,
				     .vcpu = NO_VCPU,
				     .outcome = NM_CONSEQUENCE_NONE,
				     .rule = NO_RULE};

	for (size_t i = 0; i < state->vcpu_count; i++) {
		struct nm_placement one;

		nm_ctx_set_host(&placer->contexts[i], host, placer->ram_bits);
		place_vcpu(placer, &placer->contexts[i], state->vcpus[i].id, &one);
		if (i == 0 || one.verdict > worst.verdict)
			worst = one;
	}
	*ret_placement = worst;
}
