// SPDX-License-Identifier: GPL-2.0-or-later
/* Reading a base state into memory. */
#include "base.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_FILES     4096
#define MAX_FILE_SIZE (UINT64_C(64) << 20)

static bool trouble(const char *path, const char *text)
{
	fprintf(stderr, "nestmig-cases: %s: %s\n", path, text);
	return false;
}

static bool read_bytes(struct base_file *file, const char *path, uint64_t size)
{
	FILE *stream = fopen(path, "rbe");
	bool good = false;

	file->bytes = malloc(size + 1);
	file->size = (size_t)size;
	if (stream && file->bytes)
		good = fread(file->bytes, 1, file->size, stream) == file->size;
	if (stream)
		fclose(stream);
	return good || trouble(path, "cannot be read");
}

static bool add_file(struct base *base, const char *name, uint64_t size)
{
	struct base_file *file;
	char path[sizeof(base->path) + sizeof(file->name)];

	if (base->file_count == MAX_FILES || size > MAX_FILE_SIZE ||
	    strlen(name) >= sizeof(file->name))
		return trouble(name, "too many files, or too large a one");
	file = &base->files[base->file_count++];
	strcpy(file->name, name);
	snprintf(path, sizeof(path), "%s/%s", base->path, name);
	return read_bytes(file, path, size);
}

/* The regular files of the dump's directory `below` ("" is the dump itself). */
static bool add_directory(struct base *base, const char *below)
{
	char path[sizeof(base->path) + 64], name[512], full[sizeof(path) + sizeof(name)];
	struct dirent **entries = NULL;
	bool good = true;
	int count;

	snprintf(path, sizeof(path), "%s/%s", base->path, below);
	count = scandir(path, &entries, NULL, alphasort);
	if (count < 0)
		return trouble(path, strerror(errno));
	for (int i = 0; i < count; i++) {
		struct stat st;

		snprintf(name, sizeof(name), "%s%s%s", below, *below ? "/" : "",
			 entries[i]->d_name);
		snprintf(full, sizeof(full), "%s/%s", base->path, name);
		if (good && stat(full, &st) == 0 && S_ISREG(st.st_mode))
			good = add_file(base, name, (uint64_t)st.st_size);
		free(entries[i]);
	}
	free(entries);
	return good;
}

bool base_memory(const struct base *base, uint64_t gpa, size_t length, uint16_t *ret_file,
		 uint64_t *ret_offset)
{
	for (size_t i = 0; i < base->file_count; i++) {
		const struct base_file *file = &base->files[i];
		uint64_t start;

		if (strncmp(file->name, "mem/", 4) != 0)
			continue;
		start = strtoull(file->name + 4, NULL, 16);
		if (gpa < start || length > file->size || gpa - start > file->size - length)
			continue;
		*ret_file = (uint16_t)i;
		*ret_offset = gpa - start;
		return true;
	}
	return false;
}

uint64_t base_value(const struct base *base, const struct place *place)
{
	const uint8_t *bytes = base->files[place->file].bytes + place->offset;
	uint64_t value = 0;

	for (unsigned i = 0; i < place->width; i++)
		value |= (uint64_t)bytes[i] << (8 * i);
	return value;
}

static void find_ram_end(struct base *base)
{
	for (size_t i = 0; i < base->state->extent_count; i++) {
		const struct nm_extent *extent = &base->state->extents[i];

		if (extent->gpa + extent->size > base->ram_end)
			base->ram_end = extent->gpa + extent->size;
	}
}

static bool load(struct base *base)
{
	struct nestmig_detail detail = {0};

	base->files = calloc(MAX_FILES, sizeof(*base->files));
	if (!base->files)
		return trouble(base->path, "out of memory");
	if (!add_directory(base, "") || !add_directory(base, "vcpu0") ||
	    !add_directory(base, "mem"))
		return false;
	if (nestmig_state_read(base->path, 0, &base->state, &detail))
		return trouble(base->path, detail.text);
	if (base->state->vcpu_count != 1 || !base->state->host)
		return trouble(base->path, "must have one vCPU and the host it was made on");
	base->is_vmx = base->state->vendor == NESTMIG_VENDOR_INTEL;
	base->is_smm = base->state->vcpus[0].view.events.smi_smm;
	find_ram_end(base);
	return base_find_places(base) || trouble(base->path, "out of memory");
}

struct base *base_new(const char *dir, const char *name)
{
	struct base *base = calloc(1, sizeof(*base));

	if (!base)
		return NULL;
	base->name = name;
	snprintf(base->path, sizeof(base->path), "%s/%s", dir, name);
	if (load(base))
		return base;
	base_free(base);
	return NULL;
}

void base_free(struct base *base)
{
	if (!base)
		return;
	for (size_t i = 0; base->files && i < base->file_count; i++)
		free(base->files[i].bytes);
	free(base->files);
	free(base->places);
	free(base->edges);
	nestmig_state_free(base->state);
	free(base);
}
