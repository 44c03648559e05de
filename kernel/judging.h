/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory that a BPF program judges in, for it and for user space: less than 32 KiB, which the kernel
 * allocates without trouble. In a BPF program the context is struct nestmig_ctx itself; user space, where that
 * has pointers, calls the same struct nestmig_flat_ctx.
 */
#ifndef NESTMIG_JUDGING_H
#define NESTMIG_JUDGING_H

#include "../lib/rules.h"

#ifndef __bpf__
#define NESTMIG_FLAT
#define NESTMIG_VIEW(name) nestmig_flat_##name
#include "../lib/view_ctx.h"
#undef NESTMIG_VIEW
#undef NESTMIG_FLAT
#else
#define nestmig_flat_ctx nestmig_ctx
#endif

struct nm_judging {
	uint64_t wanted[NM_RULE_WORDS];  /* bits of the rules to be evaluated */
	uint64_t broken[NM_RULE_WORDS];  /* bits of those that are broken */
	uint64_t unknown[NM_RULE_WORDS]; /* and of those that could not be decided */
	uint64_t have;                   /* items of the vCPU and of the host */
	uint8_t applies[16];             /* enum nm_applies of each enum nm_when */
	uint32_t whens;                  /* bit n: enum nm_when n applies, or may apply */
	struct nestmig_flat_ctx ctx;
};

_Static_assert(NM_WHENS <= 16, "applies is too short");
_Static_assert(sizeof(struct nm_judging) <= 31 * 1024, "more than fits into 32 KiB with a header");

#endif
