// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The records of section "ram", and single pages out of them. Pages come in no order, and those that the
 * guest wrote while it was migrated come again: the last one counts. So looking for pages is one pass over
 * all records (QEMU 7.2 to 11.0 migration/ram.c, ram_load_precopy); of a page that is not wanted only the
 * header is read. With mapped-ram each page has its place, and there is no pass.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "error.h"
#include "qemu_internal.h"
#include "qemu_walk.h"
#include "source.h"

/* Flags in the low bits of a record's address. */
#define FLAG_ZERO     0x002 /* one byte: all bytes of the page are it */
#define FLAG_BLOCKS   0x004 /* the list of blocks */
#define FLAG_PAGE     0x008
#define FLAG_EOS      0x010 /* the section ends */
#define FLAG_CONTINUE 0x020 /* of the same block as the record before, else its name follows */
#define FLAG_XBZRLE   0x040 /* what changed since the copy before */
#define FLAG_COMPRESS 0x100
#define FLAG_FLUSH    0x200 /* of multifd; QEMU 8.1 writes it without multifd, too */
#define FLAG_MASK     UINT64_C(0xfff)

/* ---- Records ----------------------------------------------------------------------------------- */

static int by_gpa(const void *a, const void *b)
{
	const struct nm_page *x = a, *y = b;

	return x->gpa < y->gpa ? -1 : x->gpa > y->gpa;
}

/* What is wanted of this address in the block, or NULL. */
static struct nm_page *wanted(const struct qemu_walk *walk, uint64_t address)
{
	const struct nm_stream_ram *ram = walk->ram;
	struct nm_page key = {0};

	if (!walk->page_count || walk->block >= ram->block_count)
		return NULL;
	for (size_t i = 0; i < ram->piece_count; i++) {
		const struct nm_ram_piece *piece = &ram->pieces[i];

		if (piece->block != walk->block || address < piece->offset ||
		    address - piece->offset >= piece->size)
			continue;
		key.gpa = piece->gpa + (address - piece->offset);
		if (key.gpa < walk->pages[0].gpa || key.gpa > walk->pages[walk->page_count - 1].gpa)
			return NULL;
		return bsearch(&key, walk->pages, walk->page_count, sizeof(key), by_gpa);
	}
	return NULL;
}

static bool take_block(struct qemu_walk *walk, uint64_t flags)
{
	const struct nm_stream_ram *ram = walk->ram;
	char name[256];

	if (flags & FLAG_CONTINUE)
		return walk->has_block;
	if (!qemu_take_name(&walk->cursor, name))
		return false;
	walk->has_block = true;
	for (walk->block = 0; ram && walk->block < ram->block_count; walk->block++)
		if (strcmp(name, ram->blocks[walk->block].name) == 0)
			break;
	return true;
}

/* Past the content of a record, which is noted if it is wanted. */
static bool take_content(struct qemu_walk *walk, uint64_t address, uint64_t flags)
{
	struct nm_page *page = wanted(walk, address);
	struct qemu_cursor *c = &walk->cursor;
	struct nm_page now = {.gpa = page ? page->gpa : 0, .kind = NM_PAGE_ABSENT};
	const uint8_t *p;
	bool good;

	switch (flags & ~(uint64_t)FLAG_CONTINUE) {
	case FLAG_ZERO:
		p = qemu_take(c, 1);
		good = p != NULL;
		now.kind = NM_PAGE_FILL;
		now.fill = p ? *p : 0;
		break;
	case FLAG_PAGE:
		now.kind = NM_PAGE_STORED;
		now.offset = c->at;
		good = qemu_skip(c, NM_PAGE_SIZE);
		break;
	case FLAG_XBZRLE: /* u8 1, be16 length */
		p = qemu_take(c, 3);
		now.kind = NM_PAGE_PATCHED;
		now.length = p ? nm_be16(p + 1) : 0;
		good = p && p[0] == 1 && now.length <= NM_PAGE_SIZE;
		p = good ? qemu_take(c, now.length) : NULL;
		good = p != NULL;
		break;
	case FLAG_COMPRESS: /* be32 length, never much more than the page's */
		p = qemu_take(c, 4);
		good = p && nm_be32(p) <= 2 * NM_PAGE_SIZE;
		now.kind = NM_PAGE_ZLIB;
		now.length = good ? (uint16_t)nm_be32(p) : 0;
		now.offset = c->at;
		good = good && qemu_skip(c, now.length);
		break;
	default:
		return false;
	}
	if (!good || !page)
		return good;
	if (now.kind == NM_PAGE_PATCHED)
		c->error = qemu_page_patch(walk, page, p, now.length);
	else
		*page = now;
	if (now.kind == NM_PAGE_STORED || now.kind == NM_PAGE_ZLIB)
		c->error = nm_source_keep(c->source, now.offset,
					  now.kind == NM_PAGE_ZLIB ? now.length : NM_PAGE_SIZE,
					  walk->detail);
	return !c->error;
}

enum nestmig_error qemu_walk_ram(struct qemu_walk *walk, bool setup)
{
	const uint8_t *p;

	while ((p = qemu_take(&walk->cursor, 8))) {
		uint64_t start = walk->cursor.at - 8;
		uint64_t address = nm_be64(p) & ~FLAG_MASK, flags = nm_be64(p) & FLAG_MASK;
		enum nestmig_error error;

		if (flags == FLAG_EOS)
			return NESTMIG_OK;
		if (flags == FLAG_BLOCKS && setup) {
			error = qemu_walk_blocks(walk, address);
			if (error)
				return error;
			continue;
		}
		if (walk->mapped_ram)
			return nm_fail_at(walk->detail, NESTMIG_ERR_FORMAT, start,
					  "a record of RAM (flags 0x%" PRIx64
					  ") in a stream with mapped-ram, where QEMU refuses it",
					  flags);
		if (flags == FLAG_FLUSH) {
			walk->has_flush = true;
			continue;
		}
		if (setup)
			return nm_fail_at(walk->detail, NESTMIG_ERR_FORMAT, start,
					  "a page of RAM (flags 0x%" PRIx64
					  ") before the first part of RAM",
					  flags);
		if (take_block(walk, flags) && take_content(walk, address, flags))
			continue;
		if (walk->cursor.error)
			return walk->cursor.error;
		return nm_fail_at(walk->detail, NESTMIG_ERR_UNSUPPORTED, start,
				  "no record of RAM that is known starts here (flags 0x%" PRIx64
				  "), or the stream ends in it",
				  flags);
	}
	return qemu_short(walk, "a section of RAM");
}

/* ---- Looking for pages ------------------------------------------------------------------------- */

/*
 * From the first part of RAM to the first device, or to the end of the stream. That devices start elsewhere
 * than RAM ends is no stream of QEMU's: it would take bytes for the devices that were not read here.
 */
static enum nestmig_error pass(const struct nestmig_state *state, struct qemu_walk *walk)
{
	struct qemu_element element = {.type = QEMU_VM_COMMAND};
	enum nestmig_error error = NESTMIG_OK;

	while (!error && element.type != QEMU_VM_EOF && element.type != QEMU_VM_SECTION_FULL) {
		error = qemu_walk_next(walk, &element);
		if (!error && element.type == QEMU_VM_COMMAND &&
		    !qemu_skip(&walk->cursor, element.length))
			error = qemu_short(walk, "what a command has packaged");
		if (!error && element.opaque)
			return nm_fail_at(walk->detail, NESTMIG_ERR_UNSUPPORTED, element.offset,
					  "the length of section \"%s\" is not known",
					  element.name);
	}
	if (!error && state->ram.devices && element.offset != state->ram.devices)
		return nm_fail_at(walk->detail, NESTMIG_ERR_FORMAT, element.offset,
				  "RAM ends here, but the devices that the vmdesc names start at "
				  "%" PRIu64 ": something else stands between them",
				  state->ram.devices);
	return error;
}

enum nestmig_error qemu_find_pages(const struct nestmig_state *state, struct nm_page *pages,
				   size_t count, struct nestmig_detail *detail)
{
	struct qemu_walk *walk = calloc(1, sizeof(*walk));
	enum nestmig_error error = NESTMIG_OK;

	if (!walk)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	walk->pages = pages;
	walk->page_count = count;
	walk->ram = &state->ram;
	walk->footers = state->ram.no_footers ? QEMU_NO_FOOTERS : QEMU_FOOTERS;
	walk->iterables[walk->iterable_count++].id = state->ram.id;
	if (state->ram.has_bitmaps) {
		walk->iterables[walk->iterable_count].id = state->ram.bitmaps_id;
		walk->iterables[walk->iterable_count++].kind = QEMU_ITERABLE_BITMAP;
	}
	qemu_walk_init(walk, state->stream, state->ram.offset, detail);
	for (size_t i = 0; i < count; i++)
		pages[i].kind = NM_PAGE_ABSENT;
	error = pass(state, walk);
	/* A copy that was found may not be the last one, where something is not understood; with multifd,
	 * what is written after a page of zeros goes through another channel. */
	for (size_t i = 0; i < count; i++)
		if (error || (walk->has_flush && pages[i].kind == NM_PAGE_FILL))
			pages[i].kind = NM_PAGE_ABSENT;
	if (error == NESTMIG_ERR_UNSUPPORTED || error == NESTMIG_ERR_TRUNCATED)
		error = NESTMIG_OK;
	free(walk);
	return error;
}

/* The block that a guest has at an address, and where in it; NULL if it is not known. */
static const struct nm_ram_block *block_at(const struct nm_stream_ram *ram, uint64_t gpa,
					   uint64_t *ret_offset)
{
	for (size_t i = 0; i < ram->piece_count; i++) {
		const struct nm_ram_piece *piece = &ram->pieces[i];

		if (gpa < piece->gpa || gpa - piece->gpa >= piece->size)
			continue;
		*ret_offset = piece->offset + (gpa - piece->gpa);
		return &ram->blocks[piece->block];
	}
	return NULL;
}

enum nestmig_error qemu_find_page(const struct nestmig_state *state, uint64_t gpa,
				  struct nm_page *ret_page, struct nestmig_detail *detail)
{
	struct nm_page page = {.gpa = gpa - gpa % NM_PAGE_SIZE};
	uint64_t offset = 0;
	const struct nm_ram_block *block = block_at(&state->ram, page.gpa, &offset);
	uint64_t number = offset / NM_PAGE_SIZE;
	enum nestmig_error error;
	uint8_t bits = 0;

	if (!block || !block->pages)
		return NESTMIG_ERR_NOT_FOUND;
	/* Words of the host's, little-endian: bit n is bit n % 8 of byte n / 8. */
	error = nm_source_read(state->stream, block->bitmap + number / 8, &bits, 1, detail);
	if (error)
		return error;
	if (bits >> number % 8 & 1) {
		page.kind = NM_PAGE_STORED;
		page.offset = block->pages + offset;
	} else if (state->ram.clear_is_absent) {
		return NESTMIG_ERR_NOT_FOUND;
	} else {
		page.kind = NM_PAGE_FILL;
	}
	*ret_page = page;
	return NESTMIG_OK;
}
