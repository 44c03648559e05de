/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Without libc, for the library and for a BPF program. */
#ifndef NESTMIG_BOUNDS_H
#define NESTMIG_BOUNDS_H

#include <stdbool.h>
#include <stddef.h>

#include "view.h"

/* Hidden: a BPF program is verified with the arguments that it passes. */
#pragma GCC visibility push(hidden)

/* The bounds on CR4, EFER and physical addresses for a guest on a host (limits.c). */
void nm_limits(const struct nestmig_vcpu_view *vcpu, const struct nestmig_host_view *host,
	       struct nestmig_limits *ret_limits);

/* What a VMCS12 may hold (vmx_limits.c). msrs_late: the guest's VMX capability MSRs are restored after it. */
void nm_vmx_limits(const struct nestmig_vcpu_view *vcpu, const struct nestmig_host_view *host,
		   bool msrs_late, struct nestmig_vmx_limits *ret_limits);

#pragma GCC visibility pop

#endif
