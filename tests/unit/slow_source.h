/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A source whose bytes come a few at a time, and go: what is before an offset that is read must not be read again. */
#ifndef TEST_SLOW_SOURCE_H
#define TEST_SLOW_SOURCE_H

#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "source.h"

struct slow {
	const uint8_t *bytes;
	size_t size, piece; /* so many come at once */
	uint64_t come, gone;
	uint64_t pin; /* what stands from here on has not gone */
};

static enum nestmig_error slow_read(void *ctx, uint64_t offset, void *buffer, size_t length,
				    struct nestmig_detail *detail)
{
	struct slow *slow = ctx;

	if (offset < slow->gone)
		abort();
	while (offset + length > slow->come) {
		uint64_t before = offset < slow->come ? offset : slow->come;

		if (slow->come == slow->size)
			return nm_fail(detail, NESTMIG_ERR_TRUNCATED, "no more comes");
		slow->gone = before < slow->pin ? before : slow->pin;
		slow->come += slow->piece;
		if (slow->come > slow->size)
			slow->come = slow->size;
	}
	memcpy(buffer, slow->bytes + offset, length);
	return NESTMIG_OK;
}

static size_t slow_ready(void *ctx, uint64_t offset)
{
	const struct slow *slow = ctx;

	return offset < slow->come ? (size_t)(slow->come - offset) : 0;
}

static const struct nm_source_ops slow_ops = {
	.read = slow_read, .ready = slow_ready, .is_derived = true};

#endif
