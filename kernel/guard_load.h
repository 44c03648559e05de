/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loading the guard: its BPF programs, chosen by the vendor of this machine's KVM and by what the kernel's BTF
 * has, and what comes of them.
 *
 * An object belongs to one thread at a time. Functions that return enum nestmig_error leave ret_x untouched on
 * failure and fill `detail`, which may be NULL.
 */
#ifndef NESTMIG_GUARD_LOAD_H
#define NESTMIG_GUARD_LOAD_H

#include "nestmig.h"
#include "guard.h"

struct nm_guard;

struct nm_guard_options {
	bool enforce;        /* deny; else tell only */
	bool observe;        /* nothing is denied, nor judged where it is set: for counters */
	bool best_effort;    /* programs that this kernel does not take are left out */
	uint16_t burst;      /* events of one VM that are told at once; 0: 32 */
	uint32_t per_second; /* and from then on; 0: 8 */
};

/* A program, and what became of it. */
struct nm_guard_program {
	const char *name;        /* as in the kernel; lives as long as the guard */
	const char *function;    /* what it is attached to */
	uint64_t missed;         /* runs that the kernel left out, because one was going on */
	uint32_t instructions;   /* that the verifier looked at; 0: not known */
	uint64_t runs, run_time; /* with kernel.bpf_stats_enabled: how often, ns */
};

/*
 * Loads the programs; nothing is watched yet. host is a profile of this machine (nestmig_host_live), used only here.
 * Errors: CAPABILITY (no KVM module with BTF, a program that the verifier refuses: its name is in the text; enforce
 * without BPF in the list of LSMs), IO, NOMEM.
 */
NESTMIG_CHECKED enum nestmig_error nm_guard_load(const struct nm_guard_options *options,
						 const struct nestmig_host *host,
						 struct nm_guard **ret_guard,
						 struct nestmig_detail *detail);

/*
 * Attaches what is loaded, with nothing known of any VM; counters go on. On failure nothing is attached.
 * Errors: INVALID (attached already, or pinned by another process), IO (the kernel refuses: the program's name is in
 * the text), LIMIT.
 */
NESTMIG_CHECKED enum nestmig_error nm_guard_attach(struct nm_guard *guard,
						   struct nestmig_detail *detail);

/* Takes the programs off, but for those that are pinned. They stay loaded, for another nm_guard_attach. */
void nm_guard_detach(struct nm_guard *guard);

/* nm_guard_load and nm_guard_attach. */
NESTMIG_CHECKED enum nestmig_error nm_guard_start(const struct nm_guard_options *options,
						  const struct nestmig_host *host,
						  struct nm_guard **ret_guard,
						  struct nestmig_detail *detail);

/* Detaches what is not pinned, and frees. */
void nm_guard_free(struct nm_guard *guard);

/* Is BPF among the active LSMs, so that ioctls can be denied? */
bool nm_guard_can_deny(const struct nm_guard *guard);

/*
 * Calls `tell` for each event that is there, or comes within timeout_ms (-1: until one comes). record is the whole
 * context where rules were judged, else NULL. What `tell` returns, if not 0, ends it with CANCELLED.
 * Errors: IO, CANCELLED.
 */
typedef int nm_guard_tell(const struct nm_guard_event *event, const struct nm_guard_record *record,
			  void *data);
NESTMIG_CHECKED enum nestmig_error nm_guard_poll(struct nm_guard *guard, int timeout_ms,
						 nm_guard_tell *tell, void *data,
						 struct nestmig_detail *detail);

/* Counters since the guard was loaded. Errors: IO. */
NESTMIG_CHECKED enum nestmig_error nm_guard_count(const struct nm_guard *guard,
						  uint64_t ret_counters[NM_GUARD_COUNTERS],
						  struct nestmig_detail *detail);

/* How often each rule was found broken at an ioctl. Errors: IO. */
NESTMIG_CHECKED enum nestmig_error nm_guard_count_rules(const struct nm_guard *guard,
							uint64_t ret_broken[NESTMIG_RULES],
							struct nestmig_detail *detail);

/* The programs, in the order of the object; index up to nm_guard_programs. Errors: INVALID, IO. */
size_t nm_guard_programs(const struct nm_guard *guard);
NESTMIG_CHECKED enum nestmig_error nm_guard_program(const struct nm_guard *guard, size_t index,
						    struct nm_guard_program *ret_program,
						    struct nestmig_detail *detail);

/* Calls `each` for every vCPU that is followed, until it returns something else than 0. Errors: IO. */
NESTMIG_CHECKED enum nestmig_error nm_guard_vcpus(const struct nm_guard *guard,
						  int (*each)(const struct nm_guard_vcpu *vcpu,
							      void *data),
						  void *data, struct nestmig_detail *detail);

/*
 * Pins what is attached below a directory of a bpffs, which is made: it stays when the process ends.
 * Errors: IO; CAPABILITY (something is pinned there already, or it is no bpffs).
 */
NESTMIG_CHECKED enum nestmig_error nm_guard_pin(struct nm_guard *guard, const char *dir,
						struct nestmig_detail *detail);

/* What is pinned there. Errors: NOT_FOUND (nothing), IO, NOMEM. */
NESTMIG_CHECKED enum nestmig_error
nm_guard_open_pinned(const char *dir, struct nm_guard **ret_guard, struct nestmig_detail *detail);

/* Detaches what is pinned there, and removes the directory. Errors: NOT_FOUND, IO. */
NESTMIG_CHECKED enum nestmig_error nm_guard_remove(const char *dir, struct nestmig_detail *detail);

/* What an attached guard, of this process or pinned, was told. Errors: IO; CAPABILITY (another version pinned it). */
NESTMIG_CHECKED enum nestmig_error nm_guard_settings(const struct nm_guard *guard,
						     struct nm_guard_config *ret_config,
						     struct nestmig_detail *detail);

/*
 * Calls `each` with the name of every program that this kernel's vendor needs and that is not attached (best_effort).
 * config is that of nm_guard_settings. Errors: NOMEM.
 */
NESTMIG_CHECKED enum nestmig_error nm_guard_left_out(const struct nm_guard *guard,
						     const struct nm_guard_config *config,
						     void (*each)(const char *name, void *data),
						     void *data, struct nestmig_detail *detail);

#endif
