/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What predicates are written with so that they compile into the library and into a BPF program, which has
 * 512 bytes of stack, no calls by pointer, and a verifier that follows every path. Needs no libc.
 */
#ifndef NESTMIG_PREDICATE_H
#define NESTMIG_PREDICATE_H

#include "view.h"

/*
 * NM_SHARED(type, name, otherwise) { body }: a question on a context c that many predicates ask, or that has
 * many paths. NM_SHARED_ARGS is one with more parameters, which are numbers. In a BPF program it is a global
 * function, which the verifier looks at once and not at each call, and for which c may be NULL: then it says
 * `otherwise`.
 */
#ifdef __bpf__
#define NM_SHARED_ARGS(type, name, otherwise, params, args)                                        \
	static inline type name##_inline params;                                                   \
	type name params;                                                                          \
	__attribute__((noinline)) type name params                                                 \
	{                                                                                          \
		return c ? name##_inline args : (otherwise);                                       \
	}                                                                                          \
	static inline type name##_inline params
#else
#define NM_SHARED_ARGS(type, name, otherwise, params, args) static inline type name params
#endif
#define NM_SHARED(type, name, otherwise)                                                           \
	NM_SHARED_ARGS(type, name, otherwise, (const struct nestmig_ctx *c), (c))

/* ---- Several predicates ---------------------------------------------------------------------- */

typedef enum nestmig_holds nm_check(const struct nestmig_ctx *c);

#define NM_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Both must hold: broken if one surely is. */
static inline enum nestmig_holds nm_both(enum nestmig_holds a, enum nestmig_holds b)
{
	if (a == NESTMIG_BROKEN || b == NESTMIG_BROKEN)
		return NESTMIG_BROKEN;
	return a == NESTMIG_HOLDS ? b : a;
}

/* What one predicate has loaded is not kept for the next: registers that differ are paths that do not meet
 * again, and need room on the stack. */
#ifdef __bpf__
#define NM_FORGET() __asm__ volatile("" : : : "memory")
#else
#define NM_FORGET() ((void)0)
#endif

/* Do all of a constant array of checks hold? */
static inline enum nestmig_holds nm_all(const struct nestmig_ctx *c, nm_check *const *checks,
					unsigned count)
{
	enum nestmig_holds holds = NESTMIG_HOLDS;

#ifdef __bpf__
#pragma clang loop unroll(full)
#endif
	for (unsigned i = 0; i < count; i++) {
		NM_FORGET();
		holds = nm_both(holds, checks[i](c));
	}
	return holds;
}

#define NM_ALL(c, checks) nm_all(c, checks, NM_COUNT(checks))

/* ---- Questions about another state ----------------------------------------------------------- */

/*
 * nm_other_begin(&other, c): from here to nm_other_end(&other) predicates that get other.c see a state that
 * is c's but for what is changed in it, which is: have, nested.flags and msr bits of other.v; vmx_l2, vmx_bare,
 * sregs_first, regs_first and events_first of other.c; unrestricted_guest of other.h; after
 * nm_other_registers also sregs, regs and events; after nm_other_vmcb12 the VMCB12. c itself must not be asked
 * meanwhile: a BPF program makes the changes in place and takes them back at the end. Of two in one
 * another only one may have other registers, only one another VMCB12.
 */
#ifdef __bpf__
struct nm_other {
	struct nestmig_ctx *c;
	struct nestmig_vcpu_view *v;
	struct nestmig_host_view *h;
	uint64_t have;
	uint16_t flags;
	uint8_t vmx_l2, vmx_bare, sregs_first, regs_first, events_first, unrestricted_guest;
	uint8_t has_registers;
	const uint8_t *vmcb12;
};

static inline void nm_other_begin(struct nm_other *other, const struct nestmig_ctx *of)
{
	struct nestmig_ctx *c = (struct nestmig_ctx *)of;

	*other = (struct nm_other){
		.c = c,
		.v = c->v,
		.h = c->h,
		.have = c->v->have,
		.flags = c->v->nested.flags,
		.vmx_l2 = c->vmx_l2,
		.vmx_bare = c->vmx_bare,
		.sregs_first = c->sregs_first,
		.regs_first = c->regs_first,
		.events_first = c->events_first,
		.unrestricted_guest = c->h->unrestricted_guest,
	};
}

static inline void nm_other_registers(struct nm_other *other)
{
	other->has_registers = 1;
	other->c->spare.sregs = other->v->sregs;
	other->c->spare.regs = other->v->regs;
	other->c->spare.events = other->v->events;
}

/* Exchanges the VMCB12 with another page, as far as predicates read them. */
static inline void nm_exchange_vmcb12(struct nestmig_vcpu_view *v, const uint8_t *page)
{
	uint64_t *a = (uint64_t *)v->vmcb12, *b = (uint64_t *)page;

#pragma clang loop unroll(disable)
	for (unsigned i = 0; i < NESTMIG_VMCB12_READ / 8; i++) {
		uint64_t word = a[i];

		a[i] = b[i];
		b[i] = word;
	}
}

static inline void nm_other_vmcb12(struct nm_other *other, const uint8_t *page)
{
	other->vmcb12 = page;
	nm_exchange_vmcb12(other->v, page);
	other->v->have |= NESTMIG_HAVE(VMCB12);
}

static inline void nm_other_end(struct nm_other *other)
{
	struct nestmig_ctx *c = other->c;

	if (other->vmcb12)
		nm_exchange_vmcb12(other->v, other->vmcb12);
	if (other->has_registers) {
		c->v->sregs = c->spare.sregs;
		c->v->regs = c->spare.regs;
		c->v->events = c->spare.events;
	}
	c->v->have = other->have;
	c->v->nested.flags = other->flags;
	c->vmx_l2 = other->vmx_l2;
	c->vmx_bare = other->vmx_bare;
	c->sregs_first = other->sregs_first;
	c->regs_first = other->regs_first;
	c->events_first = other->events_first;
	c->h->unrestricted_guest = other->unrestricted_guest;
}
#else
struct nm_other {
	struct nestmig_ctx *c;
	struct nestmig_vcpu_view *v;
	struct nestmig_host_view *h;
	struct nestmig_ctx ctx;
	struct nestmig_vcpu_view view;
	struct nestmig_host_view host;
};

static inline void nm_other_begin(struct nm_other *other, const struct nestmig_ctx *of)
{
	other->ctx = *of;
	other->view = *of->v;
	other->host = *of->h;
	other->ctx.v = &other->view;
	other->ctx.h = &other->host;
	other->c = &other->ctx;
	other->v = &other->view;
	other->h = &other->host;
}

static inline void nm_other_registers(struct nm_other *other)
{
	(void)other;
}

static inline void nm_other_vmcb12(struct nm_other *other, const uint8_t *page)
{
	other->view.vmcb12 = page;
	other->view.have |= NESTMIG_HAVE(VMCB12);
}

static inline void nm_other_end(struct nm_other *other)
{
	(void)other;
}
#endif

#endif
