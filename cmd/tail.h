/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The beginning and the end of a stream that passes by: enough to find its device state without
 * keeping its RAM.
 */
#ifndef NESTMIG_TAIL_H
#define NESTMIG_TAIL_H

#include "source.h"

struct tail;

NESTMIG_CHECKED enum nestmig_error tail_new(struct tail **ret_tail, struct nestmig_detail *detail);
void tail_free(struct tail *tail);

/* The next bytes of the stream. */
void tail_add(struct tail *tail, const uint8_t *bytes, size_t length);

/* A source over the stream so far. Reading what was not kept is UNSUPPORTED. The tail must outlive
 * it and not be added to meanwhile. */
NESTMIG_CHECKED enum nestmig_error tail_source(struct tail *tail, struct nm_source **ret_source,
					       struct nestmig_detail *detail);

#endif
