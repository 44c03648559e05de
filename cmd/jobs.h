/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One piece of work a file, by several threads, printed in the order of the files. */
#ifndef NESTMIG_JOBS_H
#define NESTMIG_JOBS_H

#include "cli.h"

#define JOBS_MAX 256

struct jobs {
	const char *what; /* before the count of the progress: "nestmig validate" */
	size_t count;     /* of files */
	int threads;      /* 1: this one alone; 0: one a processor */
	bool separate;    /* an empty line between what two files print */
	/*
	 * Works on one file: prints to out and err, returns an exit code. Called by several threads at the
	 * same time, once for each index.
	 */
	int (*work)(void *ctx, size_t index, FILE *out, FILE *err);
	void *ctx;
};

/*
 * Does all the work and returns the highest exit code. What work printed to out and err appears whole on
 * stdout and stderr, in the order of the indexes. If stderr is a terminal, it tells after a second how
 * far it is. Ends early if stdout cannot be written.
 */
int jobs_run(const struct jobs *jobs);

#endif
