/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Predicates on VM-exit and VM-entry controls and on injected events. Included by predicates.h. */

static inline enum nestmig_holds rule_vmx_exit_allowed0(const struct nestmig_ctx *c)
{
	return nm_ones(&c->vmx.exit, vmcs12_vm_exit_controls(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_exit_allowed1(const struct nestmig_ctx *c)
{
	return nm_zeros(&c->vmx.exit, vmcs12_vm_exit_controls(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_entry_allowed0(const struct nestmig_ctx *c)
{
	return nm_ones(&c->vmx.entry, vmcs12_vm_entry_controls(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_entry_allowed1(const struct nestmig_ctx *c)
{
	return nm_zeros(&c->vmx.entry, vmcs12_vm_entry_controls(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_entry_to_smm_outside(const struct nestmig_ctx *c)
{
	return nm_holds(
		!(vmcs12_vm_entry_controls(c->v->vmcs12) & (ENTRY_TO_SMM | ENTRY_DUAL_MONITOR)));
}

static inline enum nestmig_holds rule_vmx_entry_smm_excl(const struct nestmig_ctx *c)
{
	return nm_holds(!vmcs12_entry(c->v->vmcs12, ENTRY_TO_SMM | ENTRY_DUAL_MONITOR));
}

/* ---- MSR areas (nested_vmx_check_msr_switch) ------------------------------------------------- */

#define NM_MSR_ENTRY_SIZE 16

static inline enum nestmig_holds nm_msr_area_addr(const struct nestmig_ctx *c, uint64_t address,
						  uint64_t count)
{
	if (!count)
		return NESTMIG_HOLDS;
	return address & 0xf ? NESTMIG_BROKEN : nm_fits(&c->lim, address);
}

static inline enum nestmig_holds nm_msr_area_last(const struct nestmig_ctx *c, uint64_t address,
						  uint64_t count)
{
	return count ? nm_fits(&c->lim, address + count * NM_MSR_ENTRY_SIZE - 1) : NESTMIG_HOLDS;
}

static inline enum nestmig_holds rule_vmx_exit_msrstore_addr(const struct nestmig_ctx *c)
{
	return nm_msr_area_addr(c, vmcs12_vm_exit_msr_store_addr(c->v->vmcs12),
				vmcs12_vm_exit_msr_store_count(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_exit_msrstore_last(const struct nestmig_ctx *c)
{
	return nm_msr_area_last(c, vmcs12_vm_exit_msr_store_addr(c->v->vmcs12),
				vmcs12_vm_exit_msr_store_count(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_exit_msrload_addr(const struct nestmig_ctx *c)
{
	return nm_msr_area_addr(c, vmcs12_vm_exit_msr_load_addr(c->v->vmcs12),
				vmcs12_vm_exit_msr_load_count(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_exit_msrload_last(const struct nestmig_ctx *c)
{
	return nm_msr_area_last(c, vmcs12_vm_exit_msr_load_addr(c->v->vmcs12),
				vmcs12_vm_exit_msr_load_count(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_entry_msrload_addr(const struct nestmig_ctx *c)
{
	return nm_msr_area_addr(c, vmcs12_vm_entry_msr_load_addr(c->v->vmcs12),
				vmcs12_vm_entry_msr_load_count(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_entry_msrload_last(const struct nestmig_ctx *c)
{
	return nm_msr_area_last(c, vmcs12_vm_entry_msr_load_addr(c->v->vmcs12),
				vmcs12_vm_entry_msr_load_count(c->v->vmcs12));
}

/* 512 entries for each step of IA32_VMX_MISC bits 27:25, of which there is at least one. */
static inline enum nestmig_holds nm_msr_count(const struct nestmig_ctx *c, uint64_t count)
{
	uint64_t misc;

	if (count <= 512)
		return NESTMIG_HOLDS;
	if (!nm_vmx_msr(c, VMX_MISC, &misc))
		return NESTMIG_UNKNOWN;
	return nm_holds(count <= ((misc >> 25 & 7) + 1) * 512);
}

static inline enum nestmig_holds rule_vmx_exit_msr_count_limit(const struct nestmig_ctx *c)
{
	return nm_both(nm_msr_count(c, vmcs12_vm_exit_msr_store_count(c->v->vmcs12)),
		       nm_msr_count(c, vmcs12_vm_exit_msr_load_count(c->v->vmcs12)));
}

static inline enum nestmig_holds rule_vmx_entry_msr_count_limit(const struct nestmig_ctx *c)
{
	return nm_msr_count(c, vmcs12_vm_entry_msr_load_count(c->v->vmcs12));
}

/* ---- Injected events ------------------------------------------------------------------------- */

/* Vectors that push an error code as KVM's nested_check_vm_entry_controls sees it: #DF #TS #NP #SS #GP
 * #PF #AC. */
#define NM_VMX_ERROR_CODE_VECTORS 0x00027d00U

/* The field with its valid bit, or 0: nothing is injected. */
static inline uint64_t nm_injected(const struct nestmig_ctx *c)
{
	uint64_t info = vmcs12_vm_entry_intr_info_field(c->v->vmcs12);

	return info & INJECT_VALID ? info : 0;
}

static inline int nm_injects(const struct nestmig_ctx *c, enum inject_type type)
{
	return nm_injected(c) && INJECT_TYPE(nm_injected(c)) == (unsigned)type;
}

static inline enum nestmig_holds rule_vmx_inject_type_reserved(const struct nestmig_ctx *c)
{
	return nm_holds(!nm_injects(c, INJECT_TYPE_RESERVED));
}

/* Is the control MTF offered (nested_cpu_supports_monitor_trap_flag)? */
static inline enum nestmig_holds rule_vmx_inject_type_other_mtf(const struct nestmig_ctx *c)
{
	return nm_injects(c, INJECT_OTHER) ? nm_zeros(&c->vmx.proc, PROC_MTF) : NESTMIG_HOLDS;
}

static inline enum nestmig_holds rule_vmx_inject_nmi_vector(const struct nestmig_ctx *c)
{
	return nm_implies(nm_injects(c, INJECT_NMI), INJECT_VECTOR(nm_injected(c)) == 2);
}

static inline enum nestmig_holds rule_vmx_inject_hwexc_vector(const struct nestmig_ctx *c)
{
	return nm_implies(nm_injects(c, INJECT_HARD), INJECT_VECTOR(nm_injected(c)) < 32);
}

static inline enum nestmig_holds rule_vmx_inject_other_vector(const struct nestmig_ctx *c)
{
	return nm_implies(nm_injects(c, INJECT_OTHER), INJECT_VECTOR(nm_injected(c)) == 0);
}

static inline enum nestmig_holds rule_vmx_inject_errcode_forbidden_type(const struct nestmig_ctx *c)
{
	return nm_implies(nm_injected(c) & INJECT_EV ? 1 : 0, nm_injects(c, INJECT_HARD));
}

/* L2 in real mode, which takes unrestricted guest. */
static inline int nm_vmcs12_real_mode(const struct nestmig_ctx *c)
{
	return vmcs12_proc2(c->v->vmcs12, PROC2_URG) &&
	       !(vmcs12_guest_cr0(c->v->vmcs12) & NM_CR0_PE);
}

static inline enum nestmig_holds rule_vmx_inject_errcode_real_mode(const struct nestmig_ctx *c)
{
	return nm_holds(!(nm_injected(c) & INJECT_EV) || !nm_vmcs12_real_mode(c));
}

static inline enum nestmig_holds rule_vmx_inject_errcode_vector_match(const struct nestmig_ctx *c)
{
	unsigned vector = INJECT_VECTOR(nm_injected(c));
	int has_code = vector < 32 && (NM_VMX_ERROR_CODE_VECTORS >> vector & 1);

	if (!nm_injects(c, INJECT_HARD) || nm_vmcs12_real_mode(c))
		return NESTMIG_HOLDS;
	return nm_holds(has_code == !!(nm_injected(c) & INJECT_EV));
}

static inline enum nestmig_holds rule_vmx_inject_reserved_bits(const struct nestmig_ctx *c)
{
	return nm_holds(!(nm_injected(c) & INJECT_RESERVED));
}

static inline enum nestmig_holds rule_vmx_inject_errcode_high(const struct nestmig_ctx *c)
{
	return nm_holds(!(nm_injected(c) & INJECT_EV) ||
			!(vmcs12_vm_entry_exception_error_code(c->v->vmcs12) >> 16));
}

/* Does the instruction length count? */
static inline int nm_injects_software(const struct nestmig_ctx *c)
{
	return nm_injects(c, INJECT_SOFT_INTR) || nm_injects(c, INJECT_PRIV_SOFT) ||
	       nm_injects(c, INJECT_SOFT);
}

static inline enum nestmig_holds rule_vmx_inject_ilen_max(const struct nestmig_ctx *c)
{
	return nm_implies(nm_injects_software(c),
			  vmcs12_vm_entry_instruction_len(c->v->vmcs12) <= 15);
}

static inline enum nestmig_holds rule_vmx_inject_ilen_zero(const struct nestmig_ctx *c)
{
	if (!nm_injects_software(c) || vmcs12_vm_entry_instruction_len(c->v->vmcs12))
		return NESTMIG_HOLDS;
	return nm_offered(c->vmx.misc_yes, c->vmx.misc_no, 30);
}
