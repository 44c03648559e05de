/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qcow2 images: the VM state of an internal snapshot (savevm), which is a QEMU migration stream. */
#ifndef NESTMIG_QCOW2_H
#define NESTMIG_QCOW2_H

#include "state.h"

bool nm_qcow2_recognise(const uint8_t *head, size_t size);

/*
 * Reads the snapshot that state->wanted_snapshot names, or the only one with VM state, into state.
 * Errors: NOT_FOUND (no such snapshot, none with VM state), INVALID (several: the text lists them),
 * UNSUPPORTED (encrypted, external data file, ...), FORMAT, TRUNCATED, LIMIT, IO, NOMEM. Offsets are
 * those of the image, but for errors about the stream, where the text says so.
 */
NESTMIG_CHECKED enum nestmig_error nm_qcow2_read(struct nestmig_state *state,
						 struct nm_source *image, unsigned flags,
						 struct nestmig_detail *detail);

#endif
