/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The three structs of view.h that refer to bytes: NESTMIG_VIEW(name) is their tag. With NESTMIG_FLAT they
 * hold the bytes themselves, as much of them as predicates read, and a context is one block of memory;
 * otherwise they point at them. Either way c->v->vmcb12 is where the VMCB12 starts.
 *
 * Without a guard: view.h includes it once, kernel/flat.h once more for the form that it does not have.
 */
#ifdef NESTMIG_FLAT
#define VIEW_BYTES(name, size)       uint8_t name[size] __attribute__((aligned(8)))
#define VIEW_ARRAY(type, name, size) type name[size]
#define VIEW_ONE(type, name)         type name[1]
#define VIEW_AREAS(name)                                                                           \
	uint8_t name[NESTMIG_MSR_AREAS][NESTMIG_FLAT_MSRS * NESTMIG_MSR_ENTRY_SIZE]                \
		__attribute__((aligned(8)))
#else
#define VIEW_BYTES(name, size)       const uint8_t *name
#define VIEW_ARRAY(type, name, size) const type *name
#define VIEW_ONE(type, name)         const type *name
#define VIEW_AREAS(name)             const uint8_t *name[NESTMIG_MSR_AREAS]
#endif

/* The list, and what its entries have together; those that are the EPT pointer in use do not count for
 * that. */
struct NESTMIG_VIEW(eptp_list) {
	uint16_t count;
	uint8_t memtypes, walks; /* bit n: an entry has this memory type, this page-walk length */
	uint8_t unbacked;        /* the root of an entry is not surely guest memory */
	uint64_t any;            /* all bits that an entry has */
	VIEW_ARRAY(struct nestmig_eptp, entries, NESTMIG_EPTPS);
};

/* One vCPU, as rules see it. Bytes that are not there: a NULL pointer, or zeros. */
struct NESTMIG_VIEW(vcpu_view) {
	uint64_t have; /* NESTMIG_HAVE bits of vCPU items */
	enum nestmig_vendor vendor;
	struct nestmig_nested nested;
	struct nestmig_sregs sregs;
	struct nestmig_regs regs;
	struct nestmig_events events;
	struct nestmig_debugregs debugregs;
	uint32_t mp_state;
	uint64_t smbase, hsave_pa;
	uint32_t vm_caps; /* NESTMIG_VM_* bits */
	struct nestmig_cpuid cpuid;
	struct nestmig_vmx_msrs vmx; /* the guest's own, which the VMM restores */
	struct nestmig_ept_root ept_root;
	uint8_t vtpr;
	uint32_t msrs_listed; /* which of these the list has: NESTMIG_LISTED_* */
	uint32_t link_header; /* the first 4 bytes of the page at the VMCS link pointer */
	VIEW_BYTES(smram, NESTMIG_SMRAM_SIZE);
	VIEW_BYTES(vmcb12, KVMNS_VMCB_SIZE);            /* KVMNS_VMCB_SIZE bytes */
	VIEW_BYTES(vmcs12, NESTMIG_VMCS12_READ);        /* KVMNS_VMCS_SIZE bytes */
	VIEW_BYTES(shadow_vmcs12, NESTMIG_VMCS12_READ); /* KVMNS_VMCS_SIZE bytes */
	VIEW_BYTES(smm_vmcb12, NESTMIG_VMCB12_READ);    /* KVMNS_VMCB_SIZE bytes */
	VIEW_BYTES(hsave, NESTMIG_VMCB12_READ);         /* 4096 bytes */
	struct NESTMIG_VIEW(eptp_list) eptps;
	VIEW_AREAS(msr_areas); /* as many entries as are used */
};

/* All that a predicate gets. */
struct NESTMIG_VIEW(ctx) {
	VIEW_ONE(struct nestmig_host_view, h);
	struct nestmig_limits lim;
	struct nestmig_backing mem;
	uint8_t sregs_first;  /* KVM_SET_SREGS comes before KVM_SET_NESTED_STATE */
	uint8_t events_first; /* KVM_SET_VCPU_EVENTS comes before KVM_SET_NESTED_STATE */
	uint8_t no_nested;    /* the file says that this vCPU has no nested state at all */
	uint8_t is_qemu;  /* QEMU restores it: it enables what it needs, and loses what it loses */
	uint8_t svm_l2;   /* in guest mode, SVM: the registers are L2's */
	uint8_t vmx_l2;   /* the same of VMX */
	uint8_t vmx_bare; /* rules on L2's guest state are asked of a vCPU that is not in L2 */
	uint8_t events_before_sregs, mp_before_events,
		mp_before_nested;      /* order of KVM_SET_MP_STATE, ... */
	struct nestmig_vmx_limits vmx; /* of a VMX vCPU only, like what follows */
	struct nestmig_vmx_backing vmx_mem;
	uint8_t vmx_msrs_late;     /* KVM_SET_MSRS is said to come after KVM_SET_NESTED_STATE */
	uint8_t regs_first;        /* KVM_SET_REGS comes before KVM_SET_NESTED_STATE */
	uint8_t msrs_first;        /* KVM_SET_MSRS comes before KVM_SET_NESTED_STATE */
	uint8_t regs_after_events; /* KVM_SET_REGS comes after KVM_SET_VCPU_EVENTS */
#ifdef NESTMIG_FLAT
	struct nestmig_spare spare;
#endif
	VIEW_ONE(struct NESTMIG_VIEW(vcpu_view), v);
};

#undef VIEW_BYTES
#undef VIEW_ARRAY
#undef VIEW_ONE
#undef VIEW_AREAS
