// SPDX-License-Identifier: LGPL-2.1-or-later
/* The head of a full QEMU stream: machine name, and which guest-physical addresses are RAM. */
#include <string.h>

#include "bytes.h"
#include "error.h"
#include "qemu_internal.h"

#define RAM_MEM_SIZE 0x004
#define VGA_WINDOW   0xa0000
#define VGA_END      0xc0000
#define END_OF_PAM   0x100000

/*
 * Below 4 GiB a guest of these machine types has RAM from 0 to lowmem or to the end of its RAM
 * (pc_q35_init, pc_init1). max-ram-below-4g can only make lowmem smaller than what is assumed here
 * when it is used by hand with more RAM than that, hence the smallest default.
 */
static uint64_t surely_low(const char *machine, uint64_t size)
{
	uint64_t lowmem = strstr(machine, "q35") ? UINT64_C(0x80000000) : UINT64_C(0xc0000000);

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

/* Reads past "u8 length, name"; false if it does not fit. */
static bool block_name(struct qemu_span span, size_t *at, char name[256])
{
	size_t length;

	if (*at >= span.size)
		return false;
	length = span.bytes[*at];
	if (length == 0 || span.size - *at < 1 + length)
		return false;
	memcpy(name, span.bytes + *at + 1, length);
	name[length] = '\0';
	*at += 1 + length;
	return true;
}

/*
 * The RAM block list at the start of section "ram". Only guest RAM proper is taken, and only what
 * is surely at its guest-physical address: the stream does not carry addresses.
 */
static enum nestmig_error take_ram(struct nestmig_state *state, struct qemu_span span, size_t at,
				   struct nestmig_detail *detail)
{
	uint64_t total, sum = 0, size = 0;
	char name[256];

	if (span.size - at < 8)
		return NESTMIG_OK;
	total = nm_be64(span.bytes + at);
	if ((total & 0xfff) != RAM_MEM_SIZE)
		return NESTMIG_OK;
	total &= ~UINT64_C(0xfff);
	at += 8;
	while (sum < total && block_name(span, &at, name) && span.size - at >= 8) {
		uint64_t used = nm_be64(span.bytes + at);

		at += 8;
		if (used > total - sum)
			return nm_fail_at(detail, NESTMIG_ERR_FORMAT, span.offset + at - 8,
					  "RAM block %s is larger than all RAM together", name);
		sum += used;
		if (strcmp(name, "pc.ram") == 0)
			size = used;
	}
	/* Behind the last block stand the records. */
	if (size && sum == total) {
		state->ram_section.offset = span.offset + at;
		state->find_pages = qemu_find_pages;
	}
	return size ? add_low(state, surely_low(state->machine, size), detail) : NESTMIG_OK;
}

/* The configuration section: be32 length, machine name; then subsections, which are skipped when
 * they change how RAM block records look (then RAM stays unknown). */
enum nestmig_error qemu_head_parse(struct nestmig_state *state, struct qemu_span head,
				   struct nestmig_detail *detail)
{
	size_t at = QEMU_FILE_HEADER;
	enum nestmig_error error;
	uint32_t length;

	if (head.size < at + 5 || head.bytes[at] != QEMU_VM_CONFIGURATION)
		return NESTMIG_OK;
	length = nm_be32(head.bytes + at + 1);
	at += 5;
	if (length > 255 || length > head.size - at)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, head.offset + at - 4,
				  "the configuration section gives the machine name %u bytes",
				  length);
	error = nm_state_set_machine(state, (const char *)head.bytes + at, length, detail);
	if (error)
		return error;
	at += length;
	/* 01 be32 id, u8 3, "ram", be32 instance, be32 version */
	if (head.size - at < 17 || head.bytes[at] != QEMU_VM_SECTION_START ||
	    memcmp(head.bytes + at + 5, "\003ram", 4) != 0)
		return NESTMIG_OK;
	if (strncmp(state->machine, "pc-", 3) != 0)
		return NESTMIG_OK;
	state->ram_section.id = nm_be32(head.bytes + at + 1);
	return take_ram(state, head, at + 17, detail);
}
