// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A few pages out of the RAM of a full QEMU stream. Pages come in no order, and those that the guest
 * wrote while it was migrated come again: the last one counts. So this is one pass over all records
 * of section "ram" (QEMU 7.2 to 10.2 migration/ram.c, ram_load_precopy); of a page that is not
 * wanted only the header is read.
 */
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "qemu_internal.h"
#include "source.h"

/* Flags in the low bits of a record's address. */
#define FLAG_ZERO     0x002 /* one byte: all bytes of the page are it */
#define FLAG_PAGE     0x008
#define FLAG_EOS      0x010 /* the section ends */
#define FLAG_CONTINUE 0x020 /* of the same block as the record before, else its name follows */
#define FLAG_XBZRLE   0x040 /* what changed since the copy before */
#define FLAG_COMPRESS 0x100
#define FLAG_FLUSH    0x200 /* of multifd; QEMU 8.1 writes it without multifd, too */
#define FLAG_MASK     UINT64_C(0xfff)

#define BLOCK         "pc.ram"

/* How far to read ahead: little where the next header is a page away, more where headers follow each
 * other closely. */
#define AHEAD_MIN 16
#define AHEAD_MAX 4096

/* The stream from some place on. */
struct reader {
	struct nm_source *source;
	uint64_t at; /* of the next byte */
	uint64_t start;
	size_t have, ahead;
	uint8_t window[AHEAD_MAX]; /* `have` bytes from `start` */
	enum nestmig_error error;
	struct nestmig_detail *detail;
};

/* The next n bytes, at most AHEAD_MAX, or NULL where the stream ends or cannot be read. */
static const uint8_t *take(struct reader *r, size_t n)
{
	uint64_t left = nm_source_size(r->source) - r->at;

	if (r->at > nm_source_size(r->source) || n > left)
		return NULL;
	if (r->at < r->start || r->at - r->start > r->have ||
	    n > r->have - (size_t)(r->at - r->start)) {
		bool close = r->at >= r->start && r->at - r->start <= r->have;

		r->ahead = close && r->ahead < AHEAD_MAX ? 2 * r->ahead : AHEAD_MIN;
		r->have = r->ahead > n ? r->ahead : n;
		r->have = r->have < left ? r->have : (size_t)left;
		r->start = r->at;
		r->error = nm_source_read(r->source, r->at, r->window, r->have, r->detail);
		if (r->error) {
			r->have = 0;
			return NULL;
		}
	}
	r->at += n;
	return r->window + (r->at - n - r->start);
}

static bool skip(struct reader *r, uint64_t n)
{
	uint64_t size = nm_source_size(r->source);

	if (r->at > size || n > size - r->at)
		return false;
	r->at += n;
	return true;
}

struct scan {
	struct reader reader;
	struct nm_page *pages; /* sorted by gpa */
	size_t count;
	bool has_block, in_block; /* a block was named; it is guest RAM proper */
	bool has_flush;
};

static int by_gpa(const void *a, const void *b)
{
	const struct nm_page *x = a, *y = b;

	return x->gpa < y->gpa ? -1 : x->gpa > y->gpa;
}

/* What is wanted of this address in the block, or NULL. Below 4 GiB it is the guest-physical one, and
 * nothing else is asked for. */
static struct nm_page *wanted(const struct scan *scan, uint64_t address)
{
	struct nm_page key = {.gpa = address};

	if (!scan->in_block || address < scan->pages[0].gpa ||
	    address > scan->pages[scan->count - 1].gpa)
		return NULL;
	return bsearch(&key, scan->pages, scan->count, sizeof(key), by_gpa);
}

static bool take_block(struct scan *scan, uint64_t flags)
{
	const uint8_t *p;
	size_t length;

	if (flags & FLAG_CONTINUE)
		return scan->has_block;
	p = take(&scan->reader, 1);
	length = p ? *p : 0;
	p = length ? take(&scan->reader, length) : NULL;
	if (!p)
		return false;
	scan->has_block = true;
	scan->in_block = length == strlen(BLOCK) && memcmp(p, BLOCK, length) == 0;
	return true;
}

/* Past the content of a record, which is noted if it is wanted. */
static bool take_content(struct scan *scan, uint64_t address, uint64_t flags)
{
	struct nm_page *page = wanted(scan, address);
	struct reader *r = &scan->reader;
	struct nm_page now = {.gpa = address, .kind = NM_PAGE_ABSENT};
	const uint8_t *p;
	bool good;

	switch (flags & ~(uint64_t)FLAG_CONTINUE) {
	case FLAG_ZERO:
		p = take(r, 1);
		good = p != NULL;
		now.kind = NM_PAGE_FILL;
		now.fill = p ? *p : 0;
		break;
	case FLAG_PAGE:
		now.kind = NM_PAGE_STORED;
		now.offset = r->at;
		good = skip(r, NM_PAGE_SIZE);
		if (good && page)
			r->error = nm_source_keep(r->source, now.offset, NM_PAGE_SIZE, r->detail);
		break;
	case FLAG_XBZRLE: /* u8 1, be16 length */
		p = take(r, 3);
		good = p && p[0] == 1 && nm_be16(p + 1) <= NM_PAGE_SIZE && skip(r, nm_be16(p + 1));
		break;
	case FLAG_COMPRESS: /* be32 length, never much more than the page's */
		p = take(r, 4);
		good = p && nm_be32(p) <= 2 * NM_PAGE_SIZE && skip(r, nm_be32(p));
		break;
	default:
		return false;
	}
	if (good && page)
		*page = now;
	return good && !r->error;
}

/* The records of one section, its footer included. */
static bool take_section(struct scan *scan, uint32_t id)
{
	const uint8_t *p;

	while ((p = take(&scan->reader, 8))) {
		uint64_t address = nm_be64(p) & ~FLAG_MASK, flags = nm_be64(p) & FLAG_MASK;

		if (flags == FLAG_EOS) {
			p = take(&scan->reader, QEMU_FOOTER_SIZE);
			return p && p[0] == QEMU_VM_SECTION_FOOTER && nm_be32(p + 1) == id;
		}
		if (flags == FLAG_FLUSH) {
			scan->has_flush = true;
			continue;
		}
		if (!take_block(scan, flags) || !take_content(scan, address, flags))
			return false;
	}
	return false;
}

/* From the section in which RAM starts to the one in which it ends. false where there is something
 * that is not understood: sections of other devices have no length. */
static bool take_all(struct scan *scan, uint32_t id)
{
	bool ended = false;

	while (take_section(scan, id)) {
		const uint8_t *p = ended ? NULL : take(&scan->reader, 5);

		if (ended)
			return true;
		if (!p || (p[0] != QEMU_VM_SECTION_PART && p[0] != QEMU_VM_SECTION_END) ||
		    nm_be32(p + 1) != id)
			return false;
		ended = p[0] == QEMU_VM_SECTION_END;
	}
	return false;
}

enum nestmig_error qemu_find_pages(const struct nestmig_state *state, struct nm_page *pages,
				   size_t count, struct nestmig_detail *detail)
{
	struct scan scan = {.pages = pages, .count = count};
	bool understood = false;

	scan.reader.source = state->stream;
	scan.reader.at = state->ram_section.offset;
	scan.reader.ahead = AHEAD_MIN;
	scan.reader.detail = detail;
	for (size_t i = 0; i < count; i++)
		pages[i].kind = NM_PAGE_ABSENT;
	if (count)
		understood = take_all(&scan, state->ram_section.id);
	for (size_t i = 0; i < count; i++)
		/* A copy that was found may not be the last one: with multifd, what is written after a
		 * page of zeros goes through another channel. */
		if (!understood || (scan.has_flush && pages[i].kind == NM_PAGE_FILL))
			pages[i].kind = NM_PAGE_ABSENT;
	return scan.reader.error;
}
