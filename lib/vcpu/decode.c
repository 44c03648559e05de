// SPDX-License-Identifier: LGPL-2.1-or-later
/* Decoding the structs of KVM's ioctls (uapi linux/kvm.h and asm/kvm.h, Linux 6.1). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "error.h"
#include "fields.h"
#include "state.h"

#define SREGS2_PDPTRS_VALID    1
#define SREGS2_FLAGS_OFFSET    280
#define EVENT_VALID_SHADOW     0x4
#define MSR_ENTRY_SIZE         16
#define CPUID_ENTRY_SIZE       40
#define CPUID_FLAG_SIGNIFICANT 1
#define MSR_IA32_SMBASE        0x9e
#define MSR_VM_HSAVE_PA        0xc0010117
/* KVM's own limits are 4096 MSRs an ioctl (MSR_ENTRIES... in x86.c) and 256 CPUID entries. */
#define MAX_MSRS  4096
#define MAX_CPUID 4096

/* One row a struct: its name in a raw dump, its size in bytes (0: any number of entries). */
static const struct {
	const char *name;
	size_t size, entry;
} structs[NM_KVM_STRUCTS] = {
	[NM_KVM_NESTED_STATE] = {"nested_state", 0, 0},
	[NM_KVM_SREGS] = {"sregs", 312, 0},
	[NM_KVM_SREGS2] = {"sregs2", 320, 0},
	[NM_KVM_REGS] = {"regs", 144, 0},
	[NM_KVM_VCPU_EVENTS] = {"vcpu_events", 64, 0},
	[NM_KVM_DEBUGREGS] = {"debugregs", 128, 0},
	[NM_KVM_MP_STATE] = {"mp_state", 4, 0},
	[NM_KVM_MSRS] = {"msrs", 0, MSR_ENTRY_SIZE},
	[NM_KVM_CPUID] = {"cpuid", 0, CPUID_ENTRY_SIZE},
};

const char *nm_kvm_struct_name(enum nm_kvm_struct kind)
{
	return structs[kind].name;
}

static enum nestmig_error check_size(enum nm_kvm_struct kind, const struct nm_origin *origin,
				     struct nestmig_detail *detail)
{
	size_t size = structs[kind].size, entry = structs[kind].entry;

	if (size && origin->size != size)
		return nm_fail_at(detail,
				  origin->size < size ? NESTMIG_ERR_TRUNCATED : NESTMIG_ERR_FORMAT,
				  origin->offset, "%s: %" PRIu64 " bytes, but the struct has %zu",
				  structs[kind].name, origin->size, size);
	if (entry && origin->size % entry)
		return nm_fail_at(detail, NESTMIG_ERR_TRUNCATED, origin->offset,
				  "%s: %" PRIu64 " bytes are no whole number of %zu-byte entries",
				  structs[kind].name, origin->size, entry);
	if (kind == NM_KVM_NESTED_STATE && origin->size < KVMNS_HEADER_SIZE)
		return nm_fail_at(detail, NESTMIG_ERR_TRUNCATED, origin->offset,
				  "nested_state: %" PRIu64 " bytes, but its header has %d",
				  origin->size, KVMNS_HEADER_SIZE);
	return NESTMIG_OK;
}

/* A page of the data behind the header, if the file has it whole. */
static const uint8_t *nested_page(struct nm_vcpu *vcpu, enum nestmig_item item,
				  struct nm_origin origin, uint64_t offset)
{
	if (origin.size < offset + KVMNS_VMCS_SIZE)
		return NULL;
	origin.bytes += offset;
	origin.offset += offset;
	origin.size = KVMNS_VMCS_SIZE;
	nm_vcpu_set_item(vcpu, item, origin);
	return origin.bytes;
}

/* The size in the header says how much KVM reads; bytes of the file beyond it are no state. */
static void decode_nested(struct nm_vcpu *vcpu, struct nm_origin origin)
{
	struct nestmig_vcpu_view *view = &vcpu->view;
	struct nestmig_nested *nested = &view->nested;
	const uint8_t *p = origin.bytes;

	nested->flags = nested->stored_flags = nm_le16(p);
	nested->format = nm_le16(p + 2);
	nested->size = nm_le32(p + 4);
	nm_vcpu_set_item(vcpu, NESTMIG_ITEM_NESTED, origin);
	vcpu->origin[NESTMIG_ITEM_NESTED].size = KVMNS_HEADER_SIZE;
	if (nested->size >= KVMNS_HEADER_SIZE && nested->size < origin.size)
		origin.size = nested->size;
	if (nested->format == KVMNS_FORMAT_SVM) {
		nested->vmcb_pa = nm_le64(p + 8);
		nested->gpat = nm_le64(p + 16);
		view->vmcb12 = nested_page(vcpu, NESTMIG_ITEM_VMCB12, origin, KVMNS_HEADER_SIZE);
		return;
	}
	if (nested->format != KVMNS_FORMAT_VMX)
		return;
	nested->vmxon_pa = nm_le64(p + 8);
	nested->vmcs12_pa = nm_le64(p + 16);
	nested->vmx_smm_flags = nm_le16(p + 24);
	nested->vmx_flags = nm_le32(p + 28);
	nested->preemption_deadline = nm_le64(p + 32);
	view->vmcs12 = nested_page(vcpu, NESTMIG_ITEM_VMCS12, origin, KVMNS_HEADER_SIZE);
	view->shadow_vmcs12 = nested_page(vcpu, NESTMIG_ITEM_SHADOW_VMCS12, origin,
					  KVMNS_HEADER_SIZE + KVMNS_VMCS_SIZE);
}

static void decode_events(struct nm_vcpu *vcpu, struct nm_origin origin)
{
	nm_fields_load_kvm(&vcpu->view, NESTMIG_ITEM_EVENTS, origin.bytes, (size_t)origin.size);
	nm_vcpu_set_item(vcpu, NESTMIG_ITEM_EVENTS, origin);
	nm_fields_load_kvm(&vcpu->view, NESTMIG_ITEM_ERROR_CODE, origin.bytes, (size_t)origin.size);
	nm_vcpu_set_item(vcpu, NESTMIG_ITEM_ERROR_CODE, origin);
	if (!(vcpu->view.events.flags & EVENT_VALID_SHADOW))
		return;
	nm_fields_load_kvm(&vcpu->view, NESTMIG_ITEM_INT_SHADOW, origin.bytes, (size_t)origin.size);
	nm_vcpu_set_item(vcpu, NESTMIG_ITEM_INT_SHADOW, origin);
}

static void decode_sregs2(struct nm_vcpu *vcpu, struct nm_origin origin)
{
	nm_fields_load_kvm(&vcpu->view, NESTMIG_ITEM_SREGS, origin.bytes, (size_t)origin.size);
	nm_vcpu_set_item(vcpu, NESTMIG_ITEM_SREGS, origin);
	vcpu->view.sregs.flags = nm_le64(origin.bytes + SREGS2_FLAGS_OFFSET);
	if (!(vcpu->view.sregs.flags & SREGS2_PDPTRS_VALID))
		return;
	nm_fields_load_kvm(&vcpu->view, NESTMIG_ITEM_PDPTRS, origin.bytes, (size_t)origin.size);
	nm_vcpu_set_item(vcpu, NESTMIG_ITEM_PDPTRS, origin);
}

uint32_t nm_msr_listed(uint32_t index)
{
	switch (index) {
	case 0x175:
		return NESTMIG_LISTED_SYSENTER_ESP;
	case 0x176:
		return NESTMIG_LISTED_SYSENTER_EIP;
	case 0xc0000100:
		return NESTMIG_LISTED_FS_BASE;
	case 0xc0000101:
		return NESTMIG_LISTED_GS_BASE;
	default:
		return 0;
	}
}

/* An MSR that has an item of its own. */
static void msr_item(struct nm_vcpu *vcpu, const struct nm_msr *msr, struct nm_origin origin)
{
	origin.layout = NM_LAYOUT_NONE;
	if (msr->index == MSR_IA32_SMBASE) {
		vcpu->view.smbase = msr->value;
		nm_vcpu_set_item(vcpu, NESTMIG_ITEM_SMBASE, origin);
	} else if (msr->index == MSR_VM_HSAVE_PA) {
		vcpu->view.hsave_pa = msr->value;
		nm_vcpu_set_item(vcpu, NESTMIG_ITEM_HSAVE_PA, origin);
	} else if (nm_vmx_msr_put(&vcpu->view.vmx, msr->index, msr->value)) {
		nm_vcpu_set_item(vcpu, NESTMIG_ITEM_VMX_MSRS, origin);
	}
}

static enum nestmig_error decode_msrs(struct nm_vcpu *vcpu, struct nm_origin origin,
				      struct nestmig_detail *detail)
{
	size_t count = (size_t)origin.size / MSR_ENTRY_SIZE;

	if (count > MAX_MSRS)
		return nm_fail_at(detail, NESTMIG_ERR_LIMIT, origin.offset,
				  "msrs: %zu entries, more than %d", count, MAX_MSRS);
	free(vcpu->msrs);
	vcpu->msr_count = 0;
	vcpu->view.msrs_listed = 0;
	vcpu->msrs = calloc(count ? count : 1, sizeof(*vcpu->msrs));
	if (!vcpu->msrs)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		const uint8_t *p = origin.bytes + i * MSR_ENTRY_SIZE;

		vcpu->msrs[i] = (struct nm_msr){.index = nm_le32(p), .value = nm_le64(p + 8)};
		vcpu->view.msrs_listed |= nm_msr_listed(vcpu->msrs[i].index);
		msr_item(vcpu, &vcpu->msrs[i], origin);
	}
	vcpu->msr_count = count;
	nm_vcpu_set_item(vcpu, NESTMIG_ITEM_MSRS, origin);
	return NESTMIG_OK;
}

static enum nestmig_error decode_cpuid(struct nm_vcpu *vcpu, struct nm_origin origin,
				       struct nestmig_detail *detail)
{
	size_t count = (size_t)origin.size / CPUID_ENTRY_SIZE;

	if (count > MAX_CPUID)
		return nm_fail_at(detail, NESTMIG_ERR_LIMIT, origin.offset,
				  "cpuid: %zu entries, more than %d", count, MAX_CPUID);
	free(vcpu->cpuid);
	vcpu->cpuid_count = 0;
	vcpu->cpuid = calloc(count ? count : 1, sizeof(*vcpu->cpuid));
	if (!vcpu->cpuid)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		const uint8_t *p = origin.bytes + i * CPUID_ENTRY_SIZE;

		vcpu->cpuid[i] = (struct nm_cpuid_entry){
			.function = nm_le32(p),
			.index = nm_le32(p + 4),
			.flags = nm_le32(p + 8),
			.eax = nm_le32(p + 12),
			.ebx = nm_le32(p + 16),
			.ecx = nm_le32(p + 20),
			.edx = nm_le32(p + 24),
		};
	}
	vcpu->cpuid_count = count;
	nm_cpuid_words(vcpu->cpuid, count, &vcpu->view.cpuid);
	nm_vcpu_set_item(vcpu, NESTMIG_ITEM_CPUID, origin);
	return NESTMIG_OK;
}

enum nestmig_error nm_decode_kvm(struct nm_vcpu *vcpu, enum nm_kvm_struct kind,
				 struct nm_origin origin, struct nestmig_detail *detail)
{
	static const enum nestmig_item simple[NM_KVM_STRUCTS] = {
		[NM_KVM_SREGS] = NESTMIG_ITEM_SREGS,
		[NM_KVM_REGS] = NESTMIG_ITEM_REGS,
		[NM_KVM_DEBUGREGS] = NESTMIG_ITEM_DEBUGREGS,
		[NM_KVM_MP_STATE] = NESTMIG_ITEM_MP_STATE,
	};
	enum nestmig_error error = check_size(kind, &origin, detail);

	if (error)
		return error;
	switch (kind) {
	case NM_KVM_NESTED_STATE:
		decode_nested(vcpu, origin);
		break;
	case NM_KVM_SREGS2:
		decode_sregs2(vcpu, origin);
		break;
	case NM_KVM_VCPU_EVENTS:
		decode_events(vcpu, origin);
		break;
	case NM_KVM_MSRS:
		return decode_msrs(vcpu, origin, detail);
	case NM_KVM_CPUID:
		return decode_cpuid(vcpu, origin, detail);
	default:
		nm_fields_load_kvm(&vcpu->view, simple[kind], origin.bytes, (size_t)origin.size);
		nm_vcpu_set_item(vcpu, simple[kind], origin);
	}
	return NESTMIG_OK;
}

static const struct nm_cpuid_entry *cpuid_leaf(const struct nm_cpuid_entry *entries, size_t count,
					       uint32_t function, uint32_t index)
{
	for (size_t i = 0; i < count; i++)
		if (entries[i].function == function &&
		    (!(entries[i].flags & CPUID_FLAG_SIGNIFICANT) || entries[i].index == index))
			return &entries[i];
	return NULL;
}

/* The width that KVM takes without leaf 0x80000008 (cpuid_query_maxphyaddr, 6.1). */
#define DEFAULT_PHYS_BITS 36

/* A list without leaf 0x80000000 is taken for a part of one. */
static bool has_phys_bits(const struct nm_cpuid_entry *entries, size_t count)
{
	const struct nm_cpuid_entry *highest = cpuid_leaf(entries, count, 0x80000000, 0);

	return (!highest || highest->eax >= 0x80000008) &&
	       cpuid_leaf(entries, count, 0x80000008, 0);
}

/* Where the words that rules read stand. */
static const struct {
	uint32_t function, index;
	size_t reg;
	const char *name;
} where[NESTMIG_CPUID_WORDS] = {
#define CPUID_WORD(word, function, index, reg)                                                     \
	[NESTMIG_CPUID_##word] = {function, index, offsetof(struct nm_cpuid_entry, reg), #reg},
#include "cpuid.def"
#undef CPUID_WORD
};

void nm_cpuid_word_name(enum nestmig_cpuid_word word, char *buffer, size_t size)
{
	snprintf(buffer, size, "cpuid.%x.%x.%s", where[word].function, where[word].index,
		 where[word].name);
}

/* A leaf that a complete list does not have reads as zero, as KVM treats it. */
void nm_cpuid_words(const struct nm_cpuid_entry *entries, size_t count, struct nestmig_cpuid *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < NESTMIG_CPUID_WORDS; i++) {
		const struct nm_cpuid_entry *entry =
			cpuid_leaf(entries, count, where[i].function, where[i].index);

		if (entry)
			memcpy(&ret->word[i], (const uint8_t *)entry + where[i].reg,
			       sizeof(ret->word[i]));
		ret->have |= UINT32_C(1) << i;
	}
	if (!has_phys_bits(entries, count))
		ret->word[NESTMIG_CPUID_80000008_EAX] = DEFAULT_PHYS_BITS;
}
