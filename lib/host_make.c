// SPDX-License-Identifier: LGPL-2.1-or-later
/* Host profiles made, put together, copied and freed. */
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "host.h"
#include "host_parts.h"

/* Parameters of the module kvm itself on x86, Linux 4.20 to 7.x: all others are the vendor's. */
static const char *const kvm_params[] = {
	"allow_unsafe_mappings",
	"eager_page_split",
	"enable_pmu",
	"enable_virt_at_load",
	"enable_vmware_backdoor",
	"flush_on_reuse",
	"force_emulation_prefix",
	"halt_poll_ns",
	"halt_poll_ns_grow",
	"halt_poll_ns_grow_start",
	"halt_poll_ns_shrink",
	"ignore_msrs",
	"kvmclock_periodic_sync",
	"lapic_timer_advance",
	"lapic_timer_advance_ns",
	"min_timer_period_us",
	"mitigate_smt_rsb",
	"mmio_caching",
	"nx_huge_pages",
	"nx_huge_pages_recovery_period_ms",
	"nx_huge_pages_recovery_ratio",
	"pi_inject_timer",
	"report_ignored_msrs",
	"tdp_mmu",
	"tsc_tolerance_ppm",
	"vector_hashing",
};

enum nestmig_error nm_host_new(struct nestmig_host **ret_host, struct nestmig_detail *detail)
{
	struct nestmig_host *host = calloc(1, sizeof(*host));

	if (!host)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	*ret_host = host;
	return NESTMIG_OK;
}

static void free_named(struct nm_named_value *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(list[i].name);
		free(list[i].value);
	}
	free(list);
}

void nestmig_host_free(struct nestmig_host *host)
{
	if (!host)
		return;
	free(host->kernel);
	free_named(host->params, host->param_count);
	free_named(host->caps, host->cap_count);
	free(host->cpuid);
	free(host->msrs);
	free_named(host->facts.entries, host->facts.count);
	free_named(host->probes.entries, host->probes.count);
	free_named(host->changelog.entries, host->changelog.count);
	free(host->emulated);
	free(host->saved_msrs);
	free(host);
}

static bool is_kvm_param(const char *name)
{
	for (size_t i = 0; i < sizeof(kvm_params) / sizeof(kvm_params[0]); i++)
		if (!strcmp(kvm_params[i], name))
			return true;
	return false;
}

/* One word of "nested=1 npt=0". */
static enum nestmig_error set_param_word(struct nestmig_host *host, char *word,
					 struct nestmig_detail *detail)
{
	char *equals = strchr(word, '=');
	const char *module = NULL;

	if (!equals)
		return nm_fail(detail, NESTMIG_ERR_FORMAT,
			       "module parameters are words NAME=VALUE, and one has no '='");
	*equals = '\0';
	if (!strchr(word, '.'))
		module = is_kvm_param(word) ? "kvm" : nm_host_module(host->view.vendor);
	return nm_host_set_param(host, module, word, equals + 1, detail);
}

static enum nestmig_error set_param_words(struct nestmig_host *host, const char *params,
					  struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;
	char *copy = strdup(params), *state = NULL;

	if (!copy)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	for (char *word = strtok_r(copy, " \t\r\n", &state); word && !error;
	     word = strtok_r(NULL, " \t\r\n", &state))
		error = set_param_word(host, word, detail);
	free(copy);
	return error;
}

enum nestmig_error nm_host_from_parts(enum nestmig_vendor vendor, const char *kernel,
				      const char *params, struct nestmig_host **ret_host,
				      struct nestmig_detail *detail)
{
	struct nestmig_host *host = NULL;
	enum nestmig_error error = nm_host_new(&host, detail);

	if (error)
		return error;
	host->view.vendor = vendor;
	if (kernel)
		error = nm_host_set_kernel(host, kernel, strlen(kernel), detail);
	if (!error && params)
		error = set_param_words(host, params, detail);
	if (error) {
		nestmig_host_free(host);
		return error;
	}
	nm_host_finish(host);
	*ret_host = host;
	return NESTMIG_OK;
}

static enum nestmig_error add_entries(struct nm_cpuid_entry **to, size_t *to_count,
				      const struct nm_cpuid_entry *entries, size_t count)
{
	struct nm_cpuid_entry *list;

	if (!count)
		return NESTMIG_OK;
	if (count > NM_HOST_CPUID_MAX - *to_count)
		return NESTMIG_ERR_LIMIT;
	list = realloc(*to, (*to_count + count) * sizeof(*list));
	if (!list)
		return NESTMIG_ERR_NOMEM;
	memcpy(list + *to_count, entries, count * sizeof(*list));
	*to = list;
	*to_count += count;
	return NESTMIG_OK;
}

enum nestmig_error nm_host_add_cpuid(struct nestmig_host *host,
				     const struct nm_cpuid_entry *entries, size_t count)
{
	enum nestmig_error error = add_entries(&host->cpuid, &host->cpuid_count, entries, count);

	if (!error && count)
		nm_host_finish(host);
	return error;
}

enum nestmig_error nm_host_add_emulated(struct nestmig_host *host,
					const struct nm_cpuid_entry *entries, size_t count)
{
	return add_entries(&host->emulated, &host->emulated_count, entries, count);
}

enum nestmig_error nm_host_add_saved_msr(struct nestmig_host *host, uint32_t index)
{
	uint32_t *list;

	for (size_t i = 0; i < host->saved_msr_count; i++)
		if (host->saved_msrs[i] == index)
			return NESTMIG_OK;
	if (host->saved_msr_count >= NM_HOST_MSRS_MAX)
		return NESTMIG_ERR_LIMIT;
	list = realloc(host->saved_msrs, (host->saved_msr_count + 1) * sizeof(*list));
	if (!list)
		return NESTMIG_ERR_NOMEM;
	list[host->saved_msr_count++] = index;
	host->saved_msrs = list;
	return NESTMIG_OK;
}

/* Puts one MSR into a list that has room for it; the last value of an index counts. */
static void put_msr(struct nestmig_host *host, struct nm_msr msr)
{
	for (size_t i = 0; i < host->msr_count; i++) {
		if (host->msrs[i].index == msr.index) {
			host->msrs[i].value = msr.value;
			return;
		}
	}
	host->msrs[host->msr_count++] = msr;
}

enum nestmig_error nm_host_add_msrs(struct nestmig_host *host, const struct nm_msr *msrs,
				    size_t count)
{
	struct nm_msr *list;

	if (!count)
		return NESTMIG_OK;
	if (count > NM_HOST_MSRS_MAX - host->msr_count)
		return NESTMIG_ERR_LIMIT;
	list = realloc(host->msrs, (host->msr_count + count) * sizeof(*list));
	if (!list)
		return NESTMIG_ERR_NOMEM;
	host->msrs = list;
	for (size_t i = 0; i < count; i++)
		put_msr(host, msrs[i]);
	nm_host_finish(host);
	return NESTMIG_OK;
}

static enum nestmig_error dup_list(const struct nm_named_list *from, struct nm_named_list *to)
{
	enum nestmig_error error = NESTMIG_OK;

	for (size_t i = 0; i < from->count && !error; i++)
		error = nm_host_set_named(&to->entries, &to->count, from->count,
					  from->entries[i].name, from->entries[i].value, NULL);
	return error;
}

static enum nestmig_error dup_parts(const struct nestmig_host *from, struct nestmig_host *to)
{
	enum nestmig_error error = NESTMIG_OK;

	if (from->kernel)
		error = nm_host_set_kernel(to, from->kernel, strlen(from->kernel), NULL);
	for (size_t i = 0; i < from->param_count && !error; i++)
		error = nm_host_set_named(&to->params, &to->param_count, from->param_count,
					  from->params[i].name, from->params[i].value, NULL);
	for (size_t i = 0; i < from->cap_count && !error; i++)
		error = nm_host_set_named(&to->caps, &to->cap_count, from->cap_count,
					  from->caps[i].name, from->caps[i].value, NULL);
	if (!error)
		error = nm_host_add_cpuid(to, from->cpuid, from->cpuid_count);
	if (!error)
		error = nm_host_add_msrs(to, from->msrs, from->msr_count);
	if (!error)
		error = dup_list(&from->facts, &to->facts);
	if (!error)
		error = dup_list(&from->probes, &to->probes);
	if (!error)
		error = dup_list(&from->changelog, &to->changelog);
	if (!error)
		error = nm_host_add_emulated(to, from->emulated, from->emulated_count);
	for (size_t i = 0; i < from->saved_msr_count && !error; i++)
		error = nm_host_add_saved_msr(to, from->saved_msrs[i]);
	return error;
}

enum nestmig_error nm_host_dup(const struct nestmig_host *host, struct nestmig_host **ret_host)
{
	struct nestmig_host *copy = NULL;
	enum nestmig_error error = nm_host_new(&copy, NULL);

	if (error)
		return error;
	error = dup_parts(host, copy);
	if (error) {
		nestmig_host_free(copy);
		return error;
	}
	copy->view = host->view;
	*ret_host = copy;
	return NESTMIG_OK;
}

enum nestmig_error nestmig_host_of_state(const struct nestmig_state *state,
					 struct nestmig_host **ret_host,
					 struct nestmig_detail *detail)
{
	enum nestmig_error error;

	if (!state->host)
		return nm_fail(detail, NESTMIG_ERR_NOT_FOUND,
			       "a state of format %s brings no host profile with it",
			       state->format);
	error = nm_host_dup(state->host, ret_host);
	return error ? nm_fail(detail, error, "out of memory") : NESTMIG_OK;
}
