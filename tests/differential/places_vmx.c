// SPDX-License-Identifier: GPL-2.0-or-later
/* Places that only a VMX vCPU has: its VMCS12, what that points at, the VMX capability MSRs. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "mutate.h"
#include "places.h"
#include "vmcs/vmcs12.h"

#define PAGE_ADDRESS  UINT64_C(0x000ffffffffff000)
#define EPT_PRESENT   UINT64_C(7)
#define EPT_LEAF      UINT64_C(0x80)
#define EPT_LEVELS    4
#define EPTS_TRIED    3 /* entries of a table */
#define LIST_LAST     511
#define ENTRIES_TRIED 3 /* of an MSR area */
#define CR0_PG        (UINT64_C(1) << 31)
#define CR4_PAE       (UINT64_C(1) << 5)
#define RFLAGS_VM     (UINT64_C(1) << 17)
#define NO_STRUCTURE  UINT64_MAX

/* ---- Fields ---------------------------------------------------------------------------------- */

/* The first prefix that fits decides. */
static const struct {
	const char *prefix;
	int group;
} groups[] = {
	{"nested_state.vmxon_pa", GROUP_HEADER},
	{"nested_state.vmcs12_pa", GROUP_HEADER},
	{"shadow_vmcs12.revision", GROUP_VMCS_OTHER},
	{"shadow_vmcs12.guest_rip", GROUP_VMCS_OTHER},
	{"vmcs12.revision", GROUP_VMCS_OTHER},
	{"vmcs12.abort", GROUP_VMCS_OTHER},
	{"vmcs12.launch_state", GROUP_VMCS_OTHER},
	{"vmcs12.padding64", GROUP_VMCS_OTHER},
	{"vmcs12.exit_qualification", GROUP_VMCS_OTHER},
	{"vmcs12.guest_physical_address", GROUP_VMCS_OTHER},
	{"vmcs12.guest_linear_address", GROUP_VMCS_OTHER},
	{"vmcs12.vm_instruction_error", GROUP_VMCS_OTHER},
	{"vmcs12.vm_exit_reason", GROUP_VMCS_OTHER},
	{"vmcs12.vm_exit_in", GROUP_VMCS_OTHER},
	{"vmcs12.idt_vectoring_", GROUP_VMCS_OTHER},
	{"vmcs12.vmx_instruction_info", GROUP_VMCS_OTHER},
	{"vmcs12.vm_entry_intr_info", GROUP_VMCS_EVENT},
	{"vmcs12.vm_entry_exception", GROUP_VMCS_EVENT},
	{"vmcs12.vm_entry_instruction", GROUP_VMCS_EVENT},
	{"vmcs12.guest_interruptibility", GROUP_VMCS_EVENT},
	{"vmcs12.guest_activity", GROUP_VMCS_EVENT},
	{"vmcs12.guest_pending_dbg", GROUP_VMCS_EVENT},
	{"vmcs12.guest_intr_status", GROUP_VMCS_CONTROL},
	{"vmcs12.guest_pml_index", GROUP_VMCS_CONTROL},
	{"vmcs12.guest_es_", GROUP_VMCS_SEGMENT},
	{"vmcs12.guest_cs_", GROUP_VMCS_SEGMENT},
	{"vmcs12.guest_ss_", GROUP_VMCS_SEGMENT},
	{"vmcs12.guest_ds_", GROUP_VMCS_SEGMENT},
	{"vmcs12.guest_fs_", GROUP_VMCS_SEGMENT},
	{"vmcs12.guest_gs_", GROUP_VMCS_SEGMENT},
	{"vmcs12.guest_ldtr_", GROUP_VMCS_SEGMENT},
	{"vmcs12.guest_tr_", GROUP_VMCS_SEGMENT},
	{"vmcs12.guest_gdtr_", GROUP_VMCS_SEGMENT},
	{"vmcs12.guest_idtr_", GROUP_VMCS_SEGMENT},
	{"vmcs12.guest_", GROUP_VMCS_GUEST},
	{"vmcs12.vmcs_link_pointer", GROUP_VMCS_GUEST},
	{"vmcs12.host_", GROUP_VMCS_HOST},
	{"vmcs12.", GROUP_VMCS_CONTROL},
};

int vmx_group_of(const char *name)
{
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (strncmp(name, groups[i].prefix, strlen(groups[i].prefix)) == 0)
			return groups[i].group;
	return -1;
}

/* ---- Who executes with what ------------------------------------------------------------------ */

/*
 * The first prefix that fits decides; a place that none fits keeps what it has for both vendors. L2 does
 * not use its stack, its data segments or its tables unless an exception comes; L1 neither.
 */
static const struct {
	const char *prefix;
	enum user user;
	enum place_when when;
} users[] = {
	{"vmcs12.io_bitmap_", USER_L2, WHEN_ALWAYS},
	{"vmcs12.vm_exit_msr_", USER_L1, WHEN_ALWAYS},
	{"vmcs12.vm_entry_msr_", USER_L1, WHEN_ALWAYS},
	{"vmcs12.virtual_apic_page_addr", USER_L2, WHEN_VID},
	{"vmcs12.apic_access_addr", USER_FETCH, WHEN_ALWAYS},
	{"vmcs12.ept_pointer", USER_FETCH, WHEN_ALWAYS},
	{"vmcs12.guest_ia32_efer", USER_FETCH, WHEN_ENTERED},
	{"vmcs12.guest_ia32_debugctl", USER_L2, WHEN_ENTERED},
	{"vmcs12.guest_pdptr", USER_FETCH, WHEN_PAE_EPT},
	{"vmcs12.vm_function_control", USER_L2, WHEN_VMFUNC},
	{"vmcs12.eptp_list_address", USER_L2, WHEN_VMFUNC},
	{"vmcs12.pml_address", USER_FETCH, WHEN_PML},
	{"vmcs12.guest_pml_index", USER_L2, WHEN_PML},
	{"vmcs12.guest_cr", USER_FETCH, WHEN_ALWAYS},
	{"vmcs12.guest_cs_", USER_FETCH, WHEN_ALWAYS},
	{"vmcs12.guest_ss_", USER_L2, WHEN_ALWAYS},
	{"vmcs12.guest_tr_", USER_L2, WHEN_VM86},
	{"vmcs12.guest_gdtr_", USER_L2, WHEN_ALWAYS},
	{"vmcs12.guest_idtr_", USER_FETCH, WHEN_ALWAYS},
	{"vmcs12.guest_dr7", USER_L2, WHEN_ENTERED},
	{"vmcs12.guest_rip", USER_FETCH, WHEN_ALWAYS},
	{"vmcs12.guest_rflags", USER_L2, WHEN_ALWAYS},
	{"vmcs12.guest_pending_dbg", USER_L2, WHEN_ALWAYS},
	{"vmcs12.guest_interruptibility", USER_L2, WHEN_ENTERED},
	{"vmcs12.guest_activity", USER_L2, WHEN_IN_L1},
	{"vmcs12.guest_intr_status", USER_L2, WHEN_VID},
	{"vmcs12.host_cr", USER_L1, WHEN_ALWAYS},
	{"vmcs12.host_rip", USER_L1, WHEN_ALWAYS},
	{"vmcs12.host_ia32_efer", USER_L1, WHEN_ALWAYS},
	{"vmcs12.pin_based", USER_L2, WHEN_ALWAYS},
	{"vmcs12.cpu_based", USER_L2, WHEN_ALWAYS},
	{"vmcs12.secondary", USER_FETCH, WHEN_ALWAYS},
	{"vmcs12.vm_exit_controls", USER_L1, WHEN_ALWAYS},
	{"vmcs12.vm_entry_controls", USER_FETCH, WHEN_ALWAYS},
	{"vmcs12.vm_entry_in", USER_L2, WHEN_ENTERED},
	{"vmcs12.vm_entry_exception", USER_L2, WHEN_ENTERED},
	{"vmcs12.tpr_threshold", USER_L2, WHEN_ALWAYS},
	{"vmcs12.vmx_preemption_timer", USER_L2, WHEN_TIMER},
	{"vmcs12.launch_state", USER_L1, WHEN_ALWAYS},
	{"vmcs12.revision", USER_L1, WHEN_ALWAYS},
	{"nested_state.preemption", USER_L2, WHEN_TIMER},
	{"nested_state.vmx_flags", USER_L2, WHEN_TIMER},
	{"nested_state.smm_flags", USER_FETCH, WHEN_ALWAYS},
	{"sregs.c", USER_FETCH, WHEN_SREGS},
	{"sregs.efer", USER_FETCH, WHEN_SREGS},
	{"sregs.pdptr", USER_FETCH, WHEN_SREGS},
	{"sregs.idt.", USER_FETCH, WHEN_SREGS},
	{"sregs.apic_base", USER_NOBODY, WHEN_ALWAYS},
	{"sregs.flags", USER_NOBODY, WHEN_ALWAYS},
	{"sregs.", USER_L2, WHEN_SREGS},
	{"regs.rip", USER_FETCH, WHEN_REGS},
	{"regs.rsp", USER_L2, WHEN_REGS},
	{"regs.rflags", USER_L2, WHEN_REGS},
	{"ept-", USER_FETCH, WHEN_ALWAYS},
	{"eptp@", USER_L2, WHEN_VMFUNC},
	{"entry-load.", USER_L1, WHEN_ALWAYS},
	{"exit-load.", USER_L1, WHEN_ALWAYS},
	{"exit-store.", USER_L1, WHEN_ALWAYS},
	{"io-bitmap", USER_L2, WHEN_ALWAYS},
};

void vmx_classify(struct place *place)
{
	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		if (strncmp(place->name, users[i].prefix, strlen(users[i].prefix)) != 0)
			continue;
		place->user = (uint8_t)users[i].user;
		place->when = (uint8_t)users[i].when;
		return;
	}
}

/* The flags of the nested state as the case has them. */
static uint64_t flags_now(const struct base *base, const struct mutation *mutation)
{
	uint64_t flags = base->state->vcpus[0].view.nested.flags;

	for (unsigned i = 0; i < mutation->poke_count; i++)
		if (strcmp(mutation->pokes[i].place->name, "nested_state.flags") == 0)
			flags = mutation->pokes[i].after;
	return flags;
}

/* Does this ioctl, or its second form, come after KVM_SET_NESTED_STATE? */
static bool comes_after(const struct base *base, const struct mutation *mutation, const char *ioctl)
{
	const char *order = *mutation->order ? mutation->order : base->state->restore_order;
	const char *nested = order ? strstr(order, "KVM_SET_NESTED_STATE") : NULL;
	const char *other = order ? strstr(order, ioctl) : NULL;

	return !nested || !other || other > nested;
}

static bool has_control(const struct base *base, const char *name, uint64_t control)
{
	return base_field(base, name) & control;
}

/* Does the place count in this case? What makes the difference is a place that L2 executes with, too. */
static bool counts(const struct base *base, const struct mutation *mutation,
		   const struct place *place)
{
	uint64_t flags = flags_now(base, mutation);
	bool in_l2 = flags & KVMNS_GUEST_MODE;

	switch ((enum place_when)place->when) {
	case WHEN_ENTERED:
		return !in_l2 || (flags & KVMNS_RUN_PENDING);
	case WHEN_IN_L1:
		return !in_l2;
	case WHEN_SREGS:
		return !in_l2 || comes_after(base, mutation, "KVM_SET_SREGS");
	case WHEN_REGS:
		return !in_l2 || comes_after(base, mutation, "KVM_SET_REGS");
	case WHEN_PAE_EPT:
		return has_control(base, "vmcs12.secondary_vm_exec_control", PROC2_EPT) &&
		       (base_field(base, "vmcs12.guest_cr0") & CR0_PG) &&
		       (base_field(base, "vmcs12.guest_cr4") & CR4_PAE) &&
		       !has_control(base, "vmcs12.vm_entry_controls", ENTRY_IA32E);
	case WHEN_VMFUNC:
		return has_control(base, "vmcs12.secondary_vm_exec_control", PROC2_VMFUNC);
	case WHEN_PML:
		return has_control(base, "vmcs12.secondary_vm_exec_control", PROC2_PML);
	case WHEN_VID:
		return has_control(base, "vmcs12.secondary_vm_exec_control", PROC2_VID);
	case WHEN_TIMER:
		return has_control(base, "vmcs12.pin_based_vm_exec_control", PIN_TIMER);
	case WHEN_VM86:
		return base_field(base, "vmcs12.guest_rflags") & RFLAGS_VM;
	default:
		return true;
	}
}

enum user vmx_place_user(const struct base *base, const struct mutation *mutation,
			 const struct poke *poke)
{
	const struct place *place = poke->place;
	uint64_t changed = poke->before ^ poke->after;

	if (strcmp(place->name, "nested_state.flags") == 0) {
		/* Without GUEST_MODE L2's registers are taken for L1's. */
		if (changed & KVMNS_GUEST_MODE)
			return USER_FETCH;
		return changed & KVMNS_MTF_PENDING ? USER_L2 : USER_NOBODY;
	}
	/* Outside L2 it is L1 whose VMX instructions need VMX operation. */
	if (strcmp(place->name, "nested_state.vmxon_pa") == 0 &&
	    !(base->state->vcpus[0].view.nested.flags & KVMNS_GUEST_MODE))
		return USER_L1;
	/* L1 has chosen its controls, but KVM has not seen them yet. */
	if (place->group == GROUP_VMX_CAPS && !base->state->vcpus[0].view.vmcs12)
		return USER_L1;
	/* In the handler, or not; and where what it returns to is kept. */
	if (base->is_smm &&
	    (strcmp(place->name, "events.flags") == 0 || strcmp(place->name, "msr.smbase") == 0))
		return USER_FETCH;
	/* RSM loads over all that it enters L2 with. */
	if (base->is_smm && place->group >= GROUP_VMCS_CONTROL && place->group <= GROUP_VMCS_HOST)
		return USER_FETCH;
	return counts(base, mutation, place) ? (enum user)place->user : USER_NOBODY;
}

/* ---- Beside the fields ----------------------------------------------------------------------- */

/* Bytes of the VMCS12 that are none of its fields. */
static void add_padding(struct base *base)
{
	static const uint16_t offsets[] = {12, 376, 728, 932, 998, 1024, 4088};
	uint16_t file;
	char name[52];

	if (!base->state->vcpus[0].view.vmcs12 || !base_file(base, "vcpu0/nested_state", &file))
		return;
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		snprintf(name, sizeof(name), "vmcs12+%u", offsets[i]);
		place_add(base, GROUP_VMCS_OTHER, name, file, KVMNS_HEADER_SIZE + offsets[i], 8);
	}
}

/* MSRs: the value; of capabilities the index, too, which makes it another one. */
static const struct {
	uint32_t index;
	const char *name;
	enum group group;
} msrs[] = {
	{0x3a, "msr.feature_control", GROUP_MSRS},
	{0x277, "msr.pat", GROUP_MSRS},
	{0x480, "vmx_msr.basic", GROUP_VMX_CAPS},
	{0x481, "vmx_msr.pin", GROUP_VMX_CAPS},
	{0x482, "vmx_msr.proc", GROUP_VMX_CAPS},
	{0x483, "vmx_msr.exit", GROUP_VMX_CAPS},
	{0x484, "vmx_msr.entry", GROUP_VMX_CAPS},
	{0x485, "vmx_msr.misc", GROUP_VMX_CAPS},
	{0x486, "vmx_msr.cr0_fixed0", GROUP_VMX_CAPS},
	{0x487, "vmx_msr.cr0_fixed1", GROUP_VMX_CAPS},
	{0x488, "vmx_msr.cr4_fixed0", GROUP_VMX_CAPS},
	{0x489, "vmx_msr.cr4_fixed1", GROUP_VMX_CAPS},
	{0x48a, "vmx_msr.vmcs_enum", GROUP_VMX_CAPS},
	{0x48b, "vmx_msr.proc2", GROUP_VMX_CAPS},
	{0x48c, "vmx_msr.ept_vpid", GROUP_VMX_CAPS},
	{0x48d, "vmx_msr.true_pin", GROUP_VMX_CAPS},
	{0x48e, "vmx_msr.true_proc", GROUP_VMX_CAPS},
	{0x48f, "vmx_msr.true_exit", GROUP_VMX_CAPS},
	{0x490, "vmx_msr.true_entry", GROUP_VMX_CAPS},
	{0x491, "vmx_msr.vmfunc", GROUP_VMX_CAPS},
};

static void add_msr(struct base *base, uint16_t file, size_t offset)
{
	uint32_t index = nm_le32(base->files[file].bytes + offset);
	struct place *place;

	for (size_t i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++) {
		if (msrs[i].index != index)
			continue;
		place = place_add(base, msrs[i].group, msrs[i].name, file, offset + 8, 8);
		/* What KVM takes of MSRs other than capabilities is not judged. */
		if (place && msrs[i].group == GROUP_MSRS)
			place->has_edge_only = true;
		if (msrs[i].group != GROUP_VMX_CAPS)
			continue;
		place = place_add(base, GROUP_VMX_CAPS, "vmx_msr_index", file, offset, 4);
		if (place) {
			snprintf(place->name, sizeof(place->name), "vmx_msr_index@%s",
				 msrs[i].name + 8);
			place->has_edge_only = true;
		}
	}
}

static void add_vmx_msrs(struct base *base)
{
	uint16_t file;

	if (!base_file(base, "vcpu0/msrs", &file))
		return;
	for (size_t offset = 0; offset + 16 <= base->files[file].size; offset += 16)
		add_msr(base, file, offset);
}

/* ---- What the VMCS12 points at --------------------------------------------------------------- */

/* "KIND@0x1000" */
static void add_named(struct base *base, enum group group, const char *kind, uint64_t gpa,
		      unsigned width)
{
	char name[96];

	snprintf(name, sizeof(name), "%s@0x%" PRIx64, kind, gpa);
	place_add_memory(base, group, name, gpa, width);
}

/* The first few entries that are present, and those of the tables below them. */
static void add_ept(struct base *base, const char *kind, uint64_t table, unsigned levels)
{
	unsigned found = 0;

	for (unsigned i = 0; i < VMCS12_EPTPS && found < EPTS_TRIED; i++) {
		uint64_t entry;

		if (!base_word(base, table + 8 * i, &entry) || !(entry & EPT_PRESENT))
			continue;
		found++;
		add_named(base, GROUP_VMX_MEMORY, kind, table + 8 * i, 8);
		if (levels > 1 && !(entry & EPT_LEAF))
			add_ept(base, "ept-table", entry & PAGE_ADDRESS, levels - 1);
	}
	/* One that is not used. */
	add_named(base, GROUP_VMX_MEMORY, kind, table + 8 * LIST_LAST, 8);
}

static void add_epts(struct base *base, uint64_t secondary)
{
	uint64_t list = base_field(base, "vmcs12.eptp_list_address"), root;

	if (!(secondary & PROC2_EPT))
		return;
	root = base_field(base, "vmcs12.ept_pointer") & PAGE_ADDRESS;
	add_ept(base, "ept-root", root, EPT_LEVELS);
	if (!(secondary & PROC2_VMFUNC) ||
	    !(base_field(base, "vmcs12.vm_function_control") & VMFUNC_EPTP_SWITCHING))
		return;
	for (unsigned i = 0; i < 4; i++)
		add_named(base, GROUP_VMX_MEMORY, "eptp", list + 8 * i, 8);
	add_named(base, GROUP_VMX_MEMORY, "eptp", list + 8 * LIST_LAST, 8);
}

static void add_area(struct base *base, const char *kind, uint64_t gpa, uint64_t count)
{
	static const struct {
		const char *name;
		unsigned offset, width;
	} parts[] = {{"index", 0, 4}, {"reserved", 4, 4}, {"value", 8, 8}};
	char name[52];

	for (uint64_t i = 0; i < count && i < ENTRIES_TRIED; i++)
		for (unsigned part = 0; part < 3; part++) {
			snprintf(name, sizeof(name), "%s.%s", kind, parts[part].name);
			add_named(base, GROUP_VMX_MEMORY, name, gpa + 16 * i + parts[part].offset,
				  parts[part].width);
		}
}

static void add_pages(struct base *base)
{
	uint64_t pin = base_field(base, "vmcs12.pin_based_vm_exec_control");
	uint64_t proc = base_field(base, "vmcs12.cpu_based_vm_exec_control");
	uint64_t secondary =
		proc & PROC_SECONDARY ? base_field(base, "vmcs12.secondary_vm_exec_control") : 0;
	uint64_t link = base_field(base, "vmcs12.vmcs_link_pointer");

	add_epts(base, secondary);
	if (link != NO_STRUCTURE)
		add_named(base, GROUP_VMX_MEMORY, "link.header", link, 4);
	if (proc & PROC_TPR_SHADOW)
		add_named(base, GROUP_VMX_MEMORY, "vapic.tpr",
			  base_field(base, "vmcs12.virtual_apic_page_addr") + VAPIC_TPR, 4);
	if (proc & PROC_IO_BITMAPS)
		for (unsigned offset = 0x10; offset < 0x18; offset += 4)
			add_named(base, GROUP_VMX_MEMORY, "io-bitmap",
				  base_field(base, "vmcs12.io_bitmap_a") + offset, 4);
	if (proc & PROC_MSR_BITMAPS)
		add_named(base, GROUP_VMX_MEMORY, "msr-bitmap",
			  base_field(base, "vmcs12.msr_bitmap"), 8);
	if (pin & PIN_POSTED)
		for (unsigned offset = 0; offset < 64; offset += 8)
			add_named(base, GROUP_VMX_MEMORY, "posted",
				  base_field(base, "vmcs12.posted_intr_desc_addr") + offset, 8);
}

static void add_areas(struct base *base)
{
	add_area(base, "entry-load", base_field(base, "vmcs12.vm_entry_msr_load_addr"),
		 base_field(base, "vmcs12.vm_entry_msr_load_count"));
	add_area(base, "exit-load", base_field(base, "vmcs12.vm_exit_msr_load_addr"),
		 base_field(base, "vmcs12.vm_exit_msr_load_count"));
	add_area(base, "exit-store", base_field(base, "vmcs12.vm_exit_msr_store_addr"),
		 base_field(base, "vmcs12.vm_exit_msr_store_count"));
}

/* The tables of whoever does not run now. */
static void add_other_paging(struct base *base)
{
	uint64_t efer =
		base_field(base, "vmcs12.vm_entry_controls") & ENTRY_IA32E ? UINT64_C(0x500) : 0;

	place_add_paging(base, "l1", base_field(base, "vmcs12.host_cr3"),
			 base_field(base, "vmcs12.host_cr4"), 0x500);
	if (base_field(base, "vmcs12.guest_cr0") & CR0_PG)
		place_add_paging(base, "l2", base_field(base, "vmcs12.guest_cr3"),
				 base_field(base, "vmcs12.guest_cr4"), efer);
}

void vmx_add_places(struct base *base)
{
	add_vmx_msrs(base);
	if (!base->state->vcpus[0].view.vmcs12)
		return;
	add_padding(base);
	add_pages(base);
	add_areas(base);
	add_other_paging(base);
}
