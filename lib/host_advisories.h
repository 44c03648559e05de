/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which kernel commits that matter to nested guests a host has (host_advisories.def), and how that is known: what a
 * probe, a capability or a parameter shows first; then what the changelog of the kernel's package says; then
 * the upstream version. A distribution's kernel that is older than the commit may have it all the same: unknown.
 */
#ifndef NESTMIG_HOST_ADVISORIES_H
#define NESTMIG_HOST_ADVISORIES_H

#include "host.h"

enum nm_advisory_status {
	NM_ADVISORY_FIXED,
	NM_ADVISORY_NOT_AFFECTED, /* the commit may be missing, but what it is about is not in use */
	NM_ADVISORY_AFFECTED,
	NM_ADVISORY_UNKNOWN,
	NM_ADVISORY_STATUSES
};

/* What decided. */
enum nm_advisory_by { NM_BY_NOTHING, NM_BY_PROBE, NM_BY_PARAMETER, NM_BY_CHANGELOG, NM_BY_VERSION };

struct nm_advisory {
	const char *id;
	enum nestmig_vendor vendor; /* UNKNOWN: both */
	const char *mainline, *stable, *cve;
	enum nm_decided {
		NM_DECIDED_NOT,
		NM_DECIDED_CAP,
		NM_DECIDED_BIT,
		NM_DECIDED_SAVED_MSR,
		NM_DECIDED_PROBE,
		NM_DECIDED_UNLESS_ON,
		NM_DECIDED_UNLESS_OFF
	} decided;
	const char *name;           /* of the capability, probe or parameter */
	uint32_t number;            /* the bit or the MSR */
	const char *with, *without; /* answers of the probe */
	const char *title, *symptom;
};

/* All advisories, sorted by id. */
extern const struct nm_advisory nm_advisories[];
extern const size_t nm_advisory_count;

struct nm_advisory_result {
	enum nm_advisory_status status;
	enum nm_advisory_by by;
	char evidence[96]; /* what was seen, in words; empty: nothing */
};

/* Is an advisory about hosts of this vendor? Of an unknown vendor it may be. */
bool nm_advisory_applies(const struct nm_advisory *advisory, const struct nestmig_host *host);

void nm_advisory_judge(const struct nm_advisory *advisory, const struct nestmig_host *host,
		       struct nm_advisory_result *ret_result);

/* "fixed", "not-affected", "affected", "unknown"; "probe", "parameter", "changelog", "version", "nothing". */
const char *nm_advisory_status_name(enum nm_advisory_status status);
const char *nm_advisory_by_name(enum nm_advisory_by by);

/*
 * All advisories that apply to a host: text with those that are not fixed, or with `all` every one; one line of
 * JSON, schema "nestmig.host-advisories/1", with all. counts (may be NULL) gets how many have each
 * status. Errors: NOMEM.
 */
NESTMIG_CHECKED enum nestmig_error nm_advisories_text(const struct nestmig_host *host, bool all,
						      size_t counts[NM_ADVISORY_STATUSES],
						      char **ret_text);
NESTMIG_CHECKED enum nestmig_error nm_advisories_json(const struct nestmig_host *host,
						      size_t counts[NM_ADVISORY_STATUSES],
						      char **ret_text);
void nm_advisories_count(const struct nestmig_host *host, size_t counts[NM_ADVISORY_STATUSES]);

/* ---- The changelog of the kernel's package (host_changelog.c) -------------------------------- */

/*
 * Looks every advisory up in the text of a changelog, from the entry of the running kernel's version down, and
 * puts "has", "lacks" or "reverted" into host->changelog. version NULL: the whole text is of the running
 * kernel. A changelog without that version says nothing. text is changed. Errors: NOMEM.
 */
NESTMIG_CHECKED enum nestmig_error nm_host_search_changelog(struct nestmig_host *host, char *text,
							    const char *version,
							    struct nestmig_detail *detail);

/*
 * The same of what Debian and its relatives install below usr/share/doc of the directory root ("/": this
 * machine). Nothing there, or of another version: nothing is known. Errors: IO, FORMAT (damaged), LIMIT
 * (more than 64 MiB), NOMEM.
 */
NESTMIG_CHECKED enum nestmig_error
nm_host_read_changelog(struct nestmig_host *host, const char *root, struct nestmig_detail *detail);

#endif
