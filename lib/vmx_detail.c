// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a finding on VMX state is about, in the words of the manual: which controls, which entries. */
#include <inttypes.h>

#include "bits.h"
#include "buf.h"
#include "judge.h"
#include "vmcs/predicates.h"

#define SHOWN_MAX 8 /* entries of a list that are named */

/* Names of the bits of a control field, "A, B and C"; bits without a name by their number. */
static void put_bits(struct nm_buf *buf, const char *field, uint64_t bits)
{
	const struct nm_bit *names = nm_bits_of(field);

	for (unsigned i = 0; i < 64; i++) {
		const struct nm_bit *name = names;
		uint64_t rest = i < 63 ? bits >> (i + 1) : 0;

		if (!(bits >> i & 1))
			continue;
		while (name && name->name && name->bit != i)
			name++;
		if (name && name->name && *name->name)
			nm_buf_puts(buf, name->name);
		else
			nm_buf_printf(buf, "bit %u", i);
		if (rest)
			nm_buf_puts(buf, rest & (rest - 1) ? ", " : " and ");
	}
}

/* ---- Controls -------------------------------------------------------------------------------- */

/* A control field, the rules on it and the MSR that rules it. */
struct control {
	enum nestmig_rule allowed0, allowed1, caps;
	const char *field;
	enum vmx_msr msr;
};

static const struct control controls[] = {
	{NESTMIG_RULE_vmx_pin_allowed0, NESTMIG_RULE_vmx_pin_allowed1,
	 NESTMIG_RULE_vmx_caps_true_pin, "vmcs12.pin_based_vm_exec_control", VMX_TRUE_PIN},
	{NESTMIG_RULE_vmx_proc_allowed0, NESTMIG_RULE_vmx_proc_allowed1,
	 NESTMIG_RULE_vmx_caps_true_proc, "vmcs12.cpu_based_vm_exec_control", VMX_TRUE_PROC},
	{NESTMIG_RULE_vmx_proc2_allowed0, NESTMIG_RULE_vmx_proc2_allowed1,
	 NESTMIG_RULE_vmx_caps_proc2, "vmcs12.secondary_vm_exec_control", VMX_PROC2},
	{NESTMIG_RULE_vmx_exit_allowed0, NESTMIG_RULE_vmx_exit_allowed1,
	 NESTMIG_RULE_vmx_caps_true_exit, "vmcs12.vm_exit_controls", VMX_TRUE_EXIT},
	{NESTMIG_RULE_vmx_entry_allowed0, NESTMIG_RULE_vmx_entry_allowed1,
	 NESTMIG_RULE_vmx_caps_true_entry, "vmcs12.vm_entry_controls", VMX_TRUE_ENTRY},
};

static uint64_t value_of(const struct nestmig_ctx *c, enum vmx_msr msr)
{
	const uint8_t *p = c->v->vmcs12;

	if (!(c->v->have & NESTMIG_HAVE(VMCS12)))
		return 0;
	switch (msr) {
	case VMX_TRUE_PIN:
		return vmcs12_pin_based_vm_exec_control(p);
	case VMX_TRUE_PROC:
		return vmcs12_cpu_based_vm_exec_control(p);
	case VMX_PROC2:
		return vmcs12_secondary(p);
	case VMX_TRUE_EXIT:
		return vmcs12_vm_exit_controls(p);
	default:
		return vmcs12_vm_entry_controls(p);
	}
}

static const struct nestmig_bits *bits_of(const struct nestmig_ctx *c, enum vmx_msr msr)
{
	switch (msr) {
	case VMX_TRUE_PIN:
		return &c->vmx.pin;
	case VMX_TRUE_PROC:
		return &c->vmx.proc;
	case VMX_PROC2:
		return &c->vmx.proc2;
	case VMX_TRUE_EXIT:
		return &c->vmx.exit;
	default:
		return &c->vmx.entry;
	}
}

/* What the guest was offered and this host cannot give it, and what of that L1 uses. */
static void put_capabilities(struct nm_buf *buf, const struct nestmig_ctx *c,
			     const struct control *control)
{
	uint64_t guest = c->v->vmx.value[control->msr], host = c->h->vmx.value[control->msr];
	uint64_t lacks = (guest & ~host) >> 32, used = lacks & value_of(c, control->msr);

	if (!lacks)
		return;
	nm_buf_puts(buf, "The guest was offered ");
	put_bits(buf, control->field, lacks);
	nm_buf_puts(buf, ", which this host lacks.");
	if (!(c->v->have & NESTMIG_HAVE(VMCS12)))
		return;
	if (!used) {
		nm_buf_puts(buf, " L1's current VMCS uses nothing of it.");
		return;
	}
	nm_buf_puts(buf, " L1 uses ");
	put_bits(buf, control->field, used);
	nm_buf_puts(buf, ".");
}

static void put_control(struct nm_buf *buf, const struct nestmig_ctx *c,
			const struct control *control, enum nestmig_rule rule)
{
	const struct nestmig_bits *bits = bits_of(c, control->msr);
	uint64_t value = value_of(c, control->msr);

	if (rule == control->caps) {
		put_capabilities(buf, c, control);
	} else if (rule == control->allowed1) {
		nm_buf_puts(buf, "L1 uses ");
		put_bits(buf, control->field, value & bits->zero);
		nm_buf_puts(buf, ", which the vCPU does not offer it.");
	} else {
		nm_buf_puts(buf, "L1 leaves out ");
		put_bits(buf, control->field, bits->one & ~value);
		nm_buf_puts(buf, ".");
	}
}

/* ---- Lists in guest memory ------------------------------------------------------------------- */

static const struct {
	enum nestmig_rule rule;
	nm_eptp_check *check;
} eptp_rules[] = {
	{NESTMIG_RULE_vmx_vmfunc_entry_ad, nm_eptp_ad},
	{NESTMIG_RULE_vmx_vmfunc_entry_memtype, nm_eptp_memtype},
	{NESTMIG_RULE_vmx_vmfunc_entry_reserved, nm_eptp_low},
	{NESTMIG_RULE_vmx_vmfunc_entry_walk, nm_eptp_walk},
	{NESTMIG_RULE_vmx_vmfunc_entry_width, nm_eptp_width},
	{NESTMIG_RULE_vmx_vmfunc_entry_root_backed, NULL},
};

/* Names the first few with their values, the others by their numbers. */
static void put_eptp(struct nm_buf *buf, const struct nestmig_eptp *eptp, unsigned shown)
{
	if (shown < SHOWN_MAX)
		nm_buf_printf(buf, "%s %u is 0x%" PRIx64, shown ? ", entry" : "Entry", eptp->index,
			      eptp->value);
	else
		nm_buf_printf(buf, "%s %u", shown == SHOWN_MAX ? "; also entries" : ",",
			      eptp->index);
}

static void put_eptps(struct nm_buf *buf, const struct nestmig_ctx *c, nm_eptp_check *check)
{
	uint64_t current = vmcs12_ept_pointer(c->v->vmcs12);
	unsigned shown = 0;

	for (unsigned i = 0; i < c->v->eptps.count; i++) {
		const struct nestmig_eptp *eptp = &c->v->eptps.entries[i];
		enum nestmig_holds holds = check ? check(c, eptp->value) : nm_eptp_backed(c, eptp);

		if (holds == NESTMIG_BROKEN && eptp->value != current)
			put_eptp(buf, eptp, shown++);
	}
	if (shown)
		nm_buf_puts(buf, ".");
}

static const struct {
	enum nestmig_rule rule;
	enum nestmig_msr_area area;
	enum nm_msr_question question;
} msr_rules[] = {
	{NESTMIG_RULE_vmx_msrexitload_entry, NESTMIG_AREA_EXIT_LOAD, NM_MSR_Q_LOADABLE},
	{NESTMIG_RULE_vmx_msrexitstore_entry, NESTMIG_AREA_EXIT_STORE, NM_MSR_Q_STORABLE},
	{NESTMIG_RULE_vmx_msrload_reserved, NESTMIG_AREA_ENTRY_LOAD, NM_MSR_Q_RESERVED},
	{NESTMIG_RULE_vmx_msrload_value, NESTMIG_AREA_ENTRY_LOAD, NM_MSR_Q_VALUE},
	{NESTMIG_RULE_vmx_msrload_x2apic, NESTMIG_AREA_ENTRY_LOAD, NM_MSR_Q_X2APIC},
};

static void put_msrs(struct nm_buf *buf, const struct nestmig_ctx *c, enum nestmig_msr_area area,
		     enum nm_msr_question question)
{
	const uint8_t *p = c->v->vmcs12, *entries = c->v->msr_areas[area];
	const uint64_t counts[] = {vmcs12_vm_entry_msr_load_count(p),
				   vmcs12_vm_exit_msr_load_count(p),
				   vmcs12_vm_exit_msr_store_count(p)};
	unsigned shown = 0;

	for (unsigned i = 0; entries && i < counts[area] && i < NESTMIG_MSR_AREA_MAX; i++) {
		if (nm_ask_msrs_to(c, area, i, question, NESTMIG_HOLDS) != NESTMIG_BROKEN)
			continue;
		if (shown++ < SHOWN_MAX)
			nm_buf_printf(buf, "%s %u is MSR 0x%x", shown == 1 ? "Entry" : ", entry", i,
				      nm_msr_entry(entries, i).index);
	}
	if (shown > SHOWN_MAX)
		nm_buf_printf(buf, ", and %u more", shown - SHOWN_MAX);
	if (shown)
		nm_buf_puts(buf, ".");
}

void nm_vmx_detail(enum nestmig_rule rule, const struct nestmig_ctx *ctx, struct nm_buf *buf)
{
	for (unsigned i = 0; i < sizeof(controls) / sizeof(controls[0]); i++)
		if (rule == controls[i].allowed0 || rule == controls[i].allowed1 ||
		    rule == controls[i].caps)
			put_control(buf, ctx, &controls[i], rule);
	for (unsigned i = 0; i < sizeof(eptp_rules) / sizeof(eptp_rules[0]); i++)
		if (rule == eptp_rules[i].rule)
			put_eptps(buf, ctx, eptp_rules[i].check);
	for (unsigned i = 0; i < sizeof(msr_rules) / sizeof(msr_rules[0]); i++)
		if (rule == msr_rules[i].rule)
			put_msrs(buf, ctx, msr_rules[i].area, msr_rules[i].question);
}
