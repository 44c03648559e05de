// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * lzop files: a header, then blocks of at most 256 KiB, each compressed for itself by LZO1X, with checksums.
 * Layout: lzop 1.04, src/lzop.h and p_lzo.c; all integers are big-endian. liblzo2 has no reader of files.
 */
#include <lzo/lzo1x.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "unpack_internal.h"

#define MAGIC_SIZE 9
/* Up to and with the length of the name. */
#define HEADER_FIXED 34
#define HEADER_MAX   (HEADER_FIXED + 255 + 4)
/* lzop writes blocks of 256 KiB and reads larger ones that no version has written. */
#define BLOCK_MAX (UINT32_C(1) << 20)
/* lengths, two checksums of the plain and two of the compressed bytes */
#define BLOCK_HEADER (4 + 4 + 4 * 4)

#define OLDEST       0x0940 /* of the versions that write the header as it is here */
#define NEWEST       0x1040

#define F_ADLER32_D  0x0001
#define F_ADLER32_C  0x0002
#define F_CRC32_D    0x0100
#define F_CRC32_C    0x0200
#define F_H_CRC32    0x1000
/* An extra field, parts and filters, which lzop does not write unless told. */
#define F_UNREAD (0x0040 | 0x0400 | 0x0800)

enum stage { HEADER, LENGTHS, BLOCK };

struct lzop {
	enum stage stage;
	size_t have, need; /* bytes of `packed`: here, and until something can be made of them */
	uint32_t flags;
	uint8_t *plain; /* a block that did not fit into what the caller had room for */
	size_t plain_at, plain_size;
	uint32_t plain_length, packed_length; /* of the block that is coming */
	uint8_t packed[BLOCK_HEADER + BLOCK_MAX];
};

static bool lzop_restart(void *ctx)
{
	struct lzop *l = ctx;

	l->stage = HEADER;
	l->have = l->plain_at = l->plain_size = 0;
	l->need = HEADER_FIXED;
	return true;
}

static void lzop_free(void *ctx)
{
	struct lzop *l = ctx;

	free(l->plain);
	free(l);
}

static void *lzop_new(void)
{
	struct lzop *l = malloc(sizeof(*l));

	if (!l)
		return NULL;
	l->plain = malloc(BLOCK_MAX);
	if (!l->plain || lzo_init() != LZO_E_OK) {
		lzop_free(l);
		return NULL;
	}
	lzop_restart(l);
	return l;
}

static enum nm_codec_result take_header(struct lzop *l, struct nm_codec_io *io)
{
	const uint8_t *p = l->packed;
	uint32_t sum;

	if (l->need == HEADER_FIXED) {
		unsigned version = nm_be16(p + 9), needed = nm_be16(p + 13);

		l->flags = nm_be32(p + 17);
		io->why = "a version or an option that is not read";
		if (version < OLDEST || needed > NEWEST || l->flags & F_UNREAD)
			return NM_CODEC_UNSUPPORTED;
		l->need = HEADER_FIXED + p[HEADER_FIXED - 1] + 4;
		return NM_CODEC_MORE;
	}
	sum = l->flags & F_H_CRC32 ? lzo_crc32(0, p + MAGIC_SIZE, l->need - 4 - MAGIC_SIZE)
				   : lzo_adler32(1, p + MAGIC_SIZE, l->need - 4 - MAGIC_SIZE);
	io->why = "the checksum of the header does not match";
	if (sum != nm_be32(p + l->need - 4))
		return NM_CODEC_CHECKSUM;
	io->why = "a method that is not read";
	if (p[15] < 1 || p[15] > 3) /* LZO1X-1, LZO1X-1(15), LZO1X-999 */
		return NM_CODEC_UNSUPPORTED;
	l->stage = LENGTHS;
	l->have = 0;
	l->need = 4;
	return NM_CODEC_MORE;
}

/* How many checksums of compressed bytes does this block have? A stored one has none. */
static size_t sums(uint32_t flags, uint32_t adler, uint32_t crc)
{
	return (flags & adler ? 1 : 0) + (flags & crc ? 1 : 0);
}

static enum nm_codec_result take_lengths(struct lzop *l, struct nm_codec_io *io)
{
	size_t count;

	l->plain_length = nm_be32(l->packed);
	if (l->plain_length == 0)
		return NM_CODEC_END;
	if (l->need == 4) {
		l->need = 8;
		return NM_CODEC_MORE;
	}
	l->packed_length = nm_be32(l->packed + 4);
	io->why = "a block that is larger than lzop writes";
	if (l->plain_length > BLOCK_MAX)
		return NM_CODEC_LIMIT;
	io->why = "a block that is larger than what it holds";
	if (l->packed_length == 0 || l->packed_length > l->plain_length)
		return NM_CODEC_DAMAGED;
	count = sums(l->flags, F_ADLER32_D, F_CRC32_D);
	if (l->packed_length < l->plain_length)
		count += sums(l->flags, F_ADLER32_C, F_CRC32_C);
	l->stage = BLOCK;
	l->need = 8 + 4 * count + l->packed_length;
	return NM_CODEC_MORE;
}

/* Compares the checksums at *at, which moves on. */
static bool check(const uint8_t **at, uint32_t flags, uint32_t adler, uint32_t crc,
		  const uint8_t *bytes, size_t size)
{
	bool good = true;

	if (flags & adler) {
		good = lzo_adler32(1, bytes, size) == nm_be32(*at);
		*at += 4;
	}
	if (flags & crc) {
		good = good && lzo_crc32(0, bytes, size) == nm_be32(*at);
		*at += 4;
	}
	return good;
}

static enum nm_codec_result take_block(struct lzop *l, struct nm_codec_io *io)
{
	const uint8_t *packed = l->packed + l->need - l->packed_length;
	const uint8_t *plain_sums = l->packed + 8, *packed_sums;
	bool direct = io->out_left >= l->plain_length, stored = l->packed_length == l->plain_length;
	uint8_t *plain = direct ? io->out : l->plain;
	lzo_uint length = l->plain_length;

	packed_sums = plain_sums + 4 * sums(l->flags, F_ADLER32_D, F_CRC32_D);
	io->why = "the checksum of a block does not match";
	if (!stored &&
	    !check(&packed_sums, l->flags, F_ADLER32_C, F_CRC32_C, packed, l->packed_length))
		return NM_CODEC_CHECKSUM;
	if (stored) {
		memcpy(plain, packed, l->plain_length);
	} else if (lzo1x_decompress_safe(packed, l->packed_length, plain, &length, NULL) !=
			   LZO_E_OK ||
		   length != l->plain_length) {
		io->why = "a block that cannot be unpacked";
		return NM_CODEC_DAMAGED;
	}
	if (!check(&plain_sums, l->flags, F_ADLER32_D, F_CRC32_D, plain, l->plain_length))
		return NM_CODEC_CHECKSUM;
	if (direct) {
		io->out += l->plain_length;
		io->out_left -= l->plain_length;
	} else {
		l->plain_at = 0;
		l->plain_size = l->plain_length;
	}
	l->stage = LENGTHS;
	l->have = 0;
	l->need = 4;
	return NM_CODEC_MORE;
}

static void give(struct lzop *l, struct nm_codec_io *io)
{
	size_t left = l->plain_size - l->plain_at;
	size_t here = left < io->out_left ? left : io->out_left;

	memcpy(io->out, l->plain + l->plain_at, here);
	l->plain_at += here;
	io->out += here;
	io->out_left -= here;
}

static enum nm_codec_result lzop_step(void *ctx, struct nm_codec_io *io)
{
	struct lzop *l = ctx;
	enum nm_codec_result result = NM_CODEC_MORE;
	size_t here;

	while (result == NM_CODEC_MORE) {
		give(l, io);
		if (l->plain_at < l->plain_size || io->out_left == 0)
			return NM_CODEC_MORE;
		here = l->need - l->have < io->in_left ? l->need - l->have : io->in_left;
		memcpy(l->packed + l->have, io->in, here);
		l->have += here;
		io->in += here;
		io->in_left -= here;
		if (l->have < l->need)
			return NM_CODEC_MORE;
		result = l->stage == HEADER    ? take_header(l, io)
			 : l->stage == LENGTHS ? take_lengths(l, io)
					       : take_block(l, io);
	}
	return result;
}

const struct nm_codec nm_codec_lzop = {lzop_new, lzop_step, lzop_restart, lzop_free};
