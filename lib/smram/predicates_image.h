/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Predicates on where the save area is, how it is laid out, and on what of it KVM hardly uses. Included by
 * predicates.h.
 */

/* Both maps have the revision id at the same place. */
static inline uint64_t nm_image_revision(const struct nestmig_ctx *c)
{
	return smram64_revision(c->v->smram);
}

/* Unknown where it is not known which map is in use. */
static inline enum nestmig_holds nm_by_map(const struct nestmig_ctx *c, int holds_64, int holds_32)
{
	enum nestmig_holds is_64 = nm_rsm_is_64(c);

	if (is_64 == NESTMIG_UNKNOWN)
		return nm_agreed(nm_holds(holds_64), nm_holds(holds_32));
	return nm_holds(is_64 == NESTMIG_HOLDS ? holds_64 : holds_32);
}

/* ---- Where it is ----------------------------------------------------------------------------- */

static inline enum nestmig_holds rule_smm_loc_readable(const struct nestmig_ctx *c)
{
	if (c->mem.smram == NESTMIG_BACKED_UNKNOWN && nm_has(c, NESTMIG_HAVE(SMRAM)))
		return NESTMIG_HOLDS;
	return nm_backed(c->mem.smram);
}

/* In SMM the SMI waits for RSM, which may move SMBASE. */
static inline int nm_smi_comes(const struct nestmig_ctx *c)
{
	const struct nestmig_events *e = &c->v->events;

	return (e->flags & NM_EVENTS_VALID_SMM) && e->smi_pending && !e->smi_smm;
}

static inline enum nestmig_holds rule_smm_loc_writable_at_smi(const struct nestmig_ctx *c)
{
	if (!nm_smi_comes(c))
		return NESTMIG_HOLDS;
	return nm_backed(c->mem.smram);
}

/* SMBASE becomes the base of CS. Without unrestricted guest KVM emulates the handler, wherever it is. */
static inline enum nestmig_holds rule_smm_smbase_high(const struct nestmig_ctx *c)
{
	int has_smbase = !!(c->v->have & NESTMIG_HAVE(SMBASE));

	if (!nm_smi_comes(c) || nm_on_intel(c, 0) == NESTMIG_HOLDS ||
	    (has_smbase && c->v->smbase <= UINT32_MAX))
		return NESTMIG_HOLDS;
	if (!has_smbase || !(c->h->have & NESTMIG_HAVE(HOST_PARAMS)))
		return NESTMIG_UNKNOWN;
	return nm_on_intel(c, !c->h->unrestricted_guest);
}

/* The next SMI runs the handler at SMBASE + 0x8000 and writes the save area. */
static inline enum nestmig_holds rule_smm_smbase_range(const struct nestmig_ctx *c)
{
	return nm_backed(c->mem.smm_next);
}

/* ---- Layout ---------------------------------------------------------------------------------- */

static inline enum nestmig_holds rule_smm_fmt_by_cpuid(const struct nestmig_ctx *c)
{
	uint64_t revision = nm_image_revision(c);

	return nm_by_map(c, revision != SMRAM32_REVISION, revision != SMRAM64_REVISION);
}

static inline enum nestmig_holds rule_smm_fmt_revision(const struct nestmig_ctx *c)
{
	uint64_t revision = nm_image_revision(c);

	return nm_holds(revision == SMRAM64_REVISION || revision == SMRAM32_REVISION);
}

/* Bit 17: SMBASE can be moved; bit 16: an IN or OUT can be done again, which KVM does not have. */
static inline enum nestmig_holds rule_smm_fmt_revision_bits(const struct nestmig_ctx *c)
{
	return nm_holds((nm_image_revision(c) >> 16 & 3) == 2);
}

/* What Intel's processors write into the revision id: 0x30100 and up in the 64-bit map. */
static inline enum nestmig_holds rule_smm_foreign_layout(const struct nestmig_ctx *c)
{
	return nm_holds((nm_image_revision(c) & 0xffffff00) != 0x30100);
}

/* ---- I/O restart, halt, interrupts ----------------------------------------------------------- */

static inline enum nestmig_holds rule_smm_io_restart(const struct nestmig_ctx *c)
{
	return nm_by_map(c, !smram64_io_restart(c->v->smram), !smram32_io_restart(c->v->smram));
}

static inline enum nestmig_holds rule_smm_auto_halt(const struct nestmig_ctx *c)
{
	return nm_by_map(c, !smram64_auto_halt_restart(c->v->smram),
			 !smram32_auto_halt_restart(c->v->smram));
}

/* KVM_X86_SHADOW_INT_MOV_SS or KVM_X86_SHADOW_INT_STI, not both. */
static inline enum nestmig_holds rule_smm_int_shadow(const struct nestmig_ctx *c)
{
	return nm_by_map(c, smram64_int_shadow(c->v->smram) <= 2,
			 smram32_int_shadow(c->v->smram) <= 2);
}

static inline enum nestmig_holds rule_smm_init_latched(const struct nestmig_ctx *c)
{
	return nm_holds(!c->v->events.smi_latched_init);
}

static inline enum nestmig_holds rule_smm_nmi_blocked_in_smm(const struct nestmig_ctx *c)
{
	return nm_holds(c->v->events.nmi_masked);
}
