// SPDX-License-Identifier: GPL-2.0-or-later
/* meta.json of a raw KVM dump: see nestmig-raw-dump(5); "vm_caps" names what is enabled on the VM. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <jansson.h>

#include "rawdump.h"

/* Registers first, so that KVM_SET_NESTED_STATE, last, moves L2's into place. */
static const char *const restore_order[] = {
	"KVM_SET_CPUID2",   "KVM_SET_MSRS",      "KVM_SET_SREGS2",
	"KVM_SET_REGS",     "KVM_SET_XSAVE",     "KVM_SET_VCPU_EVENTS",
	"KVM_SET_MP_STATE", "KVM_SET_DEBUGREGS", "KVM_SET_NESTED_STATE",
};

#define ORDER_LENGTH (sizeof(restore_order) / sizeof(restore_order[0]))

/* The kernel writes a switch as Y or N or as 1 or 0, depending on its type: always 1 or 0 here. */
static void append_parameter(FILE *text, const char *dir, const char *name)
{
	char value[128] = "";
	char *path = path_new(dir, name);
	FILE *file = path ? fopen(path, "re") : NULL;

	free(path);
	if (!file)
		return;
	if (fgets(value, sizeof(value), file)) {
		value[strcspn(value, "\n")] = '\0';
		if (!strcmp(value, "Y") || !strcmp(value, "N"))
			strcpy(value, value[0] == 'Y' ? "1" : "0");
		/* "EPT disabled", say: blanks are between parameters */
		for (char *blank = value; (blank = strchr(blank, ' '));)
			*blank = '-';
		fprintf(text, "%s%s=%s", ftell(text) ? " " : "", name, value);
	}
	fclose(file);
}

static void append_parameters(FILE *text, const char *dir)
{
	struct dirent **names;
	int count = scandir(dir, &names, NULL, alphasort);

	for (int i = 0; i < count; i++) {
		if (names[i]->d_name[0] != '.')
			append_parameter(text, dir, names[i]->d_name);
		free(names[i]);
	}
	if (count >= 0)
		free(names);
}

static char *parameters_new(void)
{
	char *parameters = NULL;
	size_t size;
	FILE *text = open_memstream(&parameters, &size);

	if (!text)
		return NULL;
	append_parameters(text, host_module());
	append_parameters(text, "/sys/module/kvm/parameters");
	fclose(text);
	return parameters;
}

static json_t *caps_new(vm_caps caps)
{
	json_t *names = json_array();

	for (unsigned int bit = 0; vm_cap_name(bit); bit++) {
		if (caps & 1u << bit)
			json_array_append_new(names, json_string(vm_cap_name(bit)));
	}
	return names;
}

int meta_save(const char *dir, vm_caps caps)
{
	char *path = path_new(dir, "meta.json"), *parameters = parameters_new();
	json_t *order = json_array(), *meta;
	struct utsname system;
	int failed;

	for (size_t i = 0; i < ORDER_LENGTH; i++)
		json_array_append_new(order, json_string(restore_order[i]));
	uname(&system);
	meta = json_pack("{s:s, s:s, s:s, s:o, s:b, s:o}", "vendor",
			 host_vendor() == VENDOR_INTEL ? "intel" : "amd", "kernel", system.release,
			 "params", parameters ? parameters : "", "restore_order", order,
			 "memory_complete", 1, "vm_caps", caps_new(caps));
	failed = path && meta && !json_dump_file(meta, path, JSON_INDENT(2)) ? 0 : -1;
	if (failed)
		fprintf(stderr, "rawdump: cannot write %s/meta.json: %m\n", dir);
	json_decref(meta);
	free(parameters);
	free(path);
	return failed;
}

static int read_order(const json_t *order, struct meta *meta)
{
	size_t i;

	if (!json_is_array(order) || json_array_size(order) >= MAX_ORDER)
		return -1;
	for (i = 0; i < json_array_size(order); i++) {
		const char *name = json_string_value(json_array_get(order, i));

		snprintf(meta->order[i], sizeof(meta->order[i]), "%s", name ? name : "?");
	}
	return 0;
}

static int read_caps(const json_t *caps, struct meta *meta)
{
	for (size_t i = 0; i < json_array_size(caps); i++) {
		const char *name = json_string_value(json_array_get(caps, i));
		unsigned int bit = 0;

		while (name && vm_cap_name(bit) && strcmp(vm_cap_name(bit), name))
			bit++;
		if (!name || !vm_cap_name(bit))
			return -1;
		meta->caps |= 1u << bit;
	}
	return 0;
}

int meta_read(const char *dir, struct meta *ret_meta)
{
	char *path = path_new(dir, "meta.json");
	json_error_t error = {.text = ""};
	json_t *meta = path ? json_load_file(path, JSON_REJECT_DUPLICATES, &error) : NULL;
	int failed;

	memset(ret_meta, 0, sizeof(*ret_meta));
	failed = read_order(json_object_get(meta, "restore_order"), ret_meta);
	if (failed)
		fprintf(stderr, "rawdump: %s/meta.json has no usable restore_order %s\n", dir,
			error.text);
	else if ((failed = read_caps(json_object_get(meta, "vm_caps"), ret_meta)))
		fprintf(stderr, "rawdump: %s/meta.json: vm_caps names what is not known\n", dir);
	json_decref(meta);
	free(path);
	return failed;
}

int meta_copy(const char *from, const char *dir, const struct meta *meta)
{
	char *in = path_new(from, "meta.json"), *out = path_new(dir, "meta.json");
	json_t *json = in ? json_load_file(in, JSON_REJECT_DUPLICATES, NULL) : NULL;
	json_t *order = json_array();
	int failed;

	for (size_t i = 0; meta->order[i][0]; i++)
		json_array_append_new(order, json_string(meta->order[i]));
	failed = json_object_set_new(json, "restore_order", order) || !out ||
				 json_dump_file(json, out, JSON_INDENT(2))
			 ? -1
			 : 0;
	if (failed)
		fprintf(stderr, "rawdump: cannot copy meta.json to %s: %m\n", dir);
	json_decref(json);
	free(in);
	free(out);
	return failed;
}
