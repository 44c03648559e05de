/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the subcommands of nestmig share. One subcommand, one file, one row in commands[] of main.c.
 */
#ifndef NESTMIG_CLI_H
#define NESTMIG_CLI_H

#include <stdio.h>

#include "nestmig.h"

/* Exit codes of every subcommand but hooks. */
enum { EXIT_CLEAN = 0, EXIT_FINDINGS = 1, EXIT_TROUBLE = 2 };

struct command {
	const char *name;
	const char *synopsis; /* after "nestmig NAME " */
	const char *summary;  /* one line, no full stop */
	const char *options;  /* the option table of --help, a line each, ready to print */
	/* argv[0] is the subcommand's name. Returns an exit code. */
	int (*run)(const struct command *self, int argc, char **argv);
	int section; /* of its manual page */
};

int cmd_snapshot(const struct command *self, int argc, char **argv);
int cmd_validate(const struct command *self, int argc, char **argv);
int cmd_place(const struct command *self, int argc, char **argv);
int cmd_inspect(const struct command *self, int argc, char **argv);
int cmd_diff(const struct command *self, int argc, char **argv);
int cmd_convert(const struct command *self, int argc, char **argv);
int cmd_extract(const struct command *self, int argc, char **argv);
int cmd_report(const struct command *self, int argc, char **argv);
int cmd_restore(const struct command *self, int argc, char **argv);
int cmd_migrate(const struct command *self, int argc, char **argv);
int cmd_gate(const struct command *self, int argc, char **argv);
int cmd_guard(const struct command *self, int argc, char **argv);
int cmd_top(const struct command *self, int argc, char **argv);
int cmd_hook(const struct command *self, int argc, char **argv);
int cmd_host(const struct command *self, int argc, char **argv);
int cmd_rules(const struct command *self, int argc, char **argv);
int cmd_explain(const struct command *self, int argc, char **argv);

/* Prints the help of a subcommand to stdout; returns EXIT_CLEAN. */
int cli_help(const struct command *self);

/* Prints "nestmig NAME: TEXT" and the synopsis to stderr; returns EXIT_TROUBLE. */
__attribute__((format(printf, 2, 3))) int cli_usage_error(const struct command *self,
							  const char *format, ...);

/* The same after an option that getopt has complained about: only the synopsis. */
int cli_wrong_option(const struct command *self);

/* Prints the name of a file; control characters, which could steer a terminal, as '?'. */
void cli_put_name(FILE *out, const char *name);

/*
 * Reports a failed operation: on stderr as "nestmig NAME: FILE: TEXT (at byte OFFSET)", and with
 * json also as a line
 * {"schema":"nestmig.error/1","file":...,"error":...,"offset":...,"message":...} on stdout. file
 * may be NULL. Returns EXIT_TROUBLE.
 */
int cli_error(const struct command *self, bool json, const char *file, enum nestmig_error error,
	      const struct nestmig_detail *detail);

/* The same to other streams than stderr and stdout. */
int cli_error_to(FILE *out, FILE *err, const struct command *self, bool json, const char *file,
		 enum nestmig_error error, const struct nestmig_detail *detail);

/* Does this verdict keep a command from going on? With strict an unknown one does too, with force none. */
bool cli_refuses(enum nestmig_verdict verdict, bool strict, bool force);

/* Writes text to stdout, as whole lines; frees it. main() flushes and checks stdout once, at the end. */
void cli_print(char *text);
void cli_print_to(FILE *out, char *text);

/* Should stdout have colours: a terminal, and NO_COLOR not set? */
bool cli_colour(void);

/*
 * Writes a whole text file: a temporary file in the same directory, fsync, rename, mode 0600 or
 * 0644. Nothing is left behind on failure. INVALID: what has this name is not a regular file.
 */
NESTMIG_CHECKED enum nestmig_error cli_write_file(const char *path, const char *text, unsigned mode,
						  struct nestmig_detail *detail);

#endif
