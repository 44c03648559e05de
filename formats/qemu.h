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

/*
 * Passes over a stream's elements from its header to the first device behind RAM, in order, so that it can be
 * done while the stream is being unpacked; what the source says of its size does not count. *ret_devices becomes where that device starts.
 * Errors: those of reading, FORMAT, UNSUPPORTED where only a look from the end tells (no device behind RAM, sections
 * whose length is not known); then nothing is known of RAM.
 */
NESTMIG_CHECKED enum nestmig_error nm_qemu_pass_ram(struct nm_source *source, uint64_t *ret_devices,
						    struct nestmig_detail *detail);

/* Do these bytes end with the mark of a stream's end and a vmdesc, "00, 06, be32 length, {", with the length that
 * is left? *ret_at becomes the place of the 06. */
bool nm_qemu_find_vmdesc(const uint8_t *bytes, size_t size, size_t *ret_at);

#endif
