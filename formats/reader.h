/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One row a container: how it is recognised and who reads it (the table stands in read.c). A reader of a
 * wrapper makes a source over what is inside (nm_source_part, nm_source_new), hands it to the state
 * (nm_state_add_source), sets state->format, state->stream and state->stream_base, and calls nm_qemu_read.
 */
#ifndef NESTMIG_READER_H
#define NESTMIG_READER_H

#include "state.h"

/* Bytes of a file that recognition gets, or fewer if the file is shorter. */
#define NM_HEAD_SIZE 16

struct nm_reader {
	/* Do the first bytes of a file look like this container's? */
	bool (*recognise)(const uint8_t *head, size_t size);
	/*
	 * Reads source, which is one of state's, into state. flags: those of nestmig_state_read.
	 * Errors as there, with offsets in the file.
	 */
	enum nestmig_error (*read)(struct nestmig_state *state, struct nm_source *source,
				   unsigned flags, struct nestmig_detail *detail);
};

/*
 * nestmig_state_read of what is open already: source is taken over, also on failure; name is the state's
 * path, for messages and reports. Flags, snapshot (nestmig_state_read_named) and errors are the same.
 */
NESTMIG_CHECKED enum nestmig_error nm_state_read_source(struct nm_source *source, const char *name,
							unsigned flags, const char *snapshot,
							struct nestmig_state **ret_state,
							struct nestmig_detail *detail);

#endif
