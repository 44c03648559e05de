// SPDX-License-Identifier: LGPL-2.1-or-later
/* A QEMU stream while it passes by. */
#include "qemu_follow.h"

#include <stdlib.h>

#include "bytes.h"
#include "error.h"
#include "qemu.h"
#include "qemu_internal.h"
#include "qemu_walk.h"

struct nm_qemu_follow {
	struct qemu_walk walk;
	struct nestmig_state *scratch; /* for the machine that the configuration names */
	bool has_parts, has_ended;     /* a part, an end of a section in parts has passed */
};

static enum nestmig_error header(struct qemu_walk *walk)
{
	const uint8_t *p = qemu_take(&walk->cursor, QEMU_FILE_HEADER);

	if (!p)
		return qemu_short(walk, "its header");
	if (nm_be32(p) != NM_QEMU_MAGIC || nm_be32(p + 4) != 3)
		return nm_fail_at(walk->detail, NESTMIG_ERR_UNSUPPORTED, 0,
				  "no QEMU migration stream of version 3");
	return NESTMIG_OK;
}

enum nestmig_error nm_qemu_follow_new(struct nm_source *source, struct nm_qemu_follow **ret_follow,
				      struct nestmig_detail *detail)
{
	struct nm_qemu_follow *follow = calloc(1, sizeof(*follow));
	enum nestmig_error error;

	if (!follow)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	qemu_walk_init(&follow->walk, source, 0, detail);
	error = nm_state_new("", "", &follow->scratch, detail);
	if (!error)
		error = header(&follow->walk);
	if (!error)
		error = qemu_walk_configuration(&follow->walk, follow->scratch);
	if (!error && follow->walk.mapped_ram)
		error = nm_fail(detail, NESTMIG_ERR_UNSUPPORTED,
				"the capability mapped-ram is on, which is for files");
	if (error) {
		nm_qemu_follow_free(follow);
		return error;
	}
	*ret_follow = follow;
	return NESTMIG_OK;
}

void nm_qemu_follow_free(struct nm_qemu_follow *follow)
{
	if (!follow)
		return;
	nestmig_state_free(follow->scratch);
	free(follow);
}

uint64_t nm_qemu_follow_offset(const struct nm_qemu_follow *follow)
{
	return follow->walk.cursor.at;
}

static void use_detail(struct nm_qemu_follow *follow, struct nestmig_detail *detail)
{
	follow->walk.detail = follow->walk.cursor.detail = detail;
}

enum nestmig_error nm_qemu_follow_next(struct nm_qemu_follow *follow, enum nm_qemu_next *ret_next,
				       struct nestmig_detail *detail)
{
	struct qemu_cursor *c = &follow->walk.cursor;
	const uint8_t *p;

	use_detail(follow, detail);
	p = qemu_take(c, 1);
	if (!p)
		return qemu_short(&follow->walk, "its elements");
	c->at--;
	*ret_next = NM_QEMU_NEXT_START;
	if (*p == QEMU_VM_COMMAND)
		*ret_next = NM_QEMU_NEXT_COMMAND;
	else if (*p == QEMU_VM_SECTION_PART || *p == QEMU_VM_SECTION_END)
		*ret_next = NM_QEMU_NEXT_PART;
	else if (*p == QEMU_VM_EOF || (*p == QEMU_VM_SECTION_FULL && follow->has_ended))
		*ret_next = NM_QEMU_NEXT_DEVICES;
	return NESTMIG_OK;
}

/* Past a device before RAM. */
static enum nestmig_error early_device(struct qemu_walk *walk, const struct qemu_element *element)
{
	const uint8_t *p = qemu_take(&walk->cursor, QEMU_EARLY_FIXED);
	uint64_t length = 0;

	if (!p)
		return qemu_short(walk, "a device before RAM");
	if (!qemu_early_length(element->name, p, &length))
		return nm_fail_at(walk->detail, NESTMIG_ERR_UNSUPPORTED, element->offset,
				  "how long section \"%.64s\" is before RAM, is not known",
				  element->name);
	if (!qemu_skip(&walk->cursor, length - QEMU_EARLY_FIXED))
		return qemu_short(walk, "a device before RAM");
	return qemu_walk_footer(walk, element->id);
}

static enum nm_qemu_passed of_command(uint16_t command)
{
	if (command == QEMU_CMD_RETURN_PATH)
		return NM_QEMU_PASSED_RETURN_PATH;
	return command == QEMU_CMD_PING || command == QEMU_CMD_SWITCHOVER ? NM_QEMU_PASSED_OTHER
									  : NM_QEMU_PASSED_COMMAND;
}

enum nestmig_error nm_qemu_follow_pass(struct nm_qemu_follow *follow,
				       enum nm_qemu_passed *ret_passed,
				       struct nestmig_detail *detail)
{
	struct qemu_element element = {0};
	enum nestmig_error error;

	use_detail(follow, detail);
	error = qemu_walk_next(&follow->walk, &element);
	if (error)
		return error;
	if (element.opaque)
		return nm_fail_at(detail, NESTMIG_ERR_UNSUPPORTED, element.offset,
				  "the length of section \"%.64s\" is not known", element.name);
	*ret_passed = NM_QEMU_PASSED_OTHER;
	switch (element.type) {
	case QEMU_VM_SECTION_FULL:
		return early_device(&follow->walk, &element);
	case QEMU_VM_SECTION_START:
		if (follow->has_parts)
			return nm_fail_at(detail, NESTMIG_ERR_UNSUPPORTED, element.offset,
					  "section \"%.64s\" starts behind the first part of RAM",
					  element.name);
		break;
	case QEMU_VM_SECTION_END:
		follow->has_ended = true;
		/* fall through */
	case QEMU_VM_SECTION_PART:
		follow->has_parts = true;
		break;
	case QEMU_VM_COMMAND:
		*ret_passed = of_command(element.command);
		break;
	case QEMU_VM_VMDESCRIPTION:
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, element.offset,
				  "a vmdesc before the end of the stream");
	}
	return NESTMIG_OK;
}

static uint8_t *put(uint8_t *p, uint8_t type, uint32_t id)
{
	*p++ = type;
	for (int shift = 24; shift >= 0; shift -= 8)
		*p++ = (uint8_t)(id >> shift);
	return p;
}

size_t nm_qemu_follow_end(const struct nm_qemu_follow *follow, uint8_t bytes[NM_QEMU_END_MAX])
{
	const struct qemu_walk *walk = &follow->walk;
	/* be64 RAM_SAVE_FLAG_EOS */
	static const uint8_t last[8] = {[7] = 0x10};
	uint8_t *p = bytes;

	for (size_t i = 0; i < walk->iterable_count; i++) {
		uint32_t id = walk->iterables[i].id;

		if (walk->iterables[i].kind != QEMU_ITERABLE_RAM)
			continue;
		p = put(p, QEMU_VM_SECTION_END, id);
		for (size_t k = 0; k < sizeof(last); k++)
			*p++ = last[k];
		if (walk->footers == QEMU_FOOTERS)
			p = put(p, QEMU_VM_SECTION_FOOTER, id);
		break;
	}
	return (size_t)(p - bytes);
}

bool nm_qemu_may_end(const uint8_t *bytes, size_t size)
{
	return size > QEMU_FOOTER_SIZE && bytes[size - 1] == QEMU_VM_EOF &&
	       bytes[size - 1 - QEMU_FOOTER_SIZE] == QEMU_VM_SECTION_FOOTER;
}
