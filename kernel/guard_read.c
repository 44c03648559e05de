// SPDX-License-Identifier: GPL-2.0-or-later
/* What comes of the guard: events, counters, programs, vCPUs. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "flat.h"
#include "guard_object.h"
#include "judge.h"

/* What the kernel left to be judged here: the same rules, by the library. */
static const struct nm_guard_record *judge_record(struct nm_guard *guard, const void *bytes)
{
	struct nm_guard_record *record = &guard->record;
	struct unflattened plain;

	memcpy(record, bytes, sizeof(*record));
	unflatten(&record->judged.ctx, &plain);
	nm_limits(plain.ctx.v, plain.ctx.h, &plain.ctx.lim);
	if (plain.ctx.v->vendor == NESTMIG_VENDOR_INTEL)
		nm_vmx_limits(plain.ctx.v, plain.ctx.h, false, &plain.ctx.vmx);
	nm_evaluate_vcpu(&plain.ctx, record->judged.broken, record->judged.unknown);
	for (unsigned i = 0; i < NM_RULE_WORDS; i++) {
		record->judged.broken[i] &= record->judged.wanted[i];
		record->judged.unknown[i] &= record->judged.wanted[i];
	}
	return record;
}

/* An SMI, an RSM, or what KVM_RUN runs, that is as it should be comes here only to be judged. */
static bool is_news(const struct nm_guard_event *event, const struct nm_guard_record *record)
{
	uint64_t broken = 0;

	for (unsigned i = 0; record && i < NM_RULE_WORDS; i++)
		broken |= record->judged.broken[i];
	return (event->hook != NM_GUARD_SMM_LEFT && event->hook != NM_GUARD_SMM_ENTERED &&
		event->hook != NM_GUARD_KVM_RUN) ||
	       (event->flags & (NM_GUARD_FAILED | NM_GUARD_EMULATION)) || broken;
}

static int take_event(void *context, void *bytes, size_t size)
{
	const struct nm_guard_event *event = bytes;
	const struct nm_guard_record *record = NULL;
	struct nm_guard *guard = context;

	if (size < sizeof(*event))
		return 0;
	if (size >= sizeof(*record))
		record = event->flags & NM_GUARD_UNJUDGED ? judge_record(guard, bytes) : bytes;
	if (!is_news(event, record))
		return 0;
	guard->told = guard->tell(event, record, guard->data);
	return guard->told ? -ECANCELED : 0;
}

enum nestmig_error nm_guard_poll(struct nm_guard *guard, int timeout_ms, nm_guard_tell *tell,
				 void *data, struct nestmig_detail *detail)
{
	int got;

	if (!guard->ring)
		guard->ring = ring_buffer__new(guard->events, take_event, guard, NULL);
	if (!guard->ring)
		return nm_fail_errno(detail, "cannot read the guard's events");
	guard->tell = tell;
	guard->data = data;
	guard->told = 0;
	got = ring_buffer__poll(guard->ring, timeout_ms);
	if (guard->told)
		return nm_fail(detail, NESTMIG_ERR_CANCELLED, "the caller asked to stop");
	if (got < 0 && got != -EINTR) {
		errno = -got;
		return nm_fail_errno(detail, "cannot read the guard's events");
	}
	return NESTMIG_OK;
}

/* All counters are one value of their map, of which the kernel writes the whole, however long that is. */
static enum nestmig_error read_counters(const struct nm_guard *guard,
					uint64_t ret_counters[NM_GUARD_ALL_COUNTERS],
					struct nestmig_detail *detail)
{
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info), zero = 0;

	if (bpf_obj_get_info_by_fd(guard->counters, &info, &size))
		return nm_fail_errno(detail, "cannot ask for the guard's counters");
	if (info.value_size != NM_GUARD_ALL_COUNTERS * sizeof(uint64_t))
		return nm_fail(detail, NESTMIG_ERR_CAPABILITY, NM_GUARD_OTHER_VERSION);
	if (bpf_map_lookup_elem(guard->counters, &zero, ret_counters))
		return nm_fail_errno(detail, "cannot read the guard's counters");
	return NESTMIG_OK;
}

enum nestmig_error nm_guard_count(const struct nm_guard *guard,
				  uint64_t ret_counters[NM_GUARD_COUNTERS],
				  struct nestmig_detail *detail)
{
	uint64_t counters[NM_GUARD_ALL_COUNTERS];
	enum nestmig_error error = read_counters(guard, counters, detail);

	if (!error)
		memcpy(ret_counters, counters, NM_GUARD_COUNTERS * sizeof(uint64_t));
	return error;
}

enum nestmig_error nm_guard_count_rules(const struct nm_guard *guard,
					uint64_t ret_broken[NESTMIG_RULES],
					struct nestmig_detail *detail)
{
	uint64_t counters[NM_GUARD_ALL_COUNTERS];
	enum nestmig_error error = read_counters(guard, counters, detail);

	if (!error)
		memcpy(ret_broken, counters + NM_GUARD_COUNTERS, NESTMIG_RULES * sizeof(uint64_t));
	return error;
}

size_t nm_guard_programs(const struct nm_guard *guard)
{
	return guard->attached_count;
}

/* A link knows its program by number only. */
static enum nestmig_error program_info(const struct nm_guard_attached *at,
				       struct bpf_prog_info *ret_info,
				       struct nestmig_detail *detail)
{
	struct bpf_link_info link = {0};
	uint32_t size = sizeof(link);
	int fd = bpf_link__fd(at->link), failed = -1;

	if (!bpf_obj_get_info_by_fd(fd, &link, &size) &&
	    (fd = bpf_prog_get_fd_by_id(link.prog_id)) >= 0) {
		*ret_info = (struct bpf_prog_info){0};
		size = sizeof(*ret_info);
		failed = bpf_obj_get_info_by_fd(fd, ret_info, &size);
		close(fd);
	}
	return failed ? nm_fail_errno(detail, "program %s: cannot ask for it", at->name)
		      : NESTMIG_OK;
}

enum nestmig_error nm_guard_program(const struct nm_guard *guard, size_t index,
				    struct nm_guard_program *ret_program,
				    struct nestmig_detail *detail)
{
	const struct nm_guard_attached *at = &guard->attached[index];
	struct bpf_prog_info info;
	enum nestmig_error error;

	if (index >= guard->attached_count)
		return nm_fail(detail, NESTMIG_ERR_INVALID, "there is no program %zu", index);
	error = program_info(at, &info, detail);
	if (error)
		return error;
	*ret_program = (struct nm_guard_program){
		.name = at->name,
		.function = at->function,
		.missed = info.recursion_misses,
		.instructions = info.verified_insns,
		.runs = info.run_cnt,
		.run_time = info.run_time_ns,
	};
	return NESTMIG_OK;
}

enum nestmig_error nm_guard_vcpus(const struct nm_guard *guard,
				  int (*each)(const struct nm_guard_vcpu *vcpu, void *data),
				  void *data, struct nestmig_detail *detail)
{
	uint64_t key, *before = NULL;
	struct nm_guard_vcpu vcpu;

	/* One that goes away while this looks at it starts the map over: at most each is seen twice. */
	while (!bpf_map_get_next_key(guard->vcpus, before, &key)) {
		if (!bpf_map_lookup_elem(guard->vcpus, &key, &vcpu) && each(&vcpu, data))
			return NESTMIG_OK;
		before = &key;
	}
	if (errno != ENOENT)
		return nm_fail_errno(detail, "cannot read the guard's vCPUs");
	return NESTMIG_OK;
}
