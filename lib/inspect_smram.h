/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What there is to say of the SMRAM of a vCPU, for the renderers. */
#ifndef NESTMIG_INSPECT_SMRAM_H
#define NESTMIG_INSPECT_SMRAM_H

#include <jansson.h>

#include "smram/smram.h"
#include "fields.h"

struct nm_smram_info {
	const char *state;  /* "shown", or why not: "not-in-smm", "not-at-hand", ... */
	const char *reason; /* the same for people */
	bool shown;
	/* If shown: the map by which RSM reads it, and how that is known. */
	enum smram_map map;
	bool by_cpuid;
	/* The map that the revision id stands for: "kvm64", "kvm32", "intel64", "intel32", or NULL. */
	const char *image_map;
};

struct nm_smram_info nm_smram_info(const struct nestmig_state *state, const struct nm_vcpu *vcpu);

/* A field of Intel's maps. */
struct nm_smram_foreign {
	const char *name;
	uint32_t offset; /* in the area, from SMBASE + SMRAM_AREA_BASE */
	unsigned width;
};

/* The n-th field, from 0, of one of Intel's maps that is at hand, or NULL after the last. */
const struct nm_smram_foreign *nm_smram_foreign(const struct nm_vcpu *vcpu, const char *map,
						size_t n);

/* Does the revision id stand for a map that RSM of KVM does not read? */
bool nm_smram_is_foreign(const struct nm_smram_info *info);

#define NM_SMRAM_SEGMENTS 8
extern const char *const nm_smram_segments[NM_SMRAM_SEGMENTS];

/* Field smram.NAME.PART; 0 if the map has none. */
uint64_t nm_smram_value(const struct nm_vcpu *vcpu, const char *name, const char *part);

/* A segment register, with its attributes taken apart. */
struct nestmig_segment nm_smram_segment(const struct nm_vcpu *vcpu, const char *name);

/* Object "smram" of a vCPU. */
json_t *nm_smram_json(const struct nestmig_state *state, const struct nm_vcpu *vcpu);

/* A field as it stands in a document of inspect. */
json_t *nm_json_field(const struct nm_vcpu *vcpu, const struct nm_field *field);

#endif
