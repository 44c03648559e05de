// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Where a guest has its RAM. The stream does not say it: QEMU lays the blocks of RAM one behind the other, in
 * order of NUMA nodes, from 0 to the start of the hole for devices and from 4 GiB on (pc_init1, pc_q35_init and
 * pc_memory_init of QEMU 7.2 to 11.0 hw/i386). Where the hole starts depends on the machine, on the size of RAM
 * and on max-ram-below-4g. pc_cmos_init tells the guest by its CMOS, which is in the stream; but the guest
 * can write that. So what lies above is known only where the CMOS says what the machine has by default.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "domain.h"
#include "error.h"
#include "qemu_internal.h"
#include "qemu_walk.h"

#define MIB        (UINT64_C(1) << 20)
#define GIB        (UINT64_C(1) << 30)
#define ABOVE      (4 * GIB)
#define ADDRESSES  (UINT64_C(1) << 52)
#define VGA_WINDOW 0xa0000
#define VGA_END    0xc0000
#define END_OF_PAM MIB
#define NODES      128

/* What pc_max_used_gpa may reach before RAM above 4 GiB goes to 1 TiB, for a CPU of AMD and machines from 7.1
 * on; with the hole for 64-bit PCI that q35 leaves by default, the larger one, at a multiple of 1 GiB. */
#define HYPERTRANSPORT UINT64_C(0xfd00000000)
#define PCI_HOLE       (33 * GIB)

/* The CMOS: le16 of 64 KiB from 16 MiB to the hole, le24 of 64 KiB from 4 GiB on. */
#define CMOS_SIZE      128
#define CMOS_LOW       0x34
#define CMOS_HIGH      0x5b
#define CMOS_UNIT      65536
#define CMOS_LOW_START (16 * MIB)
#define CMOS_LOW_MAX   65535
#define CMOS_HIGH_MASK 0xffffff

struct layout {
	const struct nm_ram_block *blocks[NODES]; /* in order of nodes */
	size_t count;
	bool any_name;      /* the block has no name that says what it is */
	uint64_t size, low; /* of all; from 0 to the hole, as far as it is known */
	bool has_high;      /* the rest is from 4 GiB on */
	const char *why;    /* it is not known */
};

/* ---- Which blocks ------------------------------------------------------------------------------ */

/* A memory backend's block has its id for a name or its path (x-use-canonical-path-for-ramblock-id). */
static const char *id_of(const char *name)
{
	static const char path[] = "/objects/";

	return strncmp(name, path, strlen(path)) == 0 ? name + strlen(path) : name;
}

bool qemu_may_be_ram(const char *name)
{
	static const char *const others[] = {"pc.bios", "pc.rom", "system.flash0", "system.flash1"};
	const char *id = id_of(name);

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(id, others[i]) == 0)
			return false;
	/* Blocks of devices have their path before the name; tables of ACPI, "/rom@". */
	return !strchr(id, '/');
}

/* libvirt calls the backend of node N "ram-nodeN". NODES if this is none. */
static size_t node_of(const char *name)
{
	static const char prefix[] = "ram-node";
	const char *id = id_of(name);
	size_t node = 0;

	if (strncmp(id, prefix, strlen(prefix)) != 0)
		return NODES;
	id += strlen(prefix);
	if (!*id || (*id == '0' && id[1]))
		return NODES;
	for (; *id; id++) {
		if (*id < '0' || *id > '9')
			return NODES;
		node = 10 * node + (size_t)(*id - '0');
		if (node >= NODES)
			return NODES;
	}
	return node;
}

static bool add_block(struct layout *l, size_t node, const struct nm_ram_block *block)
{
	if (l->blocks[node])
		return false;
	l->blocks[node] = block;
	l->count++;
	return true;
}

/* false: there is no telling. What a backend by another name is for is known where no other block may be RAM. */
static bool choose(const struct qemu_walk *walk, struct layout *l)
{
	const struct nm_ram_block *ram = NULL;

	if (walk->block_count > QEMU_RAM_BLOCKS)
		return false;
	for (size_t i = 0; i < walk->block_count; i++) {
		const struct nm_ram_block *block = &walk->blocks[i];
		size_t node = node_of(block->name);

		if (block->size % NM_PAGE_SIZE)
			return false;
		if (node < NODES && !add_block(l, node, block))
			return false;
		if (strcmp(id_of(block->name), "pc.ram") == 0) {
			if (ram)
				return false;
			ram = block;
		}
	}
	l->any_name = !ram && !l->count;
	if (l->any_name && walk->block_count == 1)
		ram = &walk->blocks[0];
	if (ram && !add_block(l, 0, ram))
		return false;
	for (size_t i = 0; i < l->count; i++) {
		if (!l->blocks[i])
			return false;
		l->size += l->blocks[i]->size;
	}
	return l->count && l->size <= ADDRESSES;
}

/* ---- Where the hole is -------------------------------------------------------------------------- */

static bool is_q35(const char *machine)
{
	return machine && strstr(machine, "q35");
}

/* "pc-q35-7.2", "pc-i440fx-10.0", "pc-1.3" are older than this; a distribution's own are not. */
static bool is_older(const char *machine, unsigned major, unsigned minor)
{
	const char *version = machine ? strrchr(machine, '-') : NULL;
	char *end;
	unsigned long is;

	if (!version || version[1] < '0' || version[1] > '9')
		return false;
	is = strtoul(version + 1, &end, 10);
	if (*end != '.' || end[1] < '0' || end[1] > '9')
		return false;
	return is < major || (is == major && strtoul(end + 1, NULL, 10) < minor);
}

/* What of size is below the hole if nothing else was asked for. */
static uint64_t default_low(const char *machine, uint64_t size)
{
	uint64_t low;

	if (is_q35(machine))
		low = size < 0xb0000000 ? 0xb0000000 : 2 * GIB;
	else /* gigabyte_align came with 2.0 */
		low = size < 0xe0000000 || is_older(machine, 2, 0) ? 0xe0000000 : 3 * GIB;
	return size < low ? size : low;
}

/* The same of what a guest surely has there, if its operator has not asked for less. */
static uint64_t surely_low(const char *machine, uint64_t size)
{
	uint64_t low = machine && !is_q35(machine) ? 3 * GIB : 2 * GIB;

	return size < low ? size : low;
}

static const uint8_t *find_cmos(const struct qemu_sections *sections)
{
	const struct qemu_section *found = NULL;

	for (size_t i = 0; i < sections->count; i++) {
		if (strcmp(sections->list[i].name, "mc146818rtc") != 0)
			continue;
		if (found)
			return NULL;
		found = &sections->list[i];
	}
	return found && found->payload.size >= CMOS_SIZE ? found->payload.bytes : NULL;
}

static uint64_t cmos_low(uint64_t low)
{
	uint64_t units = low > CMOS_LOW_START ? (low - CMOS_LOW_START) / CMOS_UNIT : 0;

	return units < CMOS_LOW_MAX ? units : CMOS_LOW_MAX;
}

/*
 * Where the CMOS says what the machine has by default, that is taken for true. Where it says something else that
 * fits, it may be what the operator has asked for, or the guest's lie: both are RAM up to the lower hole.
 */
static void find_hole(struct layout *l, const char *machine, const uint8_t *cmos)
{
	uint64_t low = default_low(machine, l->size), is_low, is_high;

	l->low = surely_low(machine, l->size);
	if (!cmos) {
		l->why = "the stream has no CMOS that tells where";
		return;
	}
	is_low = nm_le16(cmos + CMOS_LOW);
	is_high = nm_le16(cmos + CMOS_HIGH) | (uint64_t)cmos[CMOS_HIGH + 2] << 16;
	if (machine && is_low == cmos_low(low) &&
	    is_high == ((l->size - low) / CMOS_UNIT & CMOS_HIGH_MASK)) {
		l->low = low;
		l->has_high = true;
		return;
	}
	l->why = "the CMOS, which a guest can write, does not tell the machine's default";
	is_low = CMOS_LOW_START + is_low * CMOS_UNIT;
	if (is_low + is_high * CMOS_UNIT == l->size && is_low < l->low)
		l->low = is_low;
}

/* ---- What libvirt says ------------------------------------------------------------------------- */

/* RAM that can be added later, or a larger hole for PCI, count for where RAM goes. */
static void check_start(struct layout *l, const struct nestmig_state *state,
			const struct nm_domain *domain)
{
	if (state->vendor == NESTMIG_VENDOR_INTEL || is_older(state->machine, 7, 1) ||
	    l->low == l->size)
		return;
	if (ABOVE + (l->size - l->low) + PCI_HOLE > HYPERTRANSPORT ||
	    (domain && (domain->has_max_memory || domain->has_pcihole64))) {
		l->has_high = false;
		l->why = "with a CPU of AMD QEMU may have moved it to 1 TiB";
	}
}

/* Takes away what is not certain with this XML. */
static bool check_domain(struct layout *l, const struct nestmig_state *state)
{
	struct nm_domain *domain = NULL;
	bool good = true;

	if (state->domain_xml && nm_domain_parse(state->domain_xml, &domain, NULL) != NESTMIG_OK)
		return false;
	if (domain && node_of(l->blocks[0]->name) < NODES)
		good = domain->cells == l->count;
	if (l->has_high)
		check_start(l, state, domain);
	nm_domain_free(domain);
	return good;
}

/* ---- Into the state ---------------------------------------------------------------------------- */

/*
 * The first low bytes, but for the VGA window and what PAM registers may turn into ROM. A vCPU in SMM
 * sees RAM where the VGA window is (compatible SMRAM), which is where SeaBIOS puts its SMBASE.
 */
static enum nestmig_error add_extents(struct nestmig_state *state, const struct layout *l,
				      struct nestmig_detail *detail)
{
	uint64_t low = l->low, window = low < VGA_WINDOW ? low : VGA_WINDOW;
	uint64_t smram = low < VGA_END ? low : VGA_END;
	const struct nm_extent extents[] = {
		{.size = window},
		{.gpa = END_OF_PAM, .size = low < END_OF_PAM ? 0 : low - END_OF_PAM},
		{.gpa = window, .size = smram - window, .smm_only = true},
		{.gpa = ABOVE, .size = l->has_high ? l->size - low : 0},
	};
	enum nestmig_error error = NESTMIG_OK;

	for (size_t i = 0; i < sizeof(extents) / sizeof(extents[0]) && !error; i++)
		error = nm_state_add_extent(state, extents[i], detail);
	return error;
}

/* What of a block that starts `start` behind the first one's start lies in [from, to) of all. */
static void add_piece(struct nm_stream_ram *ram, struct nm_ram_piece *pieces, size_t block,
		      uint64_t start, uint64_t from, uint64_t to, uint64_t gpa)
{
	uint64_t end = start + ram->blocks[block].size;
	uint64_t first = start > from ? start : from, last = end < to ? end : to;

	if (first < last)
		pieces[ram->piece_count++] = (struct nm_ram_piece){.gpa = gpa + (first - from),
								   .size = last - first,
								   .offset = first - start,
								   .block = block};
}

static enum nestmig_error add_pieces(struct nestmig_state *state, const struct layout *l,
				     struct nestmig_detail *detail)
{
	struct nm_ram_block *blocks = nm_state_room(state, l->count * sizeof(*blocks));
	struct nm_ram_piece *pieces = nm_state_room(state, 2 * l->count * sizeof(*pieces));
	struct nm_stream_ram *ram = &state->ram;
	uint64_t start = 0;

	if (!blocks || !pieces)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < l->count; i++)
		blocks[i] = *l->blocks[i];
	ram->blocks = blocks;
	ram->pieces = pieces;
	ram->block_count = l->count;
	for (size_t i = 0; i < l->count; start += blocks[i++].size)
		add_piece(ram, pieces, i, start, 0, l->low, 0);
	start = 0;
	for (size_t i = 0; i < l->count && l->has_high; start += blocks[i++].size)
		add_piece(ram, pieces, i, start, l->low, l->size, ABOVE);
	return add_extents(state, l, detail);
}

static enum nestmig_error put_remark(struct nestmig_state *state, uint64_t from, const char *why,
				     struct nestmig_detail *detail)
{
	char behind[64] = "";

	if (state->remark)
		return NESTMIG_OK;
	if (from)
		snprintf(behind, sizeof(behind), " behind the first %" PRIu64 " MiB", from / MIB);
	if (asprintf(&state->remark, "Where the guest has its RAM%s is not known: %s.", behind,
		     why) >= 0)
		return NESTMIG_OK;
	state->remark = NULL;
	return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
}

/* Only the pc machines are known; without a configuration section it is one if a block is called so. */
enum nestmig_error qemu_layout(const struct qemu_walk *walk, struct nestmig_state *state,
			       const struct qemu_sections *sections)
{
	static const char names[] = "the names of the RAM blocks do not tell their order";
	struct layout l = {0};
	enum nestmig_error error;

	if (!walk->block_count || (state->machine && strncmp(state->machine, "pc-", 3) != 0))
		return NESTMIG_OK;
	if (!choose(walk, &l) ||
	    (!state->machine && strcmp(id_of(l.blocks[0]->name), "pc.ram") != 0))
		return put_remark(state, 0, names, walk->detail);
	find_hole(&l, state->machine, find_cmos(sections));
	if (!check_domain(&l, state) || (l.any_name && l.why))
		return put_remark(state, 0, names, walk->detail);
	error = add_pieces(state, &l, walk->detail);
	if (!error && !l.has_high && l.low < l.size)
		error = put_remark(state, l.low, l.why, walk->detail);
	return error;
}
