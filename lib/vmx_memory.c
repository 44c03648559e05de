// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What of guest memory the rules on a VMCS12 read: the EPTP list, the root table of the EPT, L2's
 * virtual TPR, the MSR areas. Addresses and counts come from the guest and are not trusted.
 */
#include <stdlib.h>

#include "error.h"
#include "state.h"
#include "vmcs/vmcs12.h"

#define PAGE_MASK (~(NM_PAGE_SIZE - 1))

/* Where each MSR area stands. */
struct area {
	enum nestmig_item item;
	uint64_t address, count;
};

static void areas_of(const uint8_t *p, struct area areas[NESTMIG_MSR_AREAS])
{
	areas[NESTMIG_AREA_ENTRY_LOAD] =
		(struct area){NESTMIG_ITEM_ENTRY_LOAD, vmcs12_vm_entry_msr_load_addr(p),
			      vmcs12_vm_entry_msr_load_count(p)};
	areas[NESTMIG_AREA_EXIT_LOAD] =
		(struct area){NESTMIG_ITEM_EXIT_LOAD, vmcs12_vm_exit_msr_load_addr(p),
			      vmcs12_vm_exit_msr_load_count(p)};
	areas[NESTMIG_AREA_EXIT_STORE] =
		(struct area){NESTMIG_ITEM_EXIT_STORE, vmcs12_vm_exit_msr_store_addr(p),
			      vmcs12_vm_exit_msr_store_count(p)};
	for (unsigned i = 0; i < NESTMIG_MSR_AREAS; i++)
		if (areas[i].count > NESTMIG_MSR_AREA_MAX)
			areas[i].count = NESTMIG_MSR_AREA_MAX;
}

static bool switches_eptps(const uint8_t *p)
{
	return vmcs12_proc2(p, PROC2_VMFUNC | PROC2_EPT) &&
	       (vmcs12_vm_function_control(p) & VMFUNC_EPTP_SWITCHING);
}

/* Does the processor compare the TPR threshold with the task priority in memory? */
static bool compares_tpr(const uint8_t *p)
{
	return vmcs12_proc(p, PROC_TPR_SHADOW) && !vmcs12_proc2(p, PROC2_VID) &&
	       !vmcs12_proc2(p, PROC2_APIC_ACCESS) && (vmcs12_tpr_threshold(p) & 0xf);
}

/* ---- What is wanted -------------------------------------------------------------------------- */

static void add(struct nm_range *ranges, size_t *count, uint64_t gpa, uint64_t length)
{
	if (length)
		ranges[(*count)++] = (struct nm_range){gpa, length};
}

size_t nm_vmx_wants(const struct nestmig_vcpu_view *view, struct nm_range ranges[NM_VMX_RANGES])
{
	const uint8_t *p = view->vmcs12;
	struct area areas[NESTMIG_MSR_AREAS];
	size_t count = 0;

	if (!(view->have & NESTMIG_HAVE(VMCS12)))
		return 0;
	if (switches_eptps(p))
		add(ranges, &count, vmcs12_eptp_list_address(p) & PAGE_MASK, NM_PAGE_SIZE);
	if (compares_tpr(p))
		add(ranges, &count, (vmcs12_virtual_apic_page_addr(p) & PAGE_MASK) + VAPIC_TPR, 4);
	areas_of(p, areas);
	for (unsigned i = 0; i < NESTMIG_MSR_AREAS; i++)
		add(ranges, &count, areas[i].address, NESTMIG_MSR_ENTRY_SIZE * areas[i].count);
	return count;
}

/* ---- Loading --------------------------------------------------------------------------------- */

/* Reads an item, if its bytes are at hand. */
static enum nestmig_error load(const struct nestmig_state *state, struct nm_vcpu *vcpu,
			       enum nestmig_item item, uint64_t gpa, uint8_t *buffer, size_t length,
			       bool *ret_there)
{
	enum nestmig_error error = nm_state_read_memory(state, gpa, buffer, length);

	*ret_there = !error;
	if (!error)
		nm_vcpu_set_item(vcpu, item,
				 (struct nm_origin){.offset = UINT64_MAX,
						    .size = length,
						    .layout = NM_LAYOUT_NONE});
	return error == NESTMIG_ERR_NOT_FOUND ? NESTMIG_OK : error;
}

/* The entries of the list that L1 uses. */
static size_t keep_eptps(const struct nestmig_state *state, struct nm_vmx_memory *memory)
{
	struct nestmig_eptp *eptps = memory->eptps;
	size_t count = 0;

	for (unsigned i = 0; i < VMCS12_EPTPS; i++) {
		uint64_t value = nm_le64(memory->page + sizeof(uint64_t) * i);

		if (!value)
			continue;
		eptps[count++] = (struct nestmig_eptp){
			.value = value,
			.index = (uint16_t)i,
			.root = nm_state_backed(state, value & EPTP_ROOT, NM_PAGE_SIZE)};
	}
	return count;
}

static void sum_up_eptps(const struct nestmig_eptp *eptps, size_t count, uint64_t current,
			 struct nestmig_eptp_list *ret_list)
{
	*ret_list = (struct nestmig_eptp_list){.entries = eptps, .count = (uint16_t)count};
	for (size_t i = 0; i < count; i++) {
		if (eptps[i].value == current)
			continue;
		ret_list->memtypes |= (uint8_t)(1U << EPTP_MEMTYPE(eptps[i].value));
		ret_list->walks |= (uint8_t)(1U << EPTP_WALK(eptps[i].value));
		ret_list->unbacked |= eptps[i].root != NESTMIG_BACKED_YES;
		ret_list->any |= eptps[i].value;
	}
}

static void sum_up_root(const uint8_t *page, struct nestmig_ept_root *ret_root)
{
	*ret_root = (struct nestmig_ept_root){0};
	for (unsigned i = 0; i < VMCS12_EPTPS; i++) {
		uint64_t entry = nm_le64(page + sizeof(uint64_t) * i);

		if (!(entry & EPT_RWX))
			continue;
		ret_root->any |= entry;
		ret_root->write_only |= (entry & EPT_RW) == EPT_W;
		ret_root->execute_only |= (entry & EPT_RWX) == EPT_X;
	}
}

static enum nestmig_error load_ept(const struct nestmig_state *state, struct nm_vcpu *vcpu)
{
	struct nm_vmx_memory *memory = vcpu->vmx_memory;
	const uint8_t *p = vcpu->view.vmcs12;
	uint64_t current = vmcs12_ept_pointer(p);
	enum nestmig_error error = NESTMIG_OK;
	bool there = false;

	if (switches_eptps(p))
		error = load(state, vcpu, NESTMIG_ITEM_EPTP_LIST,
			     vmcs12_eptp_list_address(p) & PAGE_MASK, memory->page, NM_PAGE_SIZE,
			     &there);
	if (there)
		sum_up_eptps(memory->eptps, keep_eptps(state, memory), current, &vcpu->view.eptps);
	if (error || !vmcs12_proc2(p, PROC2_EPT))
		return error;
	error = load(state, vcpu, NESTMIG_ITEM_EPT_ROOT, current & PAGE_MASK, memory->page,
		     NM_PAGE_SIZE, &there);
	if (there)
		sum_up_root(memory->page, &vcpu->view.ept_root);
	return error;
}

static enum nestmig_error load_areas(const struct nestmig_state *state, struct nm_vcpu *vcpu)
{
	struct area areas[NESTMIG_MSR_AREAS];

	areas_of(vcpu->view.vmcs12, areas);
	for (unsigned i = 0; i < NESTMIG_MSR_AREAS; i++) {
		uint8_t *buffer = vcpu->vmx_memory->areas[i];
		enum nestmig_error error;
		bool there = false;

		if (!areas[i].count)
			continue;
		error = load(state, vcpu, areas[i].item, areas[i].address, buffer,
			     NESTMIG_MSR_ENTRY_SIZE * areas[i].count, &there);
		if (error)
			return error;
		if (there)
			vcpu->view.msr_areas[i] = buffer;
	}
	return NESTMIG_OK;
}

enum nestmig_error nm_vmx_load_memory(const struct nestmig_state *state, struct nm_vcpu *vcpu,
				      struct nestmig_detail *detail)
{
	const uint8_t *p = vcpu->view.vmcs12;
	struct nm_range ranges[NM_VMX_RANGES];
	enum nestmig_error error;

	nm_vmx_drop_memory(vcpu);
	if (!nm_vmx_wants(&vcpu->view, ranges) &&
	    !((vcpu->view.have & NESTMIG_HAVE(VMCS12)) && vmcs12_proc2(p, PROC2_EPT)))
		return NESTMIG_OK;
	vcpu->vmx_memory = calloc(1, sizeof(*vcpu->vmx_memory));
	if (!vcpu->vmx_memory)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	error = load_ept(state, vcpu);
	if (!error)
		error = load_areas(state, vcpu);
	if (!error && compares_tpr(p)) {
		bool there = false;

		error = load(state, vcpu, NESTMIG_ITEM_VTPR,
			     (vmcs12_virtual_apic_page_addr(p) & PAGE_MASK) + VAPIC_TPR,
			     vcpu->vmx_memory->vtpr, sizeof(vcpu->vmx_memory->vtpr), &there);
		if (there)
			vcpu->view.vtpr = vcpu->vmx_memory->vtpr[0];
	}
	return error;
}

void nm_vmx_drop_memory(struct nm_vcpu *vcpu)
{
	struct nestmig_vcpu_view *view = &vcpu->view;

	free(vcpu->vmx_memory);
	vcpu->vmx_memory = NULL;
	view->have &=
		~(NESTMIG_HAVE(EPTP_LIST) | NESTMIG_HAVE(EPT_ROOT) | NESTMIG_HAVE(VTPR) |
		  NESTMIG_HAVE(ENTRY_LOAD) | NESTMIG_HAVE(EXIT_LOAD) | NESTMIG_HAVE(EXIT_STORE));
	view->eptps = (struct nestmig_eptp_list){0};
	view->ept_root = (struct nestmig_ept_root){0};
	for (unsigned i = 0; i < NESTMIG_MSR_AREAS; i++)
		view->msr_areas[i] = NULL;
}
