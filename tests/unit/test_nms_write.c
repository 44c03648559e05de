// SPDX-License-Identifier: GPL-2.0-or-later
/* .nms: what the writer refuses, and how its file appears when all goes well. Its sibling:
 * test_nms_crash.c (no space, kill -9). */
#include "test_nms_util.h"

#include <errno.h>

static struct nm_nms_writer *start(const struct dir *dir)
{
	struct nestmig_detail detail;
	struct nm_nms_writer *writer = NULL;

	ck_ok(nm_nms_writer_new(dir->file, 1, &writer, &detail), detail);
	return writer;
}

static void refused(enum nestmig_error error, enum nestmig_error expected,
		    const struct nestmig_detail *detail, const char *text)
{
	ck_assert_msg(error == expected && strstr(detail->text, text), "%s: %s",
		      nestmig_error_name(error), detail->text);
}

#define INVALID(call, text) refused((call), NESTMIG_ERR_INVALID, &detail, (text))

/* A wrong argument leaves the writer as it was: the file is good in the end. */
START_TEST(wrong_arguments)
{
	struct nm_nms_info no_tool = {.time = "x"}, no_utf8 = {.time = "x", .tool = "\xff"};
	static const uint8_t bytes[70000];
	struct nestmig_detail detail;
	struct nm_nms_writer *writer;
	char tool[20];
	struct dir dir;

	dir_make(&dir);
	writer = start(&dir);
	INVALID(nm_nms_writer_add_record(writer, NM_NMS_REGS, 0, "x", 1, &detail),
		"where SOURCE must be");
	INVALID(nm_nms_writer_add_stream(writer, "x", 1, &detail), "after the source");
	INVALID(nm_nms_writer_add_source(writer, &no_tool, &detail), "lacks the tool");
	INVALID(nm_nms_writer_add_source(writer, &no_utf8, &detail), "not UTF-8");
	INVALID(nm_nms_writer_commit(writer, &detail), "where SOURCE must be");
	ck_ok(nm_nms_writer_add_source(writer, &sample_info, &detail), detail);
	INVALID(nm_nms_writer_add_source(writer, &sample_info, &detail), "twice");
	INVALID(nm_nms_writer_commit(writer, &detail), "before any stream or vCPU record");
	INVALID(nm_nms_writer_finish_stream(writer, &detail), "the stream is empty");
	INVALID(nm_nms_writer_add_record(writer, NM_NMS_END, 0, bytes, 24, &detail),
		"writer's own");
	INVALID(nm_nms_writer_add_record(writer, 0x7777, 0, bytes, 24, &detail), "is unknown");
	INVALID(nm_nms_writer_add_vcpu(writer, 0, NM_KVM_STRUCTS, bytes, 4, &detail), "no record");
	INVALID(nm_nms_writer_add_vcpu(writer, 0, NM_KVM_REGS, bytes, 0, &detail), "less than 1");
	refused(nm_nms_writer_add_vcpu(writer, 0, NM_KVM_REGS, bytes, 70000, &detail),
		NESTMIG_ERR_LIMIT, &detail, "more than 65536");
	ck_ok(nm_nms_writer_add_vcpu(writer, 1, NM_KVM_MSRS, bytes, 16, &detail), detail);
	INVALID(nm_nms_writer_add_vcpu(writer, 1, NM_KVM_REGS, bytes, 8, &detail), "out of order");
	INVALID(nm_nms_writer_add_vcpu(writer, 0, NM_KVM_CPUID, bytes, 8, &detail), "out of order");
	ck_ok(nm_nms_writer_add_stream(writer, "x", 1, &detail), detail);
	INVALID(nm_nms_writer_add_vcpu(writer, 2, NM_KVM_REGS, bytes, 8, &detail), "not finished");
	INVALID(nm_nms_writer_commit(writer, &detail), "not finished");
	ck_ok(nm_nms_writer_finish_stream(writer, &detail), detail);
	INVALID(nm_nms_writer_finish_stream(writer, &detail), "finished already");
	INVALID(nm_nms_writer_add_stream(writer, "x", 1, &detail), "and once");
	ck_ok(nm_nms_writer_add_vcpu(writer, 2, NM_KVM_REGS, bytes, 8, &detail), detail);
	ck_ok(nm_nms_writer_commit(writer, &detail), detail);
	INVALID(nm_nms_writer_commit(writer, &detail), "committed already");
	INVALID(nm_nms_writer_add_stream(writer, "x", 1, &detail), "committed already");
	nm_nms_writer_free(writer);
	ck_ok(open_path(dir.file, tool, sizeof(tool), &detail), detail);
	dir_remove(&dir);
}
END_TEST

START_TEST(levels)
{
	struct nm_nms_writer *writer = NULL;
	struct nestmig_detail detail;
	struct dir dir;

	dir_make(&dir);
	INVALID(nm_nms_writer_new(dir.file, 0, &writer, &detail), "level 0");
	INVALID(nm_nms_writer_new(dir.file, 20, &writer, &detail), "level 20");
	ck_ok(nm_nms_writer_new(dir.file, NM_NMS_LEVEL_MAX, &writer, &detail), detail);
	nm_nms_writer_free(writer);
	nm_nms_writer_free(NULL);
	nm_nms_free(NULL);
	dir_remove(&dir);
}
END_TEST

START_TEST(no_file_until_committed)
{
	struct nestmig_detail detail;
	struct nm_nms_writer *writer;
	char tool[20];
	struct dir dir;

	dir_make(&dir);
	ck_ok(sample_write(dir.file, "old", 10, &detail), detail);
	writer = start(&dir);
	ck_ok(nm_nms_writer_add_source(writer, &sample_info, &detail), detail);
	nm_nms_writer_free(writer);
	ck_assert_int_eq(dir_count(&dir, false), 1);
	ck_ok(open_path(dir.file, tool, sizeof(tool), &detail), detail);
	ck_assert_str_eq(tool, "old");
	ck_ok(sample_write(dir.file, "new", 10, &detail), detail);
	ck_assert_int_eq(dir_count(&dir, false), 1);
	ck_ok(open_path(dir.file, tool, sizeof(tool), &detail), detail);
	ck_assert_str_eq(tool, "new");
	dir_remove(&dir);
}
END_TEST

static const mode_t masks[] = {0, 022, 077, 0777, 0200};

START_TEST(mode_whatever_umask)
{
	unsigned hows[] = {0, NMS_FILE_NAMED};
	struct nestmig_detail detail;
	struct stat st;
	struct dir dir;

	dir_make(&dir);
	umask(masks[_i]);
	for (int i = 0; i < 4; i++) {
		struct nms_file *file = NULL;

		ck_ok(nms_file_new_how(dir.file, hows[i % 2], &file, &detail), detail);
		ck_ok(nms_file_write(file, "x", 1, &detail), detail);
		ck_ok(nms_file_commit(file, &detail), detail);
		nms_file_free(file);
		ck_assert_int_eq(stat(dir.file, &st), 0);
		ck_assert_uint_eq(st.st_mode, S_IFREG | 0600);
		ck_assert_uint_eq(st.st_nlink, 1);
		/* The second round replaces a file that anyone could read. */
		ck_assert_int_eq(chmod(dir.file, 0666), 0);
	}
	ck_assert_int_eq(dir_count(&dir, false), 1);
	dir_remove(&dir);
}
END_TEST

START_TEST(not_a_regular_file)
{
	struct nm_nms_writer *writer = NULL;
	struct nestmig_detail detail;
	struct dir dir;

	dir_make(&dir);
	ck_assert_int_eq(symlink("target", dir.file), 0);
	INVALID(nm_nms_writer_new(dir.file, 1, &writer, &detail), "not a regular file");
	unlink(dir.file);
	ck_assert_int_eq(mkfifo(dir.file, 0600), 0);
	INVALID(nm_nms_writer_new(dir.file, 1, &writer, &detail), "not a regular file");
	unlink(dir.file);
	ck_assert_int_eq(mkdir(dir.file, 0700), 0);
	INVALID(nm_nms_writer_new(dir.file, 1, &writer, &detail), "not a regular file");
	rmdir(dir.file);
	INVALID(nm_nms_writer_new("/tmp/", 1, &writer, &detail), "not the name of a file");
	INVALID(nm_nms_writer_new("..", 1, &writer, &detail), "not the name of a file");
	INVALID(nm_nms_writer_new("", 1, &writer, &detail), "not the name of a file");
	dir_remove(&dir);
}
END_TEST

START_TEST(names)
{
	struct nestmig_detail detail;
	char name[300];
	struct dir dir;

	dir_make(&dir);
	ck_assert_int_eq(chdir(dir.path), 0);
	/* As long as a name may be, twice: the second name beside it has to be shorter. */
	memset(name, 'a', 255);
	name[255] = '\0';
	for (int i = 0; i < 2; i++)
		ck_ok(sample_write(name, "0.1.0", 10, &detail), detail);
	ck_ok(sample_write("short", "0.1.0", 10, &detail), detail);
	ck_ok(sample_write("./short", "0.1.0", 10, &detail), detail);
	ck_assert_int_eq(dir_count(&dir, false), 2);
	refused(sample_write("none/vm.nms", "0.1.0", 10, &detail), NESTMIG_ERR_IO, &detail,
		"cannot open the directory none/");
	refused(sample_write("short/vm.nms", "0.1.0", 10, &detail), NESTMIG_ERR_IO, &detail,
		"cannot open the directory short/");
	ck_assert_int_eq(chdir("/"), 0);
	dir_remove(&dir);
}
END_TEST

START_TEST(no_permission)
{
	struct nestmig_detail detail;
	enum nestmig_error error;
	struct dir dir;

	dir_make(&dir);
	ck_assert_int_eq(chmod(dir.path, 0555), 0);
	/* Each test is a process of its own; root would be let through. */
	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	error = sample_write(dir.file, "0.1.0", 10, &detail);
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_eq(error, NESTMIG_ERR_IO);
	ck_assert_int_eq(detail.sys_errno, EACCES);
	ck_assert_ptr_nonnull(strstr(detail.text, dir.path));
	ck_assert_int_eq(chmod(dir.path, 0755), 0);
	ck_assert_int_eq(dir_count(&dir, false), 0);
	dir_remove(&dir);
}
END_TEST

/* The target turns up, or turns into something else, while the snapshot is written. */
START_TEST(target_changes)
{
	struct nestmig_detail detail;
	struct nms_file *file = NULL;
	struct stat st;
	struct dir dir;

	dir_make(&dir);
	ck_ok(nms_file_new(dir.file, &file, &detail), detail);
	ck_assert_int_eq(symlink("/nonexistent/elsewhere", dir.file), 0);
	ck_ok(nms_file_commit(file, &detail), detail);
	nms_file_free(file);
	ck_assert_int_eq(lstat(dir.file, &st), 0);
	ck_assert(S_ISREG(st.st_mode));
	unlink(dir.file);
	ck_ok(nms_file_new(dir.file, &file, &detail), detail);
	ck_assert_int_eq(mkdir(dir.file, 0700), 0);
	ck_assert_int_eq(nms_file_commit(file, &detail), NESTMIG_ERR_IO);
	nms_file_free(file);
	ck_assert_int_eq(dir_count(&dir, false), 1);
	rmdir(dir.file);
	dir_remove(&dir);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nms write");
	TCase *rules = tcase_create("rules");
	TCase *files = tcase_create("files");

	tcase_set_timeout(rules, 60);
	tcase_add_test(rules, wrong_arguments);
	tcase_add_test(rules, levels);
	tcase_set_timeout(files, 60);
	tcase_add_test(files, no_file_until_committed);
	tcase_add_loop_test(files, mode_whatever_umask, 0, (int)(sizeof(masks) / sizeof(masks[0])));
	tcase_add_test(files, not_a_regular_file);
	tcase_add_test(files, names);
	tcase_add_test(files, no_permission);
	tcase_add_test(files, target_changes);
	suite_add_tcase(suite, rules);
	suite_add_tcase(suite, files);
	return run_suite(suite);
}
