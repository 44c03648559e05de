/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values at the edges of what KVM and VMRUN allow, by place. */
#ifndef DIFFERENTIAL_EDGES_H
#define DIFFERENTIAL_EDGES_H

#include "base.h"

#define MAX_EDGE_VALUES  40
#define MAX_RECIPE_STEPS 6

enum edge_kind {
	EDGE_FLIP,    /* one of the values is flipped: bits that mean something together */
	EDGE_SET,     /* one of the values is set */
	EDGE_ADDRESS, /* a guest-physical address at an edge */
};

struct edge {
	const char *place;
	uint8_t weight;      /* against the other edges of the group */
	uint8_t kind, count; /* kind: enum edge_kind */
	uint64_t values[MAX_EDGE_VALUES];
};

/* Several places that mean something only together: changed as one. */
struct recipe {
	uint8_t group;
	struct recipe_step {
		const char *place; /* NULL: no more steps */
		uint64_t set;
		uint64_t mask; /* the bits of `set` that count; 0: all */
	} steps[MAX_RECIPE_STEPS];
};

extern const struct recipe recipes[], vmx_recipes[];
extern const size_t recipe_count, vmx_recipe_count; /* a VMX vCPU has both */

/*
 * The edge of a place, or NULL. A field of the SMRAM image or of a page in guest memory has the
 * edges of the register or VMCB field that it becomes.
 */
const struct edge *edge_find(const char *place, bool is_vmx);

/* Those of VMX, by a name without an address (edges_vmx.c). */
const struct edge *vmx_edge_find(const char *name);

#endif
