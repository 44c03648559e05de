/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What only a VM tells about this host. */
#ifndef NESTMIG_CMD_HOST_COMMAND_H
#define NESTMIG_CMD_HOST_COMMAND_H

#include "nestmig.h"

/*
 * Puts the results of the probes into a profile of this host. The VMs are made in a process of its own, which is
 * ended after five seconds without an answer; what it did not answer until then stays unknown. Needs
 * /dev/kvm; without it all stay unknown. Errors: IO (no process can be started), NOMEM.
 */
NESTMIG_CHECKED enum nestmig_error host_probe(struct nestmig_host *host,
					      struct nestmig_detail *detail);

#endif
