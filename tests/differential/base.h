/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A base state: the files of a genuine raw dump, and the places in them that may be changed. */
#ifndef DIFFERENTIAL_BASE_H
#define DIFFERENTIAL_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "state.h"

/* What belongs together: one function of KVM, or VMRUN, judges it as one. */
enum group {
	GROUP_HEADER,       /* of the nested state */
	GROUP_CONTROL,      /* L1's controls for L2 */
	GROUP_L1_SAVE,      /* the save area of the nested state: L1's registers */
	GROUP_SREGS,        /* control registers and what goes with them */
	GROUP_SEGMENTS,     /* segments and tables of the live registers */
	GROUP_REGS,         /* rip, rflags and the like */
	GROUP_EVENTS,       /* struct kvm_vcpu_events, every byte */
	GROUP_DEBUG,        /* debug registers */
	GROUP_MP_STATE,     /* KVM_SET_MP_STATE */
	GROUP_MSRS,         /* SMBASE, VM_HSAVE_PA */
	GROUP_PAGE_TABLES,  /* in guest memory */
	GROUP_SMRAM,        /* in SMM: the image that RSM loads */
	GROUP_SMM_VMCB12,   /* in SMM: the VMCB12 that the image names */
	GROUP_HSAVE,        /* in SMM: what was parked in the host save area */
	GROUP_VMCS_CONTROL, /* VMX: L1's controls for L2, and what they name */
	GROUP_VMCS_GUEST,   /* L2's registers */
	GROUP_VMCS_SEGMENT, /* L2's segments and tables */
	GROUP_VMCS_EVENT,   /* what is injected into L2, and what blocks it */
	GROUP_VMCS_HOST,    /* L1's registers */
	GROUP_VMCS_OTHER,   /* what L1 only reads, padding, the shadow VMCS12 */
	GROUP_VMX_CAPS,     /* the guest's VMX capability MSRs */
	GROUP_VMX_MEMORY,   /* what the VMCS12 points at in guest memory */
	GROUPS
};

/* Who executes with a place's value, and may so trip over any other: no rule foretells that. */
enum user {
	USER_NOBODY,
	USER_L1,    /* what L1 runs with after an exit, or after RSM */
	USER_L2,    /* the live registers, what is injected into L2, which exits it takes */
	USER_FETCH, /* of these: what decides from where instructions are fetched */
};

/* When that counts; of SVM always. */
enum place_when {
	WHEN_ALWAYS,
	WHEN_ENTERED, /* by a VM entry: one is pending, or L1 makes the next */
	WHEN_IN_L1,   /* while L1 runs: L1 makes the next VM entry */
	WHEN_SREGS,   /* of L2 only if restored after the nested state: KVM_SET_SREGS */
	WHEN_REGS,    /* the same: KVM_SET_REGS */
	WHEN_PAE_EPT, /* L2 has PAE paging and an EPT */
	WHEN_VMFUNC,  /* L2 may use VMFUNC */
	WHEN_PML,     /* L2's writes are logged */
	WHEN_VID,     /* virtual interrupts are delivered */
	WHEN_TIMER,   /* the VMX-preemption timer is on */
	WHEN_VM86     /* L2 is in virtual-8086 mode */
};

struct edge;

struct place {
	char name[52];
	uint8_t group, user, width; /* enum group, enum user, bytes */
	uint8_t when;               /* enum place_when */
	bool has_edge_only;         /* any other value would be something else */
	bool is_l1s;     /* L1 needs it to say what it sees, whoever else executes with it */
	uint16_t file;   /* index in files */
	uint64_t offset; /* in it, little-endian there */
	const struct edge *edge; /* NULL: any value is as good as another */
};

struct base_file {
	char name[64]; /* below the dump */
	uint8_t *bytes;
	size_t size;
};

struct base {
	const char *name; /* the variant */
	char path[4096];
	struct base_file *files;
	size_t file_count;
	struct nestmig_state *state;
	bool is_vmx; /* else SVM */
	bool is_smm, has_nested_paging;
	uint64_t ram_end;
	struct place *places; /* by group */
	size_t place_count;
	size_t group_start[GROUPS + 1]; /* group g has places [start[g], start[g + 1]) */
	uint16_t *edges;                /* places with an edge, weighted, by group */
	size_t edge_start[GROUPS + 1];
};

/* Reads DIR/NAME. NULL after saying on stderr what is wrong. */
struct base *base_new(const char *dir, const char *name);
void base_free(struct base *base);

/* Finds the bytes of guest memory in the files; false if they are not there. */
bool base_memory(const struct base *base, uint64_t gpa, size_t length, uint16_t *ret_file,
		 uint64_t *ret_offset);

/* The value at a place, as long as nothing has been changed. */
uint64_t base_value(const struct base *base, const struct place *place);

struct poke;
struct mutation;

/* Who may trip over what a case changes at one place. */
enum user place_user(const struct base *base, const struct mutation *mutation,
		     const struct poke *poke);

/* places.c: fills places, group_start, edges and edge_start. */
bool base_find_places(struct base *base);

#endif
