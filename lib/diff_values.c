// SPDX-License-Identifier: LGPL-2.1-or-later
/* What differs between two vCPUs, value by value. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "diff.h"

#define MSR_TSC          0x10
#define MSR_MPERF        0xe7
#define MSR_APERF        0xe8
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_SMBASE       0x9e
#define MSR_VM_HSAVE_PA  0xc0010117

static bool has(const struct nm_diff_vcpu *d, enum nm_side side, enum nestmig_item item)
{
	return nm_vcpu_has(d->vcpu[side], UINT64_C(1) << item);
}

static bool both_have(const struct nm_diff_vcpu *d, enum nestmig_item item)
{
	return has(d, NM_A, item) && has(d, NM_B, item);
}

static enum nestmig_error add(struct nm_diff_vcpu *d, const struct nm_diff_value *value)
{
	size_t count = d->value_count;
	struct nm_diff_value *bigger;

	/* Room doubles at each power of two. */
	if (!(count & (count - 1))) {
		bigger = reallocarray(d->values, count ? 2 * count : 1, sizeof(*bigger));
		if (!bigger)
			return NESTMIG_ERR_NOMEM;
		d->values = bigger;
	}
	d->values[d->value_count++] = *value;
	return NESTMIG_OK;
}

static enum nestmig_error add_unless_same(struct nm_diff_vcpu *d, const struct nm_diff_value *value)
{
	if (value->in == NM_IN_BOTH && value->value[NM_A] == value->value[NM_B])
		return NESTMIG_OK;
	return add(d, value);
}

/* ---- Fields ---------------------------------------------------------------------------------- */

/* A deadline on the guest's TSC. */
static bool is_idle_field(const struct nm_field *field)
{
	return strcmp(field->name, "nested_state.preemption_timer_deadline") == 0;
}

/* Else a range of bytes, which nm_field_value does not read. */
static bool is_number(const struct nm_field *field)
{
	unsigned width = field->kvm_width;

	return width == 0 || width == 1 || width == 2 || width == 4 || width == 8;
}

/* Of an item that only one side has not every field is named: the item says it. */
static enum nestmig_error compare_field(struct nm_diff_vcpu *d, const struct nm_field *field)
{
	struct nm_diff_value value = {
		.kind = NM_DIFF_FIELD, .field = field, .is_idle = is_idle_field(field)};

	if (!both_have(d, field->item) || !is_number(field))
		return NESTMIG_OK;
	snprintf(value.name, sizeof(value.name), "%s", field->name);
	for (enum nm_side side = NM_A; side < NM_SIDES; side++) {
		if (!nm_field_present(d->vcpu[side], field))
			continue;
		value.in |= 1U << side;
		value.width = nm_field_width(d->vcpu[side], field);
		value.value[side] = nm_field_value(d->vcpu[side], field);
	}
	return value.in ? add_unless_same(d, &value) : NESTMIG_OK;
}

/* ---- MSRs and CPUID -------------------------------------------------------------------------- */

/* Has the MSR fields, which say it already? */
static bool has_fields(const struct nm_diff_vcpu *d, uint32_t index)
{
	struct nestmig_vmx_msrs scratch = {0};

	if (index == MSR_SMBASE)
		return both_have(d, NESTMIG_ITEM_SMBASE);
	if (index == MSR_VM_HSAVE_PA)
		return both_have(d, NESTMIG_ITEM_HSAVE_PA);
	return nm_vmx_msr_put(&scratch, index, 0) && both_have(d, NESTMIG_ITEM_VMX_MSRS);
}

static bool is_idle_msr(uint32_t index)
{
	return index == MSR_TSC || index == MSR_MPERF || index == MSR_APERF ||
	       index == MSR_TSC_DEADLINE;
}

/* Of the entries of one index the last, which is the one that stays. */
static const struct nm_msr *find_msr(const struct nm_vcpu *vcpu, uint32_t index)
{
	for (size_t i = vcpu->msr_count; i > 0; i--)
		if (vcpu->msrs[i - 1].index == index)
			return &vcpu->msrs[i - 1];
	return NULL;
}

static enum nestmig_error add_msr(struct nm_diff_vcpu *d, const struct nm_msr *a,
				  const struct nm_msr *b)
{
	struct nm_diff_value value = {
		.kind = NM_DIFF_MSR, .index = a ? a->index : b->index, .width = 8};

	if (has_fields(d, value.index))
		return NESTMIG_OK;
	value.in = (a ? NM_IN_A : 0) | (b ? NM_IN_B : 0);
	value.value[NM_A] = a ? a->value : 0;
	value.value[NM_B] = b ? b->value : 0;
	value.is_idle = is_idle_msr(value.index);
	snprintf(value.name, sizeof(value.name), "msr.0x%08" PRIx32, value.index);
	return add_unless_same(d, &value);
}

static enum nestmig_error compare_msrs(struct nm_diff_vcpu *d)
{
	const struct nm_vcpu *a = d->vcpu[NM_A], *b = d->vcpu[NM_B];
	enum nestmig_error error = NESTMIG_OK;

	if (!both_have(d, NESTMIG_ITEM_MSRS))
		return NESTMIG_OK;
	for (size_t i = 0; i < a->msr_count && !error; i++)
		if (find_msr(a, a->msrs[i].index) == &a->msrs[i])
			error = add_msr(d, &a->msrs[i], find_msr(b, a->msrs[i].index));
	for (size_t i = 0; i < b->msr_count && !error; i++)
		if (find_msr(b, b->msrs[i].index) == &b->msrs[i] && !find_msr(a, b->msrs[i].index))
			error = add_msr(d, NULL, &b->msrs[i]);
	return error;
}

static const struct nm_cpuid_entry *same_leaf(const struct nm_vcpu *vcpu,
					      const struct nm_cpuid_entry *leaf)
{
	for (size_t i = 0; i < vcpu->cpuid_count; i++)
		if (vcpu->cpuid[i].function == leaf->function &&
		    vcpu->cpuid[i].index == leaf->index)
			return &vcpu->cpuid[i];
	return NULL;
}

static enum nestmig_error compare_leaf(struct nm_diff_vcpu *d, const struct nm_cpuid_entry *a,
				       const struct nm_cpuid_entry *b)
{
	static const char names[][4] = {"eax", "ebx", "ecx", "edx"};
	const struct nm_cpuid_entry none = {0}, *x = a ? a : &none, *y = b ? b : &none;
	const uint32_t regs[NM_SIDES][4] = {{x->eax, x->ebx, x->ecx, x->edx},
					    {y->eax, y->ebx, y->ecx, y->edx}};

	for (unsigned i = 0; i < 4; i++) {
		struct nm_diff_value value = {.kind = NM_DIFF_CPUID,
					      .width = 4,
					      .in = (a ? NM_IN_A : 0) | (b ? NM_IN_B : 0),
					      .value = {regs[NM_A][i], regs[NM_B][i]}};

		snprintf(value.name, sizeof(value.name), "cpuid.%x.%x.%s",
			 a ? a->function : b->function, a ? a->index : b->index, names[i]);
		if (add_unless_same(d, &value))
			return NESTMIG_ERR_NOMEM;
	}
	return NESTMIG_OK;
}

/* The words that rules read, where one side has no more. */
static enum nestmig_error compare_words(struct nm_diff_vcpu *d)
{
	for (unsigned i = 0; i < NESTMIG_CPUID_WORDS; i++) {
		struct nm_diff_value value = {.kind = NM_DIFF_CPUID, .width = 4};

		for (enum nm_side side = NM_A; side < NM_SIDES; side++) {
			const struct nestmig_cpuid *cpuid = &d->vcpu[side]->view.cpuid;

			if (!(cpuid->have >> i & 1))
				continue;
			value.in |= 1U << side;
			value.value[side] = cpuid->word[i];
		}
		nm_cpuid_word_name(i, value.name, sizeof(value.name));
		if (value.in && add_unless_same(d, &value))
			return NESTMIG_ERR_NOMEM;
	}
	return NESTMIG_OK;
}

static enum nestmig_error compare_cpuid(struct nm_diff_vcpu *d)
{
	const struct nm_vcpu *a = d->vcpu[NM_A], *b = d->vcpu[NM_B];
	enum nestmig_error error = NESTMIG_OK;

	if (!both_have(d, NESTMIG_ITEM_CPUID))
		return NESTMIG_OK;
	if (!a->cpuid_count || !b->cpuid_count)
		return compare_words(d);
	for (size_t i = 0; i < a->cpuid_count && !error; i++)
		error = compare_leaf(d, &a->cpuid[i], same_leaf(b, &a->cpuid[i]));
	for (size_t i = 0; i < b->cpuid_count && !error; i++)
		if (!same_leaf(a, &b->cpuid[i]))
			error = compare_leaf(d, NULL, &b->cpuid[i]);
	return error;
}

/* ---- Bytes and tables ------------------------------------------------------------------------ */

/* The bytes of an item that is a page or an area, or NULL. */
static const uint8_t *bytes_of(const struct nm_vcpu *vcpu, enum nestmig_item item, size_t *ret_size)
{
	const struct nestmig_vcpu_view *view = &vcpu->view;

	*ret_size = KVMNS_VMCB_SIZE;
	switch (item) {
	case NESTMIG_ITEM_VMCB12:
		return view->vmcb12;
	case NESTMIG_ITEM_SMM_VMCB12:
		return view->smm_vmcb12;
	case NESTMIG_ITEM_HSAVE:
		return view->hsave;
	case NESTMIG_ITEM_VMCS12:
		return view->vmcs12;
	case NESTMIG_ITEM_SHADOW_VMCS12:
		return view->shadow_vmcs12;
	case NESTMIG_ITEM_SMRAM:
		*ret_size = NESTMIG_SMRAM_SIZE;
		return view->smram;
	case NESTMIG_ITEM_ENTRY_LOAD:
	case NESTMIG_ITEM_EXIT_LOAD:
	case NESTMIG_ITEM_EXIT_STORE:
		*ret_size = (size_t)vcpu->origin[item].size;
		return view->msr_areas[item - NESTMIG_ITEM_ENTRY_LOAD];
	default:
		return NULL;
	}
}

_Static_assert(NESTMIG_ITEM_EXIT_LOAD - NESTMIG_ITEM_ENTRY_LOAD == NESTMIG_AREA_EXIT_LOAD &&
		       NESTMIG_ITEM_EXIT_STORE - NESTMIG_ITEM_ENTRY_LOAD == NESTMIG_AREA_EXIT_STORE,
	       "items of the areas in the order of the areas");

/* Marks the bytes of a page that fields have, as nm_field_value reads them. */
static void cover(const struct nm_diff_vcpu *d, enum nestmig_item item, uint8_t *covered,
		  size_t size)
{
	if (d->vcpu[NM_A]->origin[item].layout == NM_LAYOUT_SMRAM32 ||
	    d->vcpu[NM_B]->origin[item].layout == NM_LAYOUT_SMRAM32)
		return;
	for (size_t i = 0; i < nm_field_count(); i++) {
		const struct nm_field *field = nm_field_at(i);

		if (field->item == item && field->kvm_offset >= 0 && is_number(field) &&
		    (size_t)field->kvm_offset + field->kvm_width <= size)
			memset(covered + field->kvm_offset, 1, field->kvm_width);
	}
}

static enum nestmig_error compare_bytes(struct nm_diff_vcpu *d, enum nestmig_item item)
{
	uint8_t covered[NESTMIG_MSR_AREA_MAX * NESTMIG_MSR_ENTRY_SIZE] = {0};
	struct nm_diff_value value = {.kind = NM_DIFF_BYTES, .in = NM_IN_BOTH};
	size_t size[NM_SIDES] = {0, 0}, longer, shorter;
	const uint8_t *a, *b;

	if (!both_have(d, item))
		return NESTMIG_OK;
	a = bytes_of(d->vcpu[NM_A], item, &size[NM_A]);
	b = bytes_of(d->vcpu[NM_B], item, &size[NM_B]);
	if (!a || !b)
		return NESTMIG_OK;
	longer = size[NM_A] > size[NM_B] ? size[NM_A] : size[NM_B];
	shorter = size[NM_A] + size[NM_B] - longer;
	if (longer > sizeof(covered))
		longer = sizeof(covered);
	cover(d, item, covered, longer);
	for (size_t i = longer; i-- > 0;) {
		if (covered[i] || (i < shorter && a[i] == b[i]))
			continue;
		value.value[NM_A]++;
		value.value[NM_B] = i;
	}
	snprintf(value.name, sizeof(value.name), "%s", nm_item_name(item));
	return value.value[NM_A] ? add(d, &value) : NESTMIG_OK;
}

static enum nestmig_error compare_table(struct nm_diff_vcpu *d, const char *name, uint64_t a,
					uint64_t b, unsigned width)
{
	struct nm_diff_value value = {
		.kind = NM_DIFF_TABLE, .in = NM_IN_BOTH, .width = width, .value = {a, b}};

	snprintf(value.name, sizeof(value.name), "%s", name);
	return add_unless_same(d, &value);
}

static enum nestmig_error compare_eptps(struct nm_diff_vcpu *d)
{
	const struct nestmig_eptp_list *a = &d->vcpu[NM_A]->view.eptps;
	const struct nestmig_eptp_list *b = &d->vcpu[NM_B]->view.eptps;
	unsigned count = a->count > b->count ? a->count : b->count;
	enum nestmig_error error = NESTMIG_OK;

	if (!both_have(d, NESTMIG_ITEM_EPTP_LIST))
		return NESTMIG_OK;
	for (unsigned i = 0; i < count && !error; i++) {
		struct nm_diff_value value = {.kind = NM_DIFF_TABLE, .width = 8};

		if (i < a->count) {
			value.in |= NM_IN_A;
			value.value[NM_A] = a->entries[i].value;
		}
		if (i < b->count) {
			value.in |= NM_IN_B;
			value.value[NM_B] = b->entries[i].value;
		}
		snprintf(value.name, sizeof(value.name), "eptp_list (value %u)", i);
		error = add_unless_same(d, &value);
	}
	return error;
}

static enum nestmig_error compare_ept_root(struct nm_diff_vcpu *d)
{
	const struct nestmig_ept_root *a = &d->vcpu[NM_A]->view.ept_root;
	const struct nestmig_ept_root *b = &d->vcpu[NM_B]->view.ept_root;
	enum nestmig_error error;

	if (!both_have(d, NESTMIG_ITEM_EPT_ROOT))
		return NESTMIG_OK;
	error = compare_table(d, "ept_root (bits of its entries)", a->any, b->any, 8);
	if (!error)
		error = compare_table(d, "ept_root (has a write-only entry)", a->write_only,
				      b->write_only, 1);
	if (!error)
		error = compare_table(d, "ept_root (has an execute-only entry)", a->execute_only,
				      b->execute_only, 1);
	return error;
}

static enum nestmig_error compare_pdptes(struct nm_diff_vcpu *d)
{
	static const char *const names[NM_PDPTES] = {"CR3", "L1's CR3", "nested CR3", "RSM's CR3"};

	for (unsigned i = 0; i < NM_PDPTES; i++) {
		const struct nm_pdptes *a = &d->vcpu[NM_A]->pdptes[i];
		const struct nm_pdptes *b = &d->vcpu[NM_B]->pdptes[i];

		if (!a->known || !b->known)
			continue;
		for (unsigned k = 0; k < 4; k++) {
			char name[48];

			snprintf(name, sizeof(name), "PDPTE %u at %s", k, names[i]);
			if (compare_table(d, name, nm_le64(a->bytes + 8 * k),
					  nm_le64(b->bytes + 8 * k), 8))
				return NESTMIG_ERR_NOMEM;
		}
	}
	return NESTMIG_OK;
}

/* Items of one number that have no field. */
static enum nestmig_error compare_numbers(struct nm_diff_vcpu *d)
{
	const struct nestmig_vcpu_view *a = &d->vcpu[NM_A]->view, *b = &d->vcpu[NM_B]->view;
	const struct {
		enum nestmig_item item;
		uint64_t a, b;
		unsigned width;
	} rows[] = {
		{NESTMIG_ITEM_VM_CAPS, a->vm_caps, b->vm_caps, 4},
		{NESTMIG_ITEM_VTPR, a->vtpr, b->vtpr, 1},
		{NESTMIG_ITEM_LINK_HEADER, a->link_header, b->link_header, 4},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (both_have(d, rows[i].item) &&
		    compare_table(d, nm_item_name(rows[i].item), rows[i].a, rows[i].b,
				  rows[i].width))
			return NESTMIG_ERR_NOMEM;
	return NESTMIG_OK;
}

enum nestmig_error nm_diff_values(struct nm_diff_vcpu *d)
{
	static enum nestmig_error (*const compares[])(struct nm_diff_vcpu * d) = {
		compare_msrs,     compare_cpuid,  compare_eptps,
		compare_ept_root, compare_pdptes, compare_numbers};
	uint64_t a = d->vcpu[NM_A]->view.have, b = d->vcpu[NM_B]->view.have;
	enum nestmig_error error = NESTMIG_OK;

	d->items[NM_A] = a & ~b;
	d->items[NM_B] = b & ~a;
	for (size_t i = 0; i < nm_field_count() && !error; i++)
		error = compare_field(d, nm_field_at(i));
	for (int item = 0; item < NESTMIG_ITEM_COUNT && !error; item++)
		error = compare_bytes(d, (enum nestmig_item)item);
	for (size_t i = 0; i < sizeof(compares) / sizeof(compares[0]) && !error; i++)
		error = compares[i](d);
	return error;
}
