/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A source: bytes at offsets, from a file or from the compressed stream inside an .nms.
 *
 * Windows are read with pread into memory that the source owns: a file that another program
 * shortens while we look at it gives an error, where a mapping would give SIGBUS.
 */
#ifndef NESTMIG_SOURCE_H
#define NESTMIG_SOURCE_H

#include "nestmig.h"

struct nm_source;

/* How a kind of source gets its bytes. */
struct nm_source_ops {
	/* Fills buffer with exactly length bytes from offset; the range is inside the source. */
	enum nestmig_error (*read)(void *ctx, uint64_t offset, void *buffer, size_t length,
				   struct nestmig_detail *detail);
	/* Or NULL: nm_source_keep, where reading the range again would be dear. */
	enum nestmig_error (*keep)(void *ctx, uint64_t offset, size_t length,
				   struct nestmig_detail *detail);
	/* Or NULL, all: how many bytes from offset on can be read without waiting for them. */
	size_t (*ready)(void *ctx, uint64_t offset);
	void (*free)(void *ctx);
	bool is_derived; /* it reads from another source, where the bytes are counted */
};

/* A source over a regular file or block device. */
NESTMIG_CHECKED enum nestmig_error nm_source_open(const char *path, struct nm_source **ret_source,
						  struct nestmig_detail *detail);

/*
 * The same over an open descriptor, which is taken over, also on failure; its position does not count.
 * name is for messages.
 */
NESTMIG_CHECKED enum nestmig_error nm_source_fd(int fd, const char *name,
						struct nm_source **ret_source,
						struct nestmig_detail *detail);

/* A source over bytes in memory, for tests and fuzzing; the bytes stay the caller's. */
NESTMIG_CHECKED enum nestmig_error nm_source_memory(const void *bytes, size_t size,
						    struct nm_source **ret_source,
						    struct nestmig_detail *detail);

/* A source of another kind; takes ctx over, also on failure. */
NESTMIG_CHECKED enum nestmig_error nm_source_new(const struct nm_source_ops *ops, void *ctx,
						 uint64_t size, struct nm_source **ret_source,
						 struct nestmig_detail *detail);

/*
 * A source over length bytes of another from offset, which stays the caller's and must outlive this one.
 * Offsets in errors are those of the other. Errors: TRUNCATED (the range is not inside), NOMEM.
 */
NESTMIG_CHECKED enum nestmig_error nm_source_part(struct nm_source *whole, uint64_t offset,
						  uint64_t length, struct nm_source **ret_source,
						  struct nestmig_detail *detail);

void nm_source_free(struct nm_source *source);

/* Gives up what the source reads from (a file descriptor); its windows stay. Later reads fail. */
void nm_source_seal(struct nm_source *source);

uint64_t nm_source_size(const struct nm_source *source);

/* How many bytes from offset on can be read without waiting; SIZE_MAX if none is waited for. */
size_t nm_source_ready(const struct nm_source *source, uint64_t offset);

/* Bytes that it has read itself: 0 if it reads from another source. */
uint64_t nm_source_bytes_read(const struct nm_source *source);

/*
 * A window: length bytes from offset, valid until the source is freed. The range is checked against
 * the size of the source (TRUNCATED); nothing is allocated before that.
 */
NESTMIG_CHECKED enum nestmig_error nm_source_window(struct nm_source *source, uint64_t offset,
						    size_t length, const uint8_t **ret_bytes,
						    struct nestmig_detail *detail);

/* Reads into the caller's buffer; the same checks. */
NESTMIG_CHECKED enum nestmig_error nm_source_read(struct nm_source *source, uint64_t offset,
						  void *buffer, size_t length,
						  struct nestmig_detail *detail);

/*
 * These bytes will be read later: a source that can only be read forwards keeps them when it comes by. The
 * same checks. To be called in the order in which the bytes stand.
 */
NESTMIG_CHECKED enum nestmig_error nm_source_keep(struct nm_source *source, uint64_t offset,
						  size_t length, struct nestmig_detail *detail);

#endif
