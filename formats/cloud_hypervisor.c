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
#include "cloud_hypervisor_internal.h"
#include "error.h"
#include "part.h"
#include "source.h"

/* A vCPU takes some 60 kB of state.json and 16,000 values, in a text of its own. */
#define MAX_STATE       (UINT64_C(64) << 20)
#define MAX_CONFIG      (UINT64_C(1) << 20)
#define MAX_VALUES      (1U << 20)
#define MAX_VCPU_VALUES (1U << 18)

/* set_state of 49.0; KVM_SET_DEBUGREGS is never called. */
#define RESTORE_ORDER                                                                              \
	"CPUID2,MP_STATE,REGS,SREGS,XSAVE,XCRS,LAPIC,FPU,NESTED_STATE,TSC_KHZ,MSRS,VCPU_EVENTS"

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
	return chv->path ? nm_part_open(chv->state, chv->path, name, ret_source, chv->detail)
			 : NESTMIG_OK;
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
		return chv_no_memory(chv);
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
			"wrote it: " CHV_OLD,
			what);
	return chv_parse(json_string_value(text), json_string_length(text), MAX_VCPU_VALUES, what,
			 ret_json, chv->detail);
}

/* ---- vCPUs ----------------------------------------------------------------------------------- */

static enum nestmig_error read_vcpu(struct chv *chv, uint32_t id, const json_t *snapshot)
{
	struct nm_vcpu *vcpu = NULL;
	json_t *json = NULL, *kvm;
	enum nestmig_error error = component(chv, snapshot, "the state of a vCPU", &json);

	if (!error)
		error = nm_state_add_vcpu(chv->state, id, &vcpu, chv->detail);
	kvm = json_object_get(json, "Kvm");
	if (!error && json_object_get(json, "Mshv"))
		error = nm_fail(
			chv->detail, NESTMIG_ERR_UNSUPPORTED,
			"the VM ran on Microsoft's hypervisor (\"Mshv\"), not on KVM: nothing "
			"of its state goes into KVM");
	if (!error && !json_is_object(kvm))
		error = nm_fail(chv->detail, NESTMIG_ERR_UNSUPPORTED,
				"there is no \"Kvm\": another hypervisor's state, or one that an "
				"older version wrote: " CHV_OLD);
	if (!error)
		error = chv_take_vcpu(chv, vcpu, kvm);
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
		return chv_no_memory(chv);
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
	static const char *const mapping[] = {"pmem", "devices", "user_devices",
					      "fs",   "ivshmem", "generic_vhost_user"};
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
	const struct {
		bool is_said;
		const char *text;
	} parts[] = {
		{chv->is_old, "The snapshot was made by an old version: " CHV_OLD "."},
		{chv->lacks_nested,
		 "A vCPU is in SMM, and no nested state of it was saved: what of that was there is "
		 "lost."},
		{chv->loses_vmxon,
		 "A vCPU is in no inner guest, but has CR4.VMXE on, and cloud-hypervisor saves "
		 "nested state only where a VMCS is current: if the vCPU is in VMX operation, as "
		 "with CR4.VMXE it mostly is, that is lost, and its next VMX instruction gets "
		 "#UD."},
		{chv->loses_gif,
		 "A vCPU has SVM on and is in no inner guest; cloud-hypervisor then does not save "
		 "GIF, and it is judged as set."},
		{chv->drops_msrs,
		 "A vCPU in VMX operation gets no VMX capability MSRs back: cloud-hypervisor sets "
		 "them too late, and the host's are judged."},
		{true, "cloud-hypervisor does not save debug registers: breakpoints are lost, and "
		       "those of a reset are judged."},
	};
	struct nm_buf buf = {0};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (parts[i].is_said)
			nm_buf_printf(&buf, "%s%s", buf.used ? " " : "", parts[i].text);
	return nm_buf_take(&buf, &chv->state->remark) ? chv_no_memory(chv) : NESTMIG_OK;
}

/* Takes root over. */
static enum nestmig_error read_root(struct chv *chv, json_t *root)
{
	const json_t *components = json_object_get(root, "snapshots");
	enum nestmig_error error;

	chv->state->format = "cloud-hypervisor";
	if (json_is_object(components))
		error = read_vcpus(chv, components);
	else
		error = nm_fail(chv->detail, NESTMIG_ERR_FORMAT,
				"state.json is no snapshot of cloud-hypervisor: it has no "
				"\"snapshots\"");
	if (!error)
		error = read_memory(chv, components);
	json_decref(root);
	if (!error)
		error = remark(chv);
	return error ? error
		     : nestmig_state_set_restore_order(chv->state, RESTORE_ORDER, chv->detail);
}

enum nestmig_error nm_chv_read(struct nestmig_state *state, const char *path,
			       struct nestmig_detail *detail)
{
	struct chv chv = {.state = state, .path = path, .detail = detail};
	json_t *root = NULL;
	enum nestmig_error error = read_json(&chv, "state.json", MAX_STATE, &root);

	return error ? error : read_root(&chv, root);
}

enum nestmig_error nm_chv_read_text(struct nestmig_state *state, const char *text, size_t size,
				    struct nestmig_detail *detail)
{
	struct chv chv = {.state = state, .detail = detail};
	json_t *root = NULL;
	enum nestmig_error error = chv_parse(text, size, MAX_VALUES, "state.json", &root, detail);

	return error ? error : read_root(&chv, root);
}
