// SPDX-License-Identifier: LGPL-2.1-or-later
/* Through the elements of a QEMU stream: sections, commands, dirty bitmaps. */
#include "qemu_walk.h"

#include <inttypes.h>
#include <string.h>

#include "bytes.h"
#include "error.h"
#include "qemu_internal.h"
#include "source.h"

/* How far to read ahead: little where the next header is a page away, more where headers follow each
 * other closely. */
#define AHEAD_MIN 32

/* ---- Bytes in order --------------------------------------------------------------------------- */

void qemu_walk_init(struct qemu_walk *walk, struct nm_source *source, uint64_t offset,
		    struct nestmig_detail *detail)
{
	walk->cursor.source = source;
	walk->cursor.at = walk->cursor.start = offset;
	walk->cursor.end = nm_source_size(source);
	walk->cursor.have = 0;
	walk->cursor.ahead = AHEAD_MIN;
	walk->cursor.reads_left = 0;
	walk->cursor.error = NESTMIG_OK;
	walk->cursor.detail = walk->detail = detail;
}

const uint8_t *qemu_take(struct qemu_cursor *c, size_t n)
{
	uint64_t left = c->at < c->end ? c->end - c->at : 0;

	if (n > left || n > QEMU_TAKE_MAX)
		return NULL;
	if (c->at < c->start || c->at - c->start > c->have ||
	    n > c->have - (size_t)(c->at - c->start)) {
		bool close = c->at >= c->start && c->at - c->start <= c->have;
		size_t ready;

		c->ahead = close && c->ahead < QEMU_TAKE_MAX ? 2 * c->ahead : AHEAD_MIN;
		c->have = c->ahead > n ? c->ahead : n;
		c->have = c->have < left ? c->have : (size_t)left;
		ready = nm_source_ready(c->source, c->at);
		if (c->have > ready)
			c->have = ready > n ? ready : n;
		c->start = c->at;
		c->error = c->reads_left == 1 ? NESTMIG_ERR_LIMIT
					      : nm_source_read(c->source, c->at, c->window, c->have,
							       c->detail);
		if (c->error) {
			c->have = 0;
			return NULL;
		}
		if (c->reads_left)
			c->reads_left--;
	}
	c->at += n;
	return c->window + (c->at - n - c->start);
}

bool qemu_skip(struct qemu_cursor *c, uint64_t n)
{
	if (c->at > c->end || n > c->end - c->at)
		return false;
	c->at += n;
	return true;
}

bool qemu_next_is(struct qemu_cursor *c, uint8_t byte)
{
	const uint8_t *p = qemu_take(c, 1);

	if (p)
		c->at--;
	return p && *p == byte;
}

bool qemu_take_name(struct qemu_cursor *c, char name[256])
{
	const uint8_t *p = qemu_take(c, 1);
	size_t length = p ? *p : 0;

	p = length ? qemu_take(c, length) : NULL;
	if (!p)
		return false;
	memcpy(name, p, length);
	name[length] = '\0';
	return strlen(name) == length;
}

enum nestmig_error qemu_short(const struct qemu_walk *walk, const char *what)
{
	if (walk->cursor.error)
		return walk->cursor.error;
	return nm_fail_at(walk->detail, NESTMIG_ERR_TRUNCATED, walk->cursor.end,
			  "the stream ends in the middle of %s", what);
}

/* ---- Commands ---------------------------------------------------------------------------------- */

#define ANY_LENGTH 0xffff

/* Lengths of the data of a command (mig_cmd_args of migration/savevm.c); advise may also have none. */
static const struct {
	const char *name;
	uint16_t length;
} commands[] = {
	[1] = {"open return path", 0},  [2] = {"ping", 4},
	[3] = {"postcopy advise", 16},  [4] = {"postcopy listen", 0},
	[5] = {"postcopy run", 0},      [6] = {"postcopy RAM discard", ANY_LENGTH},
	[7] = {"packaged", 4},          [8] = {"enable COLO", 0},
	[9] = {"postcopy resume", 0},   [10] = {"receive bitmap", ANY_LENGTH},
	[11] = {"switchover start", 0},
};

static enum nestmig_error command(struct qemu_walk *walk, struct qemu_element *element)
{
	const uint8_t *p = qemu_take(&walk->cursor, 4);
	uint16_t length;

	if (!p)
		return qemu_short(walk, "a command");
	element->command = nm_be16(p);
	length = nm_be16(p + 2);
	if (element->command == 0 || element->command >= sizeof(commands) / sizeof(commands[0]))
		return nm_fail_at(walk->detail, NESTMIG_ERR_UNSUPPORTED, element->offset,
				  "command %u is not known", element->command);
	if (commands[element->command].length != ANY_LENGTH &&
	    commands[element->command].length != length &&
	    !(element->command == QEMU_CMD_ADVISE && length == 0))
		return nm_fail_at(walk->detail, NESTMIG_ERR_FORMAT, element->offset,
				  "command \"%s\" has %u bytes of data, which QEMU refuses",
				  commands[element->command].name, length);
	p = length <= 16 ? qemu_take(&walk->cursor, length) : NULL;
	if (!p && (length <= 16 || !qemu_skip(&walk->cursor, length)))
		return qemu_short(walk, "a command");
	if (element->command == QEMU_CMD_PACKAGED) {
		element->length = nm_be32(p);
		if (element->length > walk->cursor.end - walk->cursor.at)
			return qemu_short(walk, "what a command has packaged");
	}
	if (element->command == QEMU_CMD_ADVISE && length)
		walk->page_sizes = nm_be64(p);
	return NESTMIG_OK;
}

/* ---- Dirty bitmaps ----------------------------------------------------------------------------- */

#define BITMAP_EOS      0x01
#define BITMAP_ZEROES   0x02
#define BITMAP_NAME     0x04
#define BITMAP_DEVICE   0x08
#define BITMAP_START    0x10
#define BITMAP_COMPLETE 0x20
#define BITMAP_BITS     0x40
#define BITMAP_MORE     0x80       /* flags of two or four bytes, which no QEMU needs */
#define BITMAP_CHUNK    (10 << 10) /* QEMU refuses more */

/* What follows the header of a chunk (dirty_bitmap_load). */
static bool bitmap_chunk(struct qemu_cursor *c, uint32_t flags)
{
	const uint8_t *p;

	if (flags & BITMAP_START) /* be32 granularity, u8 flags */
		return qemu_skip(c, 5);
	if (flags & BITMAP_COMPLETE || !(flags & BITMAP_BITS))
		return true;
	if (!qemu_skip(c, 12)) /* be64 first sector, be32 sectors */
		return false;
	if (flags & BITMAP_ZEROES)
		return true;
	p = qemu_take(c, 8);
	return p && nm_be64(p) <= BITMAP_CHUNK && qemu_skip(c, nm_be64(p));
}

/* An empty name is legal here. */
static bool skip_counted(struct qemu_cursor *c)
{
	const uint8_t *p = qemu_take(c, 1);

	return p && qemu_skip(c, *p);
}

static enum nestmig_error dirty_bitmaps(struct qemu_walk *walk)
{
	struct qemu_cursor *c = &walk->cursor;
	uint32_t flags = 0;

	do {
		uint64_t start = c->at;
		const uint8_t *p = qemu_take(c, 1);

		if (!p)
			return qemu_short(walk, "a dirty bitmap");
		flags = *p;
		if (flags & BITMAP_MORE)
			return nm_fail_at(walk->detail, NESTMIG_ERR_UNSUPPORTED, start,
					  "a dirty bitmap with flags 0x%x is not known", flags);
		if ((flags & BITMAP_DEVICE && !skip_counted(c)) ||
		    (flags & BITMAP_NAME && !skip_counted(c)) || !bitmap_chunk(c, flags))
			return c->error ? c->error
					: nm_fail_at(walk->detail, NESTMIG_ERR_FORMAT, start,
						     "a dirty bitmap starts here that is longer "
						     "than a piece of one may be");
	} while (!(flags & BITMAP_EOS));
	return NESTMIG_OK;
}

/* ---- Sections ---------------------------------------------------------------------------------- */

enum nestmig_error qemu_walk_footer(struct qemu_walk *walk, uint32_t id)
{
	const uint8_t *p;

	if (walk->footers == QEMU_FOOTERS_UNKNOWN)
		walk->footers = qemu_next_is(&walk->cursor, QEMU_VM_SECTION_FOOTER)
					? QEMU_FOOTERS
					: QEMU_NO_FOOTERS;
	if (walk->footers == QEMU_NO_FOOTERS)
		return NESTMIG_OK;
	p = qemu_take(&walk->cursor, QEMU_FOOTER_SIZE);
	if (!p)
		return qemu_short(walk, "the footer of a section");
	if (p[0] != QEMU_VM_SECTION_FOOTER || nm_be32(p + 1) != id)
		return nm_fail_at(walk->detail, NESTMIG_ERR_FORMAT,
				  walk->cursor.at - QEMU_FOOTER_SIZE,
				  "the section with id %u does not end here: no footer", id);
	return NESTMIG_OK;
}

static enum nestmig_error section_header(struct qemu_walk *walk, struct qemu_element *element)
{
	const uint8_t *p = qemu_take(&walk->cursor, 4);
	bool named;

	if (!p)
		return qemu_short(walk, "the header of a section");
	element->id = nm_be32(p);
	if (element->type != QEMU_VM_SECTION_START && element->type != QEMU_VM_SECTION_FULL)
		return NESTMIG_OK;
	named = qemu_take_name(&walk->cursor, element->name);
	p = named ? qemu_take(&walk->cursor, 8) : NULL;
	if (!p && walk->cursor.error)
		return walk->cursor.error;
	if (!p)
		return nm_fail_at(walk->detail, NESTMIG_ERR_FORMAT, element->offset,
				  "a section starts here without a name, instance and version");
	element->instance = nm_be32(p);
	element->version = nm_be32(p + 4);
	return NESTMIG_OK;
}

static enum nestmig_error add_iterable(struct qemu_walk *walk, const struct qemu_element *element,
				       enum qemu_iterable *ret_kind)
{
	enum qemu_iterable kind = QEMU_ITERABLE_OTHER;

	for (size_t i = 0; i < walk->iterable_count; i++)
		if (walk->iterables[i].id == element->id)
			return nm_fail_at(walk->detail, NESTMIG_ERR_FORMAT, element->offset,
					  "two sections have the id %u", element->id);
	if (strcmp(element->name, "ram") == 0 && element->version == 4)
		kind = QEMU_ITERABLE_RAM;
	else if (strcmp(element->name, "dirty-bitmap") == 0 && element->version == 1)
		kind = QEMU_ITERABLE_BITMAP;
	if (walk->iterable_count == QEMU_ITERABLES)
		return nm_fail_at(walk->detail, NESTMIG_ERR_LIMIT, element->offset,
				  "more than %d sections that come in parts", QEMU_ITERABLES);
	walk->iterables[walk->iterable_count].id = element->id;
	walk->iterables[walk->iterable_count++].kind = kind;
	*ret_kind = kind;
	return NESTMIG_OK;
}

static enum nestmig_error find_iterable(struct qemu_walk *walk, const struct qemu_element *element,
					enum qemu_iterable *ret_kind)
{
	for (size_t i = 0; i < walk->iterable_count; i++) {
		if (walk->iterables[i].id != element->id)
			continue;
		*ret_kind = walk->iterables[i].kind;
		return NESTMIG_OK;
	}
	return nm_fail_at(walk->detail, NESTMIG_ERR_FORMAT, element->offset,
			  "a part of a section with id %u, which has not been started",
			  element->id);
}

static enum nestmig_error iterable(struct qemu_walk *walk, struct qemu_element *element)
{
	bool setup = element->type == QEMU_VM_SECTION_START;
	enum qemu_iterable kind = QEMU_ITERABLE_OTHER;
	enum nestmig_error error =
		setup ? add_iterable(walk, element, &kind) : find_iterable(walk, element, &kind);

	if (error)
		return error;
	element->opaque = kind == QEMU_ITERABLE_OTHER;
	if (element->opaque)
		return setup ? NESTMIG_OK
			     : nm_fail_at(walk->detail, NESTMIG_ERR_UNSUPPORTED, element->offset,
					  "the length of a part of section %u is not known",
					  element->id);
	error = kind == QEMU_ITERABLE_RAM ? qemu_walk_ram(walk, setup) : dirty_bitmaps(walk);
	return error ? error : qemu_walk_footer(walk, element->id);
}

enum nestmig_error qemu_walk_next(struct qemu_walk *walk, struct qemu_element *ret)
{
	struct qemu_element element = {.offset = walk->cursor.at};
	const uint8_t *p = qemu_take(&walk->cursor, 1);
	enum nestmig_error error = NESTMIG_OK;

	if (!p)
		return qemu_short(walk, "its elements: no end has been marked");
	element.type = *p;
	switch (element.type) {
	case QEMU_VM_EOF:
		break;
	case QEMU_VM_SECTION_FULL:
		error = section_header(walk, &element);
		break;
	case QEMU_VM_SECTION_PART:
	case QEMU_VM_SECTION_END:
		walk->parts = walk->parts ? walk->parts : element.offset;
		/* fall through */
	case QEMU_VM_SECTION_START:
		error = section_header(walk, &element);
		if (!error)
			error = iterable(walk, &element);
		break;
	case QEMU_VM_COMMAND:
		error = command(walk, &element);
		break;
	case QEMU_VM_VMDESCRIPTION:
		p = qemu_take(&walk->cursor, 4);
		element.length = p ? nm_be32(p) : 0;
		error = p ? NESTMIG_OK : qemu_short(walk, "the header of the vmdesc");
		break;
	default:
		error = nm_fail_at(walk->detail, NESTMIG_ERR_FORMAT, element.offset,
				   "no element of a stream starts here (first byte 0x%02x)",
				   element.type);
	}
	if (!error)
		*ret = element;
	return error;
}
