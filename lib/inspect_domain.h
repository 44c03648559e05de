/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What inspect shows of libvirt's XML. */
#ifndef NESTMIG_INSPECT_DOMAIN_H
#define NESTMIG_INSPECT_DOMAIN_H

#include <jansson.h>

#include "inspect_text.h"
#include "state.h"

/* Some lines on the domain and its CPU; nothing if the state has no XML. */
void nm_text_domain(struct nm_text *t, const struct nestmig_state *state);

/* The same as an object; NULL if the state has no XML. */
json_t *nm_domain_json(const struct nestmig_state *state);

#endif
