// SPDX-License-Identifier: LGPL-2.1-or-later
/* The readable decode of SMRAM. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "inspect_smram.h"
#include "inspect_text.h"

static const char *map_text(enum smram_map map)
{
	return map == SMRAM_MAP_32 ? "KVM's 32-bit map" : "KVM's 64-bit map";
}

static void put_head(struct nm_text *t, const struct nm_vcpu *vcpu,
		     const struct nm_smram_info *info)
{
	static const char *const names[] = {"revision", "smbase", NULL};

	nm_text_heading(t, "smram", "(what RSM will load)");
	nm_buf_printf(&t->buf, "    at 0x%" PRIx64 ", %s: ", vcpu->view.smbase + NESTMIG_SMRAM_BASE,
		      map_text(info->map));
	if (info->by_cpuid)
		nm_buf_printf(&t->buf, "the guest's CPUID has %slong mode\n",
			      info->map == SMRAM_MAP_32 ? "no " : "");
	else
		nm_buf_puts(&t->buf, "by the revision id; RSM goes by the guest's CPUID, which is "
				     "not in the file\n");
	nm_text_named(t, vcpu, "smram.", names);
}

/* Registers of a row, in the width of the map. */
static void put_row(struct nm_text *t, const struct nm_vcpu *vcpu, const char *const *names)
{
	nm_buf_puts(&t->buf, "   ");
	for (; *names; names++) {
		uint64_t value = 0;
		unsigned width = 0;
		char full[32];

		snprintf(full, sizeof(full), "smram.%s", *names);
		if (nm_vcpu_field(vcpu, full, &value, &width, NULL))
			nm_buf_printf(&t->buf, " %-3s %0*" PRIx64 " ", *names, (int)(2 * width),
				      value);
	}
	/* Without the blank at the end. */
	if (!t->buf.failed)
		t->buf.used--;
	nm_buf_puts(&t->buf, "\n");
}

static void put_registers(struct nm_text *t, const struct nm_vcpu *vcpu)
{
	static const char *const rip[] = {"rip", "rflags", NULL};
	static const char *const rows[][5] = {{"rax", "rbx", "rcx", "rdx"},
					      {"rsi", "rdi", "rsp", "rbp"},
					      {"r8", "r9", "r10", "r11"},
					      {"r12", "r13", "r14", "r15"}};
	static const char *const control[] = {"cr0", "cr3", "cr4", "efer", NULL};
	static const char *const debug[] = {"dr6", "dr7", NULL};
	size_t count = nm_vcpu_field(vcpu, "smram.r8", NULL, NULL, NULL) ? 4 : 2;

	nm_text_heading(t, "registers", "");
	nm_text_named(t, vcpu, "smram.", rip);
	for (size_t i = 0; i < count; i++)
		put_row(t, vcpu, rows[i]);
	nm_text_heading(t, "control registers", "");
	nm_text_named(t, vcpu, "smram.", control);
	nm_text_heading(t, "debug registers", "");
	nm_text_named(t, vcpu, "smram.", debug);
}

static void put_segments(struct nm_text *t, const struct nm_vcpu *vcpu)
{
	nm_text_segments_head(t);
	for (size_t i = 0; i < NM_SMRAM_SEGMENTS; i++) {
		struct nestmig_segment segment = nm_smram_segment(vcpu, nm_smram_segments[i]);

		nm_text_segment(t, nm_smram_segments[i], &segment);
	}
	nm_text_dtable(t, "gdtr", nm_smram_value(vcpu, "gdtr", "base"),
		       (uint32_t)nm_smram_value(vcpu, "gdtr", "limit"));
	nm_text_dtable(t, "idtr", nm_smram_value(vcpu, "idtr", "base"),
		       (uint32_t)nm_smram_value(vcpu, "idtr", "limit"));
}

/* The flag says that the SMI came while L2 ran: then a VMCB and the host save area matter, too. */
static void put_svm(struct nm_text *t, const struct nm_vcpu *vcpu)
{
	static const char *const names[] = {"svm_guest_flag", "svm_guest_vmcb", NULL};
	uint64_t flag = 0;

	if (!nm_vcpu_field(vcpu, "smram.svm_guest_flag", &flag, NULL, NULL) ||
	    vcpu->view.vendor == NESTMIG_VENDOR_INTEL)
		return;
	nm_text_heading(t, "SVM", flag ? "(the SMI came in L2: RSM goes back to it)" : "");
	nm_text_named(t, vcpu, "smram.", names);
	if (!flag)
		return;
	if (!vcpu->view.smm_vmcb12)
		nm_buf_puts(&t->buf, "    the page of that VMCB is not in the file\n");
	nm_text_page(t, vcpu, NESTMIG_ITEM_SMM_VMCB12, "smm_vmcb12.control.", "vmcb12 control area",
		     "(in guest memory; L1's controls for L2)");
	nm_text_page(t, vcpu, NESTMIG_ITEM_SMM_VMCB12, "smm_vmcb12.save.", "vmcb12 save area",
		     "(in guest memory)");
	if (!vcpu->view.hsave)
		nm_buf_puts(&t->buf, "    the host save area of L1 is not in the file\n");
	nm_text_page(t, vcpu, NESTMIG_ITEM_HSAVE, "hsave.", "host save area",
		     "(L1's own state while in SMM)");
}

/* What else is not zero, and does not count. */
static void put_ignored(struct nm_text *t, const struct nm_vcpu *vcpu)
{
	static const char *const names[] = {
#define SMRAM_FIELD(map, offset, width, ident, name, loaded) IGNORED_##loaded##_##map(name)
#define SMRAM_RANGE(map, offset, width, ident, name, loaded)
#define IGNORED_0_smram64(name) "smram." name,
#define IGNORED_1_smram64(name)
#define IGNORED_0_smram32(name)
#define IGNORED_1_smram32(name)
#define IGNORED_0_intel64(name)
#define IGNORED_0_intel32(name)
#include "smram/layout.def"
#undef SMRAM_FIELD
	};
	bool first = true;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct nm_field *field = nm_field_find(names[i]);

		if (!field || !nm_field_present(vcpu, field) || !nm_field_value(vcpu, field) ||
		    strcmp(names[i], "smram.revision") == 0)
			continue;
		if (first)
			nm_text_heading(t, "other fields",
					"(not zero; KVM 6.1 does not load them)");
		nm_text_field(t, vcpu, field, names[i] + strlen("smram."));
		first = false;
	}
}

static void put_foreign(struct nm_text *t, const struct nm_vcpu *vcpu, const char *map)
{
	const struct nm_smram_foreign *field;

	nm_text_heading(t, "the same bytes by Intel's map",
			"(the revision id says so; KVM does not read them like this)");
	for (size_t n = 0; (field = nm_smram_foreign(vcpu, map, n)); n++)
		nm_buf_printf(&t->buf, "    %-22s 0x%0*" PRIx64 "\n", field->name,
			      (int)(2 * field->width),
			      nm_le(vcpu->memory->smram_area + field->offset, field->width));
}

static void put_vcpu(struct nm_text *t, const struct nestmig_state *state,
		     const struct nm_vcpu *vcpu)
{
	struct nm_smram_info info = nm_smram_info(state, vcpu);

	nm_text_vcpu(t, vcpu);
	if (!info.shown) {
		nm_buf_printf(&t->buf, "  %s\n", info.reason);
		return;
	}
	put_head(t, vcpu, &info);
	put_registers(t, vcpu);
	put_segments(t, vcpu);
	put_svm(t, vcpu);
	put_ignored(t, vcpu);
	if (nm_smram_is_foreign(&info))
		put_foreign(t, vcpu, info.image_map);
}

enum nestmig_error nestmig_inspect_smram_text(const struct nestmig_state *state, bool colour,
					      char **ret_text)
{
	struct nm_text t = nm_text_new(colour);

	nm_text_state(&t, state);
	for (size_t i = 0; i < state->vcpu_count; i++)
		put_vcpu(&t, state, &state->vcpus[i]);
	return nm_buf_take(&t.buf, ret_text);
}
