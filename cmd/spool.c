// SPDX-License-Identifier: GPL-2.0-or-later
/* Standard input as a file that can be read at any offset. */
#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "error.h"

#define PIECE_SIZE (256U << 10)

/* A file without a name: O_TMPFILE, or one that loses its name at once. */
static int open_nameless(const char *dir)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char *name;

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
		return fd;
	if (asprintf(&name, "%s/nestmig.XXXXXX", dir) < 0)
		return -1;
	fd = mkostemp(name, O_CLOEXEC);
	if (fd >= 0)
		unlink(name);
	free(name);
	return fd;
}

static enum nestmig_error write_piece(int fd, const char *bytes, size_t length,
				      struct nestmig_detail *detail)
{
	while (length > 0) {
		ssize_t n = write(fd, bytes, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return nm_fail_errno(detail, "keeping standard input in a file");
		bytes += n;
		length -= (size_t)n;
	}
	return NESTMIG_OK;
}

static enum nestmig_error copy(int fd, uint64_t limit, struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;
	char *piece = malloc(PIECE_SIZE);
	uint64_t done = 0;

	if (!piece)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	while (!error) {
		ssize_t n = read(STDIN_FILENO, piece, PIECE_SIZE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			error = nm_fail_errno(detail, "reading standard input");
		if (n <= 0)
			break;
		done += (uint64_t)n;
		if (done > limit)
			error = nm_fail(detail, NESTMIG_ERR_LIMIT,
					"standard input has more than %" PRIu64
					" bytes, half of what is free for it: set TMPDIR, or give "
					"a file",
					limit);
		else
			error = write_piece(fd, piece, (size_t)n, detail);
	}
	free(piece);
	return error;
}

enum nestmig_error spool_input(int *ret_fd, struct nestmig_detail *detail)
{
	const char *dir = getenv("TMPDIR");
	enum nestmig_error error;
	struct statvfs fs;
	struct stat st;
	int fd;

	if (fstat(STDIN_FILENO, &st) < 0)
		return nm_fail_errno(detail, "standard input");
	if (S_ISREG(st.st_mode) && lseek(STDIN_FILENO, 0, SEEK_CUR) == 0) {
		*ret_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
		return *ret_fd < 0 ? nm_fail_errno(detail, "standard input") : NESTMIG_OK;
	}
	if (!dir || !*dir)
		dir = "/var/tmp";
	fd = open_nameless(dir);
	if (fd < 0)
		return nm_fail_errno(detail, "no file in %s to keep standard input in", dir);
	if (fstatvfs(fd, &fs) < 0)
		error = nm_fail_errno(detail, "%s", dir);
	else
		error = copy(fd, (uint64_t)fs.f_bavail / 2 * fs.f_frsize, detail);
	if (error) {
		close(fd);
		return error;
	}
	*ret_fd = fd;
	return NESTMIG_OK;
}
