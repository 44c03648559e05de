// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the CPU of a domain needs of a host to run nested guests. Names of features are libvirt's
 * (src/cpu_map/x86_features.xml), which are QEMU's (target/i386/cpu.c, feature_word_info).
 */
#include <string.h>

#include "buf.h"
#include "domain.h"
#include "hook.h"
#include "host.h"

#define VMX_PROC2 0x48b /* IA32_VMX_PROCBASED_CTLS2: bits that may be 1 are in the high half */

struct feature {
	const char *name;
	uint8_t bit;
};

/* Of CPUID 0x8000000a.EDX, as KVM_GET_SUPPORTED_CPUID has it: npt=0 clears its bit. */
static const struct feature svm_features[] = {
	{"npt", 0},           {"lbrv", 1},         {"svm-lock", 2},       {"nrip-save", 3},
	{"tsc-scale", 4},     {"vmcb-clean", 5},   {"flushbyasid", 6},    {"decodeassists", 7},
	{"pause-filter", 10}, {"pfthreshold", 12}, {"avic", 13},          {"v-vmsave-vmload", 15},
	{"vgif", 16},         {"vnmi", 25},        {"svme-addr-chk", 28},
};

/* Of the secondary controls. */
static const struct feature vmx_features[] = {
	{"vmx-apicv-xapic", 0},
	{"vmx-ept", 1},
	{"vmx-desc-exit", 2},
	{"vmx-rdtscp-exit", 3},
	{"vmx-apicv-x2apic", 4},
	{"vmx-vpid", 5},
	{"vmx-wbinvd-exit", 6},
	{"vmx-unrestricted-guest", 7},
	{"vmx-apicv-register", 8},
	{"vmx-apicv-vid", 9},
	{"vmx-ple", 10},
	{"vmx-rdrand-exit", 11},
	{"vmx-invpcid-exit", 12},
	{"vmx-vmfunc", 13},
	{"vmx-shadow-vmcs", 14},
	{"vmx-encls-exit", 15},
	{"vmx-rdseed-exit", 16},
	{"vmx-pml", 17},
	{"vmx-xsaves", 20},
	{"vmx-tsc-scaling", 25},
	{"vmx-enable-user-wait-pause", 26},
};

struct needs {
	const struct nestmig_host_view *host;
	struct nm_buf *reasons;
	enum nestmig_verdict verdict;
};

static void add(struct needs *n, enum nestmig_verdict verdict, const char *what, const char *name,
		const char *more)
{
	nm_buf_printf(n->reasons, "%s%s%s\n", what, name, more);
	if (verdict > n->verdict)
		n->verdict = verdict;
}

/* "require" is also what counts without a policy (formatdomain.rst). */
static bool is_needed(const char *policy)
{
	return !policy || strcmp(policy, "require") == 0 || strcmp(policy, "force") == 0;
}

static const struct feature *find(const struct feature *features, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(features[i].name, name) == 0)
			return &features[i];
	return NULL;
}

/* Bits that KVM can give a guest; is it known which? */
static bool known_bits(const struct nestmig_host_view *host, enum nestmig_vendor vendor,
		       uint32_t *ret_bits)
{
	unsigned word = NESTMIG_CPUID_8000000A_EDX, msr = VMX_PROC2 - NESTMIG_VMX_MSR_FIRST;

	if (vendor == NESTMIG_VENDOR_AMD) {
		*ret_bits = host->cpuid.word[word];
		return (host->have & NESTMIG_HAVE(HOST_CPUID)) && host->cpuid.have >> word & 1;
	}
	*ret_bits = (uint32_t)(host->vmx.value[msr] >> 32);
	return host->vmx.have >> msr & 1;
}

static void judge_feature(struct needs *n, enum nestmig_vendor vendor,
			  const struct feature *feature)
{
	uint32_t bits;

	if (!known_bits(n->host, vendor, &bits))
		add(n, NESTMIG_VERDICT_UNKNOWN, "it is not known whether this host can give ",
		    feature->name, " to a guest, which the domain's CPU requires");
	else if (!(bits >> feature->bit & 1))
		add(n, NESTMIG_VERDICT_FAIL, "this host's KVM cannot give ", feature->name,
		    " to a guest, which the domain's CPU requires");
}

/* Nested virtualization at all, of this vendor's kind. */
static void judge_nesting(struct needs *n, enum nestmig_vendor vendor)
{
	const struct nestmig_host_view *host = n->host;
	const char *name = vendor == NESTMIG_VENDOR_AMD ? "svm" : "vmx";
	const char *module = vendor == NESTMIG_VENDOR_AMD ? "kvm_amd" : "kvm_intel";

	if (host->vendor == NESTMIG_VENDOR_UNKNOWN)
		add(n, NESTMIG_VERDICT_UNKNOWN, "the domain's CPU requires ", name,
		    ", and it is not known whether this host's processor has it");
	else if (host->vendor != vendor)
		add(n, NESTMIG_VERDICT_FAIL, "the domain's CPU requires ", name,
		    ", which the processor of this host does not have");
	else if (!(host->have & NESTMIG_HAVE(HOST_PARAMS)))
		add(n, NESTMIG_VERDICT_UNKNOWN, "the domain's CPU requires ", name,
		    ", and it is not known whether this host's KVM has nested=1");
	else if (!host->nested)
		add(n, NESTMIG_VERDICT_FAIL,
		    "nested=0: no nested guests here, see the parameter of ", module,
		    "; the domain's CPU requires what it turns off");
	else if ((host->have & NESTMIG_HAVE(HOST_CAPS)) && !host->has_nested_state)
		add(n, NESTMIG_VERDICT_FAIL, "this host's KVM cannot restore nested state ",
		    "(KVM_CAP_NESTED_STATE), ", "and the domain's CPU has nesting");
}

/* One of a domain's features. Those that say nothing of nesting are libvirt's business. */
static void judge_named(struct needs *n, const char *name)
{
	const struct feature *svm =
		find(svm_features, sizeof(svm_features) / sizeof(svm_features[0]), name);
	const struct feature *vmx =
		find(vmx_features, sizeof(vmx_features) / sizeof(vmx_features[0]), name);

	if (strcmp(name, "svm") == 0)
		judge_nesting(n, NESTMIG_VENDOR_AMD);
	else if (strcmp(name, "vmx") == 0)
		judge_nesting(n, NESTMIG_VENDOR_INTEL);
	else if (svm && n->host->vendor == NESTMIG_VENDOR_AMD)
		judge_feature(n, NESTMIG_VENDOR_AMD, svm);
	else if (vmx && n->host->vendor == NESTMIG_VENDOR_INTEL)
		judge_feature(n, NESTMIG_VENDOR_INTEL, vmx);
	else if (strncmp(name, "vmx-", 4) == 0 && n->host->vendor == NESTMIG_VENDOR_INTEL)
		add(n, NESTMIG_VERDICT_UNKNOWN, "not checked: whether this host can give ", name,
		    " to a guest");
}

/* A CPU like the host's has nesting where the host has; its XML does not say whether that is used. */
static void judge_mode(struct needs *n, const struct nm_domain *domain)
{
	const char *mode = domain->cpu_mode;
	bool takes_all =
		mode && (strcmp(mode, "host-passthrough") == 0 || strcmp(mode, "maximum") == 0);
	const char *svm = nm_domain_feature(domain, "svm"), *vmx = nm_domain_feature(domain, "vmx");

	if (!takes_all || (svm && strcmp(svm, "disable") == 0) ||
	    (vmx && strcmp(vmx, "disable") == 0))
		return;
	if ((n->host->have & NESTMIG_HAVE(HOST_PARAMS)) && n->host->nested)
		return;
	add(n, NESTMIG_VERDICT_UNKNOWN, "the CPU is ", mode,
	    ": the guest may use nesting, which this host's KVM does not surely have on");
}

enum nestmig_verdict hook_judge_needs(const struct nm_domain *domain,
				      const struct nestmig_host *host, struct nm_buf *reasons)
{
	static const struct nestmig_host_view nothing;
	struct needs n = {.host = host ? &host->view : &nothing,
			  .reasons = reasons,
			  .verdict = NESTMIG_VERDICT_OK};

	if (!domain->type || strcmp(domain->type, "kvm") != 0)
		return NESTMIG_VERDICT_OK;
	for (size_t i = 0; i < domain->feature_count; i++)
		if (domain->features[i].name && is_needed(domain->features[i].policy))
			judge_named(&n, domain->features[i].name);
	judge_mode(&n, domain);
	return n.verdict;
}
