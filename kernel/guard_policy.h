/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NESTMIG_GUARD_POLICY_H
#define NESTMIG_GUARD_POLICY_H

#include "guard.h"

/*
 * Which rules the guard evaluates on a host, and for which of them it denies which ioctl: fills wanted,
 * deny_nested, deny_events and deny_run from the rules' own rows. How is said in guard_policy.c.
 */
void nm_guard_policy(const struct nestmig_host_view *host, struct nm_guard_config *ret_config);

#endif
