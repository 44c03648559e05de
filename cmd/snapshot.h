/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of nestmig snapshot that parses. */
#ifndef NESTMIG_SNAPSHOT_H
#define NESTMIG_SNAPSHOT_H

#include "nms.h"
#include "tail.h"

/*
 * Finds the vCPUs in the stream of which tail is the end, in a process of its own that can open no file, and
 * adds the records of each to writer. *ret_ids: their *ret_count ids, freed by the caller. name is for
 * messages. Errors: those of nm_qemu_read, of apart.h and of the writer.
 */
NESTMIG_CHECKED enum nestmig_error snapshot_vcpus(struct tail *tail, const char *name,
						  struct nm_nms_writer *writer, uint32_t **ret_ids,
						  size_t *ret_count, struct nestmig_detail *detail);

#endif
