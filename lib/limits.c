// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What CR4, EFER and physical addresses may hold, as KVM works it out when it gets the guest's
 * CPUID:
 * __cr4_reserved_bits, kvm_valid_efer and cpuid_query_maxphyaddr of arch/x86/kvm
 * (6.1.192, 6.12.117). Where the guest's or the host's CPUID is not known, what is left is a pair
 * of bounds.
 */
#include "bounds.h"

/* A condition that is known to be so, known not to be so, or not known. */
enum known { NO, YES, OPEN };

/* The bits that KVM lets into CR4 whatever the CPUID: VME to OSXMMEXCPT. */
#define CR4_ALWAYS UINT64_C(0x7ff)
#define CR4_VMXE   (UINT64_C(1) << 13)

#define EFER_SCE   (UINT64_C(1) << 0)
#define EFER_LME   (UINT64_C(1) << 8)
#define EFER_LMA   (UINT64_C(1) << 10)
#define EFER_NX    (UINT64_C(1) << 11)
#define EFER_SVME  (UINT64_C(1) << 12)
#define EFER_LMSLE (UINT64_C(1) << 13)
#define EFER_FFXSR (UINT64_C(1) << 14)

/*
 * AMD's EFER as far as any processor defines it (APM volume 2, "Extended Feature Enable Register"):
 * what every processor with SVM has, and what only some have (LMSLE, FFXSR, TCE, MCOMMIT, INTWB,
 * UAIE, AIBRSE).
 */
#define EFER_HARDWARE_ALL  (EFER_SCE | EFER_LME | EFER_LMA | EFER_NX | EFER_SVME)
#define EFER_HARDWARE_SOME UINT64_C(0x0036e000)

/* A register bit that needs a CPUID bit, in the guest's CPUID and in what KVM supports. */
struct feature {
	uint64_t bits;
	uint8_t word, bit;
	uint32_t since; /* first kernel whose KVM lets a guest set it; 0: 6.1 does */
};

static const struct feature cr4_features[] = {
	{UINT64_C(1) << 11, NESTMIG_CPUID_7_0_ECX, 2, 0},  /* UMIP */
	{UINT64_C(1) << 12, NESTMIG_CPUID_7_0_ECX, 16, 0}, /* LA57 */
	{CR4_VMXE, NESTMIG_CPUID_1_ECX, 5, 0},
	{UINT64_C(1) << 16, NESTMIG_CPUID_7_0_EBX, 0, 0},                     /* FSGSBASE */
	{UINT64_C(1) << 17, NESTMIG_CPUID_1_ECX, 17, 0},                      /* PCIDE */
	{UINT64_C(1) << 18, NESTMIG_CPUID_1_ECX, 26, 0},                      /* OSXSAVE */
	{UINT64_C(1) << 20, NESTMIG_CPUID_7_0_EBX, 7, 0},                     /* SMEP */
	{UINT64_C(1) << 21, NESTMIG_CPUID_7_0_EBX, 20, 0},                    /* SMAP */
	{UINT64_C(1) << 22, NESTMIG_CPUID_7_0_ECX, 3, 0},                     /* PKE */
	{UINT64_C(1) << 28, NESTMIG_CPUID_7_1_EAX, 26, NESTMIG_KERNEL(6, 8)}, /* LAM_SUP */
	{UINT64_C(1) << 32, NESTMIG_CPUID_7_1_EAX, 17, NESTMIG_KERNEL(7, 1)}, /* FRED */
};

static const struct feature efer_features[] = {
	{EFER_LME | EFER_LMA, NESTMIG_CPUID_80000001_EDX, 29, 0},
	{EFER_NX, NESTMIG_CPUID_80000001_EDX, 20, 0},
	{EFER_FFXSR, NESTMIG_CPUID_80000001_EDX, 25, 0},
	{UINT64_C(1) << 15, NESTMIG_CPUID_80000001_ECX, 17, NESTMIG_KERNEL(6, 13)}, /* TCE */
	{UINT64_C(1) << 21, NESTMIG_CPUID_80000021_EAX, 8, NESTMIG_KERNEL(6, 3)},   /* AIBRSE */
};

/* CR4.CET stands for either of two features, from 6.18. */
#define CR4_CET      (UINT64_C(1) << 23)
#define CET_SINCE    NESTMIG_KERNEL(6, 18)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A bit of a CPUID; a leaf that a known CPUID lacks counts as zero. */
static enum known cpuid_bit(bool present, const struct nestmig_cpuid *cpuid, unsigned word,
			    unsigned bit)
{
	if (!present || !(cpuid->have >> word & 1))
		return OPEN;
	return cpuid->word[word] >> bit & 1 ? YES : NO;
}

static enum known all_of(enum known a, enum known b)
{
	if (a == NO || b == NO)
		return NO;
	return a == YES ? b : a;
}

static enum known any_of(enum known a, enum known b)
{
	if (a == YES || b == YES)
		return YES;
	return a == NO ? b : a;
}

static enum known guest_bit(const struct nestmig_vcpu_view *v, unsigned word, unsigned bit)
{
	return cpuid_bit(v->have & NESTMIG_HAVE(CPUID), &v->cpuid, word, bit);
}

static enum known host_bit(const struct nestmig_host_view *h, unsigned word, unsigned bit)
{
	return cpuid_bit(h->have & NESTMIG_HAVE(HOST_CPUID), &h->cpuid, word, bit);
}

static enum known kernel_since(const struct nestmig_host_view *h, uint32_t since)
{
	if (!since)
		return YES;
	if (!h->kernel)
		return OPEN;
	return h->kernel >= since ? YES : NO;
}

static enum known feature_allowed(const struct nestmig_vcpu_view *v,
				  const struct nestmig_host_view *h, const struct feature *f)
{
	enum known both = all_of(guest_bit(v, f->word, f->bit), host_bit(h, f->word, f->bit));

	return all_of(both, kernel_since(h, f->since));
}

static void put(enum known allowed, uint64_t bits, uint64_t *ok, uint64_t *bad)
{
	if (allowed == YES)
		*ok |= bits;
	if (allowed == NO)
		*bad |= bits;
}

static enum known cet_allowed(const struct nestmig_vcpu_view *v, const struct nestmig_host_view *h)
{
	enum known guest = any_of(guest_bit(v, NESTMIG_CPUID_7_0_ECX, 7),
				  guest_bit(v, NESTMIG_CPUID_7_0_EDX, 20));
	enum known host = any_of(host_bit(h, NESTMIG_CPUID_7_0_ECX, 7),
				 host_bit(h, NESTMIG_CPUID_7_0_EDX, 20));

	return all_of(all_of(guest, host), kernel_since(h, CET_SINCE));
}

static void limit_cr4(const struct nestmig_vcpu_view *v, const struct nestmig_host_view *h,
		      struct nestmig_limits *lim)
{
	uint64_t known_bits = CR4_ALWAYS | CR4_CET;

	lim->cr4_ok = CR4_ALWAYS;
	for (size_t i = 0; i < COUNT(cr4_features); i++) {
		put(feature_allowed(v, h, &cr4_features[i]), cr4_features[i].bits, &lim->cr4_ok,
		    &lim->cr4_bad);
		known_bits |= cr4_features[i].bits;
	}
	put(cet_allowed(v, h), CR4_CET, &lim->cr4_ok, &lim->cr4_bad);
	/* kvm_amd supports no VMX, whatever the CPUID. */
	if (h->vendor == NESTMIG_VENDOR_AMD) {
		lim->cr4_ok &= ~CR4_VMXE;
		lim->cr4_bad |= CR4_VMXE;
	}
	lim->cr4_bad |= ~known_bits;
}

/* Does the host give guests SVM? (kvm_amd nested=1, which KVM_GET_SUPPORTED_CPUID shows) */
static enum known host_nested_svm(const struct nestmig_host_view *h)
{
	if (h->vendor == NESTMIG_VENDOR_INTEL)
		return NO;
	if (h->have & NESTMIG_HAVE(HOST_PARAMS))
		return h->nested ? YES : NO;
	return host_bit(h, NESTMIG_CPUID_80000001_ECX, 2);
}

static void limit_efer(const struct nestmig_vcpu_view *v, const struct nestmig_host_view *h,
		       struct nestmig_limits *lim)
{
	uint64_t known_bits = EFER_SCE | EFER_SVME | EFER_LMSLE;
	enum known nested = host_nested_svm(h);
	enum known lmsle = nested;

	lim->efer_ok = EFER_SCE;
	for (size_t i = 0; i < COUNT(efer_features); i++) {
		put(feature_allowed(v, h, &efer_features[i]), efer_features[i].bits, &lim->efer_ok,
		    &lim->efer_bad);
		known_bits |= efer_features[i].bits;
	}
	put(all_of(nested, guest_bit(v, NESTMIG_CPUID_80000001_ECX, 2)), EFER_SVME, &lim->efer_ok,
	    &lim->efer_bad);
	/* Newer kernels leave LMSLE out where the processor has EferLmsleUnsupported. */
	if (lmsle == YES && (!h->kernel || h->kernel > NESTMIG_KERNEL(6, 12)))
		lmsle = OPEN;
	put(lmsle, EFER_LMSLE, &lim->efer_ok, &lim->efer_bad);
	lim->efer_bad |= ~known_bits;
	lim->efer_hw_ok = EFER_HARDWARE_ALL;
	lim->efer_hw_bad = ~(EFER_HARDWARE_ALL | EFER_HARDWARE_SOME);
	if (host_bit(h, NESTMIG_CPUID_80000001_EDX, 25) == YES)
		lim->efer_hw_ok |= EFER_FFXSR;
}

/*
 * KVM takes any width from the guest's CPUID (36 bits where that has no leaf 0x80000008: see
 * nm_cpuid_words); from 64 on no bit is reserved. Where it is not known: QEMU refuses phys-bits outside
 * 32 to 52.
 */
static void limit_phys_bits(const struct nestmig_vcpu_view *v, struct nestmig_limits *lim)
{
	const struct nestmig_cpuid *cpuid = &v->cpuid;
	uint8_t bits = cpuid->word[NESTMIG_CPUID_80000008_EAX] & 0xff;

	if (!(v->have & NESTMIG_HAVE(CPUID)) || !(cpuid->have >> NESTMIG_CPUID_80000008_EAX & 1)) {
		lim->phys_bits_min = 32;
		lim->phys_bits_max = 52;
		return;
	}
	if (bits > 64)
		bits = 64;
	lim->phys_bits_min = bits;
	lim->phys_bits_max = bits;
}

void nm_limits(const struct nestmig_vcpu_view *vcpu, const struct nestmig_host_view *host,
	       struct nestmig_limits *ret_limits)
{
	*ret_limits = (struct nestmig_limits){0};
	limit_cr4(vcpu, host, ret_limits);
	limit_efer(vcpu, host, ret_limits);
	limit_phys_bits(vcpu, ret_limits);
}
