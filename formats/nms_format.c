// SPDX-License-Identifier: LGPL-2.1-or-later
/* .nms: headers, and which record may follow which. */
#include "nms_format.h"

#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

#include "bytes.h"
#include "error.h"

/* What is known of a type of record. */
struct type_row {
	uint32_t type;
	const char *name;
	uint64_t min, max; /* length of the payload */
};

#define KIB (UINT64_C(1) << 10)

static const struct type_row types[] = {
	{NM_NMS_SOURCE, "SOURCE", 2, 64 * KIB},
	{NM_NMS_HOST, "HOST", 2, 1024 * KIB},
	{NM_NMS_NESTED_STATE, "NESTED_STATE", 1, 64 * KIB},
	{NM_NMS_SREGS, "SREGS", 1, 64 * KIB},
	{NM_NMS_SREGS2, "SREGS2", 1, 64 * KIB},
	{NM_NMS_REGS, "REGS", 1, 64 * KIB},
	{NM_NMS_VCPU_EVENTS, "VCPU_EVENTS", 1, 64 * KIB},
	{NM_NMS_DEBUGREGS, "DEBUGREGS", 1, 64 * KIB},
	{NM_NMS_MP_STATE, "MP_STATE", 1, 64 * KIB},
	{NM_NMS_MSRS, "MSRS", 1, 64 * KIB},
	{NM_NMS_CPUID, "CPUID", 1, 64 * KIB},
	{NM_NMS_STREAM_CHUNK, "STREAM_CHUNK", NMS_CHUNK_PREFIX + 1, NMS_CHUNK_PAYLOAD},
	{NM_NMS_STREAM_END, "STREAM_END", NMS_STREAM_END_SIZE, NMS_STREAM_END_SIZE},
	{NM_NMS_END, "END", NMS_END_SIZE, NMS_END_SIZE},
};

/* Which record holds which struct. */
static const uint32_t kvm_types[NM_KVM_STRUCTS] = {
	[NM_KVM_NESTED_STATE] = NM_NMS_NESTED_STATE,
	[NM_KVM_SREGS] = NM_NMS_SREGS,
	[NM_KVM_SREGS2] = NM_NMS_SREGS2,
	[NM_KVM_REGS] = NM_NMS_REGS,
	[NM_KVM_VCPU_EVENTS] = NM_NMS_VCPU_EVENTS,
	[NM_KVM_DEBUGREGS] = NM_NMS_DEBUGREGS,
	[NM_KVM_MP_STATE] = NM_NMS_MP_STATE,
	[NM_KVM_MSRS] = NM_NMS_MSRS,
	[NM_KVM_CPUID] = NM_NMS_CPUID,
};

static const struct type_row *find_type(uint32_t type)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i].type == type)
			return &types[i];
	return NULL;
}

const char *nms_type_name(uint32_t type)
{
	const struct type_row *row = find_type(type);

	return row ? row->name : "unknown";
}

uint32_t nm_nms_type_of(enum nm_kvm_struct kind)
{
	return (size_t)kind < NM_KVM_STRUCTS ? kvm_types[kind] : 0;
}

bool nms_is_vcpu_type(uint32_t type, enum nm_kvm_struct *ret_kind)
{
	for (size_t i = 0; i < NM_KVM_STRUCTS; i++) {
		if (kvm_types[i] != type)
			continue;
		if (ret_kind)
			*ret_kind = (enum nm_kvm_struct)i;
		return true;
	}
	return false;
}

void nms_put32(uint8_t *p, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(value >> 8 * i);
}

void nms_put64(uint8_t *p, uint64_t value)
{
	nms_put32(p, (uint32_t)value);
	nms_put32(p + 4, (uint32_t)(value >> 32));
}

void nms_encode_file_header(uint8_t bytes[NMS_HEADER_SIZE], uint64_t created_ns)
{
	memcpy(bytes, NM_NMS_MAGIC, NM_NMS_MAGIC_SIZE);
	nms_put32(bytes + 8, NMS_MAJOR | NMS_MINOR << 16);
	nms_put32(bytes + 12, 0);
	nms_put64(bytes + 16, created_ns);
	nms_put64(bytes + NMS_HEADER_SUM, XXH3_64bits(bytes, NMS_HEADER_SUM));
}

bool nm_nms_recognise(const uint8_t *head, size_t size)
{
	return size >= 4 && (head[0] & 0x7f) == 0x0e && memcmp(head + 1, "NMS", 3) == 0;
}

static enum nestmig_error check_magic(const uint8_t *bytes, struct nestmig_detail *detail)
{
	if (memcmp(bytes, NM_NMS_MAGIC, NM_NMS_MAGIC_SIZE) == 0)
		return NESTMIG_OK;
	if (nm_nms_recognise(bytes, NM_NMS_MAGIC_SIZE))
		return nm_fail_at(
			detail, NESTMIG_ERR_FORMAT, 0,
			"this was a nestmig snapshot, but a transfer as text (or of seven "
			"bits a byte) has changed it; transfer it as binary");
	return nm_fail_at(detail, NESTMIG_ERR_FORMAT, 0, "this is not a nestmig snapshot (.nms)");
}

enum nestmig_error nms_check_file_header(const uint8_t bytes[NMS_HEADER_SIZE], unsigned flags,
					 struct nestmig_detail *detail)
{
	enum nestmig_error error = check_magic(bytes, detail);
	unsigned major = nm_le16(bytes + 8), minor = nm_le16(bytes + 10);

	if (error)
		return error;
	if (nm_le64(bytes + NMS_HEADER_SUM) != XXH3_64bits(bytes, NMS_HEADER_SUM) &&
	    !(flags & NM_NMS_NO_CHECKSUM))
		return nm_fail_at(detail, NESTMIG_ERR_CHECKSUM, 0,
				  "the checksum of the file header does not match");
	if (major != NMS_MAJOR)
		return nm_fail_at(
			detail, NESTMIG_ERR_UNSUPPORTED, 8,
			"snapshot format %u.%u is not supported, only %u.x; use the nestmig "
			"that wrote it or a %s one",
			major, minor, NMS_MAJOR, major > NMS_MAJOR ? "newer" : "older");
	if (minor <= NMS_MINOR && nm_le32(bytes + 12) != 0)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, 12,
				  "the reserved field of the file header is not zero");
	return NESTMIG_OK;
}

void nms_encode_header(uint8_t bytes[NMS_HEADER_SIZE], const struct nms_header *header,
		       uint64_t offset)
{
	nms_put32(bytes, header->type);
	nms_put32(bytes + 4, header->index);
	nms_put64(bytes + 8, header->length);
	nms_put64(bytes + 16, header->payload_sum);
	nms_put64(bytes + NMS_HEADER_SUM, XXH3_64bits_withSeed(bytes, NMS_HEADER_SUM, offset));
}

enum nestmig_error nms_decode_header(const uint8_t bytes[NMS_HEADER_SIZE], uint64_t offset,
				     unsigned flags, struct nms_header *ret_header,
				     struct nestmig_detail *detail)
{
	uint64_t sum = XXH3_64bits_withSeed(bytes, NMS_HEADER_SUM, offset);

	if (nm_le64(bytes + NMS_HEADER_SUM) != sum && !(flags & NM_NMS_NO_CHECKSUM))
		return nm_fail_at(
			detail, NESTMIG_ERR_CHECKSUM, offset,
			"the checksum of a record header does not match: it is damaged, or "
			"the record is not where it was written");
	ret_header->type = nm_le32(bytes);
	ret_header->index = nm_le32(bytes + 4);
	ret_header->length = nm_le64(bytes + 8);
	ret_header->payload_sum = nm_le64(bytes + 16);
	return NESTMIG_OK;
}

static enum nestmig_error check_type(const struct nms_header *header, uint64_t offset,
				     struct nestmig_detail *detail)
{
	const struct type_row *row = find_type(header->type);

	if (!row && (header->type & NM_NMS_OPTIONAL))
		return NESTMIG_OK;
	if (!row)
		return nm_fail_at(detail, NESTMIG_ERR_UNSUPPORTED, offset,
				  "record type 0x%08" PRIx32
				  " is unknown and not optional; a newer "
				  "nestmig wrote this snapshot",
				  header->type);
	if (header->length > row->max)
		return nm_fail_at(detail, NESTMIG_ERR_LIMIT, offset,
				  "record %s is of %" PRIu64 " bytes, more than %" PRIu64,
				  row->name, header->length, row->max);
	if (header->length < row->min)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, offset,
				  "record %s is of %" PRIu64 " bytes, less than %" PRIu64,
				  row->name, header->length, row->min);
	return NESTMIG_OK;
}

static enum nestmig_error check_counts(const struct nms_order *order,
				       const struct nms_header *header, uint64_t offset,
				       struct nestmig_detail *detail)
{
	bool is_chunk = header->type == NM_NMS_STREAM_CHUNK;

	if (is_chunk && order->chunks >= NMS_CHUNKS_MAX)
		return nm_fail_at(detail, NESTMIG_ERR_LIMIT, offset,
				  "the stream has more than %" PRIu64 " chunks", NMS_CHUNKS_MAX);
	if (!is_chunk && order->records - order->chunks >= NMS_RECORDS_MAX)
		return nm_fail_at(detail, NESTMIG_ERR_LIMIT, offset,
				  "there are more than %d records", NMS_RECORDS_MAX);
	return NESTMIG_OK;
}

/* Fails if a condition is true: a sentence for each keeps the callers readable. */
static enum nestmig_error refuse_if(bool wrong, const struct nms_header *header, uint64_t offset,
				    const char *why, struct nestmig_detail *detail)
{
	if (!wrong)
		return NESTMIG_OK;
	return nm_fail_at(detail, NESTMIG_ERR_FORMAT, offset,
			  "record %s (type 0x%08" PRIx32 ", index %" PRIu32 ") %s",
			  nms_type_name(header->type), header->type, header->index, why);
}

/* The rules that hold for every type: first, last, nothing inside the stream. */
static enum nestmig_error check_place(const struct nms_order *order,
				      const struct nms_header *header, uint64_t offset,
				      struct nestmig_detail *detail)
{
	bool in_stream = order->chunks > 0 && !order->has_stream_end;
	bool is_stream = header->type == NM_NMS_STREAM_CHUNK || header->type == NM_NMS_STREAM_END;
	enum nestmig_error error;

	error = refuse_if(order->has_end, header, offset, "follows END", detail);
	if (error)
		return error;
	error = refuse_if((header->type == NM_NMS_SOURCE) == order->has_source, header, offset,
			  order->has_source ? "is there twice" : "stands where SOURCE must be",
			  detail);
	if (error)
		return error;
	return refuse_if(in_stream && !is_stream, header, offset,
			 "stands between the chunks of the stream", detail);
}

static enum nestmig_error check_vcpu(const struct nms_order *order, const struct nms_header *header,
				     uint64_t offset, struct nestmig_detail *detail)
{
	bool ascends = header->index > order->vcpu ||
		       (header->index == order->vcpu && header->type > order->vcpu_type);

	return refuse_if(order->has_vcpu && !ascends, header, offset,
			 "is there twice or out of order", detail);
}

/* The rules of a type of its own. */
static enum nestmig_error check_own(const struct nms_order *order, const struct nms_header *header,
				    uint64_t offset, struct nestmig_detail *detail)
{
	if (nms_is_vcpu_type(header->type, NULL))
		return check_vcpu(order, header, offset, detail);
	switch (header->type) {
	case NM_NMS_HOST:
		return refuse_if(order->has_host, header, offset, "is there twice", detail);
	case NM_NMS_STREAM_CHUNK:
		return refuse_if(order->has_stream_end || header->index != order->chunks, header,
				 offset, "is not the next chunk", detail);
	case NM_NMS_STREAM_END:
		return refuse_if(order->has_stream_end || order->chunks == 0, header, offset,
				 "does not follow a chunk", detail);
	case NM_NMS_END:
		return refuse_if(!order->has_vcpu && order->chunks == 0, header, offset,
				 "comes before any stream or vCPU record", detail);
	default:
		return NESTMIG_OK;
	}
}

static void count(struct nms_order *order, const struct nms_header *header)
{
	order->records++;
	if (nms_is_vcpu_type(header->type, NULL)) {
		order->has_vcpu = true;
		order->vcpu = header->index;
		order->vcpu_type = header->type;
	}
	order->has_source |= header->type == NM_NMS_SOURCE;
	order->has_host |= header->type == NM_NMS_HOST;
	order->has_stream_end |= header->type == NM_NMS_STREAM_END;
	order->has_end |= header->type == NM_NMS_END;
	order->chunks += header->type == NM_NMS_STREAM_CHUNK;
}

enum nestmig_error nms_order_step(struct nms_order *order, const struct nms_header *header,
				  uint64_t offset, struct nestmig_detail *detail)
{
	bool known = find_type(header->type) != NULL;
	bool has_index =
		header->type == NM_NMS_STREAM_CHUNK || nms_is_vcpu_type(header->type, NULL);
	enum nestmig_error error = check_type(header, offset, detail);

	if (!error)
		error = check_counts(order, header, offset, detail);
	if (!error)
		error = check_place(order, header, offset, detail);
	if (!error)
		error = refuse_if(known && !has_index && header->index != 0, header, offset,
				  "has an index", detail);
	if (!error)
		error = check_own(order, header, offset, detail);
	if (error)
		return error;
	count(order, header);
	return NESTMIG_OK;
}
