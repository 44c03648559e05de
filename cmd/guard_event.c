// SPDX-License-Identifier: GPL-2.0-or-later
/* What an event says: from the bytes of the kernel to words, rules and values. */
#include "guard_event.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "flat.h"
#include "guard_exits.h"
#include "guard_policy.h"
#include "smram/smram.h"

#define NS 1000000000

#define ADVISORY_FLAGS                                                                             \
	(NM_GUARD_HIGH_HALF | NM_GUARD_GIF_SET | NM_GUARD_EXIT_INFO | NM_GUARD_OTHER_EXIT)

static const char *const words[GUARD_WORDS] = {
	[GUARD_DENIED] = "denied",
	[GUARD_WOULD_DENY] = "would-deny",
	[GUARD_BROKEN] = "broken",
	[GUARD_RACED] = "raced",
	[GUARD_TRIPLE_FAULT] = "triple-fault",
	[GUARD_VMEXIT_INVALID] = "vmexit-invalid",
	[GUARD_ENTRY_FAILED] = "entry-failed",
	[GUARD_RSM_FAILED] = "rsm-failed",
	[GUARD_RSM_BROKEN] = "rsm-broken",
	[GUARD_SMI_BROKEN] = "smi-broken",
	[GUARD_VMFUNC] = "vmfunc",
	[GUARD_ADVISORY] = "advisory",
	[GUARD_OTHER_EXIT] = "exit",
};

const char *guard_word_name(enum guard_word word)
{
	return words[word];
}

bool guard_is_advisory(const struct nm_guard_event *event)
{
	return event->flags & ADVISORY_FLAGS;
}

bool guard_is_vmfail(const struct nm_guard_event *event)
{
	return event->hook == NM_GUARD_ENTRY_FAILED && !(event->exit_code & UINT32_C(0x80000000));
}

void guard_name(const char *name, char ret_name[GUARD_NAME_SIZE])
{
	char plain[NM_GUARD_COMM] = "";
	FILE *out;

	memset(ret_name, 0, GUARD_NAME_SIZE);
	snprintf(plain, sizeof(plain), "%.*s", NM_GUARD_COMM - 1, name);
	plain[strcspn(plain, "\n")] = 0;
	out = fmemopen(ret_name, GUARD_NAME_SIZE - 1, "w");
	if (!out)
		return;
	cli_put_name(out, plain);
	fclose(out);
}

/* ---- The word --------------------------------------------------------------------------------- */

static enum guard_word word_of_exit(const struct nm_guard_event *event, enum nestmig_vendor vendor)
{
	switch (guard_exit_kind(vendor, event->exit_code)) {
	case GUARD_EXIT_TRIPLE_FAULT:
		return GUARD_TRIPLE_FAULT;
	case GUARD_EXIT_INVALID:
		return GUARD_VMEXIT_INVALID;
	case GUARD_EXIT_ENTRY_FAILED:
		return GUARD_ENTRY_FAILED;
	case GUARD_EXIT_OTHER:
		break;
	}
	return GUARD_OTHER_EXIT;
}

/* Rules for which the ioctl is denied; at KVM_RUN by what was stuffed, which the event says. */
static void add_denied(const struct nm_guard_event *event, const struct nm_guard_config *config,
		       uint64_t denied[NM_RULE_WORDS])
{
	for (unsigned i = 0; i < NM_RULE_WORDS; i++) {
		if (event->hook == NM_GUARD_SET_NESTED_STATE)
			denied[i] = config->deny_nested[i];
		else if (event->hook == NM_GUARD_SET_VCPU_EVENTS)
			denied[i] = config->deny_events[i];
		else
			for (unsigned kind = 0; kind < NM_GUARD_STUFFED_KINDS; kind++)
				if (event->flags >> (NM_GUARD_STUFFED_SHIFT + kind) & 1)
					denied[i] |= config->deny_run[kind][i];
	}
}

/* Would mode enforce deny the ioctl? */
static bool would_deny(const struct nm_guard_event *event, const struct nm_guard_record *record)
{
	uint64_t denied[NM_RULE_WORDS] = {0}, found = 0;
	struct nm_guard_config config = {0};

	if (!record)
		return false;
	if (event->flags & NM_GUARD_EMULATION)
		return true;
	nm_guard_policy(&record->judged.ctx.h[0], &config);
	add_denied(event, &config, denied);
	for (unsigned i = 0; i < NM_RULE_WORDS; i++)
		found |= record->judged.broken[i] & denied[i];
	return found;
}

static enum guard_word word_of(const struct nm_guard_event *event,
			       const struct nm_guard_record *record, enum nestmig_vendor vendor)
{
	switch ((enum nm_guard_hook)event->hook) {
	case NM_GUARD_SET_NESTED_STATE:
	case NM_GUARD_SET_VCPU_EVENTS:
	case NM_GUARD_KVM_RUN:
		if (event->flags & NM_GUARD_RACED)
			return GUARD_RACED;
		if (event->action == NM_GUARD_DENIED)
			return GUARD_DENIED;
		return would_deny(event, record) ? GUARD_WOULD_DENY : GUARD_BROKEN;
	case NM_GUARD_RUN_UNJUDGED:
		return GUARD_RACED;
	case NM_GUARD_NESTED_EXIT:
		return word_of_exit(event, vendor);
	case NM_GUARD_ENTRY_FAILED:
		return vendor == NESTMIG_VENDOR_AMD ? GUARD_VMEXIT_INVALID : GUARD_ENTRY_FAILED;
	case NM_GUARD_SMM_LEFT:
		return event->flags & NM_GUARD_FAILED ? GUARD_RSM_FAILED : GUARD_RSM_BROKEN;
	case NM_GUARD_SMM_ENTERED:
		return GUARD_SMI_BROKEN;
	case NM_GUARD_EPTP_SWITCHED:
		return GUARD_VMFUNC;
	case NM_GUARD_HOOKS:
		break;
	}
	return GUARD_OTHER_EXIT;
}

static const char *action_of(const struct guard_told *told)
{
	if (told->event.action == NM_GUARD_DENIED)
		return "denied";
	return told->word == GUARD_WOULD_DENY ? "audited" : "reported";
}

static const char *ioctl_of(const struct nm_guard_event *event)
{
	static const char *const names[NM_GUARD_HOOKS] = {
		[NM_GUARD_SET_NESTED_STATE] = "KVM_SET_NESTED_STATE",
		[NM_GUARD_SET_VCPU_EVENTS] = "KVM_SET_VCPU_EVENTS",
		[NM_GUARD_KVM_RUN] = "KVM_RUN",
		[NM_GUARD_RUN_UNJUDGED] = "KVM_RUN",
	};

	return event->hook < NM_GUARD_HOOKS ? names[event->hook] : NULL;
}

static const char *mode_of(const struct nm_guard_event *event, const struct nm_guard_record *record)
{
	if (record && (record->judged.ctx.v[0].have & NESTMIG_HAVE(EVENTS)) &&
	    record->judged.ctx.v[0].events.smi_smm)
		return "SMM";
	return event->flags & NM_GUARD_L2 ? "L2" : "L1";
}

/* ---- Rules and values ---------------------------------------------------------------------------- */

static void drop_unknown_fields(struct nm_finding *finding)
{
	size_t kept = 0;

	for (size_t i = 0; i < finding->field_count; i++)
		if (finding->fields[i].known)
			finding->fields[kept++] = finding->fields[i];
	finding->field_count = kept;
}

/*
 * What L1 or L2 causes is no restore, from which consequences count: they are left out then. So are fields that the
 * kernel did not show: nobody can look for them in a file here.
 */
static void fit(struct nm_finding *finding, const struct guard_told *told)
{
	if (!told->ioctl)
		finding->consequence = NM_CONSEQUENCE_NONE;
	drop_unknown_fields(finding);
}

static enum nestmig_error find(struct guard_told *told, const struct nm_guard_record *record,
			       const struct nestmig_ctx *ctx, struct nm_vcpu *vcpu)
{
	struct nm_order order;

	vcpu->view = *ctx->v;
	if (smram_map_of_cpuid(&ctx->v->cpuid) == SMRAM_MAP_32)
		vcpu->origin[NESTMIG_ITEM_SMRAM].layout = NM_LAYOUT_SMRAM32;
	nm_order_parse(NULL, &order);
	for (unsigned i = 0; i < NESTMIG_RULES; i++) {
		struct nm_finding *finding = &told->findings[told->finding_count];

		if (!nm_rule_bit(record->judged.broken, i))
			continue;
		if (nm_finding_make((enum nestmig_rule)i, ctx, vcpu, &order, finding))
			return NESTMIG_ERR_NOMEM;
		fit(finding, told);
		told->finding_count++;
	}
	return NESTMIG_OK;
}

static enum nestmig_error add_findings(struct guard_told *told,
				       const struct nm_guard_record *record)
{
	struct unflattened *plain = calloc(1, sizeof(*plain));
	struct nm_vcpu *vcpu = calloc(1, sizeof(*vcpu));
	enum nestmig_error error = NESTMIG_ERR_NOMEM;

	told->findings = calloc(NESTMIG_RULES, sizeof(*told->findings));
	if (plain && vcpu && told->findings) {
		unflatten(&record->judged.ctx, plain);
		error = find(told, record, &plain->ctx, vcpu);
	}
	free(vcpu);
	free(plain);
	return error;
}

/* ---- The sentence -------------------------------------------------------------------------------- */

/* VMfail has no exit, but a VM-instruction error. */
static void put_entry_failed(struct nm_buf *buf, const struct nm_guard_event *event)
{
	nm_buf_printf(buf, "a VM entry of L1 fails with %s %u",
		      guard_is_vmfail(event) ? "VM-instruction error" : "exit reason",
		      (unsigned)(event->exit_code & 0xffff));
}

/* A switch to what is no memory succeeds; KVM ends L2 for it. */
static void put_vmfunc(struct nm_buf *buf, const struct nm_guard_event *event)
{
	if (event->flags & NM_GUARD_OTHER_EXIT)
		nm_buf_printf(buf,
			      "L2 has switched to EPTP 0x%" PRIx64
			      ", which points at no memory, and KVM ends it with a triple fault",
			      event->exit_info[0]);
	else
		nm_buf_printf(buf, "VMFUNC of L2 to entry %" PRIu64 " fails, and L1 sees it",
			      event->exit_info[0]);
}

static void put_what(struct nm_buf *buf, const struct guard_told *told)
{
	const struct nm_guard_event *event = &told->event;
	bool denied = event->action == NM_GUARD_DENIED;

	switch (told->word) {
	case GUARD_DENIED:
		nm_buf_printf(buf, "%s fails with EINVAL", told->ioctl);
		break;
	case GUARD_WOULD_DENY:
		nm_buf_printf(buf, "%s would fail with EINVAL in mode enforce", told->ioctl);
		break;
	case GUARD_BROKEN:
		nm_buf_printf(buf, "%s is let through with a broken rule", told->ioctl);
		break;
	case GUARD_RACED:
		nm_buf_printf(buf, "KVM holds something else than what was judged; KVM_RUN %s",
			      denied ? "fails with EINVAL" : "goes on");
		break;
	case GUARD_TRIPLE_FAULT:
		nm_buf_puts(buf, "KVM ends L2 with a triple fault");
		break;
	case GUARD_VMEXIT_INVALID:
		nm_buf_puts(buf, "VMRUN of L1 ends with VMEXIT_INVALID");
		break;
	case GUARD_ENTRY_FAILED:
		put_entry_failed(buf, event);
		break;
	case GUARD_RSM_FAILED:
		nm_buf_puts(buf, "RSM fails");
		break;
	case GUARD_RSM_BROKEN:
		nm_buf_puts(buf, "RSM takes an image that breaks a rule");
		break;
	case GUARD_SMI_BROKEN:
		nm_buf_puts(buf, "an SMI saves L2 in an image that breaks a rule");
		break;
	case GUARD_VMFUNC:
		put_vmfunc(buf, event);
		break;
	case GUARD_ADVISORY:
		nm_buf_puts(buf, "this kernel gives L1 another exit than the architecture "
				 "prescribes");
		break;
	case GUARD_OTHER_EXIT:
	case GUARD_WORDS:
		nm_buf_printf(buf, "KVM gives L1 an exit of its own making, 0x%" PRIx64,
			      event->exit_code);
	}
	if (event->flags & NM_GUARD_EMULATION)
		nm_buf_puts(buf, ", as KVM would have to emulate L2, whose state is not valid");
	if (event->flags & NM_GUARD_PENDING)
		nm_buf_puts(buf, ", with a VM entry pending");
}

static enum nestmig_error add_sentence(struct guard_told *told)
{
	const struct nm_guard_event *event = &told->event;
	struct nm_buf buf = {0};

	nm_buf_printf(&buf, "%s (PID %u, thread %u), VM %u, vCPU %u in %s: ", told->vmm, event->pid,
		      event->tid, event->vm, event->vcpu, told->mode);
	put_what(&buf, told);
	for (size_t i = 0; i < told->finding_count; i++)
		nm_buf_printf(&buf, "%s %s", i ? "," : ":", told->findings[i].rule->id);
	return nm_buf_take(&buf, &told->sentence);
}

static void set_time(struct guard_told *told, int64_t epoch)
{
	int64_t now = epoch + (int64_t)told->event.time;
	time_t seconds = (time_t)(now / NS);
	struct tm tm;
	size_t used;

	gmtime_r(&seconds, &tm);
	used = strftime(told->time, sizeof(told->time), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(told->time + used, sizeof(told->time) - used, ".%09lldZ", (long long)(now % NS));
}

enum nestmig_error guard_told_new(const struct guard_reader *reader,
				  const struct nm_guard_event *event,
				  const struct nm_guard_record *record, const char *name,
				  bool advisory, struct guard_told **ret_told)
{
	struct guard_told *told = calloc(1, sizeof(*told));

	if (!told)
		return NESTMIG_ERR_NOMEM;
	told->event = *event;
	told->event.comm[NM_GUARD_COMM - 1] = 0;
	told->vendor = reader->vendor;
	told->word = advisory ? GUARD_ADVISORY : word_of(event, record, reader->vendor);
	told->action = action_of(told);
	told->ioctl = ioctl_of(event);
	told->mode = mode_of(event, record);
	guard_name(name ? name : told->event.comm, told->vmm);
	set_time(told, reader->epoch);
	if ((record && add_findings(told, record)) || add_sentence(told)) {
		guard_told_free(told);
		return NESTMIG_ERR_NOMEM;
	}
	*ret_told = told;
	return NESTMIG_OK;
}

void guard_told_free(struct guard_told *told)
{
	if (!told)
		return;
	for (size_t i = 0; i < told->finding_count; i++)
		free(told->findings[i].detail);
	free(told->findings);
	free(told->sentence);
	free(told);
}
