// SPDX-License-Identifier: GPL-2.0-or-later
/* Judging a case, and the line that says what is foretold of it. */
#include "foretell.h"

#include <inttypes.h>
#include <string.h>

#include "host.h"
#include "judge.h"
#include "next.h"
#include "peculiar.h"
#include "scratch.h"
#include "fields.h"
#include "vmcs/vmcs12.h"

/* As the oracle says it: "returns N" for what is no errno, without N where it goes by the state. */
static const char *errno_of(const struct nm_consequence_row *row, char *buffer, size_t size)
{
	if (!row->errno_name)
		return "returns";
	if (*row->errno_name < '0' || *row->errno_name > '9')
		return row->errno_name;
	snprintf(buffer, size, "returns %s", row->errno_name);
	return buffer;
}

static void print_outcome(enum nm_consequence outcome, const char *row_is, FILE *out)
{
	const struct nm_consequence_row *row = &nm_consequences[outcome];
	char buffer[32];

	fprintf(out, "%s", row->outcome);
	if (row->ioctl)
		fprintf(out, " %s %s", row->ioctl, errno_of(row, buffer, sizeof(buffer)));
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
	case GROUP_VMCS_CONTROL:
	case GROUP_VMCS_GUEST:
	case GROUP_VMCS_SEGMENT:
	case GROUP_VMCS_EVENT:
	case GROUP_VMX_MEMORY:
		return user >= USER_L2 && !base->is_smm &&
		       (base->state->vcpus[0].view.nested.flags & KVMNS_GUEST_MODE);
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
		enum user here = place_user(base, mutation, poke);

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

/*
 * What a warning says of L2 while it runs: it may come, if L2 gets there. Of an L2 that RSM enters without a
 * look at the VMCS12 also what L1's next VM entry would meet: it, or the processor, may before.
 */
static void print_warnings(const struct nestmig_state *state, const struct nm_vcpu_report *vcpu,
			   FILE *out)
{
	bool after_rsm = next_is_after_rsm(&state->vcpus[0].view);

	fprintf(out, " | may:");
	for (size_t i = 0; i < vcpu->finding_count; i++) {
		const struct nm_consequence_row *row =
			&nm_consequences[vcpu->findings[i].consequence];

		if ((row->stage == NM_STAGE_EXECUTION ||
		     (after_rsm && row->stage == NM_STAGE_NEXT_ENTRY)) &&
		    strcmp(row->outcome, "resumes") != 0)
			fprintf(out, " %s", row->outcome);
	}
}

static void print_next(const struct nestmig_state *state, const struct nm_vcpu_report *vcpu,
		       FILE *out)
{
	struct next_entry next, cpu_next;
	uint64_t secondary = 0;

	next_find(state, vcpu, false, &next);
	next_find(state, vcpu, true, &cpu_next);
	fprintf(out, " | next: %s", next.is_open ? "?" : next.outcome ? next.outcome : "");
	fprintf(out, " | next-follows: %s", next.row ? next.row : "");
	fprintf(out, " | next-rules:");
	for (unsigned i = 0; i < next.rule_count; i++)
		fprintf(out, " %s", next.rules[i]->id);
	fprintf(out, " | cpu-next: %s",
		cpu_next.is_open   ? "?"
		: cpu_next.outcome ? cpu_next.outcome
				   : "");
	print_warnings(state, vcpu, out);
	nm_vcpu_field(&state->vcpus[0], "vmcs12.secondary_vm_exec_control", &secondary, NULL, NULL);
	fprintf(out, " | ept: %s", secondary & PROC2_EPT ? "yes" : "no");
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
	if (state->vendor == NESTMIG_VENDOR_INTEL)
		print_next(state, vcpu, out);
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
