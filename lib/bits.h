/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of bits of control fields and registers. */
#ifndef NESTMIG_BITS_H
#define NESTMIG_BITS_H

#include <stdint.h>

struct nm_bit {
	uint8_t bit;
	const char *name;
};

/* The bits of a field, ended by a NULL name; NULL if the field is no set of bits. */
const struct nm_bit *nm_bits_of(const char *field);

#endif
