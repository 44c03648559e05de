// SPDX-License-Identifier: LGPL-2.1-or-later
/* The decode of a state as JSON: every field of every item that is present. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "bits.h"
#include "fields.h"
#include "inspect_domain.h"
#include "inspect_smram.h"
#include "jsontext.h"
#include "pointed.h"
#include "state.h"

static json_t *bit_names(const struct nm_bit *bits, uint64_t value)
{
	json_t *names = json_array();

	for (; bits->name; bits++)
		if (*bits->name && value >> bits->bit & 1)
			json_array_append_new(names, json_string(bits->name));
	return names;
}

/* Numbers are texts in hexadecimal: JSON readers lose 64-bit integers. */
json_t *nm_json_field(const struct nm_vcpu *vcpu, const struct nm_field *field)
{
	const struct nm_bit *bits = nm_bits_of(field->name);
	uint64_t value = nm_field_value(vcpu, field);
	uint64_t offset = nm_field_offset(vcpu, field, NULL, NULL);
	json_t *json;
	char hex[24];

	snprintf(hex, sizeof(hex), "0x%" PRIx64, value);
	json = json_pack("{s:s}", "value", hex);
	if (bits)
		json_object_set_new(json, "bits", bit_names(bits, value));
	if (offset != UINT64_MAX)
		json_object_set_new(json, "offset", json_integer((json_int_t)offset));
	return json;
}

static json_t *msrs_json(const struct nm_vcpu *vcpu)
{
	json_t *msrs = json_object();

	for (size_t i = 0; i < vcpu->msr_count; i++) {
		char index[16], value[24];

		snprintf(index, sizeof(index), "0x%08x", vcpu->msrs[i].index);
		snprintf(value, sizeof(value), "0x%" PRIx64, vcpu->msrs[i].value);
		json_object_set_new(msrs, index, json_string(value));
	}
	return msrs;
}

static json_t *pointed_json(const struct nestmig_state *state, const struct nm_vcpu *vcpu)
{
	struct nm_pointed pointed[NM_POINTED_MAX];
	size_t count = nm_vcpu_pointed(state, vcpu, pointed);
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++) {
		char gpa[24];

		snprintf(gpa, sizeof(gpa), "0x%" PRIx64, pointed[i].gpa);
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:I, s:s, s:b}", "by", pointed[i].name,
						"gpa", gpa, "bytes", (json_int_t)pointed[i].length,
						"ram", nm_backed_name(pointed[i].backed), "at_hand",
						pointed[i].is_at_hand));
	}
	return list;
}

static json_t *vcpu_json(const struct nestmig_state *state, const struct nm_vcpu *vcpu)
{
	json_t *fields = json_object(), *items = json_array();

	for (int i = 0; i < NESTMIG_ITEM_COUNT; i++)
		if (nm_vcpu_has(vcpu, UINT64_C(1) << i))
			json_array_append_new(items, json_string(nm_item_name(i)));
	for (size_t i = 0; i < nm_field_count(); i++) {
		const struct nm_field *field = nm_field_at(i);

		if (nm_field_present(vcpu, field) && field->kvm_width <= 8)
			json_object_set_new(fields, field->name, nm_json_field(vcpu, field));
	}
	return json_pack("{s:i, s:s, s:o, s:o, s:o, s:o, s:o}", "id", (int)vcpu->id, "mode",
			 nm_vcpu_mode(vcpu), "items", items, "fields", fields, "msrs",
			 msrs_json(vcpu), "smram", nm_smram_json(state, vcpu), "memory",
			 pointed_json(state, vcpu));
}

/* Only the SMRAM of a vCPU. */
static json_t *vcpu_smram_json(const struct nestmig_state *state, const struct nm_vcpu *vcpu)
{
	return json_pack("{s:i, s:s, s:o}", "id", (int)vcpu->id, "mode", nm_vcpu_mode(vcpu),
			 "smram", nm_smram_json(state, vcpu));
}

static enum nestmig_error document(const struct nestmig_state *state,
				   json_t *(*of_vcpu)(const struct nestmig_state *state,
						      const struct nm_vcpu *vcpu),
				   char **ret_text)
{
	static const char *const vendors[] = {
		[NESTMIG_VENDOR_INTEL] = "intel", [NESTMIG_VENDOR_AMD] = "amd"};
	json_t *vcpus = json_array(), *root;
	char *text = NULL, *line = NULL;

	for (size_t i = 0; i < state->vcpu_count; i++)
		json_array_append_new(vcpus, of_vcpu(state, &state->vcpus[i]));
	root = json_pack("{s:s, s:o, s:s, s:s*, s:o*, s:s?, s:s?, s:o, s:s*}", "schema",
			 "nestmig.inspect/1", "file", nm_json_text(state->path), "format",
			 state->format, "packing", state->packing, "domain", nm_domain_json(state),
			 "vendor", vendors[state->vendor], "machine", state->machine, "vcpus",
			 vcpus, "remark", state->remark);
	if (root)
		text = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	if (!text || asprintf(&line, "%s\n", text) < 0) {
		free(text);
		return NESTMIG_ERR_NOMEM;
	}
	free(text);
	*ret_text = line;
	return NESTMIG_OK;
}

enum nestmig_error nestmig_inspect_json(const struct nestmig_state *state, char **ret_text)
{
	return document(state, vcpu_json, ret_text);
}

enum nestmig_error nestmig_inspect_smram_json(const struct nestmig_state *state, char **ret_text)
{
	return document(state, vcpu_smram_json, ret_text);
}
