// SPDX-License-Identifier: LGPL-2.1-or-later
/* Making the structs of KVM's ioctls from a decoded vCPU: the inverse of decode.c. */
#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "state.h"

#define SREGS2_FLAGS        280
#define SREGS2_PDPTRS_VALID 1
#define MSR_ENTRY_SIZE      16
#define CPUID_ENTRY_SIZE    40
#define CPUID_ENTRY_WORDS   7 /* what follows is padding */

static void put_le(uint8_t *p, uint64_t value, unsigned width)
{
	for (unsigned i = 0; i < width; i++)
		p[i] = (uint8_t)(value >> (8 * i));
}

static size_t encode_nested(const struct nm_vcpu *vcpu, uint8_t *buffer)
{
	const struct nestmig_vcpu_view *view = &vcpu->view;
	const struct nestmig_nested *nested = &view->nested;
	size_t size = KVMNS_HEADER_SIZE;

	nm_fields_store_kvm(view, NESTMIG_ITEM_NESTED, buffer, 8);
	put_le(buffer, nested->flags, 2);
	memset(buffer + 8, 0, KVMNS_HEADER_SIZE - 8);
	if (nested->format == KVMNS_FORMAT_SVM) {
		put_le(buffer + 8, nested->vmcb_pa, 8);
		put_le(buffer + 16, nested->gpat, 8);
	} else {
		put_le(buffer + 8, nested->vmxon_pa, 8);
		put_le(buffer + 16, nested->vmcs12_pa, 8);
		put_le(buffer + 24, nested->vmx_smm_flags, 2);
		put_le(buffer + 28, nested->vmx_flags, 4);
		put_le(buffer + 32, nested->preemption_deadline, 8);
	}
	if (view->vmcb12 || view->vmcs12) {
		memcpy(buffer + size, view->vmcb12 ? view->vmcb12 : view->vmcs12, KVMNS_VMCS_SIZE);
		size += KVMNS_VMCS_SIZE;
	}
	if (view->vmcs12 && view->shadow_vmcs12) {
		memcpy(buffer + size, view->shadow_vmcs12, KVMNS_VMCS_SIZE);
		size += KVMNS_VMCS_SIZE;
	}
	return size;
}

/* room: bytes of buffer. */
static size_t encode_msrs(const struct nm_vcpu *vcpu, uint8_t *buffer, size_t room)
{
	size_t count = vcpu->msr_count;

	if (count > room / MSR_ENTRY_SIZE)
		count = room / MSR_ENTRY_SIZE;
	for (size_t i = 0; i < count; i++) {
		put_le(buffer + i * MSR_ENTRY_SIZE, vcpu->msrs[i].index, 8);
		put_le(buffer + i * MSR_ENTRY_SIZE + 8, vcpu->msrs[i].value, 8);
	}
	return count * MSR_ENTRY_SIZE;
}

static size_t encode_cpuid(const struct nm_vcpu *vcpu, uint8_t *buffer)
{
	for (size_t i = 0; i < vcpu->cpuid_count; i++) {
		const struct nm_cpuid_entry *entry = &vcpu->cpuid[i];
		const uint32_t words[CPUID_ENTRY_WORDS] = {
			entry->function, entry->index, entry->flags, entry->eax,
			entry->ebx,      entry->ecx,   entry->edx};

		for (size_t k = 0; k < CPUID_ENTRY_WORDS; k++)
			put_le(buffer + i * CPUID_ENTRY_SIZE + 4 * k, words[k], 4);
	}
	return vcpu->cpuid_count * CPUID_ENTRY_SIZE;
}

/* The members of the items in a mask that the vCPU has. */
static size_t encode_items(const struct nm_vcpu *vcpu, uint64_t items, uint8_t *buffer, size_t size)
{
	for (int item = 0; item < NESTMIG_ITEM_COUNT; item++)
		if (items & vcpu->view.have & UINT64_C(1) << item)
			nm_fields_store_kvm(&vcpu->view, (enum nestmig_item)item, buffer, size);
	return size;
}

void nm_encode_kvm(const struct nm_vcpu *vcpu, enum nm_kvm_struct kind, uint8_t *buffer,
		   size_t *ret_size)
{
	static const struct {
		enum nestmig_item first; /* without it there is no struct */
		uint64_t items;
		size_t size;
	} plain[NM_KVM_STRUCTS] = {
		[NM_KVM_SREGS2] = {NESTMIG_ITEM_SREGS, NESTMIG_HAVE(SREGS) | NESTMIG_HAVE(PDPTRS),
				   320},
		[NM_KVM_REGS] = {NESTMIG_ITEM_REGS, NESTMIG_HAVE(REGS), 144},
		[NM_KVM_VCPU_EVENTS] = {NESTMIG_ITEM_EVENTS,
					NESTMIG_HAVE(EVENTS) | NESTMIG_HAVE(ERROR_CODE) |
						NESTMIG_HAVE(INT_SHADOW),
					64},
		[NM_KVM_DEBUGREGS] = {NESTMIG_ITEM_DEBUGREGS, NESTMIG_HAVE(DEBUGREGS), 128},
		[NM_KVM_MP_STATE] = {NESTMIG_ITEM_MP_STATE, NESTMIG_HAVE(MP_STATE), 4},
	};
	size_t size = 0;

	memset(buffer, 0, NM_KVM_STRUCT_MAX);
	if (kind == NM_KVM_NESTED_STATE && nm_vcpu_has(vcpu, NESTMIG_HAVE(NESTED)))
		size = encode_nested(vcpu, buffer);
	else if (kind == NM_KVM_MSRS && nm_vcpu_has(vcpu, NESTMIG_HAVE(MSRS)))
		size = encode_msrs(vcpu, buffer, NM_KVM_STRUCT_MAX);
	else if (plain[kind].size && nm_vcpu_has(vcpu, UINT64_C(1) << plain[kind].first))
		size = encode_items(vcpu, plain[kind].items, buffer, plain[kind].size);
	if (kind == NM_KVM_SREGS2 && size && nm_vcpu_has(vcpu, NESTMIG_HAVE(PDPTRS)))
		put_le(buffer + SREGS2_FLAGS, SREGS2_PDPTRS_VALID, 8);
	*ret_size = size;
}

enum nestmig_error nm_encode_kvm_new(const struct nm_vcpu *vcpu, enum nm_kvm_struct kind,
				     uint8_t **ret_bytes, size_t *ret_size)
{
	size_t list = (kind == NM_KVM_MSRS    ? vcpu->msr_count * MSR_ENTRY_SIZE
		       : kind == NM_KVM_CPUID ? vcpu->cpuid_count * CPUID_ENTRY_SIZE
					      : 0);
	uint8_t *bytes = calloc(1, list > NM_KVM_STRUCT_MAX ? list : NM_KVM_STRUCT_MAX);

	if (!bytes)
		return NESTMIG_ERR_NOMEM;
	if (kind == NM_KVM_CPUID)
		*ret_size = encode_cpuid(vcpu, bytes);
	else if (kind == NM_KVM_MSRS && nm_vcpu_has(vcpu, NESTMIG_HAVE(MSRS)))
		*ret_size = encode_msrs(vcpu, bytes, list);
	else
		nm_encode_kvm(vcpu, kind, bytes, ret_size);
	*ret_bytes = bytes;
	return NESTMIG_OK;
}
