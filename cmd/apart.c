// SPDX-License-Identifier: GPL-2.0-or-later
/* A process of its own for parsing. */
#include "apart.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"
#include "live.h"

/* How often a caught signal is looked for, ms. */
#define SIGNAL_MS 200
/* How long a process that has closed the channel may take to end, ms. */
#define END_MS 500

/* Of types that can be taken from anybody. */
struct outcome {
	int error, sys_errno;
	uint64_t has_offset, offset;
	char text[sizeof(((struct nestmig_detail *)0)->text)];
};

/* Closes all from 3 on but these two; b may be -1. */
static void close_others(int a, int b)
{
	int low = a < b || b < 0 ? a : b, high = a < b ? b : a;

	if (low > 3)
		(void)close_range(3, (unsigned)low - 1, 0);
	if (high > low + 1)
		(void)close_range((unsigned)low + 1, (unsigned)high - 1, 0);
	(void)close_range((unsigned)high + 1, ~0U, 0);
}

/* parent: 0 for a process that outlives it. */
static void run_apart(void (*work)(void *ctx, int channel), void *ctx, int channel, int keep,
		      pid_t parent)
{
	close_others(channel, keep);
	/* Who has gone before this call sends no signal. */
	if (!parent || (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent))
		work(ctx, channel);
	exit(EXIT_SUCCESS);
}

static enum nestmig_error start(struct apart *apart, void (*work)(void *ctx, int channel),
				void *ctx, int keep, bool lasting, struct nestmig_detail *detail)
{
	pid_t pid, parent = getpid();
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return nm_fail_errno(detail, "starting a process that reads");
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		run_apart(work, ctx, ends[1], keep, lasting ? 0 : parent);
	close(ends[1]);
	if (pid < 0) {
		nm_fail_errno(detail, "starting a process that reads");
		close(ends[0]);
		return NESTMIG_ERR_IO;
	}
	*apart = (struct apart){.pid = pid, .channel = ends[0]};
	return NESTMIG_OK;
}

enum nestmig_error apart_start(struct apart *apart, void (*work)(void *ctx, int channel), void *ctx,
			       int keep, struct nestmig_detail *detail)
{
	return start(apart, work, ctx, keep, false, detail);
}

enum nestmig_error apart_start_lasting(struct apart *apart, void (*work)(void *ctx, int channel),
				       void *ctx, int keep, struct nestmig_detail *detail)
{
	return start(apart, work, ctx, keep, true, detail);
}

bool apart_put(int channel, const void *bytes, size_t size)
{
	for (const char *p = bytes; size > 0;) {
		ssize_t n = write(channel, p, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		size -= (size_t)n;
	}
	return true;
}

static bool is_late(const struct apart *apart)
{
	return apart->deadline && live_now() > apart->deadline;
}

/* Until there is something to read. */
static bool wait_readable(const struct apart *apart, int channel)
{
	struct pollfd wait = {.fd = channel, .events = POLLIN};

	for (;;) {
		int n = poll(&wait, 1, SIGNAL_MS);

		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
		if (apart && live_interrupted())
			kill(apart->pid, SIGTERM);
		if (apart && is_late(apart))
			return false;
	}
}

bool apart_get(const struct apart *apart, int channel, void *bytes, size_t size)
{
	for (char *p = bytes; size > 0;) {
		ssize_t n = wait_readable(apart, channel) ? read(channel, p, size) : 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		size -= (size_t)n;
	}
	return true;
}

bool apart_put_error(int channel, enum nestmig_error error, const struct nestmig_detail *detail)
{
	struct outcome outcome;

	memset(&outcome, 0, sizeof(outcome));
	outcome.error = (int)error;
	outcome.sys_errno = detail->sys_errno;
	outcome.has_offset = detail->has_offset;
	outcome.offset = detail->offset;
	memcpy(outcome.text, detail->text, sizeof(outcome.text));
	return apart_put(channel, &outcome, sizeof(outcome));
}

enum nestmig_error apart_get_error(struct apart *apart, struct nestmig_detail *detail)
{
	struct outcome outcome;
	char *text = outcome.text;

	if (!apart_get(apart, apart->channel, &outcome, sizeof(outcome)))
		return apart_failed(apart, detail);
	if (!outcome.error)
		return NESTMIG_OK;
	text[sizeof(outcome.text) - 1] = '\0';
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
	nm_fail(detail, (enum nestmig_error)outcome.error, "%s", outcome.text);
	detail->has_offset = outcome.has_offset != 0;
	detail->offset = outcome.offset;
	detail->sys_errno = outcome.sys_errno;
	return (enum nestmig_error)outcome.error;
}

/* The status of a process that has closed the channel, and so is about to end: 0 if it does not. */
static int status_of(struct apart *apart)
{
	int status = 0;

	for (int i = 0; apart->pid && i < END_MS; i++) {
		if (waitpid(apart->pid, &status, WNOHANG) == apart->pid)
			apart->pid = 0;
		else
			usleep(1000);
	}
	return status;
}

enum nestmig_error apart_failed(struct apart *apart, struct nestmig_detail *detail)
{
	int status = status_of(apart);

	if (live_interrupted())
		return nm_fail(detail, NESTMIG_ERR_CANCELLED, "interrupted");
	if (!status && is_late(apart))
		return nm_fail(detail, NESTMIG_ERR_TIMEOUT,
			       "the process that reads has not answered in time");
	if (WIFSIGNALED(status))
		return nm_fail(detail, NESTMIG_ERR_IO,
			       "the process that reads was ended by signal %d (%s)",
			       WTERMSIG(status), strsignal(WTERMSIG(status)));
	return nm_fail(detail, NESTMIG_ERR_IO, "the process that reads has ended without a result");
}

void apart_end(struct apart *apart)
{
	if (apart->channel >= 0)
		close(apart->channel);
	apart->channel = -1;
	if (apart->pid == 0)
		return;
	kill(apart->pid, SIGKILL);
	while (waitpid(apart->pid, NULL, 0) < 0 && errno == EINTR)
		;
	apart->pid = 0;
}
