// SPDX-License-Identifier: LGPL-2.1-or-later
/* The readable decode of a state. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "inspect_domain.h"
#include "inspect_text.h"
#include "msrs.h"
#include "pointed.h"
#include "smram/smram.h"

static bool has(const struct nm_vcpu *vcpu, enum nestmig_item item)
{
	return nm_vcpu_has(vcpu, UINT64_C(1) << item);
}

void nm_text_heading(struct nm_text *t, const char *what, const char *note)
{
	nm_buf_printf(&t->buf, "  %s%s%s%s%s\n", t->bold, what, t->plain, *note ? "  " : "", note);
}

void nm_text_foreign(struct nm_text *t, const char *text)
{
	while (*text) {
		size_t length = nm_printable_length(text);

		nm_buf_printf(&t->buf, "%.*s", length ? (int)length : 1, length ? text : "?");
		text += length ? length : 1;
	}
}

void nm_text_bits(struct nm_text *t, const struct nm_bit *bits, uint64_t value)
{
	for (; bits && bits->name; bits++) {
		if (!(value >> bits->bit & 1))
			continue;
		if (*bits->name)
			nm_buf_printf(&t->buf, " %s", bits->name);
		value &= ~(UINT64_C(1) << bits->bit);
	}
	if (value)
		nm_buf_printf(&t->buf, " %s+0x%" PRIx64 "%s", t->dim, value, t->plain);
}

void nm_text_field(struct nm_text *t, const struct nm_vcpu *vcpu, const struct nm_field *field,
		   const char *label)
{
	uint64_t value = nm_field_value(vcpu, field);
	unsigned width = nm_field_width(vcpu, field);
	const struct nm_bit *bits = nm_bits_of(field->name);

	nm_buf_printf(&t->buf, "    %-22s 0x%0*" PRIx64, label, (int)(2 * width), value);
	if (bits) {
		nm_buf_puts(&t->buf, " ");
		nm_text_bits(t, bits, value);
	}
	nm_buf_puts(&t->buf, "\n");
}

void nm_text_named(struct nm_text *t, const struct nm_vcpu *vcpu, const char *prefix,
		   const char *const *names)
{
	for (; *names; names++) {
		const struct nm_field *field;
		char name[64];

		snprintf(name, sizeof(name), "%s%s", prefix, *names);
		field = nm_field_find(name);
		if (field && nm_field_present(vcpu, field))
			nm_text_field(t, vcpu, field, *names);
	}
}

void nm_text_segment(struct nm_text *t, const char *name, const struct nestmig_segment *s)
{
	nm_buf_printf(&t->buf,
		      "    %-4s %04x      %016" PRIx64
		      "  %08x  %2u  %u    %u  %u  %u   %u  %u  %u%s\n",
		      name, s->selector, s->base, s->limit, s->type, s->s, s->dpl, s->present, s->l,
		      s->db, s->g, s->avl, s->unusable ? "  unusable" : "");
}

void nm_text_segments_head(struct nm_text *t)
{
	nm_text_heading(t, "segments", "");
	nm_buf_puts(&t->buf,
		    "         selector  base              limit     type S  DPL  P  L  D/B G  "
		    "AVL\n");
}

void nm_text_dtable(struct nm_text *t, const char *name, uint64_t base, uint32_t limit)
{
	nm_buf_printf(&t->buf, "    %-4s           %016" PRIx64 "  %08x\n", name, base, limit);
}

static void put_segments(struct nm_text *t, const struct nestmig_sregs *sregs)
{
	nm_text_segments_head(t);
	nm_text_segment(t, "cs", &sregs->cs);
	nm_text_segment(t, "ds", &sregs->ds);
	nm_text_segment(t, "es", &sregs->es);
	nm_text_segment(t, "fs", &sregs->fs);
	nm_text_segment(t, "gs", &sregs->gs);
	nm_text_segment(t, "ss", &sregs->ss);
	nm_text_segment(t, "tr", &sregs->tr);
	nm_text_segment(t, "ldt", &sregs->ldt);
	nm_text_dtable(t, "gdt", sregs->gdt.base, sregs->gdt.limit);
	nm_text_dtable(t, "idt", sregs->idt.base, sregs->idt.limit);
}

static void put_registers(struct nm_text *t, const struct nm_vcpu *vcpu)
{
	static const char *const control[] = {"cr0", "cr2",  "cr3",       "cr4",
					      "cr8", "efer", "apic_base", NULL};
	static const char *const pdptrs[] = {"pdptr0", "pdptr1", "pdptr2", "pdptr3", NULL};
	static const char *const debug[] = {"db0", "db1", "db2", "db3", "dr6", "dr7", NULL};
	static const char *const rip[] = {"rip", "rflags", NULL};
	const struct nestmig_regs *r = &vcpu->view.regs;

	if (has(vcpu, NESTMIG_ITEM_REGS)) {
		nm_text_heading(t, "registers", "");
		nm_text_named(t, vcpu, "regs.", rip);
		nm_buf_printf(&t->buf,
			      "    rax %016" PRIx64 "  rbx %016" PRIx64 "  rcx %016" PRIx64
			      "  rdx %016" PRIx64 "\n"
			      "    rsi %016" PRIx64 "  rdi %016" PRIx64 "  rsp %016" PRIx64
			      "  rbp %016" PRIx64 "\n",
			      r->rax, r->rbx, r->rcx, r->rdx, r->rsi, r->rdi, r->rsp, r->rbp);
		nm_buf_printf(&t->buf,
			      "    r8  %016" PRIx64 "  r9  %016" PRIx64 "  r10 %016" PRIx64
			      "  r11 %016" PRIx64 "\n"
			      "    r12 %016" PRIx64 "  r13 %016" PRIx64 "  r14 %016" PRIx64
			      "  r15 %016" PRIx64 "\n",
			      r->r8, r->r9, r->r10, r->r11, r->r12, r->r13, r->r14, r->r15);
	}
	if (has(vcpu, NESTMIG_ITEM_SREGS)) {
		nm_text_heading(t, "control registers", "");
		nm_text_named(t, vcpu, "sregs.", control);
		nm_text_named(t, vcpu, "sregs.", pdptrs);
		put_segments(t, &vcpu->view.sregs);
	}
	if (has(vcpu, NESTMIG_ITEM_DEBUGREGS)) {
		nm_text_heading(t, "debug registers", "");
		nm_text_named(t, vcpu, "debugregs.", debug);
	}
}

static void put_exception(struct nm_text *t, const struct nm_vcpu *vcpu)
{
	const struct nestmig_events *e = &vcpu->view.events;

	if (!e->exc_injected && !e->exc_pending)
		return;
	nm_buf_printf(&t->buf, "    exception %u %s", e->exc_nr,
		      e->exc_injected ? "injected" : "pending");
	if (e->exc_has_error_code && has(vcpu, NESTMIG_ITEM_ERROR_CODE))
		nm_buf_printf(&t->buf, ", error code 0x%x", e->exc_error_code);
	else if (e->exc_has_error_code)
		nm_buf_puts(&t->buf, ", with an error code that is not in the file");
	if (e->exc_has_payload)
		nm_buf_printf(&t->buf, ", payload 0x%" PRIx64, e->exc_payload);
	nm_buf_puts(&t->buf, "\n");
}

static void put_events(struct nm_text *t, const struct nm_vcpu *vcpu)
{
	const struct nestmig_events *e = &vcpu->view.events;
	const struct {
		bool set;
		const char *text;
	} flags[] = {
		{e->nmi_injected, "NMI injected"},
		{e->nmi_pending, "NMI pending"},
		{e->nmi_masked, "NMIs masked"},
		{e->smi_smm, "in SMM"},
		{e->smi_pending, "SMI pending"},
		{e->smi_inside_nmi, "SMM entered inside an NMI handler"},
		{e->smi_latched_init, "INIT latched"},
		{e->triple_fault, "triple fault pending"},
		{has(vcpu, NESTMIG_ITEM_INT_SHADOW) && e->intr_shadow, "interrupt shadow"},
	};
	size_t before;

	if (!has(vcpu, NESTMIG_ITEM_EVENTS))
		return;
	nm_text_heading(t, "events", "");
	before = t->buf.used;
	put_exception(t, vcpu);
	if (e->intr_injected)
		nm_buf_printf(&t->buf, "    interrupt 0x%x injected%s\n", e->intr_nr,
			      e->intr_soft ? " (soft)" : "");
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (flags[i].set)
			nm_buf_printf(&t->buf, "    %s\n", flags[i].text);
	if (t->buf.used == before)
		nm_buf_puts(&t->buf, "    none\n");
}

static void put_msrs(struct nm_text *t, const struct nm_vcpu *vcpu)
{
	if (!has(vcpu, NESTMIG_ITEM_MSRS))
		return;
	nm_text_heading(t, "MSRs", "");
	for (size_t i = 0; i < vcpu->msr_count; i++)
		nm_buf_printf(&t->buf, "    0x%08x %-15s 0x%016" PRIx64 "\n", vcpu->msrs[i].index,
			      nm_msr_name(vcpu->msrs[i].index), vcpu->msrs[i].value);
}

static const char *format_name(uint16_t format)
{
	switch (format) {
	case KVMNS_FORMAT_VMX:
		return "VMX";
	case KVMNS_FORMAT_SVM:
		return "SVM";
	default:
		return "unknown";
	}
}

static void put_nested(struct nm_text *t, const struct nm_vcpu *vcpu)
{
	static const char *const svm[] = {"vmcb_pa", NULL};
	static const char *const vmx[] = {"vmxon_pa", "vmcs12_pa", "smm_flags", "vmx_flags", NULL};
	const struct nestmig_nested *nested = &vcpu->view.nested;

	if (!has(vcpu, NESTMIG_ITEM_NESTED)) {
		nm_buf_puts(&t->buf, "  no nested state in the file\n");
		return;
	}
	nm_text_heading(t, "nested_state", "");
	nm_buf_printf(&t->buf, "    format %s, size %u, flags 0x%04x ", format_name(nested->format),
		      nested->size, nested->flags);
	nm_text_bits(t, nm_bits_of("nested_state.flags"), nested->flags);
	nm_buf_puts(&t->buf, "\n");
	if (nested->flags != nested->stored_flags)
		nm_buf_printf(&t->buf,
			      "    (the file says 0x%04x; QEMU takes GUEST_MODE and GIF_SET from "
			      "hflags and hflags2)\n",
			      nested->stored_flags);
	nm_text_named(t, vcpu, "nested_state.", nested->format == KVMNS_FORMAT_VMX ? vmx : svm);
}

void nm_text_page(struct nm_text *t, const struct nm_vcpu *vcpu, enum nestmig_item item,
		  const char *prefix, const char *title, const char *note)
{
	size_t length = strlen(prefix), zero = 0;

	if (!has(vcpu, item))
		return;
	nm_text_heading(t, title, note);
	for (size_t i = 0; i < nm_field_count(); i++) {
		const struct nm_field *field = nm_field_at(i);

		if (field->item != item || strncmp(field->name, prefix, length) != 0 ||
		    field->kvm_width > 8)
			continue;
		if (nm_field_value(vcpu, field))
			nm_text_field(t, vcpu, field, field->name + length);
		else
			zero++;
	}
	nm_buf_printf(&t->buf, "    %s%zu more fields are zero%s\n", t->dim, zero, t->plain);
}

void nm_text_vcpu(struct nm_text *t, const struct nm_vcpu *vcpu)
{
	const char *mode = nm_vcpu_mode(vcpu);

	nm_buf_printf(&t->buf, "%svCPU %u: %s%s%s\n", t->bold, vcpu->id, mode, t->plain,
		      strcmp(mode, "L2") == 0 ? " (registers below are those of the nested guest)"
					      : "");
}

/* In SMM the registers are those of the handler; what is interrupted is in SMRAM. */
static void put_smram_hint(struct nm_text *t, const struct nm_vcpu *vcpu)
{
	const struct nestmig_vcpu_view *view = &vcpu->view;

	if (!has(vcpu, NESTMIG_ITEM_EVENTS) || !view->events.smi_smm)
		return;
	nm_text_heading(t, "smram", "(what RSM will load)");
	if (!has(vcpu, NESTMIG_ITEM_SMBASE))
		nm_buf_puts(&t->buf, "    SMBASE is not in the file\n");
	else
		nm_buf_printf(&t->buf, "    at 0x%" PRIx64 ": %s\n",
			      view->smbase + NESTMIG_SMRAM_BASE,
			      has(vcpu, NESTMIG_ITEM_SMRAM) ? "see --smram" : "not in the file");
}

static void put_pointed(struct nm_text *t, const struct nestmig_state *state,
			const struct nm_vcpu *vcpu)
{
	static const char *const backed[] = {[NESTMIG_BACKED_YES] = "RAM",
					     [NESTMIG_BACKED_NO] = "no RAM",
					     [NESTMIG_BACKED_UNKNOWN] = "not known whether RAM"};
	struct nm_pointed pointed[NM_POINTED_MAX];
	size_t count = nm_vcpu_pointed(state, vcpu, pointed);

	if (count)
		nm_text_heading(t, "guest memory pointed at", "");
	for (size_t i = 0; i < count; i++)
		nm_buf_printf(&t->buf, "    %-32s 0x%09" PRIx64 " %5" PRIu64 " bytes  %s%s\n",
			      pointed[i].name, pointed[i].gpa, pointed[i].length,
			      backed[pointed[i].backed],
			      pointed[i].is_at_hand ? ", content at hand" : "");
}

static void put_vcpu(struct nm_text *t, const struct nestmig_state *state,
		     const struct nm_vcpu *vcpu)
{
	nm_text_vcpu(t, vcpu);
	put_nested(t, vcpu);
	put_registers(t, vcpu);
	put_events(t, vcpu);
	put_smram_hint(t, vcpu);
	put_msrs(t, vcpu);
	nm_text_page(t, vcpu, NESTMIG_ITEM_VMCB12, "vmcb12.control.", "vmcb12 control area",
		     "(L1's controls for L2)");
	nm_text_page(t, vcpu, NESTMIG_ITEM_VMCB12, "vmcb12.save.", "vmcb12 save area",
		     "(in a KVM blob this is L1's own state, not L2's)");
	nm_text_page(t, vcpu, NESTMIG_ITEM_VMCS12, "vmcs12.", "vmcs12", "");
	nm_text_page(t, vcpu, NESTMIG_ITEM_SHADOW_VMCS12, "shadow_vmcs12.", "shadow vmcs12", "");
	put_pointed(t, state, vcpu);
}

static const char *vendor_name(enum nestmig_vendor vendor)
{
	static const char *const names[] = {[NESTMIG_VENDOR_UNKNOWN] = "vendor not known",
					    [NESTMIG_VENDOR_INTEL] = "intel",
					    [NESTMIG_VENDOR_AMD] = "amd"};

	return names[vendor];
}

struct nm_text nm_text_new(bool colour)
{
	return (struct nm_text){.bold = colour ? "\033[1m" : "",
				.dim = colour ? "\033[2m" : "",
				.plain = colour ? "\033[0m" : ""};
}

void nm_text_state(struct nm_text *t, const struct nestmig_state *state)
{
	nm_text_foreign(t, state->path);
	nm_buf_printf(&t->buf, ": %s%s%s, %s, %zu vCPU%s%s%s\n", state->format,
		      state->packing ? " in " : "", state->packing ? state->packing : "",
		      vendor_name(state->vendor), state->vcpu_count,
		      state->vcpu_count == 1 ? "" : "s", state->machine ? ", machine " : "",
		      state->machine ? state->machine : "");
}

enum nestmig_error nestmig_inspect_text(const struct nestmig_state *state, bool colour,
					char **ret_text)
{
	struct nm_text t = nm_text_new(colour);

	nm_text_state(&t, state);
	nm_text_domain(&t, state);
	if (state->remark)
		nm_buf_printf(&t.buf, "  %s\n", state->remark);
	for (size_t i = 0; i < state->vcpu_count; i++)
		put_vcpu(&t, state, &state->vcpus[i]);
	return nm_buf_take(&t.buf, ret_text);
}
