// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A file that appears under its name whole or not at all.
 *
 * With O_TMPFILE the file has no name until it is complete, so that a writer that is killed leaves
 * nothing. linkat() cannot replace a name, so a file that is there already costs a second name for
 * the moment between linkat() and rename(). Without O_TMPFILE, or without /proc to link from, the
 * file has such a second name from the start.
 */
#include "nms_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"

#define NAME_TRIES 100
#define SUFFIX     8 /* ".XXXXXX" and a NUL */

struct nms_file {
	int dir, fd;
	char *path; /* as given, for messages */
	char *name; /* the last component, inside path */
	char *temp; /* the second name, or an empty text while there is none; room for one */
	size_t temp_size;
	bool is_committed;
};

static enum nestmig_error split_path(struct nms_file *file, const char *path, char **ret_dir,
				     struct nestmig_detail *detail)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	size_t dir_length = slash ? (size_t)(slash - path) + 1 : 0;

	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return nm_fail(detail, NESTMIG_ERR_INVALID, "\"%s\" is not the name of a file",
			       path);
	file->path = strdup(path);
	file->temp_size = strlen(name) + 1 + SUFFIX;
	file->temp = calloc(1, file->temp_size);
	*ret_dir = slash ? strndup(path, dir_length) : strdup(".");
	if (!file->path || !file->temp || !*ret_dir)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	file->name = file->path + dir_length;
	return NESTMIG_OK;
}

static enum nestmig_error open_dir(struct nms_file *file, const char *dir,
				   struct nestmig_detail *detail)
{
	struct stat st;

	file->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (file->dir < 0)
		return nm_fail_errno(detail, "cannot open the directory %s", dir);
	if (fstatat(file->dir, file->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (S_ISREG(st.st_mode))
			return NESTMIG_OK;
		return nm_fail(detail, NESTMIG_ERR_INVALID,
			       "%s is there and is not a regular file; it is not replaced",
			       file->path);
	}
	if (errno == ENOENT)
		return NESTMIG_OK;
	return nm_fail_errno(detail, "cannot look for %s", file->path);
}

/* ".NAME.XXXXXX". A name too long for the file system loses characters before the suffix. */
static enum nestmig_error make_temp_name(struct nms_file *file, struct nestmig_detail *detail)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	int keep = (int)(strlen(file->name) < 240 ? strlen(file->name) : 240);
	unsigned char random[6];
	char suffix[sizeof(random) + 1] = "";

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return nm_fail_errno(detail, "no random bytes for a temporary name");
	for (size_t i = 0; i < sizeof(random); i++)
		suffix[i] = letters[random[i] % (sizeof(letters) - 1)];
	snprintf(file->temp, file->temp_size, ".%.*s.%s", keep, file->name, suffix);
	return NESTMIG_OK;
}

/* Can what has no name be given one? linkat() needs /proc for that. */
static bool can_link(int fd)
{
	char link[40];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return access(link, F_OK) == 0;
}

/* Errors of open(O_TMPFILE) that mean that this file system or kernel does not have it. */
static bool lacks_tmpfile(int err)
{
	return err == EOPNOTSUPP || err == EISDIR || err == ENOENT || err == EINVAL ||
	       err == ENOSYS;
}

static enum nestmig_error open_named(struct nms_file *file, struct nestmig_detail *detail)
{
	for (int i = 0; i < NAME_TRIES; i++) {
		enum nestmig_error error = make_temp_name(file, detail);

		if (error)
			return error;
		file->fd = openat(file->dir, file->temp,
				  O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (file->fd >= 0)
			return NESTMIG_OK;
		file->temp[0] = '\0';
		if (errno != EEXIST)
			break;
	}
	return nm_fail_errno(detail, "cannot create a file beside %s", file->path);
}

static enum nestmig_error open_file(struct nms_file *file, unsigned how,
				    struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;

	errno = EOPNOTSUPP;
	if (!(how & NMS_FILE_NAMED))
		file->fd = openat(file->dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (file->fd < 0 && !lacks_tmpfile(errno))
		return nm_fail_errno(detail, "cannot create a file in the directory of %s",
				     file->path);
	if (file->fd >= 0 && !can_link(file->fd)) {
		close(file->fd);
		file->fd = -1;
	}
	if (file->fd < 0)
		error = open_named(file, detail);
	if (error)
		return error;
	/* The umask may have taken more than it should. */
	if (fchmod(file->fd, 0600) < 0)
		return nm_fail_errno(detail, "cannot set the mode of %s", file->path);
	return NESTMIG_OK;
}

enum nestmig_error nms_file_new_how(const char *path, unsigned how, struct nms_file **ret_file,
				    struct nestmig_detail *detail)
{
	struct nms_file *file = calloc(1, sizeof(*file));
	enum nestmig_error error;
	char *dir = NULL;

	if (!file)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	file->dir = file->fd = -1;
	error = split_path(file, path, &dir, detail);
	if (!error)
		error = open_dir(file, dir, detail);
	if (!error)
		error = open_file(file, how, detail);
	free(dir);
	if (error) {
		nms_file_free(file);
		return error;
	}
	*ret_file = file;
	return NESTMIG_OK;
}

enum nestmig_error nms_file_new(const char *path, struct nms_file **ret_file,
				struct nestmig_detail *detail)
{
	return nms_file_new_how(path, 0, ret_file, detail);
}

void nms_file_free(struct nms_file *file)
{
	if (!file)
		return;
	if (file->temp && file->temp[0] && !file->is_committed)
		unlinkat(file->dir, file->temp, 0);
	if (file->fd >= 0)
		close(file->fd);
	if (file->dir >= 0)
		close(file->dir);
	free(file->temp);
	free(file->path);
	free(file);
}

enum nestmig_error nms_file_write(struct nms_file *file, const void *bytes, size_t length,
				  struct nestmig_detail *detail)
{
	const uint8_t *p = bytes;

	while (length > 0) {
		ssize_t n = write(file->fd, p, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return nm_fail_errno(detail, "cannot write %s", file->path);
		p += n;
		length -= (size_t)n;
	}
	return NESTMIG_OK;
}

/* Gives a file without a name the name it shall have, or a second one beside it if that is taken.
 */
static enum nestmig_error link_file(struct nms_file *file, bool *ret_is_final,
				    struct nestmig_detail *detail)
{
	char link[40];
	bool is_final = true;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", file->fd);
	for (int i = 0; i < NAME_TRIES; i++) {
		const char *name = is_final ? file->name : file->temp;
		enum nestmig_error error;

		if (linkat(AT_FDCWD, link, file->dir, name, AT_SYMLINK_FOLLOW) == 0) {
			*ret_is_final = is_final;
			return NESTMIG_OK;
		}
		file->temp[0] = '\0';
		if (errno != EEXIST)
			break;
		is_final = false;
		error = make_temp_name(file, detail);
		if (error)
			return error;
	}
	file->temp[0] = '\0';
	return nm_fail_errno(detail, "cannot give %s its name", file->path);
}

enum nestmig_error nms_file_commit(struct nms_file *file, struct nestmig_detail *detail)
{
	bool is_final = false;
	enum nestmig_error error;

	if (fsync(file->fd) < 0)
		return nm_fail_errno(detail, "cannot write %s to disk", file->path);
	if (!file->temp[0]) {
		error = link_file(file, &is_final, detail);
		if (error)
			return error;
	}
	if (!is_final && renameat(file->dir, file->temp, file->dir, file->name) < 0)
		return nm_fail_errno(detail, "cannot give %s its name", file->path);
	file->is_committed = true;
	/* EINVAL: a file system that has no such thing as syncing a directory. */
	if (fsync(file->dir) < 0 && errno != EINVAL)
		return nm_fail_errno(detail,
				     "%s is written and in place, but its directory cannot be "
				     "synced, so it may be lost if this machine fails now",
				     file->path);
	return NESTMIG_OK;
}
