// SPDX-License-Identifier: GPL-2.0-or-later
/* A base state as a directory, with the changes of one case at a time. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "foretell.h"
#include "scratch.h"

static bool trouble(const char *path)
{
	fprintf(stderr, "nestmig-cases: %s: %s\n", path, strerror(errno));
	return false;
}

/* Opens DIR/NAME for writing and fills it. */
static int make_file(const char *dir, const struct base_file *file)
{
	char path[sizeof(((struct scratch *)0)->dir) + sizeof(file->name) + 1];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, file->name);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd >= 0 && pwrite(fd, file->bytes, file->size, 0) == (ssize_t)file->size)
		return fd;
	trouble(path);
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool make_directories(const char *dir)
{
	static const char *const names[] = {"vcpu0", "mem"};
	char path[sizeof(((struct scratch *)0)->dir) + 16];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		if (mkdir(path, 0777))
			return trouble(path);
	}
	return true;
}

/* All files of the base into an empty directory. */
static bool fill(struct scratch *scratch)
{
	const struct base *base = scratch->base;

	scratch->fds = malloc(base->file_count * sizeof(*scratch->fds));
	if (!scratch->fds || !make_directories(scratch->dir))
		return false;
	for (; scratch->fd_count < base->file_count; scratch->fd_count++) {
		int fd = make_file(scratch->dir, &base->files[scratch->fd_count]);

		if (fd < 0)
			return false;
		scratch->fds[scratch->fd_count] = fd;
	}
	return true;
}

/* Memory is faster than a disk: /dev/shm, unless TMPDIR says where. */
static bool make_dir(struct scratch *scratch)
{
	const char *tmp = getenv("TMPDIR");

	if (!tmp)
		tmp = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
	snprintf(scratch->dir, sizeof(scratch->dir), "%s/nestmig-cases.XXXXXX", tmp);
	if (strlen(scratch->dir) + 1 == sizeof(scratch->dir) || !mkdtemp(scratch->dir)) {
		trouble(scratch->dir);
		scratch->dir[0] = '\0';
		return false;
	}
	return true;
}

struct scratch *scratch_new(const struct base *base)
{
	struct scratch *scratch = calloc(1, sizeof(*scratch));

	if (!scratch)
		return NULL;
	scratch->base = base;
	if (make_dir(scratch) && fill(scratch))
		return scratch;
	scratch_free(scratch);
	return NULL;
}

static void remove_below(const char *dir, const char *name)
{
	char path[sizeof(((struct scratch *)0)->dir) + 128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	remove(path);
}

void scratch_free(struct scratch *scratch)
{
	if (!scratch)
		return;
	for (size_t i = 0; i < scratch->fd_count; i++) {
		close(scratch->fds[i]);
		remove_below(scratch->dir, scratch->base->files[i].name);
	}
	if (*scratch->dir) {
		remove_below(scratch->dir, "vcpu0");
		remove_below(scratch->dir, "mem");
		rmdir(scratch->dir);
	}
	free(scratch->fds);
	free(scratch);
}

static bool write_at(const struct scratch *scratch, const struct place *place, uint64_t value)
{
	uint8_t bytes[8];

	for (unsigned i = 0; i < place->width; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
	return pwrite(scratch->fds[place->file], bytes, place->width, (off_t)place->offset) ==
		       place->width ||
	       trouble(place->name);
}

static bool replace_file(const struct scratch *scratch, size_t file, const char *bytes, size_t size)
{
	return (!ftruncate(scratch->fds[file], (off_t)size) &&
		pwrite(scratch->fds[file], bytes, size, 0) == (ssize_t)size) ||
	       trouble(scratch->base->files[file].name);
}

static size_t meta_file(const struct base *base)
{
	for (size_t i = 0; i < base->file_count; i++)
		if (strcmp(base->files[i].name, "meta.json") == 0)
			return i;
	return 0; /* not reached: a dump without meta.json is not read */
}

/* The restore order in meta.json: an array of names. */
static bool write_order(const struct scratch *scratch, const char *order)
{
	const struct base_file *file = &scratch->base->files[meta_file(scratch->base)];
	json_t *meta = json_loadb((const char *)file->bytes, file->size, 0, NULL);
	json_t *names = json_array();
	char *text = NULL;
	bool good = false;

	for (size_t length; *order; order += length + (order[length] == ',')) {
		length = strcspn(order, ",");
		json_array_append_new(names, json_stringn(order, length));
	}
	if (meta && !json_object_set_new(meta, "restore_order", names))
		text = json_dumps(meta, JSON_INDENT(2));
	if (text)
		good = replace_file(scratch, meta_file(scratch->base), text, strlen(text));
	free(text);
	json_decref(meta);
	return good;
}

bool scratch_apply(struct scratch *scratch, const struct mutation *mutation)
{
	for (unsigned i = 0; i < mutation->poke_count; i++)
		if (!write_at(scratch, mutation->pokes[i].place, mutation->pokes[i].after))
			return false;
	return !*mutation->order || write_order(scratch, mutation->order);
}

bool scratch_undo(struct scratch *scratch, const struct mutation *mutation)
{
	const struct base *base = scratch->base;

	for (unsigned i = 0; i < mutation->poke_count; i++) {
		const struct place *place = mutation->pokes[i].place;

		if (!write_at(scratch, place, base_value(base, place)))
			return false;
	}
	if (*mutation->order) {
		size_t meta = meta_file(base);

		return replace_file(scratch, meta, (const char *)base->files[meta].bytes,
				    base->files[meta].size);
	}
	return true;
}

bool mutation_materialise(const struct base *base, const struct mutation *mutation, const char *dir)
{
	struct scratch scratch = {.base = base};
	bool good;

	if (strlen(dir) >= sizeof(scratch.dir) || mkdir(dir, 0777))
		return trouble(dir);
	strcpy(scratch.dir, dir);
	good = fill(&scratch) && scratch_apply(&scratch, mutation);
	for (size_t i = 0; i < scratch.fd_count; i++)
		close(scratch.fds[i]);
	free(scratch.fds);
	return good;
}

void mutation_print(const struct base *base, const struct mutation *mutation, FILE *out)
{
	fprintf(out, "case %05u\n", mutation->number);
	for (unsigned i = 0; i < mutation->poke_count; i++) {
		const struct poke *poke = &mutation->pokes[i];

		fprintf(out, "poke %s %" PRIu64 " ", base->files[poke->place->file].name,
			poke->place->offset);
		for (unsigned byte = 0; byte < poke->place->width; byte++)
			fprintf(out, "%02x", (unsigned)(poke->after >> (8 * byte) & 0xff));
		fputc('\n', out);
	}
	if (*mutation->order)
		fprintf(out, "restore_order %s\n", mutation->order);
}
