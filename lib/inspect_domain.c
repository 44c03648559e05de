// SPDX-License-Identifier: LGPL-2.1-or-later
/* libvirt's XML as text and JSON: what it says in short, and the whole of it. */
#include "inspect_domain.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "domain.h"
#include "error.h"
#include "jsontext.h"

/* The XML of a state, parsed. What cannot be parsed stays NULL, and why is said. */
struct domains {
	struct nm_domain *domain, *cookie;
	struct nestmig_detail why, cookie_why;
};

static struct domains parse(const struct nestmig_state *state)
{
	struct domains d = {0};

	if (state->domain_xml && nm_domain_parse(state->domain_xml, &d.domain, &d.why))
		d.domain = NULL;
	if (state->cookie_xml && nm_domain_parse(state->cookie_xml, &d.cookie, &d.cookie_why))
		d.cookie = NULL;
	return d;
}

static void drop(struct domains *d)
{
	nm_domain_free(d->domain);
	nm_domain_free(d->cookie);
}

/* Text from a file that nobody trusts: what a terminal might obey becomes \xNN. */
static void put_escaped(struct nm_buf *buf, const char *text, bool keep_lines)
{
	while (*text) {
		size_t length = nm_printable_length(text);
		unsigned char c = (unsigned char)*text;

		if (length || (keep_lines && (c == '\n' || c == '\t')))
			nm_buf_printf(buf, "%.*s", length ? (int)length : 1, text);
		else
			nm_buf_printf(buf, "\\x%02x", c);
		text += length ? length : 1;
	}
}

static void put_label(struct nm_text *t, const char *label)
{
	nm_buf_printf(&t->buf, "    %-22s ", label);
}

/* A line, if there is anything to say. */
static void put_line(struct nm_text *t, const char *label, const char *text)
{
	if (!text)
		return;
	put_label(t, label);
	put_escaped(&t->buf, text, false);
	nm_buf_puts(&t->buf, "\n");
}

static void put_policy(struct nm_text *t, const struct nm_domain *cpu, const char *name)
{
	put_line(t, name, nm_domain_feature(cpu, name));
}

/* The VMX capabilities that are named one by one. */
static void put_vmx_features(struct nm_text *t, const struct nm_domain *cpu)
{
	for (size_t i = 0; i < cpu->feature_count; i++) {
		const struct nm_domain_feature *f = &cpu->features[i];

		if (!f->name || strncmp(f->name, "vmx-", 4) != 0)
			continue;
		put_label(t, "feature");
		put_escaped(&t->buf, f->name, false);
		nm_buf_puts(&t->buf, " ");
		put_escaped(&t->buf, f->policy ? f->policy : "require", false);
		nm_buf_puts(&t->buf, "\n");
	}
}

static void put_cpu(struct nm_text *t, const struct domains *d)
{
	const struct nm_domain *cpu = d->cookie && d->cookie->cpus ? d->cookie : d->domain;
	unsigned bits = nm_domain_phys_bits(d->domain, d->cookie);

	if (!cpu || !cpu->cpus)
		return;
	put_line(t, cpu == d->cookie ? "cpu (as it ran)" : "cpu", cpu->cpu_model);
	put_line(t, "  mode", cpu->cpu_mode);
	put_line(t, "  match", cpu->cpu_match);
	put_line(t, "  check", cpu->cpu_check);
	put_line(t, "  vendor", cpu->cpu_vendor);
	put_policy(t, cpu, "vmx");
	put_policy(t, cpu, "svm");
	put_vmx_features(t, cpu);
	put_label(t, "physical addresses");
	if (bits)
		nm_buf_printf(&t->buf, "%u bits\n", bits);
	else
		nm_buf_puts(&t->buf, "of a width that depends on the host or the machine type\n");
}

void nm_text_domain(struct nm_text *t, const struct nestmig_state *state)
{
	struct domains d;

	if (!state->domain_xml)
		return;
	d = parse(state);
	nm_text_heading(t, "domain", "(what libvirt's XML says; all of it: --xml)");
	if (d.domain) {
		put_line(t, "name", d.domain->name);
		put_line(t, "uuid", d.domain->uuid);
		put_line(t, "machine", d.domain->machine);
		put_label(t, "memory");
		nm_buf_printf(&t->buf, "%" PRIu64 " KiB\n", d.domain->memory_kib);
		put_label(t, "vCPUs");
		nm_buf_printf(&t->buf, "%u\n", d.domain->vcpus);
	} else {
		put_line(t, "not read", d.why.text);
	}
	if (state->cookie_xml && !d.cookie)
		put_line(t, "cookie not read", d.cookie_why.text);
	put_cpu(t, &d);
	drop(&d);
}

/* ---- JSON ------------------------------------------------------------------------------------- */

static json_t *features_json(const struct nm_domain *cpu)
{
	json_t *features = json_object();

	for (size_t i = 0; i < cpu->feature_count; i++) {
		const struct nm_domain_feature *f = &cpu->features[i];

		if (f->name)
			json_object_set_new_nocheck(features, f->name, nm_json_text(f->policy));
	}
	return features;
}

static json_t *cpu_json(const struct domains *d)
{
	const struct nm_domain *cpu = d->cookie && d->cookie->cpus ? d->cookie : d->domain;
	unsigned bits = nm_domain_phys_bits(d->domain, d->cookie);

	if (!cpu || !cpu->cpus)
		return json_null();
	return json_pack("{s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "as_it_ran", cpu == d->cookie,
			 "model", nm_json_text(cpu->cpu_model), "mode", nm_json_text(cpu->cpu_mode),
			 "match", nm_json_text(cpu->cpu_match), "check",
			 nm_json_text(cpu->cpu_check), "vendor", nm_json_text(cpu->cpu_vendor),
			 "features", features_json(cpu), "phys_bits",
			 bits ? json_integer(bits) : json_null());
}

json_t *nm_domain_json(const struct nestmig_state *state)
{
	struct domains d;
	json_t *json;

	if (!state->domain_xml)
		return NULL;
	d = parse(state);
	if (d.domain)
		json = json_pack("{s:o, s:o, s:o, s:I, s:i, s:o}", "name",
				 nm_json_text(d.domain->name), "uuid", nm_json_text(d.domain->uuid),
				 "machine", nm_json_text(d.domain->machine), "memory_kib",
				 (json_int_t)d.domain->memory_kib, "vcpus", (int)d.domain->vcpus,
				 "cpu", cpu_json(&d));
	else
		json = json_pack("{s:o}", "error", nm_json_text(d.why.text));
	if (json && state->cookie_xml && !d.cookie)
		json_object_set_new(json, "cookie_error", nm_json_text(d.cookie_why.text));
	drop(&d);
	return json;
}

/* ---- All of it -------------------------------------------------------------------------------- */

static enum nestmig_error check_xml(const struct nestmig_state *state,
				    struct nestmig_detail *detail)
{
	if (state->domain_xml)
		return NESTMIG_OK;
	return nm_fail(detail, NESTMIG_ERR_NOT_FOUND,
		       "the file holds no domain XML: only libvirt's save images do");
}

enum nestmig_error nestmig_inspect_xml_text(const struct nestmig_state *state, char **ret_text,
					    struct nestmig_detail *detail)
{
	enum nestmig_error error = check_xml(state, detail);
	struct nm_buf buf = {0};

	if (error)
		return error;
	put_escaped(&buf, state->domain_xml, true);
	if (state->domain_xml[strlen(state->domain_xml) - 1] != '\n')
		nm_buf_puts(&buf, "\n");
	if (state->cookie_xml)
		put_escaped(&buf, state->cookie_xml, true);
	return nm_buf_take(&buf, ret_text);
}

enum nestmig_error nestmig_inspect_xml_json(const struct nestmig_state *state, char **ret_text,
					    struct nestmig_detail *detail)
{
	enum nestmig_error error = check_xml(state, detail);
	char *text = NULL, *line = NULL;
	json_t *root;

	if (error)
		return error;
	root = json_pack("{s:s, s:o, s:s, s:o, s:o, s:o}", "schema", "nestmig.xml/1", "file",
			 nm_json_text(state->path), "format", state->format, "domain",
			 nm_domain_json(state), "domain_xml", nm_json_text(state->domain_xml),
			 "cookie_xml", nm_json_text(state->cookie_xml));
	if (root)
		text = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	if (!text || asprintf(&line, "%s\n", text) < 0) {
		free(text);
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	}
	free(text);
	*ret_text = line;
	return NESTMIG_OK;
}
