// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * cloud-hypervisor snapshots. Facts: vm-migration/src/lib.rs (Snapshot, SnapshotData), vmm/src/cpu.rs,
 * vmm/src/memory_manager.rs (MemoryManagerSnapshotData, and send, which writes memory-ranges),
 * hypervisor/src/kvm/mod.rs (state, set_state) and kvm/x86_64/mod.rs (VcpuKvmState), 49.0 and later.
 */
#include "cloud_hypervisor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "buf.h"
#include "bytes.h"
#include "cloud_hypervisor_json.h"
#include "error.h"
#include "source.h"

/* A vCPU takes some 60 kB of state.json and 16,000 values, in a text of its own. */
#define MAX_STATE       (UINT64_C(64) << 20)
#define MAX_CONFIG      (UINT64_C(1) << 20)
#define MAX_VALUES      (1U << 20)
#define MAX_VCPU_VALUES (1U << 18)

#define CPUID_ENTRY     40 /* sizeof(struct kvm_cpuid_entry2) */
#define MSR_ENTRY       16 /* sizeof(struct kvm_msr_entry) */

#define CR4_VMXE        (UINT64_C(1) << 13)
#define EFER_SVME       (UINT64_C(1) << 12)
/* Flags of struct kvm_vcpu_events that KVM sets where the VM has the capability. */
#define EVENT_PAYLOAD      0x10
#define EVENT_TRIPLE_FAULT 0x20

/* set_state of 49.0; KVM_SET_DEBUGREGS is never called. */
#define RESTORE_ORDER                                                                              \
	"CPUID2,MP_STATE,REGS,SREGS,XSAVE,XCRS,LAPIC,FPU,NESTED_STATE,TSC_KHZ,MSRS,VCPU_EVENTS"

#define OLD                                                                                        \
	"cloud-hypervisor before version 49 saves no nested state: a guest that was running a "    \
	"guest of its own loses it, and what ran of that is restored as if it were the outer "     \
	"guest"

/* A snapshot that is being read. */
struct chv {
	struct nestmig_state *state;
	const char *path;
	struct nestmig_detail *detail;
	bool lacks_nested; /* a vCPU uses nesting, and the file has no nested state of it */
	bool drops_msrs;   /* of a vCPU the VMX capability MSRs will not be restored */
	bool has_field;    /* the file has the field: version 49 or later */
};

static enum nestmig_error no_memory(struct chv *chv)
{
	return nm_fail(chv->detail, NESTMIG_ERR_NOMEM, "out of memory");
}

/* Puts where it was in front of the text of an error. Offsets in decoded texts are of no use. */
__attribute__((format(printf, 3, 4))) static enum nestmig_error
in_part(struct chv *chv, enum nestmig_error error, const char *format, ...)
{
	char where[64], text[sizeof(chv->detail->text)];
	va_list arguments;

	if (!error || !chv->detail)
		return error;
	va_start(arguments, format);
	vsnprintf(where, sizeof(where), format, arguments);
	va_end(arguments);
	memcpy(text, chv->detail->text, sizeof(text));
	snprintf(chv->detail->text, sizeof(chv->detail->text), "%s: %.300s", where, text);
	chv->detail->has_offset = false;
	return error;
}

bool nm_chv_recognise(const char *path)
{
	struct stat st;
	char *name;
	bool found;

	if (asprintf(&name, "%s/state.json", path) < 0)
		return false;
	found = stat(name, &st) == 0;
	free(name);
	if (!found || asprintf(&name, "%s/meta.json", path) < 0)
		return false;
	found = stat(name, &st) != 0;
	free(name);
	return found;
}

/* ---- Files ----------------------------------------------------------------------------------- */

/* Opens a file of the snapshot as a source of the state; *ret_source stays NULL if there is none. */
static enum nestmig_error open_part(struct chv *chv, const char *name,
				    struct nm_source **ret_source)
{
	struct nm_source *source = NULL;
	struct nestmig_detail local = {0};
	enum nestmig_error error;
	char *path;

	if (asprintf(&path, "%s/%s", chv->path, name) < 0)
		return no_memory(chv);
	error = nm_source_open(path, &source, &local);
	free(path);
	if (error && local.sys_errno == ENOENT)
		return NESTMIG_OK;
	if (error) {
		if (chv->detail)
			*chv->detail = local;
		return error;
	}
	error = nm_state_add_source(chv->state, source, chv->detail);
	if (!error)
		*ret_source = source;
	return error;
}

/* The document in a file; *ret_json stays NULL if there is no such file. */
static enum nestmig_error read_json(struct chv *chv, const char *name, uint64_t limit,
				    json_t **ret_json)
{
	struct nm_source *source = NULL;
	enum nestmig_error error = open_part(chv, name, &source);
	size_t size;
	char *text;

	if (error || !source)
		return error;
	if (nm_source_size(source) > limit)
		return nm_fail(chv->detail, NESTMIG_ERR_LIMIT,
			       "%s has %" PRIu64 " bytes, more than %" PRIu64, name,
			       nm_source_size(source), limit);
	size = (size_t)nm_source_size(source);
	text = malloc(size + 1);
	if (!text)
		return no_memory(chv);
	error = nm_source_read(source, 0, text, size, chv->detail);
	if (!error)
		error = chv_parse(text, size, MAX_VALUES, name, ret_json, chv->detail);
	free(text);
	nm_source_seal(source);
	return error;
}

/* The document that a component of the snapshot has as a text. what names it in errors. */
static enum nestmig_error component(struct chv *chv, const json_t *snapshot, const char *what,
				    json_t **ret_json)
{
	const json_t *data = json_object_get(snapshot, "snapshot_data");
	const json_t *text = json_object_get(data, "state");

	if (!json_is_string(text))
		return nm_fail(
			chv->detail, NESTMIG_ERR_UNSUPPORTED,
			"state.json: %s is not in the form that is read; if an older version "
			"wrote it: " OLD,
			what);
	return chv_parse(json_string_value(text), json_string_length(text), MAX_VCPU_VALUES, what,
			 ret_json, chv->detail);
}

/* ---- vCPUs ----------------------------------------------------------------------------------- */

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
			       "%s has its fields by name, which an older version wrote: " OLD,
			       name);
	bytes = nm_state_room(chv->state, size);
	if (!bytes)
		return no_memory(chv);
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
		return no_memory(chv);
	memset(bytes, 0, json_array_size(list) * size);
	json_array_foreach (list, i, entry)
		if (!take_members(entry, members, count, bytes + i * size))
			return nm_fail(chv->detail, NESTMIG_ERR_FORMAT,
				       "%s: entry %zu lacks a field, or one is out of range", name,
				       i);
	return nm_decode_kvm(vcpu, kind, origin_of(bytes, json_array_size(list) * size),
			     chv->detail);
}

/* KVM keeps SVME and VMXE on in an L2, so a vCPU with both off is in none. In SMM both are off. */
static bool uses_no_nesting(const struct nestmig_vcpu_view *view)
{
	return !view->events.smi_smm && !(view->sregs.efer & EFER_SVME) &&
	       !(view->sregs.cr4 & CR4_VMXE);
}

/*
 * The field is absent before version 49, and null where KVM had nothing to give. The array is as long as
 * the longest state that VMX has, whatever the vendor; the size in its header counts.
 */
static enum nestmig_error take_nested(struct chv *chv, struct nm_vcpu *vcpu, const json_t *kvm)
{
	const json_t *value = json_object_get(kvm, "nested_state");
	uint8_t *bytes;

	chv->has_field |= value != NULL;
	if (!value || json_is_null(value)) {
		vcpu->is_not_nested = uses_no_nesting(&vcpu->view);
		chv->lacks_nested |= !vcpu->is_not_nested;
		return NESTMIG_OK;
	}
	if (json_array_size(value) < KVMNS_HEADER_SIZE ||
	    json_array_size(value) > NM_KVM_STRUCT_MAX)
		return nm_fail(chv->detail, NESTMIG_ERR_FORMAT,
			       "nested_state is no array of %d to %d bytes", KVMNS_HEADER_SIZE,
			       NM_KVM_STRUCT_MAX);
	bytes = nm_state_room(chv->state, json_array_size(value));
	if (!bytes)
		return no_memory(chv);
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

static enum nestmig_error take_vcpu(struct chv *chv, struct nm_vcpu *vcpu, const json_t *kvm)
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

static enum nestmig_error read_vcpu(struct chv *chv, uint32_t id, const json_t *snapshot)
{
	struct nm_vcpu *vcpu = NULL;
	json_t *json = NULL, *kvm;
	enum nestmig_error error = component(chv, snapshot, "the state of a vCPU", &json);

	if (!error)
		error = nm_state_add_vcpu(chv->state, id, &vcpu, chv->detail);
	kvm = json_object_get(json, "Kvm");
	if (!error && !json_is_object(kvm))
		error = nm_fail(chv->detail, NESTMIG_ERR_UNSUPPORTED,
				"there is no \"Kvm\": another hypervisor's state, or one that an "
				"older version wrote: " OLD);
	if (!error)
		error = take_vcpu(chv, vcpu, kvm);
	json_decref(json);
	return in_part(chv, error, "state.json, vCPU %" PRIu32, id);
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The children of "cpu-manager" have numbers for names, and come in the order of texts. */
static enum nestmig_error each_vcpu(struct chv *chv, const json_t *vcpus, uint64_t *ids)
{
	enum nestmig_error error = NESTMIG_OK;
	size_t count = 0;
	const char *key;
	json_t *value;
	char name[24];

	json_object_foreach ((json_t *)(uintptr_t)vcpus, key, value) {
		char *end;

		errno = 0;
		ids[count] = strtoull(key, &end, 10);
		snprintf(name, sizeof(name), "%" PRIu64, ids[count]);
		if (ids[count++] > UINT16_MAX || strcmp(name, key) != 0)
			return nm_fail(chv->detail, NESTMIG_ERR_FORMAT,
				       "state.json: \"cpu-manager\" has a part that is no vCPU");
	}
	qsort(ids, count, sizeof(*ids), by_number);
	for (size_t i = 0; i < count && !error; i++) {
		snprintf(name, sizeof(name), "%" PRIu64, ids[i]);
		error = read_vcpu(chv, (uint32_t)ids[i], json_object_get(vcpus, name));
	}
	return error;
}

static enum nestmig_error read_vcpus(struct chv *chv, const json_t *components)
{
	const json_t *manager = json_object_get(components, "cpu-manager");
	const json_t *vcpus = json_object_get(manager, "snapshots");
	enum nestmig_error error;
	uint64_t *ids;

	if (json_object_size(vcpus) == 0)
		return nm_fail(chv->detail, NESTMIG_ERR_FORMAT,
			       "state.json has no vCPU: no \"snapshots\" in \"cpu-manager\"");
	ids = calloc(json_object_size(vcpus), sizeof(*ids));
	if (!ids)
		return no_memory(chv);
	error = each_vcpu(chv, vcpus, ids);
	free(ids);
	return error;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static enum nestmig_error add_extent(struct chv *chv, const json_t *range, const char *size_name,
				     struct nm_source *source, uint64_t *offset)
{
	struct nm_extent extent = {
		.source = source, .offset = *offset, .file = source ? "memory-ranges" : NULL};

	if (!chv_number(json_object_get(range, "gpa"), UINT64_MAX, &extent.gpa) ||
	    !chv_number(json_object_get(range, size_name), UINT64_MAX, &extent.size))
		return nm_fail(chv->detail, NESTMIG_ERR_FORMAT,
			       "a range of memory lacks its address or its size");
	if (source && extent.size > nm_source_size(source) - *offset)
		return nm_fail(chv->detail, NESTMIG_ERR_TRUNCATED,
			       "memory-ranges has %" PRIu64
			       " bytes, but state.json has ranges that "
			       "go on behind them",
			       nm_source_size(source));
	*offset += extent.size;
	return nm_state_add_extent(chv->state, extent, chv->detail);
}

/* Ranges that are saved, one behind the other in memory-ranges; then all RAM that there is. */
static enum nestmig_error add_ranges(struct chv *chv, const json_t *memory)
{
	const json_t *saved = json_object_get(json_object_get(memory, "memory_ranges"), "data");
	const json_t *all = json_object_get(memory, "guest_ram_mappings");
	struct nm_source *source = NULL;
	enum nestmig_error error = open_part(chv, "memory-ranges", &source);
	uint64_t offset = 0, none = 0;
	size_t i;
	json_t *range;

	if (error)
		return error;
	json_array_foreach (saved, i, range) {
		error = add_extent(chv, range, "length", source, &offset);
		if (error)
			return error;
	}
	if (source && offset != nm_source_size(source))
		return nm_fail(chv->detail, NESTMIG_ERR_FORMAT,
			       "memory-ranges has %" PRIu64
			       " bytes, but the ranges in state.json take %" PRIu64,
			       nm_source_size(source), offset);
	json_array_foreach (all, i, range) {
		error = add_extent(chv, range, "size", NULL, &none);
		if (error)
			return error;
	}
	chv->state->memory_known = json_array_size(all) > 0;
	return NESTMIG_OK;
}

/* Devices that map memory of their own into the guest, which state.json does not list as RAM. */
static enum nestmig_error look_at_config(struct chv *chv)
{
	static const char *const mapping[] = {"pmem", "devices", "user_devices", "fs", "ivshmem"};
	json_t *config = NULL;
	enum nestmig_error error = read_json(chv, "config.json", MAX_CONFIG, &config);

	if (error)
		return error;
	for (size_t i = 0; i < sizeof(mapping) / sizeof(mapping[0]); i++) {
		const json_t *value = json_object_get(config, mapping[i]);

		if (json_array_size(value) || json_object_size(value))
			chv->state->memory_known = false;
	}
	if (!json_is_object(config))
		chv->state->memory_known = false;
	json_decref(config);
	return NESTMIG_OK;
}

static enum nestmig_error read_memory(struct chv *chv, const json_t *components)
{
	const json_t *manager = json_object_get(components, "memory-manager");
	json_t *memory = NULL;
	enum nestmig_error error;

	if (!manager)
		return NESTMIG_OK;
	error = component(chv, manager, "\"memory-manager\"", &memory);
	if (!error)
		error = add_ranges(chv, memory);
	json_decref(memory);
	return error ? error : look_at_config(chv);
}

/* ---- The snapshot ---------------------------------------------------------------------------- */

static enum nestmig_error remark(struct chv *chv)
{
	struct nm_buf buf = {0};

	if (chv->lacks_nested && !chv->has_field)
		nm_buf_puts(&buf, "The snapshot was made by an old version: " OLD ". ");
	else if (chv->lacks_nested)
		nm_buf_puts(&buf,
			    "A vCPU uses nesting, but KVM gave no nested state for it: what of "
			    "that was there is lost. ");
	if (chv->drops_msrs)
		nm_buf_puts(&buf,
			    "A vCPU in VMX operation gets no VMX capability MSRs back: "
			    "cloud-hypervisor sets them too late, and the host's are judged. ");
	nm_buf_puts(&buf,
		    "cloud-hypervisor does not save debug registers: breakpoints are lost, and "
		    "those of a reset are judged.");
	return nm_buf_take(&buf, &chv->state->remark) ? no_memory(chv) : NESTMIG_OK;
}

enum nestmig_error nm_chv_read(struct nestmig_state *state, const char *path,
			       struct nestmig_detail *detail)
{
	struct chv chv = {.state = state, .path = path, .detail = detail};
	const json_t *components;
	json_t *root = NULL;
	enum nestmig_error error = read_json(&chv, "state.json", MAX_STATE, &root);

	state->format = "cloud-hypervisor";
	components = json_object_get(root, "snapshots");
	if (!error && !json_is_object(components))
		error = nm_fail(detail, NESTMIG_ERR_FORMAT,
				"state.json is no snapshot of cloud-hypervisor: it has no "
				"\"snapshots\"");
	if (!error)
		error = read_vcpus(&chv, components);
	if (!error)
		error = read_memory(&chv, components);
	json_decref(root);
	if (!error)
		error = remark(&chv);
	return error ? error : nestmig_state_set_restore_order(state, RESTORE_ORDER, detail);
}
