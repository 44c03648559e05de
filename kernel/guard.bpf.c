// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The guard: judges nested state that user space gives to KVM, and tells of what KVM makes of it.
 *
 * What is judged where. KVM_SET_NESTED_STATE and KVM_SET_VCPU_EVENTS are judged on a copy of their argument
 * before KVM copies it; programs at the functions that take what ioctls set, with vcpu->mutex held, mark the vCPU
 * (guard_marks.bpf.h). The next KVM_RUN judges what KVM holds by then, so that a change of the argument between both
 * copies, or a first judgement that did not take place, does not matter. That check comes before KVM_RUN takes
 * vcpu->mutex. State that another thread sets in between is still marked when KVM_RUN comes back: if it was invalid,
 * the exit that the processor made of it is told with it, else the next KVM_RUN judges what has become of it.
 *
 * One program judges them all: the rules are verified once for each program that evaluates them.
 */
#include "guard_svm_exits.bpf.h"
#include "guard_vmx_exits.bpf.h"
#include "guard_marks.bpf.h"

#define IOCTL_SET_NESTED    0x4080aebf /* KVM_x, uapi linux/kvm.h */
#define IOCTL_TYPE          0xae00     /* KVMIO, of all of them */

#define ANON_INODE_FS_MAGIC 0x09041934 /* uapi linux/magic.h */

char LICENSE[] SEC("license") = "GPL";

/* The vCPU of a file, or NULL: KVM's vCPUs are anonymous inodes called "kvm-vcpu:N" (create_vcpu_fd). */
static __attribute__((noinline)) struct kvm_vcpu *vcpu_of(struct file *file)
{
	struct {
		union {
			char text[8];
			uint64_t number;
		};
		char colon;
	} name, want = {.text = {'k', 'v', 'm', '-', 'v', 'c', 'p', 'u'}};

	if (BPF_CORE_READ(file, f_inode, i_sb, s_magic) != ANON_INODE_FS_MAGIC)
		return NULL;
	if (bpf_probe_read_kernel(&name, sizeof(want.text) + 1,
				  BPF_CORE_READ(file, f_path.dentry, d_name.name)))
		return NULL;
	if (name.number != want.number || name.colon != ':')
		return NULL;
	return BPF_CORE_READ(file, private_data);
}

/* ---- KVM_SET_NESTED_STATE and KVM_SET_VCPU_EVENTS, before KVM has the argument ------------------- */

/* struct kvm_nested_state up to its data, uapi asm/kvm.h. */
struct header {
	uint16_t flags, format;
	uint32_t size;
	union {
		struct {
			uint64_t vmcb_pa, gpat;
		} svm;
		struct {
			uint64_t vmxon_pa, vmcs12_pa;
			uint16_t smm_flags, pad;
			uint32_t flags;
			uint64_t preemption_deadline;
		} vmx;
		uint8_t bytes[120];
	};
};

_Static_assert(sizeof(struct header) == KVMNS_HEADER_SIZE, "struct kvm_nested_state has 128 bytes");

static __attribute__((noinline)) int take_svm_blob(struct nestmig_ctx *ctx,
						   const struct header *header, uint64_t data)
{
	struct nestmig_vcpu_view *v = ctx->v;

	v->nested.vmcb_pa = header->svm.vmcb_pa;
	v->nested.gpat = header->svm.gpat;
	ctx->svm_l2 = !!(header->flags & KVMNS_GUEST_MODE);
	if (header->size < KVMNS_HEADER_SIZE + KVMNS_VMCB_SIZE)
		return 0;
	if (bpf_copy_from_user(v->vmcb12, KVMNS_VMCB_SIZE, (void *)data))
		return -1;
	v->have |= NESTMIG_HAVE(VMCB12);
	return 0;
}

static __attribute__((noinline)) int take_vmx_blob(struct nestmig_ctx *ctx,
						   const struct header *header, uint64_t data)
{
	struct nestmig_vcpu_view *v = ctx->v;

	v->nested.vmxon_pa = header->vmx.vmxon_pa;
	v->nested.vmcs12_pa = header->vmx.vmcs12_pa;
	v->nested.vmx_smm_flags = header->vmx.smm_flags;
	v->nested.vmx_flags = header->vmx.flags;
	v->nested.preemption_deadline = header->vmx.preemption_deadline;
	ctx->vmx_l2 = !!(header->flags & KVMNS_GUEST_MODE);
	if (header->size < KVMNS_HEADER_SIZE + KVMNS_VMCS_SIZE)
		return 0;
	if (bpf_copy_from_user(v->vmcs12, NESTMIG_VMCS12_READ, (void *)data))
		return -1;
	v->have |= NESTMIG_HAVE(VMCS12);
	if (header->size < KVMNS_HEADER_SIZE + 2 * KVMNS_VMCS_SIZE)
		return 0;
	if (bpf_copy_from_user(v->shadow_vmcs12, NESTMIG_VMCS12_READ,
			       (void *)(data + KVMNS_VMCS_SIZE)))
		return -1;
	v->have |= NESTMIG_HAVE(SHADOW_VMCS12);
	return 0;
}

static __attribute__((noinline)) int take_blob(struct nestmig_ctx *ctx, uint64_t arg)
{
	struct nestmig_vcpu_view *v = ctx->v;
	struct header header;

	if (bpf_copy_from_user(&header, sizeof(header), (void *)arg))
		return -1;
	v->nested = (struct nestmig_nested){
		.flags = header.flags,
		.stored_flags = header.flags,
		.format = header.format,
		.size = header.size,
	};
	v->have |= NESTMIG_HAVE(NESTED);
	ctx->svm_l2 = ctx->vmx_l2 = 0;
	if (header.format == KVMNS_FORMAT_SVM)
		return take_svm_blob(ctx, &header, arg + KVMNS_HEADER_SIZE);
	if (header.format == KVMNS_FORMAT_VMX)
		return take_vmx_blob(ctx, &header, arg + KVMNS_HEADER_SIZE);
	return 0;
}

static __attribute__((noinline)) struct room *prepare_nested(struct kvm_vcpu *vcpu, uint64_t arg)
{
	struct nm_guard_config *conf = config();
	struct room *room;

	if (!conf)
		return NULL;
	room = open_room(conf, vcpu, NM_GUARD_SET_NESTED_STATE, IOCTL_SET_NESTED);
	if (!room)
		return NULL;
	take_vcpu(room, false);
	if (take_blob(&room->record.judged.ctx, arg)) {
		count(NM_GUARD_UNREAD);
		return NULL;
	}
	if (nm_vendor == NESTMIG_VENDOR_INTEL && !room->record.judged.ctx.vmx_l2)
		for (unsigned i = 0; i < NM_RULE_WORDS; i++)
			room->record.judged.wanted[i] &= ~conf->vmcs12[i];
	limit(room, conf->deny_nested);
	return room;
}

static __attribute__((noinline)) struct room *prepare_events(struct kvm_vcpu *vcpu, uint64_t arg)
{
	struct nm_guard_config *conf = config();
	struct vcpu_events events;
	struct room *room;

	if (!conf || !is_in_l2(vcpu))
		return NULL;
	room = open_room(conf, vcpu, NM_GUARD_SET_VCPU_EVENTS, IOCTL_SET_EVENTS);
	if (!room)
		return NULL;
	take_vcpu(room, true);
	if (bpf_copy_from_user(&events, sizeof(events), (void *)arg)) {
		count(NM_GUARD_UNREAD);
		return NULL;
	}
	use_events(room->record.judged.ctx.v, &events);
	limit(room, conf->deny_events);
	return room;
}

/* ---- KVM_RUN ------------------------------------------------------------------------------------ */

/*
 * KVM for Intel's own word on L2's segments and RFLAGS, which are in its VMCS (vmx_guest_state_valid). It is from the
 * time when they were set: by an ioctl, or by RSM, which is not denied.
 */
ALWAYS_INLINE bool needs_emulation(struct kvm_vcpu *vcpu)
{
	return nm_vendor == NESTMIG_VENDOR_INTEL && vmx_is_emulated(vcpu) && !vmx_is_of_rsm(vcpu);
}

/* Is a thread in an ioctl of the vCPU, or waiting? It may be setting something, in more than one step. */
ALWAYS_INLINE bool is_held(struct kvm_vcpu *vcpu)
{
	/* PREEMPT_RT's mutex has its owner elsewhere. */
	return bpf_core_field_exists(vcpu->mutex.owner) && BPF_CORE_READ(vcpu, mutex.owner.counter);
}

/* What KVM holds of a vCPU of which something has been stuffed. */
static __attribute__((noinline)) struct room *prepare_run(struct kvm_vcpu *vcpu)
{
	struct nm_guard_vcpu *entry = vcpu_find(vcpu);
	struct nm_guard_config *conf = config();
	uint32_t stuffed, generation;
	struct room *room;

	if (!entry || !conf)
		return NULL;
	/* First: what another thread sets from here on stays marked. */
	generation = entry->generation;
	if (!is_in_l2(vcpu)) {
		let_run(vcpu, entry, generation);
		return NULL;
	}
	room = open_room(conf, vcpu, NM_GUARD_KVM_RUN, IOCTL_RUN);
	if (!room)
		return NULL;
	room->generation = generation;
	room->is_held = is_held(vcpu);
	stuffed = entry->stuffed;
	take_vcpu(room, true);
	stuffed = still_stuffed(room->record.judged.ctx.v, entry, stuffed);
	if (needs_emulation(vcpu) && (stuffed >> NM_GUARD_STUFFED_SREGS & 1))
		room->record.event.flags |= NM_GUARD_EMULATION;
	limit(room, conf->deny_run[NM_GUARD_STUFFED_NESTED]);
	room->record.event.flags |= stuffed_flags(vcpu, stuffed);
	if (nm_vendor == NESTMIG_VENDOR_INTEL && vmx_is_of_rsm(vcpu)) {
		for (unsigned i = 0; i < NM_RULE_WORDS; i++)
			room->deny[i] = 0;
		return room;
	}
	if (stuffed >> NM_GUARD_STUFFED_NESTED & 1)
		return room;
	for (unsigned i = 0; i < NM_RULE_WORDS; i++) {
		room->deny[i] = 0;
		for (unsigned kind = 0; kind < NM_GUARD_STUFFED_KINDS; kind++)
			if (stuffed >> kind & 1)
				room->deny[i] |= conf->deny_run[kind][i];
	}
	return room;
}

/* ---- The ioctls ---------------------------------------------------------------------------------- */

/* The context of an ioctl; NULL: there is nothing to judge. */
static __attribute__((noinline)) struct room *prepare(struct file *file, uint32_t cmd, uint64_t arg)
{
	struct kvm_vcpu *vcpu = vcpu_of(file);

	if (!vcpu)
		return NULL;
	if (cmd == IOCTL_SET_NESTED)
		return prepare_nested(vcpu, arg);
	if (cmd == IOCTL_SET_EVENTS)
		return prepare_events(vcpu, arg);
	return prepare_run(vcpu);
}

/* Have rules on the blob been broken that held when it was judged before KVM copied it? */
static __attribute__((noinline)) bool has_changed(const struct nm_guard_vcpu *entry,
						  const uint64_t *broken)
{
	bool events = entry->stuffed >> NM_GUARD_STUFFED_EVENTS & 1;
	struct nm_guard_config *conf = config();
	uint64_t changed = 0;

	for (unsigned i = 0; conf && entry->is_checked && i < NM_RULE_WORDS; i++)
		changed |= (conf->blob[i] | (events ? 0 : conf->blob_events[i])) & broken[i] &
			   ~entry->passed[i];
	return changed;
}

/* What the ioctl returns; 0: KVM goes on. */
static __attribute__((noinline)) int finish(struct room *room)
{
	const uint64_t *broken = room->record.judged.broken;
	struct nm_guard_vcpu *entry = vcpu_entry(room->vcpu);
	int result;

	if (entry && room->record.event.hook == NM_GUARD_KVM_RUN && has_changed(entry, broken)) {
		count(NM_GUARD_RACES);
		room->record.event.flags |= NM_GUARD_RACED;
	}
	result = conclude(room, entry);
	if (!entry)
		return result;
	/* What is denied here KVM does not copy: what it holds is of the ioctl before. */
	if (room->record.event.hook == NM_GUARD_SET_NESTED_STATE && !result) {
		entry->is_checked = 1;
		for (unsigned i = 0; i < NM_RULE_WORDS; i++)
			entry->passed[i] = broken[i];
	}
	if (room->record.event.hook == NM_GUARD_KVM_RUN && !result && !room->is_held)
		let_run(room->vcpu, entry, room->generation);
	return result;
}

/* nm_judge needs most of a BPF program's call depth: it is called from here, and from no deeper. */
SEC("lsm.s/file_ioctl")
int BPF_PROG(nm_guard_ioctl, struct file *file, unsigned int cmd, unsigned long arg)
{
	struct nm_guard_vcpu *entry;
	struct room *room;

	/* All that an ioctl of another kind costs beside the trampoline. */
	if ((cmd & 0xff00) != IOCTL_TYPE)
		return 0;
	if (cmd == IOCTL_RUN) {
		if (!*unjudged_at((uint64_t)file->private_data))
			return 0;
		/* Only vCPUs are keys: what other files have there is none of them. */
		entry = vcpu_find(file->private_data);
		if (!entry || !entry->stuffed)
			return 0;
	} else if (cmd == IOCTL_SET_MSRS) {
		return mark_sregs(vcpu_of(file));
	} else if (cmd != IOCTL_SET_NESTED && cmd != IOCTL_SET_EVENTS) {
		return 0;
	}
	room = prepare(file, cmd, arg);
	if (!room)
		return 0;
	nm_judge(&room->record.judged);
	return finish(room);
}

/* ---- KVM_RUN that is not denied ------------------------------------------------------------------- */

/* What was stuffed before a KVM_RUN that no program can deny. */
static __attribute__((noinline)) int tell_run(struct kvm_vcpu *vcpu, struct nm_guard_vcpu *entry)
{
	uint32_t generation = entry->generation;

	if (is_in_l2(vcpu) && tell_held(vcpu, entry, NM_GUARD_KVM_RUN))
		return 0;
	let_run(vcpu, entry, generation);
	return 0;
}

/*
 * With vcpu->mutex held: what another thread has set since the LSM program looked. It is too late to deny, and it
 * must not run unnoticed.
 */
SEC("fentry/kvm_arch_vcpu_ioctl_run")
int BPF_PROG(nm_guard_lsm_overtaken, struct kvm_vcpu *vcpu)
{
	struct nm_guard_vcpu *entry = *unjudged(vcpu) ? vcpu_find(vcpu) : NULL;
	uint32_t generation;

	if (!entry || !entry->stuffed)
		return 0;
	generation = entry->generation;
	if (is_in_l2(vcpu)) {
		count(NM_GUARD_RACES);
		if (tell_held(vcpu, entry, NM_GUARD_RUN_UNJUDGED))
			return 0;
	}
	let_run(vcpu, entry, generation);
	return 0;
}

/* The same without LSM, where nothing else looks. */
SEC("fentry/kvm_arch_vcpu_ioctl_run")
int BPF_PROG(nm_guard_no_lsm_run, struct kvm_vcpu *vcpu)
{
	struct nm_guard_vcpu *entry = *unjudged(vcpu) ? vcpu_find(vcpu) : NULL;

	return entry && entry->stuffed ? tell_run(vcpu, entry) : 0;
}

/*
 * ioctls of 32-bit processes, in kernels that have a hook of its own for them (6.8, and 6.1 from 6.1.76). A program
 * there may not sleep, so it neither reads an argument nor denies: what such an ioctl sets is marked as any, and told
 * at KVM_RUN.
 */
SEC("lsm/file_ioctl_compat")
int BPF_PROG(nm_guard_ioctl_compat, struct file *file, unsigned int cmd, unsigned long arg)
{
	struct nm_guard_vcpu *entry;
	struct kvm_vcpu *vcpu;

	if (cmd == IOCTL_SET_MSRS)
		return mark_sregs(vcpu_of(file));
	if (cmd != IOCTL_RUN || !*unjudged_at((uint64_t)file->private_data))
		return 0;
	entry = vcpu_find(file->private_data);
	if (!entry || !entry->stuffed)
		return 0;
	vcpu = vcpu_of(file);
	return vcpu ? tell_run(vcpu, entry) : 0;
}

/* ---- RSM ----------------------------------------------------------------------------------------- */

/* A RSM outside of what is judged. */
static __attribute__((noinline)) int tell_rsm(struct kvm_vcpu *vcpu, uint16_t flags)
{
	struct nm_guard_event event = {.hook = NM_GUARD_SMM_LEFT, .flags = flags};

	tell_exit(vcpu, vcpu_find(vcpu), &event);
	return 0;
}

/* A RSM that fails: nobody else asks for this (em_rsm). With L2 active the image that it has loaded says why. */
SEC("fentry/emulator_triple_fault")
int BPF_PROG(nm_guard_rsm_failed, struct x86_emulate_ctxt *emulation)
{
	struct kvm_vcpu *vcpu = BPF_CORE_READ(emulation, vcpu);
	uint16_t flags = NM_GUARD_FAILED | (is_run_pending(vcpu) ? NM_GUARD_PENDING : 0);
	struct room *room = room_of_rsm(vcpu);

	if (!room)
		return tell_rsm(vcpu, flags);
	/* The vendor's part of RSM has failed and told so. */
	if (room->record.event.flags & NM_GUARD_FAILED)
		return 0;
	room->record.event.flags = flags;
	return tell(room, vcpu_find(vcpu));
}

/* ---- The end of vCPUs and VMs --------------------------------------------------------------------- */

SEC("fentry/kvm_arch_vcpu_destroy")
int BPF_PROG(nm_guard_vcpu_gone, struct kvm_vcpu *vcpu)
{
	struct nm_guard_vcpu *entry = nm_followed ? vcpu_find(vcpu) : NULL;
	uint64_t key = (uint64_t)vcpu;

	if (!entry)
		return 0;
	if (entry->stuffed)
		__sync_fetch_and_sub(unjudged(vcpu), 1);
	bpf_map_delete_elem(&nm_vcpus, &key);
	__sync_fetch_and_sub(&nm_followed, 1);
	return 0;
}

SEC("fentry/kvm_arch_destroy_vm")
int BPF_PROG(nm_guard_vm_gone, struct kvm *kvm)
{
	uint64_t key = (uint64_t)kvm;

	bpf_map_delete_elem(&nm_vms, &key);
	return 0;
}
