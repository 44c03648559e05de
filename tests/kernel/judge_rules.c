// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * judge_rules MUTATIONS SEED [STATE...]: does the kernel, where it executes the rules as a BPF program, say of
 * every rule what the library says? Of every case of every rule, with each of its inputs taken away too, of
 * the first vCPU of each STATE, and of MUTATIONS changes of each of those. For an emulated host only: it loads
 * a BPF program.
 *
 * Exit status 0 if all is the same, 1 if a bit differs or a rule was never broken, 2 if the program cannot be
 * loaded, or not with a wide margin. With SPOIL=1 in the environment the kernel gets another state than the library.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "../unit/rules_cases.h"
#include "flat.h"
#include "host.h"
#include "judge_rules.skel.h"
#include "mutate.h"

#define TURNS     1000
#define SHOWN_MAX 20

/* What a verifier may have to follow: half of what it follows at most (BPF_COMPLEXITY_LIMIT_INSNS), for the guard's
 * program has more than the rules. Linux 6.12 follows 486,281. */
#define VERIFIED_MAX 500000

struct test {
	struct judge_rules *skeleton;
	struct nm_judging *judging; /* the map's memory */
	unsigned mutations;
	struct random random;
	unsigned long judged, differ;
	uint64_t broken[NM_RULE_WORDS]; /* rules that the kernel has found broken at least once */
	bool spoil;
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- The program in the kernel ----------------------------------------------------------------- */

static int run(struct test *test, unsigned turns)
{
	LIBBPF_OPTS(bpf_test_run_opts, options);

	test->skeleton->bss->turns = turns;
	if (bpf_prog_test_run_opts(bpf_program__fd(test->skeleton->progs.judge), &options) ||
	    options.retval) {
		perror("judge_rules: the program does not run");
		return -1;
	}
	return 0;
}

static int load(struct test *test)
{
	struct bpf_prog_info info = {0};
	uint32_t size = sizeof(info);
	double start;

	test->skeleton = judge_rules__open();
	start = now();
	if (!test->skeleton || judge_rules__load(test->skeleton)) {
		perror("judge_rules: cannot load the program");
		return -1;
	}
	start = now() - start;
	test->judging = mmap(NULL, sizeof(*test->judging), PROT_READ | PROT_WRITE, MAP_SHARED,
			     bpf_map__fd(test->skeleton->maps.judging), 0);
	if (test->judging == MAP_FAILED) {
		perror("judge_rules: mmap");
		return -1;
	}
	if (bpf_obj_get_info_by_fd(bpf_program__fd(test->skeleton->progs.judge), &info, &size)) {
		perror("judge_rules: BPF_OBJ_GET_INFO_BY_FD");
		return -1;
	}
	printf("%u rules: %u instructions, %u verified, %u bytes of machine code, loaded in "
	       "%.2f s; %zu bytes of memory for a judgement\n",
	       (unsigned)NESTMIG_RULES, info.xlated_prog_len / 8, info.verified_insns,
	       info.jited_prog_len, start, sizeof(*test->judging));
	if (info.verified_insns > VERIFIED_MAX) {
		printf("judge_rules: more than %u verified\n", VERIFIED_MAX);
		return -1;
	}
	return 0;
}

/* ---- Comparing ----------------------------------------------------------------------------------- */

static const char *word(const uint64_t *broken, const uint64_t *unknown, unsigned rule)
{
	if (nm_rule_bit(broken, rule))
		return nm_rule_bit(unknown, rule) ? "both" : "broken";
	return nm_rule_bit(unknown, rule) ? "unknown" : "holds";
}

/* Of an MSR area that is longer than what the kernel reads, it may not know what the library knows. */
static bool is_allowed(const struct nestmig_ctx *ctx, unsigned rule,
		       const struct nm_judging *kernel)
{
	const uint64_t areas =
		NESTMIG_HAVE(ENTRY_LOAD) | NESTMIG_HAVE(EXIT_LOAD) | NESTMIG_HAVE(EXIT_STORE);

	return has_long_area(ctx) && nm_rule_bit(kernel->unknown, rule) &&
	       ((nm_rules[rule].inputs | nm_rules[rule].may_read) & areas);
}

static void compare(struct test *test, const struct nestmig_ctx *ctx, const char *name)
{
	const struct nm_judging *kernel = test->judging;
	uint64_t broken[NM_RULE_WORDS], unknown[NM_RULE_WORDS];

	nm_evaluate_vcpu(ctx, broken, unknown);
	for (unsigned i = 0; i < NESTMIG_RULES; i++) {
		const char *ours = word(broken, unknown, i);
		const char *theirs = word(kernel->broken, kernel->unknown, i);

		if (ours == theirs || is_allowed(ctx, i, kernel))
			continue;
		if (test->differ++ < SHOWN_MAX)
			printf("%s: %s: library: %s, kernel: %s\n", name, nm_rules[i].id, ours,
			       theirs);
	}
	for (unsigned i = 0; i < NM_RULE_WORDS; i++)
		test->broken[i] |= kernel->broken[i];
	test->judged++;
}

/* Judges what is in the map, and as the library sees it. The program must leave it as it was. */
static int judge_flat(struct test *test, const struct nestmig_flat_ctx *flat,
		      const struct nestmig_ctx *ctx, const char *name)
{
	struct nestmig_flat_ctx *theirs = &test->judging->ctx;

	*theirs = *flat;
	if (test->spoil)
		theirs->v[0].have &= ~NESTMIG_HAVE(REGS);
	if (run(test, 1))
		return -1;
	compare(test, ctx, name);
	theirs->spare = flat->spare;
	if (!test->spoil && memcmp(theirs, flat, sizeof(*flat)) && test->differ++ < SHOWN_MAX)
		printf("%s: the program has changed the context\n", name);
	return 0;
}

/* A context, and changes of it. */
static int judge_ctx(struct test *test, const struct nestmig_ctx *ctx, const char *name)
{
	static struct nestmig_flat_ctx flat, changed;
	static struct unflattened again;

	flatten(ctx, &flat);
	if (judge_flat(test, &flat, ctx, name))
		return -1;
	for (unsigned i = 0; i < test->mutations; i++) {
		changed = flat;
		mutate(&changed, &test->random);
		unflatten(&changed, &again);
		if (judge_flat(test, &changed, &again.ctx, name))
			return -1;
	}
	return 0;
}

/* ---- The cases of rules -------------------------------------------------------------------------- */

/* The case of a rule; with an item taken away, NESTMIG_ITEM_COUNT: none. */
static int judge_case(struct test *test, const struct nm_rule *rule, const struct poke *pokes,
		      unsigned item)
{
	const struct poke lacks[] = {{PLACE_LACK, item, 0, 0}, {0}};
	struct judged judged;
	char name[128];
	struct vm vm;
	int result;

	vm_for(&vm, rule);
	vm_poke(&vm, pokes);
	if (item < NESTMIG_ITEM_COUNT)
		vm_poke(&vm, lacks);
	vm_judge(&vm, &judged);
	snprintf(name, sizeof(name), "case of %s%s%s", rule->id,
		 item < NESTMIG_ITEM_COUNT ? " without " : "",
		 item < NESTMIG_ITEM_COUNT ? nm_item_name(item) : "");
	result = judge_ctx(test, &judged.ctx, name);
	vm_free(&vm);
	return result;
}

static int judge_cases_of(struct test *test, unsigned index)
{
	const struct rule_case *one = rule_case_of(index);
	const struct nm_rule *rule = &nm_rules[index];
	uint64_t reads = nm_rule_inputs(rule) | rule->may_read;

	if (!one) {
		printf("%s has no case, or two\n", rule->id);
		return -1;
	}
	if (judge_case(test, rule, one->breaks, NESTMIG_ITEM_COUNT))
		return -1;
	if (!test->spoil && !nm_rule_bit(test->broken, index)) {
		printf("%s is not broken in the kernel\n", rule->id);
		test->differ++;
	}
	if (judge_case(test, rule, one->holds, NESTMIG_ITEM_COUNT))
		return -1;
	for (unsigned item = 0; item < NESTMIG_ITEM_COUNT; item++)
		if (reads >> item & 1 && (judge_case(test, rule, one->breaks, item) ||
					  judge_case(test, rule, one->holds, item)))
			return -1;
	return 0;
}

/* ---- States -------------------------------------------------------------------------------------- */

/* How long it takes, in the kernel and in the library. */
static int measure(struct test *test, const struct nestmig_ctx *ctx, const char *name)
{
	uint64_t broken[NM_RULE_WORDS], unknown[NM_RULE_WORDS];
	double start;

	flatten(ctx, &test->judging->ctx);
	if (run(test, TURNS))
		return -1;
	start = now();
	for (unsigned i = 0; i < TURNS; i++)
		nm_evaluate_vcpu(ctx, broken, unknown);
	start = now() - start;
	printf("%s: %.0f ns in the kernel, %.0f ns in the library\n", name,
	       (double)test->skeleton->bss->nanoseconds / TURNS, start * 1e9 / TURNS);
	return 0;
}

static int judge_state(struct test *test, const char *path)
{
	struct nestmig_state *state = NULL;
	struct nestmig_host *host = NULL;
	struct nestmig_detail detail = {0};
	struct nm_order order;
	struct nestmig_ctx ctx;
	int result = -1;

	if (nestmig_state_read(path, 0, &state, &detail) || !state->vcpu_count) {
		printf("%s cannot be read: %s\n", path, detail.text);
		goto out;
	}
	if (nestmig_host_of_state(state, &host, &detail))
		host = NULL; /* a stream does not say where it is from */
	nm_order_parse(state->restore_order, &order);
	nm_ctx_init(&ctx, state, &state->vcpus[0], host ? &host->view : NULL, &order);
	result = judge_ctx(test, &ctx, path) || measure(test, &ctx, path) ? -1 : 0;
out:
	nestmig_host_free(host);
	nestmig_state_free(state);
	return result;
}

int main(int argc, char **argv)
{
	struct test test = {.spoil = getenv("SPOIL") != NULL};
	double start = now();

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 3) {
		fprintf(stderr, "usage: judge_rules MUTATIONS SEED [STATE...]\n");
		return 2;
	}
	test.mutations = (unsigned)strtoul(argv[1], NULL, 10);
	test.random.state = strtoull(argv[2], NULL, 10);
	if (load(&test))
		return 2;
	memset(test.judging->wanted, 0xff, sizeof(test.judging->wanted));
	for (unsigned i = 0; i < NESTMIG_RULES && !(test.spoil && test.differ); i++)
		if (judge_cases_of(&test, i))
			return 2;
	printf("%lu states of the cases of rules, %.1f s\n", test.judged, now() - start);
	for (int i = 3; i < argc; i++)
		if (judge_state(&test, argv[i]))
			return 2;
	printf("%lu states judged by both, %.1f s, %lu answers differ\n", test.judged,
	       now() - start, test.differ);
	judge_rules__destroy(test.skeleton);
	return test.differ ? 1 : 0;
}
