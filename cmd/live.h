/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A running QEMU over QMP, as snapshot and restore need it. */
#ifndef NESTMIG_LIVE_H
#define NESTMIG_LIVE_H

#include <jansson.h>

#include "libvirt.h"
#include "qmp.h"
#include "state.h"

/* How long QEMU may take to answer a command, ms. */
#define LIVE_REPLY_MS 10000

struct live {
	struct qmp *qmp;
	virDomainPtr
		domain;     /* instead of qmp, for live_execute and what is built on it; borrowed */
	char status[32];    /* of query-status, when last asked */
	char migration[32]; /* of query-migrate; "none" before the first migration */
	char error[400];    /* error-desc of query-migrate, or "" */
	/* Of query-migrate, bytes of RAM: sent so far, still to be sent as far as is known. */
	uint64_t transferred, remaining;
	int64_t downtime_ms; /* of the last migration; -1: QEMU does not tell */
	bool running;
};

/* Connects; errors: QMP, TIMEOUT. live_close must follow also on failure. */
NESTMIG_CHECKED enum nestmig_error live_open(struct live *live, const char *address,
					     struct nestmig_detail *detail);
void live_close(struct live *live);

/*
 * A command, by QMP or through libvirt's monitor (libvirt_monitor). arguments: an object or NULL; borrowed. fd: to
 * be passed with it, or -1. *ret_value: NULL, or becomes a new reference. Errors: QMP, TIMEOUT, NOMEM, and those of
 * libvirt.
 */
NESTMIG_CHECKED enum nestmig_error live_execute(struct live *live, const char *command,
						json_t *arguments, int fd, int timeout_ms,
						json_t **ret_value, struct nestmig_detail *detail);

/* Turns the last failure of live->qmp into an error; what is put before its text. */
enum nestmig_error live_failed(struct live *live, const char *what, struct nestmig_detail *detail);

/* Did the last failure of live->qmp mean that QEMU has closed the connection? */
bool live_is_gone(const struct live *live);

/* query-status into live->status and live->running. */
NESTMIG_CHECKED enum nestmig_error live_query_status(struct live *live,
						     struct nestmig_detail *detail);

/* query-migrate into live->migration and what follows it. */
NESTMIG_CHECKED enum nestmig_error live_query_migrate(struct live *live,
						      struct nestmig_detail *detail);

/* CAPABILITY: a migration capability is on with which a stream does not pass through one pipe, or
 * not to the end. */
NESTMIG_CHECKED enum nestmig_error live_check_capabilities(struct live *live,
							   struct nestmig_detail *detail);

/* Is live->migration a migration that is not over yet? */
bool live_is_migrating(const struct live *live);

/*
 * The CPU of every vCPU as JSON, {"feature-words": ..., "phys-bits": ...}, null where QEMU does not
 * tell, in an object by cpu-index: with hotplug these have gaps, and come in any order. A new
 * reference.
 */
NESTMIG_CHECKED enum nestmig_error live_query_cpus(struct live *live, json_t **ret_cpus,
						   struct nestmig_detail *detail);

/* The name of the machine, as -M takes it, into name; false: QEMU does not tell, or size bytes are not enough. */
bool live_machine(struct live *live, char *name, size_t size);

/* The CPU with this cpu-index out of these; NULL if there is none. Borrowed. */
const json_t *live_cpu(const json_t *cpus, uint32_t index);

/*
 * From here on SIGINT, SIGTERM and SIGHUP do not end the program, but make live_interrupted true: neither a VM
 * nor a directory must be left in the middle of something. flags: of sigaction; with SA_RESETHAND the same
 * signal ends the program the second time.
 */
void live_catch_signals(int flags);
bool live_interrupted(void);

/* Monotonic time, ms; and us. */
int64_t live_now(void);
int64_t live_now_us(void);

/* A line of progress on stderr if that is a terminal: done of total bytes (0: not known). Rewrites
 * itself at most five times a second; live_progress_end ends the line. */
void live_progress(const char *what, uint64_t done, uint64_t total);
void live_progress_end(void);

#endif
