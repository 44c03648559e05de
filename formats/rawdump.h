/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Raw KVM dumps: a directory with meta.json, host_msrs, vcpuN/STRUCT and mem/GPA. */
#ifndef NESTMIG_RAWDUMP_H
#define NESTMIG_RAWDUMP_H

#include "state.h"

/* Reads the dump in directory path into state. Errors: IO, FORMAT, TRUNCATED, LIMIT, NOMEM. */
NESTMIG_CHECKED enum nestmig_error nm_rawdump_read(struct nestmig_state *state, const char *path,
						   struct nestmig_detail *detail);

#endif
