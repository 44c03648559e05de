// SPDX-License-Identifier: GPL-2.0-or-later
/* The tables of edges and recipes. */
#include "edge_rows.h"

#include <stdio.h>
#include <string.h>

#define BITS_CR0 BIT(0), BIT(31), CR0_PE_PG, BIT(29), BIT(30), CR0_CD_NW, BIT(16), BIT(32), BIT(2)
#define BITS_CR4                                                                                   \
	BIT(5), BIT(5), BIT(5), BIT(11), BIT(12), BIT(13), BIT(14), BIT(15), BIT(16), BIT(17),     \
		BIT(19), BIT(22), BIT(23), BIT(24), BIT(28), BIT(32), BIT(4), BIT(20)
#define BITS_EFER                                                                                  \
	EFER_LONG, EFER_LONG, EFER_LONG, EFER_LONG, BIT(8), BIT(10), BIT(9), BIT(11), BIT(12),     \
		BIT(12), BIT(13), BIT(14), BIT(15), BIT(17), BIT(18), BIT(20), BIT(21), BIT(32)
#define BITS_PTE BIT(0), BIT(0), BIT(1), BIT(2), BIT(5), BIT(7), BIT(8), BIT(40), BIT(51), BIT(63)

static const struct edge edges[] = {
	/* the header */
	FLIP("nested_state.flags", 5, BIT(0), BIT(1), BIT(1), BIT(2), BIT(3), BIT(4), BIT(8),
	     BIT(8), BIT(8) | BIT(0), BIT(9), BIT(1) | BIT(8)),
	FLIP("nested_state.format", 1, 1, 2, 3),
	FLIP("nested_state.size", 2, 0x1, 0x80, 0x1000, 0x1080, 0xff, 0x1),
	ADDRESS("nested_state.vmcb_pa", 4),
	ADDRESS("nested_state.gpat", 1),
	/* L1's controls for L2 */
	FLIP("vmcb12.control.nested_ctl", 4, BIT(0), BIT(0), BIT(0), BIT(1), BIT(2), BIT(3), BIT(4),
	     BIT(5)),
	ADDRESS("vmcb12.control.nested_cr3", 2),
	SET("vmcb12.control.asid", 2, 0, 0, 1, 2, BIT(31), 0xffffffff, 0x10000),
	FLIP("vmcb12.control.intercept_word3", 3, BIT(1), BIT(2), BIT(3), BIT(24), BIT(27), BIT(27),
	     BIT(28), BIT(31), BIT(31)),
	FLIP("vmcb12.control.intercept_word4", 2, BIT(0), BIT(0), BIT(1), BIT(2)),
	FLIP("vmcb12.control.intercept_exceptions", 1, BIT(1), BIT(6), BIT(8), BIT(13), BIT(14)),
	FLIP("vmcb12.control.int_ctl", 3, BIT(8), BIT(9), BIT(11), BIT(12), BIT(24), BIT(25),
	     BIT(26), BIT(31), BIT(20)),
	FLIP("vmcb12.control.int_state", 1, BIT(0), BIT(1)),
	ADDRESS("vmcb12.control.msrpm_base_pa", 3),
	ADDRESS("vmcb12.control.iopm_base_pa", 3),
	SET("vmcb12.control.tlb_ctl", 1, 0, 1, 2, 3, 4, 5, 7, 8, 0xff),
	FLIP("vmcb12.control.virt_ext", 1, BIT(0), BIT(1), BIT(2), BIT(3)),
	SET("vmcb12.control.event_inj", 3, BIT(31), BIT(31) | 0x20, BIT(31) | 0x202,
	    BIT(31) | 0x203, BIT(31) | 0x300, BIT(31) | 0x302, BIT(31) | 0x303, BIT(31) | 0x304,
	    BIT(31) | 0x30d, BIT(31) | BIT(11) | 0x30d, BIT(31) | BIT(11) | 0x30e, BIT(31) | 0x31f,
	    BIT(31) | 0x320, BIT(31) | 0x403, BIT(31) | 0x480, BIT(31) | 0x100, BIT(31) | 0x700,
	    BIT(31) | 0x310303, 0x303),
	/* L1's saved registers */
	FLIP("vmcb12.save.cr0", 3, BITS_CR0),
	ADDRESS("vmcb12.save.cr3", 2),
	FLIP("vmcb12.save.cr4", 3, BITS_CR4),
	FLIP("vmcb12.save.efer", 3, BITS_EFER),
	FLIP("vmcb12.save.cs.attrib", 2, BIT(9), BIT(10), BIT(9) | BIT(10), BIT(7)),
	FLIP("vmcb12.save.rflags", 2, BIT(1), BIT(9), BIT(17), BIT(17), BIT(32)),
	FLIP("vmcb12.save.dr6", 1, BIT(31), BIT(32), BIT(63)),
	FLIP("vmcb12.save.dr7", 1, BIT(31), BIT(32), BIT(63)),
	SET("vmcb12.save.rip", 1, NON_CANONICAL),
	SET("vmcb12.save.cpl", 1, 0, 1, 3, 0xff),
	/* the live registers */
	FLIP("sregs.cr0", 3, BITS_CR0),
	ADDRESS("sregs.cr3", 4),
	FLIP("sregs.cr4", 3, BITS_CR4),
	FLIP("sregs.efer", 4, BITS_EFER),
	FLIP("sregs.cr8", 1, BIT(0), BIT(3), BIT(4), BIT(32)),
	FLIP("sregs.apic_base", 2, BIT(10), BIT(11), BIT(8), BIT(10) | BIT(11), BIT(9), BIT(12),
	     BIT(39), BIT(40), BIT(52)),
	FLIP("sregs.flags", 2, BIT(0), BIT(0), BIT(1), BIT(32)),
	FLIP("sregs.cs.l", 2, 1),
	FLIP("sregs.cs.db", 2, 1),
	FLIP("sregs.cs.type", 1, 1, 2, 4, 8),
	FLIP("sregs.cs.dpl", 1, 1, 2, 3),
	FLIP("sregs.ss.dpl", 1, 1, 2, 3),
	FLIP("sregs.ss.type", 1, 1, 2, 4, 8),
	FLIP("sregs.tr.type", 1, 1, 2, 4, 8),
	FLIP("sregs.tr.unusable", 1, 1),
	FLIP("sregs.cs.unusable", 1, 1),
	FLIP("sregs.ss.unusable", 1, 1),
	SET("sregs.fs.base", 1, NON_CANONICAL),
	SET("sregs.gs.base", 1, NON_CANONICAL),
	SET("sregs.tr.base", 1, NON_CANONICAL),
	SET("sregs.ldt.base", 1, NON_CANONICAL),
	SET("sregs.gdt.base", 1, NON_CANONICAL),
	SET("sregs.idt.base", 1, NON_CANONICAL),
	FLIP("sregs.pdptr0", 1, BITS_PTE),
	FLIP("sregs.pdptr1", 1, BITS_PTE),
	FLIP("sregs.pdptr2", 1, BITS_PTE),
	FLIP("sregs.pdptr3", 1, BITS_PTE),
	SET("regs.rip", 2, NON_CANONICAL, 0, 0x100000000),
	FLIP("regs.rflags", 3, BIT(1), BIT(3), BIT(8), BIT(9), BIT(14), BIT(16), BIT(17), BIT(18),
	     BIT(32), BIT(63)),
	FLIP("debugregs.dr6", 2, BIT(0), BIT(14), BIT(16), BIT(32), BIT(63), BIT(12)),
	FLIP("debugregs.dr7", 2, BIT(10), BIT(13), BIT(13), BIT(14), BIT(32), BIT(63), BIT(1)),
	FLIP("debugregs.flags", 1, BIT(0), BIT(1), BIT(63)),
	SET("mp_state", 4, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0xffffffff),
	/* events */
	FLIP("events.flags", 5, BIT(0), BIT(1), BIT(2), BIT(3), BIT(3), BIT(4), BIT(4), BIT(5),
	     BIT(5), BIT(6), BIT(7), BIT(31)),
	FLIP("events.exception_injected", 1, 1, 0xff),
	FLIP("events.exception_pending", 1, 1, 0xff),
	SET("events.exception_nr", 2, 0, 1, 2, 3, 4, 6, 8, 13, 14, 17, 31, 32, 255),
	FLIP("events.exception_has_error_code", 1, 1, 0xff),
	FLIP("events.exception_has_payload", 1, 1, 0xff),
	SET("events.exception_payload", 1, BIT(0), BIT(14), BIT(63)),
	FLIP("events.interrupt_injected", 1, 1, 0xff),
	FLIP("events.interrupt_soft", 1, 1),
	FLIP("events.interrupt_shadow", 1, 1, 2, 3, 4),
	FLIP("events.nmi_injected", 1, 1, 0xff),
	SET("events.nmi_pending", 1, 1, 2, 0xff),
	FLIP("events.nmi_masked", 1, 1, 0xff),
	FLIP("events.smi_smm", 2, 1, 2, 0xff),
	FLIP("events.smi_pending", 1, 1, 0xff),
	FLIP("events.smi_inside_nmi", 1, 1),
	FLIP("events.smi_latched_init", 1, 1),
	FLIP("events.triple_fault", 2, 1, 0xff),
	/* MSRs */
	ADDRESS("msr.hsave_pa", 3),
	ADDRESS("msr.smbase", 2),
	/* guest memory */
	FLIP("l2-table", 1, BITS_PTE),
	FLIP("l2-pdpte", 3, BITS_PTE, BIT(18), BIT(19), BIT(24), BIT(36)),
	FLIP("l1-table", 1, BITS_PTE),
	FLIP("l1-pdpte", 2, BITS_PTE, BIT(18), BIT(19), BIT(24), BIT(36)),
	FLIP("nested-table", 1, BITS_PTE),
	/* SMRAM: what is no register */
	SET("smram.guest_flag", 3, 0, 1, 2, BIT(32), BIT(63)),
	ADDRESS("smram.vmcb12_pa", 5),
	FLIP("smram.smbase", 1, BIT(0), BIT(15), BIT(16), BIT(31)),
	FLIP("smram.revision", 1, BIT(0), BIT(17), BIT(7)),
	FLIP("smram.cs.attrib", 3, BIT(9), BIT(10), BIT(13), BIT(14), BIT(15), BIT(7)),
};

#define EXCEPTION(nr, injected, pending, has_code, payload, flags)                                 \
	{                                                                                          \
		GROUP_EVENTS,                                                                      \
		{                                                                                  \
			{"events.exception_nr", nr, 0},                                            \
				{"events.exception_injected", injected, 0},                        \
				{"events.exception_pending", pending, 0},                          \
				{"events.exception_has_error_code", has_code, 0},                  \
				{"events.exception_has_payload", payload, 0},                      \
				{"events.flags", flags, 0x10},                                     \
		}                                                                                  \
	}
#define EVENT(place, value, flag)                                                                  \
	{                                                                                          \
		GROUP_EVENTS,                                                                      \
		{                                                                                  \
			{place, value, 0}, {"events.flags", flag, flag},                           \
		}                                                                                  \
	}

const struct recipe recipes[] = {
	/* exceptions, injected and pending, with and without payload */
	EXCEPTION(1, 1, 0, 0, 0, 0),
	EXCEPTION(6, 1, 0, 0, 0, 0),
	EXCEPTION(13, 1, 0, 1, 0, 0),
	EXCEPTION(13, 1, 0, 0, 0, 0),
	EXCEPTION(14, 1, 0, 1, 0, 0x10),
	EXCEPTION(3, 1, 0, 1, 0, 0),
	EXCEPTION(2, 1, 0, 0, 0, 0),
	EXCEPTION(8, 1, 0, 1, 0, 0x10),
	EXCEPTION(31, 1, 0, 0, 0, 0),
	EXCEPTION(32, 1, 0, 0, 0, 0),
	EXCEPTION(1, 0, 1, 0, 1, 0x10),
	EXCEPTION(14, 0, 1, 1, 1, 0x10),
	EXCEPTION(13, 0, 1, 1, 0, 0x10),
	EXCEPTION(6, 0, 1, 0, 0, 0x10),
	EXCEPTION(6, 1, 1, 0, 0, 0x10),
	EXCEPTION(6, 1, 1, 0, 0, 0),
	EXCEPTION(6, 0, 1, 0, 0, 0),
	EXCEPTION(0, 0, 0, 0, 1, 0x10),
	/* interrupts, NMIs, SMIs, triple faults */
	{GROUP_EVENTS, {{"events.interrupt_injected", 1, 0}, {"events.interrupt_nr", 0x20, 0}}},
	{GROUP_EVENTS,
	 {{"events.interrupt_injected", 1, 0},
	  {"events.interrupt_nr", 0x80, 0},
	  {"events.interrupt_soft", 1, 0}}},
	EVENT("events.nmi_pending", 1, 0x1),
	EVENT("events.interrupt_shadow", 1, 0x4),
	EVENT("events.interrupt_shadow", 2, 0x4),
	EVENT("events.smi_pending", 1, 0x8),
	EVENT("events.smi_smm", 1, 0x8),
	EVENT("events.smi_smm", 0, 0x8),
	EVENT("events.smi_latched_init", 1, 0x8),
	EVENT("events.triple_fault", 1, 0x20),
	EVENT("events.triple_fault", 1, 0x20),
	EVENT("events.sipi_vector", 0x10, 0x2),
	/* other modes of L2 */
	{GROUP_SREGS, {{"sregs.cr0", 0, BIT(31)}, {"sregs.efer", 0, BIT(10)}}},
	{GROUP_SREGS, {{"sregs.cr0", 0, CR0_PE_PG}, {"sregs.efer", 0, BIT(10)}}},
	{GROUP_SREGS,
	 {{"sregs.cr0", 0, BIT(31)}, {"sregs.efer", 0, EFER_LONG}, {"sregs.cs.l", 0, 0}}},
	{GROUP_SREGS, {{"sregs.efer", 0, EFER_LONG}, {"sregs.cs.l", 0, 0}}},
	{GROUP_SREGS, {{"sregs.efer", 0, EFER_LONG}, {"sregs.cs.l", 0, 0}, {"sregs.flags", 1, 0}}},
	{GROUP_SREGS,
	 {{"sregs.efer", 0, EFER_LONG}, {"sregs.cs.l", 0, 0}, {"sregs.cr4", 0, BIT(5)}}},
	{GROUP_SREGS, {{"sregs.cr4", BIT(5), BIT(5)}, {"sregs.cr0", BIT(31) | 1, CR0_PE_PG}}},
	{GROUP_SREGS, {{"sregs.cr4", BIT(23), BIT(23)}, {"sregs.cr0", 0, BIT(16)}}},
	{GROUP_SREGS, {{"sregs.cr4", BIT(17), BIT(17)}, {"sregs.cr3", 1, 1}}},
	{GROUP_SREGS, {{"sregs.cs.l", 1, 0}, {"sregs.cs.db", 1, 0}}},
	/* other modes of L1 */
	{GROUP_L1_SAVE, {{"vmcb12.save.efer", 0, EFER_LONG}, {"vmcb12.save.cs.attrib", 0, BIT(9)}}},
	{GROUP_L1_SAVE, {{"vmcb12.save.efer", 0, EFER_LONG}, {"vmcb12.save.cr4", 0, BIT(5)}}},
	/* ... with PAE paging, a page directory of which is not RAM; L1's and L2's tables may be the same */
	{GROUP_L1_SAVE,
	 {{"vmcb12.save.efer", 0, EFER_LONG},
	  {"vmcb12.save.cs.attrib", 0, BIT(9)},
	  {"l1-table@0x1000", 0x41001, 0},
	  {"l2-table@0x1000", 0x41001, 0}}},
	{GROUP_L1_SAVE,
	 {{"vmcb12.save.efer", 0, EFER_LONG},
	  {"vmcb12.save.cs.attrib", 0, BIT(9)},
	  {"l1-table@0x1000", 0x2001, 0},
	  {"l2-table@0x1000", 0x2001, 0},
	  {"nested-table@0x12000", 0x41001, 0}}},
	{GROUP_L1_SAVE, {{"vmcb12.save.cs.attrib", BIT(9) | BIT(10), BIT(9) | BIT(10)}}},
	/* nested paging on, with a root */
	{GROUP_CONTROL,
	 {{"vmcb12.control.nested_ctl", 1, 1}, {"vmcb12.control.nested_cr3", 0x1000, 0}}},
	{GROUP_CONTROL, {{"vmcb12.control.nested_ctl", 0, 1}}},
	/* an MSR map that is asked for and is not RAM */
	{GROUP_CONTROL,
	 {{"vmcb12.control.intercept_word3", BIT(28), BIT(28)},
	  {"vmcb12.control.msrpm_base_pa", 0x40000, 0}}},
	{GROUP_CONTROL,
	 {{"vmcb12.control.intercept_word3", BIT(28), BIT(28)},
	  {"vmcb12.control.msrpm_base_pa", 0x3f000, 0}}},
	{GROUP_SMM_VMCB12,
	 {{"smm_vmcb12.control.intercept_word3", BIT(28), BIT(28)},
	  {"smm_vmcb12.control.msrpm_base_pa", 0x40000, 0}}},
	/* events that VMRUN refuses, of the L2 that RSM enters */
	{GROUP_SMM_VMCB12, {{"smm_vmcb12.control.event_inj", BIT(31) | 0x302, 0}}},
	{GROUP_SMM_VMCB12, {{"smm_vmcb12.control.event_inj", BIT(31) | 0x320, 0}}},
	{GROUP_SMM_VMCB12, {{"smm_vmcb12.control.asid", 0, 0}}},
	{GROUP_SMM_VMCB12, {{"smm_vmcb12.control.intercept_word4", 0, 1}}},
	/* MP state that needs something else with it */
	{GROUP_MP_STATE,
	 {{"mp_state", 1, 0}, {"events.smi_latched_init", 1, 0}, {"events.flags", 8, 8}}},
	{GROUP_MP_STATE, {{"mp_state", 2, 0}, {"events.smi_smm", 1, 0}, {"events.flags", 8, 8}}},
	{GROUP_MP_STATE, {{"mp_state", 2, 0}, {"nested_state.flags", 0, BIT(8)}}},
	{GROUP_MP_STATE, {{"mp_state", 4, 0}, {"nested_state.flags", 0, BIT(8)}}},
	{GROUP_MP_STATE,
	 {{"mp_state", 2, 0}, {"events.smi_pending", 1, 0}, {"events.flags", 8, 8}}},
	/* an SMI whose save area is not RAM */
	{GROUP_MSRS,
	 {{"msr.smbase", 0x40000, 0}, {"events.smi_pending", 1, 0}, {"events.flags", 8, 8}}},
	/* the nested state of another kind of vCPU */
	{GROUP_HEADER, {{"nested_state.flags", 0x100, 0}}},
	{GROUP_HEADER, {{"nested_state.flags", 0, 0}}},
	{GROUP_HEADER, {{"nested_state.flags", 0x100, 0}, {"nested_state.size", 128, 0}}},
	{GROUP_HEADER, {{"nested_state.flags", 0x101, 0}, {"sregs.efer", 0, BIT(12)}}},
	{GROUP_HEADER, {{"nested_state.flags", 0x100, 0}, {"sregs.efer", 0, BIT(12)}}},
	{GROUP_HEADER, {{"nested_state.flags", 0, 0}, {"sregs.efer", 0, BIT(12)}}},
	/* RSM to other modes */
	{GROUP_SMRAM, {{"smram.cr0", 0, BIT(31)}, {"smram.efer", 0, BIT(10)}}},
	{GROUP_SMRAM, {{"smram.efer", 0, EFER_LONG}}},
	{GROUP_SMRAM, {{"smram.efer", 0, EFER_LONG}, {"smram.cr0", 0, CR0_PE_PG}}},
	{GROUP_SMRAM, {{"smram.rflags", BIT(17), BIT(17)}}},
	{GROUP_SMRAM, {{"smram.cr4", BIT(12), BIT(12)}}},
	{GROUP_SMRAM, {{"smram.cr3", 0x40000, 0}}},
	{GROUP_SMRAM, {{"smram.cr0", BIT(29), BIT(29) | BIT(30)}}},
	{GROUP_SMRAM, {{"smram.cr0", BIT(30), BIT(29) | BIT(30)}}},
	{GROUP_SMRAM, {{"smram.cr0", 0, 1}}},
	{GROUP_SMRAM, {{"smram.cr4", 0, BIT(5)}}},
	{GROUP_SMRAM, {{"smram.cr4", BIT(17), BIT(17)}, {"smram.cr3", 1, 1}}},
};

const size_t recipe_count = sizeof(recipes) / sizeof(recipes[0]);

static const struct edge *find(const char *name, bool is_vmx)
{
	const struct edge *edge = is_vmx ? vmx_edge_find(name) : NULL;

	if (edge)
		return edge;
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
		if (strcmp(edges[i].place, name) == 0)
			return &edges[i];
	return NULL;
}

const struct edge *edge_find(const char *place, bool is_vmx)
{
	static const struct {
		const char *prefix, *other;
	} same[] = {
		{"smm_vmcb12.", "vmcb12."},    {"hsave.", "vmcb12."},
		{"smram.", "sregs."},          {"smram.", "regs."},
		{"smram.", "debugregs."},      {"smram.ldtr.", "sregs.ldt."},
		{"smram.gdtr.", "sregs.gdt."}, {"smram.idtr.", "sregs.idt."},
	};
	const struct edge *edge = NULL;
	char name[64];

	/* "l2-table@0x1000+8" is one of many. */
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(place, "@"), place);
	edge = find(name, is_vmx);
	for (size_t i = 0; !edge && i < sizeof(same) / sizeof(same[0]); i++) {
		size_t length = strlen(same[i].prefix);

		if (strncmp(place, same[i].prefix, length) != 0)
			continue;
		snprintf(name, sizeof(name), "%s%s", same[i].other, place + length);
		edge = find(name, is_vmx);
	}
	return edge;
}
