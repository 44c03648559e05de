// SPDX-License-Identifier: LGPL-2.1-or-later
/* Names of CPUID's feature bits. */
#include "host_cpuid.h"

#include <stdio.h>
#include <string.h>

/* A register begins where the one before ends: the first row ends nothing. */
const struct nm_features nm_features[] = {
	{
#define FEATURES(leaf, subleaf, which)                                                             \
	}                                                                                          \
	,                                                                                          \
	{                                                                                          \
		.function = (leaf), .index = (subleaf), .reg = #which,
#define FEATURE(bit, name) .names[bit] = (name),
#include "host_cpuid.def"
#undef FEATURES
#undef FEATURE
	},
};

const size_t nm_features_count = sizeof(nm_features) / sizeof(nm_features[0]);

uint32_t nm_features_of(const struct nm_features *features, const struct nm_cpuid_entry *entries,
			size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct nm_cpuid_entry *e = &entries[i];

		if (e->function != features->function || e->index != features->index)
			continue;
		switch (features->reg[1]) {
		case 'a':
			return e->eax;
		case 'b':
			return e->ebx;
		case 'c':
			return e->ecx;
		default:
			return e->edx;
		}
	}
	return 0;
}

void nm_feature_name(const struct nm_features *features, unsigned bit, char *buffer, size_t size)
{
	if (features->names[bit])
		snprintf(buffer, size, "%s", features->names[bit]);
	else
		snprintf(buffer, size, "cpuid 0x%x.%u %s bit %u", features->function,
			 features->index, features->reg, bit);
}

const struct nm_features *nm_features_find(uint32_t function, const char *reg)
{
	for (size_t i = 0; i < nm_features_count; i++)
		if (nm_features[i].function == function && nm_features[i].index == 0 &&
		    nm_features[i].reg && !strcmp(nm_features[i].reg, reg))
			return &nm_features[i];
	return NULL;
}
