/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of `nestmig guard` share, and what `nestmig top` takes of them. */
#ifndef NESTMIG_GUARD_COMMAND_H
#define NESTMIG_GUARD_COMMAND_H

#include "cli.h"
#include "guard_event.h"
#include "guard_load.h"

#define GUARD_DIR "/sys/fs/bpf/nestmig" /* where an installed guard is pinned */

struct guard_options {
	bool has_mode, enforce, observe, best_effort, json;
	int rate;            /* events a second and VM; 0: no limit */
	const char *host;    /* profile, or NULL: this machine */
	const char *metrics; /* file, or NULL */
};

#define GUARD_RATE     100
#define GUARD_RATE_MAX 1000000

/* May this process load and read BPF programs? Errors: CAPABILITY. */
NESTMIG_CHECKED enum nestmig_error guard_check_privilege(struct nestmig_detail *detail);

/* Loads and attaches a guard of this process. Errors: those of nm_guard_start and of reading the host. */
NESTMIG_CHECKED enum nestmig_error guard_start(const struct guard_options *options,
					       struct nm_guard **ret_guard,
					       struct nestmig_detail *detail);

/* Says on stderr which programs are left out. Errors: NOMEM. */
NESTMIG_CHECKED enum nestmig_error guard_warn(const struct command *self,
					      const struct nm_guard *guard,
					      const struct nm_guard_config *config,
					      struct nestmig_detail *detail);

/* The command name of a process, untrusted; that in an event is the thread's. false: it has ended. */
bool guard_process_name(uint32_t pid, char *name, size_t size);

/* `nestmig guard run`, until a signal ends it. Returns an exit code. */
int guard_run(const struct command *self, const struct guard_options *options);

/* ---- Status (guard_status.c) ------------------------------------------------------------------ */

#define GUARD_LEFT_OUT_MAX 40

struct guard_status {
	struct nm_guard_config config;
	uint64_t counters[NM_GUARD_COUNTERS], broken[NESTMIG_RULES]; /* broken: by rule */
	size_t vcpus;
	struct nm_guard_program *programs; /* owned */
	size_t program_count;
	char left_out[GUARD_LEFT_OUT_MAX][64]; /* programs that are not attached */
	size_t left_out_count;
};

/* Errors: those of reading a guard; NOMEM. */
NESTMIG_CHECKED enum nestmig_error guard_status_read(const struct nm_guard *guard,
						     struct guard_status *ret_status,
						     struct nestmig_detail *detail);
void guard_status_free(struct guard_status *status);

/* The caller frees the text. NULL instead of a status: nothing is installed. Errors: NOMEM. */
NESTMIG_CHECKED enum nestmig_error guard_status_text(const struct guard_status *status,
						     char **ret_text);
NESTMIG_CHECKED enum nestmig_error guard_status_json(const struct guard_status *status,
						     char **ret_text);
NESTMIG_CHECKED enum nestmig_error guard_status_metrics(const struct guard_status *status,
							char **ret_text);

/* The name of a counter, for a test of the table; NULL if it has none. */
const char *guard_counter_name(enum nm_guard_counter counter);

/* ---- The journal (guard_journal.c) ------------------------------------------------------------- */

/* Is standard output the journal's (JOURNAL_STREAM)? */
bool guard_has_journal(void);

/* Errors: IO. */
NESTMIG_CHECKED enum nestmig_error guard_to_journal(const struct guard_told *told,
						    struct nestmig_detail *detail);

#endif
