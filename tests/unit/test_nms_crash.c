// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * .nms: a writer that runs out of space, or is killed at any moment, leaves the file of that name
 * as it was, and one that is killed after that has replaced it as a whole.
 */
#include "test_nms_util.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

/* Large enough for several chunks that pack badly. */
static enum nestmig_error write_large(const char *path, const char *tool,
				      struct nestmig_detail *detail)
{
	struct nm_nms_info info = sample_info;
	struct nm_nms_writer *writer = NULL;
	enum nestmig_error error = nm_nms_writer_new(path, 1, &writer, detail);
	uint64_t random = 88172645463325252;
	static uint8_t piece[65536];

	if (error)
		return error;
	info.tool = tool;
	error = nm_nms_writer_add_source(writer, &info, detail);
	for (int i = 0; i < 40 && !error; i++) {
		for (size_t j = 0; j < sizeof(piece); j++) {
			random = random * 6364136223846793005U + 1442695040888963407U;
			piece[j] = (uint8_t)(random >> 56);
		}
		error = nm_nms_writer_add_stream(writer, piece, sizeof(piece), detail);
	}
	if (!error)
		error = nm_nms_writer_finish_stream(writer, detail);
	if (!error)
		error = nm_nms_writer_commit(writer, detail);
	nm_nms_writer_free(writer);
	return error;
}

/* The tool's name in the file, or "" if there is no file; the test fails if it is not whole. */
static void whole_or_none(const char *path, char *ret_tool, size_t size)
{
	struct nestmig_detail detail;

	ret_tool[0] = '\0';
	if (access(path, F_OK) == 0)
		ck_ok(open_path(path, ret_tool, size, &detail), detail);
}

static int wait_for(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

/* ---- No space -------------------------------------------------------------------------------- */

/* In a child: how the writer fails if files may not grow beyond limit. Exits 0 if as it should. */
static void write_limited(const char *path, size_t limit)
{
	struct rlimit rlimit = {limit, limit};
	struct nestmig_detail detail;
	enum nestmig_error error;

	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &rlimit) < 0)
		_exit(2);
	error = sample_write(path, "new", SAMPLE_STREAM, &detail);
	_exit(error == NESTMIG_ERR_IO && detail.sys_errno == EFBIG &&
			      strstr(detail.text, "cannot write")
		      ? 0
		      : 1);
}

START_TEST(limited_at_every_size)
{
	struct nestmig_detail detail;
	char tool[20];
	struct dir dir;
	size_t size;

	dir_make(&dir);
	ck_ok(sample_write(dir.file, "old", SAMPLE_STREAM, &detail), detail);
	free(file_bytes(dir.file, &size));
	if (_i)
		unlink(dir.file);
	for (size_t limit = 0; limit < size; limit += 7) {
		pid_t pid = fork();

		if (pid == 0)
			write_limited(dir.file, limit);
		ck_assert_msg(wait_for(pid) == 0, "with a limit of %zu bytes", limit);
		ck_assert_int_eq(dir_count(&dir, false), !_i);
		whole_or_none(dir.file, tool, sizeof(tool));
		ck_assert_str_eq(tool, _i ? "" : "old");
	}
	dir_remove(&dir);
}
END_TEST

/* In a child: 77 if it is not allowed to mount, 0 if all is as it should be. */
static int on_full_disk(const struct dir *dir)
{
	struct nestmig_detail detail;
	enum nestmig_error error;
	char tool[20] = "";

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", dir->path, "tmpfs", 0, "size=1280k") < 0)
		return 77;
	if (sample_write(dir->file, "old", SAMPLE_STREAM, &detail) != NESTMIG_OK)
		return 2;
	error = write_large(dir->file, "new", &detail);
	if (error != NESTMIG_ERR_IO || detail.sys_errno != ENOSPC)
		return 3;
	if (!strstr(detail.text, "cannot write") || !strstr(detail.text, "No space left"))
		return 4;
	if (dir_count(dir, false) != 1)
		return 5;
	if (open_path(dir->file, tool, sizeof(tool), &detail) || strcmp(tool, "old") != 0)
		return 6;
	/* What failed gave its space back. */
	if (sample_write(dir->file, "newer", SAMPLE_STREAM, &detail) != NESTMIG_OK)
		return 7;
	return 0;
}

START_TEST(full_disk)
{
	struct dir dir;
	int status;
	pid_t pid;

	dir_make(&dir);
	pid = fork();
	if (pid == 0)
		_exit(on_full_disk(&dir));
	status = wait_for(pid);
	ck_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		fprintf(stderr, "no mount allowed here: a full disk is not tested\n");
	else
		ck_assert_int_eq(WEXITSTATUS(status), 0);
	dir_remove(&dir);
}
END_TEST

/* Once a writer has failed, it stays so, and says why. */
START_TEST(failure_sticks)
{
	struct rlimit before, rlimit;
	struct nestmig_detail first, later;
	struct nm_nms_writer *writer;
	static uint8_t bytes[5000];
	struct dir dir;

	dir_make(&dir);
	signal(SIGXFSZ, SIG_IGN);
	ck_ok(nm_nms_writer_new(dir.file, 1, &writer, &first), first);
	ck_ok(nm_nms_writer_add_source(writer, &sample_info, &first), first);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	rlimit = before;
	rlimit.rlim_cur = 1000;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &rlimit), 0);
	ck_assert_int_eq(
		nm_nms_writer_add_vcpu(writer, 0, NM_KVM_MSRS, bytes, sizeof(bytes), &first),
		NESTMIG_ERR_IO);
	ck_assert_int_eq(nm_nms_writer_add_vcpu(writer, 1, NM_KVM_REGS, bytes, 1, &later),
			 NESTMIG_ERR_IO);
	ck_assert_str_eq(first.text, later.text);
	ck_assert_int_eq(nm_nms_writer_add_stream(writer, bytes, 1, &later), NESTMIG_ERR_IO);
	ck_assert_int_eq(nm_nms_writer_finish_stream(writer, &later), NESTMIG_ERR_IO);
	ck_assert_int_eq(nm_nms_writer_commit(writer, &later), NESTMIG_ERR_IO);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	nm_nms_writer_free(writer);
	ck_assert_int_eq(dir_count(&dir, false), 0);
	dir_remove(&dir);
}
END_TEST

/* ---- kill -9 --------------------------------------------------------------------------------- */

static bool has_tmpfile(const struct dir *dir)
{
	int fd = open(dir->path, O_TMPFILE | O_WRONLY, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* What is left beside the file: with O_TMPFILE at most one, and whole; else nothing is promised. */
static int check_leftovers(const struct dir *dir)
{
	bool is_whole = has_tmpfile(dir);
	DIR *list = opendir(dir->path);
	struct dirent *entry;
	char path[400], tool[20];
	int count = 0;

	while ((entry = readdir(list))) {
		if (strncmp(entry->d_name, ".vm.nms.", 8) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir->path, entry->d_name);
		if (is_whole) {
			whole_or_none(path, tool, sizeof(tool));
			ck_assert_str_eq(tool, "new");
			count++;
		}
		unlink(path);
	}
	closedir(list);
	ck_assert_int_le(count, 1);
	return count;
}

/* A snapshot, written as where there is no O_TMPFILE. */
static enum nestmig_error write_named(const char *path, const uint8_t *bytes, size_t size,
				      struct nestmig_detail *detail)
{
	struct nms_file *file = NULL;
	enum nestmig_error error = nms_file_new_how(path, NMS_FILE_NAMED, &file, detail);

	for (size_t done = 0; done < size && !error; done += size / 4) {
		size_t n = size / 4 < size - done ? size / 4 : size - done;

		error = nms_file_write(file, bytes + done, n, detail);
	}
	if (!error)
		error = nms_file_commit(file, detail);
	nms_file_free(file);
	return error;
}

/* How a round of being killed goes. */
struct round {
	struct dir dir;
	bool replaces;  /* there is an old file */
	bool has_name;  /* without O_TMPFILE */
	uint8_t *bytes; /* of the new file, for has_name */
	size_t size;
	int leftovers, replaced, untouched;
};

/* In a child: stops before it starts, then writes. */
static void write_traced(const struct round *round)
{
	struct nestmig_detail detail;
	enum nestmig_error error;

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(77);
	raise(SIGSTOP);
	if (round->has_name)
		error = write_named(round->dir.file, round->bytes, round->size, &detail);
	else
		error = sample_write(round->dir.file, "new", SAMPLE_STREAM, &detail);
	_exit(error ? 1 : 0);
}

/* Runs a writer up to the given stop before or after a system call, and kills it there. Its wait
 * status: that it was killed, or how it ended before that. */
static int killed_at(const struct round *round, int stop)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		write_traced(round);
	status = wait_for(pid);
	for (int i = 0; i < stop && WIFSTOPPED(status); i++) {
		ck_assert_int_eq(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
		status = wait_for(pid);
	}
	if (!WIFSTOPPED(status))
		return status;
	kill(pid, SIGKILL);
	return wait_for(pid);
}

/* Is the file under the name the old one, or none if there was none, or the new one? */
static void check_round(struct round *round)
{
	char tool[20];

	if (!round->has_name)
		round->leftovers += check_leftovers(&round->dir);
	whole_or_none(round->dir.file, tool, sizeof(tool));
	if (strcmp(tool, "new") == 0) {
		round->replaced++;
	} else {
		ck_assert_str_eq(tool, round->replaces ? "old" : "");
		round->untouched++;
	}
}

START_TEST(killed_at_every_system_call)
{
	struct round round = {.replaces = _i & 1, .has_name = _i & 2};
	struct nestmig_detail detail;
	int status = 0;

	dir_make(&round.dir);
	ck_ok(sample_write(round.dir.file, "new", SAMPLE_STREAM, &detail), detail);
	round.bytes = file_bytes(round.dir.file, &round.size);
	for (int stop = 0;; stop++) {
		dir_count(&round.dir, true);
		if (round.replaces)
			ck_ok(sample_write(round.dir.file, "old", 10, &detail), detail);
		status = killed_at(&round, stop);
		if (WIFEXITED(status))
			break;
		check_round(&round);
	}
	if (WEXITSTATUS(status) == 77) {
		fprintf(stderr, "ptrace is not allowed here: kill -9 is tested at random only\n");
	} else {
		ck_assert_int_eq(status, 0);
		/* It was killed before the file appeared as well as after; how often depends on how
		 * the threads of the compressor take turns. */
		ck_assert_int_gt(round.untouched, 0);
		ck_assert_int_gt(round.replaced, 0);
		/* Only a file that replaces another has a second name, from linkat() to rename(). */
		if (!round.replaces)
			ck_assert_int_eq(round.leftovers, 0);
	}
	free(round.bytes);
	dir_remove(&round.dir);
}
END_TEST

START_TEST(killed_at_random)
{
	unsigned seed = (unsigned)time(NULL);
	struct nestmig_detail detail;
	char tool[20];
	struct dir dir;

	dir_make(&dir);
	ck_ok(sample_write(dir.file, "old", 10, &detail), detail);
	for (int i = 0; i < 100; i++) {
		struct timespec nap = {.tv_nsec = rand_r(&seed) % 60000000};
		pid_t pid = fork();

		while (pid == 0)
			if (write_large(dir.file, "new", &detail))
				_exit(1);
		nanosleep(&nap, NULL);
		kill(pid, SIGKILL);
		ck_assert(WIFSIGNALED(wait_for(pid)));
		check_leftovers(&dir);
		whole_or_none(dir.file, tool, sizeof(tool));
		ck_assert(strcmp(tool, "old") == 0 || strcmp(tool, "new") == 0);
	}
	dir_remove(&dir);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nms crash");
	TCase *space = tcase_create("space");
	TCase *killed = tcase_create("killed");

	tcase_set_timeout(space, 120);
	tcase_add_loop_test(space, limited_at_every_size, 0, 2);
	tcase_add_test(space, full_disk);
	tcase_add_test(space, failure_sticks);
	tcase_set_timeout(killed, 300);
	tcase_add_loop_test(killed, killed_at_every_system_call, 0, 4);
	tcase_add_test(killed, killed_at_random);
	suite_add_tcase(suite, space);
	suite_add_tcase(suite, killed);
	return run_suite(suite);
}
