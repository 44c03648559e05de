/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Save images of libvirt: `virsh save`, managed saves, external memory snapshots. Facts: libvirt 9.0 to 11.3
 * src/qemu/qemu_saveimage.h and .c (virQEMUSaveHeader, qemuSaveImageReadHeader).
 */
#ifndef NESTMIG_LIBVIRT_H
#define NESTMIG_LIBVIRT_H

#include "state.h"

bool nm_libvirt_recognise(const uint8_t *head, size_t size);

/*
 * state->format becomes "libvirt-save"; state->domain_xml and cookie_xml are what stands behind the header,
 * and the vCPUs get from them what is certain. XML that cannot be parsed is no error: then they get nothing.
 * Errors: UNSUPPORTED (unfinished, another version or format, device state alone), FORMAT (the header
 * contradicts itself or the XML), LIMIT (more than 16 MiB of XML), TRUNCATED, and those of what reads the
 * stream.
 */
NESTMIG_CHECKED enum nestmig_error nm_libvirt_read(struct nestmig_state *state,
						   struct nm_source *source, unsigned flags,
						   struct nestmig_detail *detail);

#endif
