/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Through the elements of a QEMU stream from its start. Facts: QEMU 7.2 to 11.0 migration/savevm.c
 * (qemu_loadvm_state_main, loadvm_process_command), migration/ram.c, migration/block-dirty-bitmap.c.
 *
 * Errors of everything here: FORMAT (no QEMU writes this), UNSUPPORTED (a newer QEMU may have written it:
 * of a length that is not known), TRUNCATED, and those of reading.
 */
#ifndef NESTMIG_QEMU_WALK_H
#define NESTMIG_QEMU_WALK_H

#include "nestmig.h"
#include "state.h"

/* The most that qemu_take gives at once, bytes. */
#define QEMU_TAKE_MAX  4096
#define QEMU_ITERABLES 64

/* Bytes of a source in order, from `at` on. */
struct qemu_cursor {
	struct nm_source *source;
	uint64_t at, end; /* the next byte; the first that must not be read */
	uint64_t start;   /* of the window */
	size_t have, ahead;
	uint8_t window[QEMU_TAKE_MAX];
	unsigned reads_left;      /* then LIMIT; 0: as many as are needed */
	enum nestmig_error error; /* of reading */
	struct nestmig_detail *detail;
};

/* Blocks that may be guest RAM proper; QEMU has at most 128 NUMA nodes. */
#define QEMU_RAM_BLOCKS 129

/* What is migrated in several sections. */
enum qemu_iterable { QEMU_ITERABLE_RAM, QEMU_ITERABLE_BITMAP, QEMU_ITERABLE_OTHER };

enum qemu_footers { QEMU_FOOTERS_UNKNOWN, QEMU_FOOTERS, QEMU_NO_FOOTERS };

struct qemu_walk {
	struct qemu_cursor cursor;
	uint64_t
		base; /* what offsets in headers of mapped-ram count from, before the stream's start */
	bool ignore_shared, mapped_ram;
	uint64_t
		page_sizes; /* of postcopy advise: all sizes of host pages, ORed; 0: no postcopy of RAM */
	enum qemu_footers footers;
	struct {
		uint32_t id;
		enum qemu_iterable kind;
	} iterables[QEMU_ITERABLES];
	size_t iterable_count;
	uint64_t parts; /* the offset of the first element that is part of one; 0: none yet */
	struct nm_ram_block blocks[QEMU_RAM_BLOCKS];
	size_t block_count; /* if larger than QEMU_RAM_BLOCKS, some are not noted */
	/* Pages that are looked for, sorted by gpa, or none, and where the guest has its blocks. */
	struct nm_page *pages;
	size_t page_count;
	const struct nm_stream_ram *ram;
	bool has_block; /* a record has named a block */
	size_t block;   /* which of ram's it is, or its block_count */
	bool has_flush; /* other pages came through other channels */
	struct nestmig_detail *detail;
};

/* One element. */
struct qemu_element {
	uint8_t type;    /* QEMU_VM_* */
	uint64_t offset; /* of the type, in the stream */
	/* FULL and START: the header of the section; PART and END: the id alone. */
	uint32_t id, instance, version;
	char name[256];
	uint16_t command;
	uint32_t length; /* of a vmdesc or of what is packaged, bytes */
	bool opaque;     /* a START whose length is not known */
};

/* Starts at an offset of the source, with what else of walk is set. */
void qemu_walk_init(struct qemu_walk *walk, struct nm_source *source, uint64_t offset,
		    struct nestmig_detail *detail);

/* The next n bytes, at most QEMU_TAKE_MAX, valid until the next call; or NULL: qemu_short says why. */
const uint8_t *qemu_take(struct qemu_cursor *cursor, size_t n);
bool qemu_skip(struct qemu_cursor *cursor, uint64_t n);

/* Is this the next byte? It stays the next. */
bool qemu_next_is(struct qemu_cursor *cursor, uint8_t byte);

/* "u8 length, name", NUL-terminated. false if it does not fit, is empty or has a NUL. */
bool qemu_take_name(struct qemu_cursor *cursor, char name[256]);

/* The error where qemu_take or qemu_skip did not succeed. */
NESTMIG_CHECKED enum nestmig_error qemu_short(const struct qemu_walk *walk, const char *what);

/*
 * The next element. Commands and sections of RAM and of dirty bitmaps are passed whole. Behind these
 * stands the cursor: a FULL section and a START of another kind, at the payload; a vmdesc, at its text; a
 * packaged command, at the first element inside.
 */
NESTMIG_CHECKED enum nestmig_error qemu_walk_next(struct qemu_walk *walk,
						  struct qemu_element *ret_element);

/* Past the footer of a section, if sections have one: the first tells. */
NESTMIG_CHECKED enum nestmig_error qemu_walk_footer(struct qemu_walk *walk, uint32_t id);

/* Past the list of blocks, whose be64 of total size and flags has been taken (qemu_blocks.c). */
NESTMIG_CHECKED enum nestmig_error qemu_walk_blocks(struct qemu_walk *walk, uint64_t total);

/*
 * Applies length bytes of differences (xbzrle) to a page as it has been found so far, which becomes one of
 * patched pages; absent if it was, or if these are none. Errors: those of reading. (qemu_page.c)
 */
NESTMIG_CHECKED enum nestmig_error qemu_page_patch(struct qemu_walk *walk, struct nm_page *page,
						   const uint8_t *bytes, size_t length);

/* Past the records of a section of RAM; setup: of the first one (qemu_ram.c). */
NESTMIG_CHECKED enum nestmig_error qemu_walk_ram(struct qemu_walk *walk, bool setup);

struct qemu_sections;

/* What the setup and the devices have said of RAM goes to the state, which has its vCPUs already: extents, and
 * how to find pages. devices: the offset of the first device behind RAM, 0 if there is none. */
NESTMIG_CHECKED enum nestmig_error qemu_walk_take_ram(const struct qemu_walk *walk,
						      struct nestmig_state *state, uint64_t devices,
						      const struct qemu_sections *sections);

/* May a block of this name be guest RAM proper: is it no other one that QEMU's devices make? (qemu_layout.c) */
bool qemu_may_be_ram(const char *name);

/* Where the guest has the blocks that the walk has noted: state->ram's blocks and pieces, and extents. Without
 * any RAM stays unknown. (qemu_layout.c) */
NESTMIG_CHECKED enum nestmig_error qemu_layout(const struct qemu_walk *walk,
					       struct nestmig_state *state,
					       const struct qemu_sections *sections);

#endif
