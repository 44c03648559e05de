// SPDX-License-Identifier: LGPL-2.1-or-later
/* Raw KVM dumps: what any VMM can write with the ioctls alone. */
#include "rawdump.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "error.h"
#include "host.h"
#include "part.h"
#include "source.h"

/* The largest struct is kvm_nested_state with 8320 bytes; lists have at most 4096 entries of 40. */
#define MAX_STRUCT (UINT64_C(1) << 20)
#define MAX_META   (UINT64_C(1) << 20)

/* A dump that is being read. */
struct dump {
	struct nestmig_state *state;
	const char *path;
	struct nestmig_detail *detail;
	uint32_t vm_caps; /* NESTMIG_VM_* bits */
	bool has_vm_caps;
};

static enum nestmig_error no_memory(struct dump *dump)
{
	return nm_fail(dump->detail, NESTMIG_ERR_NOMEM, "out of memory");
}

/* Puts the name of the file in front of the text of an error. */
static enum nestmig_error in_file(struct dump *dump, const char *name, enum nestmig_error error)
{
	char text[sizeof(dump->detail->text)];

	if (!error || !dump->detail)
		return error;
	memcpy(text, dump->detail->text, sizeof(text));
	snprintf(dump->detail->text, sizeof(dump->detail->text), "%s: %.300s", name, text);
	return error;
}

/* The whole of a small file; *ret_bytes is NULL if there is no such file. */
static enum nestmig_error read_part(struct dump *dump, const char *name, uint64_t limit,
				    const uint8_t **ret_bytes, size_t *ret_size)
{
	struct nm_source *source = NULL;
	enum nestmig_error error =
		nm_part_open(dump->state, dump->path, name, &source, dump->detail);
	uint64_t size;

	*ret_bytes = NULL;
	if (error || !source)
		return error;
	size = nm_source_size(source);
	if (size > limit)
		return nm_fail_at(dump->detail, NESTMIG_ERR_LIMIT, limit,
				  "%s has %" PRIu64 " bytes, more than %" PRIu64, name, size,
				  limit);
	*ret_size = (size_t)size;
	error = nm_source_window(source, 0, *ret_size, ret_bytes, dump->detail);
	/* A dump of many vCPUs has more files than a process may have open. */
	nm_source_seal(source);
	return in_file(dump, name, error);
}

/* ---- vCPUs ---------------------------------------------------------------------------------- */

static enum nestmig_error read_struct(struct dump *dump, struct nm_vcpu *vcpu,
				      enum nm_kvm_struct kind)
{
	struct nm_origin origin = {.layout = NM_LAYOUT_KVM};
	enum nestmig_error error;
	char name[64];
	size_t size = 0;

	snprintf(name, sizeof(name), "vcpu%u/%s", vcpu->id, nm_kvm_struct_name(kind));
	error = read_part(dump, name, MAX_STRUCT, &origin.bytes, &size);
	if (error || !origin.bytes)
		return error;
	origin.size = size;
	origin.file = nm_state_keep(dump->state, name);
	if (!origin.file)
		return no_memory(dump);
	return in_file(dump, name, nm_decode_kvm(vcpu, kind, origin, dump->detail));
}

static enum nestmig_error read_vcpu(struct dump *dump, uint32_t id)
{
	struct nm_vcpu *vcpu = NULL;
	enum nestmig_error error = nm_state_add_vcpu(dump->state, id, &vcpu, dump->detail);

	/* sregs2 comes after sregs in the list and wins: it says more. */
	for (int kind = 0; !error && kind < NM_KVM_STRUCTS; kind++)
		error = read_struct(dump, vcpu, kind);
	if (error)
		return error;
	if (dump->has_vm_caps) {
		vcpu->view.vm_caps = dump->vm_caps;
		nm_vcpu_set_item(vcpu, NESTMIG_ITEM_VM_CAPS,
				 (struct nm_origin){.file = "meta.json", .layout = NM_LAYOUT_NONE});
	}
	vcpu->view.vendor = dump->state->vendor;
	if (vcpu->view.vendor == NESTMIG_VENDOR_UNKNOWN && nm_vcpu_has(vcpu, NESTMIG_HAVE(NESTED)))
		vcpu->view.vendor = vcpu->view.nested.format == KVMNS_FORMAT_SVM
					    ? NESTMIG_VENDOR_AMD
					    : NESTMIG_VENDOR_INTEL;
	return NESTMIG_OK;
}

/* "vcpu12" gives 12. */
static bool vcpu_id(const char *name, uint32_t *ret_id)
{
	unsigned long id;
	char *end;

	if (strncmp(name, "vcpu", 4) != 0 || name[4] < '0' || name[4] > '9')
		return false;
	errno = 0;
	id = strtoul(name + 4, &end, 10);
	if (*end || errno || id > UINT16_MAX)
		return false;
	*ret_id = (uint32_t)id;
	return true;
}

/* "1f000" gives 0x1f000, with or without 0x. */
static bool extent_gpa(const char *name, uint64_t *ret_gpa)
{
	const char *digits = strncasecmp(name, "0x", 2) == 0 ? name + 2 : name;

	/* strtoull also takes white space and signs. */
	if (!*digits || digits[strspn(digits, "0123456789abcdefABCDEF")])
		return false;
	errno = 0;
	*ret_gpa = strtoull(digits, NULL, 16);
	return !errno;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strverscmp((*a)->d_name, (*b)->d_name);
}

/* Calls visit for every entry of a directory in order of number; no such directory is no entry. */
static enum nestmig_error each_entry(struct dump *dump, const char *name,
				     enum nestmig_error (*visit)(struct dump *dump,
								 const char *name))
{
	struct dirent **entries = NULL;
	enum nestmig_error error = NESTMIG_OK;
	char *path;
	int count;

	if (asprintf(&path, "%s/%s", dump->path, name) < 0)
		return no_memory(dump);
	count = scandir(path, &entries, NULL, by_name);
	if (count < 0 && errno != ENOENT)
		error = nm_fail_errno(dump->detail, "cannot list %s", path);
	free(path);
	for (int i = 0; i < count; i++) {
		if (!error)
			error = visit(dump, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return error;
}

static enum nestmig_error visit_vcpu(struct dump *dump, const char *name)
{
	uint32_t id;

	return vcpu_id(name, &id) ? read_vcpu(dump, id) : NESTMIG_OK;
}

static enum nestmig_error visit_memory(struct dump *dump, const char *name)
{
	struct nm_extent extent = {0};
	enum nestmig_error error;
	char *part;

	if (!extent_gpa(name, &extent.gpa))
		return NESTMIG_OK;
	if (asprintf(&part, "mem/%s", name) < 0)
		return no_memory(dump);
	error = nm_part_open(dump->state, dump->path, part, &extent.source, dump->detail);
	if (!error && extent.source) {
		extent.size = nm_source_size(extent.source);
		extent.file = nm_state_keep(dump->state, part);
		if (!extent.file)
			error = no_memory(dump);
	}
	if (!error && extent.source)
		error = in_file(dump, part, nm_state_add_extent(dump->state, extent, dump->detail));
	free(part);
	return error;
}

/* ---- meta.json ------------------------------------------------------------------------------ */

/* The names under a key, comma-separated: an array of names, or one text. *ret_text stays NULL where
 * there is no such key. */
static enum nestmig_error names_of(struct dump *dump, const json_t *meta, const char *key,
				   char **ret_text)
{
	const json_t *names = json_object_get(meta, key);
	bool good = json_is_string(names) || json_is_array(names);
	struct nm_buf buf = {0};
	char *text = NULL;
	size_t index;
	json_t *name;

	if (!names || json_is_null(names))
		return NESTMIG_OK;
	if (json_is_string(names))
		nm_buf_puts(&buf, json_string_value(names));
	json_array_foreach (names, index, name) {
		good = good && json_is_string(name);
		if (good)
			nm_buf_printf(&buf, "%s%s", buf.used ? "," : "", json_string_value(name));
	}
	if (nm_buf_take(&buf, &text))
		return no_memory(dump);
	if (good) {
		*ret_text = text;
		return NESTMIG_OK;
	}
	free(text);
	return nm_fail(dump->detail, NESTMIG_ERR_FORMAT,
		       "meta.json: \"%s\" must be an array of names or one text", key);
}

/* No name at all is as good as no order. */
static enum nestmig_error restore_order(struct dump *dump, const json_t *meta)
{
	char *text = NULL;
	enum nestmig_error error = names_of(dump, meta, "restore_order", &text);

	if (text && !*text) {
		free(text);
		text = NULL;
	}
	dump->state->restore_order = text;
	return error;
}

/* Capabilities of the VM that rules ask about. Of names for the same bit the first is written. */
static const struct {
	const char *name;
	uint32_t bit;
} caps[] = {
	{"KVM_CAP_EXCEPTION_PAYLOAD", NESTMIG_VM_EXCEPTION_PAYLOAD},
	{"KVM_CAP_X86_TRIPLE_FAULT_EVENT", NESTMIG_VM_TRIPLE_FAULT_EVENT},
	{"KVM_CAP_HYPERV_ENLIGHTENED_VMCS", NESTMIG_VM_EVMCS},
	{"KVM_CAP_IRQCHIP", NESTMIG_VM_IRQCHIP},
	{"KVM_CAP_SPLIT_IRQCHIP", NESTMIG_VM_IRQCHIP},
};

/* The bit of such a capability; 0 for any other. */
static uint32_t cap_bit(const char *name)
{
	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++)
		if (strcmp(caps[i].name, name) == 0)
			return caps[i].bit;
	return 0;
}

json_t *nm_rawdump_caps_json(uint32_t bits)
{
	json_t *names = json_array();

	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		if (bits & caps[i].bit)
			json_array_append_new(names, json_string(caps[i].name));
		bits &= ~caps[i].bit;
	}
	return names;
}

/* The capabilities of the VM, which are known if the key is there: what is not named is off. */
static enum nestmig_error vm_caps(struct dump *dump, const json_t *meta)
{
	enum nestmig_error error;
	char *names = NULL, *at, *name;

	error = names_of(dump, meta, "vm_caps", &names);
	if (error || !names)
		return error;
	dump->has_vm_caps = true;
	at = names;
	while ((name = strsep(&at, ", ")))
		dump->vm_caps |= cap_bit(name);
	free(names);
	return NESTMIG_OK;
}

/* Are the optional keys of the type they should have, or absent? One that is not must not look like
 * one that nobody gave. */
static enum nestmig_error check_types(struct dump *dump, const json_t *meta)
{
	static const char *const texts[] = {"kernel", "params"};
	const json_t *complete = json_object_get(meta, "memory_complete");

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const json_t *value = json_object_get(meta, texts[i]);

		if (value && !json_is_null(value) && !json_is_string(value))
			return nm_fail(dump->detail, NESTMIG_ERR_FORMAT,
				       "meta.json: \"%s\" must be a text", texts[i]);
	}
	if (complete && !json_is_null(complete) && !json_is_boolean(complete))
		return nm_fail(dump->detail, NESTMIG_ERR_FORMAT,
			       "meta.json: \"memory_complete\" must be true or false");
	return NESTMIG_OK;
}

static enum nestmig_error take_meta(struct dump *dump, const json_t *meta)
{
	const char *vendor = json_string_value(json_object_get(meta, "vendor"));
	struct nestmig_state *state = dump->state;
	enum nestmig_error error;

	if (vendor && strcmp(vendor, "amd") == 0)
		state->vendor = NESTMIG_VENDOR_AMD;
	else if (vendor && strcmp(vendor, "intel") == 0)
		state->vendor = NESTMIG_VENDOR_INTEL;
	else
		return nm_fail(dump->detail, NESTMIG_ERR_FORMAT,
			       "meta.json: \"vendor\" must be \"amd\" or \"intel\"");
	error = check_types(dump, meta);
	if (!error)
		error = restore_order(dump, meta);
	if (!error)
		error = vm_caps(dump, meta);
	if (error)
		return error;
	state->memory_known = json_is_true(json_object_get(meta, "memory_complete"));
	return nm_host_from_parts(state->vendor, json_string_value(json_object_get(meta, "kernel")),
				  json_string_value(json_object_get(meta, "params")), &state->host,
				  dump->detail);
}

static enum nestmig_error read_meta(struct dump *dump)
{
	const uint8_t *bytes = NULL;
	enum nestmig_error error;
	json_error_t json_error;
	json_t *meta;
	size_t size = 0;

	error = read_part(dump, "meta.json", MAX_META, &bytes, &size);
	if (error)
		return error;
	if (!bytes)
		return nm_fail(dump->detail, NESTMIG_ERR_UNSUPPORTED,
			       "a directory without meta.json is no raw KVM dump");
	meta = json_loadb((const char *)bytes, size, JSON_REJECT_DUPLICATES, &json_error);
	if (!meta)
		return nm_fail_at(dump->detail, NESTMIG_ERR_FORMAT, (uint64_t)json_error.position,
				  "meta.json, line %d: %s", json_error.line, json_error.text);
	error = json_is_object(meta) ? take_meta(dump, meta)
				     : nm_fail_at(dump->detail, NESTMIG_ERR_FORMAT, 0,
						  "meta.json is no JSON object");
	json_decref(meta);
	return error;
}

/* The host of a dump is what its meta.json, its host_msrs and its guest's CPUID describe. */
static enum nestmig_error take_host(struct dump *dump)
{
	struct nm_vcpu scratch = {0};
	struct nm_origin origin = {.file = "host_msrs", .layout = NM_LAYOUT_KVM};
	struct nestmig_state *state = dump->state;
	enum nestmig_error error;
	size_t size = 0;

	error = read_part(dump, "host_msrs", MAX_STRUCT, &origin.bytes, &size);
	if (!error && origin.bytes) {
		origin.size = size;
		error = in_file(dump, "host_msrs",
				nm_decode_kvm(&scratch, NM_KVM_MSRS, origin, dump->detail));
		if (!error && nm_host_add_msrs(state->host, scratch.msrs, scratch.msr_count))
			error = no_memory(dump);
		free(scratch.msrs);
	}
	if (!error && state->vcpu_count && nm_vcpu_has(&state->vcpus[0], NESTMIG_HAVE(CPUID)) &&
	    nm_host_add_cpuid(state->host, state->vcpus[0].cpuid, state->vcpus[0].cpuid_count))
		error = no_memory(dump);
	if (!error)
		nm_host_finish(state->host);
	return error;
}

enum nestmig_error nm_rawdump_read(struct nestmig_state *state, const char *path,
				   struct nestmig_detail *detail)
{
	struct dump dump = {.state = state, .path = path, .detail = detail};
	enum nestmig_error error = read_meta(&dump);

	state->format = "raw-dump";
	if (!error)
		error = each_entry(&dump, ".", visit_vcpu);
	if (!error && state->vcpu_count == 0)
		error = nm_fail(detail, NESTMIG_ERR_FORMAT,
				"the dump has no vCPU: no directory vcpu0 beside meta.json");
	if (!error)
		error = each_entry(&dump, "mem", visit_memory);
	return error ? error : take_host(&dump);
}
