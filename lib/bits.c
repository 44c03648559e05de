// SPDX-License-Identifier: LGPL-2.1-or-later
/* Names of bits, made from bits.def in two passes: the groups, then which field uses which. */
#include "bits.h"

#include <stddef.h>
#include <string.h>

/* Each group of bits.def closes the array before it, so the first one needs something to close. */
/* clang-format off */
__attribute__((unused)) static const struct nm_bit bits_before[] = {
#define BITS(group)	{0, NULL}}; static const struct nm_bit bits_##group[] = {
#define BIT(bit, name)	{bit, name},
#define USES(field, group)
#include "bits.def"
	{0, NULL}};
#undef BITS
#undef BIT
#undef USES
/* clang-format on */

static const struct {
	const char *field;
	const struct nm_bit *bits;
} uses[] = {
#define BITS(group)
#define BIT(bit, name)
#define USES(field, group) {field, bits_##group},
#include "bits.def"
#undef BITS
#undef BIT
#undef USES
};

const struct nm_bit *nm_bits_of(const char *field)
{
	/* Another VMCB12 of the same form. */
	if (strncmp(field, "smm_vmcb12.", strlen("smm_vmcb12.")) == 0)
		field += strlen("smm_");
	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++)
		if (strcmp(uses[i].field, field) == 0)
			return uses[i].bits;
	return NULL;
}
