/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of `nestmig top`: from two looks at the guard's vCPUs to rates. */
#ifndef NESTMIG_TOP_TABLE_H
#define NESTMIG_TOP_TABLE_H

#include "guard_event.h"
#include "guard_load.h"

/* One look. */
struct top_sample {
	struct nm_guard_vcpu *vcpus; /* owned; by VM and vCPU, each once */
	size_t count, room;
	int64_t time; /* CLOCK_MONOTONIC, in ns */
};

struct top_row {
	uint32_t pid, vm, vcpu; /* pid: of the process that created the VM */
	char vmm[GUARD_NAME_SIZE];
	const char *mode;
	double l2_share, smm_share;   /* of the time between the looks, 0 to 1 */
	double entries, exits;        /* nested, a second */
	uint64_t synthesised;         /* since the guard was attached */
	char last[32], last_short[9]; /* the last of them, or empty */
	uint64_t last_age;            /* how long ago, in s */
};

struct top_table {
	struct top_row *rows; /* owned; the busiest first */
	size_t count;
	double interval; /* in s */
};

/* Errors: those of nm_guard_vcpus; NOMEM. */
NESTMIG_CHECKED enum nestmig_error top_look(const struct nm_guard *guard, int64_t now,
					    struct top_sample *ret_sample,
					    struct nestmig_detail *detail);
void top_sample_free(struct top_sample *sample);

/* Adds a vCPU as the map has it; false is out of memory. top_sort makes a sample of what was added. */
bool top_add(struct top_sample *sample, const struct nm_guard_vcpu *vcpu);
void top_sort(struct top_sample *sample);

/* name_of: fills in the name of a process, untrusted; false: it has ended. Errors: NOMEM. */
NESTMIG_CHECKED enum nestmig_error
top_compare(const struct top_sample *before, const struct top_sample *after,
	    enum nestmig_vendor vendor, bool (*name_of)(uint32_t pid, char *name, size_t size),
	    struct top_table *ret_table);
void top_table_free(struct top_table *table);

/* Lines of at most 80 columns, and one line of JSON, "nestmig.top/1"; rows: 0: all. Errors: NOMEM. */
NESTMIG_CHECKED enum nestmig_error top_text(const struct top_table *table, size_t rows,
					    char **ret_text);
NESTMIG_CHECKED enum nestmig_error top_json(const struct top_table *table, char **ret_text);

#endif
