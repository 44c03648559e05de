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

/* Is there a list to judge: HOLDS if there is, BROKEN if not. Entries that are 0 do not count, nor does
 * the EPT pointer that is in use, which KVM does not judge again. */
static inline enum nestmig_holds nm_has_eptps(const struct nestmig_ctx *c)
{
	if (!nm_eptp_switching(c) || !nm_ept(c) || c->vmx_mem.eptp_list == NESTMIG_BACKED_NO)
		return NESTMIG_BROKEN;
	return c->v->have & NESTMIG_HAVE(EPTP_LIST) ? NESTMIG_HOLDS : NESTMIG_UNKNOWN;
}

/* Of what all entries have together. */
static inline enum nestmig_holds nm_of_eptps(const struct nestmig_ctx *c, nm_eptp_check *check)
{
	switch (nm_has_eptps(c)) {
	case NESTMIG_HOLDS:
		return check(c, c->v->eptps.any);
	case NESTMIG_UNKNOWN:
		return NESTMIG_UNKNOWN;
	default:
		return NESTMIG_HOLDS;
	}
}

/* Of each kind that the entries have: bit n of kinds stands for the value n << shift. */
static inline enum nestmig_holds nm_of_eptp_kinds(const struct nestmig_ctx *c, uint8_t kinds,
						  unsigned shift, nm_eptp_check *check)
{
	enum nestmig_holds holds = NESTMIG_HOLDS, has = nm_has_eptps(c);

	if (has != NESTMIG_HOLDS)
		return has == NESTMIG_BROKEN ? NESTMIG_HOLDS : NESTMIG_UNKNOWN;
	for (unsigned n = 0; kinds >> n; n++)
		if (kinds >> n & 1)
			holds = nm_both(holds, check(c, (uint64_t)n << shift));
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
	return nm_of_eptp_kinds(c, c->v->eptps.memtypes, 0, nm_eptp_memtype);
}

static inline enum nestmig_holds rule_vmx_vmfunc_entry_walk(const struct nestmig_ctx *c)
{
	return nm_of_eptp_kinds(c, c->v->eptps.walks, 3, nm_eptp_walk);
}

static inline enum nestmig_holds rule_vmx_vmfunc_entry_ad(const struct nestmig_ctx *c)
{
	return nm_of_eptps(c, nm_eptp_ad);
}

static inline enum nestmig_holds rule_vmx_vmfunc_entry_reserved(const struct nestmig_ctx *c)
{
	return nm_of_eptps(c, nm_eptp_low);
}

static inline enum nestmig_holds rule_vmx_vmfunc_entry_width(const struct nestmig_ctx *c)
{
	return nm_of_eptps(c, nm_eptp_width);
}

/* Would KVM switch to it (nested_vmx_check_eptp)? */
static inline enum nestmig_holds nm_eptp_valid(const struct nestmig_ctx *c, uint64_t eptp)
{
	enum nestmig_holds low = nm_both(nm_eptp_low(c, eptp), nm_eptp_width(c, eptp));
	enum nestmig_holds caps = nm_both(nm_eptp_memtype(c, eptp), nm_eptp_walk(c, eptp));

	return nm_both(nm_both(low, caps), nm_eptp_ad(c, eptp));
}

/* Of entries that KVM switches to: others never get that far. */
static inline enum nestmig_holds nm_eptp_backed(const struct nestmig_ctx *c,
						const struct nestmig_eptp *eptp)
{
	enum nestmig_holds valid, backed;

	backed = nm_backed(eptp->root);
	if (backed == NESTMIG_HOLDS || eptp->value == vmcs12_ept_pointer(c->v->vmcs12))
		return NESTMIG_HOLDS;
	valid = nm_eptp_valid(c, eptp->value);
	if (valid == NESTMIG_BROKEN)
		return NESTMIG_HOLDS;
	return valid == NESTMIG_HOLDS ? backed : NESTMIG_UNKNOWN;
}

/* Of entry n, after those before it. */
NM_SHARED_ARGS(enum nestmig_holds, nm_eptps_backed_to, NESTMIG_UNKNOWN,
	       (const struct nestmig_ctx *c, unsigned n, enum nestmig_holds before), (c, n, before))
{
	if (n >= NESTMIG_EPTPS)
		return NESTMIG_UNKNOWN;
	return nm_both(before, nm_eptp_backed(c, &c->v->eptps.entries[n]));
}

static inline enum nestmig_holds rule_vmx_vmfunc_entry_root_backed(const struct nestmig_ctx *c)
{
	enum nestmig_holds holds = NESTMIG_HOLDS, has = nm_has_eptps(c);

	if (has != NESTMIG_HOLDS)
		return has == NESTMIG_BROKEN ? NESTMIG_HOLDS : NESTMIG_UNKNOWN;
	if (!c->v->eptps.unbacked)
		return NESTMIG_HOLDS;
	for (unsigned i = 0; i < c->v->eptps.count && i < NESTMIG_EPTPS; i++)
		holds = nm_eptps_backed_to(c, i, holds);
	return holds;
}

/* ---- The root table of the EPT --------------------------------------------------------------- */

#define NM_EPT_NONLEAF UINT64_C(0xf8)
#define NM_EPT_ADDRESS UINT64_C(0x000ffffffffff000)

/* Is there a table to judge? As nm_has_eptps. */
static inline enum nestmig_holds nm_has_ept_root(const struct nestmig_ctx *c)
{
	if (!nm_ept(c) || c->vmx_mem.ept_root == NESTMIG_BACKED_NO)
		return NESTMIG_BROKEN;
	return c->v->have & NESTMIG_HAVE(EPT_ROOT) ? NESTMIG_HOLDS : NESTMIG_UNKNOWN;
}

/* What the present entries say, if there are any. */
static inline enum nestmig_holds nm_of_ept_root(const struct nestmig_ctx *c,
						enum nestmig_holds holds)
{
	switch (nm_has_ept_root(c)) {
	case NESTMIG_HOLDS:
		return holds;
	case NESTMIG_UNKNOWN:
		return NESTMIG_UNKNOWN;
	default:
		return NESTMIG_HOLDS;
	}
}

static inline enum nestmig_holds rule_vmx_ept_w_without_r(const struct nestmig_ctx *c)
{
	return nm_of_ept_root(c, nm_holds(!c->v->ept_root.write_only));
}

static inline enum nestmig_holds rule_vmx_ept_xonly(const struct nestmig_ctx *c)
{
	if (!c->v->ept_root.execute_only)
		return nm_of_ept_root(c, NESTMIG_HOLDS);
	return nm_of_ept_root(c, nm_offered(c->vmx.ept_yes, c->vmx.ept_no, EPT_CAP_XONLY));
}

static inline enum nestmig_holds rule_vmx_ept_high_reserved(const struct nestmig_ctx *c)
{
	return nm_of_ept_root(c, nm_fits(&c->lim, c->v->ept_root.any & NM_EPT_ADDRESS));
}

static inline enum nestmig_holds rule_vmx_ept_nonleaf_low(const struct nestmig_ctx *c)
{
	return nm_of_ept_root(c, nm_holds(!(c->v->ept_root.any & NM_EPT_NONLEAF)));
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
