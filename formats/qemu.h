/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU migration streams: full ones, found from the end by vmdesc, and device-only ones. */
#ifndef NESTMIG_QEMU_H
#define NESTMIG_QEMU_H

#include "state.h"

#define NM_QEMU_MAGIC 0x5145564dU /* "QEVM" */

/*
 * Reads the vCPUs of the stream in source (at offset 0, to the end of the source) into state, and
 * where the stream says it, which guest-physical addresses are RAM. Reads a bounded number of
 * bytes, whatever the size of RAM. state->format becomes "qemu-stream" or "qemu-device-state" if it
 * is NULL. The source must be one of state's.
 */
NESTMIG_CHECKED enum nestmig_error
nm_qemu_read(struct nestmig_state *state, struct nm_source *source, struct nestmig_detail *detail);

#endif
