// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * L1 and L2 of AMD's vendor. Sources: APM volume 2, 15.5 "VMRUN Instruction", 15.25 "Nested Paging",
 * appendix B "Layout of VMCB".
 */
#include "../l1/svm.h"
#include "rawdump_guest.h"

#define ADDRESS_HSAVE   0x6000
#define ADDRESS_IOPM    0x7000 /* three pages */
#define ADDRESS_MSRPM   0xa000 /* two pages */

#define EFER_SVME       0x1000u
#define DR6_RESET       0xffff0ff0u
#define MSR_VM_HSAVE_PA 0xc0010117u

extern const uint8_t guest_l1[], guest_l2_64[], guest_l2_32[], guest_l2_16[];
extern const uint8_t guest_l2_64_exceptions[], guest_l2_32_exceptions[], guest_l2_16_exceptions[];

static void fill_l2(struct vmcb *vmcb, enum l2_mode mode)
{
	struct vmcb_segment data = {SELECTOR_DATA, ATTRIB_DATA, 0xffffffff, 0};

	vmcb->es = vmcb->ss = vmcb->ds = data;
	vmcb->tr = (struct vmcb_segment){SELECTOR_TSS, ATTRIB_TSS64, TSS_LIMIT, ADDRESS_TSS};
	vmcb->gdtr = (struct vmcb_segment){0, 0, GDT_LIMIT, ADDRESS_GDT};
	vmcb->efer = EFER_SVME;
	vmcb->cr0 = CR0_PG_WP_NE_ET_MP_PE;
	vmcb->cr4 = CR4_OSXMMEXCPT_OSFXSR;
	vmcb->rsp = ADDRESS_STACK;
	if (mode == L2_LONG) {
		vmcb->cs = (struct vmcb_segment){SELECTOR_CODE64, ATTRIB_CODE64, 0xffffffff, 0};
		vmcb->idtr = (struct vmcb_segment){0, 0, EXCEPTIONS * 16 - 1, ADDRESS_IDT};
		vmcb->efer |= EFER_LMA_LME;
		vmcb->cr3 = ADDRESS_PML4;
		vmcb->cr4 |= CR4_PAE;
		vmcb->rip = ADDRESS_CODE + offset_of(guest_l2_64);
	} else if (mode == L2_REAL) {
		vmcb->cs = (struct vmcb_segment){ADDRESS_CODE >> 4, ATTRIB_CODE16, 0xffff,
						 ADDRESS_CODE};
		vmcb->ss = (struct vmcb_segment){ADDRESS_CODE >> 4, ATTRIB_DATA16, 0xffff,
						 ADDRESS_CODE};
		vmcb->es = vmcb->ds = (struct vmcb_segment){0, ATTRIB_DATA16, 0xffff, 0};
		vmcb->idtr = (struct vmcb_segment){0, 0, EXCEPTIONS * 4 - 1, 0};
		vmcb->cr0 = CR0_NE_ET;
		vmcb->rsp = ADDRESS_STACK - ADDRESS_CODE;
		vmcb->rip = offset_of(guest_l2_16);
	} else {
		vmcb->cs = (struct vmcb_segment){SELECTOR_CODE32, ATTRIB_CODE32, 0xffffffff, 0};
		vmcb->idtr = (struct vmcb_segment){0, 0, EXCEPTIONS * 8 - 1, ADDRESS_IDT};
		vmcb->cr3 = mode == L2_PAE ? ADDRESS_PAE_PDPT : ADDRESS_LEGACY_PD;
		vmcb->cr4 |= mode == L2_PAE ? CR4_PAE : 0;
		vmcb->rip = ADDRESS_CODE + offset_of(guest_l2_32);
	}
}

static void fill_vmcb(struct vmcb *vmcb, const struct guest *guest)
{
	memset(vmcb, 0, sizeof(*vmcb));
	vmcb->intercept3 = INTERCEPT3_CPUID | INTERCEPT3_HLT;
	if (!guest->shutdown_not_intercepted)
		vmcb->intercept3 |= INTERCEPT3_SHUTDOWN;
	vmcb->intercept4 = INTERCEPT4_VMRUN | INTERCEPT4_VMMCALL;
	vmcb->iopm_base_pa = ADDRESS_IOPM;
	vmcb->msrpm_base_pa = ADDRESS_MSRPM;
	vmcb->asid = 1;
	if (guest->nested_paging) {
		vmcb->nested_ctl = 1;
		vmcb->nested_cr3 = ADDRESS_NESTED_PML4;
	}
	fill_l2(vmcb, guest->mode);
	vmcb->dr6 = DR6_RESET;
	vmcb->dr7 = DR7_RESET;
	vmcb->g_pat = PAT_RESET;
	vmcb->rflags = RFLAGS_RESET;
}

static int prepare(const struct vm *vm, const struct guest *guest)
{
	fill_vmcb((struct vmcb *)(vm->memory + ADDRESS_VMCB), guest);
	return guest_set_msr(vm, MSR_VM_HSAVE_PA, ADDRESS_HSAVE, "VM_HSAVE_PA");
}

static const struct guest_entries entries = {
	.l1 = guest_l1,
	.l2_64 = guest_l2_64,
	.l2_32 = guest_l2_32,
	.l2_16 = guest_l2_16,
	.exceptions_64 = guest_l2_64_exceptions,
	.exceptions_32 = guest_l2_32_exceptions,
	.exceptions_16 = guest_l2_16_exceptions,
};

const struct guest_vendor svm_guest = {
	.entries = &entries,
	.l1_efer = EFER_SVME,
	.l1_rax = ADDRESS_VMCB,
	.prepare = prepare,
};
