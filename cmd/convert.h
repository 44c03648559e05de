/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of nestmig convert share. */
#ifndef NESTMIG_CONVERT_H
#define NESTMIG_CONVERT_H

#include "cli.h"
#include "state.h"

#define CONVERT_NOTES 32

struct convert {
	const struct command *self;
	const char *output; /* without slashes at its end */
	bool force, with_memory;
	/* What happened. */
	char *notes[CONVERT_NOTES]; /* owned: sentences on what could not be carried over */
	size_t note_count;
	uint64_t stream_bytes, memory_bytes;
};

/* Adds a sentence, once. */
__attribute__((format(printf, 2, 3))) void convert_note(struct convert *c, const char *format, ...);

/* CANCELLED if a signal says so (live_catch_signals). */
NESTMIG_CHECKED enum nestmig_error convert_go_on(struct nestmig_detail *detail);

/* Each writes the state to c->output, whole or not at all. (convert_nms.c, convert_dump.c) */
NESTMIG_CHECKED enum nestmig_error
convert_to_nms(struct convert *c, const struct nestmig_state *state, struct nestmig_detail *detail);
NESTMIG_CHECKED enum nestmig_error convert_to_dump(struct convert *c,
						   const struct nestmig_state *state,
						   struct nestmig_detail *detail);

/*
 * Writes the guest memory that rules need, or all of it that is at hand, into directory, a file an
 * extent. *ret_complete: that is all of the guest's RAM. (convert_memory.c)
 */
NESTMIG_CHECKED enum nestmig_error convert_memory(struct convert *c,
						  const struct nestmig_state *state,
						  const char *directory, bool *ret_complete,
						  struct nestmig_detail *detail);

#endif
