// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The guest's CPUID from QOM properties of a CPU object: "feature-words" (QAPI type
 * X86CPUFeatureWordInfo) and "phys-bits". QEMU 7.2 target/i386/cpu.c, x86_cpu_get_feature_words.
 */
#include "qemu_features.h"

#include <string.h>

#include "error.h"

static const struct {
	uint32_t function, index;
	const char *reg;
	enum nestmig_cpuid_word word;
} words[] = {
	{1, 0, "ECX", NESTMIG_CPUID_1_ECX},
	{1, 0, "EDX", NESTMIG_CPUID_1_EDX},
	{7, 0, "EBX", NESTMIG_CPUID_7_0_EBX},
	{7, 0, "ECX", NESTMIG_CPUID_7_0_ECX},
	{7, 0, "EDX", NESTMIG_CPUID_7_0_EDX},
	{7, 1, "EAX", NESTMIG_CPUID_7_1_EAX},
	{0xd, 1, "EAX", NESTMIG_CPUID_D_1_EAX},
	{0x80000001, 0, "ECX", NESTMIG_CPUID_80000001_ECX},
	{0x80000001, 0, "EDX", NESTMIG_CPUID_80000001_EDX},
	{0x80000008, 0, "EBX", NESTMIG_CPUID_80000008_EBX},
	{0x8000000a, 0, "EDX", NESTMIG_CPUID_8000000A_EDX},
	{0x80000021, 0, "EAX", NESTMIG_CPUID_80000021_EAX},
};

static void set_word(struct nestmig_cpuid *cpuid, enum nestmig_cpuid_word word, uint32_t value)
{
	cpuid->word[word] = value;
	cpuid->have |= UINT32_C(1) << word;
}

static bool take_word(struct nestmig_cpuid *cpuid, const json_t *entry)
{
	const char *reg = json_string_value(json_object_get(entry, "cpuid-register"));
	const json_t *function = json_object_get(entry, "cpuid-input-eax");
	const json_t *features = json_object_get(entry, "features");
	json_int_t index = json_integer_value(json_object_get(entry, "cpuid-input-ecx"));
	json_int_t value = json_integer_value(features);

	if (!reg || !json_is_integer(function) || !json_is_integer(features) || value < 0 ||
	    value > UINT32_MAX)
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (json_integer_value(function) == words[i].function && index == words[i].index &&
		    strcmp(reg, words[i].reg) == 0)
			set_word(cpuid, words[i].word, (uint32_t)value);
	return true;
}

enum nestmig_error nm_qemu_features(struct nm_vcpu *vcpu, const json_t *object,
				    struct nm_origin origin, struct nestmig_detail *detail)
{
	const json_t *list = json_object_get(object, "feature-words");
	json_int_t bits = json_integer_value(json_object_get(object, "phys-bits"));
	struct nestmig_cpuid cpuid = {0};
	size_t index;
	json_t *entry;

	if (!json_is_array(list))
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, origin.offset,
				  "the CPU of vCPU %u has no \"feature-words\"", vcpu->id);
	json_array_foreach (list, index, entry) {
		if (!take_word(&cpuid, entry))
			return nm_fail_at(detail, NESTMIG_ERR_FORMAT, origin.offset,
					  "feature word %zu of vCPU %u is no CPUID register", index,
					  vcpu->id);
	}
	/* 0 is QEMU's way to say "not decided yet". */
	if (bits > 0 && bits <= 64)
		set_word(&cpuid, NESTMIG_CPUID_80000008_EAX, (uint32_t)bits);
	vcpu->view.cpuid = cpuid;
	nm_vcpu_set_item(vcpu, NESTMIG_ITEM_CPUID, origin);
	return NESTMIG_OK;
}

enum nestmig_error nm_qemu_features_text(struct nm_vcpu *vcpu, struct nm_origin origin,
					 struct nestmig_detail *detail)
{
	json_error_t json_error;
	json_t *object = json_loadb((const char *)origin.bytes, (size_t)origin.size,
				    JSON_REJECT_DUPLICATES, &json_error);
	enum nestmig_error error;

	if (!object)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, origin.offset,
				  "the CPU record of vCPU %u is no JSON: %s", vcpu->id,
				  json_error.text);
	origin.layout = NM_LAYOUT_NONE;
	error = nm_qemu_features(vcpu, object, origin, detail);
	json_decref(object);
	return error;
}

enum nestmig_error nm_qemu_features_format(const struct nm_vcpu *vcpu, char **ret_text)
{
	const struct nestmig_cpuid *cpuid = &vcpu->view.cpuid;
	json_t *list = json_array(), *object;
	char *text;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (cpuid->have >> words[i].word & 1)
			json_array_append_new(
				list,
				json_pack("{s:s, s:I, s:I, s:I}", "cpuid-register", words[i].reg,
					  "cpuid-input-eax", (json_int_t)words[i].function,
					  "cpuid-input-ecx", (json_int_t)words[i].index, "features",
					  (json_int_t)cpuid->word[words[i].word]));
	object = json_pack("{s:o}", "feature-words", list);
	if (object && cpuid->have >> NESTMIG_CPUID_80000008_EAX & 1)
		json_object_set_new(object, "phys-bits",
				    json_integer(cpuid->word[NESTMIG_CPUID_80000008_EAX] & 0xff));
	text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	if (!text)
		return NESTMIG_ERR_NOMEM;
	*ret_text = text;
	return NESTMIG_OK;
}
