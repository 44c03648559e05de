// SPDX-License-Identifier: LGPL-2.1-or-later
/* Fields by name: the registry made from the field tables, and decoding by it. */
#include "fields.h"

#include <string.h>

#include "bytes.h"
#include "error.h"

#define MEMBER_OF(m) (uint32_t) offsetof(struct nestmig_vcpu_view, m)
#define WIDTH_OF(m)  (unsigned)sizeof(((struct nestmig_vcpu_view *)0)->m)
#define LENGTH(name) (sizeof(name) - 1)
#define IN_BYTES     UINT32_MAX
#define NO_OFFSET    (-1)
/* A part of a packed word: it has an offset, but cannot be loaded from there as it stands. */
#define PACKED 0
/* flags, format and size of struct kvm_nested_state. */
#define NESTED_COMMON_SIZE 8

#define SEGMENT_PART(name, m, part, kvm, kvm_width, qemu, qemu_width)                              \
	{"sregs." name "." #part,                                                                  \
	 NESTMIG_ITEM_SREGS,                                                                       \
	 MEMBER_OF(m.part),                                                                        \
	 WIDTH_OF(m.part),                                                                         \
	 kvm,                                                                                      \
	 kvm_width,                                                                                \
	 qemu,                                                                                     \
	 qemu_width,                                                                               \
	 LENGTH("sregs." name "." #part)},

static const struct nm_field fields[] = {
#define FIELD(item, name, m, kvm, kvm_width, qemu, qemu_width)                                     \
	{name, NESTMIG_ITEM_##item, MEMBER_OF(m), WIDTH_OF(m), kvm, kvm_width,                     \
	 qemu, qemu_width,          LENGTH(name)},
/* struct kvm_segment of the uapi; SegmentCache of QEMU, flags as in a descriptor's second word. */
#define SEGMENT(name, m, kvm, qemu)                                                                \
	SEGMENT_PART(name, m, base, kvm + 0, 8, qemu + 4, 8)                                       \
	SEGMENT_PART(name, m, limit, kvm + 8, 4, qemu + 12, 4)                                     \
	SEGMENT_PART(name, m, selector, kvm + 12, 2, qemu + 0, 4)                                  \
	SEGMENT_PART(name, m, type, kvm + 14, 1, qemu + 16, PACKED)                                \
	SEGMENT_PART(name, m, present, kvm + 15, 1, qemu + 16, PACKED)                             \
	SEGMENT_PART(name, m, dpl, kvm + 16, 1, qemu + 16, PACKED)                                 \
	SEGMENT_PART(name, m, db, kvm + 17, 1, qemu + 16, PACKED)                                  \
	SEGMENT_PART(name, m, s, kvm + 18, 1, qemu + 16, PACKED)                                   \
	SEGMENT_PART(name, m, l, kvm + 19, 1, qemu + 16, PACKED)                                   \
	SEGMENT_PART(name, m, g, kvm + 20, 1, qemu + 16, PACKED)                                   \
	SEGMENT_PART(name, m, avl, kvm + 21, 1, qemu + 16, PACKED)                                 \
	SEGMENT_PART(name, m, unusable, kvm + 22, 1, NO_OFFSET, PACKED)
#include "vcpu/fields.def"
#undef SEGMENT
#undef FIELD
#define VMCB12_control 0
#define VMCB12_save    0x400
#define IN_PAGE(full_name, item, offset, width)                                                    \
	{full_name, NESTMIG_ITEM_##item, IN_BYTES, 0, offset, width, offset,                       \
	 width,     LENGTH(full_name)},
#define VMCB_FIELD(area, offset, width, ident, name, in_blob)                                      \
	IN_PAGE("vmcb12." #area "." name, VMCB12, VMCB12_##area + (offset), width)
#include "vmcb/layout.def"
#undef VMCB_FIELD
#define VMCB_FIELD(area, offset, width, ident, name, in_blob)                                      \
	IN_PAGE("smm_vmcb12." #area "." name, SMM_VMCB12, VMCB12_##area + (offset), width)
#include "vmcb/layout.def"
#undef VMCB_FIELD
/* Of the host save area KVM uses what is laid out like a VMCB's save area. */
#define VMCB_FIELD(area, offset, width, ident, name, in_blob) HSAVE_##area(offset, width, name)
#define HSAVE_control(offset, width, name)
#define HSAVE_save(offset, width, name) IN_PAGE("hsave." name, HSAVE, VMCB12_save + (offset), width)
#include "vmcb/layout.def"
#undef VMCB_FIELD
/* As in KVM's 64-bit map; smram32_places has those of the other. */
#define SMRAM_FIELD(map, offset, width, ident, name, loaded) SMRAM_IN_##map(offset, width, name)
#define SMRAM_IN_smram64(offset, width, name)                                                      \
	{"smram." name,                                                                            \
	 NESTMIG_ITEM_SMRAM,                                                                       \
	 IN_BYTES,                                                                                 \
	 0,                                                                                        \
	 (offset)-NESTMIG_SMRAM_BASE,                                                              \
	 width,                                                                                    \
	 NO_OFFSET,                                                                                \
	 0,                                                                                        \
	 LENGTH("smram." name)},
#define SMRAM_IN_smram32(offset, width, name)
#define SMRAM_IN_intel64(offset, width, name)
#define SMRAM_IN_intel32(offset, width, name)
#include "smram/layout.def"
#undef SMRAM_IN_smram64
#undef SMRAM_IN_smram32
#define VMCS_FIELD(offset, width, name, encoding)                                                  \
	{"vmcs12." #name, NESTMIG_ITEM_VMCS12,    IN_BYTES, 0, offset, width, offset,              \
	 width,           LENGTH("vmcs12." #name)},
#include "vmcs/layout.def"
#undef VMCS_FIELD
#define VMCS_FIELD(offset, width, name, encoding)                                                  \
	{"shadow_vmcs12." #name,                                                                   \
	 NESTMIG_ITEM_SHADOW_VMCS12,                                                               \
	 IN_BYTES,                                                                                 \
	 0,                                                                                        \
	 offset,                                                                                   \
	 width,                                                                                    \
	 offset,                                                                                   \
	 width,                                                                                    \
	 LENGTH("shadow_vmcs12." #name)},
#include "vmcs/layout.def"
#undef VMCS_FIELD
};

/* The fields that are members of the view come first. */
enum {
#define FIELD(...)   +1
#define SEGMENT(...) +12
	MEMBER_FIELDS = 0
#include "vcpu/fields.def"
#undef SEGMENT
#undef FIELD
};

/* Where a field of SMRAM stands in KVM's 32-bit map. */
struct smram_place {
	const char *name;
	uint32_t offset;
	unsigned width;
};

static const struct smram_place smram32_places[] = {
#define SMRAM_IN_smram64(offset, width, name)
#define SMRAM_IN_smram32(offset, width, name) {"smram." name, (offset)-NESTMIG_SMRAM_BASE, width},
#include "smram/layout.def"
#undef SMRAM_FIELD
};

size_t nm_field_count(void)
{
	return sizeof(fields) / sizeof(fields[0]);
}

const struct nm_field *nm_field_at(size_t index)
{
	return &fields[index];
}

const struct nm_field *nm_field_find(const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < nm_field_count(); i++)
		if (fields[i].name_length == length && memcmp(fields[i].name, name, length) == 0)
			return &fields[i];
	return NULL;
}

static uint64_t get_member(const struct nestmig_vcpu_view *view, const struct nm_field *field)
{
	const uint8_t *at = (const uint8_t *)view + field->member;
	uint64_t value = 0;

	switch (field->member_width) {
	case 1:
		return *at;
	case 2: {
		uint16_t v;

		memcpy(&v, at, sizeof(v));
		return v;
	}
	case 4: {
		uint32_t v;

		memcpy(&v, at, sizeof(v));
		return v;
	}
	default:
		memcpy(&value, at, sizeof(value));
		return value;
	}
}

static void set_member(struct nestmig_vcpu_view *view, const struct nm_field *field, uint64_t value)
{
	uint8_t *at = (uint8_t *)view + field->member;
	uint16_t v16 = (uint16_t)value;
	uint32_t v32 = (uint32_t)value;

	switch (field->member_width) {
	case 1:
		*at = (uint8_t)value;
		break;
	case 2:
		memcpy(at, &v16, sizeof(v16));
		break;
	case 4:
		memcpy(at, &v32, sizeof(v32));
		break;
	default:
		memcpy(at, &value, sizeof(value));
	}
}

/* The bytes that a field of a VMCB12 or the like stands in, or NULL. */
static const uint8_t *page_of(const struct nestmig_vcpu_view *view, enum nestmig_item item)
{
	switch (item) {
	case NESTMIG_ITEM_VMCB12:
		return view->vmcb12;
	case NESTMIG_ITEM_VMCS12:
		return view->vmcs12;
	case NESTMIG_ITEM_SHADOW_VMCS12:
		return view->shadow_vmcs12;
	case NESTMIG_ITEM_SMRAM:
		return view->smram;
	case NESTMIG_ITEM_SMM_VMCB12:
		return view->smm_vmcb12;
	case NESTMIG_ITEM_HSAVE:
		return view->hsave;
	default:
		return NULL;
	}
}

/* The headers of the formats are a union: what is not of the one in use has no bytes. */
bool nm_field_is_of_other_format(const struct nm_vcpu *vcpu, const struct nm_field *field)
{
	bool svm = field->member == MEMBER_OF(nested.vmcb_pa) ||
		   field->member == MEMBER_OF(nested.gpat);

	if (field->item != NESTMIG_ITEM_NESTED || field->kvm_offset < NESTED_COMMON_SIZE)
		return false;
	return svm != (vcpu->view.nested.format == KVMNS_FORMAT_SVM);
}

/* Where a field stands from the start of its item. */
struct place {
	int32_t offset; /* negative: nowhere */
	unsigned width;
	bool big;
};

static struct place place_in_smram32(const struct nm_field *field)
{
	for (size_t i = 0; i < sizeof(smram32_places) / sizeof(smram32_places[0]); i++)
		if (strcmp(smram32_places[i].name, field->name) == 0)
			return (struct place){(int32_t)smram32_places[i].offset,
					      smram32_places[i].width, false};
	return (struct place){.offset = NO_OFFSET};
}

static struct place place_of(const struct nm_vcpu *vcpu, const struct nm_field *field)
{
	switch (vcpu->origin[field->item].layout) {
	case NM_LAYOUT_SMRAM32:
		return place_in_smram32(field);
	case NM_LAYOUT_QEMU:
		return (struct place){field->qemu_offset, field->qemu_width, true};
	default:
		return (struct place){field->kvm_offset, field->kvm_width, false};
	}
}

bool nm_field_present(const struct nm_vcpu *vcpu, const struct nm_field *field)
{
	if (!nm_vcpu_has(vcpu, UINT64_C(1) << field->item))
		return false;
	/* Of the VMX MSRs those that are in the list. */
	if (field->item == NESTMIG_ITEM_VMX_MSRS)
		return vcpu->view.vmx.have >>
			       ((field->member - MEMBER_OF(vmx.value)) / sizeof(uint64_t)) &
		       1;
	return field->item != NESTMIG_ITEM_SMRAM || place_of(vcpu, field).offset >= 0;
}

unsigned nm_field_width(const struct nm_vcpu *vcpu, const struct nm_field *field)
{
	if (field->member != IN_BYTES)
		return field->member_width;
	return field->item == NESTMIG_ITEM_SMRAM ? place_of(vcpu, field).width : field->kvm_width;
}

uint64_t nm_field_value(const struct nm_vcpu *vcpu, const struct nm_field *field)
{
	struct place place = {field->kvm_offset, field->kvm_width, false};
	const uint8_t *page;

	if (field->member != IN_BYTES)
		return get_member(&vcpu->view, field);
	page = page_of(&vcpu->view, field->item);
	if (field->item == NESTMIG_ITEM_SMRAM)
		place = place_of(vcpu, field);
	return page && place.offset >= 0 ? nm_le(page + place.offset, place.width) : 0;
}

int32_t nm_field_place(const struct nm_vcpu *vcpu, const struct nm_field *field)
{
	return field->item == NESTMIG_ITEM_SMRAM ? place_of(vcpu, field).offset : field->kvm_offset;
}

uint64_t nm_field_offset(const struct nm_vcpu *vcpu, const struct nm_field *field,
			 unsigned *ret_width, bool *ret_big)
{
	const struct nm_origin *origin = &vcpu->origin[field->item];
	struct place place = place_of(vcpu, field);

	if (!nm_vcpu_has(vcpu, UINT64_C(1) << field->item) || origin->layout == NM_LAYOUT_NONE ||
	    origin->offset == UINT64_MAX || place.offset < 0 ||
	    (uint64_t)place.offset + place.width > origin->size ||
	    nm_field_is_of_other_format(vcpu, field))
		return UINT64_MAX;
	if (ret_width)
		*ret_width = place.width;
	if (ret_big)
		*ret_big = place.big;
	return origin->offset + (uint64_t)place.offset;
}

bool nm_vcpu_field(const struct nm_vcpu *vcpu, const char *name, uint64_t *ret_value,
		   unsigned *ret_width, uint64_t *ret_offset)
{
	const struct nm_field *field = nm_field_find(name);

	if (!field || !nm_field_present(vcpu, field))
		return false;
	if (ret_value)
		*ret_value = nm_field_value(vcpu, field);
	if (ret_width)
		*ret_width = nm_field_width(vcpu, field);
	if (ret_offset)
		*ret_offset = nm_field_offset(vcpu, field, NULL, NULL);
	return true;
}

enum nestmig_error nestmig_field(const struct nestmig_state *state, size_t vcpu, const char *name,
				 uint64_t *ret_value, unsigned *ret_width, uint64_t *ret_offset,
				 struct nestmig_detail *detail)
{
	const struct nm_field *field = nm_field_find(name);

	if (vcpu >= state->vcpu_count)
		return nm_fail(detail, NESTMIG_ERR_INVALID,
			       "there is no vCPU %zu: the file has %zu, counted from 0", vcpu,
			       state->vcpu_count);
	if (!field)
		return nm_fail(detail, NESTMIG_ERR_NOT_FOUND,
			       "there is no field \"%s\": `nestmig inspect --fields` lists them",
			       name);
	if (nm_vcpu_has(&state->vcpus[vcpu], UINT64_C(1) << field->item) &&
	    !nm_field_present(&state->vcpus[vcpu], field))
		return nm_fail(
			detail, NESTMIG_ERR_NOT_FOUND,
			"%s: there is no such field in the SMRAM of vCPU %u, a guest without "
			"long mode",
			name, state->vcpus[vcpu].id);
	if (!nm_vcpu_field(&state->vcpus[vcpu], name, ret_value, ret_width, ret_offset))
		return nm_fail(detail, NESTMIG_ERR_NOT_FOUND, "%s: vCPU %u has no %s in this file",
			       name, state->vcpus[vcpu].id, nm_item_name(field->item));
	return NESTMIG_OK;
}

enum nestmig_error nestmig_item_bytes(const struct nestmig_state *state, size_t vcpu,
				      const char *name, const uint8_t **ret_bytes, size_t *ret_size,
				      struct nestmig_detail *detail)
{
	if (vcpu >= state->vcpu_count)
		return nm_fail(detail, NESTMIG_ERR_INVALID,
			       "there is no vCPU %zu: the file has %zu, counted from 0", vcpu,
			       state->vcpu_count);
	for (int item = 0; item < NESTMIG_ITEM_COUNT; item++) {
		const struct nm_origin *origin = &state->vcpus[vcpu].origin[item];

		if (strcmp(nm_item_name(item), name) != 0 ||
		    !nm_vcpu_has(&state->vcpus[vcpu], UINT64_C(1) << item) || !origin->bytes)
			continue;
		*ret_bytes = origin->bytes;
		*ret_size = (size_t)origin->size;
		return NESTMIG_OK;
	}
	return nm_fail(detail, NESTMIG_ERR_NOT_FOUND, "vCPU %u has no bytes of \"%s\" in this file",
		       state->vcpus[vcpu].id, name);
}

void nm_fields_load_kvm(struct nestmig_vcpu_view *view, enum nestmig_item item,
			const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < MEMBER_FIELDS; i++) {
		const struct nm_field *field = &fields[i];

		if (field->item != item || field->kvm_offset < 0 ||
		    (size_t)field->kvm_offset + field->kvm_width > size)
			continue;
		set_member(view, field, nm_le(bytes + field->kvm_offset, field->kvm_width));
	}
}

void nm_fields_load_qemu(struct nestmig_vcpu_view *view, enum nestmig_item item,
			 const uint8_t *payload, size_t size)
{
	for (size_t i = 0; i < MEMBER_FIELDS; i++) {
		const struct nm_field *field = &fields[i];

		if (field->item != item || field->qemu_offset < 0 || field->qemu_width == PACKED ||
		    (size_t)field->qemu_offset + field->qemu_width > size)
			continue;
		set_member(view, field, nm_be(payload + field->qemu_offset, field->qemu_width));
	}
}

void nm_fields_store_kvm(const struct nestmig_vcpu_view *view, enum nestmig_item item,
			 uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < MEMBER_FIELDS; i++) {
		const struct nm_field *field = &fields[i];
		uint64_t value;

		if (field->item != item || field->kvm_offset < 0 ||
		    (size_t)field->kvm_offset + field->kvm_width > size)
			continue;
		value = get_member(view, field);
		for (unsigned b = 0; b < field->kvm_width; b++)
			bytes[field->kvm_offset + (int32_t)b] = (uint8_t)(value >> (8 * b));
	}
}
