// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The sandbox of the commands that only parse: a seccomp filter that allows what reading takes and
 * answers EPERM to the rest, and no new privileges.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include <linux/fs.h>

#include "error.h"

static const int allowed[] = {
	SCMP_SYS(read),           SCMP_SYS(pread64),       SCMP_SYS(write),
	SCMP_SYS(writev),         SCMP_SYS(lseek),         SCMP_SYS(close),
	SCMP_SYS(fstat),          SCMP_SYS(stat),          SCMP_SYS(newfstatat),
	SCMP_SYS(statx),          SCMP_SYS(getdents64),    SCMP_SYS(mmap),
	SCMP_SYS(munmap),         SCMP_SYS(mremap),        SCMP_SYS(mprotect),
	SCMP_SYS(madvise),        SCMP_SYS(brk),           SCMP_SYS(futex),
	SCMP_SYS(getrandom),      SCMP_SYS(clock_gettime), SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),  SCMP_SYS(sigaltstack),
	SCMP_SYS(exit),           SCMP_SYS(exit_group),    SCMP_SYS(getpid),
	SCMP_SYS(gettid),         SCMP_SYS(sched_yield),   SCMP_SYS(fcntl),
	SCMP_SYS(sysinfo), /* of qsort, which does not look whether it got an answer */
};

static int add_rules(scmp_filter_ctx filter)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	/* The size of a block device, and whether stdout is a terminal. */
	if (!ret)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				       SCMP_A1(SCMP_CMP_EQ, BLKGETSIZE64, 0));
	if (!ret)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				       SCMP_A1(SCMP_CMP_EQ, TCGETS, 0));
	/* Opening is for reading only. */
	if (!ret)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
				       SCMP_A2(SCMP_CMP_MASKED_EQ,
					       O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND, O_RDONLY));
	return ret;
}

enum nestmig_error sandbox_enter(struct nestmig_detail *detail)
{
	scmp_filter_ctx filter;
	int ret;

#ifdef NESTMIG_SANITIZED
	/* The leak check at the end of a sanitized run needs threads and ptrace. */
	return NESTMIG_OK;
#endif
	filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!filter)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		seccomp_release(filter);
		return nm_fail_errno(detail, "giving up privileges");
	}
	ret = add_rules(filter);
	if (!ret)
		ret = seccomp_load(filter);
	seccomp_release(filter);
	if (ret)
		return nm_fail(detail, NESTMIG_ERR_CAPABILITY, "no seccomp sandbox: %s",
			       strerror(-ret));
	return NESTMIG_OK;
}
