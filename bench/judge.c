// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * judge STATE [PROFILE]: full judgements of one vCPU a second on one core (context, all rules,
 * prediction), and the ratio to memcpy of the bytes judged, measured in turns in the same run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "host.h"
#include "judge.h"

#define ROUNDS   5
#define PER_TURN 200000

struct bytes {
	struct nestmig_vcpu_view view;
	uint8_t vmcb12[KVMNS_VMCB_SIZE];
};

static enum nm_consequence judge_once(const struct nestmig_state *state,
				      const struct nestmig_host_view *host,
				      const struct nm_order *order)
{
	uint64_t broken[NM_RULE_WORDS], unknown[NM_RULE_WORDS];
	struct nestmig_ctx ctx;

	nm_ctx_init(&ctx, state, &state->vcpus[0], host, order);
	nm_judge_vcpu(&ctx, order, broken, unknown);
	return nm_predict(broken, &ctx, order);
}

static double time_judging(const struct nestmig_state *state, const struct nestmig_host_view *host,
			   const struct nm_order *order)
{
	double start = now();
	unsigned sum = 0;

	for (int i = 0; i < PER_TURN; i++)
		sum += judge_once(state, host, order);
	if (sum == 1)
		puts("");
	return (now() - start) / PER_TURN;
}

static double time_copying(const struct bytes *from, struct bytes *to)
{
	double start = now();

	for (int i = 0; i < PER_TURN; i++) {
		memcpy(to, from, sizeof(*to));
		__asm__ volatile("" : : "r"(to) : "memory");
	}
	return (now() - start) / PER_TURN;
}

int main(int argc, char **argv)
{
	struct nestmig_state *state = NULL;
	struct nestmig_host *host = NULL;
	struct nestmig_detail detail = {0};
	struct bytes *from = calloc(1, sizeof(*from)), *to = calloc(1, sizeof(*to));
	double judging = 1, copying = 1;
	struct nm_order order;

	if (argc < 2 || nestmig_state_read(argv[1], 0, &state, &detail) ||
	    (argc > 2 && nestmig_host_load(argv[2], &host, &detail)) || !from || !to) {
		fprintf(stderr, "bench-judge: give STATE and PROFILE: %s\n", detail.text);
		return 2;
	}
	nm_order_parse(state->restore_order, &order);
	from->view = state->vcpus[0].view;
	for (int i = 0; i < ROUNDS; i++) {
		double j = time_judging(state, host ? &host->view : NULL, &order);
		double c = time_copying(from, to);

		judging = j < judging ? j : judging;
		copying = c < copying ? c : copying;
	}
	printf("%zu rules: %.0f judgements/s, %.0f ns each; memcpy of the same %zu bytes %.0f ns; "
	       "ratio %.1f\n",
	       nm_rule_count, 1 / judging, judging * 1e9, sizeof(*from), copying * 1e9,
	       judging / copying);
	nestmig_host_free(host);
	nestmig_state_free(state);
	free(from);
	free(to);
	return 0;
}
