// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The host profile: its parts, and the view made of them.
 *
 * Facts come from outside (files, JSON, meta.json of a dump), so each setter checks what it is
 * given. What nobody set stays unknown: there are no defaults here.
 */
#include "host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "host_parts.h"

static bool is_name(const char *name, const char *more)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
	size_t i;

	for (i = 0; name[i]; i++)
		if (!strchr(letters, name[i]) && !strchr(more, name[i]))
			return false;
	return i > 0 && i <= NM_HOST_NAME_MAX;
}

static struct nm_named_value *find_named(struct nm_named_value *list, size_t count,
					 const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(list[i].name, name))
			return &list[i];
	return NULL;
}

enum nestmig_error nm_host_set_named(struct nm_named_value **list, size_t *count, size_t limit,
				     const char *name, const char *value,
				     struct nestmig_detail *detail)
{
	struct nm_named_value *entry = find_named(*list, *count, name);
	char *new_value, *new_name;

	if (!entry && *count >= limit)
		return nm_fail(detail, NESTMIG_ERR_LIMIT, "%s: more than %zu entries", name, limit);
	new_value = strdup(value);
	if (!new_value)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	if (entry) {
		free(entry->value);
		entry->value = new_value;
		return NESTMIG_OK;
	}
	new_name = strdup(name);
	entry = new_name ? realloc(*list, (*count + 1) * sizeof(*entry)) : NULL;
	if (!entry) {
		free(new_name);
		free(new_value);
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	}
	entry[*count] = (struct nm_named_value){.name = new_name, .value = new_value};
	*list = entry;
	++*count;
	return NESTMIG_OK;
}

size_t nm_host_text_length(const char *text, size_t length, bool spaces)
{
	for (size_t i = 0; i < length; i++)
		if (text[i] < (spaces ? 0x20 : 0x21) || text[i] > 0x7e)
			return i;
	return length;
}

enum nestmig_error nm_host_set_kernel(struct nestmig_host *host, const char *release, size_t length,
				      struct nestmig_detail *detail)
{
	char *copy;

	if (length > NM_HOST_KERNEL_MAX)
		return nm_fail(detail, NESTMIG_ERR_LIMIT,
			       "the kernel release has %zu bytes, not %d", length,
			       NM_HOST_KERNEL_MAX);
	if (!length || nm_host_text_length(release, length, false) < length)
		return nm_fail(detail, NESTMIG_ERR_FORMAT,
			       "the kernel release is empty or has a byte that is not printable");
	copy = strndup(release, length);
	if (!copy)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	free(host->kernel);
	host->kernel = copy;
	return NESTMIG_OK;
}

enum nestmig_error nm_host_set_param(struct nestmig_host *host, const char *module,
				     const char *name, const char *value,
				     struct nestmig_detail *detail)
{
	char full[NM_HOST_NAME_MAX + 1];
	size_t length = strlen(value);
	int used = snprintf(full, sizeof(full), "%s%s%s", module ? module : "", module ? "." : "",
			    name);

	if (used < 0 || (size_t)used >= sizeof(full))
		return nm_fail(detail, NESTMIG_ERR_LIMIT,
			       "the name of a module parameter is longer than %d bytes",
			       NM_HOST_NAME_MAX);
	if (!is_name(full, "abcdefghijklmnopqrstuvwxyz.-") || full[used - 1] == '.')
		return nm_fail(
			detail, NESTMIG_ERR_FORMAT,
			"a module parameter's name is empty or has a byte other than letters, "
			"digits, '_', '-' and '.'");
	if (length > NM_HOST_VALUE_MAX)
		return nm_fail(detail, NESTMIG_ERR_LIMIT,
			       "module parameter %s has a value of %zu bytes, more than %d", full,
			       length, NM_HOST_VALUE_MAX);
	if (nm_host_text_length(value, length, true) < length)
		return nm_fail(detail, NESTMIG_ERR_FORMAT,
			       "module parameter %s has a byte that is not printable", full);
	return nm_host_set_named(&host->params, &host->param_count, NM_HOST_PARAMS_MAX, full, value,
				 detail);
}

enum nestmig_error nm_host_set_cap(struct nestmig_host *host, const char *name, uint32_t value,
				   struct nestmig_detail *detail)
{
	static const char prefix[] = "KVM_CAP_";
	bool has_prefix = !strncmp(name, prefix, sizeof(prefix) - 1);
	char full[NM_HOST_NAME_MAX + 1], text[16];
	int used = snprintf(full, sizeof(full), "%s%s", has_prefix ? "" : prefix, name);

	if (used < 0 || (size_t)used >= sizeof(full))
		return nm_fail(detail, NESTMIG_ERR_LIMIT,
			       "the name of a capability is longer than %d bytes",
			       NM_HOST_NAME_MAX);
	if (!*name || !is_name(full, ""))
		return nm_fail(detail, NESTMIG_ERR_FORMAT,
			       "a capability's name is empty or has a byte other than A-Z, 0-9 and "
			       "'_'");
	if (value > INT32_MAX)
		return nm_fail(detail, NESTMIG_ERR_FORMAT,
			       "%s is %u, more than KVM_CHECK_EXTENSION can return", full, value);
	snprintf(text, sizeof(text), "%u", value);
	return nm_host_set_named(&host->caps, &host->cap_count, NM_HOST_CAPS_MAX, full, text,
				 detail);
}

enum nestmig_error nm_host_put(struct nm_named_list *list, const char *name, const char *value,
			       struct nestmig_detail *detail)
{
	size_t length = strlen(value);

	if (!is_name(name, "abcdefghijklmnopqrstuvwxyz.-"))
		return nm_fail(
			detail, NESTMIG_ERR_FORMAT,
			"a name of a fact is empty, longer than %d bytes, or has a byte other than "
			"letters, digits, '_', '-' and '.'",
			NM_HOST_NAME_MAX);
	if (length > NM_HOST_VALUE_MAX)
		return nm_fail(detail, NESTMIG_ERR_LIMIT,
			       "%s has a value of %zu bytes, more than %d", name, length,
			       NM_HOST_VALUE_MAX);
	if (nm_host_text_length(value, length, true) < length)
		return nm_fail(detail, NESTMIG_ERR_FORMAT, "%s has a byte that is not printable",
			       name);
	return nm_host_set_named(&list->entries, &list->count, NM_HOST_LIST_MAX, name, value,
				 detail);
}

const char *nm_host_get(const struct nm_named_list *list, const char *name)
{
	const struct nm_named_value *entry = find_named(list->entries, list->count, name);

	return entry ? entry->value : NULL;
}

const char *nm_host_param(const struct nestmig_host *host, const char *module, const char *name)
{
	const struct nm_named_value *entry;
	char full[NM_HOST_NAME_MAX + 1];

	snprintf(full, sizeof(full), "%s.%s", module, name);
	entry = find_named(host->params, host->param_count, full);
	if (!entry)
		entry = find_named(host->params, host->param_count, name);
	return entry ? entry->value : NULL;
}

const char *nm_host_cap(const struct nestmig_host *host, const char *name)
{
	const struct nm_named_value *entry = find_named(host->caps, host->cap_count, name);

	return entry ? entry->value : NULL;
}

const struct nm_msr *nm_host_msr(const struct nestmig_host *host, uint32_t index)
{
	for (size_t i = 0; i < host->msr_count; i++)
		if (host->msrs[i].index == index)
			return &host->msrs[i];
	return NULL;
}

unsigned nm_host_maxphyaddr(const struct nestmig_host *host)
{
	const struct nestmig_cpuid *cpuid = &host->view.cpuid;

	if (!(cpuid->have >> NESTMIG_CPUID_80000008_EAX & 1))
		return 0;
	return cpuid->word[NESTMIG_CPUID_80000008_EAX] & 0xff;
}

const char *nm_host_module(enum nestmig_vendor vendor)
{
	if (vendor == NESTMIG_VENDOR_AMD)
		return "kvm_amd";
	return vendor == NESTMIG_VENDOR_INTEL ? "kvm_intel" : NULL;
}

const char *nm_host_vendor_name(enum nestmig_vendor vendor)
{
	if (vendor == NESTMIG_VENDOR_AMD)
		return "amd";
	return vendor == NESTMIG_VENDOR_INTEL ? "intel" : "unknown";
}

enum nestmig_vendor nm_host_vendor_named(const char *name)
{
	if (!strcmp(name, "amd"))
		return NESTMIG_VENDOR_AMD;
	return strcmp(name, "intel") ? NESTMIG_VENDOR_UNKNOWN : NESTMIG_VENDOR_INTEL;
}

/* The vendors whose processors kvm_amd and kvm_intel drive (X86_VENDOR_HYGON has SVM; Centaur and
 * Zhaoxin have VMX). */
enum nestmig_vendor nm_host_vendor_of_id(const char *id)
{
	if (!memcmp(id, "AuthenticAMD", 12) || !memcmp(id, "HygonGenuine", 12))
		return NESTMIG_VENDOR_AMD;
	if (!memcmp(id, "GenuineIntel", 12) || !memcmp(id, "CentaurHauls", 12) ||
	    !memcmp(id, "  Shanghai  ", 12))
		return NESTMIG_VENDOR_INTEL;
	return NESTMIG_VENDOR_UNKNOWN;
}

/* ---- The view -------------------------------------------------------------------------------- */

/* CPUID leaf 0: the vendor string is in EBX, EDX, ECX. */
static enum nestmig_vendor vendor_from_cpuid(const struct nestmig_host *host)
{
	for (size_t i = 0; i < host->cpuid_count; i++) {
		const struct nm_cpuid_entry *entry = &host->cpuid[i];
		char id[12];

		if (entry->function != 0)
			continue;
		for (unsigned b = 0; b < 4; b++) {
			id[b] = (char)(entry->ebx >> 8 * b);
			id[4 + b] = (char)(entry->edx >> 8 * b);
			id[8 + b] = (char)(entry->ecx >> 8 * b);
		}
		return nm_host_vendor_of_id(id);
	}
	return NESTMIG_VENDOR_UNKNOWN;
}

/* The vendor whose module has parameters here. A kernel with both built in tells nothing. */
static enum nestmig_vendor vendor_from_params(const struct nestmig_host *host)
{
	bool amd = nm_host_param(host, "kvm_amd", "npt");
	bool intel = nm_host_param(host, "kvm_intel", "ept") ||
		     nm_host_param(host, "kvm_intel", "unrestricted_guest");

	for (size_t i = 0; i < host->param_count; i++) {
		amd |= !strncmp(host->params[i].name, "kvm_amd.", 8);
		intel |= !strncmp(host->params[i].name, "kvm_intel.", 10);
	}
	if (amd == intel)
		return NESTMIG_VENDOR_UNKNOWN;
	return amd ? NESTMIG_VENDOR_AMD : NESTMIG_VENDOR_INTEL;
}

/* NESTMIG_KERNEL of "6.1.0-37-amd64"; 0 when the text does not start with two numbers. */
static uint32_t kernel_version(const char *release)
{
	unsigned long part[2];
	char *end;

	for (int i = 0; i < 2; i++) {
		if (*release < '0' || *release > '9')
			return 0;
		part[i] = strtoul(release, &end, 10);
		if (part[i] > 0xffff || (i == 0 && *end != '.'))
			return 0;
		release = end + 1;
	}
	return NESTMIG_KERNEL(part[0], part[1]);
}

int nm_host_param_bool(const struct nestmig_host *host, const char *module, const char *name)
{
	const char *value = nm_host_param(host, module, name);

	if (!value || !*value || value[1])
		return -1;
	if (strchr("Yy1", *value))
		return 1;
	return strchr("Nn0", *value) ? 0 : -1;
}

/*
 * The parameters that rules read. HOST_PARAMS is one bit for all of them, so it is set only when
 * each is known: a parameter nobody listed must not look as if it were off. Where one follows from
 * another, kvm_intel's hardware_setup says how: no EPT, no unrestricted guest.
 */
static void fill_params(const struct nestmig_host *host, struct nestmig_host_view *view)
{
	const char *module = nm_host_module(view->vendor);
	int nested, npt, ept, unrestricted;

	if (!module)
		return;
	nested = nm_host_param_bool(host, module, "nested");
	npt = nm_host_param_bool(host, module, "npt");
	ept = nm_host_param_bool(host, module, "ept");
	unrestricted = nm_host_param_bool(host, module, "unrestricted_guest");
	if (ept < 0 && unrestricted == 1)
		ept = 1;
	if (unrestricted < 0 && ept == 0)
		unrestricted = 0;
	view->nested = nested == 1;
	view->npt = npt == 1;
	view->ept = ept == 1;
	view->unrestricted_guest = unrestricted == 1;
	view->no_emulation = nm_host_param_bool(host, module, "emulate_invalid_guest_state") == 0;
	view->vgif = nm_host_param_bool(host, module, "vgif") == 1;
	view->vls = nm_host_param_bool(host, module, "vls") == 1;
	if (nested < 0)
		return;
	if (view->vendor == NESTMIG_VENDOR_AMD ? npt >= 0 : ept >= 0 && unrestricted >= 0)
		view->have |= NESTMIG_HAVE(HOST_PARAMS);
}

static void fill_vmx(const struct nestmig_host *host, struct nestmig_vmx_msrs *vmx)
{
	for (size_t i = 0; i < host->msr_count; i++)
		nm_vmx_msr_put(vmx, host->msrs[i].index, host->msrs[i].value);
}

void nm_host_finish(struct nestmig_host *host)
{
	struct nestmig_host_view view = {.vendor = host->view.vendor};
	const char *nested_state = nm_host_cap(host, "KVM_CAP_NESTED_STATE");

	if (view.vendor == NESTMIG_VENDOR_UNKNOWN)
		view.vendor = vendor_from_params(host);
	if (view.vendor == NESTMIG_VENDOR_UNKNOWN)
		view.vendor = vendor_from_cpuid(host);
	if (host->kernel)
		view.kernel = kernel_version(host->kernel);
	if (view.kernel)
		view.have |= NESTMIG_HAVE(HOST_KERNEL);
	fill_params(host, &view);
	if (nested_state) {
		view.has_nested_state = strcmp(nested_state, "0") != 0;
		view.have |= NESTMIG_HAVE(HOST_CAPS);
	}
	if (host->cpuid_count) {
		nm_cpuid_words(host->cpuid, host->cpuid_count, &view.cpuid);
		view.have |= NESTMIG_HAVE(HOST_CPUID);
	}
	if (host->msr_count)
		view.have |= NESTMIG_HAVE(HOST_MSRS);
	fill_vmx(host, &view.vmx);
	host->view = view;
}
