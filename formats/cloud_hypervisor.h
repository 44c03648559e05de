/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cloud-hypervisor snapshots: a directory with state.json, config.json and memory-ranges. */
#ifndef NESTMIG_CLOUD_HYPERVISOR_H
#define NESTMIG_CLOUD_HYPERVISOR_H

#include "state.h"

/* Is there a state.json in the directory, and no meta.json, which makes it a raw dump? */
bool nm_chv_recognise(const char *path);

/*
 * Reads the snapshot in directory path into state. A vCPU that uses nesting but of which the snapshot
 * holds no nested state lacks that item, and state->remark says why.
 * Errors: IO, FORMAT, TRUNCATED, LIMIT, UNSUPPORTED (written by an old version or on another hypervisor),
 * NOMEM.
 */
NESTMIG_CHECKED enum nestmig_error nm_chv_read(struct nestmig_state *state, const char *path,
					       struct nestmig_detail *detail);

/*
 * The same of the text of a state.json alone: without config.json, so that it is not known what else is
 * memory, and without memory-ranges.
 */
NESTMIG_CHECKED enum nestmig_error nm_chv_read_text(struct nestmig_state *state, const char *text,
						    size_t size, struct nestmig_detail *detail);

#endif
