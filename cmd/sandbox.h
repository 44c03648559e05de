/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Giving up what is not needed before a file is parsed that a guest may have written. */
#ifndef NESTMIG_SANDBOX_H
#define NESTMIG_SANDBOX_H

#include "nestmig.h"

/*
 * From here on the process can read files, use memory and write to descriptors that are open, and
 * nothing else: no new files for writing, no sockets, no programs, no other processes. Cannot be
 * undone. Errors: CAPABILITY if the kernel has no seccomp.
 */
NESTMIG_CHECKED enum nestmig_error sandbox_enter(struct nestmig_detail *detail);

#endif
