// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Pages that a stream has in differences to the copy before: xbzrle of QEMU 7.2 to 11.0 (migration/xbzrle.c,
 * load_xbzrle of migration/ram.c).
 */
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "qemu_internal.h"
#include "qemu_walk.h"

/* A number of at most 14 bits: seven in each of one or two bytes, the lower ones first. false: none. */
static bool take_run(const uint8_t **at, const uint8_t *end, size_t *ret_count)
{
	const uint8_t *p = *at;

	if (p == end)
		return false;
	*ret_count = *p & 0x7f;
	if (*p++ & 0x80) {
		if (p == end || *p & 0x80)
			return false;
		*ret_count |= (size_t)*p++ << 7;
	}
	*at = p;
	return true;
}

/*
 * Pairs of a run that stays and one that is replaced, by the bytes behind it. Only the very first may be
 * empty, and only of those that stay.
 */
static bool apply(uint8_t page[NM_PAGE_SIZE], const uint8_t *bytes, size_t length)
{
	const uint8_t *p = bytes, *end = bytes + length;
	size_t at = 0, same = 0, changed = 0;

	while (p < end) {
		bool first = p == bytes;

		if (!take_run(&p, end, &same) || (!same && !first) || same > NM_PAGE_SIZE - at)
			return false;
		at += same;
		if (!take_run(&p, end, &changed) || !changed || changed > NM_PAGE_SIZE - at ||
		    changed > (size_t)(end - p))
			return false;
		memcpy(page + at, p, changed);
		at += changed;
		p += changed;
	}
	return true;
}

/* The place for a page, the same for each pass; NM_PATCHED_MAX if there is none. */
static size_t place_for(struct nm_patched *patched, uint64_t gpa)
{
	size_t i = 0;

	while (i < patched->count && patched->pages[i]->gpa != gpa)
		i++;
	if (i < patched->count || i == NM_PATCHED_MAX)
		return i;
	patched->pages[i] = malloc(sizeof(*patched->pages[i]));
	if (!patched->pages[i])
		return NM_PATCHED_MAX;
	patched->pages[i]->gpa = gpa;
	patched->count++;
	return i;
}

enum nestmig_error qemu_page_patch(struct qemu_walk *walk, struct nm_page *page,
				   const uint8_t *bytes, size_t length)
{
	struct nm_patched *patched = walk->ram->patched;
	enum nestmig_error error = NESTMIG_OK;
	size_t place;

	if (page->kind == NM_PAGE_ABSENT)
		return NESTMIG_OK;
	place = page->kind == NM_PAGE_PATCHED ? (size_t)page->offset
					      : place_for(patched, page->gpa);
	if (place == NM_PATCHED_MAX) {
		page->kind = NM_PAGE_ABSENT;
		return NESTMIG_OK;
	}
	if (page->kind != NM_PAGE_PATCHED)
		error = nm_page_content(walk->cursor.source, patched, page,
					patched->pages[place]->bytes, walk->detail);
	page->offset = place;
	page->kind = !error && apply(patched->pages[place]->bytes, bytes, length) ? NM_PAGE_PATCHED
										  : NM_PAGE_ABSENT;
	return error == NESTMIG_ERR_NOT_FOUND ? NESTMIG_OK : error;
}
