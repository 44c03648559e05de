/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One state against many hosts: what does not depend on the host is worked out once. It says the same as
 * nestmig_judge, in as much of it as a table shows.
 */
#ifndef NESTMIG_PLACE_H
#define NESTMIG_PLACE_H

#include "judge.h"

/* What a state comes to on a host: of the first vCPU with the worst verdict. Without padding, so that two that are
 * the same have the same bytes. */
struct nm_placement {
	uint32_t verdict;   /* enum nestmig_verdict, of the whole state */
	uint32_t vcpu;      /* its id; UINT32_MAX: the state has no vCPU */
	uint32_t outcome;   /* enum nm_consequence, of that vCPU */
	uint32_t rule;      /* FAIL: the index of the broken rule that decides; else UINT32_MAX */
	uint64_t missing;   /* UNKNOWN: NESTMIG_HAVE bits, what the undecided rules lack */
	uint64_t undecided; /* UNKNOWN: how many rules of severity ERROR */
};

struct nm_placer;

/* The state must live longer. Errors: NOMEM. */
NESTMIG_CHECKED enum nestmig_error nm_placer_new(const struct nestmig_state *state,
						 struct nm_placer **ret_placer);
void nm_placer_free(struct nm_placer *placer);

/* Judges all vCPUs for one host. Allocates nothing; one placer belongs to one thread at a time. */
void nm_place(struct nm_placer *placer, const struct nestmig_host_view *host,
	      struct nm_placement *ret_placement);

#endif
