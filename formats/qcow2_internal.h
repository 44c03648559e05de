/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Between the parts of the qcow2 reader. Facts: QEMU docs/interop/qcow2.txt, block/qcow2.c,
 * block/qcow2-snapshot.c and block/qcow2-cluster.c (7.2). All integers are big-endian.
 */
#ifndef NESTMIG_QCOW2_INTERNAL_H
#define NESTMIG_QCOW2_INTERNAL_H

#include "source.h"
#include "state.h"

#define QCOW2_MAGIC 0x514649fbU /* "QFI\xfb" */

/* What of the header counts here. */
struct qcow2_header {
	uint32_t version; /* 2 or 3 */
	unsigned cluster_bits;
	bool has_extended_l2, has_backing;
	uint64_t disk_size, snapshots_offset;
	uint32_t snapshot_count;
};

/* An entry of the snapshot table. */
struct qcow2_snapshot {
	uint64_t l1_offset;
	uint32_t l1_entries;
	uint32_t date; /* seconds since 1970 */
	uint64_t vm_state_size, disk_size;
	char id[128], name[256]; /* QEMUSnapshotInfo's sizes; NUL-terminated */
};

/* The wanted entry, by name or by id; NULL: the only one with VM state. Errors as of nm_qcow2_read. */
NESTMIG_CHECKED enum nestmig_error
qcow2_find_snapshot(struct nm_source *image, const struct qcow2_header *header, const char *wanted,
		    struct qcow2_snapshot *ret_snapshot, struct nestmig_detail *detail);

/*
 * The VM state as a source over the image, which stays the caller's and must outlive it: length bytes, or
 * with UINT64_MAX what the snapshot's L1 table covers, whatever the entry says. Nothing is copied but L2
 * entries: a fixed number of slices of 4 KiB. Offsets of errors of reading it are in the text, as they
 * are not those of the source.
 */
NESTMIG_CHECKED enum nestmig_error qcow2_map_new(struct nm_source *image,
						 const struct qcow2_header *header,
						 const struct qcow2_snapshot *snapshot,
						 uint64_t length, struct nm_source **ret_source,
						 struct nestmig_detail *detail);

/*
 * Where the last cluster of the VM state that is there ends, in bytes from its start; 0 if there is none.
 * For a map of the same snapshot. Errors: those of reading the tables; LIMIT (more empty tables at the end
 * than QEMU leaves there).
 */
NESTMIG_CHECKED enum nestmig_error qcow2_map_end(struct nm_source *image,
						 const struct qcow2_header *header,
						 const struct qcow2_snapshot *snapshot,
						 uint64_t *ret_end, struct nestmig_detail *detail);

#endif
