/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Raw KVM dumps: a directory with meta.json, host_msrs, vcpuN/STRUCT and mem/GPA. */
#ifndef NESTMIG_RAWDUMP_H
#define NESTMIG_RAWDUMP_H

#include <jansson.h>

#include "state.h"

/* Reads the dump in directory path into state. Errors: IO, FORMAT, TRUNCATED, LIMIT, NOMEM. */
NESTMIG_CHECKED enum nestmig_error nm_rawdump_read(struct nestmig_state *state, const char *path,
						   struct nestmig_detail *detail);

/* NESTMIG_VM_* bits as names of meta.json's "vm_caps"; NULL when out of memory. */
json_t *nm_rawdump_caps_json(uint32_t caps);

#endif
