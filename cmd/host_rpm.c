// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The changelog of the kernel's package where rpm keeps it: `rpm -qf --changelog` of the running kernel's image. The
 * package that owns that file is the one that was built for it, so its whole changelog counts.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"
#include "host.h"
#include "host_advisories.h"
#include "host_command.h"

#define RPM        "/usr/bin/rpm"
#define OUTPUT_MAX ((size_t)64 * 1024 * 1024)
#define CHUNK      ((size_t)1024 * 1024)
#define LIMIT_MS   20000 /* without a byte */

/* All that comes from a pipe, NUL-terminated; NULL: nothing, too much, or not in time. */
static char *read_all(int fd)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	size_t used = 0, size = 0;
	char *text = NULL;
	ssize_t n = 1;

	while (n > 0 && used < OUTPUT_MAX) {
		if (used + CHUNK + 1 > size) {
			char *more = realloc(text, size + 4 * CHUNK);

			if (!more)
				break;
			text = more;
			size += 4 * CHUNK;
		}
		if (poll(&wait, 1, LIMIT_MS) <= 0)
			break;
		n = read(fd, text + used, CHUNK);
		used += n > 0 ? (size_t)n : 0;
	}
	if (n != 0 || !used) {
		free(text);
		return NULL;
	}
	for (size_t i = 0; i < used; i++)
		if (!text[i])
			text[i] = ' ';
	text[used] = '\0';
	return text;
}

/* Starts rpm with its output to a pipe. */
static bool start_rpm(const char *image, pid_t *ret_pid, int *ret_fd)
{
	char *const argv[] = {(char[]){"rpm"}, (char[]){"-qf"}, (char[]){"--changelog"},
			      (char *)image, NULL};
	char *const environment[] = {(char[]){"LC_ALL=C.UTF-8"}, NULL};
	posix_spawn_file_actions_t actions;
	int ends[2], failed;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	failed = posix_spawn(ret_pid, RPM, &actions, NULL, argv, environment);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	if (failed)
		close(ends[0]);
	*ret_fd = ends[0];
	return !failed;
}

enum nestmig_error host_ask_rpm(struct nestmig_host *host, struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;
	char image[256], *text;
	pid_t pid;
	int fd, status = 0;

	if (!host->kernel || strchr(host->kernel, '/') || access(RPM, X_OK) != 0)
		return NESTMIG_OK;
	snprintf(image, sizeof(image), "/lib/modules/%s/vmlinuz", host->kernel);
	if (!start_rpm(image, &pid, &fd))
		return NESTMIG_OK;
	text = read_all(fd);
	close(fd);
	if (!text)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (text && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		error = nm_host_search_changelog(host, text, NULL, detail);
	free(text);
	return error;
}
