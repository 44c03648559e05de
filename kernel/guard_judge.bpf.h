/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Putting a context together and judging it, or sending it to user space to be judged there. */
#ifndef NESTMIG_GUARD_JUDGE_BPF_H
#define NESTMIG_GUARD_JUDGE_BPF_H

#include "guard_svm.bpf.h"
#include "guard_vmx.bpf.h"

#define EINVAL        22

#define IOCTL_RUN     0xae80 /* KVM_RUN, uapi linux/kvm.h */

#define EXIT_SHUTDOWN 0x7f /* SVM; where VMX has exit reason 2 */

/*
 * Where a context is put together and judged; first what goes to the ring buffer. It is the task's, because a
 * sleepable program can be preempted by another one on the same CPU, and freed with the task; only tasks that had
 * something judged have it.
 */
struct room {
	struct nm_guard_record record;
	struct kvm_vcpu *vcpu;
	uint32_t generation; /* of the vCPU, when it was looked at */
	uint64_t exits;      /* of the vCPU at that moment: what the processor has run since */
	bool is_held;        /* somebody had its mutex then */
	uint64_t deny[NM_RULE_WORDS];
	uint8_t page[NESTMIG_VMCB12_READ] __attribute__((aligned(8)));
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct room);
} nm_room SEC(".maps");

static __attribute__((noinline)) struct room *
open_room(struct nm_guard_config *conf, struct kvm_vcpu *vcpu, uint8_t hook, uint32_t ioctl)
{
	struct room *room = bpf_task_storage_get(&nm_room, bpf_get_current_task_btf(), 0,
						 BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!room) {
		count(NM_GUARD_NO_SCRATCH);
		return NULL;
	}
	room->vcpu = vcpu;
	room->exits = BPF_CORE_READ(vcpu, stat.exits);
	room->record.event = (struct nm_guard_event){.hook = hook, .ioctl = ioctl};
	for (unsigned i = 0; i < NM_RULE_WORDS; i++)
		room->record.judged.wanted[i] = conf->wanted[i];
	start_context(&room->record.judged.ctx, conf);
	return room;
}

/* What KVM holds: registers, events, CPUID; in guest mode its copy of the nested state, if that is wanted. */
static __attribute__((noinline)) int take_vcpu(struct room *room, bool nested)
{
	struct nestmig_ctx *ctx = &room->record.judged.ctx;
	struct kvm_vcpu *vcpu = room->vcpu;

	take_common(ctx->v, vcpu, ctx->h->kernel, room->page);
	if (nm_vendor == NESTMIG_VENDOR_INTEL) {
		vmx_take(ctx, vcpu, nested);
	} else {
		svm_take_registers(ctx->v, vcpu, room->page);
		if (nested)
			svm_take_nested(ctx->v, vcpu);
		ctx->svm_l2 = nested;
	}
	return 0;
}

/* The context is complete: nm_judge may have it. deny: the rules for which the ioctl is denied. */
static __attribute__((noinline)) int limit(struct room *room, const uint64_t *deny)
{
	struct nm_judging *judged = &room->record.judged;

	for (unsigned i = 0; i < NM_RULE_WORDS; i++)
		room->deny[i] = deny[i];
	nm_limits(judged->ctx.v, judged->ctx.h, &judged->ctx.lim);
	if (nm_vendor == NESTMIG_VENDOR_INTEL)
		nm_vmx_limits(judged->ctx.v, judged->ctx.h, false, &judged->ctx.vmx);
	return 0;
}

struct rule_walk {
	const struct nm_judging *judged;
};

static long count_rule(uint64_t i, const struct rule_walk *walk)
{
	uint32_t rule = i, word;

	/* The verifier has to see the register that is compared. */
	barrier_var(rule);
	if (rule >= NESTMIG_RULES)
		return 1;
	word = rule / 64;
	if (walk->judged->broken[word] & walk->judged->wanted[word] & UINT64_C(1) << (rule % 64))
		count(NM_GUARD_COUNTERS + rule);
	return 0;
}

static __attribute__((noinline)) int count_rules(const struct nm_judging *judged)
{
	struct rule_walk walk = {judged};

	bpf_loop(NESTMIG_RULES, count_rule, &walk, 0);
	return 0;
}

/* After nm_judge: makes an event of it if a rule is broken. What the ioctl returns; 0: KVM goes on. */
static __attribute__((noinline)) int conclude(struct room *room, struct nm_guard_vcpu *entry)
{
	struct nm_guard_record *record = &room->record;
	struct nm_guard_config *conf = config();
	bool denied;

	count(NM_GUARD_JUDGED + record->event.hook);
	if (!conf || (!any_of(record->judged.broken, record->judged.wanted) &&
		      !(record->event.flags & NM_GUARD_EMULATION)))
		return 0;
	count(NM_GUARD_BROKEN + record->event.hook);
	count_rules(&record->judged);
	denied = conf->enforce && (any_of(record->judged.broken, room->deny) ||
				   record->event.flags & NM_GUARD_EMULATION);
	if (denied)
		count(NM_GUARD_DENIALS + record->event.hook);
	record->event.action = denied ? NM_GUARD_DENIED : NM_GUARD_TOLD;
	sign(&record->event, room->vcpu, entry);
	send(room->vcpu, &record->event, sizeof(*record));
	return denied ? -EINVAL : 0;
}

/*
 * For what cannot be denied: user space judges. Each program that judges by itself costs as much again when the
 * guard is loaded.
 */
static __attribute__((noinline)) int tell(struct room *room, const struct nm_guard_vcpu *entry)
{
	room->record.event.flags |= NM_GUARD_UNJUDGED;
	sign(&room->record.event, room->vcpu, entry);
	send(room->vcpu, &room->record.event, sizeof(room->record));
	return 0;
}

/* What may be denied at KVM_RUN, as flags of an event: nothing of what RSM has loaded. */
ALWAYS_INLINE uint16_t stuffed_flags(struct kvm_vcpu *vcpu, uint32_t stuffed)
{
	if (nm_vendor == NESTMIG_VENDOR_INTEL && vmx_is_of_rsm(vcpu))
		return 0;
	return stuffed << NM_GUARD_STUFFED_SHIFT;
}

#define COMPARED (__builtin_offsetof(struct nestmig_sregs, interrupt_bitmap) / 8)

/*
 * Has nothing changed since the first of the ioctls that set them? VMMs write back what they have read: state that
 * RSM has loaded is none that was stuffed.
 */
static __attribute__((noinline)) bool is_as_before(const struct nestmig_vcpu_view *v,
						   const struct nm_guard_vcpu *entry)
{
	const uint64_t *now = (const uint64_t *)&v->sregs, *was = (const uint64_t *)&entry->was;
	uint64_t different = 0;

	if (!entry->has_was || !(v->have & NESTMIG_HAVE(SREGS)))
		return false;
	for (unsigned i = 0; i < COMPARED; i++)
		different |= now[i] ^ was[i];
	return !different;
}

/* What was stuffed, of a context that is taken. */
ALWAYS_INLINE uint32_t still_stuffed(const struct nestmig_vcpu_view *v,
				     const struct nm_guard_vcpu *entry, uint32_t stuffed)
{
	return is_as_before(v, entry) ? stuffed & ~(UINT32_C(1) << NM_GUARD_STUFFED_SREGS)
				      : stuffed;
}

/* What KVM holds of a vCPU in L2 that KVM_RUN runs. Not 0: there was no room to tell it. */
static __attribute__((noinline)) int tell_held(struct kvm_vcpu *vcpu,
					       const struct nm_guard_vcpu *entry, uint8_t hook)
{
	struct nm_guard_config *conf = config();
	struct room *room = conf ? open_room(conf, vcpu, hook, IOCTL_RUN) : NULL;
	uint32_t stuffed;

	if (!room)
		return -1;
	stuffed = entry->stuffed;
	take_vcpu(room, true);
	stuffed = still_stuffed(room->record.judged.ctx.v, entry, stuffed);
	room->record.event.flags |= stuffed_flags(vcpu, stuffed);
	return tell(room, entry);
}

/* Of the exits that KVM makes up the vCPU's entry has the number and the last. */
ALWAYS_INLINE void note_exit(struct nm_guard_vcpu *entry, uint64_t exit_code, uint64_t time)
{
	if (!entry)
		return;
	entry->last_exit = exit_code;
	entry->last_time = time;
	entry->made_up++;
}

/* An event without a context. */
ALWAYS_INLINE void tell_exit(struct kvm_vcpu *vcpu, struct nm_guard_vcpu *entry,
			     struct nm_guard_event *event)
{
	sign(event, vcpu, entry);
	note_exit(entry, event->exit_code, event->time);
	send(vcpu, event, sizeof(*event));
}

/* ---- SMM ---------------------------------------------------------------------------------------- */

ALWAYS_INLINE void enter_smm(struct kvm_vcpu *vcpu)
{
	struct nm_guard_vcpu *entry = vcpu_find(vcpu);

	if (!entry || entry->in_smm)
		return;
	entry->in_smm = 1;
	entry->smm_since = bpf_ktime_get_ns();
}

ALWAYS_INLINE void leave_smm(struct kvm_vcpu *vcpu)
{
	struct nm_guard_vcpu *entry = vcpu_find(vcpu);

	if (!entry || !entry->in_smm)
		return;
	entry->in_smm = 0;
	entry->smm_time += bpf_ktime_get_ns() - entry->smm_since;
}

/*
 * The SMRAM image of a vCPU that was in L2, or in VMX operation, when the SMI came: the one that RSM loads, or the
 * one that an SMI has just made.
 */
static __attribute__((noinline)) int tell_smram(struct kvm_vcpu *vcpu, const char *smram,
						uint8_t hook, int ret)
{
	struct nm_guard_config *conf = config();
	struct nestmig_vcpu_view *v;
	struct room *room;

	count(hook == NM_GUARD_SMM_LEFT ? NM_GUARD_SMM_LEAVES : NM_GUARD_SMM_ENTRIES);
	if (!conf)
		return 0;
	room = open_room(conf, vcpu, hook, 0);
	if (!room)
		return 0;
	v = room->record.judged.ctx.v;
	if (bpf_probe_read_kernel(v->smram, NESTMIG_SMRAM_SIZE, smram))
		return 0;
	/* The VMCS12 is no part of SMRAM; here it is not entered yet. */
	take_vcpu(room, nm_vendor == NESTMIG_VENDOR_INTEL);
	if (nm_vendor == NESTMIG_VENDOR_AMD && !ret)
		svm_take_smm(&room->record.judged.ctx, vcpu, hook == NM_GUARD_SMM_ENTERED);
	/* The flag is gone by now, or not there yet. */
	v->events.smi_smm = 1;
	v->have |= NESTMIG_HAVE(SMRAM);
	room->record.event.result = ret;
	if (ret)
		room->record.event.flags |= NM_GUARD_FAILED;
	tell(room, vcpu_find(vcpu));
	return 0;
}

/* What explains a RSM that fails, and what comes of that: the image that this vCPU's last RSM has loaded, if the
 * processor has not run it since. */
static __attribute__((noinline)) struct room *room_of_rsm(struct kvm_vcpu *vcpu)
{
	struct room *room = bpf_task_storage_get(&nm_room, bpf_get_current_task_btf(), 0, 0);

	if (!room || room->vcpu != vcpu || room->record.event.hook != NM_GUARD_SMM_LEFT ||
	    room->exits != BPF_CORE_READ(vcpu, stat.exits))
		return NULL;
	return room;
}

/* A triple fault that KVM delivers to L1, with what explains it: the image of a RSM that has failed, or else L2's
 * state as it is. */
static __attribute__((noinline)) int tell_triple_fault(struct kvm_vcpu *vcpu, uint64_t exit_code,
						       uint16_t flags)
{
	struct nm_guard_vcpu *entry = vcpu_find(vcpu);
	struct nm_guard_config *conf = config();
	struct room *room = room_of_rsm(vcpu);

	count(NM_GUARD_MADE_UP_EXITS);
	note_exit(entry, exit_code, bpf_ktime_get_ns());
	if (!conf)
		return 0;
	if (!room || !(room->record.event.flags & NM_GUARD_FAILED)) {
		room = open_room(conf, vcpu, NM_GUARD_NESTED_EXIT, 0);
		if (!room)
			return 0;
		take_vcpu(room, true);
	}
	room->record.event.hook = NM_GUARD_NESTED_EXIT;
	room->record.event.result = 0;
	room->record.event.exit_code = exit_code;
	room->record.event.flags = flags | (is_run_pending(vcpu) ? NM_GUARD_PENDING : 0);
	return tell(room, entry);
}

#endif
