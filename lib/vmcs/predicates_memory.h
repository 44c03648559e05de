/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Predicates on what of guest memory a VMCS12 points at. Included by predicates.h. */

static inline enum nestmig_holds nm_backed_if(int on, enum nestmig_backed backed)
{
	return on ? nm_backed(backed) : NESTMIG_HOLDS;
}

static inline enum nestmig_holds rule_vmx_back_apic_access(const struct nestmig_ctx *c)
{
	return nm_backed_if(vmcs12_proc2(c->v->vmcs12, PROC2_APIC_ACCESS), c->vmx_mem.apic_access);
}

/* Where CR8 accesses exit and APIC accesses are not virtualized, KVM does without the shadow. */
static inline enum nestmig_holds rule_vmx_back_vapic(const struct nestmig_ctx *c)
{
	const uint8_t *p = c->v->vmcs12;
	int unused = vmcs12_proc(p, PROC_CR8_LOAD | PROC_CR8_STORE) &&
		     !vmcs12_proc2(p, PROC2_APIC_ACCESS);

	return nm_backed_if(vmcs12_proc(p, PROC_TPR_SHADOW) && !unused, c->vmx_mem.vapic);
}

static inline enum nestmig_holds rule_vmx_back_pi_desc(const struct nestmig_ctx *c)
{
	return nm_backed_if(nm_posted(c), c->vmx_mem.posted);
}

static inline enum nestmig_holds rule_vmx_back_msr_bitmap(const struct nestmig_ctx *c)
{
	return nm_backed_if(vmcs12_proc(c->v->vmcs12, PROC_MSR_BITMAPS), c->vmx_mem.msr_bitmap);
}

static inline enum nestmig_holds rule_vmx_back_io_bitmaps(const struct nestmig_ctx *c)
{
	int on = vmcs12_proc(c->v->vmcs12, PROC_IO_BITMAPS);

	return nm_both(nm_backed_if(on, c->vmx_mem.io_bitmap_a),
		       nm_backed_if(on, c->vmx_mem.io_bitmap_b));
}

static inline enum nestmig_holds rule_vmx_back_vmrw_bitmaps(const struct nestmig_ctx *c)
{
	int on = vmcs12_proc2(c->v->vmcs12, PROC2_SHADOW);

	return nm_both(nm_backed_if(on, c->vmx_mem.vmread_bitmap),
		       nm_backed_if(on, c->vmx_mem.vmwrite_bitmap));
}

static inline enum nestmig_holds rule_vmx_back_pml_page(const struct nestmig_ctx *c)
{
	return nm_backed_if(vmcs12_proc2(c->v->vmcs12, PROC2_PML), c->vmx_mem.pml);
}

static inline enum nestmig_holds rule_vmx_back_pml_index(const struct nestmig_ctx *c)
{
	return nm_implies(vmcs12_proc2(c->v->vmcs12, PROC2_PML),
			  vmcs12_guest_pml_index(c->v->vmcs12) < 512);
}

static inline enum nestmig_holds rule_vmx_back_vmcs12_region(const struct nestmig_ctx *c)
{
	return nm_backed_if(c->v->nested.vmcs12_pa != VMCS12_NO_GPA, c->vmx_mem.vmcs12);
}

static inline enum nestmig_holds rule_vmx_ept_root_backed(const struct nestmig_ctx *c)
{
	return nm_backed_if(nm_ept(c), c->vmx_mem.ept_root);
}

static inline enum nestmig_holds rule_vmx_vmfunc_list_backed(const struct nestmig_ctx *c)
{
	return nm_backed_if(nm_eptp_switching(c), c->vmx_mem.eptp_list);
}

/* What is not there is judged by the rules above, not by those on its contents. */

/* ---- The EPTP list --------------------------------------------------------------------------- */

typedef enum nestmig_holds nm_eptp_check(const struct nestmig_ctx *c, uint64_t eptp);

/* Of every entry but the EPT pointer that is in use, which KVM does not judge again. */
static inline enum nestmig_holds nm_each_eptp(const struct nestmig_ctx *c, nm_eptp_check *check)
{
	uint64_t current = vmcs12_ept_pointer(c->v->vmcs12);
	enum nestmig_holds holds = NESTMIG_HOLDS;

	if (!nm_eptp_switching(c) || !nm_ept(c) || c->vmx_mem.eptp_list == NESTMIG_BACKED_NO)
		return NESTMIG_HOLDS;
	if (!(c->v->have & NESTMIG_HAVE(EPTP_LIST)))
		return NESTMIG_UNKNOWN;
	for (unsigned i = 0; i < c->v->eptp_count; i++)
		if (c->v->eptps[i].value != current)
			holds = nm_both(holds, check(c, c->v->eptps[i].value));
	return holds;
}

static inline enum nestmig_holds nm_eptp_low(const struct nestmig_ctx *c, uint64_t eptp)
{
	(void)c;
	return nm_holds(!(eptp & (EPTP_SSS | EPTP_RESERVED)));
}

static inline enum nestmig_holds nm_eptp_width(const struct nestmig_ctx *c, uint64_t eptp)
{
	return nm_fits(&c->lim, eptp);
}

static inline enum nestmig_holds rule_vmx_vmfunc_entry_memtype(const struct nestmig_ctx *c)
{
	return nm_each_eptp(c, nm_eptp_memtype);
}

static inline enum nestmig_holds rule_vmx_vmfunc_entry_walk(const struct nestmig_ctx *c)
{
	return nm_each_eptp(c, nm_eptp_walk);
}

static inline enum nestmig_holds rule_vmx_vmfunc_entry_ad(const struct nestmig_ctx *c)
{
	return nm_each_eptp(c, nm_eptp_ad);
}

static inline enum nestmig_holds rule_vmx_vmfunc_entry_reserved(const struct nestmig_ctx *c)
{
	return nm_each_eptp(c, nm_eptp_low);
}

static inline enum nestmig_holds rule_vmx_vmfunc_entry_width(const struct nestmig_ctx *c)
{
	return nm_each_eptp(c, nm_eptp_width);
}

/* Would KVM switch to it (nested_vmx_check_eptp)? */
static inline enum nestmig_holds nm_eptp_valid(const struct nestmig_ctx *c, uint64_t eptp)
{
	enum nestmig_holds low = nm_both(nm_eptp_low(c, eptp), nm_eptp_width(c, eptp));
	enum nestmig_holds caps = nm_both(nm_eptp_memtype(c, eptp), nm_eptp_walk(c, eptp));

	return nm_both(nm_both(low, caps), nm_eptp_ad(c, eptp));
}

/* Of entries that KVM switches to: others never get that far. */
static inline enum nestmig_holds rule_vmx_vmfunc_entry_root_backed(const struct nestmig_ctx *c)
{
	uint64_t current = vmcs12_ept_pointer(c->v->vmcs12);
	enum nestmig_holds holds = NESTMIG_HOLDS;

	if (!nm_eptp_switching(c) || !nm_ept(c) || c->vmx_mem.eptp_list == NESTMIG_BACKED_NO)
		return NESTMIG_HOLDS;
	if (!(c->v->have & NESTMIG_HAVE(EPTP_LIST)))
		return NESTMIG_UNKNOWN;
	for (unsigned i = 0; i < c->v->eptp_count; i++) {
		const struct nestmig_eptp *eptp = &c->v->eptps[i];

		if (eptp->value != current && nm_eptp_valid(c, eptp->value) != NESTMIG_BROKEN)
			holds = nm_both(holds, nm_backed(eptp->root));
	}
	return holds;
}

/* ---- The root table of the EPT --------------------------------------------------------------- */

#define NM_EPT_RWX     7
#define NM_EPT_NONLEAF UINT64_C(0xf8)
#define NM_EPT_ADDRESS UINT64_C(0x000ffffffffff000)

/* Of every present entry. */
static inline enum nestmig_holds nm_each_ept_entry(const struct nestmig_ctx *c,
						   nm_eptp_check *check)
{
	enum nestmig_holds holds = NESTMIG_HOLDS;

	if (!nm_ept(c) || c->vmx_mem.ept_root == NESTMIG_BACKED_NO)
		return NESTMIG_HOLDS;
	if (!(c->v->have & NESTMIG_HAVE(EPT_ROOT)))
		return NESTMIG_UNKNOWN;
	for (unsigned i = 0; i < 512; i++) {
		uint64_t entry = nm_le64(c->v->ept_root + 8 * i);

		if (entry & NM_EPT_RWX)
			holds = nm_both(holds, check(c, entry));
	}
	return holds;
}

static inline enum nestmig_holds nm_ept_readable(const struct nestmig_ctx *c, uint64_t entry)
{
	(void)c;
	return nm_holds((entry & 3) != 2);
}

static inline enum nestmig_holds nm_ept_xonly(const struct nestmig_ctx *c, uint64_t entry)
{
	if ((entry & NM_EPT_RWX) != 4)
		return NESTMIG_HOLDS;
	return nm_offered(c->vmx.ept_yes, c->vmx.ept_no, EPT_CAP_XONLY);
}

static inline enum nestmig_holds nm_ept_fits(const struct nestmig_ctx *c, uint64_t entry)
{
	return nm_fits(&c->lim, entry & NM_EPT_ADDRESS);
}

static inline enum nestmig_holds nm_ept_low(const struct nestmig_ctx *c, uint64_t entry)
{
	(void)c;
	return nm_holds(!(entry & NM_EPT_NONLEAF));
}

static inline enum nestmig_holds rule_vmx_ept_w_without_r(const struct nestmig_ctx *c)
{
	return nm_each_ept_entry(c, nm_ept_readable);
}

static inline enum nestmig_holds rule_vmx_ept_xonly(const struct nestmig_ctx *c)
{
	return nm_each_ept_entry(c, nm_ept_xonly);
}

static inline enum nestmig_holds rule_vmx_ept_high_reserved(const struct nestmig_ctx *c)
{
	return nm_each_ept_entry(c, nm_ept_fits);
}

static inline enum nestmig_holds rule_vmx_ept_nonleaf_low(const struct nestmig_ctx *c)
{
	return nm_each_ept_entry(c, nm_ept_low);
}

/* ---- The task priority ----------------------------------------------------------------------- */

static inline enum nestmig_holds rule_vmx_tpr_threshold_vtpr(const struct nestmig_ctx *c)
{
	const uint8_t *p = c->v->vmcs12;
	unsigned threshold = vmcs12_tpr_threshold(p) & 0xf;

	if (!vmcs12_proc(p, PROC_TPR_SHADOW) || vmcs12_proc2(p, PROC2_VID) ||
	    vmcs12_proc2(p, PROC2_APIC_ACCESS) || !threshold ||
	    c->vmx_mem.vapic == NESTMIG_BACKED_NO)
		return NESTMIG_HOLDS;
	if (!(c->v->have & NESTMIG_HAVE(VTPR)))
		return NESTMIG_UNKNOWN;
	return nm_holds(threshold <= c->v->vtpr >> 4);
}
