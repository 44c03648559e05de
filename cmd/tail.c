// SPDX-License-Identifier: GPL-2.0-or-later
/* The beginning and the end of a stream that passes by. */
#include "tail.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

#define HEAD_SIZE (64U << 10)
/* Device state and vmdesc of the largest VMs take some 10 MiB. Memory is touched only as needed. */
#define RING_SIZE (64U << 20)

struct tail {
	uint64_t total;
	uint8_t head[HEAD_SIZE];
	uint8_t ring[RING_SIZE];
};

enum nestmig_error tail_new(struct tail **ret_tail, struct nestmig_detail *detail)
{
	struct tail *tail = malloc(sizeof(*tail));

	if (!tail)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	tail->total = 0;
	*ret_tail = tail;
	return NESTMIG_OK;
}

void tail_free(struct tail *tail)
{
	free(tail);
}

void tail_add(struct tail *tail, const uint8_t *bytes, size_t length)
{
	if (tail->total < HEAD_SIZE) {
		size_t room = HEAD_SIZE - (size_t)tail->total;

		memcpy(tail->head + tail->total, bytes, length < room ? length : room);
	}
	while (length > 0) {
		size_t at = (size_t)(tail->total % RING_SIZE);
		size_t here = RING_SIZE - at < length ? RING_SIZE - at : length;

		memcpy(tail->ring + at, bytes, here);
		tail->total += here;
		bytes += here;
		length -= here;
	}
}

static enum nestmig_error tail_read(void *ctx, uint64_t offset, void *buffer, size_t length,
				    struct nestmig_detail *detail)
{
	const struct tail *tail = ctx;
	uint8_t *out = buffer;

	if (offset + length <= HEAD_SIZE) {
		memcpy(out, tail->head + offset, length);
		return NESTMIG_OK;
	}
	if (tail->total > RING_SIZE && offset < tail->total - RING_SIZE)
		return nm_fail_at(detail, NESTMIG_ERR_UNSUPPORTED, offset,
				  "the device state is larger than %u MiB", RING_SIZE >> 20);
	while (length > 0) {
		size_t at = (size_t)(offset % RING_SIZE);
		size_t here = RING_SIZE - at < length ? RING_SIZE - at : length;

		memcpy(out, tail->ring + at, here);
		out += here;
		offset += here;
		length -= here;
	}
	return NESTMIG_OK;
}

static const struct nm_source_ops ops = {.read = tail_read};

enum nestmig_error tail_source(struct tail *tail, struct nm_source **ret_source,
			       struct nestmig_detail *detail)
{
	return nm_source_new(&ops, tail, tail->total, ret_source, detail);
}
