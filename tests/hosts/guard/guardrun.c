// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guardrun [OPTION...] EVENTS COMMAND...: runs a command under the guard and writes what the guard says of it to
 * the file EVENTS, a line an event, then the counters and the programs. Exits like the command; 125 if the guard
 * does not start.
 *
 *   --enforce      deny; --audit, the default: tell
 *   --best-effort  leave out what this kernel does not take
 *   --loads N      load, attach, detach and unload N times first
 *   --cycles N     once loaded, attach and detach N times first
 *   --pin DIR      pin it there, let the object go, and read from there
 *
 * guardrun --remove DIR: removes what was pinned there.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard_load.h"
#include "rules.h"

#define TROUBLE 125

static const char *const hooks[NM_GUARD_HOOKS] = {
	[NM_GUARD_SET_NESTED_STATE] = "set-nested-state",
	[NM_GUARD_SET_VCPU_EVENTS] = "set-vcpu-events",
	[NM_GUARD_KVM_RUN] = "kvm-run",
	[NM_GUARD_RUN_UNJUDGED] = "run-unjudged",
	[NM_GUARD_NESTED_EXIT] = "nested-exit",
	[NM_GUARD_ENTRY_FAILED] = "entry-failed",
	[NM_GUARD_SMM_LEFT] = "smm-left",
	[NM_GUARD_SMM_ENTERED] = "smm-entered",
	[NM_GUARD_EPTP_SWITCHED] = "eptp-switched",
};

/* Where there is no name it is another hook's of the counter before. */
static const char *const counters[NM_GUARD_COUNTERS] = {
	[NM_GUARD_JUDGED] = "judged",
	[NM_GUARD_BROKEN] = "broken",
	[NM_GUARD_DENIALS] = "denials",
	[NM_GUARD_EVENTS] = "events",
	[NM_GUARD_LIMITED] = "limited",
	[NM_GUARD_LOST] = "lost",
	[NM_GUARD_UNREAD] = "unread",
	[NM_GUARD_NO_SCRATCH] = "no-scratch",
	[NM_GUARD_NO_ENTRY] = "no-entry",
	[NM_GUARD_RACES] = "races",
	[NM_GUARD_NESTED_ENTRIES] = "nested-entries",
	[NM_GUARD_NESTED_EXITS] = "nested-exits",
	[NM_GUARD_MADE_UP_EXITS] = "made-up-exits",
	[NM_GUARD_FAILED_ENTRIES] = "failed-entries",
	[NM_GUARD_SMM_LEAVES] = "smm-leaves",
	[NM_GUARD_SMM_ENTRIES] = "smm-entries",
};

static volatile sig_atomic_t ended;

static void note_end(int number)
{
	(void)number;
	ended = 1;
}

static int print_event(const struct nm_guard_event *event, const struct nm_guard_record *record,
		       void *data)
{
	FILE *out = data;

	fprintf(out,
		"event hook=%s action=%s vm=%u vcpu=%u vmm=%u pid=%u comm=%.16s ioctl=%#x "
		"flags=%#x",
		hooks[event->hook], event->action == NM_GUARD_DENIED ? "denied" : "told", event->vm,
		event->vcpu, event->vmm, event->pid, event->comm, event->ioctl, event->flags);
	if (event->hook >= NM_GUARD_NESTED_EXIT)
		fprintf(out, " exit=%#llx info1=%#llx info2=%#llx result=%u",
			(unsigned long long)event->exit_code,
			(unsigned long long)event->exit_info[0],
			(unsigned long long)event->exit_info[1], event->result);
	for (unsigned i = 0; record && i < NESTMIG_RULES; i++)
		if (nm_rule_bit(record->judged.broken, i))
			fprintf(out, " rule=%s", nm_rules[i].id);
	fputc('\n', out);
	return 0;
}

static int fail(const struct nestmig_detail *detail)
{
	fprintf(stderr, "guardrun: %s\n", detail->text);
	return TROUBLE;
}

static int print_counters(const struct nm_guard *guard, FILE *out)
{
	uint64_t values[NM_GUARD_COUNTERS];
	struct nestmig_detail detail;

	if (nm_guard_count(guard, values, &detail))
		return fail(&detail);
	for (unsigned i = 0, next; i < NM_GUARD_COUNTERS; i = next) {
		uint64_t sum = values[i];

		for (next = i + 1; next < NM_GUARD_COUNTERS && !counters[next]; next++)
			sum += values[next];
		fprintf(out, "counter %s %llu\n", counters[i], (unsigned long long)sum);
	}
	for (size_t i = 0; i < nm_guard_programs(guard); i++) {
		struct nm_guard_program program;

		if (nm_guard_program(guard, i, &program, &detail))
			return fail(&detail);
		fprintf(out, "program %s missed=%llu instructions=%u runs=%llu time=%llu\n",
			program.name, (unsigned long long)program.missed, program.instructions,
			(unsigned long long)program.runs, (unsigned long long)program.run_time);
	}
	return 0;
}

static int watch(struct nm_guard *guard, char **command, FILE *out)
{
	struct nestmig_detail detail;
	int status = TROUBLE << 8;
	pid_t child;

	signal(SIGCHLD, note_end);
	child = fork();
	if (!child) {
		execvp(command[0], command);
		_exit(127);
	}
	while (!ended)
		if (nm_guard_poll(guard, 200, print_event, out, &detail))
			return fail(&detail);
	waitpid(child, &status, 0);
	if (nm_guard_poll(guard, 0, print_event, out, &detail))
		return fail(&detail);
	if (print_counters(guard, out))
		return TROUBLE;
	return WIFEXITED(status) ? WEXITSTATUS(status) : TROUBLE;
}

struct run {
	struct nm_guard_options options;
	unsigned loads, cycles;
	const char *pin; /* NULL: not pinned */
	char **command;
	FILE *out;
};

/* Loads and attaches the guard, as often as that is wanted. */
static int start(const struct run *run, const struct nestmig_host *host,
		 struct nm_guard **ret_guard)
{
	struct nestmig_detail detail;
	struct nm_guard *guard;

	for (unsigned i = 0; i < run->loads; i++) {
		if (nm_guard_start(&run->options, host, &guard, &detail))
			return fail(&detail);
		nm_guard_free(guard);
	}
	if (nm_guard_start(&run->options, host, &guard, &detail))
		return fail(&detail);
	for (unsigned i = 0; i < run->cycles; i++) {
		nm_guard_detach(guard);
		if (nm_guard_attach(guard, &detail)) {
			nm_guard_free(guard);
			return fail(&detail);
		}
	}
	*ret_guard = guard;
	return 0;
}

/* Goes on with what is pinned, as another process would. */
static int hand_over(struct nm_guard **guard, const char *dir)
{
	struct nestmig_detail detail;
	enum nestmig_error error = nm_guard_pin(*guard, dir, &detail);

	nm_guard_free(*guard);
	*guard = NULL;
	if (!error)
		error = nm_guard_open_pinned(dir, guard, &detail);
	return error ? fail(&detail) : 0;
}

static int run_guarded(const struct run *run)
{
	struct nestmig_host *host = NULL;
	struct nm_guard *guard = NULL;
	struct nestmig_detail detail;
	int status;

	if (nestmig_host_live(&host, &detail))
		return fail(&detail);
	status = start(run, host, &guard);
	nestmig_host_free(host);
	if (!status && run->pin)
		status = hand_over(&guard, run->pin);
	if (status)
		return status;
	setvbuf(run->out, NULL, _IOLBF, 0);
	fprintf(run->out, "guard %s %s\n", run->options.enforce ? "enforce" : "audit",
		nm_guard_can_deny(guard) ? "lsm" : "no-lsm");
	status = watch(guard, run->command, run->out);
	nm_guard_free(guard);
	if (run->pin && nm_guard_remove(run->pin, &detail))
		return fail(&detail);
	return status;
}

/* The index of the first argument that is no option. */
static int parse(int argc, char **argv, struct run *run)
{
	int i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--enforce"))
			run->options.enforce = true;
		else if (!strcmp(argv[i], "--audit"))
			run->options.enforce = false;
		else if (!strcmp(argv[i], "--best-effort"))
			run->options.best_effort = true;
		else if (!strcmp(argv[i], "--loads") && i + 1 < argc)
			run->loads = (unsigned)strtoul(argv[++i], NULL, 10);
		else if (!strcmp(argv[i], "--cycles") && i + 1 < argc)
			run->cycles = (unsigned)strtoul(argv[++i], NULL, 10);
		else if (!strcmp(argv[i], "--pin") && i + 1 < argc)
			run->pin = argv[++i];
		else
			return argc;
	}
	return i;
}

int main(int argc, char **argv)
{
	struct run run = {0};
	struct nestmig_detail detail;
	int i;

	if (argc == 3 && !strcmp(argv[1], "--remove"))
		return nm_guard_remove(argv[2], &detail) ? fail(&detail) : 0;
	i = parse(argc, argv, &run);
	run.out = argc - i < 2 ? NULL : fopen(argv[i], "w");
	if (!run.out) {
		fprintf(stderr, "usage: guardrun [--audit | --enforce] [--best-effort] [--loads N] "
				"[--cycles N] "
				"[--pin DIR] EVENTS COMMAND...\n");
		return TROUBLE;
	}
	run.command = argv + i + 1;
	return run_guarded(&run);
}
