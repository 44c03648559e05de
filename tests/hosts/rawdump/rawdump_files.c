// SPDX-License-Identifier: GPL-2.0-or-later
/* Small plain files. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "rawdump.h"

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
	bool written;

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

char *file_read_new(const char *path, size_t max, size_t *ret_size)
{
	FILE *file = fopen(path, "re");
	struct stat status = {0};
	char *bytes = NULL;
	size_t size = 0;

	if (file && !fstat(fileno(file), &status) && (size_t)status.st_size <= max)
		bytes = malloc((size_t)status.st_size + 1);
	if (bytes)
		size = fread(bytes, 1, (size_t)status.st_size, file);
	if (!bytes || ferror(file)) {
		fprintf(stderr, "rawdump: cannot read %s: %s\n", path,
			(size_t)status.st_size > max ? "too long" : strerror(errno));
		free(bytes);
		bytes = NULL;
	}
	if (file)
		fclose(file);
	if (bytes) {
		bytes[size] = '\0';
		*ret_size = size;
	}
	return bytes;
}
