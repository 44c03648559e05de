// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The sandbox from the inside: what a command may still do, and its privileges as others see them. What it
 * may not do is for sandbox.sh. Every test runs in a process of its own, which the sandbox then holds.
 */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/landlock.h>

#include "dump_dir.h"
#include "sandbox.h"

static bool has_landlock;

static void setup(void)
{
	has_landlock =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
	dir_make();
	write_text("file", "one");
	write_text("other", "two");
	write_text("foreign", "four");
	ck_assert_int_eq(mkdir(in_dir("sub"), 0700), 0);
	write_text("sub/file", "three");
	ck_assert_int_eq(mkdir(in_dir("out"), 0700), 0);
}

static void teardown(void)
{
	dir_remove();
}

static void enter(const struct sandbox *sandbox)
{
	struct nestmig_detail detail = {0};

	ck_ok(sandbox_enter(sandbox, &detail), detail);
}

/*
 * The end of a test that has entered it, before check reads its clock again: check takes the monotonic one only where it
 * gets a timer of that, which the sandbox refuses, and would then subtract two different clocks.
 */
_Noreturn static void end_inside(void)
{
	_exit(EXIT_SUCCESS);
}

static bool can_read(const char *name)
{
	int fd = open(in_dir(name), O_RDONLY);
	char byte;

	return fd >= 0 && read(fd, &byte, 1) == 1 && close(fd) == 0;
}

START_TEST(named_files_can_be_read)
{
	const char *paths[] = {in_dir("file"), "-", in_dir("missing")};

	enter(&(struct sandbox){.paths = paths, .count = 3});
	ck_assert(can_read("file"));
	ck_assert(!has_landlock || !can_read("other"));
	ck_assert_int_eq(open(in_dir("missing"), O_RDONLY), -1);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_eq(open(in_dir("file"), O_RDWR), -1);
	end_inside();
}
END_TEST

START_TEST(a_named_directory_can_be_read_and_what_is_below)
{
	const char *paths[] = {in_dir("sub")};

	enter(&(struct sandbox){.paths = paths, .count = 1, .profile = in_dir("other")});
	ck_assert(can_read("sub/file"));
	ck_assert(can_read("other"));
	ck_assert(!has_landlock || !can_read("file"));
	ck_assert_int_ge(open(in_dir("sub"), O_RDONLY | O_DIRECTORY), 0);
	ck_assert_int_eq(open(in_dir("sub/new"), O_WRONLY | O_CREAT, 0600), -1);
	end_inside();
}
END_TEST

/* As formats/nms_file.c and a raw dump do it. */
START_TEST(the_output_can_be_written)
{
	const char *paths[] = {in_dir("file")};
	char link[40];
	int fd, out;

	enter(&(struct sandbox){.paths = paths, .count = 1, .output = in_dir("out/result")});
	ck_assert(can_read("file"));
	fd = open(in_dir("out/new"), O_WRONLY | O_CREAT | O_EXCL, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	ck_assert(fsync(fd) == 0 && fchmod(fd, 0600) == 0 && ftruncate(fd, 0) == 0);
	ck_assert_int_eq(rename(in_dir("out/new"), in_dir("out/result")), 0);
	out = open(in_dir("out"), O_RDONLY | O_DIRECTORY);
	ck_assert(out >= 0 && fsync(out) == 0);
	fd = openat(out, ".", O_TMPFILE | O_WRONLY, 0600);
	if (fd >= 0) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		ck_assert_int_eq(access(link, F_OK), 0);
		ck_assert_msg(linkat(AT_FDCWD, link, out, "linked", AT_SYMLINK_FOLLOW) == 0, "%s",
			      strerror(errno));
		ck_assert_int_eq(unlinkat(out, "linked", 0), 0);
	}
	ck_assert_int_eq(mkdir(in_dir("out/dump"), 0700), 0);
	fd = open(in_dir("out/dump/sregs"), O_WRONLY | O_CREAT, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(rename(in_dir("out/dump"), in_dir("out/moved")), 0);
	ck_assert_int_eq(unlink(in_dir("out/moved/sregs")), 0);
	ck_assert_int_eq(rmdir(in_dir("out/moved")), 0);
	ck_assert_int_eq(unlink(in_dir("out/result")), 0);
	/* But nowhere else. */
	ck_assert(!has_landlock || open(in_dir("sub/new"), O_WRONLY | O_CREAT, 0600) < 0);
	ck_assert(!has_landlock || unlink(in_dir("other")) < 0);
	ck_assert(!has_landlock || !can_read("other"));
	end_inside();
}
END_TEST

static void *do_nothing(void *argument)
{
	return argument;
}

START_TEST(no_thread_and_no_process_can_be_started)
{
	pthread_t thread;

	enter(&(struct sandbox){0});
	ck_assert_int_ne(pthread_create(&thread, NULL, do_nothing, NULL), 0);
	ck_assert_int_lt(fork(), 0);
	end_inside();
}
END_TEST

/* ---- As others see it ------------------------------------------------------------------------ */

/* A process in the sandbox that waits; killed by end_child. */
static pid_t start_child(const struct sandbox *sandbox)
{
	int ready[2];
	pid_t pid;
	char byte = 0;

	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (sandbox_enter(sandbox, NULL) || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			poll(NULL, 0, -1);
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* The line of a file in /proc/PID that begins with label; what follows it. */
static const char *proc_line(pid_t pid, const char *name, const char *label)
{
	static char line[512];
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, label, strlen(label)) != 0)
			continue;
		fclose(file);
		return line + strlen(label);
	}
	ck_abort_msg("no %s in %s", label, path);
}

static uint64_t capabilities(pid_t pid, const char *set)
{
	return strtoull(proc_line(pid, "status", set), NULL, 16);
}

START_TEST(privileges_are_given_up)
{
	const char *paths[] = {in_dir("file")};
	pid_t pid = start_child(&(struct sandbox){.paths = paths, .count = 1});

	ck_assert_uint_eq(capabilities(pid, "CapPrm:"), 0);
	ck_assert_uint_eq(capabilities(pid, "CapEff:"), 0);
	ck_assert_uint_eq(capabilities(pid, "CapInh:"), 0);
	ck_assert_uint_eq(capabilities(pid, "CapAmb:"), 0);
	if (geteuid() == 0)
		ck_assert_uint_eq(capabilities(pid, "CapBnd:"), 0);
	ck_assert_int_eq(atoi(proc_line(pid, "status", "NoNewPrivs:")), 1);
	ck_assert_int_eq(atoi(proc_line(pid, "status", "Seccomp:")), 2);
	ck_assert_int_eq(atoi(proc_line(pid, "limits", "Max core file size")), 0);
	/* A minute, and one second for the file. */
	ck_assert_int_le(atoi(proc_line(pid, "limits", "Max cpu time")), 61);
	ck_assert_int_gt(atoi(proc_line(pid, "limits", "Max cpu time")), 0);
	end_child(pid);
}
END_TEST

/* The state of a VM of another user, which root reads by a capability. */
START_TEST(root_keeps_what_reading_takes)
{
	const char *paths[] = {in_dir("foreign")};
	uint64_t left;
	pid_t pid;

	if (geteuid() != 0)
		return; /* Only root has something to keep. */
	ck_assert_int_eq(chown(in_dir("foreign"), 65534, 65534), 0);
	ck_assert_int_eq(chmod(in_dir("foreign"), 0600), 0);
	pid = start_child(&(struct sandbox){.paths = paths, .count = 1});
	left = capabilities(pid, "CapEff:");
	end_child(pid);
	/* CAP_DAC_READ_SEARCH; or CAP_DAC_OVERRIDE, in a container without it. */
	ck_assert_msg(left == 1U << 2 || left == 1U << 1, "%#" PRIx64, left);
	enter(&(struct sandbox){.paths = paths, .count = 1});
	ck_assert(can_read("foreign"));
	ck_assert(!has_landlock || !can_read("other"));
	end_inside();
}
END_TEST

START_TEST(the_time_limit_is_an_error)
{
	struct rlimit limit = {.rlim_cur = 1, .rlim_max = 60};
	int status = 0, said[2];
	char text[128] = "";
	pid_t pid;

	ck_assert_int_eq(pipe(said), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		dup2(said[1], STDERR_FILENO);
		if (setrlimit(RLIMIT_CPU, &limit) < 0 || sandbox_enter(&(struct sandbox){0}, NULL))
			_exit(1);
		for (;;)
			__asm__ volatile("");
	}
	close(said[1]);
	ck_assert_int_gt(read(said[0], text, sizeof(text) - 1), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 2);
	ck_assert_ptr_nonnull(strstr(text, "processor time"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sandbox");
	TCase *inside = tcase_create("inside");
	SRunner *runner;
	int failed;

#ifdef NESTMIG_SANITIZED
	puts("builds with sanitizers have no sandbox");
	return EXIT_SUCCESS;
#endif
	tcase_set_timeout(inside, 60); /* on a busy machine a second of its time takes long */
	/* Not of each test: from the sandbox nothing could be removed. */
	tcase_add_unchecked_fixture(inside, setup, teardown);
	tcase_add_test(inside, named_files_can_be_read);
	tcase_add_test(inside, a_named_directory_can_be_read_and_what_is_below);
	tcase_add_test(inside, the_output_can_be_written);
	tcase_add_test(inside, no_thread_and_no_process_can_be_started);
	tcase_add_test(inside, privileges_are_given_up);
	tcase_add_test(inside, root_keeps_what_reading_takes);
	tcase_add_test(inside, the_time_limit_is_an_error);
	suite_add_tcase(suite, inside);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
