/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A VM of one vCPU that lives for one question: what does this KVM do? It has 128 KiB of RAM at address 0, no
 * interrupt controller, and the CPUID that KVM offers. Only host_probe*.c use it, in a process of its
 * own (host_probe.h).
 */
#ifndef NESTMIG_HOST_SCRATCH_H
#define NESTMIG_HOST_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/kvm.h>

#define NM_SCRATCH_RAM   0x20000
#define NM_SCRATCH_CPUID 256

union nm_scratch_cpuid {
	struct kvm_cpuid2 head;
	uint8_t bytes[sizeof(struct kvm_cpuid2) +
		      NM_SCRATCH_CPUID * sizeof(struct kvm_cpuid_entry2)];
};

struct nm_scratch {
	int kvm, vm, vcpu;
	uint8_t *memory; /* NM_SCRATCH_RAM bytes */
	struct kvm_run *run;
	size_t run_size;
	union nm_scratch_cpuid cpuid; /* what the vCPU has */
};

/* Makes one on an open /dev/kvm; false: KVM refuses, nothing is left. Freed by nm_scratch_end. */
bool nm_scratch_start(struct nm_scratch *scratch, int kvm);
void nm_scratch_end(struct nm_scratch *scratch);

/* The register of a CPUID leaf with index 0 in scratch->cpuid, or NULL. reg: 0 EAX to 3 EDX. */
uint32_t *nm_scratch_cpuid_word(struct nm_scratch *scratch, uint32_t function, unsigned reg);

/* KVM_SET_CPUID2 with scratch->cpuid as it is now, KVM_SET_MSRS of one MSR. false: refused. */
bool nm_scratch_set_cpuid(struct nm_scratch *scratch);
bool nm_scratch_set_msr(const struct nm_scratch *scratch, uint32_t index, uint64_t value);

/* Adds bits to EFER by KVM_SET_SREGS. false: refused. */
bool nm_scratch_add_efer(const struct nm_scratch *scratch, uint64_t bits);

/* KVM_ENABLE_CAP on the VM. */
bool nm_scratch_enable(const struct nm_scratch *scratch, uint32_t cap);

/* A KVM_SET_NESTED_STATE with one page of data. */
union nm_scratch_nested {
	struct kvm_nested_state head;
	struct {
		uint8_t header[sizeof(struct kvm_nested_state)];
		uint8_t page[4096];
	};
};

#endif
