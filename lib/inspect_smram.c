// SPDX-License-Identifier: LGPL-2.1-or-later
/* The decode of SMRAM, and it as JSON: what RSM of KVM will load, and where the image is of another
 * map, that. */
#include "inspect_smram.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"

/* ---- What there is --------------------------------------------------------------------------- */

static const struct {
	const char *state, *reason;
} reasons[] = {
#define SHOWN 0
	{"shown", "what RSM will load"},
#define NOT_IN_SMM 1
	{"not-in-smm", "not in SMM: there is no image that RSM would load"},
#define NO_EVENTS 2
	{"no-events", "the events are not in the file: whether the vCPU is in SMM is not known"},
#define NO_SMBASE 3
	{"no-smbase", "SMBASE is not in the file"},
#define NOT_AT_HAND 4
	{"not-at-hand", "the bytes at SMBASE + 0xfe00 are not in the file"},
#define NOT_RAM 5
	{"not-ram", "SMBASE + 0xfe00 is not RAM"},
};

static unsigned state_of(const struct nestmig_state *state, const struct nestmig_vcpu_view *view)
{
	if (!(view->have & NESTMIG_HAVE(EVENTS)))
		return NO_EVENTS;
	if (!view->events.smi_smm)
		return NOT_IN_SMM;
	if (!(view->have & NESTMIG_HAVE(SMBASE)))
		return NO_SMBASE;
	if (view->have & NESTMIG_HAVE(SMRAM))
		return SHOWN;
	return nm_state_backed_smm(state, view->smbase + NESTMIG_SMRAM_BASE, NESTMIG_SMRAM_SIZE) ==
			       NESTMIG_BACKED_NO
		       ? NOT_RAM
		       : NOT_AT_HAND;
}

/*
 * Bits 15:0 of the revision id, which all maps have at the same place: 0x64 in AMD64's map; 0 in
 * KVM's 32-bit map and in the P6's; Intel counts up from 4 with 32-bit maps, and from 0x100 with
 * 64-bit ones. Above them only two bits are in use, for I/O restart and for the SMBASE.
 */
static const char *map_of_revision(uint64_t revision)
{
	unsigned level = revision & 0xffff;

	if (revision >> 18)
		return NULL;
	if (level == (SMRAM64_REVISION & 0xffff))
		return "kvm64";
	if (level == (SMRAM32_REVISION & 0xffff))
		return "kvm32";
	if (level >= 0x100 && level < 0x200)
		return "intel64";
	return level >= 4 && level < 0x40 ? "intel32" : NULL;
}

struct nm_smram_info nm_smram_info(const struct nestmig_state *state, const struct nm_vcpu *vcpu)
{
	const struct nestmig_vcpu_view *view = &vcpu->view;
	unsigned what = state_of(state, view);
	struct nm_smram_info info = {.state = reasons[what].state, .reason = reasons[what].reason};

	if (what != SHOWN)
		return info;
	info.shown = true;
	info.map = vcpu->origin[NESTMIG_ITEM_SMRAM].layout == NM_LAYOUT_SMRAM32 ? SMRAM_MAP_32
										: SMRAM_MAP_64;
	info.by_cpuid = (view->have & NESTMIG_HAVE(CPUID)) &&
			smram_map_of_cpuid(&view->cpuid) != SMRAM_MAP_UNKNOWN;
	info.image_map = map_of_revision(smram64_revision(view->smram));
	return info;
}

bool nm_smram_is_foreign(const struct nm_smram_info *info)
{
	return info->image_map && strncmp(info->image_map, "intel", strlen("intel")) == 0;
}

const struct nm_smram_foreign *nm_smram_foreign(const struct nm_vcpu *vcpu, const char *map,
						size_t n)
{
	static const struct {
		const char *map;
		struct nm_smram_foreign field;
	} fields[] = {
#define SMRAM_FIELD(map, offset, width, ident, name, loaded) FOREIGN_##map(offset, width, name)
#define SMRAM_RANGE(map, offset, width, ident, name, loaded)
#define FOREIGN_smram64(offset, width, name)
#define FOREIGN_smram32(offset, width, name)
#define FOREIGN_intel64(offset, width, name) {"intel64", {name, (offset)-SMRAM_AREA_BASE, width}},
#define FOREIGN_intel32(offset, width, name) {"intel32", {name, (offset)-SMRAM_AREA_BASE, width}},
#include "smram/layout.def"
#undef SMRAM_FIELD
	};

	for (size_t i = 0; vcpu->memory && i < sizeof(fields) / sizeof(fields[0]); i++) {
		const struct nm_smram_foreign *field = &fields[i].field;

		if (strcmp(fields[i].map, map) != 0 ||
		    strncmp(field->name, "reserved", strlen("reserved")) == 0 ||
		    (!vcpu->memory->has_smram_low &&
		     field->offset < NESTMIG_SMRAM_BASE - SMRAM_AREA_BASE))
			continue;
		if (n-- == 0)
			return field;
	}
	return NULL;
}

uint64_t nm_smram_value(const struct nm_vcpu *vcpu, const char *name, const char *part)
{
	uint64_t value = 0;
	char full[48];

	snprintf(full, sizeof(full), "smram.%s.%s", name, part);
	return nm_vcpu_field(vcpu, full, &value, NULL, NULL) ? value : 0;
}

struct nestmig_segment nm_smram_segment(const struct nm_vcpu *vcpu, const char *name)
{
	bool is32 = vcpu->origin[NESTMIG_ITEM_SMRAM].layout == NM_LAYOUT_SMRAM32;
	uint64_t attributes = nm_smram_value(vcpu, name, "attributes") >> (is32 ? 8 : 0);

	return (struct nestmig_segment){
		.base = nm_smram_value(vcpu, name, "base"),
		.limit = (uint32_t)nm_smram_value(vcpu, name, "limit"),
		.selector = (uint16_t)nm_smram_value(vcpu, name, "selector"),
		.type = (uint8_t)SMRAM_ATTRIB_TYPE(attributes),
		.present = (uint8_t)SMRAM_ATTRIB_P(attributes),
		.dpl = (uint8_t)SMRAM_ATTRIB_DPL(attributes),
		.db = (uint8_t)SMRAM_ATTRIB_DB(attributes),
		.s = (uint8_t)SMRAM_ATTRIB_S(attributes),
		.l = (uint8_t)SMRAM_ATTRIB_L(attributes),
		.g = (uint8_t)SMRAM_ATTRIB_G(attributes),
		.avl = (uint8_t)SMRAM_ATTRIB_AVL(attributes),
	};
}

const char *const nm_smram_segments[NM_SMRAM_SEGMENTS] = {"cs", "ds", "es", "fs",
							  "gs", "ss", "tr", "ldtr"};

/* ---- JSON ------------------------------------------------------------------------------------ */

static json_t *hex_json(uint64_t value)
{
	char hex[24];

	snprintf(hex, sizeof(hex), "0x%" PRIx64, value);
	return json_string(hex);
}

/* The fields of an item, named without the prefix. */
static json_t *fields_json(const struct nm_vcpu *vcpu, enum nestmig_item item, const char *prefix)
{
	json_t *fields = json_object();

	for (size_t i = 0; i < nm_field_count(); i++) {
		const struct nm_field *field = nm_field_at(i);

		if (field->item == item && nm_field_present(vcpu, field) &&
		    nm_field_width(vcpu, field) <= 8)
			json_object_set_new(fields, field->name + strlen(prefix),
					    nm_json_field(vcpu, field));
	}
	return fields;
}

static json_t *segments_json(const struct nm_vcpu *vcpu)
{
	json_t *all = json_object();

	for (size_t i = 0; i < NM_SMRAM_SEGMENTS; i++) {
		struct nestmig_segment s = nm_smram_segment(vcpu, nm_smram_segments[i]);

		json_object_set_new(all, nm_smram_segments[i],
				    json_pack("{s:o, s:o, s:o, s:i, s:i, s:i, s:i, s:i, s:i, s:i, "
					      "s:i}",
					      "selector", hex_json(s.selector), "base",
					      hex_json(s.base), "limit", hex_json(s.limit), "type",
					      s.type, "s", s.s, "dpl", s.dpl, "p", s.present, "l",
					      s.l, "db", s.db, "g", s.g, "avl", s.avl));
	}
	return all;
}

static json_t *foreign_json(const struct nm_vcpu *vcpu, const char *map)
{
	const struct nm_smram_foreign *field;
	json_t *fields = json_object();

	for (size_t n = 0; (field = nm_smram_foreign(vcpu, map, n)); n++)
		json_object_set_new(
			fields, field->name,
			hex_json(nm_le(vcpu->memory->smram_area + field->offset, field->width)));
	return fields;
}

json_t *nm_smram_json(const struct nestmig_state *state, const struct nm_vcpu *vcpu)
{
	struct nm_smram_info info = nm_smram_info(state, vcpu);
	json_t *json = json_pack("{s:s}", "state", info.state);

	if (!info.shown)
		return json;
	json_object_set_new(json, "address", hex_json(vcpu->view.smbase + NESTMIG_SMRAM_BASE));
	json_object_set_new(json, "map", json_string(info.map == SMRAM_MAP_32 ? "kvm32" : "kvm64"));
	json_object_set_new(json, "map_known_by",
			    json_string(info.by_cpuid ? "cpuid" : "revision"));
	if (info.image_map)
		json_object_set_new(json, "map_of_revision", json_string(info.image_map));
	json_object_set_new(json, "fields", fields_json(vcpu, NESTMIG_ITEM_SMRAM, "smram."));
	json_object_set_new(json, "segments", segments_json(vcpu));
	if (vcpu->view.smm_vmcb12)
		json_object_set_new(json, "vmcb12",
				    fields_json(vcpu, NESTMIG_ITEM_SMM_VMCB12, "smm_vmcb12."));
	if (nm_smram_is_foreign(&info))
		json_object_set_new(json, "by_map_of_revision", foreign_json(vcpu, info.image_map));
	return json;
}
