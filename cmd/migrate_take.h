/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nestmig migrate: device state and guest memory out of a QEMU, without files. */
#ifndef NESTMIG_MIGRATE_TAKE_H
#define NESTMIG_MIGRATE_TAKE_H

#include "live.h"

/* Descriptors that QEMU has been given, so that taking costs one command each. Not for several threads. */
struct take {
	struct live *live;
	int memory;               /* memfd of the device state */
	int writer;               /* its end for writing, which QEMU has, too */
	int page_memory;          /* memfd of one page; -1: pages cannot be had */
	json_int_t set, page_set; /* fdsets of writer and page_memory; -1: none */
	char page_path[64];
};

/*
 * Gives QEMU the descriptors; they are gone again when the connection is closed, under libvirt with take_remove.
 * take_close must follow, also on
 * failure. Errors: IO, QMP, TIMEOUT.
 */
NESTMIG_CHECKED enum nestmig_error take_open(struct take *take, struct live *live,
					     struct nestmig_detail *detail);
void take_close(struct take *take);
void take_remove(struct take *take);

/*
 * The device state into take->memory. A VM that runs is stopped for that long. QEMU's xen-save-devices-state
 * notes "running" in what a migration that is being completed sends, whatever the VM did. Errors: QMP, TIMEOUT, IO.
 */
NESTMIG_CHECKED enum nestmig_error take_state(struct take *take, int timeout_ms,
					      struct nestmig_detail *detail);

/* One page as devices see it, so not SMM's own memory: a check_page_fn. ctx: the struct take. */
bool take_page(void *ctx, uint64_t gpa, uint8_t *page);

/*
 * What of the guest-physical address space is RAM, from `info mtree -f`; allocated. Empty if QEMU does not
 * tell. Errors: NOMEM, QMP, TIMEOUT.
 */
NESTMIG_CHECKED enum nestmig_error take_ram(struct live *live, struct nm_range **ret_ranges,
					    size_t *ret_count, struct nestmig_detail *detail);

/* The same from the text. */
NESTMIG_CHECKED enum nestmig_error take_ram_text(const char *text, struct nm_range **ret_ranges,
						 size_t *ret_count);

#endif
