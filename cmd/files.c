// SPDX-License-Identifier: GPL-2.0-or-later
/* The files that a command line names. */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "reader.h"
#include "sandbox.h"
#include "source.h"
#include "spool.h"

#define LIST_MAX (64U << 20)

static bool is_input(const char *name)
{
	return strcmp(name, "-") == 0;
}

static enum nestmig_error add(struct files *files, char *name, struct nestmig_detail *detail)
{
	size_t count = files->count;
	char **bigger;

	if (is_input(name) && files->has_input)
		return nm_fail(detail, NESTMIG_ERR_INVALID, "standard input can be read once");
	/* Room doubles at each power of two. */
	if (!(count & (count - 1))) {
		bigger = reallocarray(files->names, count ? 2 * count : 1, sizeof(*bigger));
		if (!bigger)
			return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
		files->names = bigger;
	}
	files->has_input |= is_input(name);
	files->names[files->count++] = name;
	return NESTMIG_OK;
}

/* The whole list with a NUL after it. */
static enum nestmig_error read_list(const char *path, char **ret_text, size_t *ret_size,
				    struct nestmig_detail *detail)
{
	FILE *file = is_input(path) ? stdin : fopen(path, "re");
	enum nestmig_error error = NESTMIG_OK;
	size_t size = 0, room = 0;
	char *text = NULL, *bigger;

	if (!file)
		return nm_fail_errno(detail, "cannot open the list of files %s", path);
	do {
		room = room ? 2 * room : 4096;
		bigger = realloc(text, room + 1);
		if (!bigger) {
			error = nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
			break;
		}
		text = bigger;
		size += fread(text + size, 1, room - size, file);
		if (size > LIST_MAX)
			error = nm_fail(detail, NESTMIG_ERR_LIMIT,
					"the list of files %s has more than %u bytes", path,
					LIST_MAX);
	} while (!error && size == room);
	if (!error && ferror(file))
		error = nm_fail_errno(detail, "reading the list of files %s", path);
	if (file != stdin)
		fclose(file);
	if (error) {
		free(text);
		return error;
	}
	text[size] = '\0';
	*ret_text = text;
	*ret_size = size;
	return NESTMIG_OK;
}

static enum nestmig_error add_list(struct files *files, const char *path,
				   struct nestmig_detail *detail)
{
	enum nestmig_error error;
	size_t size = 0;
	char separator;

	error = read_list(path, &files->list, &size, detail);
	if (error)
		return error;
	separator = memchr(files->list, '\0', size) ? '\0' : '\n';
	for (char *at = files->list, *end = at + size; at < end && !error;) {
		char *next = memchr(at, separator, (size_t)(end - at));

		if (next)
			*next = '\0';
		if (*at)
			error = add(files, at, detail);
		at = next ? next + 1 : end;
	}
	if (!error && files->has_input && is_input(path))
		return nm_fail(detail, NESTMIG_ERR_INVALID, "standard input can be read once");
	return error;
}

enum nestmig_error files_gather(struct files *files, int argc, char **argv, const char *list,
				struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;

	*files = (struct files){.input = -1, .snapshot = files->snapshot};
	for (int i = 0; i < argc && !error; i++)
		error = add(files, argv[i], detail);
	if (!error && list)
		error = add_list(files, list, detail);
	if (error)
		files_free(files);
	return error;
}

enum nestmig_error files_open_input(struct files *files, struct nestmig_detail *detail)
{
	return files->has_input ? spool_input(&files->input, detail) : NESTMIG_OK;
}

enum nestmig_error files_enter_sandbox(const struct files *files, const char *profile,
				       const char *output, struct nestmig_detail *detail)
{
	struct sandbox sandbox = {.paths = (const char *const *)files->names,
				  .count = files->count,
				  .profile = profile,
				  .output = output};

	return sandbox_enter(&sandbox, detail);
}

enum nestmig_error files_read(const struct files *files, size_t index, unsigned flags,
			      struct nestmig_state **ret_state, struct nestmig_detail *detail)
{
	const char *name = files->names[index];
	struct nm_source *source = NULL;
	enum nestmig_error error;
	int fd;

	if (!is_input(name))
		return nestmig_state_read_named(name, flags, files->snapshot, ret_state, detail);
	fd = fcntl(files->input, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return nm_fail_errno(detail, "standard input");
	error = nm_source_fd(fd, "standard input", &source, detail);
	return error ? error
		     : nm_state_read_source(source, "-", flags, files->snapshot, ret_state, detail);
}

void files_free(struct files *files)
{
	if (files->input >= 0)
		close(files->input);
	free(files->names);
	free(files->list);
	*files = (struct files){.input = -1};
}
