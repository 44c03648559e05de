/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The argument of --host. */
#ifndef NESTMIG_HOSTARG_H
#define NESTMIG_HOSTARG_H

#include "cli.h"

/*
 * The host to judge for. argument is NULL (the host that the state itself describes, or none),
 * "none", "live" (this machine) or the name of a profile. *ret_host may become NULL: no host known.
 * live must have been read before the sandbox: host_argument_live says whether that is wanted.
 */
NESTMIG_CHECKED enum nestmig_error host_argument(const char *argument,
						 const struct nestmig_state *state,
						 struct nestmig_host **ret_host,
						 struct nestmig_detail *detail);

/*
 * The same of one that is not NULL, for a command that keeps what it may do: a profile is read by a process of its own,
 * in the sandbox. Of a profile's host there is then what rules read and the kernel's release, no lists.
 */
NESTMIG_CHECKED enum nestmig_error host_argument_apart(const char *argument,
						       struct nestmig_host **ret_host,
						       struct nestmig_detail *detail);

bool host_argument_is_live(const char *argument);

#endif
