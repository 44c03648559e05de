/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Giving up what is not needed before a file is parsed that a guest may have written.
 *
 * Every command that parses files calls sandbox_enter once: after its options are known and after what
 * needs more (--host live), before the first byte of a file is read. Where a part of it needs more for longer,
 * what parses is a process of its own (apart.h). It names all that it will open: files, and directories with
 * what is below them; and, if it writes files, what will be created or replaced. From there on it opens files
 * by the same names, and uses memory and the descriptors that are open, "-" (standard input) among them.
 * Everything else fails with EPERM or EACCES: other files, programs, sockets, threads and other processes,
 * executable memory, a change of limits.
 */
#ifndef NESTMIG_SANDBOX_H
#define NESTMIG_SANDBOX_H

#include "nestmig.h"

struct sandbox {
	/* To be read. One that does not exist, and "-", are passed over. */
	const char *const *paths;
	size_t count;
	const char *profile; /* one more, or NULL */
	/* To be created or replaced, a file or a directory, or NULL: the directory that it stands in
	 * becomes writable, for new files, renaming and removal. */
	const char *output;
	bool is_paced; /* by another program, which takes what is read: no limit of processor time */
	bool has_sockets; /* it passes on what comes over sockets that are open, and takes more over a channel */
};

/*
 * Enters the sandbox, which cannot be left. The strings are not kept. Landlock is used where the kernel
 * has it (ABI 1, Linux 5.13, and later); without it any file that the user may read can be opened. In
 * builds with sanitizers, which need more than this leaves, it does nothing.
 * Errors: CAPABILITY if the kernel has no seccomp or privileges cannot be given up, NOMEM.
 */
NESTMIG_CHECKED enum nestmig_error sandbox_enter(const struct sandbox *sandbox,
						 struct nestmig_detail *detail);

#endif
