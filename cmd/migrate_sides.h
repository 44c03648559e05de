/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nestmig migrate: the two QEMUs, and that in the end exactly one of them has the VM.
 *
 * A destination whose QMP socket is given is told to stop before anything arrives (qmp_stop: in RUN_STATE_INMIGRATE
 * that clears autostart), and is let go only when the source says that its migration has completed: it cannot run
 * while the source may still take the VM back. Without that socket the destination starts by itself, and what the
 * source makes of a connection that breaks in that very moment is QEMU's affair.
 */
#ifndef NESTMIG_MIGRATE_SIDES_H
#define NESTMIG_MIGRATE_SIDES_H

#include <stdatomic.h>

#include "live.h"

/* How far it has come. What is to be done about a migration that has begun depends on that alone. */
enum sides_phase {
	SIDES_BEFORE,  /* nothing to be undone */
	SIDES_STARTED, /* a migration may have begun: it is to be cancelled */
	SIDES_DECIDED, /* the source may have been told to go on from pre-switchover: it is to be completed */
	SIDES_OVER /* all is settled */
};

/* In memory that the process which migrates shares with its keeper. */
struct sides_plan {
	_Atomic int phase;
	_Atomic bool was_running; /* the VM, when it was stopped for the switchover */
	bool leave_paused;        /* at the destination, although it ran */
	int timeout_s;            /* for a QEMU to do what it has been told */
};

struct sides {
	struct live source, dest;
	const char *source_address, *dest_address; /* dest_address NULL: not told */
	bool is_dest_open, is_dest_absent;         /* absent: there was nothing to connect to */
};

/* Which side has the VM. */
enum sides_at { SIDES_AT_SOURCE, SIDES_AT_DESTINATION, SIDES_AT_UNKNOWN };

struct sides_outcome {
	enum sides_at at;
	/* Run states, "gone" of a QEMU that has ended, "unknown". */
	char source[32], dest[32];
	char why[400];      /* of the migration that did not complete, in QEMU's words, or "" */
	int64_t running_us; /* live_now_us when the destination was running; 0: not seen */
};

/* Connects to both. sides_close must follow also on failure. *ret_about: the address that an error is about. */
NESTMIG_CHECKED enum nestmig_error sides_open(struct sides *sides, const char **ret_about,
					      struct nestmig_detail *detail);
void sides_close(struct sides *sides);

/*
 * Brings a migration to its end, as plan->phase wants it, so that one side has the VM and runs it if it ran
 * before; what could not be done stands in *ret_outcome. The phase does not become SIDES_OVER here.
 */
void sides_settle(struct sides *sides, const struct sides_plan *plan,
		  struct sides_outcome *ret_outcome);

/* "the source", ... */
const char *sides_at_name(enum sides_at at);

/*
 * A process that settles what is left when the one that migrates dies, and says so on standard error. It is in a
 * session of its own and has no connection before it needs one.
 */
struct keeper {
	struct sides_plan *plan; /* shared */
	int pid, pipe;
};

/* To be started before there are connections. Errors: IO, NOMEM. keeper_end must follow. */
NESTMIG_CHECKED enum nestmig_error keeper_start(struct keeper *keeper, const char *source,
						const char *dest, struct nestmig_detail *detail);

/* Ends it without its doing anything: the phase becomes SIDES_OVER. */
void keeper_end(struct keeper *keeper);

#endif
