/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the guard's BPF programs and user space share: configuration, events, counters, entries of maps. */
#ifndef NESTMIG_GUARD_H
#define NESTMIG_GUARD_H

#include "judging.h"

/* What a program was looking at when it made an event. */
enum nm_guard_hook {
	NM_GUARD_SET_NESTED_STATE, /* the ioctl, before KVM copies what it points at */
	NM_GUARD_SET_VCPU_EVENTS,
	NM_GUARD_KVM_RUN,       /* the ioctl, what was stuffed since the one before */
	NM_GUARD_RUN_UNJUDGED,  /* in KVM_RUN: state that was stuffed after that check, or in it */
	NM_GUARD_NESTED_EXIT,   /* an exit to L1 that KVM made up */
	NM_GUARD_ENTRY_FAILED,  /* a VMRUN, VMLAUNCH or VMRESUME of L1 that KVM refuses */
	NM_GUARD_SMM_LEFT,      /* RSM */
	NM_GUARD_SMM_ENTERED,   /* an SMI that came to L2, when its state is in SMRAM */
	NM_GUARD_EPTP_SWITCHED, /* VMFUNC */
	NM_GUARD_HOOKS
};

#define NM_GUARD_IOCTLS (NM_GUARD_KVM_RUN + 1) /* the hooks that judge ioctls are the first */

enum nm_guard_action {
	NM_GUARD_TOLD,   /* audit, or nothing that is denied */
	NM_GUARD_DENIED, /* the ioctl fails with EINVAL */
	NM_GUARD_ACTIONS
};

/* Flags of an event. */
#define NM_GUARD_L2         0x01  /* the vCPU is in guest mode */
#define NM_GUARD_RACED      0x02  /* what KVM copied is not what was judged at the ioctl */
#define NM_GUARD_HIGH_HALF  0x04  /* advisory: the exit code's high half is not as the APM says */
#define NM_GUARD_GIF_SET    0x08  /* advisory: L1 goes on with GIF set after #VMEXIT */
#define NM_GUARD_EXIT_INFO  0x10  /* advisory: exit information that has to be 0 is not */
#define NM_GUARD_PENDING    0x20  /* nested_run_pending was set */
#define NM_GUARD_FAILED     0x40  /* what the hook is about has failed */
#define NM_GUARD_UNJUDGED   0x80  /* the kernel has not judged the context: nm_guard_poll does */
#define NM_GUARD_EMULATION  0x100 /* KVM for Intel would have to emulate L2: its state is invalid */
#define NM_GUARD_OTHER_EXIT 0x200 /* advisory: L1 should have seen exit reason exit_info[1] */

/* At KVM_RUN: what was stuffed and may be denied, 1 << NM_GUARD_STUFFED_x above these bits. */
#define NM_GUARD_STUFFED_SHIFT 12

#define NM_GUARD_COMM          16

/* One event. Where rules were judged, the context follows: sizeof(struct nm_guard_record) bytes in all. */
struct nm_guard_event {
	uint64_t time;        /* CLOCK_MONOTONIC, in ns */
	uint32_t vm;          /* number of the VM, from 1, as long as it lives */
	uint32_t vcpu;        /* vcpu_id */
	uint32_t vmm;         /* PID of the process that made the VM */
	uint32_t pid, tid;    /* who called */
	uint32_t ioctl;       /* the request; 0 outside an ioctl */
	uint8_t hook, action; /* enum nm_guard_hook, enum nm_guard_action */
	uint16_t flags;       /* NM_GUARD_L2, ... */
	uint32_t result;      /* what a function returned */
	uint64_t exit_code;   /* of an exit to L1; VMX: of VMfail the VM-instruction error */
	/* SVM: exit_info_1 and _2; VMX: the qualification; VMFUNC: the entry of the list, or with
	 * NM_GUARD_OTHER_EXIT the EPTP, and the exit reason that is prescribed. */
	uint64_t exit_info[2];
	char comm[NM_GUARD_COMM]; /* of the task that called */
};

/* A context with the verdict on it, as it is judged and as it goes to the ring buffer. */
struct nm_guard_record {
	struct nm_guard_event event;
	struct nm_judging judged;
};

/* What has been set by ioctl since the last KVM_RUN. */
enum nm_guard_stuffed {
	NM_GUARD_STUFFED_NESTED,
	NM_GUARD_STUFFED_SREGS,
	NM_GUARD_STUFFED_REGS,
	NM_GUARD_STUFFED_EVENTS,
	NM_GUARD_STUFFED_KINDS
};

_Static_assert(NM_GUARD_STUFFED_SHIFT + NM_GUARD_STUFFED_KINDS <= 16, "flags have 16 bits");

/* Written by user space, before and while the guard is attached. */
struct nm_guard_config {
	uint8_t enforce;     /* 0: audit */
	uint8_t lsm;         /* the LSM programs are attached */
	uint16_t burst;      /* events of one VM that are told at once */
	uint32_t per_second; /* and from then on */
	/* Rules that are evaluated at all, and those of them for which the ioctl is denied. */
	uint64_t wanted[NM_RULE_WORDS];
	uint64_t deny_nested[NM_RULE_WORDS];
	uint64_t deny_events[NM_RULE_WORDS];
	/* Rules that go by the nested state and nothing that ioctls set. */
	uint64_t blob[NM_RULE_WORDS];
	/* The same of rules that events may also decide. */
	uint64_t blob_events[NM_RULE_WORDS];
	/* Rules on a VMCS12: of one that L1 has yet to enter nothing is said. */
	uint64_t vmcs12[NM_RULE_WORDS];
	/* At KVM_RUN: by what was stuffed. */
	uint64_t deny_run[NM_GUARD_STUFFED_KINDS][NM_RULE_WORDS];
	struct nestmig_host_view host;
};

/*
 * Counters, of the host since the guard was attached; after them, for each rule, how often it was found broken at an
 * ioctl.
 */
enum nm_guard_counter {
	/* By hook: contexts that were judged; of them, with a broken rule; ioctls that were denied. */
	NM_GUARD_JUDGED,
	NM_GUARD_BROKEN = NM_GUARD_JUDGED + NM_GUARD_IOCTLS,
	NM_GUARD_DENIALS = NM_GUARD_BROKEN + NM_GUARD_IOCTLS,
	/* By hook: events that were made; those of SMM to be judged by who reads them. */
	NM_GUARD_EVENTS = NM_GUARD_DENIALS + NM_GUARD_IOCTLS,
	NM_GUARD_LIMITED =
		NM_GUARD_EVENTS + NM_GUARD_HOOKS, /* not told because of their VM's rate */
	NM_GUARD_LOST,                            /* not told because the ring buffer was full */
	NM_GUARD_UNREAD,     /* ioctls whose argument could not be read: KVM says EFAULT then */
	NM_GUARD_NO_SCRATCH, /* contexts not judged for want of memory */
	NM_GUARD_NO_ENTRY,   /* vCPUs not followed because the map was full */
	NM_GUARD_RACES,      /* what KVM ran was not what was judged */
	NM_GUARD_NESTED_ENTRIES,
	NM_GUARD_NESTED_EXITS,
	NM_GUARD_MADE_UP_EXITS,
	NM_GUARD_FAILED_ENTRIES,
	NM_GUARD_SMM_LEAVES,
	NM_GUARD_SMM_ENTRIES, /* with L2 active */
	NM_GUARD_COUNTERS
};

/* The value of the map of counters has so many: after those above one for each rule. */
#define NM_GUARD_ALL_COUNTERS (NM_GUARD_COUNTERS + NESTMIG_RULES)

/* One vCPU that uses nesting; the key is its struct kvm_vcpu. */
struct nm_guard_vcpu {
	uint32_t vm, vcpu, vmm;
	uint32_t stuffed;    /* bits 1 << NM_GUARD_STUFFED_x, of which KVM_RUN has not judged */
	uint32_t generation; /* counts what is stuffed */
	uint8_t in_l2, in_smm;
	uint8_t is_checked;         /* the nested state was judged at the ioctl, see passed */
	uint8_t exit_is_told;       /* the exit that a failed VMRUN ends with */
	uint8_t has_was;            /* was is known */
	uint64_t last_exit;         /* exit code of the last exit that KVM made up */
	uint64_t last_time;         /* when, ns; 0: there was none */
	uint64_t made_up;           /* how many of these there were */
	uint64_t entries, exits;    /* nested */
	uint64_t l2_since, l2_time; /* ns */
	uint64_t smm_since, smm_time;
	uint64_t passed[NM_RULE_WORDS]; /* what was broken then */
	struct nestmig_sregs was;       /* of L2, before they were stuffed */
};

/* One VM; the key is its struct kvm. */
struct nm_guard_vm {
	uint32_t vm;
	uint32_t tokens;  /* events that may still be told */
	uint64_t filled;  /* when tokens were last added, ns */
	uint64_t limited; /* events that were not told */
};

#endif
