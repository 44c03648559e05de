// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A host profile for schedulers and monitoring. Formats: node-feature-discovery, docs "Customization guide", "Local
 * feature source"; Nova, admin guide "Managing Resource Providers Using Config Files"; Prometheus, "Exposition
 * formats", which is what OpenMetrics has of gauges.
 */
#include "host_export.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "bits.h"
#include "buf.h"
#include "host_advisories.h"
#include "host_cpuid.h"
#include "host_parts.h"
#include "vmcs/vmcs12.h"

#define CLASS_SIZE 17
#define NAME_SIZE  64 /* a label of Kubernetes has at most 63 characters, and so has its value */

/* ---- The class ------------------------------------------------------------------------------- */

static void class_of_params(XXH64_state_t *hash, const struct nestmig_host_view *view)
{
	const uint8_t params[] = {(uint8_t)view->vendor,    view->nested,      view->npt, view->ept,
				  view->unrestricted_guest, view->no_emulation};

	XXH64_update(hash, params, sizeof(params));
}

bool nm_host_class(const struct nestmig_host *host, char ret_class[CLASS_SIZE])
{
	static const char *const caps[] = {"KVM_CAP_NESTED_STATE",
					   "KVM_CAP_SREGS2",
					   "KVM_CAP_X86_SMM",
					   "KVM_CAP_EXCEPTION_PAYLOAD",
					   "KVM_CAP_X86_TRIPLE_FAULT_EVENT",
					   "KVM_CAP_XSAVE2",
					   "KVM_CAP_TSC_CONTROL"};
	const uint64_t wanted =
		NESTMIG_HAVE(HOST_PARAMS) | NESTMIG_HAVE(HOST_CAPS) | NESTMIG_HAVE(HOST_CPUID);
	unsigned bits = nm_host_maxphyaddr(host);
	XXH64_state_t *hash;

	if (!host->view.vendor || (host->view.have & wanted) != wanted ||
	    (host->view.vendor == NESTMIG_VENDOR_INTEL && !host->view.vmx.have))
		return false;
	hash = XXH64_createState();
	if (!hash)
		return false;
	XXH64_reset(hash, 0);
	class_of_params(hash, &host->view);
	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		const char *value = nm_host_cap(host, caps[i]);

		XXH64_update(hash, value ? value : "?", value ? strlen(value) + 1 : 2);
	}
	for (size_t i = 0; i < nm_features_count; i++) {
		uint32_t word = nm_features[i].reg ? nm_features_of(&nm_features[i], host->cpuid,
								    host->cpuid_count)
						   : 0;

		XXH64_update(hash, &word, sizeof(word));
	}
	XXH64_update(hash, &bits, sizeof(bits));
	for (unsigned i = 0; i < NESTMIG_VMX_MSRS; i++)
		XXH64_update(hash, &host->view.vmx.value[i], sizeof(host->view.vmx.value[i]));
	snprintf(ret_class, CLASS_SIZE, "%016" PRIx64, (uint64_t)XXH64_digest(hash));
	XXH64_freeState(hash);
	return true;
}

/* ---- Labels: what NFD and Nova are told ------------------------------------------------------ */

/* Takes "nested-paging" and "true"; value NULL where the name says it all. */
typedef void put_label(struct nm_buf *buf, const char *name, const char *value);

static void label_bool(struct nm_buf *buf, put_label *put, const struct nestmig_host *host,
		       const char *name, const char *param)
{
	const char *module = nm_host_module(host->view.vendor);
	int on = module ? nm_host_param_bool(host, module, param) : -1;

	if (on >= 0)
		put(buf, name, on ? "true" : "false");
}

static void label_number(struct nm_buf *buf, put_label *put, const char *name, unsigned number)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", number);
	put(buf, name, text);
}

/* Names of bits as parts of a label: lower case, and '-' for anything but letters and digits. */
static void label_bit(struct nm_buf *buf, put_label *put, const char *prefix, const char *bit)
{
	char name[NAME_SIZE];
	size_t used = (size_t)snprintf(name, sizeof(name), "%s-", prefix);

	for (; *bit && used + 1 < sizeof(name) - 16; bit++)
		name[used++] =
			(char)(isalnum((unsigned char)*bit) ? tolower((unsigned char)*bit) : '-');
	name[used] = '\0';
	put(buf, name, "true");
}

static void labels_of_svm(struct nm_buf *buf, put_label *put, const struct nestmig_host *host)
{
	const struct nm_features *features = nm_features_find(0x8000000a, "edx");
	uint32_t word = nm_features_of(features, host->cpuid, host->cpuid_count);

	label_bool(buf, put, host, "nested-paging", "npt");
	for (unsigned bit = 0; bit < 32; bit++)
		if (word >> bit & 1 && features->names[bit])
			label_bit(buf, put, "svm", features->names[bit]);
}

static void labels_of_vmx(struct nm_buf *buf, put_label *put, const struct nestmig_host *host)
{
	const struct nm_bit *names = nm_bits_of("vmcs12.secondary_vm_exec_control");
	const struct nestmig_vmx_msrs *vmx = &host->view.vmx;

	label_bool(buf, put, host, "nested-paging", "ept");
	label_bool(buf, put, host, "unrestricted-guest", "unrestricted_guest");
	for (; vmx->have >> VMX_PROC2 & 1 && names && names->name; names++)
		if (vmx->value[VMX_PROC2] >> 32 >> names->bit & 1 && *names->name)
			label_bit(buf, put, "vmx", names->name);
}

static void labels_of_advisories(struct nm_buf *buf, put_label *put,
				 const struct nestmig_host *host)
{
	size_t counts[NM_ADVISORY_STATUSES];

	nm_advisories_count(host, counts);
	label_number(buf, put, "advisories-affected", (unsigned)counts[NM_ADVISORY_AFFECTED]);
	label_number(buf, put, "advisories-unknown", (unsigned)counts[NM_ADVISORY_UNKNOWN]);
	for (size_t i = 0; i < nm_advisory_count; i++) {
		struct nm_advisory_result result;

		if (!nm_advisory_applies(&nm_advisories[i], host))
			continue;
		nm_advisory_judge(&nm_advisories[i], host, &result);
		if (result.status == NM_ADVISORY_AFFECTED)
			label_bit(buf, put, "advisory", nm_advisories[i].id);
	}
}

static void put_labels(struct nm_buf *buf, put_label *put, const struct nestmig_host *host)
{
	const char *nested_state = nm_host_cap(host, "KVM_CAP_NESTED_STATE");
	char class[CLASS_SIZE], kernel[NAME_SIZE];
	unsigned bits = nm_host_maxphyaddr(host);

	if (host->view.vendor)
		put(buf, "vendor", nm_host_vendor_name(host->view.vendor));
	label_bool(buf, put, host, "nested", "nested");
	if (nested_state)
		put(buf, "nested-state", strcmp(nested_state, "0") ? "true" : "false");
	if (host->view.kernel) {
		snprintf(kernel, sizeof(kernel), "%u.%u", host->view.kernel >> 16,
			 host->view.kernel & 0xffff);
		put(buf, "kernel", kernel);
	}
	if (bits)
		label_number(buf, put, "maxphyaddr", bits);
	if (nm_host_class(host, class))
		put(buf, "class", class);
	if (host->view.vendor == NESTMIG_VENDOR_AMD)
		labels_of_svm(buf, put, host);
	if (host->view.vendor == NESTMIG_VENDOR_INTEL)
		labels_of_vmx(buf, put, host);
	labels_of_advisories(buf, put, host);
}

static void put_nfd(struct nm_buf *buf, const char *name, const char *value)
{
	nm_buf_printf(buf, "feature.node.kubernetes.io/nestmig-%s=%s\n", name, value);
}

enum nestmig_error nm_host_nfd(const struct nestmig_host *host, char **ret_text)
{
	struct nm_buf buf = {0};

	nm_buf_puts(&buf, "# nestmig host --format nfd; belongs into "
			  "/etc/kubernetes/node-feature-discovery/features.d/\n");
	put_labels(&buf, put_nfd, host);
	return nm_buf_take(&buf, ret_text);
}

/* A trait is there or not: what is true loses its value, what is false is left out. */
static void put_trait(struct nm_buf *buf, const char *name, const char *value)
{
	bool is_true = !strcmp(value, "true");
	char trait[2 * NAME_SIZE];

	if (!strcmp(value, "false"))
		return;
	snprintf(trait, sizeof(trait), "%s%s%s", name, is_true ? "" : "_", is_true ? "" : value);
	for (char *c = trait; *c; c++)
		*c = (char)(isalnum((unsigned char)*c) ? toupper((unsigned char)*c) : '_');
	nm_buf_printf(buf, "        - 'CUSTOM_NESTMIG_%s'\n", trait);
}

enum nestmig_error nm_host_nova(const struct nestmig_host *host, char **ret_text)
{
	struct nm_buf buf = {0};

	nm_buf_puts(&buf,
		    "# nestmig host --format nova; belongs into compute.provider_config_location "
		    "(/etc/nova/provider_config/), read when nova-compute starts\n"
		    "meta:\n"
		    "  schema_version: '1.0'\n"
		    "providers:\n"
		    "  - identification:\n"
		    "      uuid: '$COMPUTE_NODE'\n"
		    "    traits:\n"
		    "      additional:\n");
	put_labels(&buf, put_trait, host);
	return nm_buf_take(&buf, ret_text);
}

/* ---- OpenMetrics ----------------------------------------------------------------------------- */

static void put_head(struct nm_buf *buf, const char *name, const char *help)
{
	nm_buf_printf(buf, "# HELP nestmig_host_%s %s\n# TYPE nestmig_host_%s gauge\n", name, help,
		      name);
}

/* A value of a label: printable ASCII of a profile, with what has a meaning there escaped. */
static void put_escaped(struct nm_buf *buf, const char *text)
{
	for (; *text; text++)
		nm_buf_printf(buf, "%s%c", *text == '"' || *text == '\\' ? "\\" : "", *text);
}

static void put_info(struct nm_buf *buf, const struct nestmig_host *host)
{
	static const char *const facts[][2] = {{"os", "os.name"},
					       {"cpu", "cpu.name"},
					       {"microcode", "cpu.microcode"},
					       {"build", "kernel.build"}};
	char class[CLASS_SIZE];

	put_head(buf, "info", "What the host is; always 1.");
	nm_buf_printf(buf, "nestmig_host_info{vendor=\"%s\",kernel=\"",
		      nm_host_vendor_name(host->view.vendor));
	put_escaped(buf, host->kernel ? host->kernel : "");
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		const char *value = nm_host_get(&host->facts, facts[i][1]);

		nm_buf_printf(buf, "\",%s=\"", facts[i][0]);
		put_escaped(buf, value ? value : "");
	}
	nm_buf_printf(buf, "\",class=\"%s\"} 1\n", nm_host_class(host, class) ? class : "");
}

static void put_number(struct nm_buf *buf, const char *name, const char *help, unsigned long value)
{
	put_head(buf, name, help);
	nm_buf_printf(buf, "nestmig_host_%s %lu\n", name, value);
}

static void put_bool(struct nm_buf *buf, const struct nestmig_host *host, const char *name,
		     const char *help, const char *param)
{
	const char *module = nm_host_module(host->view.vendor);
	int on = module ? nm_host_param_bool(host, module, param) : -1;

	if (on >= 0)
		put_number(buf, name, help, (unsigned long)on);
}

static void put_caps(struct nm_buf *buf, const struct nestmig_host *host)
{
	if (!host->cap_count)
		return;
	put_head(buf, "capability", "What KVM_CHECK_EXTENSION answers.");
	for (size_t i = 0; i < host->cap_count; i++)
		nm_buf_printf(buf, "nestmig_host_capability{name=\"%s\"} %s\n", host->caps[i].name,
			      host->caps[i].value);
}

static void put_probes(struct nm_buf *buf, const struct nestmig_host *host)
{
	if (!host->probes.count)
		return;
	put_head(buf, "probe", "What a virtual machine made for the question met; always 1.");
	for (size_t i = 0; i < host->probes.count; i++) {
		nm_buf_printf(buf, "nestmig_host_probe{name=\"%s\",result=\"",
			      host->probes.entries[i].name);
		put_escaped(buf, host->probes.entries[i].value);
		nm_buf_puts(buf, "\"} 1\n");
	}
}

static void put_advisories(struct nm_buf *buf, const struct nestmig_host *host)
{
	size_t counts[NM_ADVISORY_STATUSES];

	nm_advisories_count(host, counts);
	put_head(buf, "advisories", "Kernel advisories on nested virtualization, by status.");
	for (unsigned i = 0; i < NM_ADVISORY_STATUSES; i++)
		nm_buf_printf(buf, "nestmig_host_advisories{status=\"%s\"} %zu\n",
			      nm_advisory_status_name((enum nm_advisory_status)i), counts[i]);
	if (!counts[NM_ADVISORY_AFFECTED])
		return;
	put_head(buf, "advisory_affected", "An advisory that the host is affected by; always 1.");
	for (size_t i = 0; i < nm_advisory_count; i++) {
		struct nm_advisory_result result;

		if (!nm_advisory_applies(&nm_advisories[i], host))
			continue;
		nm_advisory_judge(&nm_advisories[i], host, &result);
		if (result.status == NM_ADVISORY_AFFECTED)
			nm_buf_printf(buf,
				      "nestmig_host_advisory_affected{id=\"%s\",cve=\"%s\"} 1\n",
				      nm_advisories[i].id, nm_advisories[i].cve);
	}
}

enum nestmig_error nm_host_openmetrics(const struct nestmig_host *host, char **ret_text)
{
	const char *nested_state = nm_host_cap(host, "KVM_CAP_NESTED_STATE");
	unsigned bits = nm_host_maxphyaddr(host);
	struct nm_buf buf = {0};

	put_info(&buf, host);
	put_bool(&buf, host, "nested", "Whether guests may use virtualization.", "nested");
	if (host->view.vendor == NESTMIG_VENDOR_INTEL) {
		put_bool(&buf, host, "nested_paging", "Whether L1 may use nested paging.", "ept");
		put_bool(&buf, host, "unrestricted_guest", "Whether L1 may use unrestricted guest.",
			 "unrestricted_guest");
	} else {
		put_bool(&buf, host, "nested_paging", "Whether L1 may use nested paging.", "npt");
	}
	if (nested_state)
		put_number(&buf, "nested_state_bytes", "The size of nested state, 0 without.",
			   strtoul(nested_state, NULL, 10));
	if (bits)
		put_number(&buf, "maxphyaddr_bits", "The width of physical addresses of guests.",
			   bits);
	put_caps(&buf, host);
	put_probes(&buf, host);
	put_advisories(&buf, host);
	nm_buf_puts(&buf, "# EOF\n");
	return nm_buf_take(&buf, ret_text);
}
