// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The list of RAM blocks with which section "ram" starts (ram_save_setup and ram_load_precopy of QEMU 7.2 to
 * 11.0 migration/ram.c), and what follows from it for looking up pages.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "error.h"
#include "qemu_internal.h"
#include "qemu_walk.h"

#define MAX_BLOCKS     4096
#define MAPPED_VERSION 1
#define MAPPED_HEADER  28 /* be32 version, be64 page size, be64 bitmap, be64 pages */
#define HOST_PAGE_SIZE 4096

/* ---- The list ---------------------------------------------------------------------------------- */

/*
 * With postcopy a block of other than the host's page size has it here. A page size is a power of two and
 * one of those that the command has named; what stands here instead, the name of the next block or a
 * record, does not begin with a zero byte, or has flags in its low bits. An address could look like one.
 */
static enum nestmig_error skip_page_size(struct qemu_walk *walk)
{
	struct qemu_cursor *c = &walk->cursor;
	uint64_t others = walk->page_sizes & ~(uint64_t)HOST_PAGE_SIZE, size;
	const uint8_t *p;

	if (!others)
		return NESTMIG_OK;
	if (walk->ignore_shared)
		return nm_fail_at(walk->detail, NESTMIG_ERR_UNSUPPORTED, c->at,
				  "blocks of several page sizes together with x-ignore-shared are "
				  "not read");
	p = qemu_take(c, 8);
	if (!p)
		return c->error;
	size = nm_be64(p);
	if (size & (size - 1) || !(size & others))
		c->at -= 8;
	return NESTMIG_OK;
}

/* The header of a block with mapped-ram, and the pages behind it. A block that is shared, so not in the
 * file, has zeros here from QEMU 11.0 on, and the next block follows at once. */
static enum nestmig_error mapped(struct qemu_walk *walk, struct nm_ram_block *block)
{
	struct qemu_cursor *c = &walk->cursor;
	uint64_t header = c->at, words = (block->size / NM_PAGE_SIZE + 63) / 64, bitmap, pages;
	const uint8_t *p = qemu_take(c, MAPPED_HEADER);

	if (!p)
		return qemu_short(walk, "the header of a block of RAM");
	if (nm_be32(p) != MAPPED_VERSION || nm_be64(p + 4) != NM_PAGE_SIZE)
		return nm_fail_at(walk->detail, NESTMIG_ERR_UNSUPPORTED, header,
				  "mapped-ram of version %u with pages of %" PRIu64
				  " bytes is not read: known are version %u and %d bytes",
				  nm_be32(p), nm_be64(p + 4), MAPPED_VERSION, (int)NM_PAGE_SIZE);
	bitmap = nm_be64(p + 12);
	pages = nm_be64(p + 20);
	block->mapped = true;
	if (bitmap == 0 && pages == 0)
		return NESTMIG_OK;
	bitmap -= walk->base;
	pages -= walk->base;
	if (bitmap < c->at || bitmap > c->end || pages > c->end || pages < bitmap ||
	    (pages - bitmap) / 8 < words)
		return nm_fail_at(walk->detail, NESTMIG_ERR_FORMAT, header,
				  "the bitmap and the pages of a block of RAM do not stand one "
				  "after the other behind its header");
	block->bitmap = bitmap;
	block->pages = pages;
	c->at = pages;
	return qemu_skip(c, block->size) ? NESTMIG_OK
					 : qemu_short(walk, "the pages of a block of RAM");
}

/* One block behind its name. */
static enum nestmig_error one_block(struct qemu_walk *walk, const char *name, uint64_t left,
				    struct nm_ram_block *block)
{
	const uint8_t *p = qemu_take(&walk->cursor, 8);
	enum nestmig_error error;

	if (!p)
		return qemu_short(walk, "the list of RAM blocks");
	block->size = nm_be64(p);
	if (block->size > left)
		return nm_fail_at(walk->detail, NESTMIG_ERR_FORMAT, walk->cursor.at - 8,
				  "RAM block %s is larger than all RAM together", name);
	error = skip_page_size(walk);
	if (error)
		return error;
	if (walk->ignore_shared && !qemu_skip(&walk->cursor, 8)) /* its address in its container */
		return qemu_short(walk, "the list of RAM blocks");
	return walk->mapped_ram ? mapped(walk, block) : NESTMIG_OK;
}

static enum nestmig_error note(struct qemu_walk *walk, const struct nm_ram_block *block,
			       uint64_t start)
{
	size_t room = walk->block_count < QEMU_RAM_BLOCKS ? walk->block_count : QEMU_RAM_BLOCKS;

	for (size_t i = 0; i < room; i++)
		if (strcmp(walk->blocks[i].name, block->name) == 0)
			return nm_fail_at(walk->detail, NESTMIG_ERR_FORMAT, start,
					  "two RAM blocks are called %s", block->name);
	if (room < QEMU_RAM_BLOCKS)
		walk->blocks[room] = *block;
	walk->block_count++;
	return NESTMIG_OK;
}

enum nestmig_error qemu_walk_blocks(struct qemu_walk *walk, uint64_t total)
{
	uint64_t sum = 0, start = walk->cursor.at;

	total &= ~(NM_PAGE_SIZE - 1);
	for (unsigned count = 0; sum < total; count++) {
		struct nm_ram_block block = {0};
		enum nestmig_error error;
		char *name = block.name;

		if (count == MAX_BLOCKS)
			return nm_fail_at(walk->detail, NESTMIG_ERR_LIMIT, start,
					  "more than %d RAM blocks", MAX_BLOCKS);
		if (!qemu_take_name(&walk->cursor, name))
			return walk->cursor.error
				       ? walk->cursor.error
				       : nm_fail_at(walk->detail, NESTMIG_ERR_FORMAT,
						    walk->cursor.at,
						    "no name of a RAM block is here, but their "
						    "lengths do not add up to all RAM yet");
		error = one_block(walk, name, total - sum, &block);
		if (error)
			return error;
		sum += block.size;
		if (!qemu_may_be_ram(name))
			continue;
		error = note(walk, &block, start);
		if (error)
			return error;
	}
	return NESTMIG_OK;
}

/* ---- Looking up pages -------------------------------------------------------------------------- */

static void take_ids(const struct qemu_walk *walk, struct nm_stream_ram *ret)
{
	for (size_t i = 0; i < walk->iterable_count; i++) {
		if (walk->iterables[i].kind == QEMU_ITERABLE_RAM) {
			ret->id = walk->iterables[i].id;
		} else if (walk->iterables[i].kind == QEMU_ITERABLE_BITMAP) {
			ret->has_bitmaps = true;
			ret->bitmaps_id = walk->iterables[i].id;
		}
	}
}

enum nestmig_error qemu_walk_take_ram(const struct qemu_walk *walk, struct nestmig_state *state,
				      uint64_t devices, const struct qemu_sections *sections)
{
	struct nm_stream_ram *ram = &state->ram;
	enum nestmig_error error = qemu_layout(walk, state, sections);
	bool mapped = false, in_file = false;

	if (error || !ram->piece_count)
		return error;
	ram->offset = walk->parts ? walk->parts : walk->cursor.at;
	ram->devices = devices;
	ram->no_footers = walk->footers == QEMU_NO_FOOTERS;
	take_ids(walk, ram);
	for (size_t i = 0; i < ram->block_count; i++) {
		mapped |= ram->blocks[i].mapped;
		in_file |= ram->blocks[i].pages != 0;
	}
	/* Also the pages of a shared block that an older QEMU has not left out are clear. */
	ram->clear_is_absent = walk->ignore_shared;
	if (mapped) {
		state->find_page = in_file ? qemu_find_page : NULL;
		return NESTMIG_OK;
	}
	state->find_pages = qemu_find_pages;
	ram->patched = calloc(1, sizeof(*ram->patched));
	return ram->patched ? NESTMIG_OK
			    : nm_fail(walk->detail, NESTMIG_ERR_NOMEM, "out of memory");
}
