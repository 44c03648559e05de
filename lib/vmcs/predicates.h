/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Predicates of the VMX rules, and the few questions they share. As those of the SVM rules
 * (lib/vmcb/predicates.h): plain C without libc, called only where the row's `when` applies and its
 * inputs are there.
 */
#ifndef NESTMIG_VMCS_PREDICATES_H
#define NESTMIG_VMCS_PREDICATES_H

#include "../smram/predicates.h"
#include "../vcpu/predicates.h"
#include "vmcs12.h"

/* Are all bits 1 that must be? */
static inline enum nestmig_holds nm_ones(const struct nestmig_bits *bits, uint64_t value)
{
	if (bits->one & ~value)
		return NESTMIG_BROKEN;
	return bits->maybe_one & ~value ? NESTMIG_UNKNOWN : NESTMIG_HOLDS;
}

/* Are all bits 0 that must be? */
static inline enum nestmig_holds nm_zeros(const struct nestmig_bits *bits, uint64_t value)
{
	if (bits->zero & value)
		return NESTMIG_BROKEN;
	return bits->maybe_zero & value ? NESTMIG_UNKNOWN : NESTMIG_HOLDS;
}

/* Is a bit of a capability MSR set: lim.ept_yes and ept_no, or misc_yes and misc_no. */
static inline enum nestmig_holds nm_offered(uint64_t yes, uint64_t no, unsigned bit)
{
	if (yes >> bit & 1)
		return NESTMIG_HOLDS;
	return no >> bit & 1 ? NESTMIG_BROKEN : NESTMIG_UNKNOWN;
}

/* The value of a capability MSR of the vCPU, if it is known for certain. */
static inline int nm_vmx_msr(const struct nestmig_ctx *c, enum vmx_msr msr, uint64_t *ret_value)
{
	*ret_value = c->vmx.msrs.value[msr];
	return c->vmx.msrs.have >> msr & 1;
}

/* A page address as VMX wants it: 4-KiB aligned and below the physical width (page_address_valid). */
static inline enum nestmig_holds nm_page_valid(const struct nestmig_ctx *c, uint64_t address)
{
	return address & 0xfff ? NESTMIG_BROKEN : nm_fits(&c->lim, address);
}

/* Each byte of a PAT is a memory type: 0, 1, 4, 5, 6 or 7 (kvm_pat_valid). */
static inline int nm_pat_valid(uint64_t pat)
{
	int valid = 1;

	for (unsigned i = 0; i < 8; i++) {
		unsigned type = pat >> 8 * i & 0xff;

		valid &= type < 8 && (0xf3 >> type & 1);
	}
	return valid;
}

/* The counters that a CPUID leaf 0xa offers, as bits of IA32_PERF_GLOBAL_CTRL (intel_pmu_refresh). */
static inline uint64_t nm_counters(const struct nestmig_cpuid *cpuid)
{
	uint32_t eax = cpuid->word[NESTMIG_CPUID_A_EAX], edx = cpuid->word[NESTMIG_CPUID_A_EDX];
	unsigned version = eax & 0xff, general = eax >> 8 & 0xff, fixed = edx & 0x1f;

	if (!version)
		return 0;
	if (version == 1)
		fixed = 0;
	return (general < 32 ? (UINT64_C(1) << general) - 1 : 0xffffffff) |
	       ((UINT64_C(1) << fixed) - 1) << 32;
}

/* Does IA32_PERF_GLOBAL_CTRL name only counters that guest and host have (kvm_valid_perf_global_ctrl)?
 */
static inline enum nestmig_holds nm_pgc_valid(const struct nestmig_ctx *c, uint64_t value)
{
	int guest = c->v->have & NESTMIG_HAVE(CPUID) ? 1 : 0;
	int host = c->h->have & NESTMIG_HAVE(HOST_CPUID) ? 1 : 0;

	if (!value)
		return NESTMIG_HOLDS;
	if ((guest && (value & ~nm_counters(&c->v->cpuid))) ||
	    (host && (value & ~nm_counters(&c->h->cpuid))))
		return NESTMIG_BROKEN;
	return guest && host ? NESTMIG_HOLDS : NESTMIG_UNKNOWN;
}

/* Does L1 run, with a current VMCS12? */
static inline int nm_in_l1(const struct nestmig_ctx *c)
{
	return !(c->v->nested.flags & KVMNS_GUEST_MODE);
}

/* A condition that counts only where another is fulfilled. */
static inline enum nestmig_holds nm_implies(int a, int b)
{
	return nm_holds(!a || b);
}

#include "predicates_exec.h"
#include "predicates_apic.h"
#include "predicates_ept.h"
#include "predicates_entry.h"
#include "predicates_header.h"
#include "predicates_host.h"
#include "predicates_caps.h"
#include "predicates_memory.h"
#include "predicates_msrs.h"
#include "predicates_order.h"
#include "predicates_guest.h"
#include "predicates_rsm.h"

#endif
