// SPDX-License-Identifier: LGPL-2.1-or-later
/* Fields by name: the registry made from the field tables, and decoding by it. */
#include "fields.h"

#include <string.h>

#include "bytes.h"
#include "error.h"

#define MEMBER_OF(m) (uint32_t) offsetof(struct nestmig_vcpu_view, m)
#define WIDTH_OF(m)  (unsigned)sizeof(((struct nestmig_vcpu_view *)0)->m)
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
	 qemu_width},

static const struct nm_field fields[] = {
#define FIELD(item, name, m, kvm, kvm_width, qemu, qemu_width)                                     \
	{name, NESTMIG_ITEM_##item, MEMBER_OF(m), WIDTH_OF(m), kvm, kvm_width, qemu, qemu_width},
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
#define VMCB_FIELD(area, offset, width, ident, name, in_blob)                                      \
	{"vmcb12." #area "." name,                                                                 \
	 NESTMIG_ITEM_VMCB12,                                                                      \
	 IN_BYTES,                                                                                 \
	 0,                                                                                        \
	 VMCB12_##area + (offset),                                                                 \
	 width,                                                                                    \
	 VMCB12_##area + (offset),                                                                 \
	 width},
#define VMCB12_control 0
#define VMCB12_save    0x400
#include "vmcb/layout.def"
#undef VMCB_FIELD
#define VMCS_FIELD(offset, width, name, encoding)                                                  \
	{"vmcs12." #name, NESTMIG_ITEM_VMCS12, IN_BYTES, 0, offset, width, offset, width},
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
	 width},
#include "vmcs/layout.def"
#undef VMCS_FIELD
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
	for (size_t i = 0; i < nm_field_count(); i++)
		if (strcmp(fields[i].name, name) == 0)
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

/* The page that a field of a VMCB12 or VMCS12 stands in, or NULL. */
static const uint8_t *page_of(const struct nestmig_vcpu_view *view, enum nestmig_item item)
{
	switch (item) {
	case NESTMIG_ITEM_VMCB12:
		return view->vmcb12;
	case NESTMIG_ITEM_VMCS12:
		return view->vmcs12;
	case NESTMIG_ITEM_SHADOW_VMCS12:
		return view->shadow_vmcs12;
	default:
		return NULL;
	}
}

uint64_t nm_field_value(const struct nm_vcpu *vcpu, const struct nm_field *field)
{
	const uint8_t *page;

	if (field->member != IN_BYTES)
		return get_member(&vcpu->view, field);
	page = page_of(&vcpu->view, field->item);
	return page ? nm_le(page + field->kvm_offset, field->kvm_width) : 0;
}

/* The headers of the formats are a union: what is not of the one in use has no bytes. */
static bool is_of_other_format(const struct nm_vcpu *vcpu, const struct nm_field *field)
{
	bool svm = field->member == MEMBER_OF(nested.vmcb_pa) ||
		   field->member == MEMBER_OF(nested.gpat);

	if (field->item != NESTMIG_ITEM_NESTED || field->kvm_offset < NESTED_COMMON_SIZE)
		return false;
	return svm != (vcpu->view.nested.format == KVMNS_FORMAT_SVM);
}

uint64_t nm_field_offset(const struct nm_vcpu *vcpu, const struct nm_field *field,
			 unsigned *ret_width, bool *ret_big)
{
	const struct nm_origin *origin = &vcpu->origin[field->item];
	bool big = origin->layout == NM_LAYOUT_QEMU;
	int32_t offset = big ? field->qemu_offset : field->kvm_offset;
	unsigned width = big ? field->qemu_width : field->kvm_width;

	if (!nm_vcpu_has(vcpu, UINT64_C(1) << field->item) || origin->layout == NM_LAYOUT_NONE ||
	    offset < 0 || (uint64_t)offset + width > origin->size ||
	    is_of_other_format(vcpu, field))
		return UINT64_MAX;
	if (ret_width)
		*ret_width = width;
	if (ret_big)
		*ret_big = big;
	return origin->offset + (uint64_t)offset;
}

bool nm_vcpu_field(const struct nm_vcpu *vcpu, const char *name, uint64_t *ret_value,
		   unsigned *ret_width, uint64_t *ret_offset)
{
	const struct nm_field *field = nm_field_find(name);

	if (!field || !nm_vcpu_has(vcpu, UINT64_C(1) << field->item))
		return false;
	if (ret_value)
		*ret_value = nm_field_value(vcpu, field);
	if (ret_width)
		*ret_width = field->member == IN_BYTES ? field->kvm_width : field->member_width;
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
	for (size_t i = 0; i < nm_field_count(); i++) {
		const struct nm_field *field = &fields[i];

		if (field->item != item || field->member == IN_BYTES || field->kvm_offset < 0 ||
		    (size_t)field->kvm_offset + field->kvm_width > size)
			continue;
		set_member(view, field, nm_le(bytes + field->kvm_offset, field->kvm_width));
	}
}

void nm_fields_load_qemu(struct nestmig_vcpu_view *view, enum nestmig_item item,
			 const uint8_t *payload, size_t size)
{
	for (size_t i = 0; i < nm_field_count(); i++) {
		const struct nm_field *field = &fields[i];

		if (field->item != item || field->member == IN_BYTES || field->qemu_offset < 0 ||
		    field->qemu_width == PACKED ||
		    (size_t)field->qemu_offset + field->qemu_width > size)
			continue;
		set_member(view, field, nm_be(payload + field->qemu_offset, field->qemu_width));
	}
}

void nm_fields_store_kvm(const struct nestmig_vcpu_view *view, enum nestmig_item item,
			 uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < nm_field_count(); i++) {
		const struct nm_field *field = &fields[i];
		uint64_t value;

		if (field->item != item || field->member == IN_BYTES || field->kvm_offset < 0 ||
		    (size_t)field->kvm_offset + field->kvm_width > size)
			continue;
		value = get_member(view, field);
		for (unsigned b = 0; b < field->kvm_width; b++)
			bytes[field->kvm_offset + (int32_t)b] = (uint8_t)(value >> (8 * b));
	}
}
