/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a nested guest loses that moves from host A to host B: state made on A, resumed on B. What B has and A has
 * not is told for completeness.
 */
#ifndef NESTMIG_HOST_DIFF_H
#define NESTMIG_HOST_DIFF_H

#include "host.h"

enum nm_host_level {
	NM_LEVEL_BLOCKS, /* no L2, or none as every hypervisor runs it, resumes */
	NM_LEVEL_RISK,   /* guests that use it do not resume, or not as they were */
	NM_LEVEL_INFO,   /* nothing that a guest's state rests on */
	NM_LEVELS
};

struct nm_host_difference {
	enum nm_host_level level;
	const char *kind; /* "vendor", "kernel", "rule", "parameter", "capability", "cpuid", "vmx",
			     "msr", "probe", "advisory", "fact" */
	char name[96];
	char a[80], b[80]; /* values in words; empty: not there */
	const char *why;   /* what follows, one sentence; "": nothing to say */
};

struct nm_host_diff {
	const struct nestmig_host *a, *b; /* not owned */
	struct nm_host_difference *items; /* owned; by level, then in the order of comparison */
	size_t count;
	size_t counts[NM_LEVELS];
	const char *unknown[8]; /* what is not known of A or B, so that it was not compared */
	size_t unknown_count;
};

/* Compares; the hosts must outlive the diff. Errors: NOMEM. */
NESTMIG_CHECKED enum nestmig_error nm_host_diff_new(const struct nestmig_host *a,
						    const struct nestmig_host *b,
						    struct nm_host_diff **ret_diff);
void nm_host_diff_free(struct nm_host_diff *diff);

/* "blocks", "risk", "info". */
const char *nm_host_level_name(enum nm_host_level level);

/* As text (info only with all), and one line of JSON, schema "nestmig.host-diff/1", with all. name_a and
 * name_b are what the caller calls the hosts. Errors: NOMEM. */
NESTMIG_CHECKED enum nestmig_error nm_host_diff_text(const struct nm_host_diff *diff,
						     const char *name_a, const char *name_b,
						     bool all, char **ret_text);
NESTMIG_CHECKED enum nestmig_error nm_host_diff_json(const struct nm_host_diff *diff,
						     const char *name_a, const char *name_b,
						     char **ret_text);

/* ---- Inside (host_diff_guest.c) -------------------------------------------------------------- */

/* Adds a difference; a and b are format arguments' results already. Errors: NOMEM. */
NESTMIG_CHECKED enum nestmig_error nm_host_diff_add(struct nm_host_diff *diff,
						    enum nm_host_level level, const char *kind,
						    const char *name, const char *a, const char *b,
						    const char *why);

/* What guests are offered: CPUID bits, widths, and what VMX capability MSRs allow. */
NESTMIG_CHECKED enum nestmig_error nm_host_diff_cpuid(struct nm_host_diff *diff);
NESTMIG_CHECKED enum nestmig_error nm_host_diff_vmx(struct nm_host_diff *diff);

#endif
