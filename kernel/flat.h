/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A context in its two forms: with pointers, as the library judges it, and flat, as a BPF program does. */
#ifndef NESTMIG_FLAT_H
#define NESTMIG_FLAT_H

#include "judging.h"

/* A context of the library whose pointers go into memory of its own. */
struct unflattened {
	struct nestmig_ctx ctx;
	struct nestmig_vcpu_view view;
	uint8_t vmcs12[2][KVMNS_VMCS_SIZE], svm[2][KVMNS_VMCB_SIZE];
	uint8_t areas[NESTMIG_MSR_AREAS][NESTMIG_MSR_AREA_MAX * NESTMIG_MSR_ENTRY_SIZE];
};

/* Of an MSR area that is longer than a flat context takes, the first entries. */
void flatten(const struct nestmig_ctx *ctx, struct nestmig_flat_ctx *ret_flat);

/* The result points into flat, too. */
void unflatten(const struct nestmig_flat_ctx *flat, struct unflattened *ret);

/* Has the context an MSR area that is longer than a flat one takes? */
bool has_long_area(const struct nestmig_ctx *ctx);

#endif
