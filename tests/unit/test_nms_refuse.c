// SPDX-License-Identifier: GPL-2.0-or-later
/* .nms: files made by hand, with good checksums: which versions and records are read, and which are
 * refused with what. */
#include "test_nms_util.h"

#define UNKNOWN_OPTIONAL  UINT32_C(0x80001234)
#define UNKNOWN_MANDATORY UINT32_C(0x00001234)

static void newer_minor(struct made *made)
{
	made_header(made, 1, 7, 0xffff);
	made_source(made);
	made_add(made, UNKNOWN_OPTIONAL, 77, "what is this", 12);
	made_add(made, UNKNOWN_OPTIONAL, 77, NULL, 0);
	made_add(made, NM_NMS_REGS, 3, "x", 1);
	made_add(made, UNKNOWN_OPTIONAL, 77, "again", 5);
	made_end(made);
}

static void small_chunks(struct made *made)
{
	made_source(made);
	made_chunk(made, 4096);
	made_chunk(made, 4096);
	made_chunk(made, 4096);
	made_chunk(made, 1);
	made_stream_end(made);
	made_add(made, NM_NMS_REGS, 3, "x", 1);
	made_end(made);
}

static void large_chunks(struct made *made)
{
	made_source(made);
	made_chunk(made, NMS_CHUNK_MAX);
	made_chunk(made, NMS_CHUNK_MAX);
	made_stream_end(made);
	made_end(made);
}

static void one_odd_chunk(struct made *made)
{
	made_source(made);
	made_chunk(made, 12345);
	made_stream_end(made);
	made_end(made);
}

static void newer_major(struct made *made)
{
	made_header(made, 2, 0, 0);
	made_source(made);
	made_add(made, NM_NMS_REGS, 0, "x", 1);
	made_end(made);
}

static void older_major(struct made *made)
{
	made_header(made, 0, 9, 0);
}

static void reserved_set(struct made *made)
{
	made_header(made, 1, 0, 1);
}

static void unknown_mandatory(struct made *made)
{
	made_header(made, 1, 1, 0);
	made_source(made);
	made_add(made, UNKNOWN_MANDATORY, 0, "x", 1);
	made_end(made);
}

static void source_late(struct made *made)
{
	made_add(made, NM_NMS_REGS, 0, "x", 1);
	made_source(made);
	made_end(made);
}

static void optional_before_source(struct made *made)
{
	made_add(made, UNKNOWN_OPTIONAL, 0, "x", 1);
	made_source(made);
	made_end(made);
}

static void source_twice(struct made *made)
{
	made_source(made);
	made_source(made);
}

static void source_index(struct made *made)
{
	made_add(made, NM_NMS_SOURCE, 1, SOURCE_JSON, strlen(SOURCE_JSON));
}

static void source_long(struct made *made)
{
	static uint8_t bytes[65537];

	made_add(made, NM_NMS_SOURCE, 0, bytes, sizeof(bytes));
}

static void host_twice(struct made *made)
{
	made_source(made);
	made_add(made, NM_NMS_HOST, 0, "{}", 2);
	made_add(made, NM_NMS_HOST, 0, "{}", 2);
}

static void vcpu_twice(struct made *made)
{
	made_source(made);
	made_add(made, NM_NMS_REGS, 5, "x", 1);
	made_add(made, NM_NMS_REGS, 5, "x", 1);
}

static void vcpu_descends(struct made *made)
{
	made_source(made);
	made_add(made, NM_NMS_REGS, 5, "x", 1);
	made_add(made, NM_NMS_CPUID, 4, "x", 1);
}

static void vcpu_empty(struct made *made)
{
	made_source(made);
	made_add(made, NM_NMS_REGS, 5, NULL, 0);
}

static void vcpu_long(struct made *made)
{
	static uint8_t bytes[65537];

	made_source(made);
	made_add(made, NM_NMS_MSRS, 0, bytes, sizeof(bytes));
}

static void nothing_inside(struct made *made)
{
	made_source(made);
	made_end(made);
}

static void record_in_stream(struct made *made)
{
	made_source(made);
	made_chunk(made, 4096);
	made_add(made, UNKNOWN_OPTIONAL, 0, "x", 1);
	made_chunk(made, 4096);
	made_stream_end(made);
	made_end(made);
}

static void stream_without_end(struct made *made)
{
	made_source(made);
	made_chunk(made, 4096);
	made_end(made);
}

static void end_without_stream(struct made *made)
{
	made_source(made);
	made_stream_end(made);
	made_end(made);
}

static void two_streams(struct made *made)
{
	made_source(made);
	made_chunk(made, 4096);
	made_stream_end(made);
	made->stream = 0;
	made->chunk = 0;
	made_chunk(made, 4096);
	made_stream_end(made);
	made_end(made);
}

static void chunk_number(struct made *made)
{
	made_source(made);
	made->chunk = 1;
	made_chunk(made, 4096);
}

static void chunk_gap(struct made *made)
{
	made_source(made);
	made_chunk(made, 4096);
	made->stream += 4096;
	made_chunk(made, 4096);
}

static void chunk_sizes_differ(struct made *made)
{
	made_source(made);
	made_chunk(made, 8192);
	made_chunk(made, 4096);
	made_chunk(made, 4096);
}

static void chunk_grows(struct made *made)
{
	made_source(made);
	made_chunk(made, 4096);
	made_chunk(made, 8192);
}

static void chunk_no_power(struct made *made)
{
	made_source(made);
	made_chunk(made, 5000);
	made_chunk(made, 5000);
	made_stream_end(made);
	made_end(made);
}

static void chunk_tiny(struct made *made)
{
	made_source(made);
	made_chunk(made, 2048);
	made_chunk(made, 2048);
	made_stream_end(made);
	made_end(made);
}

static void chunk_huge(struct made *made)
{
	made_source(made);
	made_chunk(made, NMS_CHUNK_MAX + 1);
}

static void chunk_empty(struct made *made)
{
	made_source(made);
	made_frame(made, 0, 0, 0, "x", 1);
}

static void chunk_reserved(struct made *made)
{
	made_source(made);
	made_frame(made, 0, 1, 1, "x", 1);
}

static void chunk_without_frame(struct made *made)
{
	made_source(made);
	made_frame(made, 0, 1, 0, "", 0);
}

/* One chunk with a frame of 5000 zeros, changed as wanted, and a prefix that claims size. */
static void one_frame(struct made *made, uint32_t size, bool has_sum, bool has_size, int more)
{
	size_t length;
	uint8_t *frame = frame_of_zeros(5000, has_sum, has_size, &length);

	made_source(made);
	frame = realloc(frame, 2 * length);
	memcpy(frame + length, frame, length);
	made_frame(made, 0, size, 0, frame, (size_t)((int)length + more));
	free(frame);
	made_stream_end(made);
	made_end(made);
}

static void frame_says_more(struct made *made)
{
	one_frame(made, 4999, true, true, 0);
}

static void frame_says_less(struct made *made)
{
	one_frame(made, 5001, true, true, 0);
}

static void frame_no_sum(struct made *made)
{
	one_frame(made, 5000, false, true, 0);
}

static void frame_no_size(struct made *made)
{
	one_frame(made, 5000, true, false, 0);
}

static void frame_trailing(struct made *made)
{
	one_frame(made, 5000, true, true, 4);
}

static void frame_cut(struct made *made)
{
	one_frame(made, 5000, true, true, -1);
}

static void frame_skippable(struct made *made)
{
	made_source(made);
	made_frame(made, 0, 1, 0, "\x50\x2a\x4d\x18\x04\0\0\0abcd", 12);
	made_stream_end(made);
	made_end(made);
}

static void frame_sum_wrong(struct made *made)
{
	size_t length;
	uint8_t *frame = frame_of_zeros(5000, true, true, &length);

	made_source(made);
	frame[length - 1] ^= 1;
	made_frame(made, 0, 5000, 0, frame, length);
	free(frame);
	made_stream_end(made);
	made_end(made);
}

static void stream_length_wrong(struct made *made)
{
	made_source(made);
	made_chunk(made, 4096);
	made->stream++;
	made_stream_end(made);
	made_end(made);
}

static void stream_sum_wrong(struct made *made)
{
	uint8_t payload[NMS_STREAM_END_SIZE] = {0, 16};

	made_source(made);
	made_chunk(made, 4096);
	made_add(made, NM_NMS_STREAM_END, 0, payload, sizeof(payload));
	made_end(made);
}

static void end_count(struct made *made)
{
	made_source(made);
	made_add(made, NM_NMS_REGS, 0, "x", 1);
	made_end_off(made, 1, 0, 0);
}

static void end_size(struct made *made)
{
	made_source(made);
	made_add(made, NM_NMS_REGS, 0, "x", 1);
	made_end_off(made, 0, 8, 0);
}

static void end_sum(struct made *made)
{
	made_source(made);
	made_add(made, NM_NMS_REGS, 0, "x", 1);
	made_end_off(made, 0, 0, 1);
}

static void end_and_more(struct made *made)
{
	made_source(made);
	made_add(made, NM_NMS_REGS, 0, "x", 1);
	made_end(made);
	made->size += 8;
}

static void padding_set(struct made *made)
{
	made_source(made);
	made_add(made, NM_NMS_REGS, 0, "x", 1);
	made->bytes[made->size - 1] = 1;
	made_end(made);
}

static void text_mode(struct made *made)
{
	memcpy(made->bytes, "\x8eNMS\n\x1a\n", 7);
}

static void seven_bits(struct made *made)
{
	made->bytes[0] = 0x0e;
}

static void other_file(struct made *made)
{
	memcpy(made->bytes, "QEVM", 4);
}

static void source_json(struct made *made, const char *text)
{
	made_add(made, NM_NMS_SOURCE, 0, text, strlen(text));
	made_add(made, NM_NMS_REGS, 0, "x", 1);
	made_end(made);
}

static void json_broken(struct made *made)
{
	source_json(made, "{\"schema\":");
}

static void json_list(struct made *made)
{
	source_json(made, "[1]");
}

static void json_schema(struct made *made)
{
	source_json(made, "{\"schema\":\"nestmig.source/2\"}");
}

static void json_no_tool(struct made *made)
{
	source_json(made, "{\"schema\":\"nestmig.source/1\",\"kind\":\"full\",\"time\":\"x\"}");
}

static void json_kind(struct made *made)
{
	source_json(made, "{\"schema\":\"nestmig.source/1\",\"tool\":\"t\",\"time\":\"x\","
			  "\"kind\":\"half\"}");
}

static void json_vendor(struct made *made)
{
	source_json(made, "{\"schema\":\"nestmig.source/1\",\"tool\":\"t\",\"time\":\"x\","
			  "\"kind\":\"full\",\"vendor\":5}");
}

static void json_twice(struct made *made)
{
	source_json(made, "{\"schema\":\"nestmig.source/1\",\"tool\":\"t\",\"time\":\"x\","
			  "\"kind\":\"full\",\"tool\":\"u\"}");
}

static void json_more(struct made *made)
{
	source_json(made, "{\"schema\":\"nestmig.source/1\",\"tool\":\"t\",\"time\":\"x\","
			  "\"kind\":\"full\",\"qemu\":null,\"other\":{\"a\":[1]}}");
}

static void json_deep(struct made *made)
{
	static char text[60001];

	memset(text, '[', sizeof(text) - 1);
	source_json(made, text);
}

static const struct {
	void (*make)(struct made *made);
	enum nestmig_error error;
	const char *text; /* part of the message */
} rows[] = {
	{newer_minor, NESTMIG_OK, NULL},
	{small_chunks, NESTMIG_OK, NULL},
	{large_chunks, NESTMIG_OK, NULL},
	{one_odd_chunk, NESTMIG_OK, NULL},
	{json_more, NESTMIG_OK, NULL},
	{newer_major, NESTMIG_ERR_UNSUPPORTED, "format 2.0 is not supported"},
	{older_major, NESTMIG_ERR_UNSUPPORTED, "format 0.9 is not supported"},
	{reserved_set, NESTMIG_ERR_FORMAT, "reserved field of the file header"},
	{unknown_mandatory, NESTMIG_ERR_UNSUPPORTED, "type 0x00001234 is unknown"},
	{source_late, NESTMIG_ERR_FORMAT, "stands where SOURCE must be"},
	{optional_before_source, NESTMIG_ERR_FORMAT, "stands where SOURCE must be"},
	{source_twice, NESTMIG_ERR_FORMAT, "is there twice"},
	{source_index, NESTMIG_ERR_FORMAT, "has an index"},
	{source_long, NESTMIG_ERR_LIMIT, "more than 65536"},
	{host_twice, NESTMIG_ERR_FORMAT, "is there twice"},
	{vcpu_twice, NESTMIG_ERR_FORMAT, "twice or out of order"},
	{vcpu_descends, NESTMIG_ERR_FORMAT, "twice or out of order"},
	{vcpu_empty, NESTMIG_ERR_FORMAT, "less than 1"},
	{vcpu_long, NESTMIG_ERR_LIMIT, "more than 65536"},
	{nothing_inside, NESTMIG_ERR_FORMAT, "before any stream or vCPU record"},
	{record_in_stream, NESTMIG_ERR_FORMAT, "between the chunks"},
	{stream_without_end, NESTMIG_ERR_FORMAT, "between the chunks"},
	{end_without_stream, NESTMIG_ERR_FORMAT, "does not follow a chunk"},
	{two_streams, NESTMIG_ERR_FORMAT, "is not the next chunk"},
	{chunk_number, NESTMIG_ERR_FORMAT, "is not the next chunk"},
	{chunk_gap, NESTMIG_ERR_FORMAT, "but 4096 is next"},
	{chunk_sizes_differ, NESTMIG_ERR_FORMAT, "not all of the same size"},
	{chunk_grows, NESTMIG_ERR_FORMAT, "not all of the same size"},
	{chunk_no_power, NESTMIG_ERR_FORMAT, "no power of two"},
	{chunk_tiny, NESTMIG_ERR_FORMAT, "no power of two"},
	{chunk_huge, NESTMIG_ERR_LIMIT, "more than 4194304"},
	{chunk_empty, NESTMIG_ERR_FORMAT, "chunk is empty"},
	{chunk_reserved, NESTMIG_ERR_FORMAT, "reserved field of a stream chunk"},
	{chunk_without_frame, NESTMIG_ERR_FORMAT, "less than 17"},
	{frame_says_more, NESTMIG_ERR_FORMAT, "does not declare a content"},
	{frame_says_less, NESTMIG_ERR_FORMAT, "does not declare a content"},
	{frame_no_sum, NESTMIG_ERR_FORMAT, "lacks a checksum"},
	{frame_no_size, NESTMIG_ERR_FORMAT, "does not declare a content"},
	{frame_trailing, NESTMIG_ERR_FORMAT, "not exactly one zstd frame"},
	{frame_cut, NESTMIG_ERR_FORMAT, "not exactly one zstd frame"},
	{frame_skippable, NESTMIG_ERR_FORMAT, "does not declare a content"},
	{frame_sum_wrong, NESTMIG_ERR_CHECKSUM, "cannot be decompressed"},
	{stream_length_wrong, NESTMIG_ERR_FORMAT, "but its chunks hold 4096"},
	{stream_sum_wrong, NESTMIG_ERR_CHECKSUM, "whole stream"},
	{end_count, NESTMIG_ERR_FORMAT, "but END counts 4"},
	{end_size, NESTMIG_ERR_FORMAT, "END is for a file of"},
	{end_sum, NESTMIG_ERR_CHECKSUM, "over all record headers"},
	{end_and_more, NESTMIG_ERR_FORMAT, "8 bytes follow the end"},
	{padding_set, NESTMIG_ERR_FORMAT, "padding after record REGS"},
	{text_mode, NESTMIG_ERR_FORMAT, "transfer as text"},
	{seven_bits, NESTMIG_ERR_FORMAT, "transfer as text"},
	{other_file, NESTMIG_ERR_FORMAT, "not a nestmig snapshot"},
	{json_broken, NESTMIG_ERR_FORMAT, "is not JSON"},
	{json_list, NESTMIG_ERR_FORMAT, "not a JSON object"},
	{json_schema, NESTMIG_ERR_UNSUPPORTED, "schema is not"},
	{json_no_tool, NESTMIG_ERR_FORMAT, "\"tool\" is missing"},
	{json_kind, NESTMIG_ERR_FORMAT, "\"kind\" is none"},
	{json_vendor, NESTMIG_ERR_FORMAT, "\"vendor\" is not a text"},
	{json_twice, NESTMIG_ERR_FORMAT, "is not JSON"},
	{json_deep, NESTMIG_ERR_FORMAT, "is not JSON"},
};

START_TEST(made_by_hand)
{
	static const unsigned flags[] = {0, NESTMIG_READ_SKIP_RAM_CHECKSUM};
	static struct made made;

	for (size_t i = 0; i < 2; i++) {
		struct nestmig_detail detail;
		enum nestmig_error error;

		made_start(&made);
		rows[_i].make(&made);
		error = open_all(made.bytes, made.size, flags[i], &detail);
		ck_assert_msg(error == rows[_i].error, "row %d: %s: %s", _i,
			      nestmig_error_name(error), detail.text);
		if (!error)
			continue;
		ck_assert_msg(strstr(detail.text, rows[_i].text), "row %d: %s", _i, detail.text);
		ck_assert(detail.has_offset);
		ck_assert_uint_le(detail.offset, made.size);
	}
}
END_TEST

START_TEST(too_many_records)
{
	size_t room = NMS_HEADER_SIZE + 200 + (size_t)NMS_HEADER_SIZE * (NMS_RECORDS_MAX + 1);
	struct nms_header header = {.type = UNKNOWN_OPTIONAL, .payload_sum = XXH3_64bits("", 0)};
	uint8_t *bytes = calloc(1, room);
	static struct made made;
	struct nestmig_detail detail;
	size_t size;

	made_start(&made);
	made_source(&made);
	memcpy(bytes, made.bytes, made.size);
	for (size = made.size; size + NMS_HEADER_SIZE <= room; size += NMS_HEADER_SIZE)
		nms_encode_header(bytes + size, &header, size);
	ck_assert_int_eq(open_all(bytes, size, 0, &detail), NESTMIG_ERR_LIMIT);
	free(bytes);
}
END_TEST

START_TEST(too_many_chunks)
{
	struct nms_order order = {
		.records = NMS_CHUNKS_MAX + 1,
		.chunks = NMS_CHUNKS_MAX,
		.has_source = true,
	};
	struct nms_header header = {
		.type = NM_NMS_STREAM_CHUNK,
		.index = (uint32_t)NMS_CHUNKS_MAX,
		.length = 100,
	};
	struct nestmig_detail detail;

	ck_assert_int_eq(nms_order_step(&order, &header, 64, &detail), NESTMIG_ERR_LIMIT);
	ck_assert_uint_eq(detail.offset, 64);
	order.records--;
	order.chunks--;
	header.index--;
	ck_assert_int_eq(nms_order_step(&order, &header, 64, &detail), NESTMIG_OK);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nms refuse");
	TCase *hand = tcase_create("made by hand");

	tcase_set_timeout(hand, 60);
	tcase_add_loop_test(hand, made_by_hand, 0, (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_test(hand, too_many_records);
	tcase_add_test(hand, too_many_chunks);
	suite_add_tcase(suite, hand);
	return run_suite(suite);
}
