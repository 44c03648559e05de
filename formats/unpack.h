/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Compressed streams as sources: gzip, bzip2, xz, lzop, zstd. They can only be unpacked forwards, and a
 * QEMU stream is read from its end: one pass keeps the head and the last 16 MiB, in memory that does not
 * depend on the size; only what else is asked for takes another pass. Checksums that a format has are
 * verified. No other program is started.
 */
#ifndef NESTMIG_UNPACK_H
#define NESTMIG_UNPACK_H

#include "state.h"

/* In the order of libvirt's save image formats (qemuSaveFormat, libvirt 11.3 qemu_saveimage.h). */
enum nm_packing {
	NM_PACKING_NONE,
	NM_PACKING_GZIP,
	NM_PACKING_BZIP2,
	NM_PACKING_XZ,
	NM_PACKING_LZOP,
	NM_PACKING_ZSTD,
	NM_PACKINGS
};

/* By the magic at its beginning; NM_PACKING_NONE if it has none of these. */
enum nm_packing nm_packing_of(const uint8_t *head, size_t size);

/* "gzip", ...; NULL for NM_PACKING_NONE. */
const char *nm_packing_name(enum nm_packing packing);

/*
 * A source over what is compressed in packed, from offset to its end; packed stays the caller's and must
 * outlive it. This unpacks all of it once.
 * Errors, with offsets in packed: FORMAT (damaged; something follows that is not compressed), TRUNCATED,
 * CHECKSUM, LIMIT (more than NM_UNPACK_FREE bytes and NM_UNPACK_RATIO times what is in the file; more memory
 * to unpack than the format's own programs take; read in so many places that it takes too many passes),
 * UNSUPPORTED, IO, NOMEM.
 */
#define NM_UNPACK_FREE   (UINT64_C(4) << 30)
#define NM_UNPACK_RATIO  2048
#define NM_UNPACK_PASSES 16
NESTMIG_CHECKED enum nestmig_error nm_unpack_source(struct nm_source *packed, uint64_t offset,
						    enum nm_packing packing,
						    struct nm_source **ret_source,
						    struct nestmig_detail *detail);

/*
 * Reads the QEMU stream that is compressed in source, which is one of state's, from offset on. Errors: as
 * above, and those of nm_qemu_read, with offsets in the stream, which the text then says.
 */
NESTMIG_CHECKED enum nestmig_error nm_unpack_stream(struct nestmig_state *state,
						    struct nm_source *source, uint64_t offset,
						    enum nm_packing packing,
						    struct nestmig_detail *detail);

/* A file that is nothing but a compressed stream, as `virsh dump` writes it. */
bool nm_unpack_recognise(const uint8_t *head, size_t size);
NESTMIG_CHECKED enum nestmig_error nm_unpack_read(struct nestmig_state *state,
						  struct nm_source *source, unsigned flags,
						  struct nestmig_detail *detail);

#endif
