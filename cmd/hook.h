/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of `nestmig hook` share. */
#ifndef NESTMIG_HOOK_H
#define NESTMIG_HOOK_H

#include "apart.h"
#include "cli.h"

#define HOOK_FILE       "/etc/libvirt/hooks/qemu.d/50-nestmig"
#define HOOK_POLICY     "/etc/nestmig/hook.conf"
#define HOOK_SAVES      "/var/lib/libvirt/qemu/save" /* of managed saves, of the system's daemon */
#define HOOK_TIMEOUT_S  30
#define HOOK_REASON_MAX 4096 /* bytes of text of one judgement, with the NUL */
#define HOOK_PATH_MAX   4096

struct hook_options {
	const char *root;    /* put before all names of files; "" by default */
	const char *program; /* that the hook runs; NULL: this one */
	const char *host;    /* of --host: a profile, or NULL: this machine */
	bool json;
};

/* ---- The policy (hook_policy.c) --------------------------------------------------------------- */

struct hook_policy {
	bool enforce, strict;
	int timeout_s;
	char trouble
		[200]; /* what is wrong with the file, one line; then all else is the default. Or "" */
};

/* Reads ROOT/etc/nestmig/hook.conf. It never fails: without the file, or with one that has an error, the default
 * counts, which refuses nothing. */
void hook_policy_read(const char *root, struct hook_policy *ret_policy);

/* ---- The file (hook_file.c) ------------------------------------------------------------------- */

/* root and path together; freed by the caller. NULL: out of memory. */
char *hook_path(const char *root, const char *path);

int hook_install(const struct command *self, const struct hook_options *options);
int hook_remove(const struct command *self, const struct hook_options *options);
int hook_status(const struct command *self, const struct hook_options *options);

/* ---- What libvirt calls (hook_run.c) ---------------------------------------------------------- */

/* argv: name, operation, sub-operation, extra, as libvirt gives them. Returns 0 or 1, prints nothing on stdout. */
int hook_run(const struct hook_options *options, int argc, char **argv);

/* ---- Judging, in a process apart (hook_judge.c) ----------------------------------------------- */

struct hook_request {
	const struct hook_options *options;
	const char *domain; /* its name */
	bool is_restore;    /* else a migration that comes in */
};

struct hook_answer {
	int32_t verdict;               /* enum nestmig_verdict */
	char image[HOOK_PATH_MAX];     /* what is restored, or "" if it could not be found */
	char reasons[HOOK_REASON_MAX]; /* lines, of printable text */
};

/* The work of apart_start, of a struct hook_request: reads the domain's XML from standard input, and puts one
 * struct hook_answer. It enters the sandbox before it parses. */
void hook_judge(void *ctx, int channel);

/* ---- What the domain's CPU needs of a host (hook_needs.c) ------------------------------------- */

struct nm_buf;
struct nm_domain;
struct nestmig_host;

/* Adds a line for each thing that the host surely lacks, or that is not known. */
enum nestmig_verdict hook_judge_needs(const struct nm_domain *domain,
				      const struct nestmig_host *host, struct nm_buf *reasons);

#endif
