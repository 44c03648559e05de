// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The sandbox of the commands that parse: limits, capabilities (capabilities(7)), Landlock (landlock(7))
 * and a seccomp filter, in this order, because each step needs system calls that the last one forbids.
 */
#include "sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <linux/fs.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli.h"
#include "error.h"

/* The i-th file to be read, or NULL at the end. */
static const char *path_at(const struct sandbox *sandbox, size_t i)
{
	if (i < sandbox->count)
		return sandbox->paths[i];
	return i == sandbox->count ? sandbox->profile : NULL;
}

/* The directory of a path, which is freed by the caller; NULL when out of memory. */
static char *directory_of(const char *path)
{
	char *copy = strdup(path), *directory = copy ? strdup(dirname(copy)) : NULL;

	free(copy);
	return directory;
}

/* ---- Limits ---------------------------------------------------------------------------------- */

/* Memory that can be written; what reading takes is some megabytes. */
#define DATA_LIMIT (UINT64_C(4) << 30)
/* Processor time: this much, and a second more for each file and each MiB of them. */
#define BASE_SECONDS 60

static void on_time_limit(int signal)
{
	static const char text[] = "nestmig: reading takes more processor time than files of this "
				   "size need; given up\n";

	(void)signal;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(EXIT_TROUBLE);
	_exit(EXIT_TROUBLE);
}

/* Lowers a limit, never raises it. The hard one is a little higher: the signal comes at the soft one. */
static int lower_limit(int resource, uint64_t value, uint64_t above)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) < 0)
		return -1;
	if (limit.rlim_cur > value)
		limit.rlim_cur = value;
	if (limit.rlim_max > value + above)
		limit.rlim_max = value + above;
	return setrlimit(resource, &limit);
}

/* Seconds of processor time for all files; 0, no limit, for what has no size. */
static uint64_t time_limit(const struct sandbox *sandbox)
{
	uint64_t seconds = BASE_SECONDS;
	const char *path;

	for (size_t i = 0; (path = path_at(sandbox, i)); i++) {
		bool is_stdin = strcmp(path, "-") == 0;
		struct stat st;

		if ((is_stdin ? fstat(STDIN_FILENO, &st) : stat(path, &st)) < 0)
			continue;
		if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
			return 0;
		seconds += 1 + (S_ISREG(st.st_mode) ? (uint64_t)st.st_size >> 20 : 0);
	}
	return seconds;
}

static enum nestmig_error set_limits(const struct sandbox *sandbox, struct nestmig_detail *detail)
{
	struct sigaction action = {.sa_handler = on_time_limit};
	uint64_t seconds = sandbox->is_paced ? 0 : time_limit(sandbox);

	/* A core file would hold the guest's memory. */
	if (lower_limit(RLIMIT_CORE, 0, 0) < 0 || lower_limit(RLIMIT_DATA, DATA_LIMIT, 0) < 0)
		return nm_fail_errno(detail, "setting limits");
	if (seconds == 0)
		return NESTMIG_OK;
	if (sigaction(SIGXCPU, &action, NULL) < 0 || lower_limit(RLIMIT_CPU, seconds, 5) < 0)
		return nm_fail_errno(detail, "setting limits");
	return NESTMIG_OK;
}

/* ---- Capabilities ---------------------------------------------------------------------------- */

/* Is all that is named readable without capabilities? What is in a directory is not looked at. */
static bool is_readable(const struct sandbox *sandbox)
{
	const char *path;

	for (size_t i = 0; (path = path_at(sandbox, i)); i++) {
		struct stat st;

		if (strcmp(path, "-") == 0)
			continue;
		if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) < 0 && errno != ENOENT)
			return false;
		if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
			return false;
	}
	return true;
}

static bool is_writable(const char *directory)
{
	return faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) == 0;
}

/* Makes permitted and, if asked, effective these and no others. */
static int keep_capabilities(const int *kept, size_t count, bool effective, capng_select_t set)
{
	unsigned types = CAPNG_PERMITTED | (effective ? CAPNG_EFFECTIVE : 0);

	capng_clear(CAPNG_SELECT_ALL);
	for (size_t i = 0; i < count; i++)
		if (capng_update(CAPNG_ADD, (capng_type_t)types, (unsigned)kept[i]) < 0)
			return -1;
	return capng_apply(set);
}

/*
 * Drops all but what opening the named files takes, and that too where permissions suffice. Root keeps
 * its user id: a file of root's on NFS, and the owner of what is written, depend on it.
 */
static enum nestmig_error drop_capabilities(const struct sandbox *sandbox, const char *directory,
					    struct nestmig_detail *detail)
{
	int kept[2];
	size_t count = 0;

	if (capng_get_caps_process() < 0)
		return nm_fail(detail, NESTMIG_ERR_CAPABILITY, "cannot read capabilities");
	if (capng_have_capabilities(CAPNG_SELECT_CAPS) == CAPNG_NONE)
		return NESTMIG_OK;
	if (capng_have_capability(CAPNG_PERMITTED, CAP_DAC_READ_SEARCH))
		kept[count++] = CAP_DAC_READ_SEARCH;
	if ((directory || !count) && capng_have_capability(CAPNG_PERMITTED, CAP_DAC_OVERRIDE))
		kept[count++] = CAP_DAC_OVERRIDE;
	if (keep_capabilities(kept, count, false, CAPNG_SELECT_ALL) < 0)
		return nm_fail(detail, NESTMIG_ERR_CAPABILITY, "cannot give up capabilities");
	if (is_readable(sandbox) && (!directory || is_writable(directory)))
		count = 0;
	if (keep_capabilities(kept, count, true, CAPNG_SELECT_CAPS) < 0)
		return nm_fail(detail, NESTMIG_ERR_CAPABILITY, "cannot give up capabilities");
	return NESTMIG_OK;
}

/* ---- Landlock -------------------------------------------------------------------------------- */

/* Of Linux 5.19 and 6.2, where linux/landlock.h does not have them. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

#define ACCESS_OUTPUT                                                                              \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |                            \
	 LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                            \
	 LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |                             \
	 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REFER | LANDLOCK_ACCESS_FS_TRUNCATE)

/* All kinds of access to files that an ABI knows. Device ioctls (ABI 5) are left to seccomp. */
static uint64_t handled_access(long abi)
{
	uint64_t access = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;

	if (abi >= 2)
		access |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		access |= LANDLOCK_ACCESS_FS_TRUNCATE;
	return access;
}

/*
 * Allows access to a path, and leaves it open as *ret_fd; -1 if there is nothing to allow: it cannot be
 * opened, or is on no file system with names (a pipe of /dev/fd).
 */
static int allow_path(int ruleset, const char *path, uint64_t access, int *ret_fd)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = fd};
	struct stat st;
	int ret;

	*ret_fd = fd;
	if (fd < 0 || fstat(fd, &st) < 0)
		return 0;
	if (!S_ISDIR(st.st_mode))
		rule.allowed_access &= LANDLOCK_ACCESS_FS_READ_FILE;
	ret = (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	return ret < 0 && errno == EBADFD ? 0 : ret;
}

/*
 * A rule is about an inode. Without a cache 9p makes a new one for every lookup once nobody has the name
 * open (v9fs_vfs_lookup, Linux 6.1), and does not tell that it is 9p (statfs gives what the server says).
 * So names stay open, as many as do no harm.
 */
#define HELD_OPEN 64

static int allow_paths(int ruleset, const struct sandbox *sandbox, const char *directory,
		       uint64_t handled)
{
	const char *path;
	int ret = 0, fd;

	for (size_t i = 0; !ret && (path = path_at(sandbox, i)); i++) {
		if (strcmp(path, "-") == 0)
			continue;
		ret = allow_path(ruleset, path,
				 LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR, &fd);
		if (fd >= 0 && i >= HELD_OPEN)
			close(fd);
	}
	if (!ret && directory)
		ret = allow_path(ruleset, directory, ACCESS_OUTPUT & handled, &fd);
	return ret;
}

static enum nestmig_error enter_landlock(const struct sandbox *sandbox, const char *directory,
					 struct nestmig_detail *detail)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct landlock_ruleset_attr ruleset = {.handled_access_fs = handled_access(abi)};
	int fd, ret;

	if (abi < 0)
		return NESTMIG_OK;
	fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, sizeof(ruleset), 0);
	if (fd < 0)
		return nm_fail_errno(detail, "making a Landlock ruleset");
	ret = allow_paths(fd, sandbox, directory, ruleset.handled_access_fs);
	if (!ret)
		ret = (int)syscall(SYS_landlock_restrict_self, fd, 0);
	if (ret < 0)
		nm_fail_errno(detail, "entering the Landlock sandbox");
	close(fd);
	return ret < 0 ? NESTMIG_ERR_CAPABILITY : NESTMIG_OK;
}

/* ---- seccomp --------------------------------------------------------------------------------- */

static const int allowed[] = {
	SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(readv), SCMP_SYS(write), SCMP_SYS(writev),
	SCMP_SYS(lseek), SCMP_SYS(close), SCMP_SYS(fstat), SCMP_SYS(stat), SCMP_SYS(newfstatat),
	SCMP_SYS(statx), SCMP_SYS(getdents64), SCMP_SYS(fadvise64), SCMP_SYS(poll), SCMP_SYS(ppoll),
	/* Memory. */
	SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(getrandom),
	/* Time and signals. */
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	/* Of libc and the end. */
	SCMP_SYS(futex), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(getpid),
	SCMP_SYS(gettid), SCMP_SYS(exit), SCMP_SYS(exit_group),
	SCMP_SYS(sysinfo), /* of qsort, for which any answer will do */
};

/* Where files are written: in the directory that Landlock leaves. */
static const int allowed_output[] = {
	SCMP_SYS(openat),   SCMP_SYS(pwrite64),  SCMP_SYS(ftruncate), SCMP_SYS(fallocate),
	SCMP_SYS(fsync),    SCMP_SYS(fdatasync), SCMP_SYS(fchmod),    SCMP_SYS(rename),
	SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(unlink),    SCMP_SYS(unlinkat),
	SCMP_SYS(mkdir),    SCMP_SYS(mkdirat),   SCMP_SYS(rmdir),     SCMP_SYS(linkat),
	SCMP_SYS(access),   SCMP_SYS(umask),
};

/* Of sockets that are open already. */
static const int allowed_sockets[] = {
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(shutdown),
};

/* What depends on an argument. */
static const struct {
	int syscall;
	struct scmp_arg_cmp argument;
} allowed_if[] = {
	{SCMP_SYS(ioctl), {1, SCMP_CMP_EQ, BLKGETSIZE64, 0}}, /* the size of a block device */
	{SCMP_SYS(ioctl), {1, SCMP_CMP_EQ, TCGETS, 0}},       /* is stdout a terminal? */
	{SCMP_SYS(ioctl), {1, SCMP_CMP_EQ, TIOCGWINSZ, 0}},
	{SCMP_SYS(fcntl), {1, SCMP_CMP_EQ, F_GETFL, 0}},
	{SCMP_SYS(fcntl), {1, SCMP_CMP_EQ, F_GETFD, 0}},
	{SCMP_SYS(fcntl), {1, SCMP_CMP_EQ, F_SETFD, 0}},
	{SCMP_SYS(fcntl), {1, SCMP_CMP_EQ, F_DUPFD_CLOEXEC, 0}},
	{SCMP_SYS(mmap), {2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}},
	{SCMP_SYS(mprotect), {2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}},
	{SCMP_SYS(openat),
	 {2, SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND, O_RDONLY}},
};

static int add_rules(scmp_filter_ctx filter, const struct sandbox *sandbox)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; !ret && i < sizeof(allowed_if) / sizeof(allowed_if[0]); i++)
		ret = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, allowed_if[i].syscall, 1,
					     &allowed_if[i].argument);
	if (sandbox->output)
		for (size_t i = 0; !ret && i < sizeof(allowed_output) / sizeof(allowed_output[0]);
		     i++)
			ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed_output[i], 0);
	if (sandbox->has_sockets)
		for (size_t i = 0; !ret && i < sizeof(allowed_sockets) / sizeof(allowed_sockets[0]);
		     i++)
			ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed_sockets[i], 0);
	return ret;
}

static enum nestmig_error enter_seccomp(const struct sandbox *sandbox,
					struct nestmig_detail *detail)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int ret;

	if (!filter)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	ret = add_rules(filter, sandbox);
	if (!ret)
		ret = seccomp_load(filter);
	seccomp_release(filter);
	if (ret)
		return nm_fail(detail, NESTMIG_ERR_CAPABILITY, "no seccomp sandbox: %s",
			       strerror(-ret));
	return NESTMIG_OK;
}

static enum nestmig_error enter(const struct sandbox *sandbox, const char *directory,
				struct nestmig_detail *detail)
{
	enum nestmig_error error;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return nm_fail_errno(detail, "giving up privileges");
	json_object_seed(0); /* from /dev/urandom, while that can be opened */
	error = set_limits(sandbox, detail);
	if (!error)
		error = drop_capabilities(sandbox, directory, detail);
	if (!error)
		error = enter_landlock(sandbox, directory, detail);
	if (!error)
		error = enter_seccomp(sandbox, detail);
	return error;
}

enum nestmig_error sandbox_enter(const struct sandbox *sandbox, struct nestmig_detail *detail)
{
	char *directory = NULL;
	enum nestmig_error error;

#ifdef NESTMIG_SANITIZED
	/* The leak check at the end of a sanitized run needs threads, ptrace and /proc. */
	return NESTMIG_OK;
#endif
	if (sandbox->output) {
		directory = directory_of(sandbox->output);
		if (!directory)
			return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	}
	error = enter(sandbox, directory, detail);
	free(directory);
	return error;
}
