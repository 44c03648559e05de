// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A vCPU of a cloud-hypervisor snapshot: hypervisor/src/kvm/mod.rs (state, set_state) and kvm/x86_64/mod.rs
 * (VcpuKvmState), 49.0 and later.
 */
#include <inttypes.h>
#include <string.h>

#include "bytes.h"
#include "cloud_hypervisor_internal.h"
#include "error.h"

#define CPUID_ENTRY 40 /* sizeof(struct kvm_cpuid_entry2) */
#define MSR_ENTRY   16 /* sizeof(struct kvm_msr_entry) */

#define CR4_VMXE    (UINT64_C(1) << 13)
#define EFER_SVME   (UINT64_C(1) << 12)
/* Flags of struct kvm_vcpu_events that KVM sets where the VM has the capability. */
#define EVENT_PAYLOAD      0x10
#define EVENT_TRIPLE_FAULT 0x20

enum nestmig_error chv_no_memory(struct chv *chv)
{
	return nm_fail(chv->detail, NESTMIG_ERR_NOMEM, "out of memory");
}

/* Bytes that live as long as the state, and where they come from. */
static struct nm_origin origin_of(const uint8_t *bytes, size_t size)
{
	return (struct nm_origin){
		.file = "state.json", .bytes = bytes, .size = size, .layout = NM_LAYOUT_NONE};
}

/* A field that is an array of bytes: a struct as KVM has it. */
static enum nestmig_error take_struct(struct chv *chv, struct nm_vcpu *vcpu, const json_t *kvm,
				      enum nm_kvm_struct kind, size_t size)
{
	const char *name = nm_kvm_struct_name(kind);
	const json_t *value = json_object_get(kvm, name);
	uint8_t *bytes;

	if (json_is_object(value))
		return nm_fail(chv->detail, NESTMIG_ERR_UNSUPPORTED,
			       "%s has its fields by name, which an older version wrote: " CHV_OLD,
			       name);
	bytes = nm_state_room(chv->state, size);
	if (!bytes)
		return chv_no_memory(chv);
	if (!chv_bytes(value, bytes, size))
		return nm_fail(chv->detail, NESTMIG_ERR_FORMAT,
			       "%s is no array of %zu bytes, which the struct of KVM has", name,
			       size);
	return nm_decode_kvm(vcpu, kind, origin_of(bytes, size), chv->detail);
}

static void put_le(uint8_t *bytes, uint64_t value, unsigned width)
{
	for (unsigned i = 0; i < width; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
}

/* One field of an entry of a list, and where it goes. */
struct member {
	const char *name;
	unsigned offset, width;
};

static bool take_members(const json_t *entry, const struct member *members, size_t count,
			 uint8_t *bytes)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t max = members[i].width == 8 ? UINT64_MAX : UINT32_MAX, value;

		if (!chv_number(json_object_get(entry, members[i].name), max, &value))
			return false;
		put_le(bytes + members[i].offset, value, members[i].width);
	}
	return true;
}

/* A list of entries with their fields by name: made into what KVM's ioctl takes. */
static enum nestmig_error take_list(struct chv *chv, struct nm_vcpu *vcpu, const json_t *kvm,
				    enum nm_kvm_struct kind)
{
	static const struct member msr[] = {{"index", 0, 4}, {"data", 8, 8}};
	static const struct member cpuid[] = {
		{"function", 0, 4}, {"index", 4, 4}, {"flags", 8, 4}, {"eax", 12, 4},
		{"ebx", 16, 4},     {"ecx", 20, 4},  {"edx", 24, 4},
	};
	bool is_msr = kind == NM_KVM_MSRS;
	const struct member *members = is_msr ? msr : cpuid;
	size_t count = is_msr ? sizeof(msr) / sizeof(msr[0]) : sizeof(cpuid) / sizeof(cpuid[0]);
	size_t size = is_msr ? MSR_ENTRY : CPUID_ENTRY, i;
	const char *name = nm_kvm_struct_name(kind);
	const json_t *list = json_object_get(kvm, name);
	json_t *entry;
	uint8_t *bytes;

	if (!json_is_array(list))
		return nm_fail(chv->detail, NESTMIG_ERR_FORMAT, "%s is no array", name);
	/* As many bytes as values stand in the text, within a factor of 40. */
	bytes = nm_state_room(chv->state, json_array_size(list) * size + 1);
	if (!bytes)
		return chv_no_memory(chv);
	memset(bytes, 0, json_array_size(list) * size);
	json_array_foreach (list, i, entry)
		if (!take_members(entry, members, count, bytes + i * size))
			return nm_fail(chv->detail, NESTMIG_ERR_FORMAT,
				       "%s: entry %zu lacks a field, or one is out of range", name,
				       i);
	return nm_decode_kvm(vcpu, kind, origin_of(bytes, json_array_size(list) * size),
			     chv->detail);
}

/*
 * KVM_GET_NESTED_STATE gave but the header: then kvm-ioctls (VcpuFd::nested_state) drops it, and nothing is
 * set on restoring. So the vCPU is in no L2: with a VMCB12 or a VMCS12 there would be more. On AMD what is
 * lost is that L1 had GIF clear; a new vCPU has it set (init_vmcb). On Intel VMXON is lost, if CR4.VMXE was
 * on for it. In SMM L2 may be in the save area.
 */
static void take_no_nested(struct chv *chv, struct nm_vcpu *vcpu)
{
	const struct nestmig_vcpu_view *view = &vcpu->view;

	if (view->events.smi_smm)
		chv->lacks_nested = true;
	else if (view->sregs.cr4 & CR4_VMXE)
		chv->loses_vmxon = true;
	else
		chv->loses_gif |= view->sregs.efer & EFER_SVME;
	vcpu->is_not_nested = !view->events.smi_smm && !(view->sregs.cr4 & CR4_VMXE);
}

/* The field is absent before version 49. KVM keeps SVME and VMXE on in an L2, so a vCPU with both off is in
 * none. In SMM both are off. */
static void take_old(struct chv *chv, struct nm_vcpu *vcpu)
{
	const struct nestmig_vcpu_view *view = &vcpu->view;

	vcpu->is_not_nested = !view->events.smi_smm && !(view->sregs.efer & EFER_SVME) &&
			      !(view->sregs.cr4 & CR4_VMXE);
	chv->is_old |= !vcpu->is_not_nested;
}

/*
 * The array is as long as the longest state that VMX has, whatever the vendor (KvmNestedStateBuffer of
 * kvm-bindings); the size in its header counts.
 */
static enum nestmig_error take_nested(struct chv *chv, struct nm_vcpu *vcpu, const json_t *kvm)
{
	const json_t *value = json_object_get(kvm, "nested_state");
	uint8_t *bytes;

	if (!value)
		take_old(chv, vcpu);
	else if (json_is_null(value))
		take_no_nested(chv, vcpu);
	if (!value || json_is_null(value))
		return NESTMIG_OK;
	if (json_array_size(value) < KVMNS_HEADER_SIZE ||
	    json_array_size(value) > NM_KVM_STRUCT_MAX)
		return nm_fail(chv->detail, NESTMIG_ERR_FORMAT,
			       "nested_state is no array of %d to %d bytes", KVMNS_HEADER_SIZE,
			       NM_KVM_STRUCT_MAX);
	bytes = nm_state_room(chv->state, json_array_size(value));
	if (!bytes)
		return chv_no_memory(chv);
	if (!chv_bytes(value, bytes, json_array_size(value)))
		return nm_fail(chv->detail, NESTMIG_ERR_FORMAT,
			       "nested_state has elements that are no bytes");
	if (nm_le32(bytes + 4) > json_array_size(value))
		return nm_fail(chv->detail, NESTMIG_ERR_TRUNCATED,
			       "nested_state is said to have %" PRIu32 " bytes, but there are %zu",
			       nm_le32(bytes + 4), json_array_size(value));
	return nm_decode_kvm(vcpu, NM_KVM_NESTED_STATE, origin_of(bytes, json_array_size(value)),
			     chv->detail);
}

/*
 * The MSRs are set after the nested state, and KVM takes no VMX capability MSR of a vCPU in VMX operation
 * (vmx_set_vmx_msr: EBUSY). cloud-hypervisor goes on with the next MSR, where QEMU aborts: what KVM offers by
 * itself stays in force.
 */
static void drop_late_msrs(struct chv *chv, struct nm_vcpu *vcpu)
{
	struct nestmig_vcpu_view *view = &vcpu->view;

	if (!nm_vcpu_has(vcpu, NESTMIG_HAVE(NESTED) | NESTMIG_HAVE(VMX_MSRS)) ||
	    view->nested.format != KVMNS_FORMAT_VMX || view->nested.vmxon_pa == UINT64_MAX)
		return;
	view->vmx.have = 0;
	chv->drops_msrs = true;
}

/* What the restored vCPU will have: those of a reset. */
static void reset_debugregs(struct nm_vcpu *vcpu)
{
	vcpu->view.debugregs = (struct nestmig_debugregs){.dr6 = 0xffff0ff0, .dr7 = 0x400};
	nm_vcpu_set_item(vcpu, NESTMIG_ITEM_DEBUGREGS,
			 (struct nm_origin){.offset = UINT64_MAX, .layout = NM_LAYOUT_NONE});
}

/*
 * cloud-hypervisor has the local APIC in the kernel and enables nothing else that rules ask about. What
 * shows that the VM had more leaves it open.
 */
static void take_caps(struct nm_vcpu *vcpu)
{
	const struct nestmig_vcpu_view *view = &vcpu->view;

	if (view->events.flags & (EVENT_PAYLOAD | EVENT_TRIPLE_FAULT) ||
	    view->nested.flags & KVMNS_EVMCS)
		return;
	vcpu->view.vm_caps = NESTMIG_VM_IRQCHIP;
	nm_vcpu_set_item(vcpu, NESTMIG_ITEM_VM_CAPS,
			 (struct nm_origin){.offset = UINT64_MAX, .layout = NM_LAYOUT_NONE});
}

/* By leaf 0 of the guest's CPUID, else by the format of the nested state. */
static enum nestmig_vendor vendor_of(const struct nm_vcpu *vcpu)
{
	static const struct {
		char name[13]; /* EBX, EDX, ECX */
		enum nestmig_vendor vendor;
	} vendors[] = {{"GenuineIntel", NESTMIG_VENDOR_INTEL},
		       {"AuthenticAMD", NESTMIG_VENDOR_AMD},
		       {"HygonGenuine", NESTMIG_VENDOR_AMD}};

	for (size_t i = 0; i < vcpu->cpuid_count; i++) {
		const struct nm_cpuid_entry *leaf = &vcpu->cpuid[i];
		uint8_t name[12];

		put_le(name, leaf->ebx, 4);
		put_le(name + 4, leaf->edx, 4);
		put_le(name + 8, leaf->ecx, 4);
		for (size_t k = 0; leaf->function == 0 && k < 3; k++)
			if (memcmp(name, vendors[k].name, sizeof(name)) == 0)
				return vendors[k].vendor;
	}
	if (!nm_vcpu_has(vcpu, NESTMIG_HAVE(NESTED)))
		return NESTMIG_VENDOR_UNKNOWN;
	return vcpu->view.nested.format == KVMNS_FORMAT_SVM ? NESTMIG_VENDOR_AMD
							    : NESTMIG_VENDOR_INTEL;
}

enum nestmig_error chv_take_vcpu(struct chv *chv, struct nm_vcpu *vcpu, const json_t *kvm)
{
	static const struct {
		enum nm_kvm_struct kind;
		size_t size;
	} structs[] = {{NM_KVM_VCPU_EVENTS, 64},
		       {NM_KVM_REGS, 144},
		       {NM_KVM_SREGS, 312},
		       {NM_KVM_MP_STATE, 4}};
	enum nestmig_error error = NESTMIG_OK;

	for (size_t i = 0; i < sizeof(structs) / sizeof(structs[0]) && !error; i++)
		error = take_struct(chv, vcpu, kvm, structs[i].kind, structs[i].size);
	if (!error)
		error = take_list(chv, vcpu, kvm, NM_KVM_CPUID);
	if (!error)
		error = take_list(chv, vcpu, kvm, NM_KVM_MSRS);
	if (!error)
		error = take_nested(chv, vcpu, kvm);
	if (error)
		return error;
	drop_late_msrs(chv, vcpu);
	reset_debugregs(vcpu);
	take_caps(vcpu);
	vcpu->view.vendor = vendor_of(vcpu);
	if (chv->state->vendor == NESTMIG_VENDOR_UNKNOWN)
		chv->state->vendor = vcpu->view.vendor;
	return NESTMIG_OK;
}
