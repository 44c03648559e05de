/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A healthy SVM guest, in L2 or in SMM, that the tests of rules start from, and how they change it. */
#ifndef NESTMIG_RULES_VM_H
#define NESTMIG_RULES_VM_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "judge.h"
#include "smram/smram.h"
#include "source.h"
#include "vmcb/vmcb12.h"

#define RAM_SIZE   0x200000 /* bytes that are at hand */
#define RAM_BACKED 0x4000000

/* Where things are in guest memory; those of a genuine guest. */
#define GPA_SMBASE 0x30000
#define GPA_L2_CR3 0x101000
#define GPA_HSAVE  0x109000
#define GPA_VMCB   0x10a000
#define GPA_MSRPM  0x10c000
#define GPA_IOPM   0x10e000
#define GPA_NCR3   0x112000
#define GPA_L1_CR3 0x113000

/* Addresses that are not RAM, and that the guest's 40 bits do not reach. */
#define NO_RAM         UINT64_C(0x8000000)
#define BEYOND_40_BITS UINT64_C(0x10000000000)

/* A state of one vCPU with its host, all in one piece. */
struct vm {
	struct nestmig_state state;
	struct nm_vcpu vcpu;
	struct nm_extent extents[2];
	struct nestmig_host_view host;
	struct nm_order order;
	uint8_t page[KVMNS_VMCB_SIZE];
	uint8_t image[NESTMIG_SMRAM_SIZE], hsave[KVMNS_VMCB_SIZE]; /* in SMM */
	uint8_t shadow[KVMNS_VMCS_SIZE];                           /* of a VMX guest */
	uint8_t *ram;                                              /* RAM_SIZE bytes */
	uint64_t lacks; /* items that stay absent whatever is in memory */
	void (*become)(struct vm *vm, unsigned kind); /* another kind of guest */
};

/* One change of a value. */
enum place {
	PLACE_END,
	PLACE_PAGE,
	PLACE_IMAGE,
	PLACE_HSAVE,
	PLACE_SHADOW,
	PLACE_ORDER,
	PLACE_VIEW,
	PLACE_HOST,
	PLACE_RAM,
	PLACE_LACK,
	PLACE_GIVE,
	PLACE_QEMU,
	PLACE_FIRST,
	PLACE_BECOME
};

struct poke {
	enum place place;
	size_t offset;
	unsigned width;
	uint64_t value;
};

/* Widths of the fields of a VMCB12. */
enum vmcb12_width {
#define VMCB_FIELD(area, offset, width, ident, name, in_blob) VMCB12_WIDTH_##ident = (width),
#include "vmcb/layout.def"
#undef VMCB_FIELD
};

/* Widths of the fields of an SMRAM image. */
enum smram_width {
#define SMRAM_FIELD(map, offset, width, ident, name, loaded) SMRAM_WIDTH_##map##_##ident = (width),
#include "smram/layout.def"
#undef SMRAM_FIELD
};

#define MEMBER_SIZE(type, member) sizeof(((type *)0)->member)

/* Pokes: a field of the VMCB12 (in SMM of the one that RSM enters L2 from), of the SMRAM image in the 64-bit
 * map, of the page at VM_HSAVE_PA, a member of the vCPU's or the host's view, 8 bytes of guest memory, an
 * item that is absent. */
#define PAGE(ident, value)                                                                         \
	{                                                                                          \
		PLACE_PAGE, VMCB12_OFFSET_##ident, VMCB12_WIDTH_##ident, value                     \
	}
#define IMAGE(ident, value)                                                                        \
	{                                                                                          \
		PLACE_IMAGE, SMRAM64_OFFSET_##ident, SMRAM_WIDTH_smram64_##ident, value            \
	}
#define HSAVE(ident, value)                                                                        \
	{                                                                                          \
		PLACE_HSAVE, VMCB12_OFFSET_##ident, VMCB12_WIDTH_##ident, value                    \
	}
#define VIEW(member, value)                                                                        \
	{                                                                                          \
		PLACE_VIEW, offsetof(struct nestmig_vcpu_view, member),                            \
			MEMBER_SIZE(struct nestmig_vcpu_view, member), value                       \
	}
#define HOST(member, value)                                                                        \
	{                                                                                          \
		PLACE_HOST, offsetof(struct nestmig_host_view, member),                            \
			MEMBER_SIZE(struct nestmig_host_view, member), value                       \
	}
#define RAM(gpa, value)                                                                            \
	{                                                                                          \
		PLACE_RAM, gpa, 8, value                                                           \
	}
#define LACK(item)                                                                                 \
	{                                                                                          \
		PLACE_LACK, NESTMIG_ITEM_##item, 0, 0                                              \
	}
/* An item that the healthy guest does not have. */
#define GIVE(item)                                                                                 \
	{                                                                                          \
		PLACE_GIVE, NESTMIG_ITEM_##item, 0, 0                                              \
	}
/* QEMU restores it; this ioctl comes before all others. */
#define QEMU                                                                                       \
	{                                                                                          \
		PLACE_QEMU, 0, 0, 0                                                                \
	}
#define FIRST(stage)                                                                               \
	{                                                                                          \
		PLACE_FIRST, NM_STAGE_##stage, 0, 0                                                \
	}
#define CPUID(leaf, bits)    VIEW(cpuid.word[NESTMIG_CPUID_##leaf], bits)
#define KERNEL(major, minor) HOST(kernel, NESTMIG_KERNEL(major, minor))

#define MAX_POKES            14
#define MAX_RELATED          4

/* One rule: from the healthy state, what breaks it and what leaves it satisfied. Rules in `related`
 * may break with it (their index plus one; 0 ends the list). */
struct rule_case {
	enum nestmig_rule rule;
	struct poke breaks[MAX_POKES], holds[MAX_POKES];
	unsigned related[MAX_RELATED];
};

#define RELATED(ident) (NESTMIG_RULE_##ident + 1)

/* Judges the vCPU. */
struct judged {
	struct nestmig_ctx ctx;
	uint64_t broken[NM_RULE_WORDS], unknown[NM_RULE_WORDS];
};

static void put(uint8_t *at, unsigned width, uint64_t value)
{
	for (unsigned i = 0; i < width; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

/* The bytes of what is absent are as readers leave them: who looked at them would take them for a zero. */
static void forget(struct vm *vm)
{
	struct nestmig_vcpu_view *v = &vm->vcpu.view;
	struct nestmig_host_view *h = &vm->host;
	const struct {
		enum nestmig_item item;
		void *bytes;
		size_t size;
	} places[] = {
#define PLACE(item, member) {NESTMIG_ITEM_##item, &(member), sizeof(member)}
		PLACE(NESTED, v->nested),
		PLACE(VMCB12, v->vmcb12),
		PLACE(VMCS12, v->vmcs12),
		PLACE(SHADOW_VMCS12, v->shadow_vmcs12),
		PLACE(SREGS, v->sregs),
		PLACE(PDPTRS, v->sregs.pdptrs),
		PLACE(REGS, v->regs),
		PLACE(EVENTS, v->events),
		PLACE(ERROR_CODE, v->events.exc_error_code),
		PLACE(INT_SHADOW, v->events.intr_shadow),
		PLACE(DEBUGREGS, v->debugregs),
		PLACE(MP_STATE, v->mp_state),
		PLACE(SMBASE, v->smbase),
		PLACE(HSAVE_PA, v->hsave_pa),
		PLACE(VMX_MSRS, v->vmx),
		PLACE(MSRS, v->msrs_listed),
		PLACE(CPUID, v->cpuid),
		PLACE(SMRAM, v->smram),
		PLACE(SMM_VMCB12, v->smm_vmcb12),
		PLACE(HSAVE, v->hsave),
		PLACE(LINK_HEADER, v->link_header),
		PLACE(VM_CAPS, v->vm_caps),
		PLACE(HOST_PARAMS, h->nested),
		PLACE(HOST_PARAMS, h->npt),
		PLACE(HOST_PARAMS, h->ept),
		PLACE(HOST_PARAMS, h->unrestricted_guest),
		PLACE(HOST_PARAMS, h->no_emulation),
		PLACE(HOST_PARAMS, h->vgif),
		PLACE(HOST_PARAMS, h->vls),
		PLACE(HOST_CPUID, h->cpuid),
		PLACE(HOST_CAPS, h->has_nested_state),
		PLACE(HOST_MSRS, h->vmx),
#undef PLACE
	};

	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (vm->lacks >> places[i].item & 1)
			memset(places[i].bytes, 0, places[i].size);
}

/* Absent as a whole: no bit, no value, and for the kernel no number either. */
static void lack(struct vm *vm, unsigned item)
{
	vm->vcpu.view.have &= ~(UINT64_C(1) << item);
	vm->host.have &= ~(UINT64_C(1) << item);
	vm->lacks |= UINT64_C(1) << item;
	if (item == NESTMIG_ITEM_HOST_KERNEL)
		vm->host.kernel = 0;
	/* A list of MSRs without them would say that the VMM restores none. */
	if (item == NESTMIG_ITEM_VMX_MSRS)
		vm->vcpu.view.have &= ~NESTMIG_HAVE(MSRS);
	if (item == NESTMIG_ITEM_MEMORY) {
		lack(vm, NESTMIG_ITEM_SMRAM);
		lack(vm, NESTMIG_ITEM_SMM_VMCB12);
		lack(vm, NESTMIG_ITEM_HSAVE);
		vm->state.memory_known = false;
		vm->state.extent_count = 0;
	}
	forget(vm);
}

static void first(struct vm *vm, enum nm_stage stage)
{
	for (unsigned i = 0; i < NM_STAGES; i++)
		if (vm->order.rank[i] < vm->order.rank[stage])
			vm->order.rank[i]++;
	vm->order.rank[stage] = 0;
}

static void vm_poke(struct vm *vm, const struct poke *pokes)
{
	for (const struct poke *p = pokes; p->place != PLACE_END; p++) {
		switch (p->place) {
		case PLACE_PAGE:
			put(vm->page + p->offset, p->width, p->value);
			break;
		case PLACE_IMAGE:
			put(vm->image + p->offset, p->width, p->value);
			break;
		case PLACE_HSAVE:
			put(vm->hsave + p->offset, p->width, p->value);
			break;
		case PLACE_SHADOW:
			put(vm->shadow + p->offset, p->width, p->value);
			break;
		case PLACE_ORDER:
			vm->state.restore_order = "KVM_SET_NESTED_STATE";
			nm_order_parse(vm->state.restore_order, &vm->order);
			break;
		case PLACE_VIEW:
			memcpy((uint8_t *)&vm->vcpu.view + p->offset, &p->value, p->width);
			break;
		case PLACE_HOST:
			memcpy((uint8_t *)&vm->host + p->offset, &p->value, p->width);
			break;
		case PLACE_RAM:
			put(vm->ram + p->offset, p->width, p->value);
			break;
		case PLACE_LACK:
			lack(vm, (unsigned)p->offset);
			break;
		case PLACE_GIVE:
			vm->vcpu.view.have |= UINT64_C(1) << p->offset;
			break;
		case PLACE_QEMU:
			vm->vcpu.qemu.present = true;
			break;
		case PLACE_FIRST:
			first(vm, (enum nm_stage)p->offset);
			break;
		case PLACE_BECOME:
			vm->become(vm, (unsigned)p->offset);
			break;
		case PLACE_END:
			break;
		}
	}
}

/* Features of the guest and the host, as QEMU's "max" CPU has them under KVM. */
static const struct nestmig_cpuid healthy_cpuid = {
	.have = (1U << NESTMIG_CPUID_WORDS) - 1,
	.word =
		{
			[NESTMIG_CPUID_1_ECX] = 1U << 17 | 1U << 26,
			[NESTMIG_CPUID_7_0_EBX] = 1U << 0 | 1U << 7 | 1U << 20,
			[NESTMIG_CPUID_7_0_ECX] = 1U << 2 | 1U << 3 | 1U << 16,
			[NESTMIG_CPUID_80000001_ECX] = 1U << 2,
			[NESTMIG_CPUID_80000001_EDX] = 1U << 20 | 1U << 25 | 1U << 29,
			[NESTMIG_CPUID_80000008_EAX] = 0x3028,
			[NESTMIG_CPUID_8000000A_EBX] = 16,
			[NESTMIG_CPUID_8000000A_EDX] = 1U << 0 | 1U << 3 | 1U << 16,
		},
};

static void fill_page(struct vm *vm)
{
	static const struct poke fields[] = {
		PAGE(intercept_word3, VMCB12_INTERCEPT3_MSR_PROT | VMCB12_INTERCEPT3_IOIO_PROT |
					      VMCB12_INTERCEPT3_SHUTDOWN),
		PAGE(intercept_word4, VMCB12_INTERCEPT4_VMRUN),
		PAGE(iopm_base_pa, GPA_IOPM),
		PAGE(msrpm_base_pa, GPA_MSRPM),
		PAGE(asid, 1),
		PAGE(nested_ctl, VMCB12_NP_ENABLE),
		PAGE(nested_cr3, GPA_NCR3),
		PAGE(save_cs_attrib, 0xa9b),
		PAGE(save_efer, 0x1500),
		PAGE(save_cr4, 0x20),
		PAGE(save_cr3, GPA_L1_CR3),
		PAGE(save_cr0, 0x80010033),
		PAGE(save_dr7, 0x400),
		PAGE(save_dr6, 0xffff0ff0),
		PAGE(save_rflags, 0x2),
		PAGE(save_rip, 0x1000bc),
		PAGE(save_rax, GPA_VMCB),
		{0},
	};

	vm_poke(vm, fields);
}

/* A save area of a 64-bit L1. */
static void fill_image(struct vm *vm)
{
	static const struct poke fields[] = {
		IMAGE(cs_attributes, 0x209b),
		IMAGE(ss_attributes, 0xc093),
		IMAGE(tr_attributes, 0x8b),
		IMAGE(efer, 0x500),
		IMAGE(revision, SMRAM64_REVISION),
		IMAGE(smbase, GPA_SMBASE),
		IMAGE(cr4, 0x620),
		IMAGE(cr3, GPA_L2_CR3),
		IMAGE(cr0, 0x80000033),
		IMAGE(dr7, 0x400),
		IMAGE(dr6, 0xffff0ff0),
		IMAGE(rflags, 0x2),
		IMAGE(rip, 0x1000de),
		{0},
	};

	vm_poke(vm, fields);
}

static void fill_view(struct vm *vm)
{
	struct nestmig_vcpu_view *v = &vm->vcpu.view;

	v->vendor = NESTMIG_VENDOR_AMD;
	v->have = NESTMIG_HAVE(NESTED) | NESTMIG_HAVE(VMCB12) | NESTMIG_HAVE(SREGS) |
		  NESTMIG_HAVE(REGS) | NESTMIG_HAVE(EVENTS) | NESTMIG_HAVE(DEBUGREGS) |
		  NESTMIG_HAVE(MP_STATE) | NESTMIG_HAVE(HSAVE_PA) | NESTMIG_HAVE(CPUID) |
		  NESTMIG_HAVE(MEMORY) | NESTMIG_HAVE(ERROR_CODE) | NESTMIG_HAVE(INT_SHADOW) |
		  NESTMIG_HAVE(VM_CAPS) | NESTMIG_HAVE(SMBASE) | NESTMIG_HAVE(SMRAM);
	v->vm_caps =
		NESTMIG_VM_EXCEPTION_PAYLOAD | NESTMIG_VM_TRIPLE_FAULT_EVENT | NESTMIG_VM_IRQCHIP;
	v->nested.flags = KVMNS_GUEST_MODE | KVMNS_GIF_SET;
	v->nested.stored_flags = v->nested.flags;
	v->nested.format = KVMNS_FORMAT_SVM;
	v->nested.size = KVMNS_HEADER_SIZE + KVMNS_VMCB_SIZE;
	v->nested.vmcb_pa = GPA_VMCB;
	v->vmcb12 = vm->page;
	v->vmcs12 = vm->page; /* not among `have` */
	v->sregs.cr0 = 0x80000033;
	v->sregs.cr3 = GPA_L2_CR3;
	v->sregs.cr4 = 0x620;
	v->sregs.efer = 0x1500;
	v->sregs.cs =
		(struct nestmig_segment){.selector = 8, .type = 11, .present = 1, .s = 1, .l = 1};
	v->sregs.ss = (struct nestmig_segment){.selector = 16, .type = 3, .present = 1, .s = 1};
	v->sregs.tr = (struct nestmig_segment){.selector = 24, .type = 11, .present = 1};
	v->sregs.ds = (struct nestmig_segment){.unusable = 1};
	v->sregs.es = v->sregs.fs = v->sregs.gs = v->sregs.ldt = v->sregs.ds;
	v->regs.rip = 0x1000de;
	v->regs.rflags = 0x2;
	v->events.flags = 0xd;
	v->debugregs.dr6 = 0xffff0ff0;
	v->debugregs.dr7 = 0x400;
	v->hsave_pa = GPA_HSAVE;
	v->smbase = GPA_SMBASE;
	v->smram = vm->image;
	v->cpuid = healthy_cpuid;
}

static void fill_host(struct vm *vm)
{
	vm->host = (struct nestmig_host_view){
		.have = NESTMIG_HAVE(HOST_KERNEL) | NESTMIG_HAVE(HOST_PARAMS) |
			NESTMIG_HAVE(HOST_CPUID) | NESTMIG_HAVE(HOST_CAPS),
		.vendor = NESTMIG_VENDOR_AMD,
		.kernel = NESTMIG_KERNEL(6, 1),
		.nested = 1,
		.npt = 1,
		.has_nested_state = 1,
		.cpuid = healthy_cpuid,
	};
}

/* A 64-bit L2 under a 64-bit L1 with nested paging, on Linux 6.1 with everything known. */
static void vm_new(struct vm *vm)
{
	struct nm_source *source = NULL;

	memset(vm, 0, sizeof(*vm));
	vm->ram = calloc(1, RAM_SIZE);
	if (!vm->ram || nm_source_memory(vm->ram, RAM_SIZE, &source, NULL))
		abort();
	fill_page(vm);
	fill_image(vm);
	/* L1's own copy; what is poked into the blob is not in it. */
	memcpy(vm->ram + GPA_VMCB, vm->page, sizeof(vm->page));
	fill_view(vm);
	fill_host(vm);
	vm->extents[0] = (struct nm_extent){.size = RAM_SIZE, .source = source};
	vm->extents[1] = (struct nm_extent){.gpa = RAM_SIZE, .size = RAM_BACKED - RAM_SIZE};
	vm->state.format = "raw-dump";
	vm->state.vendor = NESTMIG_VENDOR_AMD;
	vm->state.vcpus = &vm->vcpu;
	vm->state.vcpu_count = 1;
	vm->state.extents = vm->extents;
	vm->state.extent_count = 2;
	vm->state.memory_known = true;
	nm_order_parse(NULL, &vm->order);
}

/* What KVM's SMI in L2 adds: L2 in the VMCB12, L1 in the host save area. */
static inline void fill_smm(struct vm *vm)
{
	static const struct poke fields[] = {
		IMAGE(efer, 0x1500),
		IMAGE(svm_guest_flag, 1),
		IMAGE(svm_guest_vmcb, GPA_VMCB),
		PAGE(exit_code, 0xf0000000),
		PAGE(save_cs_attrib, 0x29b),
		PAGE(save_cr4, 0x620),
		PAGE(save_cr3, GPA_L2_CR3),
		PAGE(save_cr0, 0x80000033),
		PAGE(save_rip, 0x1000de),
		{0},
	};

	memcpy(vm->hsave, vm->page, sizeof(vm->hsave));
	vm_poke(vm, fields);
}

/* The same guest in the SMM handler, which an SMI in L2 has started. */
static inline void vm_enter_smm(struct vm *vm)
{
	struct nestmig_vcpu_view *v = &vm->vcpu.view;

	fill_smm(vm);
	v->have &= ~NESTMIG_HAVE(VMCB12);
	v->have |= NESTMIG_HAVE(SMM_VMCB12) | NESTMIG_HAVE(HSAVE);
	v->vmcb12 = NULL;
	v->smm_vmcb12 = vm->page;
	v->hsave = vm->hsave;
	v->nested.flags = v->nested.stored_flags = KVMNS_GIF_SET;
	v->nested.size = KVMNS_HEADER_SIZE;
	v->nested.vmcb_pa = 0;
	v->sregs.cr0 = 0x10032;
	v->sregs.cr4 = 0;
	v->sregs.efer = 0;
	v->sregs.cs = (struct nestmig_segment){.base = GPA_SMBASE,
					       .limit = 0xffffffff,
					       .selector = GPA_SMBASE >> 4,
					       .type = 3,
					       .present = 1,
					       .s = 1,
					       .g = 1};
	v->regs.rip = 0x8000;
	v->events.smi_smm = 1;
	v->events.nmi_masked = 1;
}

static void vm_free(struct vm *vm)
{
	nm_vcpu_drop_memory(&vm->vcpu);
	nm_source_free(vm->extents[0].source);
	free(vm->ram);
}

/* Takes what rules read from the guest's memory as it is now. */
static void vm_judge(const struct vm *vm, struct judged *ret)
{
	struct nm_vcpu *vcpu = (struct nm_vcpu *)(uintptr_t)&vm->vcpu;

	if (nm_vcpu_load_pdptes(&vm->state, vcpu) || nm_vmx_load_memory(&vm->state, vcpu, NULL))
		abort();
	vcpu->view.have &= ~vm->lacks;
	nm_ctx_init(&ret->ctx, &vm->state, &vm->vcpu, &vm->host, &vm->order);
	nm_judge_vcpu(&ret->ctx, &vm->order, ret->broken, ret->unknown);
}

#endif
