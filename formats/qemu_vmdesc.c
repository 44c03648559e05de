// SPDX-License-Identifier: LGPL-2.1-or-later
/* The vmdesc at the end of a full stream: JSON that gives the size of every device section. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "qemu_internal.h"

/* A device of QEMU has tens of fields and subsections nested three deep; these bounds are far off.
 */
#define MAX_DEVICES 65536
#define MAX_DEPTH   32
#define MAX_PAYLOAD (UINT64_C(1) << 40)
/* A vCPU brings about 6 kB of text with 80 objects; each costs many times its text in memory. */
#define MAX_OBJECTS 500000
#define MAX_VALUES  4000000

static bool add(uint64_t *sum, uint64_t more)
{
	if (more > MAX_PAYLOAD || *sum > MAX_PAYLOAD - more)
		return false;
	*sum += more;
	return true;
}

/* size is that of one element where array_len is given. */
static bool fields_size(const json_t *fields, uint64_t *sum)
{
	size_t index;
	json_t *field;

	json_array_foreach (fields, index, field) {
		json_int_t size = json_integer_value(json_object_get(field, "size"));
		const json_t *array_len = json_object_get(field, "array_len");
		json_int_t count = array_len ? json_integer_value(array_len) : 1;

		if (size < 0 || count < 0 || (uint64_t)size > MAX_PAYLOAD ||
		    (uint64_t)count > MAX_PAYLOAD)
			return false;
		if (count && (uint64_t)size > MAX_PAYLOAD / (uint64_t)count)
			return false;
		if (!add(sum, (uint64_t)size * (uint64_t)count))
			return false;
	}
	return true;
}

/* Fields and nested subsections of a device or subsection. */
static bool payload_size(const json_t *object, unsigned depth, uint64_t *sum)
{
	const json_t *subsections = json_object_get(object, "subsections");
	size_t index;
	json_t *sub;

	if (depth > MAX_DEPTH || !fields_size(json_object_get(object, "fields"), sum))
		return false;
	json_array_foreach (subsections, index, sub) {
		const char *name = json_string_value(json_object_get(sub, "vmsd_name"));

		if (!name || !add(sum, 6 + strlen(name)) || !payload_size(sub, depth + 1, sum))
			return false;
	}
	return true;
}

static bool parse_device(json_t *json, struct qemu_device *ret)
{
	const json_t *version = json_object_get(json, "version");
	json_int_t instance = json_integer_value(json_object_get(json, "instance_id"));
	json_int_t number = json_integer_value(version);

	ret->json = json;
	ret->name = json_string_value(json_object_get(json, "name"));
	ret->size = 0;
	/* An instance id of -1 ("any") does not reach a stream; ids are 32 bits wide. */
	if (!ret->name || strlen(ret->name) > 255 || instance < 0 || instance > UINT32_MAX ||
	    number < 0 || number > UINT32_MAX)
		return false;
	ret->instance = (uint32_t)instance;
	ret->version = (uint32_t)number;
	return payload_size(json, 0, &ret->size);
}

static enum nestmig_error parse_devices(json_t *devices, struct qemu_vmdesc *vmdesc,
					uint64_t offset, struct nestmig_detail *detail)
{
	size_t count = json_array_size(devices);

	if (count == 0 || count > MAX_DEVICES)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, offset,
				  "the vmdesc at the end of the stream lists %zu devices", count);
	vmdesc->devices = calloc(count, sizeof(*vmdesc->devices));
	if (!vmdesc->devices)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		if (!parse_device(json_array_get(devices, i), &vmdesc->devices[i]))
			return nm_fail_at(detail, NESTMIG_ERR_FORMAT, offset,
					  "device %zu of the vmdesc has no name, instance, version "
					  "or sensible field sizes",
					  i);
		vmdesc->count++;
	}
	return NESTMIG_OK;
}

/* How much memory the JSON would take is known only once it has: so count before. */
static bool is_too_much(struct qemu_span text)
{
	size_t objects = 0, values = 0;

	for (size_t i = 0; i < text.size; i++) {
		objects += text.bytes[i] == '{' || text.bytes[i] == '[';
		values += text.bytes[i] == ',' || text.bytes[i] == ':';
	}
	return objects > MAX_OBJECTS || values > MAX_VALUES;
}

enum nestmig_error qemu_vmdesc_parse(struct qemu_span text, struct qemu_vmdesc *ret_vmdesc,
				     struct nestmig_detail *detail)
{
	struct qemu_vmdesc vmdesc = {0};
	enum nestmig_error error;
	json_error_t json_error;

	if (is_too_much(text))
		return nm_fail_at(detail, NESTMIG_ERR_LIMIT, text.offset,
				  "the vmdesc at the end of the stream has more than %d objects or "
				  "%d values",
				  MAX_OBJECTS, MAX_VALUES);
	/* jansson bounds the depth of nesting itself (2048). */
	vmdesc.root = json_loadb((const char *)text.bytes, text.size, JSON_REJECT_DUPLICATES,
				 &json_error);
	if (!vmdesc.root)
		return nm_fail_at(
			detail, NESTMIG_ERR_FORMAT, text.offset + (uint64_t)json_error.position,
			"the vmdesc at the end of the stream is no JSON: %s", json_error.text);
	error = parse_devices(json_object_get(vmdesc.root, "devices"), &vmdesc, text.offset,
			      detail);
	if (error) {
		qemu_vmdesc_free(&vmdesc);
		return error;
	}
	*ret_vmdesc = vmdesc;
	return NESTMIG_OK;
}

void qemu_vmdesc_free(struct qemu_vmdesc *vmdesc)
{
	free(vmdesc->devices);
	json_decref(vmdesc->root);
	*vmdesc = (struct qemu_vmdesc){0};
}

bool qemu_vmdesc_subsection(const struct qemu_device *device, const char *name, uint64_t *ret_size)
{
	const json_t *subsections = json_object_get(device->json, "subsections");
	uint64_t sum = 0;
	size_t index;
	json_t *sub;

	json_array_foreach (subsections, index, sub) {
		const char *is = json_string_value(json_object_get(sub, "vmsd_name"));

		if (!is || strcmp(is, name) != 0)
			continue;
		if (!payload_size(sub, 0, &sum))
			return false;
		*ret_size = sum;
		return true;
	}
	return false;
}

bool qemu_vmdesc_fields(const struct qemu_device *device, uint64_t *ret_size)
{
	*ret_size = 0;
	return fields_size(json_object_get(device->json, "fields"), ret_size);
}
