// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What nestmig gate reads of a stream in the process that has the connections: the first byte says in pieces of what
 * size the stream comes. Nothing that has been sent on may be read again, and the size must not matter.
 */
#include "../unit/slow_source.h"
#include "qemu.h"
#include "qemu_follow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Where it ends, of the devices or of what is understood. */
static uint64_t follow_all(struct slow *slow, enum nestmig_error *ret_error)
{
	struct nm_qemu_follow *follow = NULL;
	struct nm_source *source = NULL;
	enum nm_qemu_next next = NM_QEMU_NEXT_START;
	enum nm_qemu_passed passed;
	struct nestmig_detail detail;
	uint8_t end[NM_QEMU_END_MAX];
	uint64_t offset = 0;
	enum nestmig_error error = nm_source_new(&slow_ops, slow, UINT64_MAX / 2, &source, &detail);

	if (!error)
		error = nm_qemu_follow_new(source, &follow, &detail);
	while (!error) {
		offset = slow->pin = nm_qemu_follow_offset(follow);
		error = nm_qemu_follow_next(follow, &next, &detail);
		if (error || next == NM_QEMU_NEXT_DEVICES)
			break;
		if (next != NM_QEMU_NEXT_COMMAND)
			slow->pin = UINT64_MAX;
		error = nm_qemu_follow_pass(follow, &passed, &detail);
	}
	if (!error && nm_qemu_follow_end(follow, end) > sizeof(end))
		abort();
	nm_qemu_follow_free(follow);
	nm_source_free(source);
	*ret_error = error;
	return offset;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slow slow = {.pin = UINT64_MAX}, whole = {.pin = UINT64_MAX};
	enum nestmig_error a, b;
	size_t at;

	if (size == 0)
		return 0;
	slow.bytes = whole.bytes = data + 1;
	slow.size = whole.size = size - 1;
	slow.piece = 1 + (size_t)data[0] * data[0];
	whole.piece = size;
	if (follow_all(&slow, &a) != follow_all(&whole, &b) || a != b)
		abort();
	if (nm_qemu_find_vmdesc(data, size, &at) && (at == 0 || at >= size))
		abort();
	(void)nm_qemu_may_end(data, size);
	return 0;
}
