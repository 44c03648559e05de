// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The host profile as JSON, schema "nestmig.host/1" (nestmig-host-profile(5)).
 *
 * A key that is missing means "unknown", a key that nobody knows is ignored, and everything else
 * has to be exactly what the manual says: a profile is often written by hand.
 */
#include "host_parts.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "error.h"

/* ---- Writing --------------------------------------------------------------------------------- */

/* Puts a new value into an object; json_object_set_new takes it over and fails on NULL. */
static bool put_hex(json_t *object, const char *key, unsigned digits, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%0*" PRIx64, (int)digits, value);
	return json_object_set_new(object, key, json_string(text)) == 0;
}

/* Adds a new, empty array or object to an object; borrowed, NULL when out of memory. */
static json_t *put_new(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) ? NULL : value;
}

static bool write_params(json_t *root, const struct nestmig_host *host)
{
	json_t *object = put_new(root, "params", json_object());

	for (size_t i = 0; object && i < host->param_count; i++)
		if (json_object_set_new(object, host->params[i].name,
					json_string(host->params[i].value)))
			return false;
	return object;
}

static bool write_caps(json_t *root, const struct nestmig_host *host)
{
	json_t *object = put_new(root, "capabilities", json_object());

	for (size_t i = 0; object && i < host->cap_count; i++)
		if (json_object_set_new(object, host->caps[i].name,
					json_integer(strtoll(host->caps[i].value, NULL, 10))))
			return false;
	return object;
}

static bool write_list(json_t *root, const char *key, const struct nm_named_list *list)
{
	json_t *object;

	if (!list->count)
		return true;
	object = put_new(root, key, json_object());
	for (size_t i = 0; object && i < list->count; i++)
		if (json_object_set_new(object, list->entries[i].name,
					json_string(list->entries[i].value)))
			return false;
	return object;
}

static bool write_saved_msrs(json_t *root, const struct nestmig_host *host)
{
	json_t *array = put_new(root, "saved_msrs", json_array());
	char text[16];

	for (size_t i = 0; array && i < host->saved_msr_count; i++) {
		snprintf(text, sizeof(text), "0x%x", host->saved_msrs[i]);
		if (json_array_append_new(array, json_string(text)))
			return false;
	}
	return array;
}

static bool write_cpuid(json_t *root, const char *key, const struct nm_cpuid_entry *entries,
			size_t count)
{
	json_t *array = put_new(root, key, json_array());

	for (size_t i = 0; array && i < count; i++) {
		const struct nm_cpuid_entry *from = &entries[i];
		json_t *entry = json_object();

		if (json_array_append_new(array, entry))
			return false;
		if (!put_hex(entry, "function", 8, from->function) ||
		    !put_hex(entry, "index", 1, from->index) ||
		    !put_hex(entry, "flags", 1, from->flags) ||
		    !put_hex(entry, "eax", 8, from->eax) || !put_hex(entry, "ebx", 8, from->ebx) ||
		    !put_hex(entry, "ecx", 8, from->ecx) || !put_hex(entry, "edx", 8, from->edx))
			return false;
	}
	return array;
}

static bool write_msrs(json_t *root, const struct nestmig_host *host)
{
	json_t *object = put_new(root, "msrs", json_object());

	for (size_t i = 0; object && i < host->msr_count; i++) {
		char key[16];

		snprintf(key, sizeof(key), "0x%x", host->msrs[i].index);
		if (!put_hex(object, key, 16, host->msrs[i].value))
			return false;
	}
	return object;
}

static bool write_host(json_t *root, const struct nestmig_host *host)
{
	unsigned maxphyaddr = nm_host_maxphyaddr(host);

	if (json_object_set_new(root, "schema", json_string(NM_HOST_SCHEMA)))
		return false;
	if (host->view.vendor != NESTMIG_VENDOR_UNKNOWN &&
	    json_object_set_new(root, "vendor",
				json_string(nm_host_vendor_name(host->view.vendor))))
		return false;
	if (host->kernel && json_object_set_new(root, "kernel", json_string(host->kernel)))
		return false;
	if (maxphyaddr && json_object_set_new(root, "maxphyaddr", json_integer(maxphyaddr)))
		return false;
	return (!host->param_count || write_params(root, host)) &&
	       (!host->cap_count || write_caps(root, host)) &&
	       (!host->msr_count || write_msrs(root, host)) &&
	       (!host->cpuid_count || write_cpuid(root, "cpuid", host->cpuid, host->cpuid_count)) &&
	       write_list(root, "facts", &host->facts) &&
	       write_list(root, "probes", &host->probes) &&
	       write_list(root, "changelog", &host->changelog) &&
	       (!host->emulated_count ||
		write_cpuid(root, "emulated_cpuid", host->emulated, host->emulated_count)) &&
	       (!host->saved_msr_count || write_saved_msrs(root, host));
}

enum nestmig_error nestmig_host_json(const struct nestmig_host *host, char **ret_text)
{
	json_t *root = json_object();
	char *text = NULL, *line;
	size_t length;

	if (root && write_host(root, host))
		text = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	if (!text)
		return NESTMIG_ERR_NOMEM;
	length = strlen(text);
	line = realloc(text, length + 2);
	if (!line) {
		free(text);
		return NESTMIG_ERR_NOMEM;
	}
	memcpy(line + length, "\n", 2);
	*ret_text = line;
	return NESTMIG_OK;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/*
 * Limits how deep arrays and objects nest, before a recursive parser sees them.
 * The scan need not understand more of JSON than where strings end.
 */
static enum nestmig_error check_depth(const char *text, size_t length,
				      struct nestmig_detail *detail)
{
	bool in_string = false;
	unsigned depth = 0;

	for (size_t i = 0; i < length; i++) {
		char c = text[i];

		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string && (c == '[' || c == '{'))
			depth++;
		else if (!in_string && (c == ']' || c == '}') && depth)
			depth--;
		if (depth > NM_HOST_JSON_DEPTH)
			return nm_fail_at(detail, NESTMIG_ERR_LIMIT, i,
					  "arrays and objects are nested deeper than %d",
					  NM_HOST_JSON_DEPTH);
	}
	return NESTMIG_OK;
}

/* "0x" and 1 to max_digits hexadecimal digits, nothing else. */
static bool parse_hex(const char *text, unsigned max_digits, uint64_t *ret_value)
{
	size_t digits;

	if (!text || text[0] != '0' || text[1] != 'x')
		return false;
	digits = strspn(text + 2, "0123456789abcdefABCDEF");
	if (!digits || digits > max_digits || text[2 + digits])
		return false;
	*ret_value = strtoull(text + 2, NULL, 16);
	return true;
}

/* Is a key absent, or of the right type? */
static enum nestmig_error check_type(const json_t *root, const char *key, json_type type,
				     struct nestmig_detail *detail)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "an object",
		[JSON_ARRAY] = "an array",
		[JSON_STRING] = "a string",
		[JSON_INTEGER] = "an integer",
	};
	const json_t *value = json_object_get(root, key);

	if (value && json_typeof(value) != type)
		return nm_fail(detail, NESTMIG_ERR_FORMAT, "\"%s\" is not %s", key, names[type]);
	return NESTMIG_OK;
}

static enum nestmig_error check_types(const json_t *root, struct nestmig_detail *detail)
{
	static const struct {
		const char *key;
		json_type type;
	} keys[] = {
		{"schema", JSON_STRING},    {"vendor", JSON_STRING},
		{"kernel", JSON_STRING},    {"maxphyaddr", JSON_INTEGER},
		{"params", JSON_OBJECT},    {"capabilities", JSON_OBJECT},
		{"msrs", JSON_OBJECT},      {"cpuid", JSON_ARRAY},
		{"facts", JSON_OBJECT},     {"probes", JSON_OBJECT},
		{"changelog", JSON_OBJECT}, {"emulated_cpuid", JSON_ARRAY},
		{"saved_msrs", JSON_ARRAY},
	};
	enum nestmig_error error = NESTMIG_OK;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]) && !error; i++)
		error = check_type(root, keys[i].key, keys[i].type, detail);
	return error;
}

static enum nestmig_error read_schema(const json_t *root, struct nestmig_detail *detail)
{
	const char *schema = json_string_value(json_object_get(root, "schema"));

	if (!schema)
		return nm_fail(detail, NESTMIG_ERR_FORMAT,
			       "\"schema\" is missing: a host profile has \"schema\":\"%s\"",
			       NM_HOST_SCHEMA);
	if (!strcmp(schema, NM_HOST_SCHEMA))
		return NESTMIG_OK;
	if (!strncmp(schema, "nestmig.host/", 13))
		return nm_fail(detail, NESTMIG_ERR_UNSUPPORTED,
			       "the profile has another version of the schema than \"%s\"",
			       NM_HOST_SCHEMA);
	return nm_fail(detail, NESTMIG_ERR_FORMAT,
		       "\"schema\" is not \"%s\": this is no host profile", NM_HOST_SCHEMA);
}

static enum nestmig_error read_strings(struct nestmig_host *host, const json_t *root,
				       struct nestmig_detail *detail)
{
	const char *vendor = json_string_value(json_object_get(root, "vendor"));
	const json_t *kernel = json_object_get(root, "kernel");

	if (vendor)
		host->view.vendor = nm_host_vendor_named(vendor);
	if (vendor && host->view.vendor == NESTMIG_VENDOR_UNKNOWN)
		return nm_fail(detail, NESTMIG_ERR_FORMAT,
			       "\"vendor\" is neither \"amd\" nor \"intel\"");
	if (!kernel)
		return NESTMIG_OK;
	return nm_host_set_kernel(host, json_string_value(kernel), json_string_length(kernel),
				  detail);
}

static enum nestmig_error read_params(struct nestmig_host *host, json_t *object,
				      struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;
	const char *name;
	json_t *value;

	json_object_foreach (object, name, value) {
		if (!json_is_string(value))
			return nm_fail(detail, NESTMIG_ERR_FORMAT,
				       "\"params\" has a value that is not a string");
		error = nm_host_set_param(host, NULL, name, json_string_value(value), detail);
		if (error)
			break;
	}
	return error;
}

static enum nestmig_error read_caps(struct nestmig_host *host, json_t *object,
				    struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;
	const char *name;
	json_t *value;

	json_object_foreach (object, name, value) {
		json_int_t number = json_integer_value(value);

		if (!json_is_integer(value) || number < 0 || number > INT32_MAX)
			return nm_fail(detail, NESTMIG_ERR_FORMAT,
				       "\"capabilities\" has a value that is not an integer from 0 "
				       "to 2147483647");
		error = nm_host_set_cap(host, name, (uint32_t)number, detail);
		if (error)
			break;
	}
	return error;
}

static enum nestmig_error read_msrs(struct nestmig_host *host, json_t *object,
				    struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;
	const char *key;
	json_t *value;

	json_object_foreach (object, key, value) {
		struct nm_msr msr;
		uint64_t index;

		if (!parse_hex(key, 8, &index) ||
		    !parse_hex(json_string_value(value), 16, &msr.value))
			return nm_fail(
				detail, NESTMIG_ERR_FORMAT,
				"\"msrs\" has a key or a value that is not a string \"0x...\" "
				"of at most 8 or 16 hexadecimal digits");
		msr.index = (uint32_t)index;
		if (nm_host_msr(host, msr.index))
			return nm_fail(detail, NESTMIG_ERR_FORMAT, "\"msrs\" has 0x%x twice",
				       msr.index);
		error = nm_host_add_msrs(host, &msr, 1);
		if (error)
			return nm_fail(detail, error, "cannot keep the %zu entries of \"msrs\"",
				       json_object_size(object));
	}
	return NESTMIG_OK;
}

static enum nestmig_error read_list(struct nm_named_list *list, json_t *root, const char *key,
				    struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;
	const char *name;
	json_t *value;

	json_object_foreach (json_object_get(root, key), name, value) {
		if (!json_is_string(value))
			return nm_fail(detail, NESTMIG_ERR_FORMAT,
				       "\"%s\" has a value that is not a string", key);
		error = nm_host_put(list, name, json_string_value(value), detail);
		if (error)
			break;
	}
	return error;
}

static enum nestmig_error read_saved_msrs(struct nestmig_host *host, const json_t *array,
					  struct nestmig_detail *detail)
{
	enum nestmig_error error;
	uint64_t index;

	for (size_t i = 0; i < json_array_size(array); i++) {
		if (!parse_hex(json_string_value(json_array_get(array, i)), 8, &index))
			return nm_fail(detail, NESTMIG_ERR_FORMAT,
				       "\"saved_msrs\"[%zu] is not a string \"0x...\" of at most 8 "
				       "hexadecimal digits",
				       i);
		error = nm_host_add_saved_msr(host, (uint32_t)index);
		if (error)
			return nm_fail(detail, error, "cannot keep the entries of \"saved_msrs\"");
	}
	return NESTMIG_OK;
}

static enum nestmig_error read_cpuid_entry(struct nm_cpuid_entry *ret_entry, const char *key,
					   size_t at, const json_t *object,
					   struct nestmig_detail *detail)
{
	static const char *const names[] = {"function", "index", "flags", "eax",
					    "ebx",      "ecx",   "edx"};
	uint64_t value[7] = {0};

	for (size_t i = 0; i < 7; i++) {
		const char *text = json_string_value(json_object_get(object, names[i]));

		if (!parse_hex(text, 8, &value[i]))
			return nm_fail(detail, NESTMIG_ERR_FORMAT,
				       "\"%s\"[%zu] has no \"%s\" that is a string \"0x...\" of "
				       "at most 8 hexadecimal digits",
				       key, at, names[i]);
	}
	*ret_entry = (struct nm_cpuid_entry){
		.function = (uint32_t)value[0],
		.index = (uint32_t)value[1],
		.flags = (uint32_t)value[2],
		.eax = (uint32_t)value[3],
		.ebx = (uint32_t)value[4],
		.ecx = (uint32_t)value[5],
		.edx = (uint32_t)value[6],
	};
	return NESTMIG_OK;
}

typedef enum nestmig_error add_cpuid(struct nestmig_host *host,
				     const struct nm_cpuid_entry *entries, size_t count);

static enum nestmig_error read_cpuid(struct nestmig_host *host, const json_t *root, const char *key,
				     add_cpuid *add, struct nestmig_detail *detail)
{
	const json_t *array = json_object_get(root, key);
	size_t count = json_array_size(array);

	if (count > NM_HOST_CPUID_MAX)
		return nm_fail(detail, NESTMIG_ERR_LIMIT, "\"%s\" has %zu entries, more than %d",
			       key, count, NM_HOST_CPUID_MAX);
	for (size_t i = 0; i < count; i++) {
		struct nm_cpuid_entry entry;
		enum nestmig_error error =
			read_cpuid_entry(&entry, key, i, json_array_get(array, i), detail);

		if (!error)
			error = add(host, &entry, 1);
		if (error == NESTMIG_ERR_NOMEM)
			return nm_fail(detail, error, "out of memory");
		if (error)
			return error;
	}
	return NESTMIG_OK;
}

static enum nestmig_error read_host(struct nestmig_host *host, json_t *root,
				    struct nestmig_detail *detail)
{
	enum nestmig_error error;

	if (!json_is_object(root))
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, 0,
				  "a host profile is a JSON object, not an array");
	error = check_types(root, detail);
	if (!error)
		error = read_schema(root, detail);
	if (!error)
		error = read_strings(host, root, detail);
	if (!error)
		error = read_params(host, json_object_get(root, "params"), detail);
	if (!error)
		error = read_caps(host, json_object_get(root, "capabilities"), detail);
	if (!error)
		error = read_msrs(host, json_object_get(root, "msrs"), detail);
	if (!error)
		error = read_cpuid(host, root, "cpuid", nm_host_add_cpuid, detail);
	if (!error)
		error = read_list(&host->facts, root, "facts", detail);
	if (!error)
		error = read_list(&host->probes, root, "probes", detail);
	if (!error)
		error = read_list(&host->changelog, root, "changelog", detail);
	if (!error)
		error = read_cpuid(host, root, "emulated_cpuid", nm_host_add_emulated, detail);
	if (!error)
		error = read_saved_msrs(host, json_object_get(root, "saved_msrs"), detail);
	return error;
}

/* What jansson says, with the place. Its text may quote the input, so it is cut to what prints. */
static enum nestmig_error fail_json(const json_error_t *json, struct nestmig_detail *detail)
{
	size_t good = nm_host_text_length(json->text, strlen(json->text), true);

	if (json_error_code(json) == json_error_out_of_memory)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	return nm_fail_at(detail, NESTMIG_ERR_FORMAT,
			  json->position < 0 ? 0 : (uint64_t)json->position,
			  "not valid JSON in line %d, column %d: %.*s", json->line, json->column,
			  (int)good, json->text);
}

enum nestmig_error nm_host_parse(const char *text, size_t length, struct nestmig_host **ret_host,
				 struct nestmig_detail *detail)
{
	struct nestmig_host *host = NULL;
	enum nestmig_error error;
	json_error_t json;
	json_t *root;

	if (length > NM_HOST_JSON_MAX)
		return nm_fail_at(detail, NESTMIG_ERR_LIMIT, NM_HOST_JSON_MAX,
				  "a host profile has at most %d bytes", NM_HOST_JSON_MAX);
	error = check_depth(text, length, detail);
	if (error)
		return error;
	root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &json);
	if (!root)
		return fail_json(&json, detail);
	error = nm_host_new(&host, detail);
	if (!error)
		error = read_host(host, root, detail);
	json_decref(root);
	if (error) {
		nestmig_host_free(host);
		return error;
	}
	nm_host_finish(host);
	*ret_host = host;
	return NESTMIG_OK;
}

enum nestmig_error nestmig_host_load(const char *path, struct nestmig_host **ret_host,
				     struct nestmig_detail *detail)
{
	/* O_NONBLOCK: opening a fifo by mistake must not hang. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	enum nestmig_error error;
	char *text = NULL;
	size_t size = 0;

	if (fd < 0)
		return nm_fail_errno(detail, "cannot open %s", path);
	error = nm_host_read_fd(fd, path, NM_HOST_JSON_MAX, false, &text, &size, detail);
	close(fd);
	if (error)
		return error;
	error = nm_host_parse(text, size, ret_host, detail);
	free(text);
	return error;
}
