/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of CPUID's feature bits (host_cpuid.def). */
#ifndef NESTMIG_HOST_CPUID_H
#define NESTMIG_HOST_CPUID_H

#include "host.h"

struct nm_features {
	uint32_t function, index;
	const char *reg; /* "eax", ... */
	const char *names[32];
};

/* The registers that consist of feature bits, in ascending order. */
extern const struct nm_features nm_features[];
extern const size_t nm_features_count;

/* Such a register in a list of entries; 0 where the list has no such leaf. */
uint32_t nm_features_of(const struct nm_features *features, const struct nm_cpuid_entry *entries,
			size_t count);

/* Writes "svm" or "cpuid 0x7.0 ebx bit 12" for a bit without a name. */
void nm_feature_name(const struct nm_features *features, unsigned bit, char *buffer, size_t size);

/* The register of a function with index 0, or NULL. */
const struct nm_features *nm_features_find(uint32_t function, const char *reg);

#endif
