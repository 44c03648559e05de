// SPDX-License-Identifier: LGPL-2.1-or-later
/* The configuration section of a QEMU stream (vmstate_configuration of migration/savevm.c). */
#include <string.h>

#include "bytes.h"
#include "error.h"
#include "qemu_internal.h"
#include "qemu_walk.h"

#define MAX_CAPABILITIES 64
#define X86_PAGE_BITS    12

/* be32 count, then names. Only those that change what a stream looks like are listed. */
static enum nestmig_error capabilities(struct qemu_walk *walk)
{
	struct qemu_cursor *c = &walk->cursor;
	const uint8_t *p = qemu_take(c, 4);
	uint32_t count = p ? nm_be32(p) : 0;

	if (!p)
		return qemu_short(walk, "the configuration section");
	if (count > MAX_CAPABILITIES)
		return nm_fail_at(walk->detail, NESTMIG_ERR_FORMAT, c->at - 4,
				  "the configuration section lists %u capabilities", count);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t start = c->at;
		char name[256];

		if (!qemu_take_name(c, name))
			return c->error ? c->error
					: nm_fail_at(walk->detail, NESTMIG_ERR_FORMAT, start,
						     "no name of a capability is here");
		if (strcmp(name, "x-ignore-shared") == 0)
			walk->ignore_shared = true;
		else if (strcmp(name, "mapped-ram") == 0)
			walk->mapped_ram = true;
		else
			return nm_fail_at(walk->detail, NESTMIG_ERR_UNSUPPORTED, start,
					  "the stream was written with the capability \"%.64s\", "
					  "which is not known",
					  name);
	}
	return NESTMIG_OK;
}

static enum nestmig_error page_bits(struct qemu_walk *walk)
{
	const uint8_t *p = qemu_take(&walk->cursor, 4);

	if (!p)
		return qemu_short(walk, "the configuration section");
	if (nm_be32(p) != X86_PAGE_BITS)
		return nm_fail_at(walk->detail, NESTMIG_ERR_UNSUPPORTED, walk->cursor.at - 4,
				  "pages of 2^%u bytes: no stream of an x86 guest", nm_be32(p));
	return NESTMIG_OK;
}

static enum nestmig_error uuid(struct qemu_walk *walk)
{
	return qemu_skip(&walk->cursor, 16) ? NESTMIG_OK
					    : qemu_short(walk, "the configuration section");
}

static const struct {
	const char *name;
	enum nestmig_error (*take)(struct qemu_walk *walk);
} subsections[] = {
	{"configuration/target-page-bits", page_bits},
	{"configuration/capabilities", capabilities},
	{"configuration/uuid", uuid},
};

#define SUBSECTIONS (sizeof(subsections) / sizeof(subsections[0]))

/* u8 5, name, be32 version; seen: which have been there. */
static enum nestmig_error subsection(struct qemu_walk *walk, bool seen[SUBSECTIONS])
{
	struct qemu_cursor *c = &walk->cursor;
	uint64_t start = c->at;
	const uint8_t *p = NULL;
	char name[256];
	size_t i = 0;

	if (qemu_skip(c, 1) && qemu_take_name(c, name))
		p = qemu_take(c, 4);
	if (!p)
		return qemu_short(walk, "the configuration section");
	while (i < SUBSECTIONS && strcmp(name, subsections[i].name) != 0)
		i++;
	if (i == SUBSECTIONS || nm_be32(p) != 1)
		return nm_fail_at(walk->detail, NESTMIG_ERR_UNSUPPORTED, start,
				  "subsection \"%.64s\" of version %u is not known", name,
				  nm_be32(p));
	if (seen[i])
		return nm_fail_at(walk->detail, NESTMIG_ERR_FORMAT, start,
				  "subsection %s is there twice", name);
	seen[i] = true;
	return subsections[i].take(walk);
}

enum nestmig_error qemu_walk_configuration(struct qemu_walk *walk, struct nestmig_state *state)
{
	struct qemu_cursor *c = &walk->cursor;
	bool seen[SUBSECTIONS] = {false};
	enum nestmig_error error;
	const uint8_t *p;
	uint32_t length;

	if (!qemu_next_is(c, QEMU_VM_CONFIGURATION))
		return c->error;
	p = qemu_take(c, 5);
	if (!p)
		return qemu_short(walk, "the configuration section");
	length = nm_be32(p + 1);
	p = length <= 255 ? qemu_take(c, length) : NULL;
	if (!p)
		return c->error ? c->error
				: nm_fail_at(walk->detail, NESTMIG_ERR_FORMAT, c->at - 4,
					     "the configuration section gives the machine name %u "
					     "bytes",
					     length);
	error = nm_state_set_machine(state, (const char *)p, length, walk->detail);
	while (!error && qemu_next_is(c, QEMU_VM_SUBSECTION))
		error = subsection(walk, seen);
	return error ? error : c->error;
}
