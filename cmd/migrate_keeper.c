// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig migrate: who cares for the VM when the process that migrates it is killed. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"
#include "migrate_sides.h"

/* A QMP socket serves one client: another one may be before us. */
#define TRIES 6

static void say(const struct sides_outcome *outcome)
{
	/* Run states and why are printable: live.c. */
	fprintf(stderr,
		"nestmig migrate: the process was killed; the VM is at the %s (source: %s, "
		"destination: %s)%s%s\n",
		sides_at_name(outcome->at), outcome->source, outcome->dest,
		*outcome->why ? ": " : "", outcome->why);
}

static void take_care(const struct sides_plan *plan, const char *source, const char *dest)
{
	struct sides_outcome outcome;
	struct nestmig_detail detail = {0};
	enum nestmig_error error = NESTMIG_ERR_QMP;
	struct sides sides = {0};
	const char *about = source;

	for (int i = 0; error && i < TRIES; i++) {
		sides = (struct sides){.source_address = source, .dest_address = dest};
		error = sides_open(&sides, &about, &detail);
		/* A source that is only to go on waits for no destination, and nobody else asks one that has gone. */
		if (error && about == dest &&
		    (plan->phase != SIDES_DECIDED || sides.is_dest_absent || i + 1 == TRIES))
			break;
		if (error)
			sides_close(&sides);
	}
	if (sides.source.qmp) {
		sides_settle(&sides, plan, &outcome);
		say(&outcome);
	} else {
		fprintf(stderr,
			"nestmig migrate: the process was killed, and nobody cares for the VM: "
			"%s\n",
			detail.text);
	}
	sides_close(&sides);
}

static _Noreturn void keep(const struct keeper *keeper, int watched, const char *source,
			   const char *dest)
{
	ssize_t n;
	char byte;

	setsid();
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	do
		n = read(watched, &byte, 1);
	while (n > 0 || (n < 0 && errno == EINTR));
	if (keeper->plan->phase == SIDES_STARTED || keeper->plan->phase == SIDES_DECIDED)
		take_care(keeper->plan, source, dest);
	_exit(EXIT_SUCCESS);
}

enum nestmig_error keeper_start(struct keeper *keeper, const char *source, const char *dest,
				struct nestmig_detail *detail)
{
	struct sides_plan *plan = mmap(NULL, sizeof(*plan), PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int ends[2];

	*keeper = (struct keeper){.pipe = -1};
	if (plan == MAP_FAILED)
		return nm_fail_errno(detail, "sharing memory");
	*plan = (struct sides_plan){.phase = SIDES_BEFORE};
	keeper->plan = plan;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return nm_fail_errno(detail, "pipe");
	fflush(NULL);
	keeper->pid = fork();
	if (keeper->pid == 0) {
		close(ends[1]);
		keep(keeper, ends[0], source, dest);
	}
	close(ends[0]);
	keeper->pipe = ends[1];
	return keeper->pid < 0 ? nm_fail_errno(detail, "starting a process") : NESTMIG_OK;
}

void keeper_end(struct keeper *keeper)
{
	if (!keeper->plan)
		return;
	keeper->plan->phase = SIDES_OVER;
	if (keeper->pipe >= 0)
		close(keeper->pipe);
	while (keeper->pid > 0 && waitpid(keeper->pid, NULL, 0) < 0 && errno == EINTR)
		;
	munmap(keeper->plan, sizeof(*keeper->plan));
	*keeper = (struct keeper){.pipe = -1};
}
