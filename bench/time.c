// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * time [-c FILE] TIMES PROGRAM ARGUMENT...: runs a program so many times, its output thrown away, and prints
 * the shortest wall-clock time in seconds and the largest resident set in KiB. With -c the pages of FILE are
 * dropped from the page cache before each run.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"

static int drop(const char *path)
{
	int fd = open(path, O_RDONLY), error = -1;

	/* Only clean pages are dropped. */
	if (fd >= 0 && fsync(fd) == 0)
		error = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	if (fd >= 0)
		close(fd);
	return error;
}

static int run(char **argv, struct rusage *ret_usage)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (!freopen("/dev/null", "w", stdout))
			_exit(126);
		execvp(argv[0], argv);
		perror(argv[0]);
		_exit(126);
	}
	if (pid < 0 || wait4(pid, &status, 0, ret_usage) < 0 || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	const char *cold = NULL;
	double best = 1e9;
	long rss = 0;

	if (argc > 3 && strcmp(argv[1], "-c") == 0) {
		cold = argv[2];
		argv += 2;
		argc -= 2;
	}
	if (argc < 3)
		return 2;
	for (int i = atoi(argv[1]); i > 0; i--) {
		struct rusage usage;
		double start, took;
		int status;

		if (cold && drop(cold)) {
			perror(cold);
			return 2;
		}
		start = now();
		status = run(argv + 2, &usage);
		took = now() - start;
		/* 1: nestmig has found something. */
		if (status < 0 || status > 1) {
			fprintf(stderr, "bench-time: %s: exit status %d\n", argv[2], status);
			return 2;
		}
		best = took < best ? took : best;
		rss = usage.ru_maxrss > rss ? usage.ru_maxrss : rss;
	}
	printf("%.6f %ld\n", best, rss);
	return 0;
}
