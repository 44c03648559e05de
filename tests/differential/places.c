// SPDX-License-Identifier: GPL-2.0-or-later
/* The places of a base state that may be changed: fields of the KVM structs, and guest memory. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "edges.h"
#include "fields.h"
#include "mutate.h"
#include "places.h"

#define MAX_PLACES       4096
#define MSR_SMBASE       0x9e
#define MSR_VM_HSAVE_PA  0xc0010117
#define CPUID_LONG_MODE  (1u << 29)
#define NESTED_CTL_NP    1
#define CR0_PG           (UINT64_C(1) << 31)
#define CR4_PAE          (UINT64_C(1) << 5)
#define EFER_LMA         (UINT64_C(1) << 10)
#define SMRAM_GUEST_FLAG 0xfed8
#define SMRAM_VMCB12_PA  0xfee0
#define SMRAM_EFER       0xfed0
#define SMRAM_CR4        0xff48
#define SMRAM_CR3        0xff50
#define SMRAM_CR0        0xff58
#define SREGS2_FLAGS     280
#define PAGE_ADDRESS     UINT64_C(0x000ffffffffff000)
#define SAVE_AREA        0x400
#define SAVE_EFER        0x0d0
#define SAVE_CR4         0x148
#define SAVE_CR3         0x150

/*
 * The first prefix that fits decides. What is not named here is nobody's: KVM or VMRUN judges it, but no
 * instruction of L2 or L1 can trip over it.
 */
static const struct {
	const char *prefix;
	enum user user;
} users[] = {
	/* More or fewer exits, and what is injected; L2's second page tables. */
	{"vmcb12.control.intercept_", USER_L2},
	{"vmcb12.control.iopm_base_pa", USER_L2},
	{"vmcb12.control.int_ctl", USER_L2},
	{"vmcb12.control.int_vector", USER_L2},
	{"vmcb12.control.event_inj", USER_L2},
	{"vmcb12.control.nested_", USER_FETCH},
	{"vmcb12.save.", USER_L1},
	/* where its VMCB is written to at the next exit */
	{"nested_state.vmcb_pa", USER_L1},
	{"sregs.cr2", USER_NOBODY},
	{"sregs.cr8", USER_NOBODY},
	{"sregs.apic_base", USER_NOBODY},
	{"sregs.flags", USER_NOBODY},
	{"sregs.c", USER_FETCH},
	{"sregs.efer", USER_FETCH},
	{"sregs.pdptr", USER_FETCH},
	{"sregs.idt.", USER_FETCH},
	{"sregs.", USER_L2},
	{"regs.ri", USER_FETCH},
	{"regs.", USER_L2},
	{"events.exception_", USER_L2},
	{"events.interrupt_shadow", USER_NOBODY},
	{"events.interrupt_", USER_L2},
	{"events.nmi_masked", USER_NOBODY},
	{"events.nmi_", USER_L2},
	{"events.smi_smm", USER_L1},
	{"events.smi_pending", USER_L1},
	{"debugregs.db", USER_L2},
	{"debugregs.dr7", USER_L2},
	{"msr.hsave_pa", USER_L1},
	{"l2-", USER_FETCH},
	{"nested-", USER_FETCH},
	{"l1-", USER_L1},
	{"smm_vmcb12.", USER_FETCH},
	{"hsave.", USER_L1},
};

static enum user user_of(const char *name)
{
	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++)
		if (strncmp(name, users[i].prefix, strlen(users[i].prefix)) == 0)
			return users[i].user;
	return USER_NOBODY;
}

struct place *place_add(struct base *base, enum group group, const char *name, uint16_t file,
			uint64_t offset, unsigned width)
{
	struct place *place;

	if (base->place_count == MAX_PLACES || width == 0 || width > 8 ||
	    offset >= base->files[file].size || width > base->files[file].size - offset ||
	    strlen(name) >= sizeof(place->name))
		return NULL;
	place = &base->places[base->place_count++];
	strcpy(place->name, name);
	place->group = (uint8_t)group;
	place->user = (uint8_t)user_of(name);
	if (base->is_vmx)
		vmx_classify(place);
	place->is_l1s = place->user == USER_L1;
	place->file = file;
	place->offset = offset;
	place->width = (uint8_t)width;
	place->edge = edge_find(name, base->is_vmx);
	return place;
}

bool base_file(const struct base *base, const char *name, uint16_t *ret_file)
{
	for (size_t i = 0; i < base->file_count; i++) {
		if (strcmp(base->files[i].name, name) != 0)
			continue;
		*ret_file = (uint16_t)i;
		return true;
	}
	return false;
}

enum user place_user(const struct base *base, const struct mutation *mutation,
		     const struct poke *poke)
{
	const struct place *place = poke->place;
	uint64_t changed = poke->before ^ poke->after;

	if (base->is_vmx)
		return vmx_place_user(base, mutation, poke);
	/* Without GUEST_MODE L2's registers are taken for L1's. */
	if (strcmp(place->name, "nested_state.flags") == 0 && (changed & KVMNS_GUEST_MODE))
		return USER_FETCH;
	/* KVM shadows L1's nested page tables as L1's own mode has them. */
	if (base->has_nested_paging && (strcmp(place->name, "vmcb12.save.cr0") == 0 ||
					strcmp(place->name, "vmcb12.save.cr4") == 0 ||
					strcmp(place->name, "vmcb12.save.efer") == 0))
		return USER_FETCH;
	/* In the handler, or not; and where what it returns to is kept. */
	if (base->is_smm &&
	    (strcmp(place->name, "events.flags") == 0 || strcmp(place->name, "msr.smbase") == 0))
		return USER_FETCH;
	return (enum user)place->user;
}

/* ---- Fields of the KVM structs --------------------------------------------------------------- */

static const struct {
	const char *prefix;
	int group; /* -1: not to be changed, or found elsewhere */
} field_groups[] = {
	{"nested_state.stored_flags", -1},  {"nested_state.vmxon_pa", -1},
	{"nested_state.vmcs12_pa", -1},     {"nested_state.", GROUP_HEADER},
	{"vmcb12.control.", GROUP_CONTROL}, {"vmcb12.save.", GROUP_L1_SAVE},
	{"sregs.cr", GROUP_SREGS},          {"sregs.efer", GROUP_SREGS},
	{"sregs.apic_base", GROUP_SREGS},   {"sregs.pdptr", GROUP_SREGS},
	{"sregs.cs.l", GROUP_SREGS},        {"sregs.cs.db", GROUP_SREGS},
	{"sregs.", GROUP_SEGMENTS},         {"regs.", GROUP_REGS},
	{"events.", GROUP_EVENTS},          {"debugregs.", GROUP_DEBUG},
	{"mp_state", GROUP_MP_STATE},
};

static int group_of(const char *name)
{
	/* "sregs.cs.l" is no prefix of "sregs.cs.limit" here. */
	if (strcmp(name, "sregs.cs.limit") == 0)
		return GROUP_SEGMENTS;
	for (size_t i = 0; i < sizeof(field_groups) / sizeof(field_groups[0]); i++)
		if (strncmp(name, field_groups[i].prefix, strlen(field_groups[i].prefix)) == 0)
			return field_groups[i].group;
	return -1;
}

static bool is_in_memory(const struct nm_field *field)
{
	return field->item == NESTMIG_ITEM_SMRAM || field->item == NESTMIG_ITEM_SMM_VMCB12 ||
	       field->item == NESTMIG_ITEM_HSAVE;
}

static void add_fields(struct base *base)
{
	const struct nm_vcpu *vcpu = &base->state->vcpus[0];

	for (size_t i = 0; i < nm_field_count(); i++) {
		const struct nm_field *field = nm_field_at(i);
		int group = base->is_vmx ? vmx_group_of(field->name) : -1;
		uint16_t file;

		if (group < 0)
			group = group_of(field->name);
		if (group < 0 || field->kvm_offset < 0 || is_in_memory(field) ||
		    !nm_vcpu_has(vcpu, UINT64_C(1) << field->item) ||
		    !vcpu->origin[field->item].file ||
		    !base_file(base, vcpu->origin[field->item].file, &file))
			continue;
		place_add(base, (enum group)group, field->name, file,
			  nm_field_offset(vcpu, field, NULL, NULL), field->kvm_width);
	}
}

/* Bytes that no field covers, in steps of `width`. */
static void add_reserved(struct base *base, enum group group, const char *file_name, unsigned start,
			 unsigned end, unsigned width)
{
	uint16_t file;
	char name[52];

	if (!base_file(base, file_name, &file))
		return;
	for (unsigned offset = start; offset + width <= end; offset += width) {
		snprintf(name, sizeof(name), "%s+%u", strchr(file_name, '/') + 1, offset);
		place_add(base, group, name, file, offset, width);
	}
}

static void add_other_fields(struct base *base)
{
	uint16_t file;

	if (base_file(base, "vcpu0/sregs2", &file))
		place_add(base, GROUP_SREGS, "sregs.flags", file, SREGS2_FLAGS, 8);
	add_reserved(base, GROUP_HEADER, "vcpu0/nested_state", 40, 128, 8);
	add_reserved(base, GROUP_EVENTS, "vcpu0/vcpu_events", 15, 16, 1);
	add_reserved(base, GROUP_EVENTS, "vcpu0/vcpu_events", 29, 55, 1);
	add_reserved(base, GROUP_DEBUG, "vcpu0/debugregs", 56, 128, 8);
}

static void add_msrs(struct base *base)
{
	uint16_t file;

	if (!base_file(base, "vcpu0/msrs", &file))
		return;
	for (size_t offset = 0; offset + 16 <= base->files[file].size; offset += 16) {
		uint32_t index = nm_le32(base->files[file].bytes + offset);

		if (index == MSR_SMBASE)
			place_add(base, GROUP_MSRS, "msr.smbase", file, offset + 8, 8);
		else if (index == MSR_VM_HSAVE_PA)
			place_add(base, GROUP_MSRS, "msr.hsave_pa", file, offset + 8, 8);
	}
}

/* ---- Guest memory ---------------------------------------------------------------------------- */

bool base_word(const struct base *base, uint64_t gpa, uint64_t *ret_value)
{
	uint64_t offset;
	uint16_t file;

	if (!base_memory(base, gpa, 8, &file, &offset))
		return false;
	*ret_value = nm_le64(base->files[file].bytes + offset);
	return true;
}

void place_add_memory(struct base *base, enum group group, const char *name, uint64_t gpa,
		      unsigned width)
{
	uint64_t offset;
	uint16_t file;

	if (!base_memory(base, gpa, width, &file, &offset))
		return;
	/* L1 and L2 may share tables: what comes first is L2's. */
	for (size_t i = 0; i < base->place_count; i++)
		if (base->places[i].group == group && base->places[i].file == file &&
		    base->places[i].offset == offset) {
			base->places[i].is_l1s |= user_of(name) == USER_L1;
			return;
		}
	place_add(base, group, name, file, offset, width);
}

/* The entries of a table that are not 0, and those of the tables below them: the first few of each. */
static void add_table(struct base *base, const char *kind, uint64_t table, unsigned entries,
		      unsigned levels)
{
	unsigned found = 0;

	for (unsigned i = 0; i < entries && found < 3; i++) {
		uint64_t entry;
		char name[52];

		if (!base_word(base, table + 8 * i, &entry) || !entry)
			continue;
		found++;
		snprintf(name, sizeof(name), "%s-table@0x%" PRIx64, kind, table + 8 * i);
		place_add_memory(base, GROUP_PAGE_TABLES, name, table + 8 * i, 8);
		if (levels > 1 && (entry & 1) && !(entry & 0x80))
			add_table(base, kind, entry & PAGE_ADDRESS, 512, levels - 1);
	}
}

/* All four PDPTEs, or the tables of long mode, or (32-bit entries, two to a place) of 32-bit paging. */
void place_add_paging(struct base *base, const char *kind, uint64_t cr3, uint64_t cr4,
		      uint64_t efer)
{
	if (efer & EFER_LMA) {
		add_table(base, kind, cr3 & PAGE_ADDRESS, 512, 4);
		return;
	}
	if (!(cr4 & CR4_PAE)) {
		add_table(base, kind, cr3 & 0xfffff000, 512, 1);
		return;
	}
	for (unsigned i = 0; i < 4; i++) {
		uint64_t gpa = (cr3 & 0xffffffe0) + 8 * i, entry;
		char name[52];

		snprintf(name, sizeof(name), "%s-pdpte@0x%" PRIx64, kind, gpa);
		place_add_memory(base, GROUP_PAGE_TABLES, name, gpa, 8);
		if (base_word(base, gpa, &entry) && (entry & 1))
			add_table(base, kind, entry & PAGE_ADDRESS, 512, 2);
	}
}

uint64_t base_field(const struct base *base, const char *name)
{
	uint64_t value = 0;

	return nm_vcpu_field(&base->state->vcpus[0], name, &value, NULL, NULL) ? value : 0;
}

static void add_page_tables(struct base *base)
{
	const struct nestmig_vcpu_view *view = &base->state->vcpus[0].view;

	base->has_nested_paging = base_field(base, "vmcb12.control.nested_ctl") & NESTED_CTL_NP;
	if (view->sregs.cr0 & CR0_PG)
		place_add_paging(base, "l2", view->sregs.cr3, view->sregs.cr4, view->sregs.efer);
	if (!view->vmcb12)
		return;
	place_add_paging(base, "l1", base_field(base, "vmcb12.save.cr3"),
			 base_field(base, "vmcb12.save.cr4"), base_field(base, "vmcb12.save.efer"));
	if (base->has_nested_paging)
		place_add_paging(base, "nested", base_field(base, "vmcb12.control.nested_cr3"),
				 CR4_PAE, EFER_LMA);
}

/* ---- SMM ------------------------------------------------------------------------------------- */

static bool guest_has_long_mode(const struct base *base)
{
	const struct nestmig_cpuid *cpuid = &base->state->vcpus[0].view.cpuid;

	return cpuid->word[NESTMIG_CPUID_80000001_EDX] & CPUID_LONG_MODE;
}

static void add_smram(struct base *base)
{
	static const struct {
		uint32_t map, offset, width;
		const char *name;
		enum user user;
	} fields[] = {
#define FIELD(map, offset, width, name, user) {map, offset, width, name, USER_##user},
#include "smram.def"
#undef FIELD
	};
	uint64_t smbase = base->state->vcpus[0].view.smbase, offset;
	uint32_t map = guest_has_long_mode(base) ? 64 : 32;
	uint16_t file;

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		struct place *place = NULL;

		if (fields[i].map != map ||
		    !base_memory(base, smbase + fields[i].offset, fields[i].width, &file, &offset))
			continue;
		place = place_add(base, GROUP_SMRAM, fields[i].name, file, offset, fields[i].width);
		if (!place)
			continue;
		place->user = (uint8_t)fields[i].user;
		/* L1 looks for what KVM says of L2 where its VMCB was. */
		place->is_l1s = strcmp(place->name, "smram.vmcb12_pa") == 0;
	}
}

/* The fields of a VMCB in guest memory: "vmcb12.save.cr0" is there "PREFIX.save.cr0". */
static void add_vmcb(struct base *base, enum group group, const char *prefix, uint64_t page,
		     int32_t start)
{
	for (size_t i = 0; i < nm_field_count(); i++) {
		const struct nm_field *entry = nm_field_at(i);
		char name[52];

		if (entry->item != NESTMIG_ITEM_VMCB12 || entry->kvm_offset < start ||
		    strncmp(entry->name, "vmcb12.", 7) != 0)
			continue;
		snprintf(name, sizeof(name), "%s.%s", prefix, entry->name + 7);
		place_add_memory(base, group, name, page + (uint64_t)entry->kvm_offset,
				 entry->kvm_width);
	}
}

/* What RSM returns to. */
static void add_smm_paging(struct base *base)
{
	uint64_t smbase = base->state->vcpus[0].view.smbase, cr0, cr3, cr4, efer;

	if (base_word(base, smbase + SMRAM_CR0, &cr0) && (cr0 & CR0_PG) &&
	    base_word(base, smbase + SMRAM_CR3, &cr3) &&
	    base_word(base, smbase + SMRAM_CR4, &cr4) &&
	    base_word(base, smbase + SMRAM_EFER, &efer))
		place_add_paging(base, "l2", cr3, cr4, efer);
}

/* L1's, which is parked in the host save area. */
static void add_hsave_paging(struct base *base, uint64_t area)
{
	uint64_t cr3, cr4, efer;

	if (base_word(base, area + SAVE_CR3, &cr3) && base_word(base, area + SAVE_CR4, &cr4) &&
	    base_word(base, area + SAVE_EFER, &efer))
		place_add_paging(base, "l1", cr3, cr4, efer);
}

static void add_smm(struct base *base)
{
	const struct nestmig_vcpu_view *view = &base->state->vcpus[0].view;
	uint64_t flag, vmcb12;

	if (!base->is_smm)
		return;
	add_smram(base);
	if (guest_has_long_mode(base))
		add_smm_paging(base);
	if (!guest_has_long_mode(base) ||
	    !base_word(base, view->smbase + SMRAM_GUEST_FLAG, &flag) || !flag ||
	    !base_word(base, view->smbase + SMRAM_VMCB12_PA, &vmcb12))
		return;
	add_vmcb(base, GROUP_SMM_VMCB12, "smm_vmcb12", vmcb12, 0);
	add_vmcb(base, GROUP_HSAVE, "hsave", view->hsave_pa, SAVE_AREA);
	add_hsave_paging(base, view->hsave_pa + SAVE_AREA);
}

/* ---- In order of groups ---------------------------------------------------------------------- */

static int by_group(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return strcmp(x->name, y->name);
}

static bool index_places(struct base *base)
{
	size_t edges = 0, place = 0;

	for (size_t i = 0; i < base->place_count; i++)
		edges += base->places[i].edge ? base->places[i].edge->weight : 0;
	base->edges = calloc(edges + 1, sizeof(*base->edges));
	if (!base->edges)
		return false;
	edges = 0;
	for (unsigned group = 0; group < GROUPS; group++) {
		base->group_start[group] = place;
		base->edge_start[group] = edges;
		for (; place < base->place_count && base->places[place].group == group; place++) {
			const struct edge *edge = base->places[place].edge;

			for (unsigned i = 0; edge && i < edge->weight; i++)
				base->edges[edges++] = (uint16_t)place;
		}
	}
	base->group_start[GROUPS] = place;
	base->edge_start[GROUPS] = edges;
	return true;
}

bool base_find_places(struct base *base)
{
	base->places = calloc(MAX_PLACES, sizeof(*base->places));
	if (!base->places)
		return false;
	add_fields(base);
	add_other_fields(base);
	add_msrs(base);
	add_page_tables(base);
	add_smm(base);
	if (base->is_vmx)
		vmx_add_places(base);
	qsort(base->places, base->place_count, sizeof(*base->places), by_group);
	return index_places(base);
}
