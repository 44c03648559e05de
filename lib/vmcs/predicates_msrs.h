/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Predicates on the MSR areas of a VMCS12, in guest memory. Included by predicates.h. */

#define NM_MSR_UCODE_WRITE 0x79
#define NM_MSR_UCODE_REV   0x8b
#define NM_MSR_SMM_MONITOR 0x9b
#define NM_MSR_SMBASE      0x9e
#define NM_MSR_FS_BASE     0xc0000100
#define NM_MSR_GS_BASE     0xc0000101

typedef enum nestmig_holds nm_msr_check(const struct nestmig_ctx *c, uint32_t index,
					uint32_t reserved);

/* Of every entry of an area that is used. What is not there or is too long other rules judge; of an
 * allowed one that is longer than what was read it is unknown, if nothing is wrong so far. */
static inline enum nestmig_holds nm_each_msr(const struct nestmig_ctx *c,
					     enum nestmig_msr_area area, uint64_t count,
					     enum nestmig_backed backed, nm_msr_check *check)
{
	const uint8_t *entry = c->v->msr_areas[area];
	enum nestmig_holds holds = NESTMIG_HOLDS;

	if (!count || backed == NESTMIG_BACKED_NO)
		return NESTMIG_HOLDS;
	if (!(c->v->have >> (NESTMIG_ITEM_ENTRY_LOAD + (unsigned)area) & 1))
		return NESTMIG_UNKNOWN;
	for (unsigned i = 0; i < count && i < NESTMIG_MSR_AREA_MAX; i++) {
		holds = nm_both(holds, check(c, nm_le32(entry), nm_le32(entry + 4)));
		entry += NESTMIG_MSR_ENTRY_SIZE;
	}
	if (count > NESTMIG_MSR_AREA_MAX && nm_msr_count(c, count) != NESTMIG_BROKEN)
		holds = nm_both(holds, NESTMIG_UNKNOWN);
	return holds;
}

static inline enum nestmig_holds nm_each_entry_msr(const struct nestmig_ctx *c, nm_msr_check *check)
{
	return nm_each_msr(c, NESTMIG_AREA_ENTRY_LOAD, vmcs12_vm_entry_msr_load_count(c->v->vmcs12),
			   c->vmx_mem.entry_load, check);
}

/* In x2APIC mode an x2APIC register may not be in a list. A stream that brings no APIC base has 0. */
static inline enum nestmig_holds nm_msr_x2apic(const struct nestmig_ctx *c, uint32_t index,
					       uint32_t reserved)
{
	uint64_t apic_base = c->v->sregs.apic_base;

	(void)reserved;
	if (index >> 8 != 0x8)
		return NESTMIG_HOLDS;
	if (!(c->v->have & NESTMIG_HAVE(SREGS)) || !apic_base)
		return NESTMIG_UNKNOWN;
	return nm_holds(!(apic_base >> 10 & 1));
}

static inline enum nestmig_holds nm_msr_not_fs(const struct nestmig_ctx *c, uint32_t index,
					       uint32_t reserved)
{
	(void)c, (void)reserved;
	return nm_holds(index != NM_MSR_FS_BASE);
}

static inline enum nestmig_holds nm_msr_not_gs(const struct nestmig_ctx *c, uint32_t index,
					       uint32_t reserved)
{
	(void)c, (void)reserved;
	return nm_holds(index != NM_MSR_GS_BASE);
}

static inline enum nestmig_holds nm_msr_not_smm_monitor(const struct nestmig_ctx *c, uint32_t index,
							uint32_t reserved)
{
	(void)c, (void)reserved;
	return nm_holds(index != NM_MSR_SMM_MONITOR);
}

static inline enum nestmig_holds nm_msr_not_ucode_write(const struct nestmig_ctx *c, uint32_t index,
							uint32_t reserved)
{
	(void)c, (void)reserved;
	return nm_holds(index != NM_MSR_UCODE_WRITE);
}

static inline enum nestmig_holds nm_msr_not_ucode_rev(const struct nestmig_ctx *c, uint32_t index,
						      uint32_t reserved)
{
	(void)c, (void)reserved;
	return nm_holds(index != NM_MSR_UCODE_REV);
}

static inline enum nestmig_holds nm_msr_reserved(const struct nestmig_ctx *c, uint32_t index,
						 uint32_t reserved)
{
	(void)c, (void)index;
	return nm_holds(!reserved);
}

/* nested_vmx_msr_check_common */
static inline enum nestmig_holds nm_msr_common(const struct nestmig_ctx *c, uint32_t index,
					       uint32_t reserved)
{
	return nm_both(
		nm_holds(index != NM_MSR_UCODE_WRITE && index != NM_MSR_UCODE_REV && !reserved),
		nm_msr_x2apic(c, index, reserved));
}

/* nested_vmx_load_msr_check */
static inline enum nestmig_holds nm_msr_loadable(const struct nestmig_ctx *c, uint32_t index,
						 uint32_t reserved)
{
	return nm_both(nm_holds(index != NM_MSR_FS_BASE && index != NM_MSR_GS_BASE &&
				index != NM_MSR_SMM_MONITOR),
		       nm_msr_common(c, index, reserved));
}

/* nested_vmx_store_msr_check */
static inline enum nestmig_holds nm_msr_storable(const struct nestmig_ctx *c, uint32_t index,
						 uint32_t reserved)
{
	return nm_both(nm_holds(index != NM_MSR_SMBASE), nm_msr_common(c, index, reserved));
}

static inline enum nestmig_holds rule_vmx_msrload_fsbase(const struct nestmig_ctx *c)
{
	return nm_each_entry_msr(c, nm_msr_not_fs);
}

static inline enum nestmig_holds rule_vmx_msrload_gsbase(const struct nestmig_ctx *c)
{
	return nm_each_entry_msr(c, nm_msr_not_gs);
}

static inline enum nestmig_holds rule_vmx_msrload_smm_monitor(const struct nestmig_ctx *c)
{
	return nm_each_entry_msr(c, nm_msr_not_smm_monitor);
}

static inline enum nestmig_holds rule_vmx_msrload_ucode_write(const struct nestmig_ctx *c)
{
	return nm_each_entry_msr(c, nm_msr_not_ucode_write);
}

static inline enum nestmig_holds rule_vmx_msrload_ucode_rev(const struct nestmig_ctx *c)
{
	return nm_each_entry_msr(c, nm_msr_not_ucode_rev);
}

static inline enum nestmig_holds rule_vmx_msrload_reserved(const struct nestmig_ctx *c)
{
	return nm_each_entry_msr(c, nm_msr_reserved);
}

static inline enum nestmig_holds rule_vmx_msrload_x2apic(const struct nestmig_ctx *c)
{
	return nm_each_entry_msr(c, nm_msr_x2apic);
}

static inline enum nestmig_holds rule_vmx_msrload_readable(const struct nestmig_ctx *c)
{
	return nm_backed(c->vmx_mem.entry_load);
}

static inline enum nestmig_holds rule_vmx_msrexitload_entry(const struct nestmig_ctx *c)
{
	return nm_each_msr(c, NESTMIG_AREA_EXIT_LOAD, vmcs12_vm_exit_msr_load_count(c->v->vmcs12),
			   c->vmx_mem.exit_load, nm_msr_loadable);
}

static inline enum nestmig_holds rule_vmx_msrexitload_readable(const struct nestmig_ctx *c)
{
	return nm_backed(c->vmx_mem.exit_load);
}

static inline enum nestmig_holds rule_vmx_msrexitstore_entry(const struct nestmig_ctx *c)
{
	return nm_each_msr(c, NESTMIG_AREA_EXIT_STORE, vmcs12_vm_exit_msr_store_count(c->v->vmcs12),
			   c->vmx_mem.exit_store, nm_msr_storable);
}

static inline enum nestmig_holds rule_vmx_msrexitstore_writable(const struct nestmig_ctx *c)
{
	return nm_backed(c->vmx_mem.exit_store);
}
