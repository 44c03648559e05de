/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An event of the guard in words: what the kernel has sent, and what follows from it. */
#ifndef NESTMIG_GUARD_EVENT_H
#define NESTMIG_GUARD_EVENT_H

#include "guard.h"
#include "judge.h"

enum guard_word {
	GUARD_DENIED,
	GUARD_WOULD_DENY,
	GUARD_BROKEN, /* at an ioctl that is not denied for it: a later one may mend it */
	GUARD_RACED,
	GUARD_TRIPLE_FAULT,
	GUARD_VMEXIT_INVALID,
	GUARD_ENTRY_FAILED,
	GUARD_RSM_FAILED,
	GUARD_RSM_BROKEN, /* RSM has taken an image that breaks rules */
	GUARD_SMI_BROKEN, /* an SMI has made one, of L2's state */
	GUARD_VMFUNC,
	GUARD_ADVISORY, /* L1 got something else than the architecture prescribes */
	GUARD_OTHER_EXIT,
	GUARD_WORDS
};

#define GUARD_NAME_SIZE 64
#define GUARD_TIME_SIZE 40

/* What an event does not bring. */
struct guard_reader {
	enum nestmig_vendor vendor; /* of this host */
	int64_t epoch;              /* when CLOCK_MONOTONIC was 0, in ns since 1970 */
};

struct guard_told {
	struct nm_guard_event event;
	enum nestmig_vendor vendor;
	enum guard_word word;
	const char *action, *ioctl, *mode; /* static; ioctl may be NULL */
	char vmm[GUARD_NAME_SIZE];         /* of the process; printable */
	char time[GUARD_TIME_SIZE];        /* RFC 3339, with ns */
	struct nm_finding *findings;       /* owned, with the details */
	size_t finding_count;
	char *sentence; /* owned: all of it, without a full stop */
};

/* Does the event also tell that L1 got what the architecture does not prescribe? */
bool guard_is_advisory(const struct nm_guard_event *event);

/* VMX: has the VM entry failed early, so that exit_code is a VM-instruction error and no exit reason? */
bool guard_is_vmfail(const struct nm_guard_event *event);

/*
 * An event in words; as an advisory, if that is asked for and guard_is_advisory. record may be NULL. name is that of
 * the process, untrusted; NULL: the thread's, from the event. Errors: NOMEM.
 */
NESTMIG_CHECKED enum nestmig_error guard_told_new(const struct guard_reader *reader,
						  const struct nm_guard_event *event,
						  const struct nm_guard_record *record,
						  const char *name, bool advisory,
						  struct guard_told **ret_told);
void guard_told_free(struct guard_told *told);

/* "denied", ... as they stand in JSON and in counters. */
const char *guard_word_name(enum guard_word word);

/* A name from the kernel, at most 15 bytes of it: what could steer a terminal becomes '?'. */
void guard_name(const char *name, char ret_name[GUARD_NAME_SIZE]);

/* Lines for people, and one line of JSON, "nestmig.guard-event/1"; the caller frees them. Errors: NOMEM. */
NESTMIG_CHECKED enum nestmig_error guard_told_text(const struct guard_told *told, bool colour,
						   char **ret_text);
NESTMIG_CHECKED enum nestmig_error guard_told_json(const struct guard_told *told, char **ret_text);

#endif
