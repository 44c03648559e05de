// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of reasons, for compare.awk. */
#include "reasons.h"

#include <string.h>

#include "rules.h"

static const struct {
	const char *text, *ids;
} reasons[] = {
#define REASON(text, ids) {text, ids},
#include "reasons.def"
#undef REASON
};

/* vmx_guest_state_valid looks at segment registers, and at RFLAGS.VM that says what they mean. */
static bool is_on_segments(const struct nm_rule *rule)
{
	static const char *const prefixes[] = {
		"vmx-guest-cs-", "vmx-guest-ss-",       "vmx-guest-ds-",   "vmx-guest-es-",
		"vmx-guest-fs-", "vmx-guest-gs-",       "vmx-guest-ldtr-", "vmx-guest-tr-",
		"vmx-pend-emul", "vmx-guest-rflags-vm",
	};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (strncmp(rule->id, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

/* Is every word of the list the id of a rule? */
static bool are_rules(const char *ids)
{
	char id[64];

	for (size_t length; *ids; ids += length + (ids[length] == ' ')) {
		length = strcspn(ids, " ");
		snprintf(id, sizeof(id), "%.*s", (int)length, ids);
		if (!nm_rule_find(id)) {
			fprintf(stderr, "nestmig-cases: reasons.def: there is no rule %s\n", id);
			return false;
		}
	}
	return true;
}

bool reasons_print(FILE *out)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		bool is_segments = strcmp(reasons[i].ids, "segments") == 0;

		fprintf(out, "reason %s |", reasons[i].text);
		for (size_t j = 0; is_segments && j < nm_rule_count; j++)
			if (is_on_segments(&nm_rules[j]))
				fprintf(out, " %s", nm_rules[j].id);
		if (!is_segments && !are_rules(reasons[i].ids))
			return false;
		fprintf(out, " %s\n", is_segments ? "" : reasons[i].ids);
	}
	return true;
}
