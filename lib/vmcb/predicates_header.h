/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Predicates on the header of struct kvm_nested_state. Included by predicates.h. */

/* The flags that kvm_arch_vcpu_ioctl knows, and those of them that are VMX's alone. */
#define NM_VMX_FLAGS        (KVMNS_EVMCS | KVMNS_MTF_PENDING)
#define NM_KNOWN_FLAGS      (KVMNS_GUEST_MODE | KVMNS_RUN_PENDING | NM_VMX_FLAGS | KVMNS_GIF_SET)

#define NM_EVENTS_VALID_SMM 0x8

static inline enum nestmig_holds rule_svm_hdr_flags_known(const struct nestmig_ctx *c)
{
	return nm_holds(!(c->v->nested.flags & ~NM_KNOWN_FLAGS));
}

static inline enum nestmig_holds rule_svm_hdr_flags_svm(const struct nestmig_ctx *c)
{
	return nm_holds(!(c->v->nested.flags & NM_VMX_FLAGS));
}

/* EFER.SVME at the time of KVM_SET_NESTED_STATE: a vCPU whose SREGS come later still has EFER 0. */
static inline int nm_svme_at_set(const struct nestmig_ctx *c)
{
	return c->sregs_first && (c->v->sregs.efer & NM_EFER_SVME);
}

/* Without SVME only GIF_SET is taken, since 7.0 also no flag at all. */
static inline enum nestmig_holds rule_svm_hdr_flags_svme_off(const struct nestmig_ctx *c)
{
	if (nm_svme_at_set(c) || c->v->nested.flags == KVMNS_GIF_SET)
		return NESTMIG_HOLDS;
	if (c->v->nested.flags)
		return NESTMIG_BROKEN;
	if (!c->h->kernel)
		return NESTMIG_UNKNOWN;
	return nm_holds(c->h->kernel >= NESTMIG_KERNEL(7, 0));
}

/* Which format the destination takes goes by its vendor, or where that is not known, is open. */
static inline enum nestmig_holds rule_svm_hdr_format(const struct nestmig_ctx *c)
{
	int is_svm = c->v->nested.format == KVMNS_FORMAT_SVM;

	if (!is_svm && c->v->vendor == NESTMIG_VENDOR_AMD)
		return NESTMIG_BROKEN;
	if (c->h->vendor == NESTMIG_VENDOR_UNKNOWN)
		return NESTMIG_UNKNOWN;
	return nm_holds(is_svm == (c->h->vendor == NESTMIG_VENDOR_AMD));
}

/* A PAT byte is a memory type: 0, 1, 4, 5, 6 or 7. */
static inline enum nestmig_holds rule_svm_hdr_gpat(const struct nestmig_ctx *c)
{
	int valid = 1;

	if (!(vmcb12_nested_ctl(c->v->vmcb12) & VMCB12_NP_ENABLE))
		return NESTMIG_HOLDS;
	for (unsigned i = 0; i < 8; i++) {
		unsigned type = c->v->nested.gpat >> 8 * i & 0xff;

		valid &= type < 8 && (0xf3 >> type & 1);
	}
	return nm_holds(valid);
}

/* The SVM state ioctls came with Linux 5.8; kvm_amd nested=0 gives no guest SVM. */
static inline enum nestmig_holds rule_svm_hdr_nested_supported(const struct nestmig_ctx *c)
{
	enum nestmig_holds ioctl = NESTMIG_UNKNOWN, nested = NESTMIG_UNKNOWN;
	const struct nestmig_host_view *h = c->h;

	if (h->have & NESTMIG_HAVE(HOST_CAPS))
		ioctl = nm_holds(h->has_nested_state);
	else if (h->kernel)
		ioctl = nm_holds(h->kernel >= NESTMIG_KERNEL(5, 8));
	if (h->have & NESTMIG_HAVE(HOST_PARAMS))
		nested = nm_holds(h->nested);
	else if ((h->have & NESTMIG_HAVE(HOST_CPUID)) &&
		 (h->cpuid.have >> NESTMIG_CPUID_80000001_ECX & 1))
		nested = nm_holds(h->cpuid.word[NESTMIG_CPUID_80000001_ECX] >> 2 & 1);
	return nm_both(ioctl, nested);
}

static inline enum nestmig_holds rule_svm_hdr_noguest_blob_ignored(const struct nestmig_ctx *c)
{
	return nm_holds(!c->v->nested.vmcb_pa && c->v->nested.size <= KVMNS_HEADER_SIZE);
}

/* Is what KVM neither writes nor reads zero? */
static inline enum nestmig_holds rule_svm_hdr_reserved_tail(const struct nestmig_ctx *c)
{
	const uint8_t *tail = vmcb12_save_tail(c->v->vmcb12);
	unsigned length = KVMNS_VMCB_SIZE - VMCB12_OFFSET_save_tail, i = 0;
	uint64_t any = 0;

	/* By words: this is half of the page. */
	for (; i + 8 <= length; i += 8)
		any |= nm_le64(tail + i);
	for (; i < length; i++)
		any |= tail[i];
	return nm_holds(!any);
}

static inline enum nestmig_holds rule_svm_hdr_run_pending_guest(const struct nestmig_ctx *c)
{
	return nm_holds(!(c->v->nested.flags & KVMNS_RUN_PENDING) ||
			(c->v->nested.flags & KVMNS_GUEST_MODE));
}

static inline enum nestmig_holds rule_svm_hdr_size_guest(const struct nestmig_ctx *c)
{
	return nm_holds(c->v->nested.size >= KVMNS_HEADER_SIZE + KVMNS_VMCB_SIZE);
}

static inline enum nestmig_holds rule_svm_hdr_size_min(const struct nestmig_ctx *c)
{
	return nm_holds(c->v->nested.size >= KVMNS_HEADER_SIZE);
}

/* What follows depends on whether the events come before the nested state: SET_NESTED_STATE_SMM. */
static inline enum nestmig_holds rule_svm_hdr_smm_guest(const struct nestmig_ctx *c)
{
	return nm_holds(!c->v->events.smi_smm || !(c->v->events.flags & NM_EVENTS_VALID_SMM));
}

static inline enum nestmig_holds rule_svm_hdr_vmcb_pa_align(const struct nestmig_ctx *c)
{
	return nm_holds(!(c->v->nested.vmcb_pa & ~VMCB12_PAGE_MASK));
}

static inline enum nestmig_holds rule_svm_hdr_vmcb_pa_backed(const struct nestmig_ctx *c)
{
	return nm_backed(c->mem.vmcb12);
}

static inline enum nestmig_holds rule_svm_hdr_vmcb_pa_width(const struct nestmig_ctx *c)
{
	return nm_fits(&c->lim, c->v->nested.vmcb_pa);
}
