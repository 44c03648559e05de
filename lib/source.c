// SPDX-License-Identifier: LGPL-2.1-or-later
/* Sources: bytes at offsets. */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fs.h>

#include "error.h"

/* A window handed out, kept until the source is freed. */
struct window {
	struct window *next;
	uint8_t bytes[];
};

struct nm_source {
	const struct nm_source_ops *ops;
	void *ctx;
	uint64_t size, bytes_read;
	struct window *windows;
};

struct file_ctx {
	int fd;
};

static enum nestmig_error file_read(void *ctx, uint64_t offset, void *buffer, size_t length,
				    struct nestmig_detail *detail)
{
	const struct file_ctx *file = ctx;
	size_t done = 0;

	while (done < length) {
		ssize_t n = pread(file->fd, (char *)buffer + done, length - done,
				  (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return nm_fail_errno(detail, "reading %zu bytes at offset %" PRIu64, length,
					     offset);
		if (n == 0)
			return nm_fail_at(detail, NESTMIG_ERR_TRUNCATED, offset + done,
					  "the file became shorter while it was read");
		done += (size_t)n;
	}
	return NESTMIG_OK;
}

static void file_free(void *ctx)
{
	struct file_ctx *file = ctx;

	close(file->fd);
	free(file);
}

static const struct nm_source_ops file_ops = {.read = file_read, .free = file_free};

static enum nestmig_error file_size(int fd, const char *path, uint64_t *ret_size,
				    struct nestmig_detail *detail)
{
	struct stat st;
	uint64_t size;

	if (fstat(fd, &st) < 0)
		return nm_fail_errno(detail, "%s", path);
	if (S_ISREG(st.st_mode)) {
		*ret_size = (uint64_t)st.st_size;
		return NESTMIG_OK;
	}
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, &size) == 0) {
		*ret_size = size;
		return NESTMIG_OK;
	}
	return nm_fail(detail, NESTMIG_ERR_UNSUPPORTED,
		       "%s is neither a regular file, a block device nor a directory", path);
}

enum nestmig_error nm_source_fd(int fd, const char *name, struct nm_source **ret_source,
				struct nestmig_detail *detail)
{
	enum nestmig_error error;
	struct file_ctx *file;
	uint64_t size = 0;

	error = file_size(fd, name, &size, detail);
	if (error) {
		close(fd);
		return error;
	}
	file = malloc(sizeof(*file));
	if (!file) {
		close(fd);
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	}
	file->fd = fd;
	return nm_source_new(&file_ops, file, size, ret_source, detail);
}

enum nestmig_error nm_source_open(const char *path, struct nm_source **ret_source,
				  struct nestmig_detail *detail)
{
	/* O_NONBLOCK: opening a fifo by mistake must not hang. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return nm_fail_errno(detail, "cannot open %s", path);
	return nm_source_fd(fd, path, ret_source, detail);
}

static enum nestmig_error memory_read(void *ctx, uint64_t offset, void *buffer, size_t length,
				      struct nestmig_detail *detail)
{
	(void)detail;
	memcpy(buffer, (const uint8_t *)ctx + offset, length);
	return NESTMIG_OK;
}

static const struct nm_source_ops memory_ops = {.read = memory_read};

enum nestmig_error nm_source_memory(const void *bytes, size_t size, struct nm_source **ret_source,
				    struct nestmig_detail *detail)
{
	return nm_source_new(&memory_ops, (void *)(uintptr_t)bytes, size, ret_source, detail);
}

enum nestmig_error nm_source_new(const struct nm_source_ops *ops, void *ctx, uint64_t size,
				 struct nm_source **ret_source, struct nestmig_detail *detail)
{
	struct nm_source *source = calloc(1, sizeof(*source));

	if (!source) {
		if (ops->free)
			ops->free(ctx);
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	}
	source->ops = ops;
	source->ctx = ctx;
	source->size = size;
	*ret_source = source;
	return NESTMIG_OK;
}

/* ---- Part of another ------------------------------------------------------------------------- */

struct part_ctx {
	struct nm_source *whole;
	uint64_t offset;
};

static enum nestmig_error part_read(void *ctx, uint64_t offset, void *buffer, size_t length,
				    struct nestmig_detail *detail)
{
	const struct part_ctx *part = ctx;

	return nm_source_read(part->whole, part->offset + offset, buffer, length, detail);
}

static enum nestmig_error part_keep(void *ctx, uint64_t offset, size_t length,
				    struct nestmig_detail *detail)
{
	const struct part_ctx *part = ctx;

	return nm_source_keep(part->whole, part->offset + offset, length, detail);
}

static const struct nm_source_ops part_ops = {
	.read = part_read, .keep = part_keep, .free = free, .is_derived = true};

enum nestmig_error nm_source_part(struct nm_source *whole, uint64_t offset, uint64_t length,
				  struct nm_source **ret_source, struct nestmig_detail *detail)
{
	struct part_ctx *part;

	if (offset > whole->size || length > whole->size - offset)
		return nm_fail_at(detail, NESTMIG_ERR_TRUNCATED, whole->size,
				  "%" PRIu64 " bytes from offset %" PRIu64
				  " are needed, but the file ends at %" PRIu64,
				  length, offset, whole->size);
	part = malloc(sizeof(*part));
	if (!part)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	*part = (struct part_ctx){.whole = whole, .offset = offset};
	return nm_source_new(&part_ops, part, length, ret_source, detail);
}

/* ---- Closed ---------------------------------------------------------------------------------- */

static enum nestmig_error sealed_read(void *ctx, uint64_t offset, void *buffer, size_t length,
				      struct nestmig_detail *detail)
{
	(void)ctx;
	(void)buffer;
	(void)length;
	return nm_fail_at(detail, NESTMIG_ERR_INVALID, offset, "the file has been closed");
}

static const struct nm_source_ops sealed_ops = {.read = sealed_read};

void nm_source_seal(struct nm_source *source)
{
	if (source->ops->free)
		source->ops->free(source->ctx);
	source->ctx = NULL;
	source->ops = &sealed_ops;
}

void nm_source_free(struct nm_source *source)
{
	if (!source)
		return;
	while (source->windows) {
		struct window *next = source->windows->next;

		free(source->windows);
		source->windows = next;
	}
	if (source->ops->free)
		source->ops->free(source->ctx);
	free(source);
}

uint64_t nm_source_size(const struct nm_source *source)
{
	return source->size;
}

size_t nm_source_ready(const struct nm_source *source, uint64_t offset)
{
	return source->ops->ready ? source->ops->ready(source->ctx, offset) : SIZE_MAX;
}

uint64_t nm_source_bytes_read(const struct nm_source *source)
{
	return source->bytes_read;
}

static enum nestmig_error check_range(const struct nm_source *source, uint64_t offset,
				      size_t length, struct nestmig_detail *detail)
{
	if (offset > source->size || length > source->size - offset)
		return nm_fail_at(detail, NESTMIG_ERR_TRUNCATED, source->size,
				  "%zu bytes at offset %" PRIu64
				  " are needed, but the file ends at "
				  "%" PRIu64,
				  length, offset, source->size);
	return NESTMIG_OK;
}

enum nestmig_error nm_source_keep(struct nm_source *source, uint64_t offset, size_t length,
				  struct nestmig_detail *detail)
{
	enum nestmig_error error = check_range(source, offset, length, detail);

	if (error || !source->ops->keep)
		return error;
	return source->ops->keep(source->ctx, offset, length, detail);
}

enum nestmig_error nm_source_read(struct nm_source *source, uint64_t offset, void *buffer,
				  size_t length, struct nestmig_detail *detail)
{
	enum nestmig_error error = check_range(source, offset, length, detail);

	if (error)
		return error;
	if (length == 0)
		return NESTMIG_OK;
	error = source->ops->read(source->ctx, offset, buffer, length, detail);
	if (error)
		return error;
	source->bytes_read += source->ops->is_derived ? 0 : length;
	return NESTMIG_OK;
}

enum nestmig_error nm_source_window(struct nm_source *source, uint64_t offset, size_t length,
				    const uint8_t **ret_bytes, struct nestmig_detail *detail)
{
	struct window *window;
	enum nestmig_error error;

	if (offset > source->size || length > source->size - offset)
		return nm_source_read(source, offset, NULL, length, detail);
	window = malloc(sizeof(*window) + length);
	if (!window)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory for %zu bytes", length);
	error = nm_source_read(source, offset, window->bytes, length, detail);
	if (error) {
		free(window);
		return error;
	}
	window->next = source->windows;
	source->windows = window;
	*ret_bytes = window->bytes;
	return NESTMIG_OK;
}
