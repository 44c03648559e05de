/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the subcommands of nestmig host share. */
#ifndef NESTMIG_CMD_HOST_COMMAND_H
#define NESTMIG_CMD_HOST_COMMAND_H

#include "cli.h"

struct host_options {
	const char *root;   /* of a captured tree, or NULL: this machine */
	const char *save;   /* file to write, or NULL: print */
	const char *format; /* "text", "json", ...; NULL: not given */
	bool json, all, strict;
	char **arguments; /* what is no option */
	int argument_count;
};

/* nestmig host diff A B, and nestmig host advisories [PROFILE]; return exit codes. */
int host_diff(const struct command *self, const struct host_options *options);
int host_advisories(const struct command *self, const struct host_options *options);

/*
 * Puts the results of the probes into a profile of this host. The VMs are made in a process of its own, which is
 * ended after five seconds without an answer; what it did not answer until then stays unknown. Needs
 * /dev/kvm; without it all stay unknown. Errors: IO (no process can be started), NOMEM.
 */
NESTMIG_CHECKED enum nestmig_error host_probe(struct nestmig_host *host,
					      struct nestmig_detail *detail);

/* Looks the advisories up in what rpm says of the kernel's package; without rpm nothing is known. Errors: NOMEM. */
NESTMIG_CHECKED enum nestmig_error host_ask_rpm(struct nestmig_host *host,
						struct nestmig_detail *detail);

/* The whole profile of this machine, probes and the changelog of the kernel's package included. */
NESTMIG_CHECKED enum nestmig_error host_take_live(struct nestmig_host **ret_host,
						  struct nestmig_detail *detail);

/* The same of a captured tree. */
NESTMIG_CHECKED enum nestmig_error host_take_tree(const char *root, struct nestmig_host **ret_host,
						  struct nestmig_detail *detail);

/*
 * The profiles that arguments name: "live" is this machine, a directory a captured tree, else a file of
 * `nestmig host --save`. This machine's is taken first, then the sandbox is entered, then files are read. The
 * profiles are the caller's to free, also on failure; ret_failed is the argument it failed at. count <= 2.
 */
NESTMIG_CHECKED enum nestmig_error host_arguments(char *const *arguments, int count,
						  struct nestmig_host **ret_hosts,
						  const char **ret_failed,
						  struct nestmig_detail *detail);

#endif
