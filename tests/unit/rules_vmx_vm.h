/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A healthy VMX guest in L2 that the tests of rules start from: a 64-bit L2 under a 64-bit L1 with
 * EPT, VPID, I/O and MSR bitmaps, a TPR shadow and VM functions, on Linux 6.1 with everything known.
 * The restore order is MSRs, SREGS, events, nested state. L1 does not use unrestricted guest; cases that want it set it (URG). Pokes are those of rules_vm.h.
 */
#ifndef NESTMIG_RULES_VMX_VM_H
#define NESTMIG_RULES_VMX_VM_H

#include "rules_vm.h"
#include "vmcs/vmcs12.h"

/* Where things are in guest memory. */
#define GPA_VMXON     0x109000
#define GPA_VMCS12    0x10a000
#define GPA_IO_A      0x10b000
#define GPA_IO_B      0x10c000
#define GPA_MSRS      0x10d000
#define GPA_VAPIC     0x10e000
#define GPA_EPT_ROOT  0x10f000
#define GPA_EPTP_LIST 0x110000
#define GPA_SHADOW    0x111000
#define GPA_HOST_CR3  0x113000
#define GPA_MSR_LISTS 0x114000
#define GPA_FREE_PAGE 0x120000
#define MSR_LIST_MAX  514 /* entries of healthy registers at GPA_MSR_LISTS */

/* A field of the VMCS12; a VMX capability MSR of the guest's list and of the host. */
#define VMCS(name, value)                                                                          \
	{                                                                                          \
		PLACE_PAGE, VMCS12_OFFSET_##name, VMCS12_WIDTH_##name, value                       \
	}
#define GUEST_CAP(msr, bits) VIEW(vmx.value[VMX_##msr], bits)
#define HOST_CAP(msr, bits)  HOST(vmx.value[VMX_##msr], bits)

/* L1 runs and has a current VMCS12; a VM entry is pending. */
#define VMX_IN_L1   VIEW(nested.flags, 0)
#define VMX_PENDING VIEW(nested.flags, KVMNS_GUEST_MODE | KVMNS_RUN_PENDING)

/* The controls of the healthy guest, for cases that add or take away one. */
#define HEALTHY_PIN (UINT64_C(0x16) | PIN_EXTINT | PIN_NMI | PIN_VNMI)
#define HEALTHY_PROC                                                                               \
	(UINT64_C(0x0401e172) | PROC_HLT | PROC_TPR_SHADOW | PROC_IO_BITMAPS | PROC_MSR_BITMAPS |  \
	 PROC_SECONDARY | PROC_TSC_OFFSET | PROC_CR8_LOAD | PROC_CR8_STORE)
#define HEALTHY_PROC2 (PROC2_EPT | PROC2_VPID | PROC2_RDTSCP | PROC2_VMFUNC)
#define HEALTHY_EXIT                                                                               \
	(UINT64_C(0x36dff) | EXIT_HOST_64 | EXIT_ACK_INTR | EXIT_SAVE_PAT | EXIT_LOAD_PAT |        \
	 EXIT_SAVE_EFER | EXIT_LOAD_EFER)
#define HEALTHY_ENTRY (UINT64_C(0x11ff) | ENTRY_IA32E | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER)
#define HEALTHY_EPTP  ((uint64_t)GPA_EPT_ROOT | 3 << 3 | 6)

#define PIN(bits)     VMCS(pin_based_vm_exec_control, bits)
#define PROC(bits)    VMCS(cpu_based_vm_exec_control, bits)
#define PROC2(bits)   VMCS(secondary_vm_exec_control, bits)
#define EXIT(bits)    VMCS(vm_exit_controls, bits)
#define ENTRY(bits)   VMCS(vm_entry_controls, bits)
#define URG           PROC2(HEALTHY_PROC2 | PROC2_URG)

/* What kvm_intel of 6.1 offers a guest on a processor with everything that KVM virtualizes, TSC
 * scaling and APICv among it, but no MPX and no 5-level EPT. */
static const struct nestmig_vmx_msrs vmx_caps = {
	.have = (1U << NESTMIG_VMX_MSRS) - 1,
	.value =
		{
			[VMX_BASIC] = UINT64_C(0x00d803e611e57ed0),
			[VMX_PIN] = UINT64_C(0x000000ff00000016),
			[VMX_PROC] = UINT64_C(0xfff9fffe0401e172),
			[VMX_EXIT] = UINT64_C(0x007fffff00036dff),
			[VMX_ENTRY] = UINT64_C(0x0000f3ff000011ff),
			[VMX_MISC] = UINT64_C(0x0000000020000165),
			[VMX_CR0_FIXED0] = UINT64_C(0x80000021),
			[VMX_CR0_FIXED1] = UINT64_C(0xffffffff),
			[VMX_CR4_FIXED0] = UINT64_C(0x2000),
			[VMX_CR4_FIXED1] = UINT64_C(0x003727ff),
			[VMX_VMCS_ENUM] = UINT64_C(0x2e),
			[VMX_PROC2] = UINT64_C(0x02137bff) << 32,
			[VMX_EPT_VPID_CAP] = UINT64_C(0x00000f0106334041),
			[VMX_TRUE_PIN] = UINT64_C(0x000000ff00000016),
			[VMX_TRUE_PROC] = UINT64_C(0xfff9fffe04006172),
			[VMX_TRUE_EXIT] = UINT64_C(0x007fffff00036dfb),
			[VMX_TRUE_ENTRY] = UINT64_C(0x0000f3ff000011fb),
			[VMX_VMFUNC] = 1,
		},
};

/* Those that KVM lets a VMM restore. */
#define VMX_RESTORED                                                                               \
	(1U << VMX_BASIC | 1U << VMX_MISC | 1U << VMX_CR0_FIXED0 | 1U << VMX_CR4_FIXED0 |          \
	 1U << VMX_VMCS_ENUM | 1U << VMX_PROC2 | 1U << VMX_EPT_VPID_CAP | 1U << VMX_TRUE_PIN |     \
	 1U << VMX_TRUE_PROC | 1U << VMX_TRUE_EXIT | 1U << VMX_TRUE_ENTRY | 1U << VMX_VMFUNC)

static const struct nestmig_cpuid vmx_cpuid = {
	.have = (1U << NESTMIG_CPUID_WORDS) - 1,
	.word =
		{
			[NESTMIG_CPUID_1_ECX] = 1U << 5 | 1U << 17 | 1U << 26 | 1U << 30,
			[NESTMIG_CPUID_1_EDX] = 0x0f8bfbff,
			[NESTMIG_CPUID_7_0_EBX] =
				1U << 0 | 1U << 7 | 1U << 10 | 1U << 18 | 1U << 20,
			[NESTMIG_CPUID_A_EAX] = 0x07300402,
			[NESTMIG_CPUID_A_EDX] = 0x603,
			[NESTMIG_CPUID_D_1_EAX] = 1U << 3,
			[NESTMIG_CPUID_80000001_EDX] = 1U << 20 | 1U << 27 | 1U << 29,
			[NESTMIG_CPUID_80000008_EAX] = 0x3028,
		},
};

static void fill_vmcs12_controls(struct vm *vm)
{
	static const struct poke fields[] = {
		VMCS(revision_id_and_shadow_bit, VMCS12_REVISION),
		VMCS(launch_state, 1),
		VMCS(io_bitmap_a, GPA_IO_A),
		VMCS(io_bitmap_b, GPA_IO_B),
		VMCS(msr_bitmap, GPA_MSRS),
		VMCS(virtual_apic_page_addr, GPA_VAPIC),
		VMCS(ept_pointer, HEALTHY_EPTP),
		VMCS(eptp_list_address, GPA_EPTP_LIST),
		VMCS(vmcs_link_pointer, UINT64_MAX),
		PIN(HEALTHY_PIN),
		PROC(HEALTHY_PROC),
		PROC2(HEALTHY_PROC2),
		EXIT(HEALTHY_EXIT),
		ENTRY(HEALTHY_ENTRY),
		VMCS(vm_function_control, VMFUNC_EPTP_SWITCHING),
		VMCS(virtual_processor_id, 1),
		VMCS(tsc_multiplier, UINT64_C(1) << 48),
		{0},
	};

	vm_poke(vm, fields);
}

static void fill_vmcs12_host(struct vm *vm)
{
	static const struct poke fields[] = {
		VMCS(host_cr0, 0x80000031),     VMCS(host_cr3, GPA_HOST_CR3),
		VMCS(host_cr4, 0x2020),         VMCS(host_ia32_pat, UINT64_C(0x0007040600070406)),
		VMCS(host_ia32_efer, 0xd01),    VMCS(host_cs_selector, 0x08),
		VMCS(host_ss_selector, 0x10),   VMCS(host_ds_selector, 0x10),
		VMCS(host_es_selector, 0x10),   VMCS(host_tr_selector, 0x18),
		VMCS(host_tr_base, 0x100400),   VMCS(host_gdtr_base, 0x100200),
		VMCS(host_idtr_base, 0x100300), VMCS(host_rsp, 0x108000),
		VMCS(host_rip, 0x100100),       {0},
	};

	vm_poke(vm, fields);
}

static void fill_vmcs12_guest(struct vm *vm)
{
	static const struct poke fields[] = {
		VMCS(guest_ia32_pat, UINT64_C(0x0007040600070406)),
		VMCS(guest_ia32_efer, 0x501),
		VMCS(guest_cr0, 0x80000031),
		VMCS(guest_cr3, GPA_L2_CR3),
		VMCS(guest_cr4, 0x2020),
		VMCS(guest_dr7, 0x400),
		VMCS(guest_rsp, 0x104000),
		VMCS(guest_rip, 0x1000de),
		VMCS(guest_rflags, 0x2),
		VMCS(guest_es_limit, 0xffffffff),
		VMCS(guest_cs_limit, 0xffffffff),
		VMCS(guest_ss_limit, 0xffffffff),
		VMCS(guest_ds_limit, 0xffffffff),
		VMCS(guest_fs_limit, 0xffffffff),
		VMCS(guest_gs_limit, 0xffffffff),
		VMCS(guest_tr_limit, 0x67),
		VMCS(guest_gdtr_limit, 0x27),
		VMCS(guest_idtr_limit, 0xfff),
		VMCS(guest_es_ar_bytes, 0xc093),
		VMCS(guest_cs_ar_bytes, 0xa09b),
		VMCS(guest_ss_ar_bytes, 0xc093),
		VMCS(guest_ds_ar_bytes, 0xc093),
		VMCS(guest_fs_ar_bytes, 0xc093),
		VMCS(guest_gs_ar_bytes, 0xc093),
		VMCS(guest_ldtr_ar_bytes, AR_UNUSABLE),
		VMCS(guest_tr_ar_bytes, 0x8b),
		VMCS(guest_es_selector, 0x10),
		VMCS(guest_cs_selector, 0x08),
		VMCS(guest_ss_selector, 0x10),
		VMCS(guest_ds_selector, 0x10),
		VMCS(guest_fs_selector, 0x10),
		VMCS(guest_gs_selector, 0x10),
		VMCS(guest_tr_selector, 0x18),
		VMCS(guest_tr_base, 0x102400),
		VMCS(guest_gdtr_base, 0x102200),
		VMCS(guest_idtr_base, 0x102300),
		{0},
	};

	vm_poke(vm, fields);
}

/* The same segments as in the VMCS12. */
static void fill_vmx_segments(struct nestmig_sregs *s)
{
	const struct nestmig_segment data = {.limit = 0xffffffff,
					     .selector = 0x10,
					     .type = 3,
					     .present = 1,
					     .s = 1,
					     .db = 1,
					     .g = 1};

	s->ds = s->es = s->fs = s->gs = s->ss = data;
	s->cs = data;
	s->cs.selector = 8;
	s->cs.type = 11;
	s->cs.db = 0;
	s->cs.l = 1;
	s->tr = (struct nestmig_segment){
		.base = 0x102400, .limit = 0x67, .selector = 0x18, .type = 11, .present = 1};
	s->ldt = (struct nestmig_segment){.unusable = 1};
	s->gdt = (struct nestmig_dtable){.base = 0x102200, .limit = 0x27};
	s->idt = (struct nestmig_dtable){.base = 0x102300, .limit = 0xfff};
}

static void fill_vmx_view(struct vm *vm)
{
	struct nestmig_vcpu_view *v = &vm->vcpu.view;

	memset(v, 0, sizeof(*v));
	v->vendor = NESTMIG_VENDOR_INTEL;
	v->have = NESTMIG_HAVE(NESTED) | NESTMIG_HAVE(VMCS12) | NESTMIG_HAVE(SREGS) |
		  NESTMIG_HAVE(REGS) | NESTMIG_HAVE(EVENTS) | NESTMIG_HAVE(INT_SHADOW) |
		  NESTMIG_HAVE(ERROR_CODE) | NESTMIG_HAVE(DEBUGREGS) | NESTMIG_HAVE(MP_STATE) |
		  NESTMIG_HAVE(CPUID) | NESTMIG_HAVE(MSRS) | NESTMIG_HAVE(VMX_MSRS) |
		  NESTMIG_HAVE(MEMORY) | NESTMIG_HAVE(VM_CAPS) | NESTMIG_HAVE(SHADOW_VMCS12) |
		  NESTMIG_HAVE(LINK_HEADER);
	v->nested.flags = v->nested.stored_flags = KVMNS_GUEST_MODE;
	v->nested.format = KVMNS_FORMAT_VMX;
	v->nested.size = KVMNS_HEADER_SIZE + 2 * KVMNS_VMCS_SIZE;
	v->nested.vmxon_pa = GPA_VMXON;
	v->nested.vmcs12_pa = GPA_VMCS12;
	v->vmcs12 = vm->page;
	v->link_header = VMCS12_REVISION | VMCS12_SHADOW;
	v->shadow_vmcs12 = vm->shadow;
	v->sregs.cr0 = 0x80000031;
	v->sregs.cr3 = GPA_L2_CR3;
	v->sregs.cr4 = 0x2020;
	v->sregs.efer = 0x501;
	v->sregs.apic_base = 0xfee00900;
	fill_vmx_segments(&v->sregs);
	v->regs.rip = 0x1000de;
	v->regs.rsp = 0x104000;
	v->regs.rflags = 0x2;
	v->events.flags = 0xd;
	v->debugregs.dr6 = 0xffff0ff0;
	v->debugregs.dr7 = 0x400;
	v->cpuid = vmx_cpuid;
	v->vmx = vmx_caps;
	v->vmx.have = VMX_RESTORED;
	v->vm_caps =
		NESTMIG_VM_IRQCHIP | NESTMIG_VM_EXCEPTION_PAYLOAD | NESTMIG_VM_TRIPLE_FAULT_EVENT;
}

static void fill_vmx_host(struct vm *vm)
{
	vm->host = (struct nestmig_host_view){
		.have = NESTMIG_HAVE(HOST_KERNEL) | NESTMIG_HAVE(HOST_PARAMS) |
			NESTMIG_HAVE(HOST_CPUID) | NESTMIG_HAVE(HOST_CAPS) |
			NESTMIG_HAVE(HOST_MSRS),
		.vendor = NESTMIG_VENDOR_INTEL,
		.kernel = NESTMIG_KERNEL(6, 1),
		.nested = 1,
		.ept = 1,
		.unrestricted_guest = 1,
		.has_nested_state = 1,
		.cpuid = vmx_cpuid,
		.vmx = vmx_caps,
	};
}

/* Other kinds of L2: virtual-8086 mode with 32-bit paging, and 32-bit code with PAE paging. As pokes they
 * come first. */
enum vmx_kind { VMX_KIND_V86, VMX_KIND_PAE };

#define V86                                                                                        \
	{                                                                                          \
		PLACE_BECOME, VMX_KIND_V86, 0, 0                                                   \
	}
#define PAE                                                                                        \
	{                                                                                          \
		PLACE_BECOME, VMX_KIND_PAE, 0, 0                                                   \
	}

static void vmx_legacy(struct vm *vm, uint64_t cr4, uint64_t rflags)
{
	const struct poke fields[] = {
		ENTRY(HEALTHY_ENTRY & ~ENTRY_IA32E),
		VMCS(guest_ia32_efer, 0),
		VMCS(guest_cr4, cr4),
		VMCS(guest_cs_ar_bytes, 0xc09b),
		VMCS(guest_rflags, rflags),
		VIEW(regs.rflags, rflags),
		VIEW(sregs.efer, 0),
		VIEW(sregs.cr4, cr4),
		VIEW(sregs.cs.l, 0),
		VIEW(sregs.cs.db, 1),
		{0},
	};

	vm_poke(vm, fields);
}

static void vmx_v86(struct vm *vm)
{
	struct nestmig_sregs *s = &vm->vcpu.view.sregs;
	struct nestmig_segment *segments[] = {&s->es, &s->cs, &s->ss, &s->ds, &s->fs, &s->gs};

	for (unsigned i = 0; i < 6; i++) {
		*segments[i] = (struct nestmig_segment){
			.limit = 0xffff, .type = 3, .present = 1, .dpl = 3, .s = 1};
		put(vm->page + VMCS12_OFFSET_guest_es_base + 8 * i, 8, 0);
		put(vm->page + VMCS12_OFFSET_guest_es_limit + 4 * i, 4, 0xffff);
		put(vm->page + VMCS12_OFFSET_guest_es_ar_bytes + 4 * i, 4, 0xf3);
		put(vm->page + VMCS12_OFFSET_guest_es_selector + 2 * i, 2, 0);
	}
}

/* In the handler of an SMI that came in L2. */
static inline void vmx_enter_smm(struct vm *vm)
{
	static const struct poke image[] = {
		IMAGE(es_attributes, 0),
		IMAGE(cs_selector, 8),
		IMAGE(cs_attributes, 0xa09b),
		IMAGE(cs_limit, 0xffffffff),
		IMAGE(ss_selector, 16),
		IMAGE(ss_attributes, 0xc093),
		IMAGE(ss_limit, 0xffffffff),
		IMAGE(tr_selector, 24),
		IMAGE(tr_attributes, 0x8b),
		IMAGE(tr_limit, 0x67),
		IMAGE(efer, 0x500),
		IMAGE(cr0, 0x80000031),
		IMAGE(cr3, GPA_L2_CR3),
		IMAGE(cr4, 0x2020),
		IMAGE(dr6, 0xffff0ff0),
		IMAGE(dr7, 0x400),
		IMAGE(rflags, 2),
		IMAGE(rip, 0x100000),
		IMAGE(smbase, GPA_SMBASE),
		{0},
	};
	struct nestmig_vcpu_view *v = &vm->vcpu.view;

	memset(vm->image, 0, sizeof(vm->image));
	vm_poke(vm, image);
	v->smram = vm->image;
	v->have |= NESTMIG_HAVE(SMRAM) | NESTMIG_HAVE(SMBASE);
	v->smbase = GPA_SMBASE;
	v->nested.flags = 0;
	v->nested.vmx_smm_flags = VMX_SMM_GUEST_MODE | VMX_SMM_VMXON;
	v->sregs.cr0 = 0x30;
	v->sregs.cr4 = 0;
	v->sregs.efer = 0;
	v->sregs.cs = (struct nestmig_segment){.base = GPA_SMBASE,
					       .limit = 0xffffffff,
					       .selector = GPA_SMBASE >> 4,
					       .type = 3,
					       .present = 1,
					       .s = 1,
					       .g = 1};
	v->sregs.ss = v->sregs.ds = v->sregs.es = v->sregs.fs = v->sregs.gs =
		(struct nestmig_segment){
			.limit = 0xffffffff, .type = 3, .present = 1, .s = 1, .g = 1};
	v->regs.rip = 0x8000;
	v->events.smi_smm = 1;
	v->events.nmi_masked = 1;
}

static void vmx_become(struct vm *vm, unsigned kind)
{
	vmx_legacy(vm, kind == VMX_KIND_PAE ? 0x2020 : 0x2000, kind == VMX_KIND_V86 ? 0x20002 : 2);
	if (kind == VMX_KIND_V86)
		vmx_v86(vm);
}

static void vmx_vm_new(struct vm *vm)
{
	vm_new(vm);
	vm->become = vmx_become;
	memset(vm->page, 0, sizeof(vm->page));
	fill_vmcs12_controls(vm);
	fill_vmcs12_host(vm);
	fill_vmcs12_guest(vm);
	put(vm->shadow, 4, VMCS12_REVISION | VMCS12_SHADOW);
	fill_vmx_view(vm);
	fill_vmx_host(vm);
	put(vm->ram + GPA_EPTP_LIST, 8, HEALTHY_EPTP);
	for (unsigned i = 0; i < 2 * MSR_LIST_MAX; i++) /* read from the middle of one, too */
		put(vm->ram + GPA_MSR_LISTS + 8 * i, 8, 0x10);
	vm->state.vendor = NESTMIG_VENDOR_INTEL;
	vm->state.restore_order =
		"KVM_SET_MSRS,KVM_SET_SREGS2,KVM_SET_VCPU_EVENTS,KVM_SET_NESTED_STATE";
	nm_order_parse(vm->state.restore_order, &vm->order);
}

#endif
