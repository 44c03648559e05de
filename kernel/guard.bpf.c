// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The guard: judges nested state that user space gives to KVM, and tells of what KVM makes of it.
 *
 * What is judged where. KVM_SET_NESTED_STATE and KVM_SET_VCPU_EVENTS are judged on a copy of their argument
 * before KVM copies it; a program that runs when the ioctl is done, with vcpu->mutex held, marks the vCPU. The
 * next KVM_RUN judges what KVM holds by then, so that a change of the argument between both copies, or a first
 * judgement that did not take place, does not matter. That check comes before KVM_RUN takes vcpu->mutex: state
 * that another thread sets in between has a newer generation, which is seen with the mutex held, and told.
 *
 * Two programs for the one LSM hook: the first sleeps while it copies from user space, and a program that is
 * asleep is not started again on that CPU (__bpf_prog_enter_sleepable, 6.1). The second, on which denying
 * KVM_RUN relies, never sleeps.
 */
#include "guard_svm_exits.bpf.h"

#define IOCTL_RUN           0xae80 /* KVM_x, uapi linux/kvm.h */
#define IOCTL_SET_NESTED    0x4080aebf
#define IOCTL_SET_EVENTS    0x4040aea0
#define IOCTL_SET_SREGS2    0x4140aecd

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
	uint64_t vmcb_pa, gpat;
	uint8_t pad[104];
};

_Static_assert(sizeof(struct header) == KVMNS_HEADER_SIZE, "struct kvm_nested_state has 128 bytes");

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
		.vmcb_pa = header.vmcb_pa,
		.gpat = header.gpat,
	};
	v->have |= NESTMIG_HAVE(NESTED);
	if (header.format != KVMNS_FORMAT_SVM || header.size < KVMNS_HEADER_SIZE + KVMNS_VMCB_SIZE)
		return 0;
	if (bpf_copy_from_user(v->vmcb12, KVMNS_VMCB_SIZE, (void *)(arg + KVMNS_HEADER_SIZE)))
		return -1;
	v->have |= NESTMIG_HAVE(VMCB12);
	ctx->svm_l2 = !!(header.flags & KVMNS_GUEST_MODE);
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
	finish(room, conf, conf->deny_nested);
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
	finish(room, conf, conf->deny_events);
	return room;
}

/* Keeps what the nested state broke here, for the comparison with what KVM copies. */
static __attribute__((noinline)) int conclude_ioctl(struct room *room)
{
	struct nm_guard_vcpu *entry = vcpu_entry(room->vcpu);

	if (entry && room->record.event.hook == NM_GUARD_SET_NESTED_STATE) {
		entry->is_checked = 1;
		for (unsigned i = 0; i < NM_RULE_WORDS; i++)
			entry->passed[i] = room->record.judged.broken[i];
	}
	return conclude(room, entry);
}

/* nm_judge needs most of a BPF program's call depth: it is called from here, and from no deeper. */
SEC("lsm.s/file_ioctl")
int BPF_PROG(nm_guard_ioctl, struct file *file, unsigned int cmd, unsigned long arg)
{
	struct kvm_vcpu *vcpu;
	struct room *room;

	if (cmd != IOCTL_SET_NESTED && cmd != IOCTL_SET_EVENTS)
		return 0;
	vcpu = vcpu_of(file);
	if (!vcpu)
		return 0;
	room = cmd == IOCTL_SET_NESTED ? prepare_nested(vcpu, arg) : prepare_events(vcpu, arg);
	if (!room)
		return 0;
	nm_judge(&room->record.judged);
	return conclude_ioctl(room);
}

/* ---- What ioctls have set ----------------------------------------------------------------------- */

/* vcpu->mutex is held. */
static __attribute__((noinline)) int mark(struct kvm_vcpu *vcpu, uint32_t kind)
{
	struct nm_guard_vcpu *entry;

	if (!is_in_l2(vcpu))
		return 0;
	entry = vcpu_entry(vcpu);
	if (!entry)
		return 0;
	entry->stuffed |= UINT32_C(1) << kind;
	__sync_fetch_and_add(&entry->generation, 1);
	return 0;
}

SEC("fexit/kvm_arch_vcpu_ioctl")
int BPF_PROG(nm_guard_ioctl_done, struct file *file, unsigned int cmd, unsigned long arg, long ret)
{
	if (ret)
		return 0;
	if (cmd == IOCTL_SET_NESTED)
		return mark(file->private_data, NM_GUARD_STUFFED_NESTED);
	if (cmd == IOCTL_SET_EVENTS)
		return mark(file->private_data, NM_GUARD_STUFFED_EVENTS);
	if (cmd == IOCTL_SET_SREGS2)
		return mark(file->private_data, NM_GUARD_STUFFED_SREGS);
	return 0;
}

SEC("fexit/kvm_arch_vcpu_ioctl_set_sregs")
int BPF_PROG(nm_guard_sregs_done, struct kvm_vcpu *vcpu, struct kvm_sregs *sregs, int ret)
{
	return ret ? 0 : mark(vcpu, NM_GUARD_STUFFED_SREGS);
}

SEC("fexit/kvm_arch_vcpu_ioctl_set_regs")
int BPF_PROG(nm_guard_regs_done, struct kvm_vcpu *vcpu, struct kvm_regs *regs, int ret)
{
	return ret ? 0 : mark(vcpu, NM_GUARD_STUFFED_REGS);
}

/* ---- KVM_RUN ------------------------------------------------------------------------------------ */

/* What KVM holds of a vCPU of which something has been stuffed. */
static __attribute__((noinline)) struct room *prepare_run(struct kvm_vcpu *vcpu,
							  struct nm_guard_vcpu *entry)
{
	struct nm_guard_config *conf = config();
	uint32_t stuffed = entry->stuffed;
	struct room *room;

	if (!conf)
		return NULL;
	room = open_room(conf, vcpu, NM_GUARD_KVM_RUN, IOCTL_RUN);
	if (!room)
		return NULL;
	take_vcpu(room, true);
	finish(room, conf, conf->deny_run[NM_GUARD_STUFFED_NESTED]);
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

static __attribute__((noinline)) int conclude_run(struct room *room, struct nm_guard_vcpu *entry)
{
	struct nm_guard_config *conf = config();
	const uint64_t *broken = room->record.judged.broken;
	uint64_t changed = 0;

	/* Rules on the blob that held when it was judged before KVM copied it. */
	for (unsigned i = 0; conf && entry->is_checked && i < NM_RULE_WORDS; i++)
		changed |= conf->deny_nested[i] & broken[i] & ~entry->passed[i];
	if (changed) {
		count(NM_GUARD_RACES);
		room->record.event.flags |= NM_GUARD_RACED;
	}
	return conclude(room, entry);
}

SEC("lsm/file_ioctl")
int BPF_PROG(nm_guard_run, struct file *file, unsigned int cmd, unsigned long arg)
{
	struct nm_guard_vcpu *entry;
	struct kvm_vcpu *vcpu;
	uint32_t generation;
	struct room *room;

	if (cmd != IOCTL_RUN || !nm_followed)
		return 0;
	/* Only vCPUs are keys: what other files have there is none of them. */
	vcpu = file->private_data;
	entry = vcpu_find(vcpu);
	if (!entry || !entry->stuffed)
		return 0;
	generation = entry->generation;
	if (is_in_l2(vcpu)) {
		room = prepare_run(vcpu, entry);
		if (room) {
			nm_judge(&room->record.judged);
			if (conclude_run(room, entry))
				return -EINVAL;
		}
	}
	entry->judged = generation;
	entry->stuffed = 0;
	return 0;
}

/* With vcpu->mutex held: was anything stuffed after the check above, or is there none? */
SEC("fentry/kvm_arch_vcpu_ioctl_run")
int BPF_PROG(nm_guard_running, struct kvm_vcpu *vcpu)
{
	struct nm_guard_config *conf;
	struct nm_guard_vcpu *entry;
	struct room *room;

	if (!nm_followed)
		return 0;
	entry = vcpu_find(vcpu);
	if (!entry || entry->generation == entry->judged)
		return 0;
	entry->judged = entry->generation;
	entry->stuffed = 0;
	conf = config();
	if (!conf || !is_in_l2(vcpu))
		return 0;
	if (conf->lsm)
		count(NM_GUARD_RACES);
	room = open_room(conf, vcpu, conf->lsm ? NM_GUARD_RUN_UNJUDGED : NM_GUARD_KVM_RUN,
			 IOCTL_RUN);
	if (!room)
		return 0;
	take_vcpu(room, true);
	tell(room, entry);
	return 0;
}

/* ---- The end of vCPUs and VMs --------------------------------------------------------------------- */

SEC("fentry/kvm_arch_vcpu_destroy")
int BPF_PROG(nm_guard_vcpu_gone, struct kvm_vcpu *vcpu)
{
	uint64_t key = (uint64_t)vcpu;

	if (nm_followed && !bpf_map_delete_elem(&nm_vcpus, &key))
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
