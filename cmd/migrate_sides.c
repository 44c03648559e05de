// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig migrate: the two QEMUs, and that in the end exactly one of them has the VM. */
#include "migrate_sides.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* How often a QEMU is asked whether it is done, us. */
#define POLL_US 5000
/* How long a QEMU may take to end, or to run a VM again by itself, ms. */
#define SOON_MS 3000
/* How long a cancellation may take before it is looked after, ms. */
#define WAKE_MS 200

enum nestmig_error sides_open(struct sides *sides, const char **ret_about,
			      struct nestmig_detail *detail)
{
	struct nestmig_detail why = {0};
	enum nestmig_error error;

	*ret_about = sides->source_address;
	error = live_open(&sides->source, sides->source_address, detail);
	if (error || !sides->dest_address)
		return error;
	*ret_about = sides->dest_address;
	error = live_open(&sides->dest, sides->dest_address, &why);
	sides->is_dest_open = !error;
	/* Any other error may be ours, or of a QEMU that is busy: it may live, and run the VM. */
	sides->is_dest_absent = error && (why.sys_errno == ECONNREFUSED || why.sys_errno == ENOENT);
	if (detail)
		*detail = why;
	return error;
}

void sides_close(struct sides *sides)
{
	live_close(&sides->source);
	live_close(&sides->dest);
	sides->is_dest_open = false;
}

const char *sides_at_name(enum sides_at at)
{
	static const char *const names[] = {[SIDES_AT_SOURCE] = "source",
					    [SIDES_AT_DESTINATION] = "destination",
					    [SIDES_AT_UNKNOWN] = "unknown"};

	return names[at];
}

/* The run state; "gone", "unknown". */
static const char *status_of(struct live *live)
{
	if (live_query_status(live, NULL) == NESTMIG_OK)
		return live->status;
	return live_is_gone(live) ? "gone" : "unknown";
}

static bool status_is(struct live *live, const char *status)
{
	return strcmp(status_of(live), status) == 0;
}

static const char *dest_status(struct sides *sides)
{
	if (sides->is_dest_open)
		return status_of(&sides->dest);
	return sides->is_dest_absent ? "gone" : "unknown";
}

static void tell(char to[32], const char *status)
{
	snprintf(to, 32, "%s", status);
}

/* ---- The destination -------------------------------------------------------------------------- */

/* It is not to have the VM: what it has loaded must not be started by anybody. One that waits is left alone. */
static void drop_dest(struct sides *sides)
{
	int64_t end = live_now() + SOON_MS;

	if (!sides->is_dest_open)
		return;
	/* QEMU up to 9.0, and later ones as they come, end when an incoming migration fails. */
	while (status_is(&sides->dest, "inmigrate") && live_now() < end) {
		if (live_query_migrate(&sides->dest, NULL) == NESTMIG_OK &&
		    (strcmp(sides->dest.migration, "none") == 0 ||
		     strcmp(sides->dest.migration, "setup") == 0))
			return;
		usleep(POLL_US);
	}
	if (status_is(&sides->dest, "gone"))
		return;
	(void)!qmp_execute(sides->dest.qmp, "quit", NULL, LIVE_REPLY_MS, NULL);
	for (end = live_now() + SOON_MS; live_now() < end && !status_is(&sides->dest, "gone");)
		usleep(POLL_US);
}

/* Has it loaded the VM, which it has been sent? */
static bool has_loaded(struct sides *sides, int timeout_s)
{
	int64_t end = live_now() + timeout_s * INT64_C(1000);

	while (sides->is_dest_open && live_now() < end) {
		if (live_query_migrate(&sides->dest, NULL))
			return false;
		if (strcmp(sides->dest.migration, "failed") == 0)
			return false;
		if (strcmp(sides->dest.migration, "completed") == 0)
			return !status_is(&sides->dest, "inmigrate");
		usleep(POLL_US);
	}
	return false;
}

/* A connection over TCP ends without the QEMU's ending. */
static bool is_local(const char *address)
{
	return strncmp(address, "tcp:", 4) != 0;
}

static bool is_dest_dead(struct sides *sides)
{
	if (!is_local(sides->dest_address))
		return false;
	return sides->is_dest_open ? status_is(&sides->dest, "gone") : sides->is_dest_absent;
}

static bool let_go(struct sides *sides, const struct sides_plan *plan)
{
	if (!plan->was_running || plan->leave_paused)
		return true;
	return !qmp_execute(sides->dest.qmp, "cont", NULL, plan->timeout_s * 1000, NULL);
}

/* ---- The source ------------------------------------------------------------------------------- */

/* The VM stays here. QEMU runs it again by itself after a migration that failed or was cancelled. */
static void take_back(struct sides *sides, const struct sides_plan *plan, bool is_stopped,
		      struct sides_outcome *outcome)
{
	int64_t end = live_now() + (is_stopped ? 0 : SOON_MS);
	struct live *source = &sides->source;

	while (plan->was_running && !status_is(source, "running") &&
	       strcmp(status_of(source), "gone") != 0 && live_now() < end)
		usleep(POLL_US);
	if (plan->was_running && !status_is(source, "running"))
		(void)!qmp_execute(source->qmp, "cont", NULL, LIVE_REPLY_MS, NULL);
	outcome->at = SIDES_AT_SOURCE;
	tell(outcome->source, status_of(source));
	tell(outcome->dest, dest_status(sides));
}

static void go_on_from(struct live *source, const char *state)
{
	(void)!qmp_execute_pack(source->qmp, LIVE_REPLY_MS, NULL, "migrate-continue", "{s:s}",
				"state", state);
}

/*
 * A cancellation that arrives after the migration thread has looked for one and before it says pre-switchover
 * leaves that thread waiting for ever, and the VM stopped (migration_maybe_pause and migrate_fd_cancel, QEMU 7.2).
 * migrate-continue wakes it whatever the state, if that is named; what is woken in vain is forgotten before the next
 * pause.
 */
static void wake(struct live *source, int64_t *since)
{
	if (strcmp(source->migration, "cancelling") != 0)
		*since = 0;
	else if (!*since)
		*since = live_now();
	else if (live_now() - *since > WAKE_MS) {
		go_on_from(source, "cancelling");
		*since = 0;
	}
}

/* Waits until the migration is over, as long as it makes progress. */
static bool wait_over(struct sides *sides, int timeout_s)
{
	int64_t end = live_now() + timeout_s * INT64_C(1000), cancelling = 0;
	struct live *source = &sides->source;
	uint64_t last = 0;

	while (live_now() < end) {
		if (live_query_migrate(source, NULL)) {
			if (live_is_gone(source))
				return false;
		} else if (!live_is_migrating(source)) {
			return true;
		} else if (source->transferred != last) {
			last = source->transferred;
			end = live_now() + timeout_s * INT64_C(1000);
		}
		wake(source, &cancelling);
		usleep(POLL_US);
	}
	return false;
}

/*
 * While QEMU sends what is left, its main loop may wait for a destination that takes nothing, and answers to
 * nobody: the end of that destination frees it.
 */
static bool cancel(struct sides *sides, int timeout_s)
{
	if (qmp_execute(sides->source.qmp, "migrate_cancel", NULL, LIVE_REPLY_MS, NULL) &&
	    !live_is_gone(&sides->source) && sides->is_dest_open)
		(void)!qmp_execute(sides->dest.qmp, "quit", NULL, LIVE_REPLY_MS, NULL);
	return wait_over(sides, timeout_s);
}

/* ---- Settling --------------------------------------------------------------------------------- */

/* The source has sent all and will not run the VM by itself. */
static void hand_over(struct sides *sides, const struct sides_plan *plan,
		      struct sides_outcome *outcome)
{
	tell(outcome->source, status_of(&sides->source));
	if (strcmp(outcome->source, "running") == 0) { /* It was taken back before. */
		drop_dest(sides);
		take_back(sides, plan, false, outcome);
		return;
	}
	if (!sides->dest_address) {
		outcome->at = SIDES_AT_DESTINATION;
		return;
	}
	if (has_loaded(sides, plan->timeout_s) && let_go(sides, plan)) {
		outcome->running_us = live_now_us();
		outcome->at = SIDES_AT_DESTINATION;
		tell(outcome->dest, status_of(&sides->dest));
		return;
	}
	snprintf(outcome->why, sizeof(outcome->why),
		 "the destination did not run what it was sent");
	drop_dest(sides);
	if (is_dest_dead(sides))
		take_back(sides, plan, true, outcome);
	else
		tell(outcome->dest, dest_status(sides));
}

/* The source has ended at the switchover: what the destination has loaded by then is all there is of the VM. */
static void outlive(struct sides *sides, const struct sides_plan *plan,
		    struct sides_outcome *outcome)
{
	tell(outcome->source, "gone");
	snprintf(outcome->why, sizeof(outcome->why), "the source has ended at the switchover");
	if (has_loaded(sides, plan->timeout_s) && let_go(sides, plan)) {
		outcome->running_us = live_now_us();
		outcome->at = SIDES_AT_DESTINATION;
	}
	tell(outcome->dest, dest_status(sides));
}

/* The end of one that was told to go on from pre-switchover. */
static bool complete(struct sides *sides, const struct sides_plan *plan)
{
	/* Once more, where whoever was to say it may have died before; QEMU refuses it where it is late. */
	if (live_query_migrate(&sides->source, NULL) == NESTMIG_OK &&
	    strcmp(sides->source.migration, "pre-switchover") == 0)
		go_on_from(&sides->source, "pre-switchover");
	if (wait_over(sides, plan->timeout_s))
		return true;
	/* The destination has not been let go, so the VM can come back. */
	return sides->dest_address && cancel(sides, plan->timeout_s);
}

void sides_settle(struct sides *sides, const struct sides_plan *plan,
		  struct sides_outcome *ret_outcome)
{
	struct sides_outcome *outcome = ret_outcome;
	bool is_over;

	*outcome = (struct sides_outcome){.at = SIDES_AT_UNKNOWN};
	tell(outcome->dest, "unknown");
	is_over = plan->phase == SIDES_DECIDED ? complete(sides, plan)
					       : cancel(sides, plan->timeout_s);
	if (!is_over && plan->phase == SIDES_DECIDED && is_local(sides->source_address) &&
	    status_is(&sides->source, "gone")) {
		outlive(sides, plan, outcome);
		return;
	}
	if (!is_over) {
		tell(outcome->source, status_of(&sides->source));
		tell(outcome->dest, dest_status(sides));
		snprintf(outcome->why, sizeof(outcome->why),
			 "the source does not end its migration, which is \"%s\"",
			 sides->source.migration);
		return;
	}
	if (strcmp(sides->source.migration, "completed") == 0) {
		hand_over(sides, plan, outcome);
		return;
	}
	snprintf(outcome->why, sizeof(outcome->why), "%s", sides->source.error);
	drop_dest(sides);
	take_back(sides, plan, false, outcome);
}
