/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What differs between two states, and which rules say something else because of it. nm_diff_new
 * compares and judges; nm_diff_text and nm_diff_json render.
 */
#ifndef NESTMIG_DIFF_H
#define NESTMIG_DIFF_H

#include "fields.h"
#include "judge.h"

enum nm_side { NM_A, NM_B, NM_SIDES };

/* Where a thing is: a set of sides. */
#define NM_IN_A    0x1
#define NM_IN_B    0x2
#define NM_IN_BOTH (NM_IN_A | NM_IN_B)

enum nm_diff_kind {
	NM_DIFF_FIELD, /* a field of the registry */
	NM_DIFF_MSR,   /* an MSR of the list; index says which */
	NM_DIFF_CPUID, /* a register of a CPUID leaf */
	NM_DIFF_TABLE, /* a page-directory pointer, or what the entries of a table have together */
	NM_DIFF_BYTES, /* bytes of an item that no field names: value[NM_A] of them, the first at
			  value[NM_B] of the item */
};

/* One value that is not the same, or not on both sides. */
struct nm_diff_value {
	enum nm_diff_kind kind;
	char name[56];
	const struct nm_field *field; /* of a FIELD */
	uint32_t index;               /* of an MSR */
	unsigned in;                  /* NM_IN_* */
	bool is_idle;   /* a clock or counter: differs without meaning, no rule reads it */
	unsigned width; /* in bytes */
	uint64_t value[NM_SIDES];
	uint64_t rules[NM_RULE_WORDS]; /* rules that show this field and whose result differs */
};

/* A vCPU, by its id. */
struct nm_diff_vcpu {
	uint32_t id;
	unsigned in;                                   /* NM_IN_* */
	const struct nm_vcpu *vcpu[NM_SIDES];          /* of the states; NULL: not there */
	const struct nm_vcpu_report *report[NM_SIDES]; /* of the diff's reports; the same */
	uint64_t items[NM_SIDES];     /* items that only this side has: NESTMIG_HAVE bits */
	struct nm_diff_value *values; /* owned */
	size_t value_count;
	uint64_t broken[NM_SIDES][NM_RULE_WORDS], unknown[NM_SIDES][NM_RULE_WORDS];
};

/* Something of the whole state: the vendor, the machine. */
struct nm_diff_general {
	const char *name;
	char *text[NM_SIDES]; /* owned; NULL: not known */
};
#define NM_DIFF_GENERALS 4

struct nm_diff {
	const struct nestmig_state *state[NM_SIDES]; /* not owned */
	struct nestmig_report *report[NM_SIDES];     /* owned */
	struct nm_diff_general general[NM_DIFF_GENERALS];
	size_t general_count;
	struct nm_diff_vcpu *vcpus; /* owned; by id */
	size_t vcpu_count;
	/* Values, items, vCPUs and the like; idle values, which do not count among them; and rules whose
	 * result is not the same, which do so only where nothing else differs. */
	size_t differences, idle, rules;
	bool changes_outcome; /* a vCPU is missing, or has another verdict or outcome */
};

/*
 * Compares and judges for one host, which may be NULL. The states must outlive the diff. Errors: NOMEM.
 */
NESTMIG_CHECKED enum nestmig_error nm_diff_new(const struct nestmig_state *a,
					       const struct nestmig_state *b,
					       const struct nestmig_host *host,
					       struct nm_diff **ret_diff);

void nm_diff_free(struct nm_diff *diff);

/* Has one of the values a rule whose result differs? */
bool nm_diff_decides(const struct nm_diff_value *value);

/* The result of a rule on one side of a vCPU that has it: "broken", "not judged" or "holds", which also
 * stands for a rule that does not apply. */
const char *nm_diff_result(const struct nm_diff_vcpu *vcpu, enum nm_side side, unsigned rule);

/* Is the result of a rule not the same on both sides? */
bool nm_diff_rule_differs(const struct nm_diff_vcpu *vcpu, unsigned rule);

/* As text and as one line of JSON, schema "nestmig.diff/1". all: idle values, too. */
NESTMIG_CHECKED enum nestmig_error nm_diff_text(const struct nm_diff *diff, bool all, bool colour,
						char **ret_text);
NESTMIG_CHECKED enum nestmig_error nm_diff_json(const struct nm_diff *diff, bool all,
						char **ret_text);

/* ---- Inside (diff_values.c) ------------------------------------------------------------------ */

/* Fills values and items of a vCPU that both states have. Errors: NOMEM. */
NESTMIG_CHECKED enum nestmig_error nm_diff_values(struct nm_diff_vcpu *vcpu);

#endif
