/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nestmig migrate: what both QEMUs are told before a migration begins. */
#ifndef NESTMIG_MIGRATE_SETUP_H
#define NESTMIG_MIGRATE_SETUP_H

#include "migrate.h"
#include "migrate_sides.h"

/* What the source had set before; for setup_undo. */
struct setup {
	json_t *capabilities, *parameters;
};

/*
 * Refuses what cannot be migrated now, and two QEMUs that do not fit each other. Nothing is changed. *ret_about:
 * which of the two it is. Errors: CAPABILITY, QMP, TIMEOUT.
 */
NESTMIG_CHECKED enum nestmig_error setup_check(struct sides *sides,
					       const struct migrate_request *request,
					       const char **ret_about,
					       struct nestmig_detail *detail);

/*
 * Sets capabilities and parameters on both sides, holds the destination and lets it listen. *ret_uri: what the
 * source is to connect to. setup_free must follow, also on failure. Errors: as above, IO.
 */
NESTMIG_CHECKED enum nestmig_error setup_both(struct setup *setup, struct sides *sides,
					      const struct migrate_request *request,
					      const char **ret_uri, const char **ret_about,
					      struct nestmig_detail *detail);

/* The source as it was before, as far as it can be reached. */
void setup_undo(struct setup *setup, struct sides *sides);
void setup_free(struct setup *setup);

#endif
