/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finding places: what those of both vendors use. */
#ifndef DIFFERENTIAL_PLACES_H
#define DIFFERENTIAL_PLACES_H

#include "base.h"

/* A place, or NULL if it is not inside the file or there are too many. */
struct place *place_add(struct base *base, enum group group, const char *name, uint16_t file,
			uint64_t offset, unsigned width);

/* The same in guest memory; nothing if those bytes are not there, or are a place already. */
void place_add_memory(struct base *base, enum group group, const char *name, uint64_t gpa,
		      unsigned width);

bool base_file(const struct base *base, const char *name, uint16_t *ret_file);

/* A 64-bit word of guest memory, false if it is not there. */
bool base_word(const struct base *base, uint64_t gpa, uint64_t *ret_value);

/* A field of the vCPU, 0 if it is not there. */
uint64_t base_field(const struct base *base, const char *name);

/* The tables of a CR3: "KIND-table@0x1000" and "KIND-pdpte@0x1000". */
void place_add_paging(struct base *base, const char *kind, uint64_t cr3, uint64_t cr4,
		      uint64_t efer);

/* ---- places_vmx.c ----------------------------------------------------------------------------- */

/* The group of a field that only VMX has, or -1. */
int vmx_group_of(const char *name);

/* Who executes with a place that only VMX has, by its name, and when that counts. */
void vmx_classify(struct place *place);

/* Who trips over it, where another part of the case or the order of the ioctls decides. */
enum user vmx_place_user(const struct base *base, const struct mutation *mutation,
			 const struct poke *poke);

void vmx_add_places(struct base *base);

#endif
