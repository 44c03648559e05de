/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nestmig migrate: what was asked for, and what has come of it. */
#ifndef NESTMIG_MIGRATE_H
#define NESTMIG_MIGRATE_H

#include "cli.h"
#include "migrate_check.h"

/* What is asked for; borrowed from argv. */
struct migrate_request {
	const char *socket, *dest_socket; /* QMP: source; destination, or NULL */
	const char *uri, *listen; /* where the source connects to, where the destination listens */
	const char *domain, *connect, *dest_connect, *migrate_uri; /* of libvirt */
	const char *host_argument;
	const struct nestmig_host *host; /* the destination; NULL: not known */
	bool strict, force, json, paused, no_preflight, monitor, managed, unsafe;
	int timeout_s, multifd;     /* multifd: channels, 0: none */
	int bandwidth, downtime_ms; /* MiB/s, ms; 0: as QEMU is set */
};

/* When a state was judged, and how. */
struct migrate_check {
	bool is_made;
	struct check_answer answer;
	int64_t cost_us; /* for which the VM stood still, or might have */
};

/* What has come of it. */
struct migrate_result {
	const char *name; /* of the VM */
	bool is_migrated;
	bool is_refused;             /* by a judgement */
	bool is_at_switchover;       /* the judgement that refused it */
	struct migrate_check before; /* the preflight */
	struct migrate_check
		check;             /* at the switchover, or instead of it of a VM that was paused */
	const char *at;            /* "source", "destination", "unknown" */
	char source[32], dest[32]; /* run states */
	char why[400];             /* it was not migrated; or "" */
	uint64_t bytes;            /* of RAM that were sent */
	int64_t total_ms, downtime_us;   /* downtime_us -1: not known */
	const char *checked, *unchecked; /* what was and what was not judged: sentences, or NULL */
};

/*
 * Migrate, and fill *result, which is there also after a failure: then at is set if a migration had begun.
 * *ret_about: what an error is about. Errors: those of QMP or libvirt, CAPABILITY, CANCELLED, TIMEOUT.
 */
NESTMIG_CHECKED enum nestmig_error migrate_qemu(const struct migrate_request *request,
						struct migrate_result *result,
						const char **ret_about,
						struct nestmig_detail *detail);
NESTMIG_CHECKED enum nestmig_error migrate_domain(const struct migrate_request *request,
						  struct migrate_result *result,
						  const char **ret_about,
						  struct nestmig_detail *detail);

/* Is it known that this host does not run guests' hypervisors (nested=0)? host may be NULL. */
bool migrate_lacks_nesting(const struct nestmig_host *host);

/*
 * Does a judgement end it? By a verdict that is not good enough, and by a host without nesting, though rules judge
 * only what is restored: the state of a vCPU that runs L1 may load there, but its next VM entry is not to be had.
 * Then result->why says so.
 */
bool migrate_refuses(const struct migrate_request *request, const struct migrate_check *check,
		     struct migrate_result *result);

/* Prints what has come of it. Errors: NOMEM. */
NESTMIG_CHECKED enum nestmig_error migrate_report(const struct migrate_request *request,
						  struct migrate_result *result);

#endif
