/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guard's maps, and what every program does with them: scratch memory, entries, counters, events. */
#ifndef NESTMIG_GUARD_MAPS_BPF_H
#define NESTMIG_GUARD_MAPS_BPF_H

#include "kvm.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "guard.h"
#include "judge.bpf.h"

/* BPF_PROG gives every program its raw arguments too. */
#pragma clang diagnostic ignored "-Wunused-parameter"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct nm_guard_config);
} nm_config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, uint64_t);
	__type(value, struct nm_guard_vcpu);
} nm_vcpus SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, uint64_t);
	__type(value, struct nm_guard_vm);
} nm_vms SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} nm_events SEC(".maps");

/* enum nestmig_vendor, set before loading: code for the other vendor, whose types this kernel may not have, is
 * never looked at by the verifier. */
const volatile uint32_t nm_vendor = NESTMIG_VENDOR_AMD;

/* The counters, and of each rule how often it was broken: a map of its own, of which programs know the address. */
uint64_t nm_counters[NM_GUARD_ALL_COUNTERS] SEC(".data.counters");

/* How many vCPUs there are in nm_vcpus. */
uint32_t nm_followed;
/* Of how many vCPUs something was stuffed that KVM_RUN has not judged, by a hash of their addresses: KVM_RUN of any
 * other vCPU costs one load and one branch. */
uint32_t nm_unjudged[256];
uint32_t nm_vm_number;

/* What entries start as; too large for the stack. */
static const struct nm_guard_vcpu new_vcpu;
static const struct nm_guard_vm new_vm;

ALWAYS_INLINE struct nm_guard_config *config(void)
{
	uint32_t zero = 0;

	return bpf_map_lookup_elem(&nm_config, &zero);
}

/* By the low half of the address: of a pointer to a struct of the kernel the verifier lets programs calculate with no
 * more than a copy of that. */
ALWAYS_INLINE uint32_t *unjudged_at(uint32_t address)
{
	return &nm_unjudged[(uint32_t)(address * UINT32_C(0x9e3779b1)) >> 24];
}

ALWAYS_INLINE uint32_t *unjudged(const struct kvm_vcpu *vcpu)
{
	uint32_t address;

	asm volatile("%0 = %1" : "=w"(address) : "w"((uint32_t)(uint64_t)vcpu));
	return unjudged_at(address);
}

ALWAYS_INLINE void count(uint32_t counter)
{
	if (counter < NM_GUARD_ALL_COUNTERS)
		__sync_fetch_and_add(&nm_counters[counter], 1);
}

/* Have two bitmaps of rules a bit in common? */
ALWAYS_INLINE bool any_of(const uint64_t *bits, const uint64_t *mask)
{
	uint64_t found = 0;

	for (unsigned i = 0; i < NM_RULE_WORDS; i++)
		found |= bits[i] & mask[i];
	return found;
}

/* ---- VMs and vCPUs ---------------------------------------------------------------------------- */

static __attribute__((noinline)) struct nm_guard_vm *vm_entry(struct kvm *kvm)
{
	uint64_t key = (uint64_t)kvm;
	struct nm_guard_vm *vm;

	vm = bpf_map_lookup_elem(&nm_vms, &key);
	if (vm)
		return vm;
	if (bpf_map_update_elem(&nm_vms, &key, &new_vm, BPF_NOEXIST))
		return bpf_map_lookup_elem(&nm_vms, &key);
	vm = bpf_map_lookup_elem(&nm_vms, &key);
	if (vm)
		vm->vm = __sync_fetch_and_add(&nm_vm_number, 1) + 1;
	return vm;
}

ALWAYS_INLINE struct nm_guard_vcpu *vcpu_find(struct kvm_vcpu *vcpu)
{
	uint64_t key = (uint64_t)vcpu;

	return bpf_map_lookup_elem(&nm_vcpus, &key);
}

/* The entry of a vCPU that uses nesting; NULL, which is counted, if there are too many. */
static __attribute__((noinline)) struct nm_guard_vcpu *vcpu_entry(struct kvm_vcpu *vcpu)
{
	struct nm_guard_vcpu *entry = vcpu_find(vcpu);
	uint64_t key = (uint64_t)vcpu;
	struct nm_guard_vm *vm;
	struct kvm *kvm;

	if (entry)
		return entry;
	if (bpf_map_update_elem(&nm_vcpus, &key, &new_vcpu, BPF_NOEXIST)) {
		/* Another thread has made it meanwhile, or the map is full. */
		entry = vcpu_find(vcpu);
		if (!entry)
			count(NM_GUARD_NO_ENTRY);
		return entry;
	}
	__sync_fetch_and_add(&nm_followed, 1);
	entry = vcpu_find(vcpu);
	if (!entry)
		return NULL;
	kvm = BPF_CORE_READ(vcpu, kvm);
	vm = vm_entry(kvm);
	if (vm)
		entry->vm = vm->vm;
	entry->vcpu = BPF_CORE_READ(vcpu, vcpu_id);
	entry->vmm = BPF_CORE_READ(kvm, userspace_pid);
	return entry;
}

/* In L2 from now on, whoever brought it there. */
ALWAYS_INLINE void is_found_in_l2(struct nm_guard_vcpu *entry)
{
	entry->in_l2 = 1;
	entry->l2_since = bpf_ktime_get_ns();
}

ALWAYS_INLINE void enter_l2(struct nm_guard_vcpu *entry)
{
	entry->entries++;
	is_found_in_l2(entry);
}

/* No more in L2: after an exit, or without one, by an SMI or an ioctl. */
ALWAYS_INLINE void is_out_of_l2(struct nm_guard_vcpu *entry)
{
	if (entry->in_l2)
		entry->l2_time += bpf_ktime_get_ns() - entry->l2_since;
	entry->in_l2 = 0;
}

ALWAYS_INLINE void leave_l2(struct nm_guard_vcpu *entry)
{
	entry->exits++;
	is_out_of_l2(entry);
}

/* ---- Events ----------------------------------------------------------------------------------- */

/* May an event of this VM be told now? A bucket that fills with per_second tokens, up to burst. */
static __attribute__((noinline)) bool has_token(struct kvm *kvm, uint64_t now)
{
	struct nm_guard_config *conf = config();
	struct nm_guard_vm *vm = vm_entry(kvm);
	uint64_t more;

	if (!vm || !conf)
		return true;
	more = (now - vm->filled) * conf->per_second / 1000000000;
	if (!vm->filled || more > conf->burst) {
		vm->tokens = conf->burst;
		vm->filled = now;
	} else if (more) {
		vm->tokens += more;
		if (vm->tokens > conf->burst)
			vm->tokens = conf->burst;
		vm->filled = now;
	}
	if (!vm->tokens) {
		__sync_fetch_and_add(&vm->limited, 1);
		return false;
	}
	vm->tokens--;
	return true;
}

/* What every event says; the caller has cleared it and set hook, action, ioctl and flags. */
ALWAYS_INLINE void sign(struct nm_guard_event *event, struct kvm_vcpu *vcpu,
			const struct nm_guard_vcpu *entry)
{
	uint64_t both = bpf_get_current_pid_tgid();

	event->time = bpf_ktime_get_ns();
	event->pid = both >> 32;
	event->tid = both;
	event->vcpu = BPF_CORE_READ(vcpu, vcpu_id);
	event->vmm = BPF_CORE_READ(vcpu, kvm, userspace_pid);
	event->vm = entry ? entry->vm : 0;
	if (BPF_CORE_READ(vcpu, stat.guest_mode))
		event->flags |= NM_GUARD_L2;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
}

ALWAYS_INLINE void send(struct kvm_vcpu *vcpu, struct nm_guard_event *event, uint64_t size)
{
	count(NM_GUARD_EVENTS + event->hook);
	if (!has_token(BPF_CORE_READ(vcpu, kvm), event->time))
		count(NM_GUARD_LIMITED);
	else if (bpf_ringbuf_output(&nm_events, event, size, 0))
		count(NM_GUARD_LOST);
}

#endif
