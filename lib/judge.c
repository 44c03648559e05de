// SPDX-License-Identifier: LGPL-2.1-or-later
/* Judging a state for a host: what predicates get, the evaluation, and the report. */
#include "judge.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "fields.h"
#include "host.h"
#include "smram/smram.h"
#include "vmcb/vmcb12.h"
#include "vmcs/vmcs12.h"

/* ---- What predicates get --------------------------------------------------------------------- */

#define NM_SMM_ENTRY 0x8000 /* from SMBASE: where the handler starts */

uint8_t nm_ram_bits(const struct nestmig_state *state)
{
	uint64_t last = 0;
	uint8_t bits = 0;

	for (size_t i = 0; i < state->extent_count; i++) {
		const struct nm_extent *extent = &state->extents[i];

		if (extent->size && extent->gpa + (extent->size - 1) > last)
			last = extent->gpa + (extent->size - 1);
	}
	for (; last; last >>= 1)
		bits++;
	return bits;
}

/*
 * Can the four PDPTEs that CR3 points at be read, and has no present one a reserved bit?
 * (load_pdptrs and pdptr_rsvd_bits of KVM 6.1: bits 2:1, 8:5 and those beyond the physical width.)
 */
static enum nestmig_backed pdptrs_ok(const struct nestmig_state *state,
				     const struct nm_pdptes *pdptes, uint64_t cr3,
				     const struct nestmig_limits *lim)
{
	uint64_t gpa = cr3 & ~UINT64_C(0x1f);
	enum nestmig_backed backed = nm_state_backed(state, gpa, 32);

	if (backed != NESTMIG_BACKED_YES)
		return backed;
	if (!pdptes->known || pdptes->gpa != gpa)
		return NESTMIG_BACKED_UNKNOWN;
	for (unsigned i = 0; i < 4; i++) {
		uint64_t pdpte = nm_le64(pdptes->bytes + 8 * i);

		if (!(pdpte & 1))
			continue;
		if (pdpte & 0x1e6 || (lim->phys_bits_max < 64 && pdpte >> lim->phys_bits_max))
			return NESTMIG_BACKED_NO;
		if (lim->phys_bits_min < 64 && pdpte >> lim->phys_bits_min)
			backed = NESTMIG_BACKED_UNKNOWN;
	}
	return backed;
}

static enum nestmig_backed page_backed(const struct nestmig_state *state, uint64_t gpa)
{
	return nm_state_backed(state, gpa & VMCB12_PAGE_MASK, 4096);
}

/* Are the entry point of the handler and the save area RAM, with the SMBASE that RSM loads? */
static enum nestmig_backed next_smi_backed(const struct nestmig_state *state,
					   const struct nestmig_vcpu_view *v, enum smram_map map)
{
	uint64_t smbase = map == SMRAM_MAP_64 ? smram64_smbase(v->smram) : smram32_smbase(v->smram);
	enum nestmig_backed entry, area;

	if (map == SMRAM_MAP_UNKNOWN)
		return NESTMIG_BACKED_UNKNOWN;
	entry = nm_state_backed_smm(state, smbase + NM_SMM_ENTRY, 1);
	area = nm_state_backed_smm(state, smbase + NESTMIG_SMRAM_BASE, NESTMIG_SMRAM_SIZE);
	return entry == NESTMIG_BACKED_YES ? area : entry;
}

/* In SMM: what the image that RSM loads leads to. */
static void find_smm_backing(struct nestmig_ctx *ctx, const struct nestmig_state *state,
			     const struct nm_vcpu *vcpu)
{
	const struct nestmig_vcpu_view *v = ctx->v;
	uint64_t efer = 0, cr0 = 0, cr3 = 0, cr4 = 0;

	if (!(v->have & NESTMIG_HAVE(SMRAM)))
		return;
	ctx->mem.smm_vmcb12 = page_backed(state, smram64_svm_guest_vmcb(v->smram));
	if (v->have & NESTMIG_HAVE(HSAVE))
		ctx->mem.hsave_cr3 = page_backed(state, vmcb12_save_cr3(v->hsave));
	ctx->mem.smm_next = next_smi_backed(state, v, smram_map_of_cpuid(&v->cpuid));
	if (v->have & NESTMIG_HAVE(SMM_VMCB12)) {
		ctx->mem.smm_msrpm = nm_state_backed(
			state, vmcb12_msrpm_base_pa(v->smm_vmcb12) & VMCB12_PAGE_MASK,
			VMCB12_MSRPM_SIZE);
		ctx->mem.smm_ncr3 = page_backed(state, vmcb12_nested_cr3(v->smm_vmcb12));
	}
	if (!nm_rsm_paging(v, &efer, &cr0, &cr3, &cr4))
		return;
	ctx->mem.rsm_cr3 = page_backed(state, cr3);
	if (nm_uses_pdptes(efer, cr0, cr4))
		ctx->mem.rsm_pdptrs_ok =
			pdptrs_ok(state, &vcpu->pdptes[NM_PDPTES_RSM], cr3, &ctx->lim);
}

/* Answers what rules ask about the live CR3. */
static void find_cr3_backing(struct nestmig_ctx *ctx, const struct nestmig_state *state,
			     const struct nm_vcpu *vcpu, bool in_smm)
{
	const struct nestmig_sregs *sregs = &ctx->v->sregs;
	uint64_t page = sregs->cr3 & VMCB12_PAGE_MASK;

	/* All bits, also outside long mode: that is what mmu_alloc_shadow_roots (6.1) looks up. */
	ctx->mem.cr3 = in_smm ? nm_state_backed_smm(state, page, 4096)
			      : nm_state_backed(state, page, 4096);
	if (nm_uses_pdptes(sregs->efer, sregs->cr0, sregs->cr4))
		ctx->mem.l2_pdptrs_ok =
			pdptrs_ok(state, &vcpu->pdptes[NM_PDPTES_LIVE], sregs->cr3, &ctx->lim);
}

/* Answers what rules ask about guest memory; what nobody asks about stays unknown. */
static void find_backing(struct nestmig_ctx *ctx, const struct nestmig_state *state,
			 const struct nm_vcpu *vcpu)
{
	const struct nestmig_vcpu_view *v = ctx->v;
	bool in_smm = (v->have & NESTMIG_HAVE(EVENTS)) && v->events.smi_smm;
	struct nestmig_backing *mem = &ctx->mem;
	const uint8_t *page = v->vmcb12;

	if (v->have & NESTMIG_HAVE(HSAVE_PA))
		mem->hsave = page_backed(state, v->hsave_pa);
	if (v->have & NESTMIG_HAVE(NESTED))
		mem->vmcb12 = page_backed(state, v->nested.vmcb_pa);
	if (v->have & NESTMIG_HAVE(SREGS))
		find_cr3_backing(ctx, state, vcpu, in_smm);
	if (v->have & NESTMIG_HAVE(SMBASE))
		mem->smram = nm_state_backed_smm(state, v->smbase + NESTMIG_SMRAM_BASE,
						 NESTMIG_SMRAM_SIZE);
	if (in_smm)
		find_smm_backing(ctx, state, vcpu);
	if (v->have & NESTMIG_HAVE(VMCS12))
		mem->host_cr3 = page_backed(state, vmcs12_host_cr3(v->vmcs12));
	if ((v->have & NESTMIG_HAVE(VMCS12)) && vmcs12_host_pae(v->vmcs12))
		mem->host_pdptrs_ok = pdptrs_ok(state, &vcpu->pdptes[NM_PDPTES_L1],
						vmcs12_host_cr3(v->vmcs12), &ctx->lim);
	if (!(v->have & NESTMIG_HAVE(VMCB12)))
		return;
	mem->msrpm = nm_state_backed(state, vmcb12_msrpm_base_pa(page) & VMCB12_PAGE_MASK,
				     VMCB12_MSRPM_SIZE);
	mem->iopm = nm_state_backed(state, vmcb12_iopm_base_pa(page) & VMCB12_PAGE_MASK,
				    VMCB12_IOPM_SIZE);
	mem->ncr3 = page_backed(state, vmcb12_nested_cr3(page));
	if (nm_uses_pdptes(vmcb12_save_efer(page), vmcb12_save_cr0(page), vmcb12_save_cr4(page)))
		mem->host_pdptrs_ok = pdptrs_ok(state, &vcpu->pdptes[NM_PDPTES_L1],
						vmcb12_save_cr3(page), &ctx->lim);
}

/* What the order of the ioctls and the vCPU decide. */
static void set_order(struct nestmig_ctx *ctx, const struct nm_order *order)
{
	uint8_t nested_rank = order->rank[NM_STAGE_SET_NESTED_STATE];
	uint8_t mp_rank = order->rank[NM_STAGE_SET_MP_STATE];

	ctx->sregs_first = order->rank[NM_STAGE_SET_SREGS] < nested_rank;
	ctx->events_first = order->rank[NM_STAGE_SET_VCPU_EVENTS] < nested_rank;
	ctx->regs_first = order->rank[NM_STAGE_SET_REGS] < nested_rank;
	ctx->msrs_first = order->rank[NM_STAGE_SET_MSRS] < nested_rank;
	ctx->regs_after_events =
		order->rank[NM_STAGE_SET_REGS] > order->rank[NM_STAGE_SET_VCPU_EVENTS];
	ctx->events_before_sregs =
		order->rank[NM_STAGE_SET_VCPU_EVENTS] < order->rank[NM_STAGE_SET_SREGS];
	ctx->mp_before_events = mp_rank < order->rank[NM_STAGE_SET_VCPU_EVENTS];
	ctx->mp_before_nested = mp_rank < nested_rank;
}

void nm_ctx_set_host(struct nestmig_ctx *ctx, const struct nestmig_host_view *host,
		     uint8_t ram_bits)
{
	static const struct nestmig_host_view no_host;

	ctx->h = host ? host : &no_host;
	nm_limits(ctx->v, ctx->h, &ctx->lim);
	if (ram_bits > ctx->lim.phys_bits_min && ram_bits <= ctx->lim.phys_bits_max)
		ctx->lim.phys_bits_min = ram_bits;
	if (nm_is_vmx(ctx->v) != NM_APPLIES_NO)
		nm_vmx_limits(ctx->v, ctx->h, ctx->vmx_msrs_late, &ctx->vmx);
}

void nm_ctx_init(struct nestmig_ctx *ret_ctx, const struct nestmig_state *state,
		 const struct nm_vcpu *vcpu, const struct nestmig_host_view *host,
		 const struct nm_order *order)
{
	*ret_ctx = (struct nestmig_ctx){.v = &vcpu->view};
	set_order(ret_ctx, order);
	ret_ctx->is_qemu = vcpu->qemu.present;
	if (nm_vcpu_has(vcpu, NESTMIG_HAVE(NESTED)) &&
	    (vcpu->view.nested.flags & KVMNS_GUEST_MODE)) {
		ret_ctx->svm_l2 = nm_is_svm(&vcpu->view) == NM_APPLIES_YES;
		ret_ctx->vmx_l2 = nm_is_vmx(&vcpu->view) == NM_APPLIES_YES;
	}
	ret_ctx->no_nested = (vcpu->qemu.present || vcpu->is_not_nested) &&
			     !nm_vcpu_has(vcpu, NESTMIG_HAVE(NESTED));
	if (nm_is_vmx(ret_ctx->v) != NM_APPLIES_NO)
		ret_ctx->vmx_msrs_late =
			state->restore_order &&
			order->rank[NM_STAGE_SET_MSRS] > order->rank[NM_STAGE_SET_NESTED_STATE];
	nm_ctx_set_host(ret_ctx, host, nm_ram_bits(state));
	find_backing(ret_ctx, state, vcpu);
	nm_find_roots(ret_ctx, state, vcpu);
	if (nm_is_vmx(ret_ctx->v) != NM_APPLIES_NO)
		nm_vmx_backing(state, ret_ctx->v, &ret_ctx->vmx_mem);
}

/* ---- The report ------------------------------------------------------------------------------ */

/* The name of the file that a field stands in, below a dump directory. */
static void show_file(struct nm_shown_field *field, const struct nm_vcpu *vcpu)
{
	const struct nm_field *entry = nm_field_find(field->name);
	const char *file = entry ? vcpu->origin[entry->item].file : NULL;

	if (file && strlen(file) < sizeof(field->file))
		memcpy(field->file, file, strlen(file));
}

/* The values of the fields that a rule shows. */
static void show_fields(struct nm_finding *finding, const struct nm_vcpu *vcpu)
{
	const char *text = finding->rule->fields;

	while (*text && finding->field_count < NM_FINDING_FIELDS) {
		struct nm_shown_field *field = &finding->fields[finding->field_count];
		size_t length = strcspn(text, " ");

		if (length >= sizeof(field->name))
			return;
		memcpy(field->name, text, length);
		field->offset = UINT64_MAX;
		field->known = nm_vcpu_field(vcpu, field->name, &field->value, &field->width,
					     &field->offset);
		show_file(field, vcpu);
		finding->field_count++;
		text += length;
		text += strspn(text, " ");
	}
}

/* By severity, then in the order of the restore, then by id. */
static bool finding_before(const struct nm_finding *a, const struct nm_finding *b,
			   const struct nm_order *order)
{
	uint8_t rank_a = order->rank[nm_consequences[a->consequence].stage];
	uint8_t rank_b = order->rank[nm_consequences[b->consequence].stage];

	if (a->severity != b->severity)
		return a->severity < b->severity;
	return rank_a < rank_b;
}

static void add_finding(struct nm_vcpu_report *report, const struct nm_finding *finding,
			const struct nm_order *order)
{
	size_t at = report->finding_count++;

	for (; at > 0 && finding_before(finding, &report->findings[at - 1], order); at--)
		report->findings[at] = report->findings[at - 1];
	report->findings[at] = *finding;
}

static unsigned count_bits(const uint64_t *bitmap)
{
	unsigned count = 0;

	for (unsigned i = 0; i < NESTMIG_RULES; i++)
		count += nm_rule_bit(bitmap, i);
	return count;
}

enum nestmig_error nm_finding_make(enum nestmig_rule rule, const struct nestmig_ctx *ctx,
				   const struct nm_vcpu *vcpu, const struct nm_order *order,
				   struct nm_finding *ret_finding)
{
	struct nm_finding finding = {.rule = &nm_rules[rule]};
	struct nm_buf buf = {0};

	finding.consequence = nm_rule_consequence(finding.rule, ctx, order);
	finding.severity = nm_rule_severity(finding.rule, finding.consequence);
	show_fields(&finding, vcpu);
	nm_vmx_detail(rule, ctx, &buf);
	if (nm_buf_take(&buf, &finding.detail))
		return NESTMIG_ERR_NOMEM;
	*ret_finding = finding;
	return NESTMIG_OK;
}

static enum nestmig_error collect(struct nm_vcpu_report *report, const struct nestmig_ctx *ctx,
				  const struct nm_vcpu *vcpu, const struct nm_order *order,
				  const uint64_t *broken, const uint64_t *unknown)
{
	for (unsigned i = 0; i < NESTMIG_RULES; i++) {
		const struct nm_rule *rule = &nm_rules[i];
		bool is_error;

		if (!nm_rule_bit(unknown, i) && !nm_rule_bit(broken, i))
			continue;
		is_error = nm_rule_severity(rule, nm_rule_consequence(rule, ctx, order)) ==
			   NM_SEVERITY_ERROR;
		if (nm_rule_bit(unknown, i)) {
			report->undecided[report->undecided_count++] = (struct nm_undecided){
				.rule = rule, .missing = nm_rule_missing(rule, ctx)};
			if (is_error && report->verdict == NESTMIG_VERDICT_OK)
				report->verdict = NESTMIG_VERDICT_UNKNOWN;
		}
		if (nm_rule_bit(broken, i)) {
			struct nm_finding finding;

			if (nm_finding_make((enum nestmig_rule)i, ctx, vcpu, order, &finding))
				return NESTMIG_ERR_NOMEM;
			add_finding(report, &finding, order);
			if (is_error)
				report->verdict = NESTMIG_VERDICT_FAIL;
		}
	}
	return NESTMIG_OK;
}

static enum nestmig_error judge_one(const struct nestmig_state *state, const struct nm_vcpu *vcpu,
				    const struct nestmig_host_view *host,
				    const struct nm_order *order, struct nm_vcpu_report *report)
{
	uint64_t broken[NM_RULE_WORDS], unknown[NM_RULE_WORDS];
	struct nestmig_ctx ctx;

	nm_ctx_init(&ctx, state, vcpu, host, order);
	nm_judge_vcpu(&ctx, order, broken, unknown);
	nm_find_held(&ctx, broken, unknown, report->held);
	report->id = vcpu->id;
	report->mode = nm_vcpu_mode(vcpu);
	report->is_unconfirmed = state->ram.unread > 0;
	report->verdict = report->is_unconfirmed ? NESTMIG_VERDICT_UNKNOWN : NESTMIG_VERDICT_OK;
	report->outcome = nm_predict(broken, &ctx, order);
	report->is_not_nested = ctx.no_nested;
	report->is_certain =
		!report->is_unconfirmed && nm_is_certain(unknown, report->outcome, &ctx, order);
	report->findings = calloc(count_bits(broken) + 1, sizeof(*report->findings));
	report->undecided = calloc(count_bits(unknown) + 1, sizeof(*report->undecided));
	if (!report->findings || !report->undecided)
		return NESTMIG_ERR_NOMEM;
	return collect(report, &ctx, vcpu, order, broken, unknown);
}

static enum nestmig_verdict worse(enum nestmig_verdict a, enum nestmig_verdict b)
{
	return a > b ? a : b;
}

/* What the container does not hold, and what of it was not looked at. */
static enum nestmig_error fill_remark(const struct nestmig_state *state,
				      struct nestmig_report *report)
{
	const struct nm_stream_ram *ram = &state->ram;
	struct nm_buf buf = {0};

	if (!state->remark && !ram->unread)
		return NESTMIG_OK;
	nm_buf_puts(&buf, state->remark ? state->remark : "");
	if (state->remark && ram->unread)
		nm_buf_puts(&buf, " ");
	if (ram->unread && ram->unread_why)
		nm_buf_printf(
			&buf,
			"QEMU may find other devices in the stream than these, so that nothing "
			"is ok: %s.",
			ram->unread_why);
	else if (ram->unread)
		nm_buf_printf(&buf,
			      "%" PRIu64
			      " bytes of the stream's RAM were passed over: QEMU may find "
			      "other devices there than these, so that nothing is ok. Read it "
			      "without --quick and --skip-ram.",
			      ram->unread);
	return nm_buf_take(&buf, &report->remark);
}

static enum nestmig_error fill_report(const struct nestmig_state *state,
				      const struct nestmig_host *host,
				      struct nestmig_report *report)
{
	struct nm_order order;

	report->vendor = state->vendor;
	report->has_host = host != NULL;
	report->has_inner_stream = state->stream && state->stream != state->sources[0];
	report->format = strdup(state->format ? state->format : "");
	report->vcpus = calloc(state->vcpu_count + 1, sizeof(*report->vcpus));
	if (!report->format || !report->vcpus)
		return NESTMIG_ERR_NOMEM;
	if (host && host->kernel) {
		report->host_kernel = strdup(host->kernel);
		if (!report->host_kernel)
			return NESTMIG_ERR_NOMEM;
	}
	if (state->ram.unread)
		report->unknown =
			state->ram.unread_why ? "stream-not-understood" : "stream-ram-passed-over";
	if (fill_remark(state, report))
		return NESTMIG_ERR_NOMEM;
	nm_order_parse(state->restore_order, &order);
	/* A file without a vCPU says nothing. */
	report->verdict = state->vcpu_count ? NESTMIG_VERDICT_OK : NESTMIG_VERDICT_UNKNOWN;
	for (size_t i = 0; i < state->vcpu_count; i++) {
		struct nm_vcpu_report *vcpu = &report->vcpus[report->vcpu_count++];

		if (judge_one(state, &state->vcpus[i], host ? &host->view : NULL, &order, vcpu))
			return NESTMIG_ERR_NOMEM;
		report->verdict = worse(report->verdict, vcpu->verdict);
	}
	return NESTMIG_OK;
}

enum nestmig_error nestmig_judge(const struct nestmig_state *state, const struct nestmig_host *host,
				 struct nestmig_report **ret_report)
{
	struct nestmig_report *report = calloc(1, sizeof(*report));
	enum nestmig_error error;

	if (!report)
		return NESTMIG_ERR_NOMEM;
	error = fill_report(state, host, report);
	if (error) {
		nestmig_report_free(report);
		return error;
	}
	*ret_report = report;
	return NESTMIG_OK;
}
