// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * .nms: the writer. What it may write is decided by nms_order_step, as for the reader, so it cannot
 * write what the reader refuses.
 */
#include "nms_format.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>
#include <zstd.h>

#include "error.h"

struct nm_nms_writer {
	struct nms_file *file;
	struct nms_order order;
	struct nm_nms_progress progress;
	ZSTD_CCtx *cctx;
	XXH3_state_t *headers_sum, *stream_sum;
	uint8_t *chunk;   /* NMS_CHUNK_WRITTEN bytes, of which chunk_used are filled */
	uint8_t *payload; /* of a STREAM_CHUNK: prefix and frame */
	size_t chunk_used, payload_room;
	bool has_streamed, has_committed;
	/* Why nothing works any more. */
	enum nestmig_error failed;
	struct nestmig_detail why;
};

static enum nestmig_error still_works(const struct nm_nms_writer *writer,
				      struct nestmig_detail *detail)
{
	if (writer->has_committed)
		return nm_fail(detail, NESTMIG_ERR_INVALID, "the snapshot is committed already");
	if (writer->failed && detail)
		*detail = writer->why;
	return writer->failed;
}

/* Remembers an error after which the file is useless. */
static enum nestmig_error fail_for_good(struct nm_nms_writer *writer, enum nestmig_error error,
					const struct nestmig_detail *why,
					struct nestmig_detail *detail)
{
	writer->failed = error;
	writer->why = *why;
	if (detail)
		*detail = *why;
	return error;
}

static enum nestmig_error out(struct nm_nms_writer *writer, const void *bytes, size_t length,
			      struct nestmig_detail *detail)
{
	struct nestmig_detail why;
	enum nestmig_error error = nms_file_write(writer->file, bytes, length, &why);

	if (error)
		return fail_for_good(writer, error, &why, detail);
	writer->progress.file_bytes += length;
	return NESTMIG_OK;
}

static enum nestmig_error out_record(struct nm_nms_writer *writer, uint32_t type, uint32_t index,
				     const void *payload, size_t length,
				     struct nestmig_detail *detail)
{
	static const uint8_t zeros[8];
	uint64_t offset = writer->progress.file_bytes;
	struct nms_header header = {.type = type, .index = index, .length = length};
	uint8_t bytes[NMS_HEADER_SIZE];
	enum nestmig_error error = nms_order_step(&writer->order, &header, offset, detail);

	/* To the caller of a writer, a wrong order is a wrong argument. */
	if (error && detail)
		detail->has_offset = false;
	if (error)
		return error == NESTMIG_ERR_LIMIT ? error : NESTMIG_ERR_INVALID;
	header.payload_sum = XXH3_64bits(payload, length);
	nms_encode_header(bytes, &header, offset);
	if (type != NM_NMS_END)
		XXH3_64bits_update(writer->headers_sum, bytes, sizeof(bytes));
	error = out(writer, bytes, sizeof(bytes), detail);
	if (!error)
		error = out(writer, payload, length, detail);
	if (!error)
		error = out(writer, zeros, nms_padding(length), detail);
	return error;
}

static enum nestmig_error allocate(struct nm_nms_writer *writer, int level,
				   struct nestmig_detail *detail)
{
	writer->payload_room = NMS_CHUNK_PREFIX + ZSTD_compressBound(NMS_CHUNK_WRITTEN);
	writer->cctx = ZSTD_createCCtx();
	writer->headers_sum = XXH3_createState();
	writer->stream_sum = XXH3_createState();
	writer->chunk = malloc(NMS_CHUNK_WRITTEN);
	writer->payload = malloc(writer->payload_room);
	if (!writer->cctx || !writer->headers_sum || !writer->stream_sum || !writer->chunk ||
	    !writer->payload)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	XXH3_64bits_reset(writer->headers_sum);
	XXH3_64bits_reset(writer->stream_sum);
	if (ZSTD_isError(ZSTD_CCtx_setParameter(writer->cctx, ZSTD_c_compressionLevel, level)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(writer->cctx, ZSTD_c_contentSizeFlag, 1)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(writer->cctx, ZSTD_c_checksumFlag, 1)))
		return nm_fail(detail, NESTMIG_ERR_INVALID, "zstd refuses level %d", level);
	return NESTMIG_OK;
}

static enum nestmig_error start_file(struct nm_nms_writer *writer, struct nestmig_detail *detail)
{
	uint8_t bytes[NMS_HEADER_SIZE];
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME, &now) < 0)
		return nm_fail_errno(detail, "cannot tell the time");
	nms_encode_file_header(bytes,
			       (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec);
	XXH3_64bits_update(writer->headers_sum, bytes, sizeof(bytes));
	return out(writer, bytes, sizeof(bytes), detail);
}

enum nestmig_error nm_nms_writer_new(const char *path, int level, struct nm_nms_writer **ret_writer,
				     struct nestmig_detail *detail)
{
	struct nm_nms_writer *writer;
	enum nestmig_error error;

	if (level < NM_NMS_LEVEL_MIN || level > NM_NMS_LEVEL_MAX)
		return nm_fail(detail, NESTMIG_ERR_INVALID,
			       "compression level %d is not from %d to %d", level, NM_NMS_LEVEL_MIN,
			       NM_NMS_LEVEL_MAX);
	writer = calloc(1, sizeof(*writer));
	if (!writer)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	error = allocate(writer, level, detail);
	if (!error)
		error = nms_file_new(path, &writer->file, detail);
	if (!error)
		error = start_file(writer, detail);
	if (error) {
		nm_nms_writer_free(writer);
		return error;
	}
	*ret_writer = writer;
	return NESTMIG_OK;
}

void nm_nms_writer_free(struct nm_nms_writer *writer)
{
	if (!writer)
		return;
	nms_file_free(writer->file);
	ZSTD_freeCCtx(writer->cctx);
	XXH3_freeState(writer->headers_sum);
	XXH3_freeState(writer->stream_sum);
	free(writer->chunk);
	free(writer->payload);
	free(writer);
}

const struct nm_nms_progress *nm_nms_writer_progress(const struct nm_nms_writer *writer)
{
	return &writer->progress;
}

enum nestmig_error nm_nms_writer_add_record(struct nm_nms_writer *writer, uint32_t type,
					    uint32_t index, const void *bytes, size_t length,
					    struct nestmig_detail *detail)
{
	enum nestmig_error error = still_works(writer, detail);

	if (error)
		return error;
	if (type == NM_NMS_STREAM_CHUNK || type == NM_NMS_STREAM_END || type == NM_NMS_END)
		return nm_fail(detail, NESTMIG_ERR_INVALID, "record %s is the writer's own to make",
			       nms_type_name(type));
	if (writer->has_streamed && !writer->order.has_stream_end)
		return nm_fail(detail, NESTMIG_ERR_INVALID,
			       "the stream is not finished, so no other record may follow");
	return out_record(writer, type, index, bytes, length, detail);
}

enum nestmig_error nm_nms_writer_add_vcpu(struct nm_nms_writer *writer, uint32_t id,
					  enum nm_kvm_struct kind, const void *bytes, size_t length,
					  struct nestmig_detail *detail)
{
	uint32_t type = nm_nms_type_of(kind);

	if (!type)
		return nm_fail(detail, NESTMIG_ERR_INVALID, "there is no record for that struct");
	return nm_nms_writer_add_record(writer, type, id, bytes, length, detail);
}

enum nestmig_error nm_nms_writer_add_source(struct nm_nms_writer *writer,
					    const struct nm_nms_info *info,
					    struct nestmig_detail *detail)
{
	char *text = NULL;
	enum nestmig_error error = nms_info_format(info, &text, detail);

	if (error)
		return error;
	error = nm_nms_writer_add_record(writer, NM_NMS_SOURCE, 0, text, strlen(text), detail);
	free(text);
	return error;
}

/* Compresses and writes what is in the buffer. */
static enum nestmig_error flush_chunk(struct nm_nms_writer *writer, struct nestmig_detail *detail)
{
	uint64_t stream_offset = writer->order.chunks * NMS_CHUNK_WRITTEN;
	enum nestmig_error error;
	size_t size;

	nms_put64(writer->payload, stream_offset);
	nms_put32(writer->payload + 8, (uint32_t)writer->chunk_used);
	nms_put32(writer->payload + 12, 0);
	size = ZSTD_compress2(writer->cctx, writer->payload + NMS_CHUNK_PREFIX,
			      writer->payload_room - NMS_CHUNK_PREFIX, writer->chunk,
			      writer->chunk_used);
	if (ZSTD_isError(size)) {
		struct nestmig_detail why;

		error = nm_fail(&why, NESTMIG_ERR_NOMEM, "zstd cannot compress: %s",
				ZSTD_getErrorName(size));
		return fail_for_good(writer, error, &why, detail);
	}
	XXH3_64bits_update(writer->stream_sum, writer->chunk, writer->chunk_used);
	error = out_record(writer, NM_NMS_STREAM_CHUNK, (uint32_t)writer->order.chunks,
			   writer->payload, NMS_CHUNK_PREFIX + size, detail);
	if (error)
		return error;
	writer->progress.chunks++;
	writer->chunk_used = 0;
	return NESTMIG_OK;
}

enum nestmig_error nm_nms_writer_add_stream(struct nm_nms_writer *writer, const void *bytes,
					    size_t length, struct nestmig_detail *detail)
{
	const uint8_t *p = bytes;
	enum nestmig_error error = still_works(writer, detail);

	if (error)
		return error;
	if (!writer->order.has_source || writer->order.has_stream_end)
		return nm_fail(detail, NESTMIG_ERR_INVALID,
			       "the stream comes after the source, and once");
	while (length > 0) {
		size_t room = NMS_CHUNK_WRITTEN - writer->chunk_used;
		size_t n = length < room ? length : room;

		/* Only when more follows: the last chunk is written by _finish_stream. */
		error = room == 0 ? flush_chunk(writer, detail) : NESTMIG_OK;
		if (error)
			return error;
		memcpy(writer->chunk + writer->chunk_used, p, n);
		writer->chunk_used += n;
		writer->progress.stream_bytes += n;
		writer->has_streamed = true;
		p += n;
		length -= n;
	}
	return NESTMIG_OK;
}

enum nestmig_error nm_nms_writer_finish_stream(struct nm_nms_writer *writer,
					       struct nestmig_detail *detail)
{
	uint8_t payload[NMS_STREAM_END_SIZE];
	enum nestmig_error error = still_works(writer, detail);

	if (error)
		return error;
	if (!writer->has_streamed || writer->order.has_stream_end)
		return nm_fail(detail, NESTMIG_ERR_INVALID,
			       writer->has_streamed ? "the stream is finished already"
						    : "the stream is empty");
	error = flush_chunk(writer, detail);
	if (error)
		return error;
	nms_put64(payload, writer->progress.stream_bytes);
	nms_put64(payload + 8, XXH3_64bits_digest(writer->stream_sum));
	return out_record(writer, NM_NMS_STREAM_END, 0, payload, sizeof(payload), detail);
}

enum nestmig_error nm_nms_writer_commit(struct nm_nms_writer *writer, struct nestmig_detail *detail)
{
	uint8_t payload[NMS_END_SIZE];
	struct nestmig_detail why;
	enum nestmig_error error = still_works(writer, detail);

	if (error)
		return error;
	if (writer->has_streamed && !writer->order.has_stream_end)
		return nm_fail(detail, NESTMIG_ERR_INVALID, "the stream is not finished");
	nms_put64(payload, writer->order.records + 1);
	nms_put64(payload + 8, writer->progress.file_bytes + NMS_HEADER_SIZE + NMS_END_SIZE);
	nms_put64(payload + 16, XXH3_64bits_digest(writer->headers_sum));
	error = out_record(writer, NM_NMS_END, 0, payload, sizeof(payload), detail);
	if (error)
		return error;
	error = nms_file_commit(writer->file, &why);
	if (error)
		return fail_for_good(writer, error, &why, detail);
	writer->has_committed = true;
	return NESTMIG_OK;
}
