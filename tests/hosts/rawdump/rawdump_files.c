// SPDX-License-Identifier: GPL-2.0-or-later
/* The directory of a raw KVM dump: plain files, guest memory, meta.json. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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
#define MAX_ORDER    64

char *path_new(const char *dir, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", dir, name) < 0) {
		fprintf(stderr, "rawdump: no memory for a path\n");
		return NULL;
	}
	return path;
}

int dir_make(const char *path)
{
	/* Not into an old one: what is left there would become part of the new dump. */
	if (!mkdir(path, 0777))
		return 0;
	fprintf(stderr, "rawdump: cannot make the directory %s: %m\n", path);
	return -1;
}

int file_write(const char *path, const void *bytes, size_t size)
{
	FILE *file = fopen(path, "we");
	_Bool written;

	if (!file) {
		fprintf(stderr, "rawdump: cannot write %s: %m\n", path);
		return -1;
	}
	written = fwrite(bytes, 1, size, file) == size;
	if (fclose(file) || !written) {
		fprintf(stderr, "rawdump: cannot write %s: %m\n", path);
		return -1;
	}
	return 0;
}

void *file_read_new(const char *path, size_t max, size_t *ret_size)
{
	FILE *file = fopen(path, "re");
	uint8_t *bytes = NULL;
	size_t size = 0;

	if (file)
		bytes = malloc(max + 1);
	if (bytes)
		size = fread(bytes, 1, max + 1, file);
	if (!bytes || ferror(file) || size > max) {
		fprintf(stderr, "rawdump: cannot read %s: %s\n", path,
			size > max ? "too long" : strerror(errno));
		free(bytes);
		bytes = NULL;
	}
	if (file)
		fclose(file);
	if (bytes)
		*ret_size = size;
	return bytes;
}

static _Bool is_zero_page(const uint8_t *page)
{
	return !page[0] && !memcmp(page, page + 1, PAGE - 1);
}

/* Runs of pages that hold something, each a file named by its guest physical address. */
int memory_save(const struct vm *vm, const char *dir)
{
	size_t start = 0, end;

	if (dir_make(dir))
		return -1;
	for (; start < GUEST_MEMORY; start = end) {
		char name[32], *path;
		int failed;

		end = start + PAGE;
		if (is_zero_page(vm->memory + start))
			continue;
		while (end < GUEST_MEMORY && !is_zero_page(vm->memory + end))
			end += PAGE;
		snprintf(name, sizeof(name), "%zx", start);
		path = path_new(dir, name);
		failed = path ? file_write(path, vm->memory + start, end - start) : -1;
		free(path);
		if (failed)
			return -1;
	}
	return 0;
}

static int restore_extent(struct vm *vm, const char *dir, const char *name)
{
	char *end, *path;
	unsigned long address = strtoul(name, &end, 16);
	void *bytes = NULL;
	size_t size;

	if (*end || address >= GUEST_MEMORY) {
		fprintf(stderr, "rawdump: %s/%s: not an address below %x\n", dir, name,
			GUEST_MEMORY);
		return -1;
	}
	path = path_new(dir, name);
	if (path)
		bytes = file_read_new(path, GUEST_MEMORY - address, &size);
	free(path);
	if (!bytes)
		return -1;
	memcpy(vm->memory + address, bytes, size);
	free(bytes);
	return 0;
}

int memory_restore(struct vm *vm, const char *dir)
{
	DIR *files = opendir(dir);
	struct dirent *file;
	int failed = 0;

	if (!files) {
		fprintf(stderr, "rawdump: %s: %m\n", dir);
		return -1;
	}
	while (!failed && (file = readdir(files))) {
		if (file->d_name[0] != '.')
			failed = restore_extent(vm, dir, file->d_name);
	}
	closedir(files);
	return failed;
}

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
	append_parameters(text, "/sys/module/kvm_amd/parameters");
	append_parameters(text, "/sys/module/kvm/parameters");
	fclose(text);
	return parameters;
}

int meta_save(const char *dir)
{
	char *path = path_new(dir, "meta.json"), *parameters = parameters_new();
	json_t *order = json_array(), *meta;
	struct utsname system;
	int failed;

	for (size_t i = 0; i < ORDER_LENGTH; i++)
		json_array_append_new(order, json_string(restore_order[i]));
	uname(&system);
	meta = json_pack("{s:s, s:s, s:s, s:o}", "vendor", "amd", "kernel", system.release,
			 "params", parameters ? parameters : "", "restore_order", order);
	failed = path && meta && !json_dump_file(meta, path, JSON_INDENT(2)) ? 0 : -1;
	if (failed)
		fprintf(stderr, "rawdump: cannot write %s/meta.json: %m\n", dir);
	json_decref(meta);
	free(parameters);
	free(path);
	return failed;
}

/* One allocation: the pointers, NULL, then the texts that they point at. */
const char **meta_order_new(const char *dir)
{
	char *path = path_new(dir, "meta.json"), *text;
	json_error_t error = {.text = "no memory"};
	json_t *meta = path ? json_load_file(path, JSON_REJECT_DUPLICATES, &error) : NULL, *name;
	const json_t *order = json_object_get(meta, "restore_order");
	size_t pointers = (MAX_ORDER + 1) * sizeof(char *), room = MAX_ORDER * 64, i;
	const char **names = calloc(1, pointers + room);

	if (!json_is_array(order) || json_array_size(order) > MAX_ORDER || !names) {
		fprintf(stderr, "rawdump: %s/meta.json has no usable restore_order %s\n", dir,
			error.text);
		free(names);
		names = NULL;
	}
	text = (char *)names + pointers;
	for (i = 0; names && i < json_array_size(order); i++, text += 64) {
		name = json_array_get(order, i);
		snprintf(text, 64, "%s", json_is_string(name) ? json_string_value(name) : "?");
		names[i] = text;
	}
	json_decref(meta);
	free(path);
	return names;
}
