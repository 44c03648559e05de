/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Standard input as a file that can be read at any offset. */
#ifndef NESTMIG_SPOOL_H
#define NESTMIG_SPOOL_H

#include "nestmig.h"

/*
 * A descriptor to read standard input from at any offset, to be closed by the caller. A file that
 * stands at its start is used as it is; all else is copied into a file without a name in $TMPDIR, else
 * /var/tmp, of at most half of what is free there. Errors: IO, LIMIT (more than that), NOMEM.
 */
NESTMIG_CHECKED enum nestmig_error spool_input(int *ret_fd, struct nestmig_detail *detail);

#endif
