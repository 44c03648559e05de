// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * .nms: the walk over all records. A length is used only after the header's checksum vouched for it
 * and nms_order_step found it allowed; memory grows by one entry a record that is really there.
 */
#include "nms_format.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "bytes.h"
#include "error.h"

#define BUFFER_SIZE (1 << 20)

struct walk {
	struct nm_nms *nms;
	struct nms_order order;
	uint64_t offset, size; /* of the next record, of the file */
	XXH3_state_t *headers_sum, *payload_sum;
	uint8_t *buffer;
};

static bool compares_sums(const struct walk *walk)
{
	return !(walk->nms->flags & NM_NMS_NO_CHECKSUM);
}

/* Makes room for one more element; doubles, so that a list costs linear time. */
static enum nestmig_error grow(void **list, size_t count, size_t *room, size_t element,
			       struct nestmig_detail *detail)
{
	size_t wanted = *room ? *room * 2 : 16;
	void *bigger;

	if (count < *room)
		return NESTMIG_OK;
	bigger = reallocarray(*list, wanted, element);
	if (!bigger)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory for %zu records", wanted);
	*list = bigger;
	*room = wanted;
	return NESTMIG_OK;
}

static enum nestmig_error remember(struct nm_nms *nms, const struct nms_header *header,
				   uint64_t offset, struct nestmig_detail *detail)
{
	bool is_chunk = header->type == NM_NMS_STREAM_CHUNK;
	enum nestmig_error error;

	if (is_chunk)
		error = grow((void **)&nms->chunks, nms->chunk_count, &nms->chunk_room,
			     sizeof(*nms->chunks), detail);
	else
		error = grow((void **)&nms->records, nms->record_count, &nms->record_room,
			     sizeof(*nms->records), detail);
	if (error)
		return error;
	if (is_chunk)
		nms->chunks[nms->chunk_count++] = offset;
	else
		nms->records[nms->record_count++] = (struct nm_nms_record){
			.type = header->type,
			.index = header->index,
			.offset = offset,
			.payload_offset = offset + NMS_HEADER_SIZE,
			.length = header->length,
		};
	return NESTMIG_OK;
}

static enum nestmig_error check_payload(struct walk *walk, const struct nms_header *header,
					struct nestmig_detail *detail)
{
	uint64_t offset = walk->offset + NMS_HEADER_SIZE, left = header->length;

	XXH3_64bits_reset(walk->payload_sum);
	while (left > 0) {
		size_t n = left < BUFFER_SIZE ? (size_t)left : BUFFER_SIZE;
		enum nestmig_error error =
			nm_source_read(walk->nms->source, offset, walk->buffer, n, detail);

		if (error)
			return error;
		XXH3_64bits_update(walk->payload_sum, walk->buffer, n);
		offset += n;
		left -= n;
	}
	if (XXH3_64bits_digest(walk->payload_sum) != header->payload_sum && compares_sums(walk))
		return nm_fail_at(detail, NESTMIG_ERR_CHECKSUM, walk->offset + NMS_HEADER_SIZE,
				  "the payload of record %s (index %" PRIu32 ", %" PRIu64
				  " bytes) does not match its checksum",
				  nms_type_name(header->type), header->index, header->length);
	return NESTMIG_OK;
}

static enum nestmig_error check_padding(struct walk *walk, const struct nms_header *header,
					struct nestmig_detail *detail)
{
	uint64_t offset = walk->offset + NMS_HEADER_SIZE + header->length;
	unsigned n = nms_padding(header->length);
	uint8_t bytes[8] = {0};
	enum nestmig_error error = nm_source_read(walk->nms->source, offset, bytes, n, detail);

	if (error)
		return error;
	if (nm_le64(bytes) != 0)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, offset,
				  "the padding after record %s (index %" PRIu32 ") is not zero",
				  nms_type_name(header->type), header->index);
	return NESTMIG_OK;
}

/* The 16 bytes before the frame, which place it in the stream. */
static enum nestmig_error check_chunk(struct walk *walk, struct nestmig_detail *detail)
{
	uint64_t offset = walk->offset + NMS_HEADER_SIZE;
	struct nm_nms *nms = walk->nms;
	uint8_t prefix[NMS_CHUNK_PREFIX];
	enum nestmig_error error;
	uint32_t size;

	error = nm_source_read(nms->source, offset, prefix, sizeof(prefix), detail);
	if (error)
		return error;
	size = nm_le32(prefix + 8);
	if (nm_le64(prefix) != nms->stream_size)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, offset,
				  "a stream chunk starts at %" PRIu64 " of the stream, but %" PRIu64
				  " is next",
				  nm_le64(prefix), nms->stream_size);
	if (size > NMS_CHUNK_MAX)
		return nm_fail_at(detail, NESTMIG_ERR_LIMIT, offset + 8,
				  "a stream chunk is of %" PRIu32 " bytes, more than %" PRIu32,
				  size, NMS_CHUNK_MAX);
	if (size == 0)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, offset + 8,
				  "a stream chunk is empty");
	if (nm_le32(prefix + 12) != 0)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, offset + 12,
				  "the reserved field of a stream chunk is not zero");
	if (nms->chunk_size == 0)
		nms->chunk_size = nms->last_size = size;
	if (nms->last_size != nms->chunk_size || size > nms->chunk_size)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, offset + 8,
				  "the chunks of the stream are not all of the same size");
	nms->last_size = size;
	nms->stream_size += size;
	return NESTMIG_OK;
}

static enum nestmig_error check_stream_end(struct walk *walk, struct nestmig_detail *detail)
{
	uint64_t offset = walk->offset + NMS_HEADER_SIZE;
	struct nm_nms *nms = walk->nms;
	uint8_t bytes[NMS_STREAM_END_SIZE];
	enum nestmig_error error;
	bool is_power;

	error = nm_source_read(nms->source, offset, bytes, sizeof(bytes), detail);
	if (error)
		return error;
	if (nm_le64(bytes) != nms->stream_size)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, offset,
				  "the stream is of %" PRIu64
				  " bytes, but its chunks hold %" PRIu64,
				  nm_le64(bytes), nms->stream_size);
	is_power = (nms->chunk_size & (nms->chunk_size - 1)) == 0;
	if (walk->order.chunks > 1 && (!is_power || nms->chunk_size < NMS_CHUNK_MIN))
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, nms->chunks[0] + NMS_HEADER_SIZE + 8,
				  "the chunks of the stream are of %" PRIu32
				  " bytes, which is no power of two from %" PRIu32,
				  nms->chunk_size, NMS_CHUNK_MIN);
	nms->stream_sum = nm_le64(bytes + 8);
	nms->stream_end = walk->offset;
	return NESTMIG_OK;
}

static enum nestmig_error check_end(struct walk *walk, struct nestmig_detail *detail)
{
	uint64_t offset = walk->offset + NMS_HEADER_SIZE, end = offset + NMS_END_SIZE;
	uint8_t bytes[NMS_END_SIZE];
	enum nestmig_error error;

	error = nm_source_read(walk->nms->source, offset, bytes, sizeof(bytes), detail);
	if (error)
		return error;
	if (nm_le64(bytes) != walk->order.records)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, offset,
				  "there are %" PRIu64 " records, but END counts %" PRIu64,
				  walk->order.records, nm_le64(bytes));
	if (nm_le64(bytes + 8) != end)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, offset + 8,
				  "END is for a file of %" PRIu64 " bytes, but ends at %" PRIu64,
				  nm_le64(bytes + 8), end);
	if (nm_le64(bytes + 16) != XXH3_64bits_digest(walk->headers_sum) && compares_sums(walk))
		return nm_fail_at(
			detail, NESTMIG_ERR_CHECKSUM, offset + 16,
			"the checksum over all record headers does not match: a record is "
			"of another file");
	if (end != walk->size)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, end,
				  "%" PRIu64 " bytes follow the end of the snapshot",
				  walk->size - end);
	return NESTMIG_OK;
}

static enum nestmig_error truncated(const struct walk *walk, const char *what,
				    struct nestmig_detail *detail)
{
	return nm_fail_at(detail, NESTMIG_ERR_TRUNCATED, walk->size,
			  "the snapshot is cut off: it ends at %" PRIu64 ", inside or before %s",
			  walk->size, what);
}

/* Reads the record header at the current offset, and checks all that it says. */
static enum nestmig_error next_header(struct walk *walk, struct nms_header *ret_header,
				      struct nestmig_detail *detail)
{
	uint64_t left = walk->size - walk->offset;
	uint8_t bytes[NMS_HEADER_SIZE];
	struct nms_header header;
	enum nestmig_error error;

	if (left < NMS_HEADER_SIZE)
		return truncated(walk, "the header of a record", detail);
	error = nm_source_read(walk->nms->source, walk->offset, bytes, sizeof(bytes), detail);
	if (!error)
		error = nms_decode_header(bytes, walk->offset, walk->nms->flags, &header, detail);
	if (!error)
		error = nms_order_step(&walk->order, &header, walk->offset, detail);
	if (error)
		return error;
	left -= NMS_HEADER_SIZE;
	if (header.length > left || nms_padding(header.length) > left - header.length)
		return truncated(walk, nms_type_name(header.type), detail);
	if (header.type != NM_NMS_END)
		XXH3_64bits_update(walk->headers_sum, bytes, sizeof(bytes));
	*ret_header = header;
	return NESTMIG_OK;
}

/* What the types that frame the file say beyond their headers. */
static enum nestmig_error check_content(struct walk *walk, const struct nms_header *header,
					struct nestmig_detail *detail)
{
	switch (header->type) {
	case NM_NMS_STREAM_CHUNK:
		return check_chunk(walk, detail);
	case NM_NMS_STREAM_END:
		return check_stream_end(walk, detail);
	case NM_NMS_END:
		return check_end(walk, detail);
	default:
		return NESTMIG_OK;
	}
}

static enum nestmig_error next_record(struct walk *walk, struct nestmig_detail *detail)
{
	bool skips_chunks = walk->nms->flags & NESTMIG_READ_SKIP_RAM_CHECKSUM;
	struct nms_header header = {0};
	enum nestmig_error error = next_header(walk, &header, detail);

	if (error)
		return error;
	error = check_padding(walk, &header, detail);
	if (!error && !(header.type == NM_NMS_STREAM_CHUNK && skips_chunks))
		error = check_payload(walk, &header, detail);
	if (!error)
		error = check_content(walk, &header, detail);
	if (!error)
		error = remember(walk->nms, &header, walk->offset, detail);
	if (error)
		return error;
	walk->offset += NMS_HEADER_SIZE + header.length + nms_padding(header.length);
	return NESTMIG_OK;
}

static enum nestmig_error read_file_header(struct walk *walk, struct nestmig_detail *detail)
{
	uint8_t bytes[NMS_HEADER_SIZE];
	struct nm_nms *nms = walk->nms;
	enum nestmig_error error;

	if (walk->size < NMS_HEADER_SIZE)
		return truncated(walk, "the file header", detail);
	error = nm_source_read(nms->source, 0, bytes, sizeof(bytes), detail);
	if (!error)
		error = nms_check_file_header(bytes, nms->flags, detail);
	if (error)
		return error;
	nms->major = nm_le16(bytes + 8);
	nms->minor = nm_le16(bytes + 10);
	nms->created = nm_le64(bytes + 16);
	XXH3_64bits_update(walk->headers_sum, bytes, sizeof(bytes));
	walk->offset = NMS_HEADER_SIZE;
	return NESTMIG_OK;
}

static enum nestmig_error walk_file(struct nm_nms *nms, struct nestmig_detail *detail)
{
	struct walk walk = {.nms = nms, .size = nm_source_size(nms->source)};
	enum nestmig_error error;

	walk.headers_sum = XXH3_createState();
	walk.payload_sum = XXH3_createState();
	walk.buffer = malloc(BUFFER_SIZE);
	if (!walk.headers_sum || !walk.payload_sum || !walk.buffer) {
		error = nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
		goto out;
	}
	XXH3_64bits_reset(walk.headers_sum);
	error = read_file_header(&walk, detail);
	while (!error && !walk.order.has_end)
		error = next_record(&walk, detail);
out:
	XXH3_freeState(walk.headers_sum);
	XXH3_freeState(walk.payload_sum);
	free(walk.buffer);
	return error;
}

enum nestmig_error nm_nms_open(struct nm_source *source, unsigned flags, struct nm_nms **ret_nms,
			       struct nestmig_detail *detail)
{
	struct nm_nms *nms = calloc(1, sizeof(*nms));
	enum nestmig_error error;

	if (!nms)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	nms->source = source;
	nms->flags = flags;
	error = walk_file(nms, detail);
	/* nms_order_step made sure that the first record is there and SOURCE. */
	if (!error)
		error = nms_info_parse(nms, &nms->records[0], detail);
	if (error) {
		nm_nms_free(nms);
		return error;
	}
	*ret_nms = nms;
	return NESTMIG_OK;
}

void nm_nms_free(struct nm_nms *nms)
{
	if (!nms)
		return;
	json_decref(nms->source_json);
	free(nms->records);
	free(nms->chunks);
	free(nms);
}

const struct nm_nms_info *nm_nms_info(const struct nm_nms *nms)
{
	return &nms->info;
}

void nm_nms_version(const struct nm_nms *nms, unsigned *ret_major, unsigned *ret_minor)
{
	*ret_major = nms->major;
	*ret_minor = nms->minor;
}

uint64_t nm_nms_created(const struct nm_nms *nms)
{
	return nms->created;
}

size_t nm_nms_record_count(const struct nm_nms *nms)
{
	return nms->record_count;
}

const struct nm_nms_record *nm_nms_record(const struct nm_nms *nms, size_t i)
{
	return i < nms->record_count ? &nms->records[i] : NULL;
}

bool nm_nms_has_stream(const struct nm_nms *nms)
{
	return nms->chunk_count > 0;
}

size_t nm_nms_chunk_count(const struct nm_nms *nms)
{
	return nms->chunk_count;
}

uint64_t nm_nms_stream_size(const struct nm_nms *nms)
{
	return nms->stream_size;
}
