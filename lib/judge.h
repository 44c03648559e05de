/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Judging and predicting from the inside, and the report that the renderers read. */
#ifndef NESTMIG_JUDGE_H
#define NESTMIG_JUDGE_H

#include "bounds.h"
#include "buf.h"
#include "evaluate.h"
#include "rules.h"
#include "state.h"

/* The rank of each stage in a restore: a lower one comes first. */
struct nm_order {
	uint8_t rank[NM_STAGES];
};

/*
 * From a comma-separated list of ioctl names ("KVM_SET_SREGS2,KVM_SET_NESTED_STATE"; the prefix may be
 * missing, case does not matter). Ioctls that it does not name follow those that it does, in QEMU's
 * order; names that are not stages are skipped. NULL or empty: QEMU's order. (order.c)
 */
void nm_order_parse(const char *restore_order, struct nm_order *ret_order);

/* What of guest memory a VMCS12 points at (vmx.c). */
void nm_vmx_backing(const struct nestmig_state *state, const struct nestmig_vcpu_view *vcpu,
		    struct nestmig_vmx_backing *ret_backing);

/*
 * Fills all that a predicate gets; the context points into vcpu and host and dies with them. host
 * may be NULL.
 */
void nm_ctx_init(struct nestmig_ctx *ret_ctx, const struct nestmig_state *state,
		 const struct nm_vcpu *vcpu, const struct nestmig_host_view *host,
		 const struct nm_order *order);

/*
 * The part of it that goes by the host: h, lim and vmx; the rest is the same for all hosts. Allocates nothing.
 * ram_bits is nm_ram_bits of the state: the width in bits of the last address of the RAM that is known, which a
 * guest that uses it has at least.
 */
void nm_ctx_set_host(struct nestmig_ctx *ctx, const struct nestmig_host_view *host,
		     uint8_t ram_bits);
uint8_t nm_ram_bits(const struct nestmig_state *state);

/* The part of it on page-table roots and on L1's own copy of the VMCB12 (roots.c). */
void nm_find_roots(struct nestmig_ctx *ctx, const struct nestmig_state *state,
		   const struct nm_vcpu *vcpu);

/* Asks every rule by itself: sets the bits of those that are broken and of those that could not be decided
 * (NM_RULE_WORDS words each, cleared first). The BPF object says the same (evaluate.c). */
void nm_evaluate_vcpu(const struct nestmig_ctx *ctx, uint64_t *ret_broken, uint64_t *ret_unknown);

/*
 * The same, and then takes as unknown what is broken, but of which it is not known what follows. Allocates
 * nothing; bench/ measures it (evaluate.c).
 */
void nm_judge_vcpu(const struct nestmig_ctx *ctx, const struct nm_order *order,
		   uint64_t *ret_broken, uint64_t *ret_unknown);

/*
 * The rest of those that were judged: the bits of the rules that hold. A rule that does not apply to this
 * vCPU, or asks for nothing on the kernel of the host, has no bit in any of the three (evaluate.c).
 */
void nm_find_held(const struct nestmig_ctx *ctx, const uint64_t *broken, const uint64_t *unknown,
		  uint64_t *ret_held);

/*
 * What follows on the host of the context where a rule is broken. If its kernel is not known and it
 * matters: what comes first in the order, or NONE if it is NONE on some kernels. A row that goes by
 * the order or by what L1 intercepts becomes what it is here (nm_is_open: it could not).
 */
enum nm_consequence nm_rule_consequence(const struct nm_rule *rule, const struct nestmig_ctx *ctx,
					const struct nm_order *order);

/* Does this consequence still go by something that is not known, or does an event come in between? Then
 * its outcome is not claimed: nm_judge_vcpu makes a broken rule of it an unknown one. */
bool nm_is_open(enum nm_consequence consequence, const struct nestmig_ctx *ctx);

/* What becomes of an L2 whose state KVM would have to emulate, or that has a segment register which the
 * SDM does not allow; EMULATION_REQUIRED, VMX_SEGMENT if that is not known (vmx_predict.c). */
enum nm_consequence nm_vmx_emulation(const struct nestmig_ctx *ctx);
enum nm_consequence nm_vmx_segment(const struct nestmig_ctx *ctx);

/* What becomes of a triple fault of L2: with a VM entry pending L1 meets a bug of KVM (vmx_predict.c). */
enum nm_consequence nm_vmx_triple_fault(const struct nestmig_ctx *ctx,
					enum nm_consequence consequence);

/* The same of one after RSM, which leaves an entry pending: on some kernels vmx_predict.c knows what follows,
 * on others it stays open. */
enum nm_consequence nm_vmx_rsm_triple_fault(const struct nestmig_ctx *ctx, enum nm_consequence open,
					    enum nm_consequence to_l1);

/* What becomes of an L1 without page tables after an exit of L2. */
enum nm_consequence nm_vmx_l1_lost(const struct nestmig_ctx *ctx);

/* Does this wait for an exit of VMX's L2 to L1, which it ends (predict.c)? */
bool nm_ends_vmx_exit(enum nm_consequence consequence);

/* What becomes of an RSM that cannot enter L2. */
enum nm_consequence nm_vmx_rsm_stops(const struct nestmig_ctx *ctx);

/* What a consequence of a rule on the VMCS12 of a running L2 is while L1 runs: what its next VM entry
 * meets. */
enum nm_consequence nm_at_next_entry(enum nm_consequence consequence, uint32_t kernel);

/* How bad it is for this vCPU that a rule of this consequence is broken: what its kernel lets pass and
 * what only L1's next VM entry meets is no error. */
enum nm_severity nm_rule_severity(const struct nm_rule *rule, enum nm_consequence consequence);

/* What the destination does with a vCPU: the consequence that comes first of the broken ERROR
 * rules, ACCEPTED if there is none (predict.c). */
enum nm_consequence nm_predict(const uint64_t *broken, const struct nestmig_ctx *ctx,
			       const struct nm_order *order);

/* Could no undecided ERROR rule, if it were broken, come before this outcome? */
bool nm_is_certain(const uint64_t *unknown, enum nm_consequence outcome,
		   const struct nestmig_ctx *ctx, const struct nm_order *order);

/*
 * What becomes of the vCPU before it is entered: WAITS, RUN_EAGAIN, SIPI_STARTS, INIT_RESETS,
 * LEAVES_L2, ENTERS_SMM, or NONE; and whether a consequence is out of its way then (turn.c).
 */
enum nm_consequence nm_turn(const struct nestmig_ctx *ctx);
bool nm_is_missed(enum nm_consequence consequence, enum nm_consequence turn,
		  const struct nestmig_ctx *ctx, const struct nm_order *order);

/* The items that an undecided rule lacks: NESTMIG_HAVE bits; 0 if nothing that can be given would
 * decide it. */
uint64_t nm_rule_missing(const struct nm_rule *rule, const struct nestmig_ctx *ctx);

/* What a broken rule on VMX state is about in words (vmx_detail.c); nothing for most rules. */
void nm_vmx_detail(enum nestmig_rule rule, const struct nestmig_ctx *ctx, struct nm_buf *buf);

/* ---- The report ------------------------------------------------------------------------------ */

#define NM_FINDING_FIELDS 8

/* A field as it was when the rule was judged. */
struct nm_shown_field {
	char name[48];
	char file[48]; /* below a dump directory; empty: the file itself */
	bool known;    /* false: the field is not in the file */
	uint64_t value;
	unsigned width;  /* in bytes */
	uint64_t offset; /* in the file; UINT64_MAX: none of its own */
};

struct nm_finding {
	const struct nm_rule *rule;
	enum nm_severity severity; /* for this vCPU and kernel */
	enum nm_consequence consequence;
	struct nm_shown_field fields[NM_FINDING_FIELDS];
	size_t field_count;
	char *detail; /* owned; sentences, or empty */
};

/*
 * What a report says of a broken rule; the caller frees its detail. vcpu has what the context was made of.
 * Errors: NOMEM. (judge.c)
 */
NESTMIG_CHECKED enum nestmig_error
nm_finding_make(enum nestmig_rule rule, const struct nestmig_ctx *ctx, const struct nm_vcpu *vcpu,
		const struct nm_order *order, struct nm_finding *ret_finding);

struct nm_undecided {
	const struct nm_rule *rule;
	uint64_t missing; /* NESTMIG_HAVE bits */
};

struct nm_vcpu_report {
	uint32_t id;
	const char *mode; /* static text */
	enum nestmig_verdict verdict;
	enum nm_consequence outcome;
	bool is_certain;             /* no rule that could not be judged may change the outcome */
	bool is_unconfirmed;         /* QEMU may load another vCPU than this: see unknown below */
	bool is_not_nested;          /* no nested state of which anything could be judged */
	struct nm_finding *findings; /* owned; by severity, then by stage, then by id */
	size_t finding_count;
	struct nm_undecided *undecided; /* owned; by id */
	size_t undecided_count;
	uint64_t held
		[NM_RULE_WORDS]; /* bits of the rules that hold; those that do not apply have none */
};

struct nestmig_report {
	char *format;
	char *host_kernel; /* NULL: not known */
	char *remark;      /* what the container does not hold; NULL: nothing to say */
	bool has_host;
	bool has_inner_stream; /* offsets are those of a stream inside the file */
	const char *unknown;   /* why no verdict is ok, an id; static text, or NULL */
	enum nestmig_vendor vendor;
	enum nestmig_verdict verdict;
	struct nm_vcpu_report *vcpus; /* owned */
	size_t vcpu_count;
};

/* What an item is and who has it, for people; may be empty. */
const char *nm_item_hint(enum nestmig_item item);

/* Fills a buffer with "6.1" for NESTMIG_KERNEL(6, 1). */
#define NM_KERNEL_TEXT 16
void nm_kernel_text(uint32_t kernel, char text[NM_KERNEL_TEXT]);

#endif
