/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of a state that is a directory. */
#ifndef NESTMIG_PART_H
#define NESTMIG_PART_H

#include "source.h"
#include "state.h"

/*
 * Opens a file below directory as a source of state; name may have one directory in it ("vcpu0/regs").
 * *ret_source becomes NULL if there is no such file, which is no error. Symbolic links are followed in the
 * path of directory, not below it: who wrote what is there may not read all that the caller may.
 * Errors: UNSUPPORTED (a link, or neither a regular file nor a block device), IO, NOMEM.
 */
NESTMIG_CHECKED enum nestmig_error nm_part_open(struct nestmig_state *state, const char *directory,
						const char *name, struct nm_source **ret_source,
						struct nestmig_detail *detail);

#endif
