// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * .nms: the uncompressed stream. Chunks are checked each time they are loaded: with
 * NESTMIG_READ_SKIP_RAM_CHECKSUM nobody has looked at them before, and the file may have changed.
 */
#include "nms_format.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "bytes.h"
#include "error.h"

#define CACHED_CHUNKS 3

/* Bits of the byte after a zstd frame's magic (RFC 8878, 3.1.1.1.1). */
#define FRAME_DICTIONARY 0x03
#define FRAME_CHECKSUM   0x04

/* What it takes to load a chunk. */
struct unpacker {
	struct nm_nms *nms;
	ZSTD_DCtx *dctx;
	uint8_t *packed; /* NMS_CHUNK_PAYLOAD bytes: no payload is longer */
};

static enum nestmig_error unpacker_init(struct unpacker *unpacker, struct nm_nms *nms,
					struct nestmig_detail *detail)
{
	unpacker->nms = nms;
	unpacker->dctx = ZSTD_createDCtx();
	unpacker->packed = malloc(NMS_CHUNK_PAYLOAD);
	if (!unpacker->dctx || !unpacker->packed)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	return NESTMIG_OK;
}

static void unpacker_clear(struct unpacker *unpacker)
{
	ZSTD_freeDCtx(unpacker->dctx);
	free(unpacker->packed);
}

/* The uncompressed size that chunk i must have. */
static uint32_t size_of_chunk(const struct nm_nms *nms, size_t i)
{
	return i + 1 == nms->chunk_count ? nms->last_size : nms->chunk_size;
}

/* Reads chunk i as it stands in the file. */
static enum nestmig_error load_packed(struct unpacker *unpacker, size_t i, size_t *ret_length,
				      struct nestmig_detail *detail)
{
	const struct nm_nms *nms = unpacker->nms;
	uint64_t offset = nms->chunks[i];
	uint8_t bytes[NMS_HEADER_SIZE];
	struct nms_header header;
	enum nestmig_error error;

	error = nm_source_read(nms->source, offset, bytes, sizeof(bytes), detail);
	if (!error)
		error = nms_decode_header(bytes, offset, nms->flags, &header, detail);
	if (error)
		return error;
	if (header.type != NM_NMS_STREAM_CHUNK || header.length <= NMS_CHUNK_PREFIX ||
	    header.length > NMS_CHUNK_PAYLOAD)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, offset,
				  "the snapshot was changed while it was read");
	error = nm_source_read(nms->source, offset + NMS_HEADER_SIZE, unpacker->packed,
			       (size_t)header.length, detail);
	if (error)
		return error;
	if (XXH3_64bits(unpacker->packed, (size_t)header.length) != header.payload_sum &&
	    !(nms->flags & NM_NMS_NO_CHECKSUM))
		return nm_fail_at(detail, NESTMIG_ERR_CHECKSUM, offset + NMS_HEADER_SIZE,
				  "stream chunk %zu does not match its checksum", i);
	if (nm_le64(unpacker->packed) != (uint64_t)i * nms->chunk_size ||
	    nm_le32(unpacker->packed + 8) != size_of_chunk(nms, i))
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, offset + NMS_HEADER_SIZE,
				  "the snapshot was changed while it was read");
	*ret_length = (size_t)header.length;
	return NESTMIG_OK;
}

/* Is it exactly one frame, as nms.md, 4.4 wants it? */
static enum nestmig_error check_frame(const uint8_t *frame, size_t length, uint32_t size,
				      uint64_t offset, struct nestmig_detail *detail)
{
	unsigned long long content = ZSTD_getFrameContentSize(frame, length);
	size_t frame_length;

	if (content != size)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, offset,
				  "the zstd frame of a stream chunk does not declare a content of "
				  "%" PRIu32 " bytes",
				  size);
	frame_length = ZSTD_findFrameCompressedSize(frame, length);
	if (ZSTD_isError(frame_length) || frame_length != length)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, offset,
				  "the payload of a stream chunk is not exactly one zstd frame");
	if (!(frame[4] & FRAME_CHECKSUM) || (frame[4] & FRAME_DICTIONARY))
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, offset + 4,
				  "the zstd frame of a stream chunk lacks a checksum or wants a "
				  "dictionary");
	return NESTMIG_OK;
}

/* Decompresses chunk i into buffer, which has room for chunk_size bytes. */
static enum nestmig_error unpack(struct unpacker *unpacker, size_t i, uint8_t *buffer,
				 struct nestmig_detail *detail)
{
	struct nm_nms *nms = unpacker->nms;
	uint64_t offset = nms->chunks[i] + NMS_HEADER_SIZE + NMS_CHUNK_PREFIX;
	const uint8_t *frame = unpacker->packed + NMS_CHUNK_PREFIX;
	uint32_t size = size_of_chunk(nms, i);
	size_t length = 0, unpacked;
	enum nestmig_error error;

	nms->unpack_failed = true;
	error = load_packed(unpacker, i, &length, detail);
	if (error)
		return error;
	length -= NMS_CHUNK_PREFIX;
	error = check_frame(frame, length, size, offset, detail);
	if (error)
		return error;
	unpacked = ZSTD_decompressDCtx(unpacker->dctx, buffer, size, frame, length);
	if (unpacked != size)
		return nm_fail_at(detail,
				  ZSTD_getErrorCode(unpacked) == ZSTD_error_checksum_wrong
					  ? NESTMIG_ERR_CHECKSUM
					  : NESTMIG_ERR_FORMAT,
				  offset, "stream chunk %zu cannot be decompressed: %s", i,
				  ZSTD_isError(unpacked) ? ZSTD_getErrorName(unpacked)
							 : "wrong size");
	nms->unpack_failed = false;
	return NESTMIG_OK;
}

/* ---- Random access --------------------------------------------------------------------------- */

struct slot {
	uint8_t *bytes; /* owned; NULL until first used */
	size_t chunk;
	uint64_t used; /* when, by the cache's clock; 0: holds nothing */
};

struct stream {
	struct unpacker unpacker;
	struct slot slots[CACHED_CHUNKS];
	uint64_t clock;
};

static void stream_free(void *ctx)
{
	struct stream *stream = ctx;

	if (!stream)
		return;
	for (size_t i = 0; i < CACHED_CHUNKS; i++)
		free(stream->slots[i].bytes);
	unpacker_clear(&stream->unpacker);
	nm_nms_free(stream->unpacker.nms);
	free(stream);
}

static struct slot *oldest_slot(struct stream *stream)
{
	struct slot *oldest = &stream->slots[0];

	for (size_t i = 1; i < CACHED_CHUNKS; i++)
		if (stream->slots[i].used < oldest->used)
			oldest = &stream->slots[i];
	return oldest;
}

/* Finds or loads a chunk. */
static enum nestmig_error get_chunk(struct stream *stream, size_t chunk, const uint8_t **ret_bytes,
				    struct nestmig_detail *detail)
{
	struct slot *slot = NULL;
	enum nestmig_error error;

	for (size_t i = 0; i < CACHED_CHUNKS && !slot; i++)
		if (stream->slots[i].used && stream->slots[i].chunk == chunk)
			slot = &stream->slots[i];
	if (!slot) {
		slot = oldest_slot(stream);
		slot->used = 0;
		if (!slot->bytes)
			slot->bytes = malloc(stream->unpacker.nms->chunk_size);
		if (!slot->bytes)
			return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
		error = unpack(&stream->unpacker, chunk, slot->bytes, detail);
		if (error)
			return error;
		slot->chunk = chunk;
	}
	slot->used = ++stream->clock;
	*ret_bytes = slot->bytes;
	return NESTMIG_OK;
}

static enum nestmig_error stream_read(void *ctx, uint64_t offset, void *buffer, size_t length,
				      struct nestmig_detail *detail)
{
	struct stream *stream = ctx;
	uint32_t chunk_size = stream->unpacker.nms->chunk_size;
	uint8_t *p = buffer;

	stream->unpacker.nms->unpack_failed = false;
	while (length > 0) {
		uint32_t start = (uint32_t)(offset % chunk_size);
		size_t n = chunk_size - start < length ? chunk_size - start : length;
		const uint8_t *bytes = NULL;
		enum nestmig_error error =
			get_chunk(stream, (size_t)(offset / chunk_size), &bytes, detail);

		if (error)
			return error;
		memcpy(p, bytes + start, n);
		p += n;
		offset += n;
		length -= n;
	}
	return NESTMIG_OK;
}

static const struct nm_source_ops stream_ops = {.read = stream_read, .free = stream_free};

enum nestmig_error nm_nms_stream_source(struct nm_nms *nms, struct nm_source **ret_source,
					struct nestmig_detail *detail)
{
	struct stream *stream;
	enum nestmig_error error;

	if (!nm_nms_has_stream(nms)) {
		nm_nms_free(nms);
		return nm_fail(detail, NESTMIG_ERR_INVALID, "the snapshot holds no stream");
	}
	stream = calloc(1, sizeof(*stream));
	if (!stream) {
		nm_nms_free(nms);
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	}
	error = unpacker_init(&stream->unpacker, nms, detail);
	if (error) {
		stream_free(stream);
		return error;
	}
	return nm_source_new(&stream_ops, stream, nms->stream_size, ret_source, detail);
}

/* ---- In order -------------------------------------------------------------------------------- */

static enum nestmig_error each_chunk(struct unpacker *unpacker, XXH3_state_t *sum, uint8_t *buffer,
				     nm_nms_sink sink, void *ctx, struct nestmig_detail *detail)
{
	const struct nm_nms *nms = unpacker->nms;

	for (size_t i = 0; i < nms->chunk_count; i++) {
		uint32_t size = size_of_chunk(nms, i);
		enum nestmig_error error = unpack(unpacker, i, buffer, detail);

		if (error)
			return error;
		XXH3_64bits_update(sum, buffer, size);
		if (i + 1 == nms->chunk_count && XXH3_64bits_digest(sum) != nms->stream_sum &&
		    !(nms->flags & NM_NMS_NO_CHECKSUM))
			return nm_fail_at(detail, NESTMIG_ERR_CHECKSUM,
					  nms->stream_end + NMS_HEADER_SIZE + 8,
					  "the whole stream does not match its checksum");
		error = sink(ctx, (uint64_t)i * nms->chunk_size, buffer, size, detail);
		if (error)
			return error;
	}
	return NESTMIG_OK;
}

enum nestmig_error nm_nms_stream_each(struct nm_nms *nms, nm_nms_sink sink, void *ctx,
				      struct nestmig_detail *detail)
{
	struct unpacker unpacker = {0};
	XXH3_state_t *sum;
	uint8_t *buffer;
	enum nestmig_error error;

	if (!nm_nms_has_stream(nms))
		return nm_fail(detail, NESTMIG_ERR_INVALID, "the snapshot holds no stream");
	sum = XXH3_createState();
	buffer = malloc(nms->chunk_size);
	if (!sum || !buffer) {
		error = nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
		goto out;
	}
	XXH3_64bits_reset(sum);
	error = unpacker_init(&unpacker, nms, detail);
	if (!error)
		error = each_chunk(&unpacker, sum, buffer, sink, ctx, detail);
	unpacker_clear(&unpacker);
out:
	XXH3_freeState(sum);
	free(buffer);
	return error;
}

static enum nestmig_error write_fd(void *ctx, uint64_t offset, const uint8_t *bytes, size_t length,
				   struct nestmig_detail *detail)
{
	int fd = *(const int *)ctx;

	while (length > 0) {
		ssize_t n = write(fd, bytes, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return nm_fail_errno(
				detail, "cannot pass on the stream at its byte %" PRIu64, offset);
		bytes += n;
		offset += (uint64_t)n;
		length -= (size_t)n;
	}
	return NESTMIG_OK;
}

enum nestmig_error nm_nms_stream_to_fd(struct nm_nms *nms, int fd, struct nestmig_detail *detail)
{
	return nm_nms_stream_each(nms, write_fd, &fd, detail);
}
