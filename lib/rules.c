// SPDX-License-Identifier: LGPL-2.1-or-later
/* The tables made of the .def files. */
#include "rules.h"

#include <stdlib.h>
#include <string.h>

#include "smram/predicates.h"
#include "vcpu/predicates.h"
#include "vmcb/predicates.h"
#include "vmcs/predicates.h"

const struct nm_rule nm_rules[] = {
#define RULE(ident, id_, title_, group_, severity_, when_, inputs_, may_read_, fields_, before_,   \
	     changed_, after_, reference_, cause_, remedy_)                                        \
	{                                                                                          \
		.id = id_,                                                                         \
		.title = title_,                                                                   \
		.group = group_,                                                                   \
		.severity = NM_SEVERITY_##severity_,                                               \
		.when = NM_##when_,                                                                \
		.inputs = inputs_,                                                                 \
		.may_read = may_read_,                                                             \
		.fields = fields_,                                                                 \
		.before = NM_CONSEQUENCE_##before_,                                                \
		.changed = changed_,                                                               \
		.after = NM_CONSEQUENCE_##after_,                                                  \
		.reference = reference_,                                                           \
		.cause = cause_,                                                                   \
		.remedy = remedy_,                                                                 \
		.predicate = rule_##ident,                                                         \
	},
#include "rules.def"
#undef RULE
};

const size_t nm_rule_count = sizeof(nm_rules) / sizeof(nm_rules[0]);

const struct nm_consequence_row nm_consequences[NM_CONSEQUENCES] = {
#define CONSEQUENCE(name_, stage_, outcome_, ioctl_, errno_, text_)                                \
	{                                                                                          \
		.name = #name_,                                                                    \
		.stage = NM_STAGE_##stage_,                                                        \
		.outcome = outcome_,                                                               \
		.ioctl = ioctl_,                                                                   \
		.errno_name = errno_,                                                              \
		.text = text_,                                                                     \
	},
#include "consequences.def"
#undef CONSEQUENCE
};

const struct nm_not_judged nm_not_judged[] = {
#define NOT_JUDGED(id, reason) {id, reason},
#include "vcpu/not-judged.def"
#include "smram/not-judged.def"
#include "vmcb/not-judged.def"
#include "vmcs/not-judged.def"
#undef NOT_JUDGED
};

const size_t nm_not_judged_count = sizeof(nm_not_judged) / sizeof(nm_not_judged[0]);

const char *nm_stage_name(enum nm_stage stage)
{
	static const char *const names[NM_STAGES] = {
#define STAGE(name, text) text,
#include "stages.def"
#undef STAGE
	};

	return stage < NM_STAGES ? names[stage] : "unknown";
}

const char *nm_severity_name(enum nm_severity severity)
{
	switch (severity) {
	case NM_SEVERITY_ERROR:
		return "error";
	case NM_SEVERITY_WARNING:
		return "warning";
	case NM_SEVERITY_NOTE:
		return "note";
	}
	return "unknown";
}

static int compare_id(const void *id, const void *rule)
{
	return strcmp(id, ((const struct nm_rule *)rule)->id);
}

const struct nm_rule *nm_rule_find(const char *id)
{
	return bsearch(id, nm_rules, nm_rule_count, sizeof(nm_rules[0]), compare_id);
}

size_t nestmig_rule_count(void)
{
	return nm_rule_count;
}

const char *nestmig_rule_id(size_t index)
{
	return index < nm_rule_count ? nm_rules[index].id : NULL;
}
