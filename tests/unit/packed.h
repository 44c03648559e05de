/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compressing for tests, and a writer of libvirt save images (libvirt 11.3 qemu_saveimage.c): what is made
 * here is made by us. lzop files have no library that writes them; tests/cli has real ones.
 */
#ifndef TEST_PACKED_H
#define TEST_PACKED_H

#include <bzlib.h>
#include <lzma.h>
#include <lzo/lzo1x.h>
#include <zlib.h>

#include "stream.h"
#include "unpack.h"

static inline void pack_gzip(struct stream *to, const uint8_t *bytes, size_t size)
{
	z_stream z = {0};
	uint8_t *out = malloc(size + 1024);

	ck_assert_int_eq(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, 0), Z_OK);
	z.next_in = (Bytef *)(uintptr_t)bytes;
	z.avail_in = (uInt)size;
	z.next_out = out;
	z.avail_out = (uInt)size + 1024;
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	put(to, out, z.total_out);
	deflateEnd(&z);
	free(out);
}

static inline void pack_bzip2(struct stream *to, const uint8_t *bytes, size_t size)
{
	unsigned length = (unsigned)(size + size / 50 + 1024);
	char *out = malloc(length);

	ck_assert_int_eq(BZ2_bzBuffToBuffCompress(out, &length, (char *)(uintptr_t)bytes,
						  (unsigned)size, 1, 0, 0),
			 BZ_OK);
	put(to, out, length);
	free(out);
}

static inline void pack_xz(struct stream *to, const uint8_t *bytes, size_t size)
{
	size_t room = lzma_stream_buffer_bound(size), length = 0;
	uint8_t *out = malloc(room);

	ck_assert_int_eq(
		lzma_easy_buffer_encode(0, LZMA_CHECK_CRC64, NULL, bytes, size, out, &length, room),
		LZMA_OK);
	put(to, out, length);
	free(out);
}

static inline void pack_zstd(struct stream *to, const uint8_t *bytes, size_t size)
{
	ZSTD_CCtx *zstd = ZSTD_createCCtx();
	size_t room = ZSTD_compressBound(size), length;
	uint8_t *out = malloc(room);

	ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
	length = ZSTD_compress2(zstd, out, room, bytes, size);
	ck_assert(!ZSTD_isError(length));
	put(to, out, length);
	ZSTD_freeCCtx(zstd);
	free(out);
}

#define LZOP_BLOCK (256U << 10)

/* A block: lengths, Adler-32 of the plain bytes, the bytes. */
static inline void put_lzop_block(struct stream *to, const uint8_t *bytes, size_t size)
{
	static uint8_t out[LZOP_BLOCK + LZOP_BLOCK / 16 + 64];
	static lzo_align_t work[LZO1X_1_MEM_COMPRESS / sizeof(lzo_align_t) + 1];
	lzo_uint length = 0;

	ck_assert_int_eq(lzo1x_1_compress(bytes, size, out, &length, work), LZO_E_OK);
	put_be(to, size, 4);
	put_be(to, length < size ? length : size, 4);
	put_be(to, lzo_adler32(1, bytes, size), 4);
	if (length < size)
		put(to, out, length);
	else
		put(to, bytes, size);
}

static inline void pack_lzop(struct stream *to, const uint8_t *bytes, size_t size)
{
	size_t start = to->size + 9;

	put(to, "\x89LZO\0\r\n\x1a\n", 9);
	put_be(to, 0x1040, 2);      /* lzop */
	put_be(to, 0x20a0, 2);      /* its liblzo2 */
	put_be(to, 0x0940, 2);      /* the lzop that is needed */
	put_be(to, 1, 1);           /* LZO1X-1 */
	put_be(to, 3, 1);           /* level */
	put_be(to, 0x03000001, 4);  /* Unix; Adler-32 of what is unpacked */
	put_fill(to, 0, 4 + 4 + 4); /* mode and time */
	put_be(to, 0, 1);           /* no name */
	put_be(to, lzo_adler32(1, to->p + start, to->size - start), 4);
	for (size_t at = 0; at < size; at += LZOP_BLOCK)
		put_lzop_block(to, bytes + at, size - at < LZOP_BLOCK ? size - at : LZOP_BLOCK);
	put_be(to, 0, 4);
}

/* Appends a compressed stream. */
static inline void pack(struct stream *to, enum nm_packing packing, const uint8_t *bytes,
			size_t size)
{
	static void (*const packers[NM_PACKINGS])(struct stream *, const uint8_t *, size_t) = {
		[NM_PACKING_GZIP] = pack_gzip, [NM_PACKING_BZIP2] = pack_bzip2,
		[NM_PACKING_XZ] = pack_xz,     [NM_PACKING_LZOP] = pack_lzop,
		[NM_PACKING_ZSTD] = pack_zstd,
	};

	if (packing == NM_PACKING_NONE)
		put(to, bytes, size);
	else
		packers[packing](to, bytes, size);
}

/* ---- Save images ------------------------------------------------------------------------------ */

struct image {
	const char *magic, *xml, *cookie; /* cookie: NULL for none */
	bool big;                         /* byte order */
	uint32_t version, running, format;
	size_t padding; /* behind the texts; libvirt's is 64 KiB */
};

#define IMAGE                                                                                      \
	{                                                                                          \
		.magic = "LibvirtQemudSave", .xml = "<domain/>", .version = 2, .running = 1,       \
		.padding = 64                                                                      \
	}

static inline void put_word(struct stream *s, bool big, uint32_t value)
{
	uint8_t bytes[4];

	set_be(bytes, big ? value : __builtin_bswap32(value), 4);
	put(s, bytes, 4);
}

static inline size_t image_length(const struct image *image)
{
	return strlen(image->xml) + 1 + (image->cookie ? strlen(image->cookie) + 1 : 0) +
	       image->padding;
}

/* The image up to where the stream starts. */
static inline void put_image_head(struct stream *s, const struct image *image)
{
	put(s, image->magic, 16);
	put_word(s, image->big, image->version);
	put_word(s, image->big, (uint32_t)image_length(image));
	put_word(s, image->big, image->running);
	put_word(s, image->big, image->format);
	put_word(s, image->big, image->cookie ? (uint32_t)strlen(image->xml) + 1 : 0);
	put_fill(s, 0, 56);
	put(s, image->xml, strlen(image->xml) + 1);
	if (image->cookie)
		put(s, image->cookie, strlen(image->cookie) + 1);
	put_fill(s, 0, image->padding);
}

#endif
