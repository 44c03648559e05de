// SPDX-License-Identifier: LGPL-2.1-or-later
/* The host profile for readers. */
#include "host_parts.h"
#include "msrs.h"

#include <inttypes.h>
#include <string.h>

#include "buf.h"
#include "host_cpuid.h"
#include "host_probe.h"

static void row(struct nm_buf *buf, const char *label, const char *value)
{
	nm_buf_printf(buf, "%-22s%s\n", label, value);
}

static bool has_word(const struct nestmig_host *host, enum nestmig_cpuid_word word)
{
	return host->view.cpuid.have >> word & 1;
}

/* A module parameter as it is written; "unknown" without one. */
static void param_row(struct nm_buf *buf, const struct nestmig_host *host, const char *label,
		      const char *name)
{
	const char *module = nm_host_module(host->view.vendor);
	const char *value = module ? nm_host_param(host, module, name) : NULL;

	if (value && (!strcmp(value, "Y") || !strcmp(value, "1")))
		value = "on";
	else if (value && (!strcmp(value, "N") || !strcmp(value, "0")))
		value = "off";
	row(buf, label, value ? value : "unknown");
}

static void nested_state_row(struct nm_buf *buf, const struct nestmig_host *host)
{
	const char *label = "nested state size:";
	const char *value = nm_host_cap(host, "KVM_CAP_NESTED_STATE");

	if (!value)
		row(buf, label, "unknown");
	else if (!strcmp(value, "0"))
		row(buf, label, "0 (nested state cannot be saved or restored)");
	else
		nm_buf_printf(buf, "%-22s%s bytes\n", label, value);
}

static void maxphyaddr_row(struct nm_buf *buf, const struct nestmig_host *host)
{
	unsigned bits = nm_host_maxphyaddr(host);

	if (bits)
		nm_buf_printf(buf, "%-22s%u bits\n", "MAXPHYADDR:", bits);
	else
		row(buf, "MAXPHYADDR:", "unknown");
}

static void summary(struct nm_buf *buf, const struct nestmig_host *host)
{
	const char *os = nm_host_get(&host->facts, "os.name");
	const char *cpu = nm_host_get(&host->facts, "cpu.name");

	if (os)
		row(buf, "distribution:", os);
	row(buf, "kernel:", host->kernel ? host->kernel : "unknown");
	if (cpu)
		row(buf, "processor:", cpu);
	row(buf, "vendor:", nm_host_vendor_name(host->view.vendor));
	param_row(buf, host, "nested:", "nested");
	if (host->view.vendor == NESTMIG_VENDOR_AMD)
		param_row(buf, host, "nested paging (npt):", "npt");
	if (host->view.vendor == NESTMIG_VENDOR_INTEL) {
		param_row(buf, host, "EPT:", "ept");
		param_row(buf, host, "unrestricted guest:", "unrestricted_guest");
	}
	nested_state_row(buf, host);
	maxphyaddr_row(buf, host);
}

static void svm(struct nm_buf *buf, const struct nestmig_host *host)
{
	const char *const *names = nm_features_find(0x8000000a, "edx")->names;
	uint32_t edx = host->view.cpuid.word[NESTMIG_CPUID_8000000A_EDX];

	if (has_word(host, NESTMIG_CPUID_8000000A_EBX))
		nm_buf_printf(buf, "%-22s%u\n",
			      "ASIDs:", host->view.cpuid.word[NESTMIG_CPUID_8000000A_EBX]);
	if (!has_word(host, NESTMIG_CPUID_8000000A_EDX)) {
		row(buf, "SVM features:", "unknown");
		return;
	}
	nm_buf_printf(buf, "%-21s", "SVM features:");
	for (unsigned bit = 0; bit < 32; bit++) {
		if (!(edx >> bit & 1))
			continue;
		if (names[bit])
			nm_buf_printf(buf, " %s", names[bit]);
		else
			nm_buf_printf(buf, " bit-%u", bit);
	}
	nm_buf_puts(buf, edx ? "\n" : " none\n");
}

static void table(struct nm_buf *buf, const char *title, const struct nm_named_value *list,
		  size_t count)
{
	if (!count)
		return;
	nm_buf_printf(buf, "\n%s\n", title);
	for (size_t i = 0; i < count; i++)
		nm_buf_printf(buf, "  %-42s %s\n", list[i].name, list[i].value);
}

static void probes(struct nm_buf *buf, const struct nm_named_list *list)
{
	if (list->count)
		nm_buf_puts(buf, "\nProbes\n");
	for (size_t i = 0; i < list->count; i++)
		nm_buf_printf(buf, "  %-24s %-10s %s\n", list->entries[i].name,
			      list->entries[i].value, nm_probe_title(list->entries[i].name));
}

static void msrs(struct nm_buf *buf, const struct nestmig_host *host)
{
	if (!host->msr_count)
		return;
	nm_buf_puts(buf, "\nFeature MSRs\n");
	for (size_t i = 0; i < host->msr_count; i++)
		nm_buf_printf(buf, "  0x%08x %-31s 0x%016" PRIx64 "\n", host->msrs[i].index,
			      nm_msr_name(host->msrs[i].index), host->msrs[i].value);
}

enum nestmig_error nestmig_host_text(const struct nestmig_host *host, char **ret_text)
{
	struct nm_buf buf = {0};

	summary(&buf, host);
	if (host->view.vendor == NESTMIG_VENDOR_AMD)
		svm(&buf, host);
	if (host->cpuid_count)
		nm_buf_printf(&buf, "%-22s%zu entries\n", "CPUID:", host->cpuid_count);
	else
		row(&buf, "CPUID:", "unknown");
	if (host->saved_msr_count)
		nm_buf_printf(&buf, "%-22s%zu\n", "MSRs saved:", host->saved_msr_count);
	table(&buf, "Facts", host->facts.entries, host->facts.count);
	probes(&buf, &host->probes);
	table(&buf, "Module parameters", host->params, host->param_count);
	table(&buf, "Capabilities", host->caps, host->cap_count);
	msrs(&buf, host);
	return nm_buf_take(&buf, ret_text);
}
