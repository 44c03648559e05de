/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A QEMU stream while it passes by on its way to the destination: its elements in order, from the header to
 * the first device behind RAM. Facts: QEMU 7.2 to 11.0 migration/savevm.c, migration/migration.c.
 */
#ifndef NESTMIG_QEMU_FOLLOW_H
#define NESTMIG_QEMU_FOLLOW_H

#include "source.h"

struct nm_qemu_follow;

/* What comes next. */
enum nm_qemu_next {
	NM_QEMU_NEXT_COMMAND,
	NM_QEMU_NEXT_START,   /* the start of a section that comes in parts, a device before RAM */
	NM_QEMU_NEXT_PART,    /* a part or the end of a section that comes in parts */
	NM_QEMU_NEXT_DEVICES, /* the devices behind RAM, or the end of the stream */
};

/* What has been passed, and what it means for who stands between. */
enum nm_qemu_passed {
	NM_QEMU_PASSED_OTHER,
	NM_QEMU_PASSED_RETURN_PATH, /* the source waits for the destination's word before it gives up the VM */
	NM_QEMU_PASSED_COMMAND, /* of postcopy, COLO or of a recovery: RAM may follow the devices */
};

/*
 * Starts: past the header and the configuration. source: its offset 0 is the start of the stream; it may have to
 * wait for bytes, and is read forwards only: what is before an offset that is read will not be read again. It
 * stays the caller's and must outlive the object.
 * Errors: FORMAT, UNSUPPORTED (no QEMU stream of version 3, capabilities with which a stream does not pass
 * through a socket), TRUNCATED, NOMEM, and those of reading.
 */
NESTMIG_CHECKED enum nestmig_error nm_qemu_follow_new(struct nm_source *source,
						      struct nm_qemu_follow **ret_follow,
						      struct nestmig_detail *detail);
void nm_qemu_follow_free(struct nm_qemu_follow *follow);

/* The offset in the stream of what comes next. */
uint64_t nm_qemu_follow_offset(const struct nm_qemu_follow *follow);

/* Reads one byte, which stays the next. Errors: those of reading. */
NESTMIG_CHECKED enum nestmig_error nm_qemu_follow_next(struct nm_qemu_follow *follow,
						       enum nm_qemu_next *ret_next,
						       struct nestmig_detail *detail);

/*
 * Past what comes next, which is not NM_QEMU_NEXT_DEVICES.
 * Errors: FORMAT, UNSUPPORTED (where it ends is not known), TRUNCATED, LIMIT, and those of reading.
 */
NESTMIG_CHECKED enum nestmig_error nm_qemu_follow_pass(struct nm_qemu_follow *follow,
						       enum nm_qemu_passed *ret_passed,
						       struct nestmig_detail *detail);

/* The most that nm_qemu_follow_end writes, bytes. */
#define NM_QEMU_END_MAX 18

/*
 * An end of RAM without a page in it, as this source writes it: with it between what stands before the first part
 * and the devices, they are a stream. Returns its size, 0 where the stream has no RAM.
 */
size_t nm_qemu_follow_end(const struct nm_qemu_follow *follow, uint8_t bytes[NM_QEMU_END_MAX]);

/* Could a stream without a vmdesc end with these bytes: a footer, and the mark of the end? */
bool nm_qemu_may_end(const uint8_t *bytes, size_t size);

#endif
