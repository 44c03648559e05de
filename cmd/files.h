/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files that a command line names: arguments, a list in a file, and standard input as "-". */
#ifndef NESTMIG_FILES_H
#define NESTMIG_FILES_H

#include "cli.h"

struct files {
	char **names; /* owned; the texts are borrowed from argv or stand in list */
	size_t count;
	char *list;     /* owned: the content of --files-from, or NULL */
	int input;      /* what "-" is read from, or -1 */
	bool has_input; /* "-" is among the names */
	const char *
		snapshot; /* which one of a qcow2 image, or NULL; set by the caller, also before files_gather */
};

/*
 * Takes the arguments and what the file list names (NULL: no list; "-": standard input). A list is
 * separated by NULs if it has any, else by newlines; empty names are skipped. Errors: IO, LIMIT (a
 * list of more than 64 MiB), INVALID ("-" twice), NOMEM.
 */
NESTMIG_CHECKED enum nestmig_error files_gather(struct files *files, int argc, char **argv,
						const char *list, struct nestmig_detail *detail);

/*
 * Makes "-" readable at any offset: a pipe is spooled into a file without a name. Must be called
 * before the sandbox is entered; does nothing without "-". Errors: those of spool.h.
 */
NESTMIG_CHECKED enum nestmig_error files_open_input(struct files *files,
						    struct nestmig_detail *detail);

/*
 * Enters the sandbox: from here on the command opens only these files, profile and output (NULL: none;
 * see sandbox.h).
 */
NESTMIG_CHECKED enum nestmig_error files_enter_sandbox(const struct files *files,
						       const char *profile, const char *output,
						       struct nestmig_detail *detail);

/* Reads the state in the file at index. */
NESTMIG_CHECKED enum nestmig_error files_read(const struct files *files, size_t index,
					      unsigned flags, struct nestmig_state **ret_state,
					      struct nestmig_detail *detail);

void files_free(struct files *files);

#endif
