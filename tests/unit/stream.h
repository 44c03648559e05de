/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of the QEMU stream reader share: the genuine streams of cases/streams, a builder
 * for made ones, and reading from memory. Numbers are those of formats.md in the words of QEMU:
 * all integers of a stream are big-endian.
 */
#ifndef TEST_STREAM_H
#define TEST_STREAM_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "bytes.h"
#include "fields.h"
#include "qemu.h"
#include "source.h"
#include "state.h"

/* Fails the test with what the library says. */
#define ck_ok(error, detail)                                                                       \
	do {                                                                                       \
		enum nestmig_error error_ = (error);                                               \
		ck_assert_msg(error_ == NESTMIG_OK, "%s: %s", nestmig_error_name(error_),          \
			      (detail).text);                                                      \
	} while (0)

/* ---- Bytes that grow ------------------------------------------------------------------------- */

struct stream {
	uint8_t *p;
	size_t size, room;
};

static inline void stream_free(struct stream *s)
{
	free(s->p);
	*s = (struct stream){0};
}

static inline void put(struct stream *s, const void *bytes, size_t size)
{
	if (s->size + size > s->room) {
		s->room = 2 * (s->size + size);
		s->p = realloc(s->p, s->room);
		ck_assert_ptr_nonnull(s->p);
	}
	if (size)
		memcpy(s->p + s->size, bytes, size);
	s->size += size;
}

static inline void set_be(uint8_t *at, uint64_t value, unsigned width)
{
	for (unsigned i = 0; i < width; i++)
		at[i] = (uint8_t)(value >> (8 * (width - 1 - i)));
}

static inline void put_be(struct stream *s, uint64_t value, unsigned width)
{
	uint8_t bytes[8];

	set_be(bytes, value, width);
	put(s, bytes, width);
}

/* size bytes of a value. */
static inline void put_fill(struct stream *s, uint8_t value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		put(s, &value, 1);
}

/* u8 length, text. */
static inline void put_name(struct stream *s, const char *name)
{
	put_be(s, strlen(name), 1);
	put(s, name, strlen(name));
}

/* Replaces the bytes from at to at + old by others. */
static inline void replace(struct stream *s, size_t at, size_t old, const void *bytes, size_t size)
{
	struct stream r = {0};

	put(&r, s->p, at);
	put(&r, bytes, size);
	put(&r, s->p + at + old, s->size - at - old);
	stream_free(s);
	*s = r;
}

/* ---- Elements of a stream -------------------------------------------------------------------- */

static inline void put_file_header(struct stream *s)
{
	put_be(s, 0x5145564d, 4);
	put_be(s, 3, 4);
}

/* A section header of type 01 (START) or 04 (FULL). */
static inline void put_section(struct stream *s, uint8_t type, uint32_t id, const char *name,
			       uint32_t instance, uint32_t version)
{
	put_be(s, type, 1);
	put_be(s, id, 4);
	put_name(s, name);
	put_be(s, instance, 4);
	put_be(s, version, 4);
}

static inline void put_footer(struct stream *s, uint32_t id)
{
	put_be(s, 0x7e, 1);
	put_be(s, id, 4);
}

/* The header of a subsection: 05, name, be32 version 1. */
static inline void put_subsection(struct stream *s, const char *name)
{
	put_be(s, 5, 1);
	put_name(s, name);
	put_be(s, 1, 4);
}

#define CPU_FIXED 1817

/* The fixed part of section "cpu" of a vCPU with nothing in it: no event, protected mode. */
static inline void put_cpu_fixed(struct stream *s)
{
	size_t at = s->size;

	put_fill(s, 0, CPU_FIXED);
	set_be(s->p + at + 456, 0x11, 8);            /* cr0: PE, ET */
	set_be(s->p + at + 876, 0x1, 4);             /* hflags2: GIF */
	set_be(s->p + at + 1149, 0xffffffff, 4);     /* interrupt_injected: none */
	set_be(s->p + at + 1165, 0xffffffff, 4);     /* exception_nr: none */
	set_be(s->p + at + 256 + 16, 0x00009b00, 4); /* cs.flags: present */
}

/* The subsections of an SVM vCPU in guest mode: as in the genuine streams. */
static inline void put_nested_svm(struct stream *s, uint16_t flags, uint64_t vmcb_pa)
{
	put_subsection(s, "cpu/nested_state");
	put_be(s, flags, 2);
	put_be(s, 1, 2);
	put_be(s, 4224, 4);
	put_subsection(s, "cpu/kvm_nested_state/svm");
	put_be(s, vmcb_pa, 8);
	for (unsigned i = 0; i < 4096; i++)
		put_be(s, i * 5 % 251, 1);
}

/* A whole device-only stream of one vCPU with this payload of section "cpu". */
static inline void put_device_stream(struct stream *s, const struct stream *cpu, uint32_t version)
{
	put_file_header(s);
	put_section(s, 4, 4, "cpu_common", 0, 1);
	put_be(s, 0, 8);
	put_footer(s, 4);
	put_section(s, 4, 5, "cpu", 0, version);
	put(s, cpu->p, cpu->size);
	put_footer(s, 5);
	put_be(s, 0, 1);
}

/* ---- Genuine streams ------------------------------------------------------------------------- */

/* A file below cases/, unpacked if its name ends in .zst. */
static inline struct stream read_case(const char *name)
{
	struct stream s = {0}, packed = {0};
	char path[512], piece[65536];
	size_t n, size;
	FILE *file;

	snprintf(path, sizeof(path), "%s/cases/%s", TESTS_DIR, name);
	file = fopen(path, "rb");
	ck_assert_msg(file != NULL, "%s is not there", path);
	while ((n = fread(piece, 1, sizeof(piece), file)))
		put(&packed, piece, n);
	fclose(file);
	if (!strstr(name, ".zst"))
		return packed;
	size = (size_t)ZSTD_getFrameContentSize(packed.p, packed.size);
	ck_assert_uint_lt(size, 1 << 25);
	s.p = malloc(size);
	ck_assert_ptr_nonnull(s.p);
	s.size = s.room = size;
	ck_assert_uint_eq(ZSTD_decompress(s.p, size, packed.p, packed.size), size);
	stream_free(&packed);
	return s;
}

/* One of "dev1", "dev2", "l1only", "full1", "full2". */
static inline struct stream genuine(const char *name)
{
	char file[64];

	snprintf(file, sizeof(file), "streams/%s.qemu.zst", name);
	return read_case(file);
}

/* The CMOS of a stream: what section "mc146818rtc" starts with. */
static inline size_t cmos_of(const struct stream *s)
{
	static const uint8_t header[] = "\x0bmc146818rtc\0\0\0\0\0\0\0\3";
	const uint8_t *found = memmem(s->p, s->size, header, sizeof(header) - 1);

	ck_assert_ptr_nonnull(found);
	return (size_t)(found - s->p) + sizeof(header) - 1;
}

/* Where things stand in the genuine streams, found by reading them with the tables of formats.md:
 * payload of "cpu", subsection cpu/nested_state in it (0: none), payload of "apic". */
struct place {
	const char *name;
	unsigned vcpu;
	size_t cpu, nested, apic;
};

static const struct place places[] = {
	{"dev1", 0, 0x6e, 0x7bf, 0x18c8},        {"dev2", 0, 0x6e, 0x7bf, 0x18c8},
	{"dev2", 1, 0x19b8, 0x20ea, 0x3145},     {"l1only", 0, 0x6e, 0, 0x884},
	{"full1", 0, 0xaf661, 0xafdb2, 0xb0ebb}, {"full2", 0, 0xb5676, 0xb5dc7, 0xb6ed0},
	{"full2", 1, 0xb6fc0, 0xb76f2, 0xb874d},
};

#define PLACES (sizeof(places) / sizeof(places[0]))

/* ---- Reading --------------------------------------------------------------------------------- */

/* Reads a stream from memory. *ret_state stays NULL on failure. */
static inline enum nestmig_error read_stream(const uint8_t *bytes, size_t size,
					     struct nestmig_state **ret_state,
					     struct nestmig_detail *detail)
{
	struct nestmig_state *state = NULL;
	struct nm_source *source = NULL;
	enum nestmig_error error = nm_state_new("test", NULL, &state, detail);

	if (!error)
		error = nm_source_memory(bytes, size, &source, detail);
	if (!error)
		error = nm_state_add_source(state, source, detail);
	if (!error)
		error = nm_qemu_read(state, source, detail);
	if (error)
		nestmig_state_free(state);
	else
		*ret_state = state;
	return error;
}

static inline struct nestmig_state *must_read(const struct stream *s)
{
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail = {0};

	ck_ok(read_stream(s->p, s->size, &state, &detail), detail);
	return state;
}

/* The stream is refused in this way, with these words. */
static inline struct nestmig_detail must_refuse(const struct stream *s, enum nestmig_error error,
						const char *says)
{
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail = {0};
	enum nestmig_error is = read_stream(s->p, s->size, &state, &detail);

	ck_assert_msg(is == error, "%s instead of %s: %s", nestmig_error_name(is),
		      nestmig_error_name(error), detail.text);
	ck_assert_ptr_null(state);
	ck_assert_msg(strstr(detail.text, says) != NULL, "\"%s\" not in \"%s\"", says, detail.text);
	return detail;
}

static inline uint64_t value_of(const struct nestmig_state *state, size_t vcpu, const char *name)
{
	struct nestmig_detail detail = {0};
	uint64_t value = 0;

	ck_ok(nestmig_field(state, vcpu, name, &value, NULL, NULL, &detail), detail);
	return value;
}

static inline bool has_field(const struct nestmig_state *state, size_t vcpu, const char *name)
{
	return nm_vcpu_field(&state->vcpus[vcpu], name, NULL, NULL, NULL);
}

#define ck_field(state, vcpu, name, expected)                                                      \
	do {                                                                                       \
		uint64_t value_ = value_of(state, vcpu, name);                                     \
		ck_assert_msg(value_ == (uint64_t)(expected), "%s is 0x%llx, not 0x%llx", name,    \
			      (unsigned long long)value_, (unsigned long long)(expected));         \
	} while (0)

/* The main function of a test program of one suite. */
static inline int run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
