/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exits to L1 that KVM makes up. */
#ifndef NESTMIG_GUARD_EXITS_H
#define NESTMIG_GUARD_EXITS_H

#include "view.h"

enum guard_exit {
	GUARD_EXIT_TRIPLE_FAULT, /* SVM: SHUTDOWN */
	GUARD_EXIT_INVALID,      /* SVM: VMEXIT_INVALID */
	GUARD_EXIT_ENTRY_FAILED, /* VMX: bit 31 of the exit reason */
	GUARD_EXIT_OTHER
};

/* Of an exit code of SVM (APM volume 2, appendix C) or an exit reason of VMX (SDM volume 3, appendix C). */
static inline enum guard_exit guard_exit_kind(enum nestmig_vendor vendor, uint64_t code)
{
	if (vendor == NESTMIG_VENDOR_AMD && (uint32_t)code == UINT32_MAX)
		return GUARD_EXIT_INVALID;
	if (vendor == NESTMIG_VENDOR_AMD)
		return code == 0x7f ? GUARD_EXIT_TRIPLE_FAULT : GUARD_EXIT_OTHER;
	if (code & UINT32_C(0x80000000))
		return GUARD_EXIT_ENTRY_FAILED;
	return (code & 0xffff) == 2 ? GUARD_EXIT_TRIPLE_FAULT : GUARD_EXIT_OTHER;
}

#endif
