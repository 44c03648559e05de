// SPDX-License-Identifier: GPL-2.0-or-later
/* Recognising a saved state by its content, and saying clearly what is none. */
#include "dump_dir.h"

static void write_genuine(const char *name, const char *stream)
{
	struct stream s = genuine(stream);

	write_in_dir(name, s.p, s.size);
	stream_free(&s);
}

static const struct {
	const char *stream, *format;
	size_t vcpus;
} streams[] = {
	{"dev1", "qemu-device-state", 1},    {"dev2", "qemu-device-state", 2},
	{"full1", "qemu-stream", 1},         {"full2", "qemu-stream", 2},
	{"vmxdev1", "qemu-device-state", 1}, {"vmx1", "qemu-stream", 1},
};

START_TEST(streams_are_recognised)
{
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail = {0};

	/* The name does not count. */
	write_genuine("x.nms", streams[_i].stream);
	ck_ok(nestmig_state_read(in_dir("x.nms"), 0, &state, &detail), detail);
	ck_assert_str_eq(nestmig_state_format(state), streams[_i].format);
	ck_assert_uint_eq(nestmig_state_vcpu_count(state), streams[_i].vcpus);
	ck_assert_ptr_eq(state->stream, state->sources[0]);
	nestmig_state_free(state);
}
END_TEST

START_TEST(a_symbolic_link_is_followed)
{
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail = {0};

	write_genuine("file", "dev1");
	ck_assert_int_eq(symlink("file", in_dir("link")), 0);
	ck_ok(nestmig_state_read(in_dir("link"), 0, &state, &detail), detail);
	nestmig_state_free(state);
	ck_assert_int_eq(symlink("nothing", in_dir("dangling")), 0);
	refuse_path(in_dir("dangling"), NESTMIG_ERR_IO, "No such file");
}
END_TEST

#define HEAD(text, says)                                                                           \
	{                                                                                          \
		text "12345678901234567890", sizeof(text) - 1 + 20, NESTMIG_ERR_UNSUPPORTED, says  \
	}

static const struct {
	const char *bytes;
	size_t size;
	enum nestmig_error error;
	const char *says;
} others[] = {
	{"LibvirtQemudSave12345", 21, NESTMIG_ERR_TRUNCATED, "header of a libvirt save image"},
	HEAD("LibvirtQemudPart", "unfinished"),
	{"\x28\xb5\x2f\xfd", 4, NESTMIG_ERR_TRUNCATED, "zstd"},
	{"\x1f\x8b\x08", 3, NESTMIG_ERR_TRUNCATED, "gzip"},
	{"\xfd\x37zXZ\0", 6, NESTMIG_ERR_TRUNCATED, "xz"},
	{"BZh9", 4, NESTMIG_ERR_TRUNCATED, "bzip2"},
	{"\x89LZO\0\r\n\x1a\n", 9, NESTMIG_ERR_TRUNCATED, "lzop"},
	HEAD("\0\0\x64\x86\x84\x19\x10\x07", "Firecracker's snapshots hold no nested state"),
	/* versionize: the version of the format is in the low bits. */
	HEAD("\1\0\x64\x86\x84\x19\x10\x07", "Firecracker's snapshots hold no nested state"),
	HEAD("\2\1\x64\x86\x84\x19\x10\x07", "Firecracker's snapshots hold no nested state"),
	HEAD("\0\0\xaa\xaa\x84\x19\x10\x07", "aarch64"),
	HEAD("\1\0\xaa\xaa\x84\x19\x10\x07", "aarch64"),
	HEAD("\0\0\x64\x87\x84\x19\x10\x07", "no saved state"),
	HEAD("KDUMP   ", "without the nested state"),
	HEAD("makedumpfile", "without the nested state"),
	HEAD("\177VirtualBox SavedState V2.0\n", "VirtualBox"),
	HEAD("\xd2\xbe\xd2\xbe", "VMware"),
	HEAD("\x7f"
	     "ELF",
	     "dump-guest-memory"),
	HEAD("{\"vendor\":\"amd\"}", "no saved state"),
	HEAD("QEVL", "no saved state"),
	HEAD("QEVM\0\0\0\2", "version 3"),
	HEAD("QEVM\0\0\0\4", "version 3"),
	HEAD("QEVM\3\0\0\0", "version 3"),
	{"", 0, NESTMIG_ERR_TRUNCATED, "empty"},
	{"Q", 1, NESTMIG_ERR_UNSUPPORTED, "no saved state"},
	{"QEV", 3, NESTMIG_ERR_UNSUPPORTED, "no saved state"},
	{"QEVM", 4, NESTMIG_ERR_TRUNCATED, "header"},
	{"QEVM\0\0\0\3", 8, NESTMIG_ERR_TRUNCATED, "header"},
	{"LibvirtQemud", 12, NESTMIG_ERR_UNSUPPORTED, "no saved state"},
};

START_TEST(other_files_are_named)
{
	write_in_dir("file", others[_i].bytes, others[_i].size);
	refuse_path(in_dir("file"), others[_i].error, others[_i].says);
}
END_TEST

START_TEST(a_directory_without_meta_is_refused)
{
	refuse_path(dir, NESTMIG_ERR_UNSUPPORTED, "meta.json");
	/* However much there is in it. */
	write_genuine("vm.qemu", "dev1");
	ck_assert_int_eq(mkdir(in_dir("vcpu0"), 0700), 0);
	refuse_path(dir, NESTMIG_ERR_UNSUPPORTED, "meta.json");
}
END_TEST

START_TEST(what_is_no_file_is_refused_at_once)
{
	ck_assert_int_eq(mkfifo(in_dir("fifo"), 0600), 0);
	refuse_path(in_dir("fifo"), NESTMIG_ERR_UNSUPPORTED, "neither a regular file");
	refuse_path("/dev/null", NESTMIG_ERR_UNSUPPORTED, "neither a regular file");
	refuse_path("/dev/zero", NESTMIG_ERR_UNSUPPORTED, "neither a regular file");
	refuse_path(in_dir("nothing"), NESTMIG_ERR_IO, "No such file");
	refuse_path(in_dir("nothing/below"), NESTMIG_ERR_IO, "No such file");
	refuse_path("", NESTMIG_ERR_IO, "");
	write_text("file", "x");
	refuse_path(in_dir("file/below"), NESTMIG_ERR_IO, "Not a directory");
}
END_TEST

START_TEST(what_may_not_be_read_is_refused)
{
	bool root = geteuid() == 0;

	if (root && seteuid(65534))
		return;
	write_text("file", "x");
	ck_assert_int_eq(chmod(in_dir("file"), 0), 0);
	refuse_path(in_dir("file"), NESTMIG_ERR_IO, "Permission denied");
	if (root)
		ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

START_TEST(flags_that_are_not_known_are_refused)
{
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail = {0};

	write_genuine("file", "dev1");
	ck_assert_int_eq(nestmig_state_read(in_dir("file"), 0x80, &state, &detail),
			 NESTMIG_ERR_INVALID);
	ck_assert_ptr_null(state);
	ck_ok(nestmig_state_read(in_dir("file"), NESTMIG_READ_SKIP_RAM_CHECKSUM, &state, &detail),
	      detail);
	nestmig_state_free(state);
}
END_TEST

START_TEST(a_detail_is_not_needed)
{
	struct nestmig_state *state = NULL;

	ck_assert_int_eq(nestmig_state_read(in_dir("nothing"), 0, &state, NULL), NESTMIG_ERR_IO);
	ck_assert_int_eq(nestmig_state_read(dir, 0, &state, NULL), NESTMIG_ERR_UNSUPPORTED);
	write_text("file", "QEVM\0\0\0");
	ck_assert_int_eq(nestmig_state_read(in_dir("file"), 0, &state, NULL),
			 NESTMIG_ERR_TRUNCATED);
	ck_assert_ptr_null(state);
}
END_TEST

static void readable_by_all(void)
{
	dir_make();
	ck_assert_int_eq(chmod(dir, 0777), 0);
}

int main(void)
{
	Suite *suite = suite_create("read");
	TCase *tcase = tcase_create("read");

	tcase_add_checked_fixture(tcase, readable_by_all, dir_remove);
	tcase_set_timeout(tcase, 30);
	tcase_add_loop_test(tcase, streams_are_recognised, 0, sizeof(streams) / sizeof(streams[0]));
	tcase_add_test(tcase, a_symbolic_link_is_followed);
	tcase_add_loop_test(tcase, other_files_are_named, 0, sizeof(others) / sizeof(others[0]));
	tcase_add_test(tcase, a_directory_without_meta_is_refused);
	tcase_add_test(tcase, what_is_no_file_is_refused_at_once);
	tcase_add_test(tcase, what_may_not_be_read_is_refused);
	tcase_add_test(tcase, flags_that_are_not_known_are_refused);
	tcase_add_test(tcase, a_detail_is_not_needed);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
