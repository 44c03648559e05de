// SPDX-License-Identifier: GPL-2.0-or-later
/* A raw KVM dump in memory: read once, changed and restored many times. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rawdump.h"

#define MAX_PART (1u << 20)

static int add_part(struct image *image, const char *dir, const char *name)
{
	struct part *part = &image->parts[image->count];
	char *path = path_new(dir, name), *bytes = NULL;
	uint8_t *room = NULL;
	size_t size = 0;

	if (path && image->count < MAX_PARTS && strlen(name) < sizeof(part->name))
		bytes = file_read_new(path, MAX_PART, &size);
	if (bytes)
		room = calloc(1, PART_HEADROOM + size + PART_TAILROOM);
	free(path);
	if (!room) {
		fprintf(stderr, "rawdump: cannot read %s/%s\n", dir, name);
		free(bytes);
		return -1;
	}
	strcpy(part->name, name);
	part->pristine = (uint8_t *)bytes;
	part->bytes = room + PART_HEADROOM;
	part->size = size;
	memcpy(part->bytes, bytes, size);
	image->count++;
	return 0;
}

/* Which files there are is up to who made the dump; restoring names the one that it misses. */
static int add_states(struct image *image, const char *dir)
{
	for (size_t i = 0; i < state_file_count(); i++) {
		char name[48], *path;
		bool present;

		snprintf(name, sizeof(name), "vcpu0/%s", state_file_name(i));
		path = path_new(dir, name);
		if (!path)
			return -1;
		present = !access(path, F_OK);
		free(path);
		if (present && add_part(image, dir, name))
			return -1;
	}
	return 0;
}

static bool extent_address(const char *name, unsigned long *ret_address)
{
	char *end;

	*ret_address = strtoul(name, &end, 16);
	return end != name && !*end && *ret_address < GUEST_MEMORY;
}

static int add_extent(struct image *image, const char *dir, const char *extent)
{
	unsigned long address = 0;
	char name[NAME_MAX + 8];

	snprintf(name, sizeof(name), "mem/%s", extent);
	if (!extent_address(extent, &address)) {
		fprintf(stderr, "rawdump: %s/%s: not an address below %x\n", dir, name,
			GUEST_MEMORY);
		return -1;
	}
	if (add_part(image, dir, name))
		return -1;
	if (image->parts[image->count - 1].size <= GUEST_MEMORY - address)
		return 0;
	fprintf(stderr, "rawdump: %s/%s is longer than the guest's memory\n", dir, name);
	return -1;
}

static int add_memory(struct image *image, const char *dir)
{
	char *path = path_new(dir, "mem");
	DIR *files = path ? opendir(path) : NULL;
	struct dirent *file;
	int failed = 0;

	free(path);
	if (!files) {
		fprintf(stderr, "rawdump: %s/mem: %m\n", dir);
		return -1;
	}
	while (!failed && (file = readdir(files))) {
		if (file->d_name[0] != '.')
			failed = add_extent(image, dir, file->d_name);
	}
	closedir(files);
	return failed;
}

static int make_memory_file(struct image *image)
{
	image->memory_fd = memfd_create("guest", MFD_CLOEXEC);
	if (image->memory_fd < 0 || ftruncate(image->memory_fd, GUEST_MEMORY)) {
		perror("rawdump: guest memory");
		return -1;
	}
	for (size_t i = 0; i < image->count; i++) {
		const struct part *part = &image->parts[i];
		unsigned long address;

		if (strncmp(part->name, "mem/", 4) || !extent_address(part->name + 4, &address))
			continue;
		if (pwrite(image->memory_fd, part->bytes, part->size, (off_t)address) !=
		    (ssize_t)part->size) {
			perror("rawdump: guest memory");
			return -1;
		}
	}
	return 0;
}

int image_read(const char *dir, struct image *ret_image)
{
	memset(ret_image, 0, sizeof(*ret_image));
	if (meta_read(dir, &ret_image->meta) || add_states(ret_image, dir))
		return -1;
	ret_image->pristine_meta = ret_image->meta;
	if (add_memory(ret_image, dir))
		return -1;
	return make_memory_file(ret_image);
}

/* Beside the parts a dump has host_msrs and meta.json, which come from the dump called from. */
static int copy_file(const char *from, const char *dir, const char *name)
{
	char *in = path_new(from, name), *out = path_new(dir, name), *bytes = NULL;
	size_t size;
	int failed = -1;

	if (in && out)
		bytes = file_read_new(in, MAX_PART, &size);
	if (bytes)
		failed = file_write(out, bytes, size);
	free(bytes);
	free(in);
	free(out);
	return failed;
}

int image_write(const struct image *image, const char *from, const char *dir)
{
	char *vcpu = path_new(dir, "vcpu0"), *memory = path_new(dir, "mem");
	int failed = -1;

	if (vcpu && memory && !dir_make(dir) && !dir_make(vcpu) && !dir_make(memory) &&
	    !copy_file(from, dir, "host_msrs"))
		failed = meta_copy(from, dir, &image->meta);
	free(vcpu);
	free(memory);
	for (size_t i = 0; !failed && i < image->count; i++) {
		char *path = path_new(dir, image->parts[i].name);

		failed = path ? file_write(path, image->parts[i].bytes, image->parts[i].size) : -1;
		free(path);
	}
	return failed;
}

struct part *image_find(struct image *image, const char *name)
{
	for (size_t i = 0; i < image->count; i++) {
		if (!strcmp(image->parts[i].name, name))
			return &image->parts[i];
	}
	return NULL;
}

uint8_t *image_change(struct image *image, const char *name, size_t offset, size_t size)
{
	struct part *part = image_find(image, name);

	if (!part || offset > part->size || size > part->size - offset ||
	    image->change_count == MAX_CHANGES)
		return NULL;
	image->changes[image->change_count++] = (struct change){part, offset, size};
	return part->bytes + offset;
}

void image_reset(struct image *image)
{
	image->meta = image->pristine_meta;
	for (size_t i = 0; i < image->change_count; i++) {
		const struct change *change = &image->changes[i];

		memcpy(change->part->bytes + change->offset,
		       change->part->pristine + change->offset, change->size);
	}
	image->change_count = 0;
}

/* What an earlier guest wrote goes away with its pages: copying all of them would take longer. */
void image_load_memory(const struct image *image, uint8_t *memory)
{
	madvise(memory, GUEST_MEMORY, MADV_DONTNEED);
	for (size_t i = 0; i < image->change_count; i++) {
		const struct change *change = &image->changes[i];
		unsigned long address;

		if (!strncmp(change->part->name, "mem/", 4) &&
		    extent_address(change->part->name + 4, &address))
			memcpy(memory + address + change->offset,
			       change->part->bytes + change->offset, change->size);
	}
}
