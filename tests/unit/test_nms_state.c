// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * .nms: from a file into a state. The stream comes from a real QEMU, which has to be installed:
 * without it the tests fail.
 */
#include "test_nms_util.h"

#include "bytes.h"

#define REG_RIP      128 /* in struct kvm_regs */
#define REGS_SIZE    144
#define CPUID_SIZE   40 /* struct kvm_cpuid_entry2 */
#define PHYS_BITS_40 0x3028

/* ---- A stream -------------------------------------------------------------------------------- */

static uint8_t *stream;
static size_t stream_size;

/* A guest of two vCPUs that never ran. Called once, before the tests fork. */
static bool make_stream(void)
{
	char path[] = "/tmp/test-nms-stream.XXXXXX", command[400];
	int fd = mkstemp(path);
	bool works;
	FILE *file;

	if (fd < 0)
		return false;
	snprintf(command, sizeof(command),
		 "(echo 'migrate \"exec:cat > %s\"'; sleep 1; while [ ! -s %s ]; do sleep 0.1; "
		 "done; sleep 0.5; echo quit) | timeout 60 qemu-system-x86_64 -machine q35 -accel "
		 "tcg "
		 "-m 16 -smp 2 -S -display none -nodefaults -monitor stdio >/dev/null 2>&1",
		 path, path);
	works = system(command) == 0;
	file = fdopen(fd, "rb");
	stream = malloc(1 << 24);
	if (file && stream)
		stream_size = fread(stream, 1, 1 << 24, file);
	if (file)
		fclose(file);
	unlink(path);
	return works && stream_size > 1000;
}

/* ---- What goes into a snapshot --------------------------------------------------------------- */

struct parts {
	const char *host;
	const uint8_t *regs, *cpuid; /* of vCPU id, or NULL */
	size_t regs_size;
	uint32_t id;
	const uint8_t *stream;
	size_t stream_size;
};

static void pack(const char *path, const struct parts *parts)
{
	struct nestmig_detail detail;
	struct nm_nms_writer *w;

	ck_ok(nm_nms_writer_new(path, 1, &w, &detail), detail);
	ck_ok(nm_nms_writer_add_source(w, &sample_info, &detail), detail);
	if (parts->host)
		ck_ok(nm_nms_writer_add_record(w, NM_NMS_HOST, 0, parts->host, strlen(parts->host),
					       &detail),
		      detail);
	if (parts->regs)
		ck_ok(nm_nms_writer_add_vcpu(w, parts->id, NM_KVM_REGS, parts->regs,
					     parts->regs_size, &detail),
		      detail);
	if (parts->cpuid)
		ck_ok(nm_nms_writer_add_vcpu(w, parts->id, NM_KVM_CPUID, parts->cpuid, CPUID_SIZE,
					     &detail),
		      detail);
	if (parts->stream) {
		ck_ok(nm_nms_writer_add_stream(w, parts->stream, parts->stream_size, &detail),
		      detail);
		ck_ok(nm_nms_writer_finish_stream(w, &detail), detail);
	}
	ck_ok(nm_nms_writer_commit(w, &detail), detail);
	nm_nms_writer_free(w);
}

static uint8_t *regs_of(uint64_t rip)
{
	static uint8_t bytes[REGS_SIZE];

	nms_put64(bytes + REG_RIP, rip);
	return bytes;
}

/* Leaf 0x80000008, whose EAX says how wide physical addresses are. */
static uint8_t *cpuid_of(uint32_t eax)
{
	static uint8_t bytes[CPUID_SIZE];

	nms_put32(bytes, 0x80000008);
	nms_put32(bytes + 12, eax);
	return bytes;
}

static enum nestmig_error pack_and_read(const struct parts *parts, unsigned flags,
					struct nestmig_state **ret_state,
					struct nestmig_detail *detail)
{
	enum nestmig_error error;
	struct dir dir;

	dir_make(&dir);
	pack(dir.file, parts);
	memset(detail, 0, sizeof(*detail));
	error = nestmig_state_read(dir.file, flags, ret_state, detail);
	dir_remove(&dir);
	return error;
}

/* ---- Tests ----------------------------------------------------------------------------------- */

START_TEST(records_alone)
{
	struct parts parts = {.host = HOST_JSON, .id = 3};
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail;
	const struct nm_vcpu *vcpu;

	parts.regs = regs_of(0x1234);
	parts.regs_size = REGS_SIZE;
	parts.cpuid = cpuid_of(PHYS_BITS_40);
	ck_ok(pack_and_read(&parts, 0, &state, &detail), detail);
	ck_assert_str_eq(nestmig_state_format(state), "nms");
	ck_assert_uint_eq(state->vcpu_count, 1);
	vcpu = &state->vcpus[0];
	ck_assert_uint_eq(vcpu->id, 3);
	ck_assert(nm_vcpu_has(vcpu, NESTMIG_HAVE(REGS) | NESTMIG_HAVE(CPUID)));
	ck_assert(!nm_vcpu_has(vcpu, NESTMIG_HAVE(SREGS)));
	ck_assert_uint_eq(vcpu->view.regs.rip, 0x1234);
	ck_assert_uint_eq(vcpu->view.cpuid.word[NESTMIG_CPUID_80000008_EAX], PHYS_BITS_40);
	ck_assert_int_eq(vcpu->view.vendor, NESTMIG_VENDOR_AMD);
	ck_assert_int_eq(state->vendor, NESTMIG_VENDOR_AMD);
	ck_assert_str_eq(state->machine, sample_info.machine);
	ck_assert_ptr_null(state->stream);
	ck_assert_ptr_nonnull(state->host);
	nestmig_state_free(state);
}
END_TEST

static const unsigned flags[] = {0, NESTMIG_READ_SKIP_RAM_CHECKSUM};

START_TEST(stream_and_cpuid)
{
	struct parts parts = {.stream = stream, .stream_size = stream_size, .id = 1};
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail;
	uint8_t byte = 0;

	parts.cpuid = cpuid_of(PHYS_BITS_40);
	ck_ok(pack_and_read(&parts, flags[_i], &state, &detail), detail);
	ck_assert_str_eq(nestmig_state_format(state), "nms");
	ck_assert_uint_eq(state->vcpu_count, 2);
	ck_assert(nm_vcpu_has(&state->vcpus[0], NESTMIG_HAVE(REGS) | NESTMIG_HAVE(SREGS)));
	ck_assert(nm_vcpu_has(&state->vcpus[1], NESTMIG_HAVE(REGS) | NESTMIG_HAVE(CPUID)));
	ck_assert(!nm_vcpu_has(&state->vcpus[0], NESTMIG_HAVE(CPUID)));
	/* Where a processor starts. */
	ck_assert_uint_eq(state->vcpus[0].view.regs.rip, 0xfff0);
	ck_assert_uint_eq(nm_source_size(state->stream), stream_size);
	ck_ok(nm_source_read(state->stream, stream_size - 1, &byte, 1, &detail), detail);
	ck_assert_uint_eq(byte, stream[stream_size - 1]);
	nestmig_state_free(state);
}
END_TEST

START_TEST(stream_counts)
{
	struct parts parts = {.stream = stream, .stream_size = stream_size};
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail;

	parts.regs = regs_of(0x1234);
	parts.regs_size = REGS_SIZE;
	ck_ok(pack_and_read(&parts, 0, &state, &detail), detail);
	ck_assert_uint_eq(state->vcpus[0].view.regs.rip, 0xfff0);
	nestmig_state_free(state);
}
END_TEST

/* The file that was judged is the one that is restored, though its name is gone. */
START_TEST(restored_from_state)
{
	struct parts parts = {.stream = stream, .stream_size = stream_size};
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail;
	struct nm_nms *nms = NULL;
	uint64_t length = 0;

	ck_ok(pack_and_read(&parts, 0, &state, &detail), detail);
	ck_ok(nm_nms_open(state->sources[0], NESTMIG_READ_SKIP_RAM_CHECKSUM, &nms, &detail),
	      detail);
	ck_ok(nm_nms_stream_each(nms, sink_nothing, &length, &detail), detail);
	ck_assert_uint_eq(length, stream_size);
	nm_nms_free(nms);
	nestmig_state_free(state);
}
END_TEST

/* Offset of the first record of a type. */
static uint64_t offset_of(const struct parts *parts, uint32_t type)
{
	uint64_t at = NMS_HEADER_SIZE;
	struct dir dir;
	uint8_t *bytes;
	size_t size;

	dir_make(&dir);
	pack(dir.file, parts);
	bytes = file_bytes(dir.file, &size);
	while (nm_le32(bytes + at) != type)
		at += NMS_HEADER_SIZE + nm_le64(bytes + at + 8) +
		      nms_padding(nm_le64(bytes + at + 8));
	free(bytes);
	dir_remove(&dir);
	return at;
}

static void fails(const struct parts *parts, enum nestmig_error expected, uint32_t type,
		  uint64_t inside, const char *text)
{
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail;
	enum nestmig_error error = pack_and_read(parts, 0, &state, &detail);

	ck_assert_msg(error == expected, "%s: %s", nestmig_error_name(error), detail.text);
	ck_assert_ptr_nonnull(strstr(detail.text, text));
	ck_assert(detail.has_offset);
	ck_assert_uint_eq(detail.offset, offset_of(parts, type) + inside);
}

START_TEST(vcpu_not_in_stream)
{
	struct parts parts = {.stream = stream, .stream_size = stream_size, .id = 9};

	parts.cpuid = cpuid_of(PHYS_BITS_40);
	fails(&parts, NESTMIG_ERR_FORMAT, NM_NMS_CPUID, 0,
	      "vCPU 9, which the stream does not have");
}
END_TEST

START_TEST(struct_of_wrong_size)
{
	struct parts parts = {.regs_size = REGS_SIZE - 1};
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail;
	enum nestmig_error error;

	parts.regs = regs_of(0);
	error = pack_and_read(&parts, 0, &state, &detail);
	ck_assert(error == NESTMIG_ERR_FORMAT || error == NESTMIG_ERR_TRUNCATED);
	ck_assert(detail.has_offset);
	ck_assert_uint_ge(detail.offset, offset_of(&parts, NM_NMS_REGS) + NMS_HEADER_SIZE);
}
END_TEST

START_TEST(stream_of_something_else)
{
	static uint8_t bytes[3 * NMS_CHUNK_WRITTEN];
	struct parts parts = {.stream = bytes, .stream_size = sizeof(bytes)};

	fails(&parts, NESTMIG_ERR_UNSUPPORTED, NM_NMS_STREAM_CHUNK, 0,
	      "byte 0 of the stream inside: ");
}
END_TEST

START_TEST(host_broken)
{
	struct parts parts = {.host = "{]", .stream = stream, .stream_size = stream_size};
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail;
	uint64_t payload = offset_of(&parts, NM_NMS_HOST) + NMS_HEADER_SIZE;

	ck_assert_int_eq(pack_and_read(&parts, 0, &state, &detail), NESTMIG_ERR_FORMAT);
	ck_assert(detail.has_offset);
	ck_assert_uint_ge(detail.offset, payload);
	ck_assert_uint_le(detail.offset, payload + 2);
}
END_TEST

/* A damaged chunk that is met only when the stream is read: the offset is that in the file. */
START_TEST(damage_met_late)
{
	struct parts parts = {.stream = stream, .stream_size = stream_size};
	uint64_t at = offset_of(&parts, NM_NMS_STREAM_CHUNK) + NMS_HEADER_SIZE;
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail;
	struct dir dir;
	uint8_t byte;
	int fd;

	dir_make(&dir);
	pack(dir.file, &parts);
	fd = open(dir.file, O_RDWR);
	ck_assert_int_eq(pread(fd, &byte, 1, (off_t)at + 100), 1);
	byte ^= 0x10;
	ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)at + 100), 1);
	close(fd);
	ck_assert_int_eq(nestmig_state_read(dir.file, flags[_i], &state, &detail),
			 NESTMIG_ERR_CHECKSUM);
	ck_assert(detail.has_offset);
	ck_assert_uint_eq(detail.offset, at);
	dir_remove(&dir);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nms state");
	TCase *good = tcase_create("good");
	TCase *bad = tcase_create("bad");
	int result;

	if (!make_stream()) {
		fprintf(stderr, "qemu-system-x86_64 made no stream\n");
		return EXIT_FAILURE;
	}
	tcase_set_timeout(good, 60);
	tcase_add_test(good, records_alone);
	tcase_add_loop_test(good, stream_and_cpuid, 0, 2);
	tcase_add_test(good, stream_counts);
	tcase_add_test(good, restored_from_state);
	tcase_set_timeout(bad, 60);
	tcase_add_test(bad, vcpu_not_in_stream);
	tcase_add_test(bad, struct_of_wrong_size);
	tcase_add_test(bad, stream_of_something_else);
	tcase_add_test(bad, host_broken);
	tcase_add_loop_test(bad, damage_met_late, 0, 2);
	suite_add_tcase(suite, good);
	suite_add_tcase(suite, bad);
	result = run_suite(suite);
	free(stream);
	return result;
}
