/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What nestmig place says of one state: the hosts, grouped by what becomes of it there. */
#ifndef NESTMIG_PLACE_RENDER_H
#define NESTMIG_PLACE_RENDER_H

#include "place.h"
#include "place_hosts.h"

/* Hosts on which the same becomes of the state, for the same reason. */
struct place_group {
	struct nm_placement placement;
	size_t count; /* of hosts */
};

struct placed {
	const char *file;
	const struct nestmig_state *state;
	const struct place_hosts *hosts;
	struct place_group
		*groups; /* owned; those that resume first, then unknown ones, then the rest */
	size_t group_count;
	size_t *group_of; /* owned: of each host */
};

/* Judges a state for all hosts. Errors: NOMEM. */
NESTMIG_CHECKED enum nestmig_error placed_new(const char *file, const struct nestmig_state *state,
					      const struct place_hosts *hosts,
					      struct placed *ret_placed);
void placed_free(struct placed *placed);

/* The hosts with this verdict. */
size_t placed_count(const struct placed *placed, enum nestmig_verdict verdict);

/* One line on why; empty where the state resumes. And what becomes of the vCPU: "ioctl-rejected (...)". The caller
 * frees the text. Errors: NOMEM. */
NESTMIG_CHECKED enum nestmig_error place_reason(const struct nestmig_state *state,
						const struct nm_placement *placement,
						char **ret_text);
NESTMIG_CHECKED enum nestmig_error place_outcome(const struct nm_placement *placement,
						 char **ret_text);

/* A table, or one line of JSON, schema "nestmig.place/1". The caller frees the text. Errors: NOMEM. */
NESTMIG_CHECKED enum nestmig_error placed_text(const struct placed *placed, bool colour,
					       char **ret_text);
NESTMIG_CHECKED enum nestmig_error placed_json(const struct placed *placed, char **ret_text);

#endif
