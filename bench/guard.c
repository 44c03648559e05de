// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bench-guard [OPTION...] VMM WORKLOAD[:TARGET]...: what the guard costs, as a ratio of guarded to unguarded. VMM
 * (guard_vmm.c) does all workloads again and again, in turn without and with the guard attached. Prints for each the
 * median of both and of the ratio, its lowest and highest, and for comparison the same of two unguarded rounds and
 * the ratio with nothing but a program that does nothing at the guard's hook of ioctls; then the guard's programs.
 * To be run on an emulated host only: it attaches BPF programs.
 *
 *   --rounds N   pairs of rounds, 9
 *   --each       then with one program attached at a time
 *   --unit NS    print times in units of so many ns, 1: where the clock counts instructions, of one instruction
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard_object.h"
#include "nm_guard_bpf.skel.h"

#define MAX_WORKLOADS 16
#define MAX_ROUNDS    100
#define EVERY         SIZE_MAX /* program */

static struct {
	FILE *to, *from; /* the VMM */
	pid_t vmm;
	size_t count;
	const char *names[MAX_WORKLOADS];
	double targets[MAX_WORKLOADS]; /* 0: none */
	unsigned int rounds;
	double unit;
	struct nm_guard *guard;
} bench = {.rounds = 9, .unit = 1};

static void fail(const char *what)
{
	fprintf(stderr, "bench-guard: %s\n", what);
	exit(2);
}

/* ---- The guard ---------------------------------------------------------------------------------- */

static void start_guard(void)
{
	struct nm_guard_options options = {.enforce = true};
	struct nestmig_host *host = NULL;
	struct nestmig_detail detail;

	if (nestmig_host_live(&host, &detail) ||
	    nm_guard_start(&options, host, &bench.guard, &detail))
		fail(detail.text);
	nestmig_host_free(host);
}

static void detach(void)
{
	for (size_t i = 0; i < bench.guard->attached_count; i++) {
		bpf_link__destroy(bench.guard->attached[i].link);
		bench.guard->attached[i].link = NULL;
	}
}

/* One program, or EVERY one. */
static void attach(size_t program)
{
	for (size_t i = 0; i < bench.guard->attached_count; i++) {
		struct nm_guard_attached *at = &bench.guard->attached[i];

		if (program != EVERY && program != i)
			continue;
		at->link = bpf_program__attach(
			bpf_object__find_program_by_name(bench.guard->skeleton->obj, at->name));
		if (!at->link)
			fail(at->name);
	}
}

/* A program at the LSM's hook of ioctls that does nothing: below its cost no guard there can be. */
static int attach_empty(void)
{
	const struct bpf_insn nothing[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_LSM_MAC,
		    .prog_flags = BPF_F_SLEEPABLE);
	int id = libbpf_find_vmlinux_btf_id("file_ioctl", BPF_LSM_MAC), program, link;

	options.attach_btf_id = id > 0 ? (uint32_t)id : 0;
	program = bpf_prog_load(BPF_PROG_TYPE_LSM, "empty", "GPL", nothing, 2, &options);
	link = program < 0 ? -1 : bpf_raw_tracepoint_open(NULL, program);
	if (link < 0)
		fail("cannot attach an empty program");
	close(program);
	return link;
}

/* ---- The VMM ------------------------------------------------------------------------------------ */

static void exec_vmm(char **argv, const int *to, const int *from)
{
	dup2(to[0], STDIN_FILENO);
	dup2(from[1], STDOUT_FILENO);
	close(to[1]);
	close(from[0]);
	execv(argv[0], argv);
	perror(argv[0]);
	_exit(127);
}

static void start_vmm(char **argv)
{
	char line[16] = "";
	int to[2], from[2];

	if (pipe(to) || pipe(from) || (bench.vmm = fork()) < 0)
		fail("cannot start the VMM");
	if (!bench.vmm)
		exec_vmm(argv, to, from);
	close(to[0]);
	close(from[1]);
	bench.to = fdopen(to[1], "w");
	bench.from = fdopen(from[0], "r");
	if (!bench.to || !bench.from || !fgets(line, sizeof(line), bench.from) ||
	    strcmp(line, "ready\n") != 0)
		fail("the VMM does not start");
}

static void stop_vmm(void)
{
	int status;

	fclose(bench.to);
	if (waitpid(bench.vmm, &status, 0) != bench.vmm || status)
		fail("the VMM ended badly");
}

/* What each workload took, in ns. */
static void measure(double *ret_took)
{
	fputs("go\n", bench.to);
	fflush(bench.to);
	for (size_t i = 0; i < bench.count; i++)
		if (fscanf(bench.from, "%lf", &ret_took[i]) != 1)
			fail("the VMM has stopped");
}

/* ---- Figures ------------------------------------------------------------------------------------- */

struct figures {
	double values[MAX_ROUNDS];
};

static int by_value(const void *a, const void *b)
{
	double difference = *(const double *)a - *(const double *)b;

	return (difference > 0) - (difference < 0);
}

static double median(struct figures *figures)
{
	double *values = figures->values;
	unsigned int n = bench.rounds;

	qsort(values, n, sizeof(*values), by_value);
	return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

/* Rounds go without, with, without, with: a ratio is that of neighbours. */
static void print_workload(size_t workload, double (*off)[MAX_WORKLOADS],
			   double (*on)[MAX_WORKLOADS], const double *empty)
{
	struct figures without, with, ratio, control;
	double target = bench.targets[workload], cost;

	for (unsigned int i = 0; i < bench.rounds; i++) {
		without.values[i] = off[i][workload];
		with.values[i] = on[i][workload];
		ratio.values[i] = on[i][workload] / off[i][workload];
		control.values[i] = off[i + 1][workload] / off[i][workload];
	}
	cost = median(&ratio);
	median(&control);
	printf("%-13s %9.0f %9.0f  %6.3f (%.3f to %.3f)  %.3f to %.3f  %.3f", bench.names[workload],
	       median(&without) / bench.unit, median(&with) / bench.unit, cost, ratio.values[0],
	       ratio.values[bench.rounds - 1], control.values[0], control.values[bench.rounds - 1],
	       empty[workload] / off[bench.rounds][workload]);
	if (target > 0)
		printf("  at most %.2f: %s", target, cost <= target ? "yes" : "NO");
	putchar('\n');
}

static void compare(void)
{
	static double off[MAX_ROUNDS + 1][MAX_WORKLOADS], on[MAX_ROUNDS][MAX_WORKLOADS];
	double empty[MAX_WORKLOADS];
	int link;

	for (unsigned int i = 0; i < bench.rounds; i++) {
		detach();
		measure(off[i]);
		attach(EVERY);
		measure(on[i]);
	}
	detach();
	measure(off[bench.rounds]);
	link = attach_empty();
	measure(empty);
	close(link);
	attach(EVERY);
	printf("%-13s %9s %9s  %6s %18s  %15s  %s\n", "workload", "without", "with", "ratio",
	       "lowest, highest", "without/without", "empty");
	for (size_t i = 0; i < bench.count; i++)
		print_workload(i, off, on, empty);
}

/* What a single program adds to each workload. */
static void measure_each(void)
{
	double off[MAX_WORKLOADS], on[MAX_WORKLOADS];

	printf("%-26s", "added by one alone");
	for (size_t i = 0; i < bench.count; i++)
		printf(" %*s", 7, bench.names[i]);
	putchar('\n');
	for (size_t program = 0; program < bench.guard->attached_count; program++) {
		detach();
		measure(off);
		attach(program);
		measure(on);
		printf("%-26s", bench.guard->attached[program].name);
		for (size_t i = 0; i < bench.count; i++)
			printf(" %*.0f",
			       (int)(strlen(bench.names[i]) > 7 ? strlen(bench.names[i]) : 7),
			       (on[i] - off[i]) / bench.unit);
		putchar('\n');
	}
	detach();
	attach(EVERY);
}

/* Of one more round, in which the kernel takes the time of every run, which is not free. */
static void print_programs(void)
{
	struct bpf_program *program;
	double took[MAX_WORKLOADS];
	int statistics = bpf_enable_stats(BPF_STATS_RUN_TIME);

	measure(took);
	printf("%-26s %9s %10s %11s %8s %7s\n", "program", "verified", "translated", "JITed bytes",
	       "runs", "a run");
	bpf_object__for_each_program(program, bench.guard->skeleton->obj)
	{
		struct bpf_prog_info info = {0};
		uint32_t size = sizeof(info);

		if (!bpf_program__autoload(program) ||
		    bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size))
			continue;
		printf("%-26s %9u %10zu %11u %8llu %7.0f\n", bpf_program__name(program),
		       info.verified_insns, info.xlated_prog_len / sizeof(struct bpf_insn),
		       info.jited_prog_len, (unsigned long long)info.run_cnt,
		       info.run_cnt ? (double)info.run_time_ns / (double)info.run_cnt / bench.unit
				    : 0);
	}
	close(statistics);
}

/* "NAME:TARGET" becomes NAME, for the VMM too. */
static void take_workloads(char **argv)
{
	for (char **word = argv + 1; *word; word++) {
		char *target = strchr(*word, ':');

		if (bench.count == MAX_WORKLOADS)
			fail("too many workloads");
		if (target) {
			*target++ = 0;
			bench.targets[bench.count] = strtod(target, NULL);
		}
		bench.names[bench.count++] = *word;
	}
}

int main(int argc, char **argv)
{
	bool each = false;
	int i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--each"))
			each = true;
		else if (!strcmp(argv[i], "--rounds") && i + 1 < argc)
			bench.rounds = (unsigned int)strtoul(argv[++i], NULL, 10);
		else if (!strcmp(argv[i], "--unit") && i + 1 < argc)
			bench.unit = strtod(argv[++i], NULL);
	}
	if (argc - i < 2 || !bench.rounds || bench.rounds > MAX_ROUNDS || bench.unit <= 0)
		fail("usage: bench-guard [--rounds N] [--each] [--unit NS] VMM "
		     "WORKLOAD[:TARGET]...");
	setvbuf(stdout, NULL, _IOLBF, 0);
	take_workloads(argv + i);
	start_guard();
	start_vmm(argv + i);
	compare();
	if (each)
		measure_each();
	print_programs();
	stop_vmm();
	nm_guard_free(bench.guard);
	return 0;
}
