// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nms DIRECTORY: writes a stream of 256 MiB (a third zeros, a third text-like, a third noise) into
 * an .nms and gives it back, and the ratios to what the zstd library and memcpy take for the same
 * bytes in the same run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "clock.h"
#include "nms.h"
#include "source.h"

#define SIZE  (UINT64_C(256) << 20)
#define PIECE (1U << 20)
#define CHUNK (4U << 20)

static uint8_t *make_stream(void)
{
	uint8_t *stream = calloc(1, SIZE);
	uint64_t seed = 1;

	for (uint64_t i = 0; stream && i < SIZE; i += 8) {
		uint64_t kind = i / 4096 % 3;

		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		if (kind == 1)
			memcpy(stream + i, "register", 7);
		else if (kind == 2)
			memcpy(stream + i, &seed, 8);
	}
	return stream;
}

static int write_nms(const char *path, const uint8_t *stream)
{
	static const struct nm_nms_info info = {
		.kind = NM_NMS_FULL, .tool = "bench", .time = "2026-01-01T00:00:00Z"};
	struct nm_nms_writer *writer = NULL;
	struct nestmig_detail detail = {0};
	int error = nm_nms_writer_new(path, 1, &writer, &detail);

	if (!error)
		error = nm_nms_writer_add_source(writer, &info, &detail);
	for (uint64_t at = 0; !error && at < SIZE; at += PIECE)
		error = nm_nms_writer_add_stream(writer, stream + at, PIECE, &detail);
	if (!error)
		error = nm_nms_writer_finish_stream(writer, &detail);
	if (!error)
		error = nm_nms_writer_commit(writer, &detail);
	nm_nms_writer_free(writer);
	if (error)
		fprintf(stderr, "bench-nms: %s\n", detail.text);
	return error;
}

static enum nestmig_error sink(void *ctx, uint64_t offset, const uint8_t *bytes, size_t length,
			       struct nestmig_detail *detail)
{
	uint8_t *to = ctx;

	(void)offset;
	(void)detail;
	memcpy(to, bytes, length);
	return NESTMIG_OK;
}

static int read_nms(const char *path, uint8_t *scratch)
{
	struct nestmig_detail detail = {0};
	struct nm_source *source = NULL;
	struct nm_nms *nms = NULL;
	int error = nm_source_open(path, &source, &detail);

	if (!error)
		error = nm_nms_open(source, 0, &nms, &detail);
	if (!error)
		error = nm_nms_stream_each(nms, sink, scratch, &detail);
	nm_nms_free(nms);
	nm_source_free(source);
	if (error)
		fprintf(stderr, "bench-nms: %s\n", detail.text);
	return error;
}

/* What zstd alone takes, in the same pieces; to becomes the frames, back to back. */
static size_t zstd_alone(const uint8_t *stream, uint8_t *to, double *ret_seconds)
{
	ZSTD_CCtx *cctx = ZSTD_createCCtx();
	double start = now();
	size_t used = 0;

	for (uint64_t at = 0; at < SIZE; at += CHUNK)
		used += ZSTD_compressCCtx(cctx, to + used, ZSTD_compressBound(CHUNK), stream + at,
					  CHUNK, 1);
	*ret_seconds = now() - start;
	ZSTD_freeCCtx(cctx);
	return used;
}

int main(int argc, char **argv)
{
	uint8_t *stream = make_stream(), *scratch = malloc(SIZE + (64U << 20));
	double start, writing, reading, zstd, copying;
	char path[4096];
	size_t packed;

	if (argc != 2 || !stream || !scratch)
		return 2;
	snprintf(path, sizeof(path), "%s/bench.nms", argv[1]);
	start = now();
	if (write_nms(path, stream))
		return 1;
	writing = now() - start;
	packed = zstd_alone(stream, scratch, &zstd);
	start = now();
	if (read_nms(path, scratch))
		return 1;
	reading = now() - start;
	start = now();
	memcpy(scratch, stream, SIZE);
	copying = now() - start;
	unlink(path);
	printf("write %.0f MiB/s (zstd -1 alone %.0f MiB/s: ratio %.2f, packed to %zu MiB); verify "
	       "and unpack %.0f MiB/s (memcpy %.0f MiB/s: ratio %.1f)\n",
	       256 / writing, 256 / zstd, writing / zstd, packed >> 20, 256 / reading,
	       256 / copying, reading / copying);
	free(stream);
	free(scratch);
	return 0;
}
