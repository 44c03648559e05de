// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * .nms: what is written is read back. Its siblings: test_nms_refuse.c (versions, and what the
 * format forbids), test_nms_damage.c (any damage is found), test_nms_write.c (what the writer
 * refuses), test_nms_crash.c (no space, kill -9), test_nms_state.c (into a state).
 */
#include "test_nms_util.h"

/* ---- Round trips ----------------------------------------------------------------------------- */

static struct nm_nms *open_sample(const struct dir *dir, unsigned flags,
				  struct nm_source **ret_source)
{
	struct nestmig_detail detail;
	struct nm_nms *nms = NULL;

	ck_ok(nm_source_open(dir->file, ret_source, &detail), detail);
	ck_ok(nm_nms_open(*ret_source, flags, &nms, &detail), detail);
	return nms;
}

START_TEST(records_come_back)
{
	static const uint32_t types[] = {NM_NMS_SOURCE, NM_NMS_HOST,       NM_NMS_CPUID,
					 NM_NMS_REGS,   NM_NMS_STREAM_END, NM_NMS_END};
	struct nestmig_detail detail;
	struct nm_source *source;
	unsigned major, minor;
	struct nm_nms *nms;
	struct dir dir;

	dir_make(&dir);
	ck_ok(sample_write(dir.file, "0.1.0", SAMPLE_STREAM, &detail), detail);
	nms = open_sample(&dir, 0, &source);
	nm_nms_version(nms, &major, &minor);
	ck_assert_uint_eq(major, 1);
	ck_assert_uint_eq(minor, 0);
	ck_assert_uint_gt(nm_nms_created(nms), UINT64_C(1700000000) * 1000000000);
	ck_assert_uint_eq(nm_nms_record_count(nms), sizeof(types) / sizeof(types[0]));
	for (size_t i = 0; i < nm_nms_record_count(nms); i++)
		ck_assert_uint_eq(nm_nms_record(nms, i)->type, types[i]);
	ck_assert_ptr_null(nm_nms_record(nms, nm_nms_record_count(nms)));
	ck_assert_uint_eq(nm_nms_record(nms, 3)->index, 1);
	ck_assert_uint_eq(nm_nms_record(nms, 3)->length, 8);
	ck_assert_uint_eq(nm_nms_chunk_count(nms), 2);
	ck_assert_uint_eq(nm_nms_stream_size(nms), SAMPLE_STREAM);
	nm_nms_free(nms);
	nm_source_free(source);
	dir_remove(&dir);
}
END_TEST

START_TEST(info_comes_back)
{
	const struct nm_nms_info *info;
	struct nestmig_detail detail;
	struct nm_source *source;
	struct nm_nms *nms;
	struct dir dir;

	dir_make(&dir);
	ck_ok(sample_write(dir.file, "0.1.0 \"\xc3\xa4\"", 0, &detail), detail);
	nms = open_sample(&dir, 0, &source);
	info = nm_nms_info(nms);
	ck_assert_int_eq(info->kind, NM_NMS_FULL);
	ck_assert_int_eq(info->vendor, NESTMIG_VENDOR_AMD);
	ck_assert_str_eq(info->tool, "0.1.0 \"\xc3\xa4\"");
	ck_assert_str_eq(info->time, sample_info.time);
	ck_assert_str_eq(info->qemu, sample_info.qemu);
	ck_assert_str_eq(info->machine, sample_info.machine);
	ck_assert_str_eq(info->run_state, sample_info.run_state);
	ck_assert(!nm_nms_has_stream(nms));
	nm_nms_free(nms);
	nm_source_free(source);
	dir_remove(&dir);
}
END_TEST

struct collected {
	uint8_t *bytes;
	uint64_t used, room;
};

static enum nestmig_error collect(void *ctx, uint64_t offset, const uint8_t *bytes, size_t length,
				  struct nestmig_detail *detail)
{
	struct collected *all = ctx;

	(void)detail;
	ck_assert_uint_eq(offset, all->used);
	ck_assert_uint_le(all->used + length, all->room);
	memcpy(all->bytes + all->used, bytes, length);
	all->used += length;
	return NESTMIG_OK;
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Writes size bytes that pack badly, in pieces of random sizes. */
static void write_random(const char *path, const uint8_t *bytes, size_t size, uint64_t *seed)
{
	struct nestmig_detail detail;
	struct nm_nms_writer *writer;

	ck_ok(nm_nms_writer_new(path, 3, &writer, &detail), detail);
	ck_ok(nm_nms_writer_add_source(writer, &sample_info, &detail), detail);
	for (size_t done = 0; done < size;) {
		size_t n = (size_t)(next_random(seed) % 300000);

		n = n < size - done ? n : size - done;
		ck_ok(nm_nms_writer_add_stream(writer, bytes + done, n, &detail), detail);
		done += n;
		ck_assert_uint_eq(nm_nms_writer_progress(writer)->stream_bytes, done);
	}
	ck_ok(nm_nms_writer_finish_stream(writer, &detail), detail);
	ck_ok(nm_nms_writer_commit(writer, &detail), detail);
	ck_assert_uint_eq(nm_nms_writer_progress(writer)->chunks,
			  (size + NMS_CHUNK_WRITTEN - 1) / NMS_CHUNK_WRITTEN);
	nm_nms_writer_free(writer);
}

static void read_at_random(struct nm_source *stream, const uint8_t *bytes, size_t size,
			   uint64_t *seed)
{
	uint8_t *buffer = malloc(size);
	struct nestmig_detail detail;

	ck_assert_uint_eq(nm_source_size(stream), size);
	for (int i = 0; i < 100; i++) {
		size_t offset = (size_t)(next_random(seed) % size);
		size_t n = (size_t)(next_random(seed) % (i % 10 ? 5000 : size));

		n = n < size - offset ? n : size - offset;
		ck_ok(nm_source_read(stream, offset, buffer, n, &detail), detail);
		ck_assert_mem_eq(buffer, bytes + offset, n);
	}
	ck_assert_int_eq(nm_source_read(stream, size, buffer, 1, &detail), NESTMIG_ERR_TRUNCATED);
	free(buffer);
}

static const size_t sizes[] = {
	1,
	4095,
	NMS_CHUNK_WRITTEN - 1,
	NMS_CHUNK_WRITTEN,
	NMS_CHUNK_WRITTEN + 1,
	5 * NMS_CHUNK_WRITTEN,
	5 * NMS_CHUNK_WRITTEN + 12345,
};

START_TEST(stream_comes_back)
{
	size_t size = sizes[_i];
	uint8_t *bytes = malloc(size);
	struct collected all = {.bytes = malloc(size), .room = size};
	struct nm_source *source, *stream;
	uint64_t seed = 88172645463325252;
	struct nestmig_detail detail;
	struct nm_nms *nms;
	struct dir dir;

	for (size_t i = 0; i < size; i++)
		bytes[i] = i / 5000 % 3 ? (uint8_t)next_random(&seed) : (uint8_t)(i >> 12);
	dir_make(&dir);
	write_random(dir.file, bytes, size, &seed);
	nms = open_sample(&dir, _i % 2 ? NESTMIG_READ_SKIP_RAM_CHECKSUM : 0, &source);
	ck_ok(nm_nms_stream_each(nms, collect, &all, &detail), detail);
	ck_assert_uint_eq(all.used, size);
	ck_assert_mem_eq(all.bytes, bytes, size);
	ck_ok(nm_nms_stream_source(nms, &stream, &detail), detail);
	read_at_random(stream, bytes, size, &seed);
	nm_source_free(stream);
	nm_source_free(source);
	dir_remove(&dir);
	free(all.bytes);
	free(bytes);
}
END_TEST

START_TEST(stream_into_fd)
{
	struct nestmig_detail detail;
	struct nm_source *source;
	struct nm_nms *nms;
	size_t size;
	uint8_t *bytes;
	char out[100];
	struct dir dir;
	int fd;

	dir_make(&dir);
	ck_ok(sample_write(dir.file, "0.1.0", SAMPLE_STREAM, &detail), detail);
	nms = open_sample(&dir, 0, &source);
	snprintf(out, sizeof(out), "%s/stream", dir.path);
	fd = open(out, O_WRONLY | O_CREAT, 0600);
	ck_ok(nm_nms_stream_to_fd(nms, fd, &detail), detail);
	close(fd);
	ck_assert_int_eq(nm_nms_stream_to_fd(nms, -1, &detail), NESTMIG_ERR_IO);
	bytes = file_bytes(out, &size);
	ck_assert_uint_eq(size, SAMPLE_STREAM);
	for (size_t i = 0; i < size; i++)
		ck_assert_uint_eq(bytes[i], sample_byte(i));
	free(bytes);
	nm_nms_free(nms);
	nm_source_free(source);
	dir_remove(&dir);
}
END_TEST

static enum nestmig_error cancel(void *ctx, uint64_t offset, const uint8_t *bytes, size_t length,
				 struct nestmig_detail *detail)
{
	(void)ctx;
	(void)offset;
	(void)bytes;
	(void)length;
	return nm_fail(detail, NESTMIG_ERR_CANCELLED, "enough");
}

START_TEST(sink_can_stop)
{
	struct nestmig_detail detail;
	struct nm_source *source;
	struct nm_nms *nms;
	struct dir dir;

	dir_make(&dir);
	ck_ok(sample_write(dir.file, "0.1.0", SAMPLE_STREAM, &detail), detail);
	nms = open_sample(&dir, 0, &source);
	ck_assert_int_eq(nm_nms_stream_each(nms, cancel, NULL, &detail), NESTMIG_ERR_CANCELLED);
	nm_nms_free(nms);
	nm_source_free(source);
	dir_remove(&dir);
}
END_TEST

START_TEST(skipping_reads_little)
{
	size_t size = 8 * NMS_CHUNK_WRITTEN;
	uint8_t *bytes = malloc(size);
	uint64_t seed = 88172645463325252, read;
	struct nm_source *source;
	struct dir dir;

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)next_random(&seed);
	dir_make(&dir);
	write_random(dir.file, bytes, size, &seed);
	nm_nms_free(open_sample(&dir, NESTMIG_READ_SKIP_RAM_CHECKSUM, &source));
	read = nm_source_bytes_read(source);
	ck_assert_uint_lt(read, 4096);
	nm_source_free(source);
	nm_nms_free(open_sample(&dir, 0, &source));
	ck_assert_uint_gt(nm_source_bytes_read(source), size);
	nm_source_free(source);
	dir_remove(&dir);
	free(bytes);
}
END_TEST

START_TEST(types_and_kinds)
{
	for (int i = 0; i < NM_KVM_STRUCTS; i++) {
		enum nm_kvm_struct kind;

		ck_assert(nms_is_vcpu_type(nm_nms_type_of((enum nm_kvm_struct)i), &kind));
		ck_assert_int_eq((int)kind, i);
	}
	ck_assert_uint_eq(nm_nms_type_of(NM_KVM_STRUCTS), 0);
	ck_assert(!nms_is_vcpu_type(NM_NMS_HOST, NULL));
	ck_assert(nm_nms_recognise((const uint8_t *)NM_NMS_MAGIC, NM_NMS_MAGIC_SIZE));
	ck_assert(nm_nms_recognise((const uint8_t *)"\x0eNMS\n", 5));
	ck_assert(!nm_nms_recognise((const uint8_t *)"\x8eNM", 3));
	ck_assert(!nm_nms_recognise((const uint8_t *)"QEVM", 4));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nms");
	TCase *trips = tcase_create("round trips");

	tcase_set_timeout(trips, 60);
	tcase_add_test(trips, records_come_back);
	tcase_add_test(trips, info_comes_back);
	tcase_add_loop_test(trips, stream_comes_back, 0, (int)(sizeof(sizes) / sizeof(sizes[0])));
	tcase_add_test(trips, stream_into_fd);
	tcase_add_test(trips, sink_can_stop);
	tcase_add_test(trips, skipping_reads_little);
	tcase_add_test(trips, types_and_kinds);
	suite_add_tcase(suite, trips);
	return run_suite(suite);
}
