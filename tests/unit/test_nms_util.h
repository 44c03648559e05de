/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of .nms share: a directory of their own, a sample, files made by hand. */
#ifndef TEST_NMS_UTIL_H
#define TEST_NMS_UTIL_H

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>

#include "error.h"
#include "nms_format.h"

#define HOST_JSON "{\"schema\":\"nestmig.host/1\",\"vendor\":\"amd\"}"

/* A small snapshot whose stream has two chunks: zeros, which pack well, and a few bytes more. */
#define SAMPLE_STREAM (NMS_CHUNK_WRITTEN + 100)

static const struct nm_nms_info sample_info = {
	.kind = NM_NMS_FULL,
	.vendor = NESTMIG_VENDOR_AMD,
	.tool = "0.1.0",
	.time = "2025-01-31T12:00:00Z",
	.qemu = "10.0.2",
	.machine = "pc-q35-10.0",
	.run_state = "running",
};

/* Fails the test with what the library says. */
#define ck_ok(error, detail)                                                                       \
	do {                                                                                       \
		enum nestmig_error error_ = (error);                                               \
		ck_assert_msg(error_ == NESTMIG_OK, "%s: %s", nestmig_error_name(error_),          \
			      (detail).text);                                                      \
	} while (0)

/* ---- A directory for each test --------------------------------------------------------------- */

struct dir {
	char path[64];
	char file[80]; /* the snapshot in it */
};

static inline void dir_make(struct dir *dir)
{
	strcpy(dir->path, "/tmp/test-nms.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir->path));
	snprintf(dir->file, sizeof(dir->file), "%s/vm.nms", dir->path);
}

/* Entries, "." and ".." not counted; removes them if asked. */
static inline int dir_count(const struct dir *dir, bool removes)
{
	DIR *list = opendir(dir->path);
	struct dirent *entry;
	int count = 0;

	ck_assert_ptr_nonnull(list);
	while ((entry = readdir(list))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		count++;
		if (removes)
			unlinkat(dirfd(list), entry->d_name, 0);
	}
	closedir(list);
	return count;
}

static inline void dir_remove(const struct dir *dir)
{
	dir_count(dir, true);
	rmdir(dir->path);
}

/* A whole file; to be freed. */
static inline uint8_t *file_bytes(const char *path, size_t *ret_size)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes;
	long size;

	ck_assert_ptr_nonnull(file);
	fseek(file, 0, SEEK_END);
	size = ftell(file);
	rewind(file);
	bytes = malloc((size_t)size + 1);
	ck_assert_ptr_nonnull(bytes);
	ck_assert_uint_eq(fread(bytes, 1, (size_t)size, file), (size_t)size);
	fclose(file);
	*ret_size = (size_t)size;
	return bytes;
}

/* ---- The sample ------------------------------------------------------------------------------ */

/* Byte i of the sample's stream. */
static inline uint8_t sample_byte(uint64_t i)
{
	return i < NMS_CHUNK_WRITTEN ? 0 : (uint8_t)(i * 7 + 1);
}

/* Writes the records before the stream, then size bytes of stream in pieces, and commits. */
static inline enum nestmig_error sample_write(const char *path, const char *tool,
					      uint64_t stream_size, struct nestmig_detail *detail)
{
	struct nm_nms_info info = sample_info;
	struct nm_nms_writer *writer;
	uint8_t piece[5000];
	enum nestmig_error error = nm_nms_writer_new(path, 1, &writer, detail);

	if (error)
		return error;
	info.tool = tool;
	error = nm_nms_writer_add_source(writer, &info, detail);
	if (!error)
		error = nm_nms_writer_add_record(writer, NM_NMS_HOST, 0, HOST_JSON,
						 strlen(HOST_JSON), detail);
	if (!error)
		error = nm_nms_writer_add_vcpu(writer, 0, NM_KVM_CPUID, "abc", 3, detail);
	if (!error)
		error = nm_nms_writer_add_vcpu(writer, 1, NM_KVM_REGS, "12345678", 8, detail);
	for (uint64_t done = 0; done < stream_size && !error;) {
		size_t n = stream_size - done < sizeof(piece) ? (size_t)(stream_size - done)
							      : sizeof(piece);

		for (size_t i = 0; i < n; i++)
			piece[i] = sample_byte(done + i);
		error = nm_nms_writer_add_stream(writer, piece, n, detail);
		done += n;
	}
	if (!error && stream_size)
		error = nm_nms_writer_finish_stream(writer, detail);
	if (!error)
		error = nm_nms_writer_commit(writer, detail);
	nm_nms_writer_free(writer);
	return error;
}

/* The bytes of the sample; to be freed. */
static inline uint8_t *sample_bytes(size_t *ret_size)
{
	struct nestmig_detail detail;
	struct dir dir;
	uint8_t *bytes;

	dir_make(&dir);
	ck_ok(sample_write(dir.file, "0.1.0", SAMPLE_STREAM, &detail), detail);
	bytes = file_bytes(dir.file, ret_size);
	dir_remove(&dir);
	return bytes;
}

/* ---- Files made by hand ---------------------------------------------------------------------- */

struct made {
	uint8_t bytes[1 << 18];
	size_t size;
	uint64_t records;
	uint32_t chunk; /* next one's number */
	uint64_t stream;
};

static inline void made_start(struct made *made)
{
	memset(made, 0, sizeof(*made));
	nms_encode_file_header(made->bytes, 1);
	made->size = NMS_HEADER_SIZE;
}

/* Another version, or reserved field, with a good checksum. */
static inline void made_header(struct made *made, unsigned major, unsigned minor, uint32_t reserved)
{
	nms_put32(made->bytes + 8, major | minor << 16);
	nms_put32(made->bytes + 12, reserved);
	nms_put64(made->bytes + NMS_HEADER_SUM, XXH3_64bits(made->bytes, NMS_HEADER_SUM));
}

static inline void made_add(struct made *made, uint32_t type, uint32_t index, const void *payload,
			    size_t length)
{
	struct nms_header header = {
		.type = type,
		.index = index,
		.length = length,
		.payload_sum = XXH3_64bits(payload, length),
	};

	ck_assert_uint_lt(made->size + length + 100, sizeof(made->bytes));
	nms_encode_header(made->bytes + made->size, &header, made->size);
	if (length)
		memcpy(made->bytes + made->size + NMS_HEADER_SIZE, payload, length);
	made->size += NMS_HEADER_SIZE + length + nms_padding(length);
	made->records++;
}

#define SOURCE_JSON                                                                                \
	"{\"schema\":\"nestmig.source/1\",\"tool\":\"t\",\"time\":\"x\",\"kind\":\"state-only\"}"

static inline void made_source(struct made *made)
{
	made_add(made, NM_NMS_SOURCE, 0, SOURCE_JSON, strlen(SOURCE_JSON));
}

/* A chunk with a frame of one's own, and a say in what the prefix claims. */
static inline void made_frame(struct made *made, uint64_t offset, uint32_t size, uint32_t reserved,
			      const void *frame, size_t length)
{
	uint8_t *payload = malloc(NMS_CHUNK_PREFIX + length);

	ck_assert_ptr_nonnull(payload);
	nms_put64(payload, offset);
	nms_put32(payload + 8, size);
	nms_put32(payload + 12, reserved);
	memcpy(payload + NMS_CHUNK_PREFIX, frame, length);
	made_add(made, NM_NMS_STREAM_CHUNK, made->chunk++, payload, NMS_CHUNK_PREFIX + length);
	made->stream += size;
	free(payload);
}

/* size zeros as a frame; to be freed. */
static inline uint8_t *frame_of_zeros(size_t size, bool has_sum, bool has_size, size_t *ret_length)
{
	ZSTD_CCtx *cctx = ZSTD_createCCtx();
	size_t room = ZSTD_compressBound(size), length;
	uint8_t *zeros = calloc(1, size), *frame = malloc(room);

	ck_assert(cctx && zeros && frame);
	ZSTD_CCtx_setParameter(cctx, ZSTD_c_checksumFlag, has_sum);
	ZSTD_CCtx_setParameter(cctx, ZSTD_c_contentSizeFlag, has_size);
	length = ZSTD_compress2(cctx, frame, room, zeros, size);
	ck_assert(!ZSTD_isError(length));
	free(zeros);
	ZSTD_freeCCtx(cctx);
	*ret_length = length;
	return frame;
}

/* The next chunk, of size zeros. */
static inline void made_chunk(struct made *made, uint32_t size)
{
	size_t length;
	uint8_t *frame = frame_of_zeros(size, true, true, &length);

	made_frame(made, made->stream, size, 0, frame, length);
	free(frame);
}

static inline void made_stream_end(struct made *made)
{
	uint8_t *zeros = calloc(1, made->stream + 1), payload[NMS_STREAM_END_SIZE];

	ck_assert_ptr_nonnull(zeros);
	nms_put64(payload, made->stream);
	nms_put64(payload + 8, XXH3_64bits(zeros, made->stream));
	made_add(made, NM_NMS_STREAM_END, 0, payload, sizeof(payload));
	free(zeros);
}

static inline uint64_t get64(const uint8_t *p)
{
	uint64_t value = 0;

	for (int i = 7; i >= 0; i--)
		value = value << 8 | p[i];
	return value;
}

/* The checksum over the file header and all record headers. */
static inline uint64_t made_headers_sum(const struct made *made)
{
	XXH3_state_t *sum = XXH3_createState();
	uint64_t result;

	XXH3_64bits_reset(sum);
	XXH3_64bits_update(sum, made->bytes, NMS_HEADER_SIZE);
	for (size_t at = NMS_HEADER_SIZE; at < made->size;) {
		uint64_t length = get64(made->bytes + at + 8);

		XXH3_64bits_update(sum, made->bytes + at, NMS_HEADER_SIZE);
		at += NMS_HEADER_SIZE + length + nms_padding(length);
	}
	result = XXH3_64bits_digest(sum);
	XXH3_freeState(sum);
	return result;
}

/* END, with what it says off by so much. */
static inline void made_end_off(struct made *made, uint64_t records, uint64_t size, uint64_t sum)
{
	uint8_t payload[NMS_END_SIZE];

	nms_put64(payload, made->records + 1 + records);
	nms_put64(payload + 8, made->size + NMS_HEADER_SIZE + NMS_END_SIZE + size);
	nms_put64(payload + 16, made_headers_sum(made) + sum);
	made_add(made, NM_NMS_END, 0, payload, sizeof(payload));
}

static inline void made_end(struct made *made)
{
	made_end_off(made, 0, 0, 0);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static inline enum nestmig_error sink_nothing(void *ctx, uint64_t offset, const uint8_t *bytes,
					      size_t length, struct nestmig_detail *detail)
{
	(void)bytes;
	(void)detail;
	ck_assert_uint_eq(offset, *(uint64_t *)ctx);
	*(uint64_t *)ctx += length;
	return NESTMIG_OK;
}

/* Opens bytes and reads the whole stream: the first error of either. */
static inline enum nestmig_error open_all(const void *bytes, size_t size, unsigned flags,
					  struct nestmig_detail *detail)
{
	struct nm_source *source = NULL;
	struct nm_nms *nms = NULL;
	uint64_t length = 0;
	enum nestmig_error error = nm_source_memory(bytes, size, &source, detail);

	ck_assert_int_eq(error, NESTMIG_OK);
	memset(detail, 0, sizeof(*detail));
	error = nm_nms_open(source, flags, &nms, detail);
	if (!error && nm_nms_has_stream(nms))
		error = nm_nms_stream_each(nms, sink_nothing, &length, detail);
	/* What is broken is never passed on as a whole. */
	if (error && nms)
		ck_assert_uint_lt(length, nm_nms_stream_size(nms));
	nm_nms_free(nms);
	nm_source_free(source);
	return error;
}

static inline enum nestmig_error open_path(const char *path, char *ret_tool, size_t tool_size,
					   struct nestmig_detail *detail)
{
	struct nm_source *source = NULL;
	struct nm_nms *nms = NULL;
	enum nestmig_error error = nm_source_open(path, &source, detail);

	if (error)
		return error;
	error = nm_nms_open(source, 0, &nms, detail);
	if (!error)
		snprintf(ret_tool, tool_size, "%s", nm_nms_info(nms)->tool);
	nm_nms_free(nms);
	nm_source_free(source);
	return error;
}

static inline int run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
