/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the parts of the reader of compressed streams. */
#ifndef NESTMIG_UNPACK_INTERNAL_H
#define NESTMIG_UNPACK_INTERNAL_H

#include "unpack.h"

/* What a codec takes from and where it puts; it moves both on. */
struct nm_codec_io {
	const uint8_t *in;
	size_t in_left;
	uint8_t *out;
	size_t out_left;
	const char *why; /* after a result that is an error: what is wrong, static text */
};

enum nm_codec_result {
	NM_CODEC_MORE, /* it wants more input or more room */
	NM_CODEC_END,  /* the compressed stream is complete; another may follow */
	NM_CODEC_DAMAGED,
	NM_CODEC_CHECKSUM,
	NM_CODEC_LIMIT,
	NM_CODEC_UNSUPPORTED,
	NM_CODEC_NOMEM
};

struct nm_codec {
	void *(*new)(void); /* NULL: out of memory */
	enum nm_codec_result (*step)(void *ctx, struct nm_codec_io *io);
	bool (*restart)(
		void *ctx); /* for the next stream, after NM_CODEC_END; false: out of memory */
	void (*free)(void *ctx);
};

extern const struct nm_codec nm_codec_gzip, nm_codec_bzip2, nm_codec_xz, nm_codec_lzop,
	nm_codec_zstd;

/* One decompression from front to end. */
struct nm_unpack_pass;

struct nm_source;

NESTMIG_CHECKED enum nestmig_error nm_unpack_pass_new(struct nm_source *packed, uint64_t offset,
						      enum nm_packing packing,
						      struct nm_unpack_pass **ret_pass,
						      struct nestmig_detail *detail);
void nm_unpack_pass_free(struct nm_unpack_pass *pass);

/* The next bytes, at most room; *ret_got is 0 at the end only, where all that can be checked has been. */
NESTMIG_CHECKED enum nestmig_error nm_unpack_pass_next(struct nm_unpack_pass *pass, uint8_t *out,
						       size_t room, size_t *ret_got,
						       struct nestmig_detail *detail);

/* Bytes that it has given. */
uint64_t nm_unpack_pass_at(const struct nm_unpack_pass *pass);

/* Bytes of the file that it has not taken yet. */
uint64_t nm_unpack_pass_left(const struct nm_unpack_pass *pass);

#endif
