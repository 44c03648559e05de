/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A directory of a test, and a copy of the genuine raw dump in it. */
#ifndef TEST_DUMP_DIR_H
#define TEST_DUMP_DIR_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stream.h"

static char dir[64];

/* The path of a name in the directory; valid until four calls later. */
static inline const char *in_dir(const char *name)
{
	static char paths[4][512];
	static unsigned turn;

	turn = (turn + 1) % 4;
	snprintf(paths[turn], sizeof(paths[0]), "%s/%s", dir, name);
	return paths[turn];
}

static inline void write_in_dir(const char *name, const void *bytes, size_t size)
{
	FILE *file = fopen(in_dir(name), "wb");

	ck_assert_msg(file != NULL, "%s: %s", name, strerror(errno));
	ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
	ck_assert_int_eq(fclose(file), 0);
}

static inline void write_text(const char *name, const char *text)
{
	write_in_dir(name, text, strlen(text));
}

static inline void dir_make(void)
{
	strcpy(dir, "/tmp/test-dump.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void dir_remove(void)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void copy_case(const char *name)
{
	char from[128];
	struct stream s;

	snprintf(from, sizeof(from), "raw-dump/%s", name);
	s = read_case(from);
	write_in_dir(name, s.p, s.size);
	stream_free(&s);
}

/* The genuine dump, without what the reader does not look at. */
static inline void dump_make(void)
{
	static const char *const files[] = {
		"meta.json",      "host_msrs",  "vcpu0/nested_state", "vcpu0/sregs",
		"vcpu0/sregs2",   "vcpu0/regs", "vcpu0/vcpu_events",  "vcpu0/debugregs",
		"vcpu0/mp_state", "vcpu0/msrs", "vcpu0/cpuid",        "mem/1000",
		"mem/10000",
	};

	dir_make();
	ck_assert_int_eq(mkdir(in_dir("vcpu0"), 0700), 0);
	ck_assert_int_eq(mkdir(in_dir("mem"), 0700), 0);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		copy_case(files[i]);
}

static inline enum nestmig_error read_dir(struct nestmig_state **ret_state,
					  struct nestmig_detail *detail)
{
	return nestmig_state_read(dir, 0, ret_state, detail);
}

static inline struct nestmig_state *must_read_dir(void)
{
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail = {0};

	ck_ok(read_dir(&state, &detail), detail);
	return state;
}

/* The path is refused in this way, with these words. */
static inline void refuse_path(const char *path, enum nestmig_error error, const char *says)
{
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail = {0};
	enum nestmig_error is = nestmig_state_read(path, 0, &state, &detail);

	ck_assert_msg(is == error, "%s instead of %s: %s", nestmig_error_name(is),
		      nestmig_error_name(error), detail.text);
	ck_assert_ptr_null(state);
	ck_assert_msg(strstr(detail.text, says) != NULL, "\"%s\" not in \"%s\"", says, detail.text);
}

#endif
