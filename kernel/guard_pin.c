// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The guard in a bpffs, where it outlives its process: a directory with the maps it is read by, "map_NAME", and its
 * links, "link_PROGRAM" each. A link that nobody holds is detached by the kernel.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "guard_object.h"
#include "nm_guard_bpf.skel.h"

#define PATH_SIZE 512

static const char *const map_names[] = {"map_config", "map_counters", "map_vcpus", "map_events"};

static int *map_of(struct nm_guard *guard, size_t index)
{
	int *const maps[] = {&guard->config, &guard->counters, &guard->vcpus, &guard->events};

	return maps[index];
}

#define MAPS (sizeof(map_names) / sizeof(map_names[0]))

void nm_guard_free(struct nm_guard *guard)
{
	if (!guard)
		return;
	ring_buffer__free(guard->ring);
	nm_guard_detach(guard);
	for (size_t i = 0; !guard->skeleton && i < MAPS; i++)
		if (*map_of(guard, i) > 0)
			close(*map_of(guard, i));
	nm_guard_bpf__destroy(guard->skeleton);
	free(guard);
}

static enum nestmig_error pin_all(struct nm_guard *guard, const char *dir,
				  struct nestmig_detail *detail)
{
	char path[PATH_SIZE];

	for (size_t i = 0; i < MAPS; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, map_names[i]);
		if (bpf_obj_pin(*map_of(guard, i), path))
			return nm_fail_errno(detail, "cannot pin %s", path);
	}
	for (size_t i = 0; i < guard->attached_count; i++) {
		snprintf(path, sizeof(path), "%s/link_%s", dir, guard->attached[i].name);
		if (bpf_link__pin(guard->attached[i].link, path))
			return nm_fail_errno(detail, "cannot pin %s", path);
	}
	return NESTMIG_OK;
}

enum nestmig_error nm_guard_pin(struct nm_guard *guard, const char *dir,
				struct nestmig_detail *detail)
{
	enum nestmig_error error;

	if (strlen(dir) + 2 * NM_GUARD_NAME > PATH_SIZE)
		return nm_fail(detail, NESTMIG_ERR_INVALID, "%s: too long a path", dir);
	if (mkdir(dir, 0700)) {
		if (errno == EEXIST)
			return nm_fail(detail, NESTMIG_ERR_CAPABILITY,
				       "a guard is installed already: %s exists", dir);
		return nm_fail_errno(detail, "cannot make %s", dir);
	}
	error = pin_all(guard, dir, detail);
	if (error && nm_guard_remove(dir, NULL))
		rmdir(dir);
	return error;
}

/* The links of the directory: their programs' names follow "link_". */
static enum nestmig_error open_links(struct nm_guard *guard, DIR *stream, const char *dir,
				     struct nestmig_detail *detail)
{
	struct dirent *entry;
	char path[PATH_SIZE];

	while ((entry = readdir(stream)) != NULL) {
		struct nm_guard_attached *at = &guard->attached[guard->attached_count];

		if (strncmp(entry->d_name, "link_", 5) != 0 ||
		    guard->attached_count == NM_GUARD_PROGRAMS_MAX)
			continue;
		snprintf(path, sizeof(path), "%s/%.64s", dir, entry->d_name);
		at->link = bpf_link__open(path);
		if (!at->link)
			return nm_fail_errno(detail, "cannot open %s", path);
		snprintf(at->name, sizeof(at->name), "%s", entry->d_name + 5);
		guard->can_deny |= !strcmp(at->name, "nm_guard_ioctl");
		guard->attached_count++;
	}
	return NESTMIG_OK;
}

static enum nestmig_error open_pinned(struct nm_guard *guard, const char *dir,
				      struct nestmig_detail *detail)
{
	DIR *stream = opendir(dir);
	enum nestmig_error error;
	char path[PATH_SIZE];

	if (!stream)
		return errno == ENOENT ? nm_fail(detail, NESTMIG_ERR_NOT_FOUND,
						 "no guard is installed in %s", dir)
				       : nm_fail_errno(detail, "cannot open %s", dir);
	error = open_links(guard, stream, dir, detail);
	closedir(stream);
	if (!error)
		error = nm_guard_name_functions(guard, detail);
	for (size_t i = 0; !error && i < MAPS; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, map_names[i]);
		*map_of(guard, i) = bpf_obj_get(path);
		if (*map_of(guard, i) < 0)
			error = nm_fail_errno(detail, "cannot open %s", path);
	}
	return error;
}

enum nestmig_error nm_guard_open_pinned(const char *dir, struct nm_guard **ret_guard,
					struct nestmig_detail *detail)
{
	struct nm_guard *guard = calloc(1, sizeof(*guard));
	enum nestmig_error error;

	if (!guard)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	libbpf_set_print(NULL);
	error = open_pinned(guard, dir, detail);
	if (error) {
		nm_guard_free(guard);
		return error;
	}
	*ret_guard = guard;
	return NESTMIG_OK;
}

enum nestmig_error nm_guard_remove(const char *dir, struct nestmig_detail *detail)
{
	DIR *stream = opendir(dir);
	struct dirent *entry;
	int failed = 0;

	if (!stream)
		return errno == ENOENT ? nm_fail(detail, NESTMIG_ERR_NOT_FOUND,
						 "no guard is installed in %s", dir)
				       : nm_fail_errno(detail, "cannot open %s", dir);
	while (!failed && (entry = readdir(stream)) != NULL)
		if (!strncmp(entry->d_name, "link_", 5) || !strncmp(entry->d_name, "map_", 4))
			failed = unlinkat(dirfd(stream), entry->d_name, 0);
	closedir(stream);
	if (failed || rmdir(dir))
		return nm_fail_errno(detail, "cannot remove %s", dir);
	return NESTMIG_OK;
}
