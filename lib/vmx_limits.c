// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a VMCS12 may hold, worked out once per vCPU. KVM judges L1's VMCS12 by
 * the capability MSRs of the vCPU, which the VMM restores; those it does not restore are what KVM
 * offers by itself (nested_vmx_setup_ctls_msrs, vmx_secondary_exec_control and
 * nested_vmx_cr_fixed1_bits_update of arch/x86/kvm/vmx, 6.1.192). Where the MSRs of the vCPU are not
 * known, those of the host are bounds: a guest's can only be narrower.
 */
#include "bounds.h"
#include "vmcs/vmcs12.h"

#define LOW_HALF UINT64_C(0xffffffff)
#define BIT(n)   (UINT64_C(1) << (n))

/* Where the value of an MSR comes from. */
enum source {
	SOURCE_NONE,
	SOURCE_GUEST, /* the VMM restores it */
	SOURCE_HOST,  /* the VMM leaves what KVM offers */
	SOURCE_BOUND, /* not known, but KVM offers no more than this */
};

struct known_msr {
	enum source source;
	uint64_t value;
};

struct inputs {
	const struct nestmig_vcpu_view *v;
	const struct nestmig_host_view *h;
	bool msrs_late;
};

static struct known_msr look_up(const struct inputs *in, enum vmx_msr msr)
{
	const struct nestmig_vmx_msrs *guest = &in->v->vmx, *host = &in->h->vmx;
	bool listed = in->v->have & NESTMIG_HAVE(MSRS);

	if ((in->v->have & NESTMIG_HAVE(VMX_MSRS)) && (guest->have >> msr & 1) && !in->msrs_late)
		return (struct known_msr){SOURCE_GUEST, guest->value[msr]};
	if (!(in->h->have & NESTMIG_HAVE(HOST_MSRS)) || !(host->have >> msr & 1))
		return (struct known_msr){SOURCE_NONE, 0};
	return (struct known_msr){listed ? SOURCE_HOST : SOURCE_BOUND, host->value[msr]};
}

/* ---- Controls -------------------------------------------------------------------------------- */

/* Low half: bits that must be 1; high half: bits that may be 1. */
static struct nestmig_bits control(struct known_msr msr)
{
	uint64_t low = msr.value & LOW_HALF, high = msr.value >> 32;
	struct nestmig_bits bits = {.maybe_one = LOW_HALF, .maybe_zero = LOW_HALF};

	if (msr.source == SOURCE_NONE)
		return bits;
	/* As fixed_bits_valid: a bit that must be 1 may be. */
	bits = (struct nestmig_bits){.one = low, .zero = LOW_HALF & ~(high | low)};
	if (msr.source == SOURCE_BOUND) {
		bits.maybe_one = LOW_HALF & ~low;
		bits.maybe_zero = high & ~low;
	}
	return bits;
}

static int guest_bit(const struct nestmig_vcpu_view *v, unsigned word, unsigned bit)
{
	if (!(v->have & NESTMIG_HAVE(CPUID)) || !(v->cpuid.have >> word & 1))
		return -1;
	return v->cpuid.word[word] >> bit & 1;
}

/* Secondary controls that KVM takes from a guest without the feature, unless the VMM says otherwise. */
static const struct {
	uint64_t control;
	struct {
		uint8_t word, bit;
	} any[2]; /* one of these features is enough */
} proc2_features[] = {
	{PROC2_RDTSCP, {{NESTMIG_CPUID_80000001_EDX, 27}, {NESTMIG_CPUID_7_0_ECX, 22}}},
	{PROC2_INVPCID, {{NESTMIG_CPUID_7_0_EBX, 10}, {NESTMIG_CPUID_7_0_EBX, 10}}},
	{PROC2_RDRAND, {{NESTMIG_CPUID_1_ECX, 30}, {NESTMIG_CPUID_1_ECX, 30}}},
	{PROC2_RDSEED, {{NESTMIG_CPUID_7_0_EBX, 18}, {NESTMIG_CPUID_7_0_EBX, 18}}},
	{PROC2_XSAVES, {{NESTMIG_CPUID_D_1_EAX, 3}, {NESTMIG_CPUID_D_1_EAX, 3}}},
	{PROC2_WAITPKG, {{NESTMIG_CPUID_7_0_ECX, 5}, {NESTMIG_CPUID_7_0_ECX, 5}}},
};

static struct nestmig_bits secondary(const struct inputs *in)
{
	struct known_msr msr = look_up(in, VMX_PROC2);
	struct nestmig_bits bits = control(msr);

	if (msr.source != SOURCE_HOST)
		return bits;
	for (unsigned i = 0; i < sizeof(proc2_features) / sizeof(proc2_features[0]); i++) {
		int a = guest_bit(in->v, proc2_features[i].any[0].word,
				  proc2_features[i].any[0].bit);
		int b = guest_bit(in->v, proc2_features[i].any[1].word,
				  proc2_features[i].any[1].bit);

		if (a == 0 && b == 0)
			bits.zero |= proc2_features[i].control;
		else if (a != 1 && b != 1)
			bits.maybe_zero |= proc2_features[i].control;
	}
	return bits;
}

/* A mask of VM functions, all 64 bits of which KVM tests. */
static struct nestmig_bits vm_functions(struct known_msr msr)
{
	struct nestmig_bits bits = {.maybe_zero = UINT64_MAX};

	if (msr.source == SOURCE_NONE)
		return bits;
	bits = (struct nestmig_bits){.zero = ~msr.value};
	if (msr.source == SOURCE_BOUND)
		bits.maybe_zero = msr.value;
	return bits;
}

/* ---- CR0 and CR4 ----------------------------------------------------------------------------- */

/* Bits of CR4 that a guest in VMX operation may set if it has the feature; bit 8 it always may. */
static const struct {
	uint8_t cr4, word, bit;
	uint32_t since; /* the first kernel that knows the bit; 0: 6.1 does */
} cr4_features[] = {
	{0, NESTMIG_CPUID_1_EDX, 1, 0},
	{1, NESTMIG_CPUID_1_EDX, 1, 0},
	{2, NESTMIG_CPUID_1_EDX, 4, 0},
	{3, NESTMIG_CPUID_1_EDX, 2, 0},
	{4, NESTMIG_CPUID_1_EDX, 3, 0},
	{5, NESTMIG_CPUID_1_EDX, 6, 0},
	{6, NESTMIG_CPUID_1_EDX, 7, 0},
	{7, NESTMIG_CPUID_1_EDX, 13, 0},
	{9, NESTMIG_CPUID_1_EDX, 24, 0},
	{10, NESTMIG_CPUID_1_EDX, 25, 0},
	{11, NESTMIG_CPUID_7_0_ECX, 2, 0},
	{12, NESTMIG_CPUID_7_0_ECX, 16, 0},
	{13, NESTMIG_CPUID_1_ECX, 5, 0},
	{14, NESTMIG_CPUID_1_ECX, 6, 0},
	{16, NESTMIG_CPUID_7_0_EBX, 0, 0},
	{17, NESTMIG_CPUID_1_ECX, 17, 0},
	{18, NESTMIG_CPUID_1_ECX, 26, 0},
	{20, NESTMIG_CPUID_7_0_EBX, 7, 0},
	{21, NESTMIG_CPUID_7_0_EBX, 20, 0},
	{22, NESTMIG_CPUID_7_0_ECX, 3, 0},
	{23, NESTMIG_CPUID_7_0_ECX, 7, NESTMIG_KERNEL(6, 18)},
	{23, NESTMIG_CPUID_7_0_EDX, 20, NESTMIG_KERNEL(6, 18)},
	{28, NESTMIG_CPUID_7_1_EAX, 26, NESTMIG_KERNEL(6, 8)},
};

#define CR4_PCE BIT(8)

static void cr4_fixed1(const struct inputs *in, struct nestmig_bits *bits)
{
	uint64_t yes = CR4_PCE, maybe = 0;

	for (unsigned i = 0; i < sizeof(cr4_features) / sizeof(cr4_features[0]); i++) {
		int has = guest_bit(in->v, cr4_features[i].word, cr4_features[i].bit);
		uint32_t since = cr4_features[i].since;

		if (has == 0 || (in->h->kernel && in->h->kernel < since))
			continue;
		if (has == 1 && (!since || in->h->kernel))
			yes |= BIT(cr4_features[i].cr4);
		else
			maybe |= BIT(cr4_features[i].cr4);
	}
	bits->zero = ~(yes | maybe);
	bits->maybe_zero = maybe & ~yes;
}

static void fixed0(struct known_msr msr, struct nestmig_bits *bits)
{
	if (msr.source != SOURCE_NONE)
		bits->one = msr.value;
	if (msr.source == SOURCE_NONE || msr.source == SOURCE_BOUND)
		bits->maybe_one = ~bits->one;
}

/* ---- All ------------------------------------------------------------------------------------- */

static void capability(struct known_msr msr, uint64_t *yes, uint64_t *no)
{
	if (msr.source == SOURCE_NONE)
		return;
	*no = ~msr.value;
	if (msr.source != SOURCE_BOUND)
		*yes = msr.value;
}

void nm_vmx_limits(const struct nestmig_vcpu_view *vcpu, const struct nestmig_host_view *host,
		   bool msrs_late, struct nestmig_vmx_limits *ret_limits)
{
	const struct inputs in = {vcpu, host, msrs_late};
	struct nestmig_vmx_limits *lim = ret_limits;

	__builtin_memset(lim, 0, sizeof(*lim));
	lim->pin = control(look_up(&in, VMX_TRUE_PIN));
	lim->proc = control(look_up(&in, VMX_TRUE_PROC));
	lim->proc2 = secondary(&in);
	lim->exit = control(look_up(&in, VMX_TRUE_EXIT));
	lim->entry = control(look_up(&in, VMX_TRUE_ENTRY));
	lim->vmfunc = vm_functions(look_up(&in, VMX_VMFUNC));
	for (unsigned i = 0; i < NESTMIG_VMX_MSRS; i++) {
		struct known_msr msr = look_up(&in, (enum vmx_msr)i);

		if (msr.source != SOURCE_GUEST && msr.source != SOURCE_HOST)
			continue;
		lim->msrs.value[i] = msr.value;
		lim->msrs.have |= UINT32_C(1) << i;
	}
	fixed0(look_up(&in, VMX_CR0_FIXED0), &lim->cr0);
	lim->cr0.zero = ~LOW_HALF;
	fixed0(look_up(&in, VMX_CR4_FIXED0), &lim->cr4);
	cr4_fixed1(&in, &lim->cr4);
	lim->cr4.zero &= ~lim->cr4.one;
	lim->cr4.maybe_zero &= ~lim->cr4.one;
	capability(look_up(&in, VMX_EPT_VPID_CAP), &lim->ept_yes, &lim->ept_no);
	capability(look_up(&in, VMX_MISC), &lim->misc_yes, &lim->misc_no);
}
