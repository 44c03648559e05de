// SPDX-License-Identifier: LGPL-2.1-or-later
/* Two hosts compared: everything but what guests are offered (host_diff_guest.c). */
#include "host_diff.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host_advisories.h"
#include "host_parts.h"
#include "judge.h"
#include "msrs.h"
#include "rules.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

const char *nm_host_level_name(enum nm_host_level level)
{
	static const char *const names[] = {"blocks", "risk", "info"};

	return names[level];
}

enum nestmig_error nm_host_diff_add(struct nm_host_diff *diff, enum nm_host_level level,
				    const char *kind, const char *name, const char *a,
				    const char *b, const char *why)
{
	struct nm_host_difference *items =
		realloc(diff->items, (diff->count + 1) * sizeof(*diff->items));
	struct nm_host_difference *item;

	if (!items)
		return NESTMIG_ERR_NOMEM;
	diff->items = items;
	item = &items[diff->count++];
	*item = (struct nm_host_difference){.level = level, .kind = kind, .why = why};
	snprintf(item->name, sizeof(item->name), "%s", name);
	snprintf(item->a, sizeof(item->a), "%s", a);
	snprintf(item->b, sizeof(item->b), "%s", b);
	diff->counts[level]++;
	return NESTMIG_OK;
}

static void add_unknown(struct nm_host_diff *diff, const char *what)
{
	if (diff->unknown_count < COUNT(diff->unknown))
		diff->unknown[diff->unknown_count++] = what;
}

/* ---- Vendor, kernel, rules ------------------------------------------------------------------- */

static enum nestmig_error compare_vendor(struct nm_host_diff *diff)
{
	enum nestmig_vendor a = diff->a->view.vendor, b = diff->b->view.vendor;

	if (!a || !b) {
		add_unknown(diff, "vendor");
		return NESTMIG_OK;
	}
	if (a == b)
		return NESTMIG_OK;
	return nm_host_diff_add(diff, NM_LEVEL_BLOCKS, "vendor", "vendor", nm_host_vendor_name(a),
				nm_host_vendor_name(b),
				"SVM state cannot become VMX state, nor the other way round.");
}

static bool applies_to(const struct nm_rule *rule, enum nestmig_vendor vendor)
{
	switch (rule->when) {
	case NM_WHEN_SVM:
	case NM_WHEN_L2:
	case NM_WHEN_L1:
		return vendor != NESTMIG_VENDOR_INTEL;
	case NM_WHEN_VMX:
	case NM_WHEN_VMX_L2:
	case NM_WHEN_VMX_L1:
	case NM_WHEN_VMCS12:
		return vendor != NESTMIG_VENDOR_AMD;
	default:
		return true;
	}
}

/* Rules whose consequence changed between the two kernels. */
static enum nestmig_error compare_rules(struct nm_host_diff *diff)
{
	uint32_t a = diff->a->view.kernel, b = diff->b->view.kernel;
	enum nestmig_error error = NESTMIG_OK;

	for (size_t i = 0; a && b && i < nm_rule_count && !error; i++) {
		const struct nm_rule *rule = &nm_rules[i];
		bool new_on_a = a >= rule->changed, new_on_b = b >= rule->changed;

		if (!rule->changed || new_on_a == new_on_b ||
		    !applies_to(rule, diff->b->view.vendor))
			continue;
		error = nm_host_diff_add(
			diff, NM_LEVEL_INFO, "rule", rule->id,
			nm_consequences[new_on_a ? rule->after : rule->before].outcome,
			nm_consequences[new_on_b ? rule->after : rule->before].outcome,
			"State that breaks this rule meets something else on B's kernel.");
	}
	return error;
}

static enum nestmig_error compare_kernel(struct nm_host_diff *diff)
{
	const char *a = diff->a->kernel, *b = diff->b->kernel;
	bool older = diff->b->view.kernel && diff->b->view.kernel < diff->a->view.kernel;
	enum nestmig_error error = NESTMIG_OK;

	if (!a || !b)
		add_unknown(diff, "kernel");
	else if (strcmp(a, b) != 0)
		error = nm_host_diff_add(
			diff, older ? NM_LEVEL_RISK : NM_LEVEL_INFO, "kernel", "kernel", a, b,
			older ? "B's kernel is older: what it lacks is listed as far as "
				"it is known."
			      : "");
	return error ? error : compare_rules(diff);
}

/* ---- Parameters ------------------------------------------------------------------------------ */

/* Parameters that take something from every nested guest. What others take shows in CPUID and MSRs. */
static const struct {
	const char *name;
	enum nm_host_level level;
	const char *why;
} params[] = {
	{"kvm_amd.nested", NM_LEVEL_BLOCKS, "Guests of B may not use SVM."},
	{"kvm_intel.nested", NM_LEVEL_BLOCKS, "Guests of B may not use VMX."},
	{"kvm_amd.npt", NM_LEVEL_BLOCKS,
	 "An L1 that uses nested paging for its L2, as hypervisors do, is refused on B."},
	{"kvm_intel.ept", NM_LEVEL_BLOCKS,
	 "An L1 that uses EPT for its L2, as hypervisors do, is refused on B."},
	{"kvm_intel.unrestricted_guest", NM_LEVEL_BLOCKS,
	 "An L1 that uses unrestricted guest for its L2, as hypervisors do, is refused on B."},
	{"kvm_intel.emulate_invalid_guest_state", NM_LEVEL_RISK,
	 "An L2 that needs emulation for a while does not run on B."},
	{"kvm.ignore_msrs", NM_LEVEL_RISK,
	 "An MSR that KVM does not know is refused on B, where A ignored it."},
};

/* Boolean values with a meaning go from on to off; others only differ. */
static enum nestmig_error compare_param(struct nm_host_diff *diff, const char *name, const char *a,
					const char *b)
{
	bool lost = (*a == 'Y' || *a == '1') && (*b == 'N' || *b == '0');

	for (size_t i = 0; i < COUNT(params); i++)
		if (lost && !strcmp(params[i].name, name))
			return nm_host_diff_add(diff, params[i].level, "parameter", name, a, b,
						params[i].why);
	return nm_host_diff_add(diff, NM_LEVEL_INFO, "parameter", name, a, b, "");
}

static bool same_value(const char *a, const char *b)
{
	static const char on[] = "Yy1", off[] = "Nn0";

	if (a[0] && b[0] && !a[1] && !b[1] &&
	    ((strchr(on, *a) && strchr(on, *b)) || (strchr(off, *a) && strchr(off, *b))))
		return true;
	return !strcmp(a, b);
}

static enum nestmig_error compare_params(struct nm_host_diff *diff)
{
	enum nestmig_error error = NESTMIG_OK;

	for (size_t i = 0; i < diff->a->param_count && !error; i++) {
		const char *name = diff->a->params[i].name, *a = diff->a->params[i].value;
		const char *dot = strchr(name, '.'), *b = NULL;
		char module[NM_HOST_NAME_MAX + 1];

		if (dot) {
			snprintf(module, sizeof(module), "%.*s", (int)(dot - name), name);
			b = nm_host_param(diff->b, module, dot + 1);
		}
		if (b && !same_value(a, b))
			error = compare_param(diff, name, a, b);
	}
	if (!(diff->a->view.have & diff->b->view.have & NESTMIG_HAVE(HOST_PARAMS)))
		add_unknown(diff, "parameters");
	return error;
}

/* ---- Capabilities, MSRs, probes -------------------------------------------------------------- */

static const struct {
	const char *name;
	enum nm_host_level level;
	const char *why;
} caps[] = {
	{"KVM_CAP_NESTED_STATE", NM_LEVEL_BLOCKS, "B cannot take nested state."},
	{"KVM_CAP_VCPU_EVENTS", NM_LEVEL_BLOCKS, "B cannot take pending events."},
	{"KVM_CAP_MP_STATE", NM_LEVEL_BLOCKS, "B cannot take whether a vCPU is halted."},
	{"KVM_CAP_X86_SMM", NM_LEVEL_RISK, "A vCPU in SMM cannot be restored on B."},
	{"KVM_CAP_SREGS2", NM_LEVEL_RISK,
	 "B reads the PDPTRs of a guest with PAE paging from memory again."},
	{"KVM_CAP_EXCEPTION_PAYLOAD", NM_LEVEL_RISK,
	 "The payload of a pending #PF or #DB of L2 is lost."},
	{"KVM_CAP_X86_TRIPLE_FAULT_EVENT", NM_LEVEL_RISK, "A pending triple fault is lost."},
	{"KVM_CAP_DEBUGREGS", NM_LEVEL_RISK, "Debug registers are lost."},
	{"KVM_CAP_XSAVE", NM_LEVEL_RISK, "The state of extended registers cannot be restored."},
	{"KVM_CAP_XSAVE2", NM_LEVEL_RISK, "Extended state of more than 4 KiB cannot be restored."},
	{"KVM_CAP_XCRS", NM_LEVEL_RISK, "XCR0 cannot be restored."},
	{"KVM_CAP_TSC_CONTROL", NM_LEVEL_RISK, "A guest's TSC runs at B's own frequency."},
	{"KVM_CAP_HYPERV_ENLIGHTENED_VMCS", NM_LEVEL_RISK,
	 "A Hyper-V L1 with an enlightened VMCS is refused."},
	{"KVM_CAP_HYPERV_DIRECT_TLBFLUSH", NM_LEVEL_RISK,
	 "A Hyper-V L1 that lets L2 flush TLBs directly is refused."},
	{"KVM_CAP_X86_USER_SPACE_MSR", NM_LEVEL_RISK,
	 "A VMM that handles MSRs itself does not work."},
	{"KVM_CAP_SPLIT_IRQCHIP", NM_LEVEL_RISK,
	 "A guest with a split interrupt controller cannot be started."},
	{"KVM_CAP_MULTI_ADDRESS_SPACE", NM_LEVEL_RISK,
	 "A guest with SMM has no memory of its own for it."},
};

static enum nestmig_error compare_caps(struct nm_host_diff *diff)
{
	enum nestmig_error error = NESTMIG_OK;

	for (size_t i = 0; i < diff->a->cap_count && !error; i++) {
		const char *name = diff->a->caps[i].name, *a = diff->a->caps[i].value;
		const char *b = nm_host_cap(diff->b, name), *why = "";
		enum nm_host_level level = NM_LEVEL_INFO;

		if (!b || !strcmp(a, b))
			continue;
		for (size_t c = 0; c < COUNT(caps); c++) {
			if (strcmp(caps[c].name, name) != 0 || strcmp(b, "0") != 0)
				continue;
			level = caps[c].level;
			why = caps[c].why;
		}
		error = nm_host_diff_add(diff, level, "capability", name, a, b, why);
	}
	if (!(diff->a->view.have & diff->b->view.have & NESTMIG_HAVE(HOST_CAPS)))
		add_unknown(diff, "capabilities");
	return error;
}

static enum nestmig_error compare_saved_msrs(struct nm_host_diff *diff)
{
	const struct nestmig_host *a = diff->a, *b = diff->b;
	enum nestmig_error error = NESTMIG_OK;

	if (!a->saved_msr_count || !b->saved_msr_count) {
		add_unknown(diff, "MSRs that are saved");
		return NESTMIG_OK;
	}
	for (size_t i = 0; i < a->saved_msr_count && !error; i++) {
		bool found = false;
		char name[64];

		for (size_t k = 0; k < b->saved_msr_count; k++)
			found |= b->saved_msrs[k] == a->saved_msrs[i];
		if (found)
			continue;
		snprintf(name, sizeof(name), "0x%x %s", a->saved_msrs[i],
			 nm_msr_name(a->saved_msrs[i]));
		error = nm_host_diff_add(
			diff, NM_LEVEL_RISK, "msr", name, "saved", "not known",
			"KVM_SET_MSRS stops at it on B if a state has it; QEMU then aborts.");
	}
	return error;
}

static enum nestmig_error compare_msrs(struct nm_host_diff *diff)
{
	enum nestmig_error error = NESTMIG_OK;

	for (size_t i = 0; i < diff->a->msr_count && !error; i++) {
		const struct nm_msr *a = &diff->a->msrs[i], *b = nm_host_msr(diff->b, a->index);
		char name[64], left[24], right[24];

		if (!b || a->value == b->value)
			continue;
		snprintf(name, sizeof(name), "0x%x %s", a->index, nm_msr_name(a->index));
		snprintf(left, sizeof(left), "0x%" PRIx64, a->value);
		snprintf(right, sizeof(right), "0x%" PRIx64, b->value);
		error = nm_host_diff_add(diff, NM_LEVEL_INFO, "msr", name, left, right, "");
	}
	return error;
}

/* Where a guest that A takes is surely refused. The others ask about state that is invalid. */
static bool probe_is_basic(const char *name)
{
	static const char *const basic[] = {"svme", "l1-state",   "l2-state", "l2-nested-paging",
					    "vmxe", "vmxon-state"};

	for (size_t i = 0; i < COUNT(basic); i++)
		if (!strcmp(basic[i], name))
			return true;
	return false;
}

static enum nestmig_error compare_probe(struct nm_host_diff *diff, const char *name, const char *a,
					const char *b)
{
	bool lost = !strcmp(a, "accepted") && strcmp(b, "accepted") != 0;

	if (lost && probe_is_basic(name))
		return nm_host_diff_add(diff, NM_LEVEL_BLOCKS, "probe", name, a, b,
					"A VM of its own was refused it on B.");
	if (lost)
		return nm_host_diff_add(diff, NM_LEVEL_RISK, "probe", name, a, b,
					"B refuses what A accepts: such state does not load.");
	return nm_host_diff_add(diff, NM_LEVEL_INFO, "probe", name, a, b, "");
}

/* "not asked" stands for a probe that rests on another that was refused. */
static enum nestmig_error compare_probes(struct nm_host_diff *diff)
{
	enum nestmig_error error = NESTMIG_OK;

	if (!diff->a->probes.count || !diff->b->probes.count) {
		add_unknown(diff, "probes");
		return NESTMIG_OK;
	}
	for (size_t i = 0; i < diff->a->probes.count && !error; i++) {
		const struct nm_named_value *a = &diff->a->probes.entries[i];
		const char *b = nm_host_get(&diff->b->probes, a->name);

		if (!b && probe_is_basic(a->name))
			b = "not possible";
		if (b && strcmp(a->value, b) != 0)
			error = compare_probe(diff, a->name, a->value, b);
	}
	return error;
}

/* ---- Advisories and facts -------------------------------------------------------------------- */

static enum nestmig_error compare_advisories(struct nm_host_diff *diff)
{
	enum nestmig_error error = NESTMIG_OK;

	for (size_t i = 0; i < nm_advisory_count && !error; i++) {
		const struct nm_advisory *advisory = &nm_advisories[i];
		struct nm_advisory_result a, b;

		if (!nm_advisory_applies(advisory, diff->b))
			continue;
		nm_advisory_judge(advisory, diff->a, &a);
		nm_advisory_judge(advisory, diff->b, &b);
		if (b.status == NM_ADVISORY_AFFECTED && a.status != NM_ADVISORY_AFFECTED)
			error = nm_host_diff_add(diff, NM_LEVEL_RISK, "advisory", advisory->id,
						 nm_advisory_status_name(a.status),
						 nm_advisory_status_name(b.status),
						 advisory->symptom);
	}
	return error;
}

static enum nestmig_error compare_facts(struct nm_host_diff *diff)
{
	enum nestmig_error error = NESTMIG_OK;

	for (size_t i = 0; i < diff->a->facts.count && !error; i++) {
		const struct nm_named_value *a = &diff->a->facts.entries[i];
		const char *b = nm_host_get(&diff->b->facts, a->name);

		if (b && strcmp(a->value, b) != 0)
			error = nm_host_diff_add(diff, NM_LEVEL_INFO, "fact", a->name, a->value, b,
						 "");
	}
	return error;
}

/* ---- All of it ------------------------------------------------------------------------------- */

static void sort_by_level(struct nm_host_diff *diff, struct nm_host_difference *sorted)
{
	size_t n = 0;

	for (unsigned level = 0; level < NM_LEVELS; level++)
		for (size_t i = 0; i < diff->count; i++)
			if (diff->items[i].level == level)
				sorted[n++] = diff->items[i];
	free(diff->items);
	diff->items = sorted;
}

static enum nestmig_error compare_all(struct nm_host_diff *diff)
{
	static enum nestmig_error (*const steps[])(struct nm_host_diff *) = {
		compare_vendor,     compare_params,     compare_caps,     compare_probes,
		compare_kernel,     nm_host_diff_cpuid, nm_host_diff_vmx, compare_saved_msrs,
		compare_advisories, compare_msrs,       compare_facts,
	};
	enum nestmig_error error = NESTMIG_OK;

	for (size_t i = 0; i < COUNT(steps) && !error; i++)
		error = steps[i](diff);
	if (!diff->a->cpuid_count || !diff->b->cpuid_count)
		add_unknown(diff, "CPUID");
	return error;
}

enum nestmig_error nm_host_diff_new(const struct nestmig_host *a, const struct nestmig_host *b,
				    struct nm_host_diff **ret_diff)
{
	struct nm_host_diff *diff = calloc(1, sizeof(*diff));
	struct nm_host_difference *sorted;
	enum nestmig_error error;

	if (!diff)
		return NESTMIG_ERR_NOMEM;
	diff->a = a;
	diff->b = b;
	error = compare_all(diff);
	sorted = error ? NULL : malloc((diff->count + 1) * sizeof(*sorted));
	if (!sorted) {
		nm_host_diff_free(diff);
		return NESTMIG_ERR_NOMEM;
	}
	sort_by_level(diff, sorted);
	*ret_diff = diff;
	return NESTMIG_OK;
}

void nm_host_diff_free(struct nm_host_diff *diff)
{
	if (!diff)
		return;
	free(diff->items);
	free(diff);
}
