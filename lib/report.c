// SPDX-License-Identifier: LGPL-2.1-or-later
/* The report itself, and what its renderers share. */
#include "report_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void nestmig_report_free(struct nestmig_report *report)
{
	if (!report)
		return;
	for (size_t i = 0; i < report->vcpu_count; i++) {
		for (size_t k = 0; k < report->vcpus[i].finding_count; k++)
			free(report->vcpus[i].findings[k].detail);
		free(report->vcpus[i].findings);
		free(report->vcpus[i].undecided);
	}
	free(report->vcpus);
	free(report->format);
	free(report->host_kernel);
	free(report->remark);
	free(report);
}

enum nestmig_verdict nestmig_report_verdict(const struct nestmig_report *report)
{
	return report->verdict;
}

const char *nestmig_verdict_name(enum nestmig_verdict verdict)
{
	switch (verdict) {
	case NESTMIG_VERDICT_OK:
		return "ok";
	case NESTMIG_VERDICT_UNKNOWN:
		return "unknown";
	case NESTMIG_VERDICT_FAIL:
		return "fail";
	}
	return "unknown";
}

void nm_kernel_text(uint32_t kernel, char text[NM_KERNEL_TEXT])
{
	snprintf(text, NM_KERNEL_TEXT, "%u.%u", kernel >> 16, kernel & 0xffff);
}

const char *nm_item_hint(enum nestmig_item item)
{
	static const char *const hints[NESTMIG_ITEM_COUNT] = {
		[NESTMIG_ITEM_NESTED] =
			"the header of the nested state; cloud-hypervisor saves it from 49 on",
		[NESTMIG_ITEM_VMCB12] = "the VMCB after the header of the nested state",
		[NESTMIG_ITEM_SREGS] = "the vCPU's special registers",
		[NESTMIG_ITEM_REGS] = "the vCPU's general registers",
		[NESTMIG_ITEM_EVENTS] = "the vCPU's events",
		[NESTMIG_ITEM_PDPTRS] = "the PDPTRs of KVM_GET_SREGS2",
		[NESTMIG_ITEM_ERROR_CODE] =
			"the error code of an exception; QEMU streams carry it from 10.2 on",
		[NESTMIG_ITEM_INT_SHADOW] = "QEMU streams carry none",
		[NESTMIG_ITEM_SMBASE] = "MSR 0x9e",
		[NESTMIG_ITEM_SMRAM] = "the save area in guest memory",
		[NESTMIG_ITEM_SMM_VMCB12] = "L1's VMCB in guest memory",
		[NESTMIG_ITEM_HSAVE] = "the page of guest memory at VM_HSAVE_PA",
		[NESTMIG_ITEM_VM_CAPS] =
			"what the VMM enables for the VM; meta.json of a raw dump says "
			"it in vm_caps",
		[NESTMIG_ITEM_DEBUGREGS] = "the vCPU's debug registers",
		[NESTMIG_ITEM_MP_STATE] = "whether the vCPU runs",
		[NESTMIG_ITEM_HSAVE_PA] = "MSR 0xc0010117",
		[NESTMIG_ITEM_CPUID] =
			"the guest's CPUID; QEMU streams carry none, raw dumps and .nms "
			"files do",
		[NESTMIG_ITEM_VMCS12] = "the VMCS12 after the header of the nested state",
		[NESTMIG_ITEM_VMX_MSRS] =
			"MSRs 0x480 to 0x491 of the vCPU; QEMU streams carry none",
		[NESTMIG_ITEM_HOST_MSRS] = "the destination's feature MSRs; give --host",
		[NESTMIG_ITEM_MEMORY] = "the guest's memory; device-only streams carry none",
		[NESTMIG_ITEM_HOST_KERNEL] = "the destination's kernel; give --host",
		[NESTMIG_ITEM_HOST_PARAMS] = "the destination's module parameters; give --host",
		[NESTMIG_ITEM_HOST_CPUID] = "what the destination's KVM supports; give --host",
		[NESTMIG_ITEM_HOST_CAPS] = "the destination's KVM capabilities; give --host",
	};

	return hints[item] ? hints[item] : "";
}

const char *nm_vendor_name(enum nestmig_vendor vendor)
{
	switch (vendor) {
	case NESTMIG_VENDOR_INTEL:
		return "intel";
	case NESTMIG_VENDOR_AMD:
		return "amd";
	case NESTMIG_VENDOR_UNKNOWN:
		break;
	}
	return NULL;
}

const char *nm_byte_word(const struct nestmig_report *report)
{
	return report->has_inner_stream ? "stream byte" : "byte";
}

void nm_put_ioctl(struct nm_buf *buf, const struct nm_consequence_row *row)
{
	if (row->ioctl && !row->errno_name)
		nm_buf_printf(buf, " (%s)", row->ioctl);
	else if (row->ioctl)
		nm_buf_printf(buf, " (%s%s %s)", row->ioctl,
			      *row->errno_name <= '9' ? " returns" : ":", row->errno_name);
}

const char *nm_unless(const struct nm_vcpu_report *vcpu)
{
	if (vcpu->is_unconfirmed)
		return ", if this is the vCPU that QEMU loads";
	return vcpu->is_certain ? "" : ", unless a rule that could not be judged is broken";
}

bool nm_is_first_of_group(const struct nm_vcpu_report *vcpu, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (vcpu->undecided[i].missing == vcpu->undecided[at].missing)
			return false;
	return true;
}
