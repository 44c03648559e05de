// SPDX-License-Identifier: LGPL-2.1-or-later
/* Files of a state that is a directory. */
#include "part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"

/* Goes from a directory, which is closed, into the one that is the first part of name. */
static int enter(int parent, const char *name, size_t length)
{
	char *first = strndup(name, length);
	int fd = first ? openat(parent, first, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
	int saved = errno;

	free(first);
	close(parent);
	errno = saved;
	return fd;
}

/* A descriptor, or -1 and errno. */
static int open_below(const char *directory, const char *name)
{
	const char *slash = strchr(name, '/');
	int parent = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC), fd, saved;

	if (parent >= 0 && slash) {
		parent = enter(parent, name, (size_t)(slash - name));
		name = slash + 1;
	}
	if (parent < 0)
		return -1;
	/* O_NONBLOCK: opening a fifo must not hang. */
	fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	saved = errno;
	close(parent);
	errno = saved;
	return fd;
}

static enum nestmig_error open_source(const char *directory, const char *name,
				      struct nm_source **ret_source, struct nestmig_detail *detail)
{
	int fd = open_below(directory, name);
	enum nestmig_error error;
	char *path;

	if (fd < 0 && errno == ENOENT)
		return NESTMIG_OK;
	if (fd < 0 && errno == ELOOP)
		return nm_fail(detail, NESTMIG_ERR_UNSUPPORTED,
			       "%s is a symbolic link, and links in a directory are not followed: "
			       "put the file itself there",
			       name);
	if (fd < 0)
		return nm_fail_errno(detail, "cannot open %s/%s", directory, name);
	if (asprintf(&path, "%s/%s", directory, name) < 0) {
		close(fd);
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	}
	error = nm_source_fd(fd, path, ret_source, detail);
	free(path);
	return error;
}

enum nestmig_error nm_part_open(struct nestmig_state *state, const char *directory,
				const char *name, struct nm_source **ret_source,
				struct nestmig_detail *detail)
{
	struct nm_source *source = NULL;
	enum nestmig_error error = open_source(directory, name, &source, detail);

	*ret_source = NULL;
	if (!error && source)
		error = nm_state_add_source(state, source, detail);
	if (!error)
		*ret_source = source;
	return error;
}
