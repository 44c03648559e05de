/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rules: rows of lib/<kind>/rules.def, each with a predicate in lib/<kind>/predicates.h, and what is
 * made of them.
 *
 * A row:
 *   RULE(ident, "id", "title", "group", severity, when, inputs, may_read, "fields", before, changed,
 *        after, "reference", "cause", "remedy")
 *
 * ident      names the predicate rule_<ident> and the enum value NESTMIG_RULE_<ident>
 * id         the stable id; ids are sorted in the file and never reused
 * title      what must hold, one sentence
 * severity   ERROR, WARNING or NOTE: only an ERROR makes a verdict fail, and on a kernel that lets it
 *            pass (ACCEPTED) it is a WARNING
 * when       WHEN_ALWAYS, WHEN_L2 (GUEST_MODE set), WHEN_L1, ...: elsewhere the rule does not apply
 * inputs     NESTMIG_HAVE bits; with any of them absent the rule is unknown
 * may_read   NESTMIG_HAVE bits of what the predicate asks for only if the inputs do not decide: it
 *            says unknown itself where such an item is needed and absent
 * fields     names of the fields that a finding shows, space-separated (nestmig_field)
 * before     consequence on kernels older than `changed` (or on all, if changed is 0);
 *            CONSEQUENCE_NONE: the rule does not apply there
 * changed    NESTMIG_KERNEL(major, minor) from which `after` holds, or 0
 * after      consequence from then on; CONSEQUENCE_NONE: the rule does not apply there
 * reference  manual and section title, or KVM function and version
 * cause      how such a state comes about
 * remedy     what an operator can do
 */
#ifndef NESTMIG_RULES_H
#define NESTMIG_RULES_H

#include "nestmig.h"
#include "view.h"

/* Where in a restore a rule bites. Restore ioctls are ranked by the restore order of the state. */
enum nm_stage {
#define STAGE(name, text) NM_STAGE_##name,
#include "stages.def"
#undef STAGE
	NM_STAGES
};

/* What follows when a rule is broken: a row of consequences.def. */
enum nm_consequence {
#define CONSEQUENCE(name, stage, outcome, ioctl, errno_name, text) NM_CONSEQUENCE_##name,
#include "consequences.def"
#undef CONSEQUENCE
	NM_CONSEQUENCES
};

struct nm_consequence_row {
	const char *name;
	enum nm_stage stage;
	const char *outcome; /* a word of the outcomes, "resumes", "ioctl-rejected", ... */
	const char *ioctl;   /* with ioctl-rejected, else NULL */
	const char *errno_name;
	const char *text; /* one sentence */
};

enum nm_severity { NM_SEVERITY_ERROR, NM_SEVERITY_WARNING, NM_SEVERITY_NOTE };

enum nm_when {
	NM_WHEN_ALWAYS,
	NM_WHEN_NESTED, /* a vCPU with nested state, of either vendor */
	NM_WHEN_SVM,    /* an SVM vCPU, in or out of guest mode */
	NM_WHEN_L2,     /* GUEST_MODE set, SVM format */
	NM_WHEN_L1,     /* GUEST_MODE clear, SVM format */
	NM_WHEN_VMX,    /* a VMX vCPU, in or out of guest mode */
	NM_WHEN_VMX_L2, /* GUEST_MODE set, VMX format */
	NM_WHEN_VMX_L1, /* L1 runs and has a current VMCS12 */
	NM_WHEN_VMCS12, /* either: what L1's next VM entry will meet; then at most a warning */
	NM_WHEN_SMM,    /* the SMM bit of the events set, any vendor */
	NM_WHENS
};

typedef enum nestmig_holds nm_predicate(const struct nestmig_ctx *ctx);

struct nm_rule {
	const char *id, *title, *group;
	enum nm_severity severity;
	enum nm_when when;
	uint64_t inputs, may_read;
	const char *fields;
	enum nm_consequence before;
	uint32_t changed;
	enum nm_consequence after;
	const char *reference, *cause, *remedy;
	nm_predicate *predicate;
};

/* Rules before those on VMX state, which come last. */
enum nm_rule_count {
#define RULE(...) +1
	NM_RULES_BEFORE_VMX = 0
#include "smram/rules.def"
#include "vcpu/rules.def"
#include "vmcb/rules.def"
#undef RULE
};

/* One value a row: NESTMIG_RULE_<ident>, the index in nm_rules. */
enum nestmig_rule {
#define RULE(ident, ...) NESTMIG_RULE_##ident,
#include "rules.def"
#undef RULE
	NESTMIG_RULES
};

/* Words of a bitmap with a bit for each rule. */
#define NM_RULE_WORDS (((unsigned)NESTMIG_RULES + 63) / 64)

static inline bool nm_rule_bit(const uint64_t *bitmap, unsigned rule)
{
	return bitmap[rule / 64] >> (rule % 64) & 1;
}

/* All rules, sorted by id. */
extern const struct nm_rule nm_rules[];
extern const size_t nm_rule_count;
extern const struct nm_consequence_row nm_consequences[NM_CONSEQUENCES];

const char *nm_stage_name(enum nm_stage stage);
const char *nm_severity_name(enum nm_severity severity);

/* The inputs of a rule, with what `when` asks for: the events, or the header of the nested state. */
static inline uint64_t nm_rule_inputs(const struct nm_rule *rule)
{
	if (rule->when == NM_WHEN_ALWAYS)
		return rule->inputs;
	return rule->inputs |
	       (rule->when == NM_WHEN_SMM ? NESTMIG_HAVE(EVENTS) : NESTMIG_HAVE(NESTED));
}

/* The rule with this id, or NULL. */
const struct nm_rule *nm_rule_find(const char *id);

/* Conditions of the catalogue that no rule judges, sorted by id, and why. */
struct nm_not_judged {
	const char *id, *reason;
};
extern const struct nm_not_judged nm_not_judged[];
extern const size_t nm_not_judged_count;

#endif
