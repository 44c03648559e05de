// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The list of RAM blocks with which section "ram" starts (ram_save_setup and ram_load_precopy of QEMU 7.2 to
 * 11.0 migration/ram.c), and what of guest memory it gives a place.
 */
#include <inttypes.h>
#include <string.h>

#include "bytes.h"
#include "error.h"
#include "qemu_internal.h"
#include "qemu_walk.h"

#define MAX_BLOCKS     4096
#define MAPPED_VERSION 1
#define MAPPED_HEADER  28 /* be32 version, be64 page size, be64 bitmap, be64 pages */
#define HOST_PAGE_SIZE 4096

#define VGA_WINDOW     0xa0000
#define VGA_END        0xc0000
#define END_OF_PAM     0x100000

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
static enum nestmig_error mapped(struct qemu_walk *walk, struct qemu_block *block)
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
				    struct qemu_block *block)
{
	const uint8_t *p = qemu_take(&walk->cursor, 8);
	enum nestmig_error error;

	if (!p)
		return qemu_short(walk, "the list of RAM blocks");
	block->found = true;
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

enum nestmig_error qemu_walk_blocks(struct qemu_walk *walk, uint64_t total)
{
	uint64_t sum = 0, start = walk->cursor.at;

	total &= ~(NM_PAGE_SIZE - 1);
	for (unsigned count = 0; sum < total; count++) {
		struct qemu_block block = {0};
		enum nestmig_error error;
		char name[256];

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
		if (strcmp(name, "pc.ram") != 0)
			continue;
		if (walk->ram.found)
			return nm_fail_at(walk->detail, NESTMIG_ERR_FORMAT, start,
					  "two RAM blocks are called %s", name);
		walk->ram = block;
	}
	return NESTMIG_OK;
}

/* ---- Which addresses are RAM ------------------------------------------------------------------- */

/*
 * Below 4 GiB a guest of these machine types has RAM from 0 to lowmem or to the end of its RAM
 * (pc_q35_init, pc_init1). max-ram-below-4g can only make lowmem smaller than what is assumed here
 * when it is used by hand with more RAM than that, hence the smallest default.
 */
static uint64_t surely_low(const char *machine, uint64_t size)
{
	uint64_t lowmem =
		machine && !strstr(machine, "q35") ? UINT64_C(0xc0000000) : UINT64_C(0x80000000);

	return size < lowmem ? size : lowmem;
}

/*
 * The first low bytes, but for the VGA window and what PAM registers may turn into ROM. A vCPU in SMM
 * sees RAM where the VGA window is (compatible SMRAM), which is where SeaBIOS puts its SMBASE.
 */
static enum nestmig_error add_low(struct nestmig_state *state, uint64_t low,
				  struct nestmig_detail *detail)
{
	uint64_t window = low < VGA_WINDOW ? low : VGA_WINDOW;
	uint64_t smram = low < VGA_END ? low : VGA_END;
	const struct nm_extent extents[] = {
		{.size = window},
		{.gpa = END_OF_PAM, .size = low < END_OF_PAM ? 0 : low - END_OF_PAM},
		{.gpa = window, .size = smram - window, .smm_only = true},
	};
	enum nestmig_error error = NESTMIG_OK;

	for (size_t i = 0; i < sizeof(extents) / sizeof(extents[0]) && !error; i++)
		error = nm_state_add_extent(state, extents[i], detail);
	return error;
}

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

/*
 * Only guest RAM proper is taken, and only what is surely at its guest-physical address: the stream does
 * not carry addresses. Only the pc machines call a block so; without a configuration section it is one.
 */
enum nestmig_error qemu_walk_take_ram(const struct qemu_walk *walk, struct nestmig_state *state,
				      uint64_t devices)
{
	const struct qemu_block *ram = &walk->ram;

	if (!ram->found || (state->machine && strncmp(state->machine, "pc-", 3) != 0))
		return NESTMIG_OK;
	state->ram.offset = walk->parts ? walk->parts : walk->cursor.at;
	state->ram.devices = devices;
	state->ram.no_footers = walk->footers == QEMU_NO_FOOTERS;
	take_ids(walk, &state->ram);
	if (!ram->mapped) {
		state->find_pages = qemu_find_pages;
	} else if (ram->pages) {
		state->find_page = qemu_find_page;
		state->ram.bitmap = ram->bitmap;
		state->ram.pages = ram->pages;
		state->ram.size = ram->size;
		/* Also the pages of a shared block that an older QEMU has not left out are clear. */
		state->ram.clear_is_absent = walk->ignore_shared;
	}
	return add_low(state, surely_low(state->machine, ram->size), walk->detail);
}
