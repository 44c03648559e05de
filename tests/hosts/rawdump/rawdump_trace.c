// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KVM's tracepoint kvm_nested_vmenter_failed prints the condition that an entry to L2, or a
 * KVM_SET_NESTED_STATE, has not met. Each process reads its own in an instance of its own.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rawdump.h"

#define INSTANCES "/sys/kernel/tracing/instances"
#define EVENT     "kvm_nested_vmenter_failed: "

static char instance[64];
static int pipe_fd = -1;

static int write_text(const char *file, const char *text)
{
	char *path = path_new(instance, file);
	int fd = path ? open(path, O_WRONLY | O_CLOEXEC) : -1;
	ssize_t written = fd < 0 ? -1 : write(fd, text, strlen(text));

	if (fd >= 0)
		close(fd);
	free(path);
	return written < 0 ? -1 : 0;
}

void trace_open(void)
{
	static bool tried;
	char *path, pid[16];

	if (tried || host_vendor() != VENDOR_INTEL)
		return;
	tried = true;
	snprintf(instance, sizeof(instance), INSTANCES "/rawdump-%d", getpid());
	snprintf(pid, sizeof(pid), "%d", getpid());
	if (mkdir(instance, 0700))
		return;
	write_text("buffer_size_kb", "16");
	if (write_text("set_event_pid", pid) ||
	    write_text("events/kvm/kvm_nested_vmenter_failed/enable", "1"))
		return;
	path = path_new(instance, "trace_pipe");
	pipe_fd = path ? open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;
	free(path);
}

void trace_take(struct verdict *verdict)
{
	char text[4096], *reason;
	ssize_t length = pipe_fd < 0 ? 0 : read(pipe_fd, text, sizeof(text) - 1);

	if (length <= 0)
		return;
	text[length] = '\0';
	reason = strstr(text, EVENT);
	if (!reason)
		return;
	reason += strlen(EVENT);
	verdict_add(verdict, " cc=\"%.*s\"", (int)strcspn(reason, "\n"), reason);
	/* Only the first is told; the next case is not to see the others. */
	while (read(pipe_fd, text, sizeof(text)) > 0)
		continue;
}

void trace_close(void)
{
	if (pipe_fd >= 0)
		close(pipe_fd);
	pipe_fd = -1;
	if (instance[0])
		rmdir(instance);
	instance[0] = '\0';
}
