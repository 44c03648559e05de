// SPDX-License-Identifier: GPL-2.0-or-later
/* Judging a case, and the line that says what is foretold of it. */
#include "foretell.h"

#include <inttypes.h>
#include <string.h>

#include "host.h"
#include "judge.h"
#include "peculiar.h"
#include "scratch.h"

static void print_outcome(enum nm_consequence outcome, const char *row_is, FILE *out)
{
	const struct nm_consequence_row *row = &nm_consequences[outcome];

	fprintf(out, "%s", row->outcome);
	if (row->ioctl)
		fprintf(out, " %s %s", row->ioctl, row->errno_name);
	fprintf(out, " | %s: %s", row_is, row->name);
}

static bool decides(const struct nm_finding *finding, const struct nm_vcpu_report *vcpu)
{
	return finding->rule->severity == NM_SEVERITY_ERROR &&
	       finding->consequence == vcpu->outcome;
}

static void print_findings(const struct nm_vcpu_report *vcpu, FILE *out)
{
	fprintf(out, " | rules:");
	for (size_t i = 0; i < vcpu->finding_count; i++)
		if (decides(&vcpu->findings[i], vcpu))
			fprintf(out, " %s", vcpu->findings[i].rule->id);
	fprintf(out, " | also:");
	for (size_t i = 0; i < vcpu->finding_count; i++)
		if (!decides(&vcpu->findings[i], vcpu))
			fprintf(out, " %s", vcpu->findings[i].rule->id);
	fprintf(out, " | open:");
	for (size_t i = 0; i < vcpu->undecided_count; i++)
		if (vcpu->undecided[i].rule->severity == NM_SEVERITY_ERROR)
			fprintf(out, " %s", vcpu->undecided[i].rule->id);
}

/* Is this of what runs first: the handler in SMM, else L2 (or L1, if the vCPU is in L1)? */
static bool is_of_first(const struct base *base, const struct place *place, enum user user)
{
	switch (place->group) {
	case GROUP_SREGS:
	case GROUP_SEGMENTS:
	case GROUP_REGS:
	case GROUP_DEBUG:
	case GROUP_EVENTS:
		return user >= USER_L2;
	default:
		return !base->is_smm && user >= USER_L2;
	}
}

static void print_changes(const struct base *base, const struct mutation *mutation, FILE *out)
{
	static const char *const users[] = {"nobody", "l1", "l2", "fetch"};
	enum user user = USER_NOBODY;
	bool is_l1s = false, is_firsts = false;

	for (unsigned i = 0; i < mutation->poke_count; i++) {
		const struct poke *poke = &mutation->pokes[i];
		enum user here = place_user(base, poke->place, poke->before ^ poke->after);

		is_l1s |= poke->place->is_l1s;
		is_firsts |= is_of_first(base, poke->place, here);
		if (here > user)
			user = here;
	}
	fprintf(out, " | user: %s%s%s | changes:", users[user], is_firsts ? " first" : "",
		is_l1s ? " l1s" : "");
	for (unsigned i = 0; i < mutation->poke_count; i++)
		fprintf(out, "%s %s 0x%" PRIx64 " -> 0x%" PRIx64, i ? ";" : "",
			mutation->pokes[i].place->name, mutation->pokes[i].before,
			mutation->pokes[i].after);
	if (*mutation->order)
		fprintf(out, "; order %s", mutation->order);
	fputc('\n', out);
}

static bool print_report(const struct nestmig_state *state, FILE *out)
{
	struct nestmig_report *report = NULL;
	const struct nm_vcpu_report *vcpu;

	if (nestmig_judge(state, state->host, &report)) {
		fprintf(stderr, "nestmig-cases: out of memory\n");
		return false;
	}
	vcpu = &report->vcpus[0];
	fprintf(out, "%s ", nestmig_verdict_name(vcpu->verdict));
	print_outcome(vcpu->outcome, "follows", out);
	fprintf(out, " | cpu: ");
	print_outcome(peculiar_outcome(state, vcpu, false), "cpu-follows", out);
	fprintf(out, " | or: ");
	print_outcome(peculiar_outcome(state, vcpu, true), "or-follows", out);
	fprintf(out, " | certain: %s", vcpu->is_certain ? "yes" : "no");
	print_findings(vcpu, out);
	nestmig_report_free(report);
	return true;
}

bool foretell(const struct scratch *scratch, const struct mutation *mutation, FILE *out)
{
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail = {0};
	bool good = true;

	fprintf(out, "%05u ", mutation->number);
	if (nestmig_state_read(scratch->dir, 0, &state, &detail))
		fprintf(out, "unreadable - | cpu: - | rules: | also: | open: (%s)", detail.text);
	else
		good = print_report(state, out);
	nestmig_state_free(state);
	print_changes(scratch->base, mutation, out);
	return good;
}
