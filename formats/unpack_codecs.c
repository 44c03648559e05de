// SPDX-License-Identifier: LGPL-2.1-or-later
/* The formats that have a library of their own: zlib, bzip2, liblzma, libzstd. */
#include <bzlib.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "unpack_internal.h"

/* ---- gzip (RFC 1952): CRC-32 and length at the end -------------------------------------------- */

/* 15: the largest window; 16: a gzip header and nothing else. */
#define GZIP_WINDOW (15 + 16)

static void *gzip_new(void)
{
	z_stream *z = calloc(1, sizeof(*z));

	if (z && inflateInit2(z, GZIP_WINDOW) != Z_OK) {
		free(z);
		return NULL;
	}
	return z;
}

static enum nm_codec_result gzip_error(const z_stream *z, int ret, struct nm_codec_io *io)
{
	if (ret == Z_MEM_ERROR)
		return NM_CODEC_NOMEM;
	io->why = z->msg ? z->msg : "invalid data";
	if (strcmp(io->why, "incorrect data check") == 0 ||
	    strcmp(io->why, "incorrect length check") == 0)
		return NM_CODEC_CHECKSUM;
	return NM_CODEC_DAMAGED;
}

static enum nm_codec_result gzip_step(void *ctx, struct nm_codec_io *io)
{
	z_stream *z = ctx;
	int ret;

	/* Pieces are far smaller than 4 GiB (unpack_pass.c). */
	z->next_in = (Bytef *)(uintptr_t)io->in;
	z->avail_in = (uInt)io->in_left;
	z->next_out = io->out;
	z->avail_out = (uInt)io->out_left;
	ret = inflate(z, Z_NO_FLUSH);
	io->in = z->next_in;
	io->in_left = z->avail_in;
	io->out = z->next_out;
	io->out_left = z->avail_out;
	if (ret == Z_STREAM_END)
		return NM_CODEC_END;
	return ret == Z_OK || ret == Z_BUF_ERROR ? NM_CODEC_MORE : gzip_error(z, ret, io);
}

static bool gzip_restart(void *ctx)
{
	return inflateReset(ctx) == Z_OK;
}

static void gzip_free(void *ctx)
{
	inflateEnd(ctx);
	free(ctx);
}

const struct nm_codec nm_codec_gzip = {gzip_new, gzip_step, gzip_restart, gzip_free};

/* ---- bzip2: a CRC of every block and of the whole --------------------------------------------- */

static void *bzip2_new(void)
{
	bz_stream *bz = calloc(1, sizeof(*bz));

	if (bz && BZ2_bzDecompressInit(bz, 0, 0) != BZ_OK) {
		free(bz);
		return NULL;
	}
	return bz;
}

static enum nm_codec_result bzip2_step(void *ctx, struct nm_codec_io *io)
{
	bz_stream *bz = ctx;
	int ret;

	bz->next_in = (char *)(uintptr_t)io->in;
	bz->avail_in = (unsigned)io->in_left;
	bz->next_out = (char *)io->out;
	bz->avail_out = (unsigned)io->out_left;
	ret = BZ2_bzDecompress(bz);
	io->in = (const uint8_t *)bz->next_in;
	io->in_left = bz->avail_in;
	io->out = (uint8_t *)bz->next_out;
	io->out_left = bz->avail_out;
	switch (ret) {
	case BZ_OK:
		return NM_CODEC_MORE;
	case BZ_STREAM_END:
		return NM_CODEC_END;
	case BZ_MEM_ERROR:
		return NM_CODEC_NOMEM;
	case BZ_DATA_ERROR_MAGIC:
		io->why = "no bzip2 header";
		return NM_CODEC_DAMAGED;
	default:
		io->why = "damaged, or a CRC does not match";
		return NM_CODEC_CHECKSUM;
	}
}

static bool bzip2_restart(void *ctx)
{
	bz_stream *bz = ctx;

	BZ2_bzDecompressEnd(bz);
	memset(bz, 0, sizeof(*bz));
	return BZ2_bzDecompressInit(bz, 0, 0) == BZ_OK;
}

static void bzip2_free(void *ctx)
{
	BZ2_bzDecompressEnd(ctx);
	free(ctx);
}

const struct nm_codec nm_codec_bzip2 = {bzip2_new, bzip2_step, bzip2_restart, bzip2_free};

/* ---- xz: CRC-32, CRC-64 or SHA-256 of every block ---------------------------------------------- */

/* xz -9 takes 65 MiB to unpack (xz(1)). */
#define XZ_MEMORY (UINT64_C(128) << 20)

static bool xz_start(lzma_stream *lzma)
{
	return lzma_stream_decoder(lzma, XZ_MEMORY, LZMA_TELL_UNSUPPORTED_CHECK) == LZMA_OK;
}

static void *xz_new(void)
{
	lzma_stream *lzma = malloc(sizeof(*lzma));

	if (!lzma)
		return NULL;
	*lzma = (lzma_stream)LZMA_STREAM_INIT;
	if (!xz_start(lzma)) {
		free(lzma);
		return NULL;
	}
	return lzma;
}

static enum nm_codec_result xz_step(void *ctx, struct nm_codec_io *io)
{
	lzma_stream *lzma = ctx;
	lzma_ret ret;

	lzma->next_in = io->in;
	lzma->avail_in = io->in_left;
	lzma->next_out = io->out;
	lzma->avail_out = io->out_left;
	ret = lzma_code(lzma, LZMA_RUN);
	io->in = lzma->next_in;
	io->in_left = lzma->avail_in;
	io->out = lzma->next_out;
	io->out_left = lzma->avail_out;
	switch (ret) {
	case LZMA_OK:
	case LZMA_BUF_ERROR:
		return NM_CODEC_MORE;
	case LZMA_STREAM_END:
		return NM_CODEC_END;
	case LZMA_MEM_ERROR:
		return NM_CODEC_NOMEM;
	case LZMA_MEMLIMIT_ERROR:
		io->why = "its dictionary is larger than that of xz -9";
		return NM_CODEC_LIMIT;
	case LZMA_UNSUPPORTED_CHECK:
	case LZMA_OPTIONS_ERROR:
		io->why = "a check or filter that liblzma does not know";
		return NM_CODEC_UNSUPPORTED;
	case LZMA_FORMAT_ERROR:
		io->why = "no xz header";
		return NM_CODEC_DAMAGED;
	default:
		io->why = "damaged, or a check does not match";
		return NM_CODEC_CHECKSUM;
	}
}

static bool xz_restart(void *ctx)
{
	return xz_start(ctx);
}

static void xz_free(void *ctx)
{
	lzma_end(ctx);
	free(ctx);
}

const struct nm_codec nm_codec_xz = {xz_new, xz_step, xz_restart, xz_free};

/* ---- zstd (RFC 8878): XXH64 of the content, if the frame has one ------------------------------- */

static void *zstd_new(void)
{
	return ZSTD_createDStream();
}

static enum nm_codec_result zstd_step(void *ctx, struct nm_codec_io *io)
{
	ZSTD_inBuffer in = {io->in, io->in_left, 0};
	ZSTD_outBuffer out = {io->out, io->out_left, 0};
	size_t ret = ZSTD_decompressStream(ctx, &out, &in);

	io->in += in.pos;
	io->in_left -= in.pos;
	io->out += out.pos;
	io->out_left -= out.pos;
	if (!ZSTD_isError(ret))
		return ret == 0 ? NM_CODEC_END : NM_CODEC_MORE;
	io->why = ZSTD_getErrorName(ret);
	switch (ZSTD_getErrorCode(ret)) {
	case ZSTD_error_checksum_wrong:
		return NM_CODEC_CHECKSUM;
	case ZSTD_error_memory_allocation:
		return NM_CODEC_NOMEM;
	case ZSTD_error_frameParameter_windowTooLarge: /* 128 MiB, as the zstd program without --long */
		return NM_CODEC_LIMIT;
	case ZSTD_error_dictionary_wrong:
	case ZSTD_error_version_unsupported:
	case ZSTD_error_frameParameter_unsupported:
		return NM_CODEC_UNSUPPORTED;
	default:
		return NM_CODEC_DAMAGED;
	}
}

static bool zstd_restart(void *ctx)
{
	return !ZSTD_isError(ZSTD_initDStream(ctx));
}

static void zstd_free(void *ctx)
{
	ZSTD_freeDStream(ctx);
}

const struct nm_codec nm_codec_zstd = {zstd_new, zstd_step, zstd_restart, zstd_free};
