/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases: what is changed in a base state. */
#ifndef DIFFERENTIAL_MUTATE_H
#define DIFFERENTIAL_MUTATE_H

#include "base.h"

#define MAX_POKES 24

struct poke {
	const struct place *place;
	uint64_t before, after;
};

struct mutation {
	unsigned number; /* its name */
	struct poke pokes[MAX_POKES];
	unsigned poke_count;
	char order[512]; /* another restore order, or empty: the base's */
};

/* Makes case `number` of a variant. The same seed, variant and number give the same case. */
void mutation_draw(const struct base *base, uint64_t seed, unsigned number,
		   struct mutation *ret_mutation);

#endif
