// SPDX-License-Identifier: LGPL-2.1-or-later
/* What of guest memory the state of a vCPU points at. */
#include "pointed.h"

#include "smram/smram.h"
#include "vmcb/vmcb12.h"
#include "vmcs/vmcs12.h"

/* The largest range: an I/O permission map. */
#define RANGE_MAX VMCB12_IOPM_SIZE

struct list {
	const struct nestmig_state *state;
	struct nm_pointed *at;
	size_t count;
};

static void add_range(struct list *list, const char *name, uint64_t gpa, uint64_t length)
{
	uint8_t scratch[RANGE_MAX];

	if (!length || list->count == NM_POINTED_MAX)
		return;
	list->at[list->count++] =
		(struct nm_pointed){.name = name,
				    .gpa = gpa,
				    .length = length,
				    .backed = nm_state_backed(list->state, gpa, length),
				    .is_at_hand = length <= sizeof(scratch) &&
						  nm_state_read_memory(list->state, gpa, scratch,
								       length) == NESTMIG_OK};
}

static void add_page(struct list *list, const char *name, uint64_t gpa)
{
	add_range(list, name, gpa & VMCB12_PAGE_MASK, NM_PAGE_SIZE);
}

/* A page that a control of the VMCS12 makes used. */
static void add_page_if(struct list *list, bool is_used, const char *name, uint64_t gpa)
{
	if (is_used)
		add_page(list, name, gpa);
}

static void add_area(struct list *list, const char *name, uint64_t gpa, uint64_t count)
{
	if (count > NESTMIG_MSR_AREA_MAX)
		count = NESTMIG_MSR_AREA_MAX;
	add_range(list, name, gpa, count * NESTMIG_MSR_ENTRY_SIZE);
}

static void add_vmcb12(struct list *list, const uint8_t *p)
{
	add_range(list, "vmcb12.control.iopm_base_pa", vmcb12_iopm_base_pa(p) & VMCB12_PAGE_MASK,
		  VMCB12_IOPM_SIZE);
	add_range(list, "vmcb12.control.msrpm_base_pa", vmcb12_msrpm_base_pa(p) & VMCB12_PAGE_MASK,
		  VMCB12_MSRPM_SIZE);
	add_page_if(list, vmcb12_nested_ctl(p) & VMCB12_NP_ENABLE, "vmcb12.control.nested_cr3",
		    vmcb12_nested_cr3(p));
	add_page(list, "vmcb12.save.cr3", vmcb12_save_cr3(p));
}

static void add_vmcs12(struct list *list, const uint8_t *p)
{
	bool ept = vmcs12_proc2(p, PROC2_EPT);
	bool eptps = ept && vmcs12_proc2(p, PROC2_VMFUNC) &&
		     (vmcs12_vm_function_control(p) & VMFUNC_EPTP_SWITCHING);
	uint64_t link = vmcs12_vmcs_link_pointer(p);
	bool shadow = vmcs12_proc2(p, PROC2_SHADOW);

	add_page_if(list, link != VMCS12_NO_GPA, "vmcs12.vmcs_link_pointer", link);
	add_area(list, "vmcs12.vm_entry_msr_load_addr", vmcs12_vm_entry_msr_load_addr(p),
		 vmcs12_vm_entry_msr_load_count(p));
	add_area(list, "vmcs12.vm_exit_msr_load_addr", vmcs12_vm_exit_msr_load_addr(p),
		 vmcs12_vm_exit_msr_load_count(p));
	add_area(list, "vmcs12.vm_exit_msr_store_addr", vmcs12_vm_exit_msr_store_addr(p),
		 vmcs12_vm_exit_msr_store_count(p));
	add_page_if(list, eptps, "vmcs12.eptp_list_address", vmcs12_eptp_list_address(p));
	add_page_if(list, ept, "vmcs12.ept_pointer", vmcs12_ept_pointer(p));
	add_page_if(list, vmcs12_proc(p, PROC_IO_BITMAPS), "vmcs12.io_bitmap_a",
		    vmcs12_io_bitmap_a(p));
	add_page_if(list, vmcs12_proc(p, PROC_IO_BITMAPS), "vmcs12.io_bitmap_b",
		    vmcs12_io_bitmap_b(p));
	add_page_if(list, vmcs12_proc(p, PROC_MSR_BITMAPS), "vmcs12.msr_bitmap",
		    vmcs12_msr_bitmap(p));
	add_page_if(list, vmcs12_proc(p, PROC_TPR_SHADOW), "vmcs12.virtual_apic_page_addr",
		    vmcs12_virtual_apic_page_addr(p));
	add_page_if(list, vmcs12_proc2(p, PROC2_APIC_ACCESS), "vmcs12.apic_access_addr",
		    vmcs12_apic_access_addr(p));
	add_page_if(list, shadow, "vmcs12.vmread_bitmap", vmcs12_vmread_bitmap(p));
	add_page_if(list, shadow, "vmcs12.vmwrite_bitmap", vmcs12_vmwrite_bitmap(p));
	add_page_if(list, vmcs12_proc2(p, PROC2_PML), "vmcs12.pml_address", vmcs12_pml_address(p));
	add_page_if(list, !ept, "vmcs12.guest_cr3", vmcs12_guest_cr3(p));
	add_page(list, "vmcs12.host_cr3", vmcs12_host_cr3(p));
}

static void add_nested(struct list *list, const struct nestmig_nested *nested)
{
	if (nested->format == KVMNS_FORMAT_SVM) {
		if (nested->flags & KVMNS_GUEST_MODE)
			add_page(list, "nested_state.vmcb_pa", nested->vmcb_pa);
		return;
	}
	if (nested->format != KVMNS_FORMAT_VMX || nested->vmxon_pa == UINT64_MAX)
		return;
	add_page(list, "nested_state.vmxon_pa", nested->vmxon_pa);
	if (nested->vmcs12_pa != UINT64_MAX)
		add_page(list, "nested_state.vmcs12_pa", nested->vmcs12_pa);
}

static void add_pdptes(struct list *list, const struct nm_vcpu *vcpu)
{
	static const char *const names[NM_PDPTES] = {"PDPTEs at CR3", "PDPTEs at L1's CR3",
						     "PDPTEs at the nested CR3",
						     "PDPTEs at the CR3 that RSM loads"};

	for (unsigned i = 0; i < NM_PDPTES; i++)
		if (vcpu->pdptes[i].known || vcpu->pdptes[i].gpa)
			add_range(list, names[i], vcpu->pdptes[i].gpa,
				  sizeof(vcpu->pdptes[i].bytes));
}

static void add_smram(struct list *list, const struct nm_vcpu *vcpu)
{
	uint64_t gpa = vcpu->view.smbase + SMRAM_AREA_BASE;

	if (!nm_vcpu_has(vcpu, NESTMIG_HAVE(SMBASE) | NESTMIG_HAVE(EVENTS)) ||
	    !vcpu->view.events.smi_smm || list->count == NM_POINTED_MAX)
		return;
	list->at[list->count++] = (struct nm_pointed){
		.name = "smbase",
		.gpa = gpa,
		.length = SMRAM_AREA_SIZE,
		.in_smm = true,
		.backed = nm_state_backed_smm(list->state, gpa, SMRAM_AREA_SIZE),
		.is_at_hand = nm_vcpu_has(vcpu, NESTMIG_HAVE(SMRAM))};
}

/* Is the live CR3 an address of L2's, which nested paging translates? */
static bool is_cr3_of_l2(const struct nestmig_vcpu_view *view)
{
	if (!(view->have & NESTMIG_HAVE(NESTED)) || !(view->nested.flags & KVMNS_GUEST_MODE))
		return false;
	return ((view->have & NESTMIG_HAVE(VMCS12)) && vmcs12_proc2(view->vmcs12, PROC2_EPT)) ||
	       ((view->have & NESTMIG_HAVE(VMCB12)) &&
		(vmcb12_nested_ctl(view->vmcb12) & VMCB12_NP_ENABLE));
}

size_t nm_vcpu_pointed(const struct nestmig_state *state, const struct nm_vcpu *vcpu,
		       struct nm_pointed ret[NM_POINTED_MAX])
{
	struct list list = {.state = state, .at = ret};
	const struct nestmig_vcpu_view *view = &vcpu->view;

	if (view->have & NESTMIG_HAVE(NESTED))
		add_nested(&list, &view->nested);
	if (view->have & NESTMIG_HAVE(VMCB12))
		add_vmcb12(&list, view->vmcb12);
	if (view->have & NESTMIG_HAVE(VMCS12))
		add_vmcs12(&list, view->vmcs12);
	if ((view->have & NESTMIG_HAVE(SREGS)) && !is_cr3_of_l2(view))
		add_page(&list, "sregs.cr3", view->sregs.cr3);
	add_pdptes(&list, vcpu);
	if ((view->have & NESTMIG_HAVE(HSAVE_PA)) && view->hsave_pa &&
	    view->vendor != NESTMIG_VENDOR_INTEL)
		add_page(&list, "hsave_pa", view->hsave_pa);
	add_smram(&list, vcpu);
	if (nm_vcpu_has(vcpu, NESTMIG_HAVE(SMRAM)) && vcpu->view.smm_vmcb12)
		add_page(&list, "smram.svm_guest_vmcb", smram64_svm_guest_vmcb(view->smram));
	return list.count;
}

const char *nm_backed_name(enum nestmig_backed backed)
{
	switch (backed) {
	case NESTMIG_BACKED_YES:
		return "yes";
	case NESTMIG_BACKED_NO:
		return "no";
	case NESTMIG_BACKED_UNKNOWN:
		break;
	}
	return "unknown";
}
