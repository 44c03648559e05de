/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the reader and the writer of .nms share: layout, limits and the order of records
 * (formats/nms.md). Private to formats/nms_*.c and their tests.
 */
#ifndef NESTMIG_NMS_FORMAT_H
#define NESTMIG_NMS_FORMAT_H

#include <jansson.h>

#include "nms.h"
#include "nms_file.h"
#include "source.h"

#define NMS_MAJOR           1
#define NMS_MINOR           0

#define NMS_HEADER_SIZE     32 /* of the file and of a record */
#define NMS_HEADER_SUM      24 /* offset of the checksum in both */
#define NMS_CHUNK_PREFIX    16
#define NMS_STREAM_END_SIZE 16
#define NMS_END_SIZE        24

#define NMS_CHUNK_MIN       (UINT32_C(4) << 10) /* of chunks that are not the last */
#define NMS_CHUNK_MAX       (UINT32_C(4) << 20)
#define NMS_CHUNK_PAYLOAD   (NMS_CHUNK_MAX + (UINT32_C(64) << 10))
#define NMS_CHUNK_WRITTEN   (UINT32_C(1) << 20) /* uncompressed size that the writer uses */
#define NMS_CHUNKS_MAX      (UINT64_C(1) << 24)
#define NMS_RECORDS_MAX     65536 /* that are not chunks */

/* A record header, decoded. */
struct nms_header {
	uint32_t type, index;
	uint64_t length;
	uint64_t payload_sum;
};

/* Little-endian stores. */
void nms_put32(uint8_t *p, uint32_t value);
void nms_put64(uint8_t *p, uint64_t value);

void nms_encode_file_header(uint8_t bytes[NMS_HEADER_SIZE], uint64_t created_ns);

/* Magic, checksum, version, reserved. Errors as nms.md, 5. */
NESTMIG_CHECKED enum nestmig_error nms_check_file_header(const uint8_t bytes[NMS_HEADER_SIZE],
							 unsigned flags,
							 struct nestmig_detail *detail);

/* offset: that of the record in the file, which its checksum covers. */
void nms_encode_header(uint8_t bytes[NMS_HEADER_SIZE], const struct nms_header *header,
		       uint64_t offset);

/* Error: CHECKSUM. */
NESTMIG_CHECKED enum nestmig_error nms_decode_header(const uint8_t bytes[NMS_HEADER_SIZE],
						     uint64_t offset, unsigned flags,
						     struct nms_header *ret_header,
						     struct nestmig_detail *detail);

/* Zero bytes after a payload. */
static inline unsigned nms_padding(uint64_t length)
{
	return (unsigned)(-length & 7);
}

/* The name of a type of record for messages, never NULL. */
const char *nms_type_name(uint32_t type);

/* Is it the type of a vCPU record? If so, and ret_kind is not NULL, of which struct? */
bool nms_is_vcpu_type(uint32_t type, enum nm_kvm_struct *ret_kind);

/* Which records there have been: all zero at the start. */
struct nms_order {
	uint64_t records; /* all of them */
	uint64_t chunks;
	bool has_source, has_host, has_vcpu, has_stream_end, has_end;
	uint32_t vcpu, vcpu_type; /* of the last vCPU record */
};

/*
 * May this record follow here, with this index and length? If so, it is counted.
 * Errors: FORMAT, LIMIT, UNSUPPORTED (an unknown mandatory type), all at offset.
 */
NESTMIG_CHECKED enum nestmig_error nms_order_step(struct nms_order *order,
						  const struct nms_header *header, uint64_t offset,
						  struct nestmig_detail *detail);

/* An opened snapshot. */
struct nm_nms {
	struct nm_source *source; /* not owned */
	unsigned flags;
	unsigned major, minor;
	uint64_t created;
	struct nm_nms_record *records; /* owned, but for chunks */
	size_t record_count, record_room;
	uint64_t *chunks; /* owned: offsets of the chunks' record headers */
	size_t chunk_count, chunk_room;
	uint32_t chunk_size; /* uncompressed, of all chunks but the last */
	uint32_t last_size;  /* uncompressed, of the last one */
	uint64_t stream_size, stream_sum;
	uint64_t stream_end; /* offset of the record STREAM_END */
	json_t *source_json; /* owned; the texts of info are its */
	struct nm_nms_info info;
	bool unpack_failed; /* the last read of the stream failed in the .nms, not above */
};

/* SOURCE's JSON. The text is the caller's, to be freed. Errors: INVALID, NOMEM. */
NESTMIG_CHECKED enum nestmig_error nms_info_format(const struct nm_nms_info *info, char **ret_text,
						   struct nestmig_detail *detail);

/* Fills nms->source_json and nms->info from the record. Errors: FORMAT, UNSUPPORTED, IO, NOMEM. */
NESTMIG_CHECKED enum nestmig_error nms_info_parse(struct nm_nms *nms,
						  const struct nm_nms_record *record,
						  struct nestmig_detail *detail);

#endif
