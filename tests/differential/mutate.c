// SPDX-License-Identifier: GPL-2.0-or-later
/* Drawing what a case changes. */
#include "mutate.h"

#include <stdio.h>
#include <string.h>

#include "edges.h"
#include "host.h"
#include "random.h"

#define BIT(n)   (UINT64_C(1) << (n))
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Of a case being drawn. */
struct draw {
	struct random random;
	const struct base *base;
	struct mutation *mutation;
};

/* How often a group is the one that a case is about, where the base has it. */
static const unsigned group_weights[GROUPS] = {
	[GROUP_HEADER] = 8,      [GROUP_CONTROL] = 16, [GROUP_L1_SAVE] = 14,    [GROUP_SREGS] = 22,
	[GROUP_SEGMENTS] = 4,    [GROUP_REGS] = 3,     [GROUP_EVENTS] = 16,     [GROUP_DEBUG] = 5,
	[GROUP_MP_STATE] = 3,    [GROUP_MSRS] = 4,     [GROUP_PAGE_TABLES] = 5, [GROUP_SMRAM] = 34,
	[GROUP_SMM_VMCB12] = 18, [GROUP_HSAVE] = 7,
};

/* With VMX the VMCS12 has what L2 runs with, and KVM checks most of it itself. */
static const unsigned vmx_group_weights[GROUPS] = {
	[GROUP_HEADER] = 8,        [GROUP_SREGS] = 8,         [GROUP_SEGMENTS] = 2,
	[GROUP_REGS] = 2,          [GROUP_EVENTS] = 10,       [GROUP_DEBUG] = 3,
	[GROUP_MP_STATE] = 3,      [GROUP_MSRS] = 2,          [GROUP_PAGE_TABLES] = 3,
	[GROUP_SMRAM] = 34,        [GROUP_VMCS_CONTROL] = 32, [GROUP_VMCS_GUEST] = 24,
	[GROUP_VMCS_SEGMENT] = 24, [GROUP_VMCS_EVENT] = 14,   [GROUP_VMCS_HOST] = 20,
	[GROUP_VMCS_OTHER] = 3,    [GROUP_VMX_CAPS] = 16,     [GROUP_VMX_MEMORY] = 10,
};

static unsigned weight_of(const struct base *base, unsigned group)
{
	return base->is_vmx ? vmx_group_weights[group] : group_weights[group];
}

static unsigned below(struct draw *draw, unsigned count)
{
	return random_below(&draw->random, count);
}

static uint64_t mask_of(unsigned width)
{
	return width < 8 ? BIT(8 * width) - 1 : UINT64_MAX;
}

/* Mostly one bit: that is what breaks one rule and no other. */
static uint64_t any_value(struct draw *draw, uint64_t value, unsigned width)
{
	switch (below(draw, 8)) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX;
	case 2:
		return random_draw(&draw->random);
	case 3:
		return value + (below(draw, 2) ? 1 : UINT64_MAX);
	default:
		return value ^ BIT(below(draw, 8 * width));
	}
}

/* At and around the widths that matter (40 bits: the emulated host's; 52; none) and the end of RAM. */
static uint64_t edge_address(struct draw *draw, uint64_t value)
{
	static const uint64_t offsets[] = {0, 0x1, 0x18, 0xfff, 0x1000, 0x2000, 0x3000};
	const uint64_t ends[] = {0,
				 BIT(32),
				 BIT(36),
				 BIT(39),
				 BIT(40),
				 BIT(52),
				 BIT(63),
				 draw->base->ram_end,
				 draw->base->ram_end};
	uint64_t end = ends[below(draw, COUNT(ends))];
	uint64_t offset = offsets[below(draw, COUNT(offsets))];

	switch (below(draw, 3)) {
	case 0:
		return end - offset;
	case 1:
		return end + offset;
	default:
		return value ^ (end | (offset & 0xfff));
	}
}

static uint64_t edge_value(struct draw *draw, uint64_t value, const struct edge *edge)
{
	uint64_t drawn;

	if (edge->kind == EDGE_ADDRESS)
		return edge_address(draw, value);
	drawn = edge->values[below(draw, edge->count)];
	return edge->kind == EDGE_FLIP ? value ^ drawn : drawn;
}

/* What is at a place now: the same bytes may have been changed before. */
static uint64_t value_now(const struct draw *draw, const struct place *place)
{
	uint64_t value = base_value(draw->base, place);

	for (unsigned i = 0; i < draw->mutation->poke_count; i++) {
		const struct poke *poke = &draw->mutation->pokes[i];

		for (unsigned byte = 0; poke->place->file == place->file && byte < place->width;
		     byte++) {
			uint64_t at = place->offset + byte - poke->place->offset;

			if (at >= poke->place->width)
				continue;
			value &= ~(UINT64_C(0xff) << (8 * byte));
			value |= (poke->after >> (8 * at) & 0xff) << (8 * byte);
		}
	}
	return value;
}

static void add_poke(struct draw *draw, const struct place *place, uint64_t before, uint64_t after)
{
	struct mutation *mutation = draw->mutation;

	after &= mask_of(place->width);
	if (after != before && mutation->poke_count < MAX_POKES)
		mutation->pokes[mutation->poke_count++] = (struct poke){place, before, after};
}

static void poke_edge(struct draw *draw, const struct place *place)
{
	uint64_t before = value_now(draw, place);

	add_poke(draw, place, before, edge_value(draw, before, place->edge));
}

static void poke_any(struct draw *draw, const struct place *place)
{
	uint64_t before = value_now(draw, place);

	if (place->has_edge_only)
		poke_edge(draw, place);
	else
		add_poke(draw, place, before, any_value(draw, before, place->width));
}

static const struct place *find_place(const struct base *base, const char *name)
{
	for (size_t i = 0; i < base->place_count; i++)
		if (strcmp(base->places[i].name, name) == 0)
			return &base->places[i];
	return NULL;
}

static void follow(struct draw *draw, const struct recipe *recipe)
{
	for (unsigned i = 0; i < MAX_RECIPE_STEPS && recipe->steps[i].place; i++) {
		const struct recipe_step *step = &recipe->steps[i];
		const struct place *place = find_place(draw->base, step->place);
		uint64_t mask = step->mask ? step->mask : UINT64_MAX, before;

		if (!place)
			continue;
		before = value_now(draw, place);
		add_poke(draw, place, before, (before & ~mask) | (step->set & mask));
	}
}

/* Is it one of the group? With VMX it is one if the base has all places: some are of SVM. */
static bool is_of(const struct draw *draw, const struct recipe *recipe, unsigned group)
{
	if (recipe->group != group)
		return false;
	for (unsigned i = 0; draw->base->is_vmx && i < MAX_RECIPE_STEPS && recipe->steps[i].place;
	     i++)
		if (!find_place(draw->base, recipe->steps[i].place))
			return false;
	return true;
}

static const struct recipe *recipe_at(size_t index)
{
	return index < recipe_count ? &recipes[index] : &vmx_recipes[index - recipe_count];
}

/* A recipe of the group; false if it has none. */
static bool draw_recipe(struct draw *draw, unsigned group)
{
	size_t all = recipe_count + (draw->base->is_vmx ? vmx_recipe_count : 0);
	unsigned count = 0, chosen;

	for (size_t i = 0; i < all; i++)
		count += is_of(draw, recipe_at(i), group);
	if (!count)
		return false;
	chosen = below(draw, count);
	for (size_t i = 0; i < all; i++)
		if (is_of(draw, recipe_at(i), group) && chosen-- == 0)
			follow(draw, recipe_at(i));
	return true;
}

/* One mutation in a group: mostly at an edge, sometimes a recipe, sometimes any value anywhere. */
static void draw_in_group(struct draw *draw, unsigned group)
{
	const struct base *base = draw->base;
	unsigned places = (unsigned)(base->group_start[group + 1] - base->group_start[group]);
	unsigned edges = (unsigned)(base->edge_start[group + 1] - base->edge_start[group]);
	unsigned kind = below(draw, 16);

	/* A case that changes nothing shows nothing: what is drawn may be what is there. */
	for (unsigned tries = 0, count = draw->mutation->poke_count;
	     tries < 8 && draw->mutation->poke_count == count; tries++) {
		if (kind < 5 && draw_recipe(draw, group))
			continue;
		if (kind < 14 && edges)
			poke_edge(draw, &base->places[base->edges[base->edge_start[group] +
								  below(draw, edges)]]);
		else
			poke_any(draw,
				 &base->places[base->group_start[group] + below(draw, places)]);
	}
}

static unsigned draw_group(struct draw *draw)
{
	const struct base *base = draw->base;
	unsigned total = 0, drawn;

	for (unsigned group = 0; group < GROUPS; group++)
		if (base->group_start[group] != base->group_start[group + 1])
			total += weight_of(base, group);
	drawn = below(draw, total);
	for (unsigned group = 0; group < GROUPS; group++) {
		if (base->group_start[group] == base->group_start[group + 1])
			continue;
		if (drawn < weight_of(base, group))
			return group;
		drawn -= weight_of(base, group);
	}
	return GROUP_SREGS;
}

/* ---- Restore order --------------------------------------------------------------------------- */

#define MAX_IOCTLS 16

/* In which order others restore; ioctls that the base does not restore with are left out. */
static const char *const orders[][MAX_IOCTLS] = {
	/* QEMU 7.2 */
	{"KVM_SET_CPUID2", "KVM_SET_SREGS2", "KVM_SET_NESTED_STATE", "KVM_SET_REGS",
	 "KVM_SET_XSAVE", "KVM_SET_MSRS", "KVM_SET_VCPU_EVENTS", "KVM_SET_MP_STATE",
	 "KVM_SET_DEBUGREGS"},
	/* KVM's selftests: the nested state last */
	{"KVM_SET_CPUID2", "KVM_SET_SREGS2", "KVM_SET_MSRS", "KVM_SET_XSAVE", "KVM_SET_VCPU_EVENTS",
	 "KVM_SET_MP_STATE", "KVM_SET_DEBUGREGS", "KVM_SET_REGS", "KVM_SET_NESTED_STATE"},
	/* events first, then as QEMU */
	{"KVM_SET_CPUID2", "KVM_SET_VCPU_EVENTS", "KVM_SET_SREGS2", "KVM_SET_NESTED_STATE",
	 "KVM_SET_REGS", "KVM_SET_XSAVE", "KVM_SET_MSRS", "KVM_SET_MP_STATE", "KVM_SET_DEBUGREGS"},
	/* the nested state before the registers that it needs */
	{"KVM_SET_CPUID2", "KVM_SET_NESTED_STATE", "KVM_SET_SREGS2", "KVM_SET_REGS",
	 "KVM_SET_XSAVE", "KVM_SET_MSRS", "KVM_SET_VCPU_EVENTS", "KVM_SET_MP_STATE",
	 "KVM_SET_DEBUGREGS"},
	/* the MP state first */
	{"KVM_SET_CPUID2", "KVM_SET_MP_STATE", "KVM_SET_SREGS2", "KVM_SET_NESTED_STATE",
	 "KVM_SET_REGS", "KVM_SET_XSAVE", "KVM_SET_MSRS", "KVM_SET_VCPU_EVENTS",
	 "KVM_SET_DEBUGREGS"},
	/* events last */
	{"KVM_SET_CPUID2", "KVM_SET_MSRS", "KVM_SET_SREGS2", "KVM_SET_REGS", "KVM_SET_XSAVE",
	 "KVM_SET_DEBUGREGS", "KVM_SET_NESTED_STATE", "KVM_SET_MP_STATE", "KVM_SET_VCPU_EVENTS"},
};

/* With VMX the capability MSRs come before the nested state; but for the last, as QEMU would without them. */
static const char *const vmx_orders[][MAX_IOCTLS] = {
	/* QEMU 7.2 */
	{"KVM_SET_CPUID2", "KVM_SET_MSRS", "KVM_SET_SREGS2", "KVM_SET_NESTED_STATE", "KVM_SET_REGS",
	 "KVM_SET_XSAVE", "KVM_SET_VCPU_EVENTS", "KVM_SET_MP_STATE", "KVM_SET_DEBUGREGS"},
	/* events last */
	{"KVM_SET_CPUID2", "KVM_SET_MSRS", "KVM_SET_SREGS2", "KVM_SET_REGS", "KVM_SET_XSAVE",
	 "KVM_SET_MP_STATE", "KVM_SET_DEBUGREGS", "KVM_SET_NESTED_STATE", "KVM_SET_VCPU_EVENTS"},
	/* events first */
	{"KVM_SET_CPUID2", "KVM_SET_MSRS", "KVM_SET_VCPU_EVENTS", "KVM_SET_SREGS2", "KVM_SET_REGS",
	 "KVM_SET_XSAVE", "KVM_SET_MP_STATE", "KVM_SET_DEBUGREGS", "KVM_SET_NESTED_STATE"},
	/* the nested state before the registers that L1 had */
	{"KVM_SET_CPUID2", "KVM_SET_MSRS", "KVM_SET_NESTED_STATE", "KVM_SET_SREGS2", "KVM_SET_REGS",
	 "KVM_SET_XSAVE", "KVM_SET_VCPU_EVENTS", "KVM_SET_MP_STATE", "KVM_SET_DEBUGREGS"},
	/* the MP state first */
	{"KVM_SET_CPUID2", "KVM_SET_MP_STATE", "KVM_SET_MSRS", "KVM_SET_SREGS2", "KVM_SET_REGS",
	 "KVM_SET_XSAVE", "KVM_SET_VCPU_EVENTS", "KVM_SET_DEBUGREGS", "KVM_SET_NESTED_STATE"},
	/* MSRs after the nested state */
	{"KVM_SET_CPUID2", "KVM_SET_SREGS2", "KVM_SET_NESTED_STATE", "KVM_SET_REGS",
	 "KVM_SET_XSAVE", "KVM_SET_MSRS", "KVM_SET_VCPU_EVENTS", "KVM_SET_MP_STATE",
	 "KVM_SET_DEBUGREGS"},
};

/* Is a name one of a comma-separated list? */
static bool is_in_list(const char *list, const char *name)
{
	size_t length = strlen(name);

	for (; list && *list; list = strchr(list, ',') ? strchr(list, ',') + 1 : NULL)
		if (strncmp(list, name, length) == 0 && (!list[length] || list[length] == ','))
			return true;
	return false;
}

static void draw_order(struct draw *draw)
{
	const char *own = draw->base->state->restore_order;
	const char *const *order = draw->base->is_vmx ? vmx_orders[below(draw, COUNT(vmx_orders))]
						      : orders[below(draw, COUNT(orders))];
	char *text = draw->mutation->order;
	size_t room = sizeof(draw->mutation->order), used = 0;

	for (unsigned i = 0; own && i < MAX_IOCTLS && order[i] && used < room; i++)
		if (is_in_list(own, order[i]))
			used += (size_t)snprintf(text + used, room - used, "%s%s", used ? "," : "",
						 order[i]);
}

/* ---- A case ---------------------------------------------------------------------------------- */

/* 1 to 3: a second and third one hide the first as often as they go with it. */
static unsigned draw_count(struct draw *draw)
{
	unsigned drawn = below(draw, 16);

	return drawn < 10 ? 1 : drawn < 14 ? 2 : 3;
}

/* ---- What the emulated processor does not survive -------------------------------------------- */

#define MAX_TRIES 100
#define CR0_PE    BIT(0)
#define CR0_PG    BIT(31)
#define CR4_PAE   BIT(5)
#define EFER_LME  BIT(8)
#define EFER_LMA  BIT(10)
#define RFLAGS_VM BIT(17)
#define ATTRIB_P  BIT(7)

/* Where the registers are with which something may run. Segments: of KVM's struct, or VMCB attributes. */
static const struct registers {
	const char *cr0, *cr4, *efer, *rflags;
	const char *ss_dpl, *tr_type, *tr_present, *tr_unusable;
	const char *ss_attrib, *tr_attrib;
} register_sets[] = {
	{"sregs.cr0", "sregs.cr4", "sregs.efer", "regs.rflags", "sregs.ss.dpl", "sregs.tr.type",
	 "sregs.tr.present", "sregs.tr.unusable", NULL, NULL},
	{"vmcb12.save.cr0", "vmcb12.save.cr4", "vmcb12.save.efer", "vmcb12.save.rflags", NULL,
	 "sregs.tr.type", "sregs.tr.present", "sregs.tr.unusable", "vmcb12.save.ss.attrib", NULL},
	{"smram.cr0", "smram.cr4", "smram.efer", "smram.rflags", NULL, NULL, NULL, NULL,
	 "smram.ss.attrib", "smram.tr.attrib"},
	{"hsave.save.cr0", "hsave.save.cr4", "hsave.save.efer", "hsave.save.rflags", NULL, NULL,
	 NULL, NULL, "hsave.save.ss.attrib", "smram.tr.attrib"},
	{"smm_vmcb12.save.cr0", "smm_vmcb12.save.cr4", "smm_vmcb12.save.efer",
	 "smm_vmcb12.save.rflags", NULL, NULL, NULL, NULL, "smm_vmcb12.save.ss.attrib",
	 "smram.tr.attrib"},
};

/* The value that a place has in the case, 0 if the base has no such place. */
static uint64_t value_of(const struct draw *draw, const char *name)
{
	const struct place *place = name ? find_place(draw->base, name) : NULL;

	return place ? value_now(draw, place) : 0;
}

/* Attributes as in a VMCB; the 32-bit map of SMRAM has those of a descriptor, eight bits further up. */
static unsigned attrib_of(const struct draw *draw, const char *name)
{
	const struct place *place = name ? find_place(draw->base, name) : NULL;

	return place ? (unsigned)(value_now(draw, place) >> (place->width == 4 ? 8 : 0)) : 0;
}

/*
 * TCG of QEMU 7.2 ends itself ("invalid tss", "invalid tss type": get_ss_esp_from_tss and
 * get_rsp_from_tss) when an exception below privilege level 0 finds a TR that is not present or, outside
 * long mode, busy, as LTR leaves it. An L2 that is not at level 0 here takes such an exception at once.
 */
static bool has_fatal_tr(const struct draw *draw, const struct registers *set)
{
	unsigned dpl = set->ss_dpl ? (unsigned)value_of(draw, set->ss_dpl)
				   : attrib_of(draw, set->ss_attrib) >> 5 & 3;
	unsigned type = (unsigned)value_of(draw, set->tr_type);
	bool present = value_of(draw, set->tr_present) && !value_of(draw, set->tr_unusable);
	bool is_long = value_of(draw, set->efer) & EFER_LMA;

	if (set->tr_attrib) {
		type = attrib_of(draw, set->tr_attrib) & 0xf;
		present = attrib_of(draw, set->tr_attrib) & ATTRIB_P;
	}
	if (!(value_of(draw, set->cr0) & CR0_PE))
		return false;
	if (!is_long && (value_of(draw, set->rflags) & RFLAGS_VM))
		dpl = 3;
	return (dpl & 3) && (!present || (!is_long && (type & 7) != 1));
}

/*
 * #VMEXIT of TCG loads the host's CR0 first. If the guest has EFER.LME, and neither paging nor PAE, that is
 * refused as an entry to long mode without PAE (cpu_x86_update_cr0), and the host goes on without paging:
 * it never comes back. Without nested paging the guest's own CR0 and CR4 are not those of the VMCB.
 */
static bool has_fatal_mode(const struct draw *draw, const struct registers *set)
{
	return draw->base->state->host->view.npt && (value_of(draw, set->efer) & EFER_LME) &&
	       !(value_of(draw, set->cr0) & CR0_PG) && !(value_of(draw, set->cr4) & CR4_PAE);
}

/*
 * Of VMX it is KVM that does not survive everything: a vCPU that its events put into SMM keeps page tables of
 * outside, and when the VM goes away, 6.1 with TDP finds an entry that it has not counted (BUG in
 * pte_list_remove, mmu.c:952) and hangs with a lock held.
 */
static bool enters_smm(const struct draw *draw)
{
	return draw->base->is_vmx && !draw->base->is_smm && value_of(draw, "events.smi_smm");
}

static bool is_survivable(const struct draw *draw)
{
	if (enters_smm(draw))
		return false;
	for (size_t i = 0; !draw->base->is_vmx && i < COUNT(register_sets); i++)
		if (has_fatal_tr(draw, &register_sets[i]) ||
		    has_fatal_mode(draw, &register_sets[i]))
			return false;
	return true;
}

void mutation_draw(const struct base *base, uint64_t seed, unsigned number,
		   struct mutation *ret_mutation)
{
	struct draw draw = {.base = base, .mutation = ret_mutation};
	unsigned group, count, tries = 0;

	draw.random.state = random_seed(seed, base->name) + number * UINT64_C(0xd1342543de82ef95);
	ret_mutation->number = number;
	do {
		ret_mutation->poke_count = 0;
		ret_mutation->order[0] = '\0';
		group = draw_group(&draw);
		count = draw_count(&draw);
		for (unsigned i = 0; i < count; i++)
			draw_in_group(&draw, i && below(&draw, 3) == 0 ? draw_group(&draw) : group);
		if (below(&draw, 16) == 0)
			draw_order(&draw);
	} while (!is_survivable(&draw) && ++tries < MAX_TRIES);
}
