/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file that appears under its name whole or not at all, mode 0600. */
#ifndef NESTMIG_NMS_FILE_H
#define NESTMIG_NMS_FILE_H

#include "nestmig.h"

struct nms_file;

/* Errors: IO, INVALID (path is there and not a regular file), NOMEM. */
NESTMIG_CHECKED enum nestmig_error nms_file_new(const char *path, struct nms_file **ret_file,
						struct nestmig_detail *detail);

/* Removes the file unless it was committed. */
void nms_file_free(struct nms_file *file);

NESTMIG_CHECKED enum nestmig_error nms_file_write(struct nms_file *file, const void *bytes,
						  size_t length, struct nestmig_detail *detail);

/* Syncs it and gives it its name. */
NESTMIG_CHECKED enum nestmig_error nms_file_commit(struct nms_file *file,
						   struct nestmig_detail *detail);

/* Tells a test that there is no O_TMPFILE: the next files get a name from the start. */
#define NMS_FILE_NAMED 0x1
NESTMIG_CHECKED enum nestmig_error nms_file_new_how(const char *path, unsigned how,
						    struct nms_file **ret_file,
						    struct nestmig_detail *detail);

#endif
