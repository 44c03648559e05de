/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One piece of work a file, by several processes, printed in the order of the files. A file that ends the
 * process which reads it costs an error for itself, and nothing of the others.
 */
#ifndef NESTMIG_JOBS_H
#define NESTMIG_JOBS_H

#include "cli.h"

#define JOBS_MAX 256

struct jobs {
	const struct command *self;
	const char *what;         /* before the count of the progress: "nestmig validate" */
	const char *const *names; /* of the files */
	size_t count;
	int processes; /* 1: this one alone; 0: one a processor */
	int input;     /* a descriptor that work reads from, or -1 */
	bool separate; /* an empty line between what two files print */
	bool json;     /* errors, too */
	/*
	 * Called once in each process before any work: enters the sandbox. Prints to out and err, returns an exit
	 * code; with any but EXIT_CLEAN nothing else is done.
	 */
	int (*prepare)(void *ctx, FILE *out, FILE *err);
	/* Works on one file: prints to out and err, returns an exit code. */
	int (*work)(void *ctx, size_t index, FILE *out, FILE *err);
	void *ctx;
};

/* How many processes are started where so many are wanted (0: one a processor) for count files. */
size_t jobs_process_count(int wanted, size_t count);

/*
 * Does all the work and returns the highest exit code. What work printed to out and err appears whole on
 * stdout and stderr, in the order of the indexes. If stderr is a terminal, it tells after a second how
 * far it is. Ends early if stdout cannot be written. With several processes this one reads no file: it
 * need not be in the sandbox.
 */
int jobs_run(const struct jobs *jobs);

#endif
