/* SPDX-License-Identifier: GPL-2.0-or-later */
/* struct nm_guard from the inside. */
#ifndef NESTMIG_GUARD_OBJECT_H
#define NESTMIG_GUARD_OBJECT_H

#include "guard_load.h"

struct bpf_link;
struct bpf_program;
struct nm_guard_bpf;
struct ring_buffer;

#define NM_GUARD_PROGRAMS_MAX 40
#define NM_GUARD_NAME         48

#define NM_GUARD_OTHER_VERSION                                                                     \
	"the guard was installed by another version of nestmig: remove it, and install it again"

struct nm_guard_attached {
	struct bpf_link *link; /* owned */
	char name[NM_GUARD_NAME], function[NM_GUARD_NAME];
};

struct nm_guard {
	struct nm_guard_bpf *skeleton;       /* NULL if it was pinned by another process */
	int config, counters, vcpus, events; /* maps: the skeleton's, or owned */
	bool can_deny, best_effort;
	struct nm_guard_attached attached[NM_GUARD_PROGRAMS_MAX];
	size_t attached_count;
	char refused[NM_GUARD_PROGRAMS_MAX][NM_GUARD_NAME]; /* by the verifier */
	size_t refused_count;
	struct ring_buffer *ring; /* from the first nm_guard_poll on */
	/* Of the nm_guard_poll that is going on. */
	nm_guard_tell *tell;
	void *data;
	int told;
	struct nm_guard_record record;
};

/* What a program is attached to: its section is "fexit/FUNCTION". */
const char *nm_guard_function_of(const struct bpf_program *program);

/* The functions of a guard that is pinned: a link does not tell. Errors: NOMEM. */
NESTMIG_CHECKED enum nestmig_error nm_guard_name_functions(struct nm_guard *guard,
							   struct nestmig_detail *detail);

/* "NAME" and "NAME_newer" are one program, for a function that has changed. */
bool nm_guard_is_same(const char *name, const char *other);

/* Is a program for the other case, with the LSM program or without it? */
bool nm_guard_is_of_other_case(const struct bpf_program *program, bool lsm);

/* Programs of one vendor have it in their names. */
bool nm_guard_is_of_other_vendor(const struct bpf_program *program, enum nestmig_vendor vendor);

#endif
