/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fields by name: one registry over lib/vcpu/fields.def and the layouts of lib/vmcb, lib/vmcs and
 * lib/smram. */
#ifndef NESTMIG_FIELDS_H
#define NESTMIG_FIELDS_H

#include "state.h"

struct nm_field {
	const char *name;
	enum nestmig_item item;
	uint32_t member; /* offset in struct nestmig_vcpu_view; UINT32_MAX: in the bytes of the item
			  */
	unsigned member_width;
	int32_t kvm_offset; /* in the KVM struct or page, -1: none */
	unsigned kvm_width;
	int32_t qemu_offset; /* -1: none */
	unsigned qemu_width;
	size_t name_length; /* in bytes, without the NUL */
};

/* All fields, in the order of the tables. */
size_t nm_field_count(void);
const struct nm_field *nm_field_at(size_t index);
const struct nm_field *nm_field_find(const char *name);

/* Has the vCPU the item of the field, and the item the field? KVM's maps of SMRAM differ. */
bool nm_field_present(const struct nm_vcpu *vcpu, const struct nm_field *field);

/* Is it a field of the header that VMX, or SVM, has in a vCPU whose nested state is of the other format? */
bool nm_field_is_of_other_format(const struct nm_vcpu *vcpu, const struct nm_field *field);

/* The width of the architectural field in bytes. */
unsigned nm_field_width(const struct nm_vcpu *vcpu, const struct nm_field *field);

/* The value of a field of a vCPU that is present. */
uint64_t nm_field_value(const struct nm_vcpu *vcpu, const struct nm_field *field);

/* Byte offset of a field of a vCPU that is present from the start of its KVM struct, page or save area;
 * -1: none. */
int32_t nm_field_place(const struct nm_vcpu *vcpu, const struct nm_field *field);

/* Byte offset of a field in the file, UINT64_MAX if it has none of its own; *ret_width, if not
 * NULL, becomes its width there, and *ret_big whether it is big-endian there. */
uint64_t nm_field_offset(const struct nm_vcpu *vcpu, const struct nm_field *field,
			 unsigned *ret_width, bool *ret_big);

/*
 * Name to value, width (bytes, of the architectural field) and offset; any ret_ may be NULL.
 * false if there is no such field or its item is absent.
 */
bool nm_vcpu_field(const struct nm_vcpu *vcpu, const char *name, uint64_t *ret_value,
		   unsigned *ret_width, uint64_t *ret_offset);

/* Sets the members of view that belong to item from the bytes of a KVM struct. */
void nm_fields_load_kvm(struct nestmig_vcpu_view *view, enum nestmig_item item,
			const uint8_t *bytes, size_t size);

/* The same from the payload of section "cpu" of a QEMU stream; fields that are not there as such
 * are left alone. */
void nm_fields_load_qemu(struct nestmig_vcpu_view *view, enum nestmig_item item,
			 const uint8_t *payload, size_t size);

/* The inverse of nm_fields_load_kvm: writes the members into the bytes of a KVM struct. */
void nm_fields_store_kvm(const struct nestmig_vcpu_view *view, enum nestmig_item item,
			 uint8_t *bytes, size_t size);

#endif
