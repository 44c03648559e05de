// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * judge STATE [PROFILE]: full judgements of the first vCPU a second on one core (context, all rules,
 * prediction) in processor time, and the ratio to memcpy of the bytes judged, measured in turns in the same
 * run. Fails if a judgement allocates memory.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "host.h"
#include "judge.h"

#define ROUNDS   9
#define PER_TURN 50000

/* ---- Counting allocations -------------------------------------------------------------------- */

static unsigned long allocations;

/* The linker puts these in the way of every call in this program (--wrap). */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size)
{
	allocations++;
	return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	allocations++;
	return __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	allocations++;
	return __real_realloc(old, size);
}

/* ---- What is measured ------------------------------------------------------------------------ */

/* All that rules read of a vCPU. */
struct bytes {
	struct nestmig_vcpu_view view;
	uint8_t vmcb12[KVMNS_VMCB_SIZE], vmcs12[2][KVMNS_VMCS_SIZE], smram[NESTMIG_SMRAM_SIZE],
		smm_vmcb12[KVMNS_VMCB_SIZE], hsave[KVMNS_VMCB_SIZE];
};

/* Packs what there is and returns how much: absent items are not copied either. */
static size_t pack(const struct nestmig_vcpu_view *view, uint8_t *out)
{
	const struct {
		const uint8_t *bytes;
		size_t size;
	} parts[] = {
		{(const uint8_t *)view, sizeof(*view)},
		{view->vmcb12, KVMNS_VMCB_SIZE},
		{view->vmcs12, KVMNS_VMCS_SIZE},
		{view->shadow_vmcs12, KVMNS_VMCS_SIZE},
		{view->smram, NESTMIG_SMRAM_SIZE},
		{view->smm_vmcb12, KVMNS_VMCB_SIZE},
		{view->events.smi_smm ? view->hsave : NULL, KVMNS_VMCB_SIZE},
	};
	size_t size = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (!parts[i].bytes)
			continue;
		memcpy(out + size, parts[i].bytes, parts[i].size);
		size += parts[i].size;
	}
	return size;
}

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
	double start = cpu_now();
	unsigned sum = 0;

	for (int i = 0; i < PER_TURN; i++)
		sum += judge_once(state, host, order);
	if (sum == 1)
		puts("");
	return (cpu_now() - start) / PER_TURN;
}

static double time_copying(const uint8_t *from, uint8_t *to, size_t size)
{
	double start = cpu_now();

	for (int i = 0; i < PER_TURN; i++) {
		memcpy(to, from, size);
		__asm__ volatile("" : : "r"(to) : "memory");
	}
	return (cpu_now() - start) / PER_TURN;
}

/* Bytes in use: what libc itself allocates (strdup) does not pass the linker's wraps. */
static size_t in_use(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static int measure(const struct nestmig_state *state, const struct nestmig_host *host,
		   uint8_t *from, uint8_t *to)
{
	size_t size = pack(&state->vcpus[0].view, from), before;
	double judging = 1, copying = 1;
	unsigned long counted;
	struct nm_order order;

	nm_order_parse(state->restore_order, &order);
	counted = allocations;
	before = in_use();
	for (int i = 0; i < ROUNDS; i++) {
		double j = time_judging(state, host ? &host->view : NULL, &order);
		double c = time_copying(from, to, size);

		judging = j < judging ? j : judging;
		copying = c < copying ? c : copying;
	}
	if (allocations != counted || in_use() != before) {
		fprintf(stderr, "bench-judge: judging allocates memory: %lu times in %d\n",
			allocations - counted, ROUNDS * PER_TURN);
		return 1;
	}
	printf("vCPU in %s, %zu rules: %.0f judgements/s, %.0f ns each; memcpy of the same %zu "
	       "bytes %.0f ns; ratio %.1f; no allocation\n",
	       nm_vcpu_mode(&state->vcpus[0]), nm_rule_count, 1 / judging, judging * 1e9, size,
	       copying * 1e9, judging / copying);
	return 0;
}

int main(int argc, char **argv)
{
	struct nestmig_state *state = NULL;
	struct nestmig_host *host = NULL;
	struct nestmig_detail detail = {0};
	uint8_t *from = malloc(sizeof(struct bytes)), *to = malloc(sizeof(struct bytes));
	int status = 2;

	if (argc < 2 || nestmig_state_read(argv[1], 0, &state, &detail) ||
	    (argc > 2 && nestmig_host_load(argv[2], &host, &detail)) || !from || !to ||
	    state->vcpu_count == 0)
		fprintf(stderr, "bench-judge: give STATE and PROFILE: %s\n", detail.text);
	else if (allocations == 0)
		fprintf(stderr, "bench-judge: allocations are not counted\n");
	else
		status = measure(state, host, from, to);
	nestmig_host_free(host);
	nestmig_state_free(state);
	free(from);
	free(to);
	return status;
}
