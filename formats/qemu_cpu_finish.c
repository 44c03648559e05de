// SPDX-License-Identifier: LGPL-2.1-or-later
/* What QEMU makes of a vCPU's sections before it calls KVM (cpu_post_load, kvm_put_* of
 * target/i386/kvm/kvm.c, QEMU 7.2). */
#include "bytes.h"
#include "error.h"
#include "qemu_internal.h"

#define OFF_HFLAGS         144
#define HF_GUEST_MASK      (1U << 21)
#define HF2_GIF_MASK       (1U << 0)
#define CPU_INTERRUPT_SMI  0x40
#define CPU_INTERRUPT_INIT 0x400

/* kvm_put_nested_state overrides two flags with what hflags and hflags2 say. */
static void override_flags(struct nm_vcpu *vcpu)
{
	struct nestmig_nested *nested = &vcpu->view.nested;

	nested->flags &= (uint16_t) ~(KVMNS_GUEST_MODE | KVMNS_GIF_SET);
	if (vcpu->qemu.hflags & HF_GUEST_MASK)
		nested->flags |= KVMNS_GUEST_MODE;
	if (nested->format == KVMNS_FORMAT_SVM && vcpu->qemu.hflags2 & HF2_GIF_MASK)
		nested->flags |= KVMNS_GIF_SET;
}

#define EFER_SVME (UINT64_C(1) << 12)

static enum nestmig_error finish_nested(struct nm_vcpu *vcpu, struct nestmig_detail *detail)
{
	struct nestmig_vcpu_view *view = &vcpu->view;
	bool guest_mode = vcpu->qemu.hflags & HF_GUEST_MASK;

	/* cpu_post_load refuses such a stream. */
	if (guest_mode && (!nm_vcpu_has(vcpu, NESTMIG_HAVE(NESTED)) ||
			   !(view->nested.stored_flags & KVMNS_GUEST_MODE)))
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT,
				  vcpu->origin[NESTMIG_ITEM_SREGS].offset + OFF_HFLAGS,
				  "vCPU %u is in guest mode (hflags), but the stream has no nested "
				  "state for it: QEMU refuses to load it",
				  vcpu->id);
	if (!nm_vcpu_has(vcpu, NESTMIG_HAVE(NESTED))) {
		/* Without VMXON there is none, and the GIF says nothing. */
		if (view->vendor == NESTMIG_VENDOR_INTEL)
			return NESTMIG_OK;
		/* Outside guest mode an SVM vCPU has no subsection; QEMU then sets the GIF alone.
		 */
		if (!(view->sregs.efer & EFER_SVME) && vcpu->qemu.hflags2 & HF2_GIF_MASK)
			return NESTMIG_OK;
		view->nested = (struct nestmig_nested){.format = KVMNS_FORMAT_SVM,
						       .size = KVMNS_HEADER_SIZE};
		nm_vcpu_set_item(vcpu, NESTMIG_ITEM_NESTED,
				 (struct nm_origin){.layout = NM_LAYOUT_NONE});
	}
	override_flags(vcpu);
	view->vendor =
		view->nested.format == KVMNS_FORMAT_SVM ? NESTMIG_VENDOR_AMD : NESTMIG_VENDOR_INTEL;
	return NESTMIG_OK;
}

enum nestmig_error qemu_cpu_finish(struct nm_vcpu *vcpu, const struct qemu_section *common,
				   const struct qemu_section *apic, struct nestmig_detail *detail)
{
	struct nestmig_events *events = &vcpu->view.events;

	if (common && common->payload.size >= 8) {
		vcpu->qemu.halted = nm_be32(common->payload.bytes);
		vcpu->qemu.interrupt_request = nm_be32(common->payload.bytes + 4);
		events->smi_pending = !!(vcpu->qemu.interrupt_request & CPU_INTERRUPT_SMI);
		events->smi_latched_init = !!(vcpu->qemu.interrupt_request & CPU_INTERRUPT_INIT);
	}
	/* struct APICCommonState: be32 apicbase, u8 id, u8 arb_id, u8 tpr. */
	if (apic && apic->payload.size >= 7) {
		vcpu->view.sregs.apic_base = nm_be32(apic->payload.bytes);
		vcpu->view.sregs.cr8 = apic->payload.bytes[6] >> 4;
	}
	/* cpu_post_load: an exception that is neither pending nor injected counts as injected. */
	if (vcpu->qemu.exception_nr != -1 && !events->exc_pending && !events->exc_injected)
		events->exc_injected = 1;
	return finish_nested(vcpu, detail);
}
