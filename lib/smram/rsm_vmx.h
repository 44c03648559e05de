/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The L2 of VMX that RSM enters again: first as the VMCS12 has it, then with what the image has on top.
 * KVM judges it as it judges one that KVM_SET_SREGS has changed, with a VM entry pending. Included by
 * predicates.h.
 */

/* A segment register as rsm_load_seg_64 and emulator_set_segment make it: absent is unusable. */
static inline struct nestmig_segment nm_image_segment(uint64_t selector, uint64_t attributes,
						      uint64_t limit, uint64_t base)
{
	unsigned bits = (unsigned)attributes;
	int g = !!(bits & 0x8000);

	limit &= 0xfffff;
	return (struct nestmig_segment){
		.base = base,
		.limit = (uint32_t)(g ? limit << 12 | 0xfff : limit),
		.selector = (uint16_t)selector,
		.type = bits & 15,
		.s = bits >> 4 & 1,
		.dpl = bits >> 5 & 3,
		.present = bits >> 7 & 1,
		.avl = bits >> 12 & 1,
		.l = bits >> 13 & 1,
		.db = bits >> 14 & 1,
		.g = (uint8_t)g,
		.unusable = !(bits >> 7 & 1),
	};
}

#define NM_IMAGE_SEGMENT(image, reg)                                                               \
	nm_image_segment(smram64_##reg##_selector(image), smram64_##reg##_attributes(image),       \
			 smram64_##reg##_limit(image), smram64_##reg##_base(image))

/* What the load makes of c: a vCPU in L2 whose live state is that of the image, in *ret_view. */
static inline struct nestmig_ctx nm_after_rsm(const struct nestmig_ctx *c, const struct nm_rsm *rsm,
					      struct nestmig_vcpu_view *ret_view)
{
	const uint8_t *image = c->v->smram;
	struct nestmig_sregs *sregs = &ret_view->sregs;
	struct nestmig_ctx ctx = *c;

	*ret_view = *c->v;
	sregs->es = NM_IMAGE_SEGMENT(image, es);
	sregs->cs = NM_IMAGE_SEGMENT(image, cs);
	sregs->ss = NM_IMAGE_SEGMENT(image, ss);
	sregs->ds = NM_IMAGE_SEGMENT(image, ds);
	sregs->fs = NM_IMAGE_SEGMENT(image, fs);
	sregs->gs = NM_IMAGE_SEGMENT(image, gs);
	sregs->ldt = NM_IMAGE_SEGMENT(image, ldtr);
	sregs->tr = NM_IMAGE_SEGMENT(image, tr);
	/* enter_lmode: TR has been loaded before CR0 */
	if (!(rsm->old_cr0 & NM_CR0_PG) && nm_long(rsm->loaded_efer, rsm->cr0))
		sregs->tr.type = 11;
	sregs->cr0 = rsm->cr0;
	sregs->cr3 = rsm->cr3;
	sregs->cr4 = rsm->cr4;
	sregs->efer = rsm->final_efer;
	ret_view->regs.rflags = smram64_rflags(image);
	ret_view->regs.rip = smram64_rip(image);
	ret_view->have |= NESTMIG_HAVE(SREGS) | NESTMIG_HAVE(REGS);
	ret_view->nested.flags |= KVMNS_GUEST_MODE;
	ret_view->nested.vmx_smm_flags = 0;
	ctx.v = ret_view;
	ctx.sregs_first = ctx.regs_first = 0;
	return ctx;
}

/* Do all checks hold of the L2 that RSM enters? Holds, too, where RSM enters none or fails before. */
static inline enum nestmig_holds nm_check_after_rsm(const struct nestmig_ctx *c,
						    nm_check *const *checks, unsigned count)
{
	enum nestmig_holds holds = NESTMIG_HOLDS;
	struct nestmig_vcpu_view view;
	struct nestmig_ctx ctx;
	struct nm_rsm rsm;

	if (!nm_rsm_is_vmx(c) || nm_rsm_path(c) == NM_RSM_TO_L1 || nm_rsm_path(c) == NM_RSM_STOPS)
		return NESTMIG_HOLDS;
	if (!nm_rsm_follow(c, &rsm))
		return NESTMIG_UNKNOWN;
	ctx = nm_after_rsm(c, &rsm, &view);
	for (unsigned i = 0; i < count; i++)
		holds = nm_both(holds, checks[i](&ctx));
	return holds;
}

/* In VMX operation CR4 is what IA32_VMX_CR4_FIXED0 and IA32_VMX_CR4_FIXED1 say (vmx_is_valid_cr4). */
static inline enum nestmig_holds rule_smm_cr4_vmxe_kvm(const struct nestmig_ctx *c)
{
	struct nm_rsm rsm;

	if (!nm_rsm_is_vmx(c) || c->no_nested)
		return NESTMIG_HOLDS;
	if (!nm_has(c, NESTMIG_HAVE(NESTED)))
		return NESTMIG_UNKNOWN;
	if (!(c->v->nested.vmx_smm_flags & VMX_SMM_VMXON) || nm_rsm_path(c) == NM_RSM_STOPS)
		return NESTMIG_HOLDS;
	if (!nm_rsm_follow(c, &rsm))
		return NESTMIG_UNKNOWN;
	return nm_both(nm_ones(&c->vmx.cr4, rsm.cr4), nm_zeros(&c->vmx.cr4, rsm.cr4));
}

static inline enum nestmig_holds rule_smm_vmx_emulation_required(const struct nestmig_ctx *c)
{
	static nm_check *const checks[] = {nm_vmx_guest_valid};

	return nm_check_after_rsm(c, checks, NM_COUNT(checks));
}

/* What the processor asks of the registers that the image has. */
static inline enum nestmig_holds rule_smm_vmx_guest_state(const struct nestmig_ctx *c)
{
	static nm_check *const checks[] = {
		rule_vmx_guest_cs_base_high,
		rule_vmx_guest_cs_d_l,
		rule_vmx_guest_cs_dpl_conf,
		rule_vmx_guest_cs_dpl_nonconf,
		rule_vmx_guest_cs_dpl_type3,
		rule_vmx_guest_cs_g_high,
		rule_vmx_guest_cs_g_low,
		rule_vmx_guest_cs_p,
		rule_vmx_guest_cs_s,
		rule_vmx_guest_cs_type,
		rule_vmx_guest_cs_type_urg,
		rule_vmx_guest_cs_v86_ar,
		rule_vmx_guest_cs_v86_base,
		rule_vmx_guest_cs_v86_limit,
		rule_vmx_guest_ds_base_high,
		rule_vmx_guest_ds_dpl,
		rule_vmx_guest_ds_g_high,
		rule_vmx_guest_ds_g_low,
		rule_vmx_guest_ds_s,
		rule_vmx_guest_ds_type_accessed,
		rule_vmx_guest_ds_type_readable,
		rule_vmx_guest_ds_v86_ar,
		rule_vmx_guest_ds_v86_base,
		rule_vmx_guest_ds_v86_limit,
		rule_vmx_guest_es_base_high,
		rule_vmx_guest_es_dpl,
		rule_vmx_guest_es_g_high,
		rule_vmx_guest_es_g_low,
		rule_vmx_guest_es_s,
		rule_vmx_guest_es_type_accessed,
		rule_vmx_guest_es_type_readable,
		rule_vmx_guest_es_v86_ar,
		rule_vmx_guest_es_v86_base,
		rule_vmx_guest_es_v86_limit,
		rule_vmx_guest_fs_dpl,
		rule_vmx_guest_fs_g_high,
		rule_vmx_guest_fs_g_low,
		rule_vmx_guest_fs_s,
		rule_vmx_guest_fs_type_accessed,
		rule_vmx_guest_fs_type_readable,
		rule_vmx_guest_fs_v86_ar,
		rule_vmx_guest_fs_v86_base,
		rule_vmx_guest_fs_v86_limit,
		rule_vmx_guest_gs_dpl,
		rule_vmx_guest_gs_g_high,
		rule_vmx_guest_gs_g_low,
		rule_vmx_guest_gs_s,
		rule_vmx_guest_gs_type_accessed,
		rule_vmx_guest_gs_type_readable,
		rule_vmx_guest_gs_v86_ar,
		rule_vmx_guest_gs_v86_base,
		rule_vmx_guest_gs_v86_limit,
		rule_vmx_guest_ldtr_g_high,
		rule_vmx_guest_ldtr_g_low,
		rule_vmx_guest_ldtr_s,
		rule_vmx_guest_ldtr_ti,
		rule_vmx_guest_ldtr_type,
		rule_vmx_guest_rflags_reserved,
		rule_vmx_guest_rflags_vm,
		rule_vmx_guest_rip_high,
		rule_vmx_guest_ss_base_high,
		rule_vmx_guest_ss_dpl_rpl,
		rule_vmx_guest_ss_dpl_zero,
		rule_vmx_guest_ss_g_high,
		rule_vmx_guest_ss_g_low,
		rule_vmx_guest_ss_rpl_cs_rpl,
		rule_vmx_guest_ss_s,
		rule_vmx_guest_ss_type,
		rule_vmx_guest_ss_v86_ar,
		rule_vmx_guest_ss_v86_base,
		rule_vmx_guest_ss_v86_limit,
		rule_vmx_guest_tr_g_high,
		rule_vmx_guest_tr_g_low,
		rule_vmx_guest_tr_s,
		rule_vmx_guest_tr_ti,
		rule_vmx_guest_tr_type_64,
		rule_vmx_guest_tr_type_legacy,
		rule_vmx_guest_tr_usable,
	};

	return nm_check_after_rsm(c, checks, NM_COUNT(checks));
}

/* L1, for which L2's exits go: nested_vmx_load_cr3 in load_vmcs12_host_state, else a VMX abort. */
static inline enum nestmig_holds rule_smm_vmx_host_cr3(const struct nestmig_ctx *c)
{
	enum nm_rsm_path path = nm_rsm_path(c);

	if (!nm_rsm_is_vmx(c) || path == NM_RSM_TO_L1 || path == NM_RSM_STOPS)
		return NESTMIG_HOLDS;
	if (!nm_has(c, NESTMIG_HAVE(VMCS12)))
		return NESTMIG_UNKNOWN;
	return nm_fits(&c->lim, vmcs12_host_cr3(c->v->vmcs12));
}

/* The root that KVM shadows for the L2 that RSM enters. */
static inline enum nestmig_holds rule_smm_vmx_root(const struct nestmig_ctx *c)
{
	struct nm_rsm rsm;

	if (!nm_rsm_is_vmx(c) || nm_rsm_path(c) == NM_RSM_TO_L1 || nm_rsm_path(c) == NM_RSM_STOPS)
		return NESTMIG_HOLDS;
	if (!nm_rsm_follow(c, &rsm) || !(c->h->have & NESTMIG_HAVE(HOST_PARAMS)))
		return NESTMIG_UNKNOWN;
	if (nm_rsm_l2_is_translated(c))
		return nm_backed(c->vmx_mem.ept_root);
	return c->h->ept || !(rsm.cr0 & NM_CR0_PG) ? NESTMIG_HOLDS : nm_backed(c->mem.rsm_cr3);
}
