// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The map on the HTML page: every field of a vCPU a cell, in the groups of the manuals, marked by the
 * worst of the rules that read it.
 */
#include <stdlib.h>
#include <string.h>

#include "report_html.h"

/* ---- Which rules read a field ---------------------------------------------------------------- */

/* Goes through the fields that the rows name: counts the readers of each, or lists them. */
static void each_reader(struct nm_readers *readers, bool is_counting)
{
	for (size_t r = 0; r < nm_rule_count; r++) {
		const char *text = nm_rules[r].fields;

		while (*text) {
			size_t length = strcspn(text, " ");
			const struct nm_field *field;
			char name[64];

			snprintf(name, sizeof(name), "%.*s", (int)length, text);
			text += length;
			text += strspn(text, " ");
			field = nm_field_find(name);
			if (field && is_counting)
				readers->first[field - nm_field_at(0) + 1]++;
			else if (field)
				readers->rules[readers->first[field - nm_field_at(0)]++] =
					(uint16_t)r;
		}
	}
}

enum nestmig_error nm_readers_new(struct nm_readers *ret_readers)
{
	size_t count = nm_field_count();
	struct nm_readers readers = {.first = calloc(count + 1, sizeof(*readers.first))};

	if (!readers.first)
		return NESTMIG_ERR_NOMEM;
	each_reader(&readers, true);
	for (size_t i = 0; i < count; i++)
		readers.first[i + 1] += readers.first[i];
	readers.rules = calloc(readers.first[count] + 1, sizeof(*readers.rules));
	if (!readers.rules) {
		nm_readers_free(&readers);
		return NESTMIG_ERR_NOMEM;
	}
	/* Filling moves the start of each field to that of the next. */
	each_reader(&readers, false);
	memmove(&readers.first[1], &readers.first[0], count * sizeof(*readers.first));
	readers.first[0] = 0;
	*ret_readers = readers;
	return NESTMIG_OK;
}

void nm_readers_free(struct nm_readers *readers)
{
	free(readers->first);
	free(readers->rules);
	*readers = (struct nm_readers){0};
}

enum nm_mark nm_field_mark(const struct nm_html *h, const struct nm_html_vcpu *v, size_t field)
{
	enum nm_mark worst = NM_MARK_NONE;

	for (uint32_t i = h->readers.first[field]; i < h->readers.first[field + 1]; i++)
		if (v->marks[h->readers.rules[i]] < worst)
			worst = v->marks[h->readers.rules[i]];
	return worst;
}

/* ---- Groups ---------------------------------------------------------------------------------- */

/* The areas of a VMCS (SDM volume 3, "Organization of VMCS Data"). */
enum area {
	AREA_GUEST,
	AREA_HOST,
	AREA_EXECUTION,
	AREA_EXIT,
	AREA_ENTRY,
	AREA_INFORMATION,
	AREA_KVM, /* without an encoding: of struct vmcs12 itself */
	AREA_WHOLE
};

/* Control fields by encoding: those that are not on VM execution. */
static const struct {
	uint16_t encoding;
	enum area area;
} controls[] = {
	{0x2006, AREA_EXIT},  {0x2008, AREA_EXIT},  {0x400c, AREA_EXIT},  {0x400e, AREA_EXIT},
	{0x4010, AREA_EXIT},  {0x200a, AREA_ENTRY}, {0x4012, AREA_ENTRY}, {0x4014, AREA_ENTRY},
	{0x4016, AREA_ENTRY}, {0x4018, AREA_ENTRY}, {0x401a, AREA_ENTRY},
};

static enum area area_of_encoding(uint32_t encoding)
{
	/* Bits 11:10 of an encoding (SDM volume 3, appendix "Field Encoding in VMCS"). */
	static const enum area types[] = {AREA_EXECUTION, AREA_INFORMATION, AREA_GUEST, AREA_HOST};

	if (encoding == UINT32_MAX)
		return AREA_KVM;
	for (size_t i = 0; i < sizeof(controls) / sizeof(controls[0]); i++)
		if (controls[i].encoding == encoding)
			return controls[i].area;
	return types[encoding >> 10 & 3];
}

static enum area area_of_vmcs(int32_t offset)
{
	static const struct {
		int32_t offset;
		uint32_t encoding;
	} rows[] = {
#define VMCS_FIELD(offset, width, name, encoding) {offset, encoding},
#include "vmcs/layout.def"
#undef VMCS_FIELD
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].offset == offset)
			return area_of_encoding(rows[i].encoding);
	return AREA_KVM;
}

static const struct group {
	const char *title, *note;
	uint64_t items;
	const char *prefix; /* of the fields' names; left out in the cells */
	enum area area;
	bool is_page; /* what the report is about: shown unfolded */
} groups[] = {
#define HAVE(name) NESTMIG_HAVE(name)
	{"Nested state", "header of struct kvm_nested_state", HAVE(NESTED), "nested_state.",
	 AREA_WHOLE, true},
	{"VMCS12: guest-state area", "L2 as it is entered", HAVE(VMCS12), "vmcs12.", AREA_GUEST,
	 true},
	{"VMCS12: host-state area", "L1 as an exit finds it", HAVE(VMCS12), "vmcs12.", AREA_HOST,
	 true},
	{"VMCS12: VM-execution control fields", "", HAVE(VMCS12), "vmcs12.", AREA_EXECUTION, true},
	{"VMCS12: VM-exit control fields", "", HAVE(VMCS12), "vmcs12.", AREA_EXIT, true},
	{"VMCS12: VM-entry control fields", "", HAVE(VMCS12), "vmcs12.", AREA_ENTRY, true},
	{"VMCS12: VM-exit information fields", "", HAVE(VMCS12), "vmcs12.", AREA_INFORMATION, true},
	{"VMCS12: KVM's own", "without an encoding", HAVE(VMCS12), "vmcs12.", AREA_KVM, true},
	{"VMCB12: control area", "L1's controls for L2", HAVE(VMCB12), "vmcb12.control.",
	 AREA_WHOLE, true},
	{"VMCB12: state save area", "in KVM's blob this is L1's own state, not L2's", HAVE(VMCB12),
	 "vmcb12.save.", AREA_WHOLE, true},
	{"SMRAM save area", "what RSM will load", HAVE(SMRAM), "smram.", AREA_WHOLE, true},
	{"Special registers", "struct kvm_sregs", HAVE(SREGS) | HAVE(PDPTRS), "sregs.", AREA_WHOLE,
	 false},
	{"General registers", "struct kvm_regs", HAVE(REGS), "regs.", AREA_WHOLE, false},
	{"Events", "struct kvm_vcpu_events", HAVE(EVENTS) | HAVE(ERROR_CODE) | HAVE(INT_SHADOW),
	 "events.", AREA_WHOLE, false},
	{"Debug registers", "struct kvm_debugregs", HAVE(DEBUGREGS), "debugregs.", AREA_WHOLE,
	 false},
	{"Whether the vCPU runs, and MSRs", "", HAVE(MP_STATE) | HAVE(SMBASE) | HAVE(HSAVE_PA), "",
	 AREA_WHOLE, false},
	{"VMX capability MSRs", "of the guest", HAVE(VMX_MSRS), "vmx_msrs.", AREA_WHOLE, false},
	{"L1's VMCB in memory: control area", "named by the SMRAM save area", HAVE(SMM_VMCB12),
	 "smm_vmcb12.control.", AREA_WHOLE, false},
	{"L1's VMCB in memory: state save area", "", HAVE(SMM_VMCB12), "smm_vmcb12.save.",
	 AREA_WHOLE, false},
	{"Host save area", "the page at VM_HSAVE_PA", HAVE(HSAVE), "hsave.", AREA_WHOLE, false},
	{"Shadow VMCS12", "", HAVE(SHADOW_VMCS12), "shadow_vmcs12.", AREA_WHOLE, false},
#undef HAVE
};

#define GROUPS (sizeof(groups) / sizeof(groups[0]))
/* No group has more. */
#define CELLS_MAX 256
#define WIDTH_MAX 8 /* longer ones are reserved ranges or padding */

static bool is_in_group(const struct nm_html_vcpu *v, const struct group *group,
			const struct nm_field *field)
{
	return group->items >> field->item & 1 && field->kvm_width <= WIDTH_MAX &&
	       strncmp(field->name, group->prefix, strlen(group->prefix)) == 0 &&
	       nm_field_present(v->vcpu, field) && !nm_field_is_of_other_format(v->vcpu, field) &&
	       (group->area == AREA_WHOLE || group->area == area_of_vmcs(field->kvm_offset));
}

/* The fields of a group that the vCPU has, in the order of the layout. */
static size_t cells_of(const struct nm_html_vcpu *v, const struct group *group,
		       uint16_t cells[CELLS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < nm_field_count() && count < CELLS_MAX; i++) {
		int32_t place;
		size_t at = count;

		if (!is_in_group(v, group, nm_field_at(i)))
			continue;
		place = nm_field_place(v->vcpu, nm_field_at(i));
		for (; at > 0 && nm_field_place(v->vcpu, nm_field_at(cells[at - 1])) > place; at--)
			cells[at] = cells[at - 1];
		cells[at] = (uint16_t)i;
		count++;
	}
	return count;
}

/* ---- Cells ----------------------------------------------------------------------------------- */

/* A name that may be broken after '_' and '.'. */
static void put_name(struct nm_html *h, const char *name)
{
	while (*name) {
		size_t part = strcspn(name, "_.");

		part += name[part] != '\0';
		nm_buf_printf(&h->buf, "%.*s%s", (int)part, name, name[part] ? "<wbr>" : "");
		name += part;
	}
}

/* A rule that reads a field, with its result. One that holds is only named: it links to the list. */
static void put_rule(struct nm_html *h, const struct nm_html_vcpu *v, uint16_t index)
{
	const struct nm_rule *rule = &nm_rules[index];
	enum nm_mark mark = v->marks[index];

	nm_buf_printf(&h->buf, "<li class=%s><em>%s</em> <a href=\"#", nm_mark_class(mark),
		      nm_mark_sign(mark));
	if (mark != NM_MARK_HOLDS)
		nm_html_id(h, v);
	nm_buf_printf(&h->buf, "r-%s\">%s</a>", rule->id, rule->id);
	if (mark != NM_MARK_HOLDS) {
		nm_buf_printf(&h->buf, " <b>%s</b>: ", nm_mark_text(mark));
		nm_html_text(h, rule->title);
		nm_buf_puts(&h->buf, ". <small>");
		nm_html_text(h, rule->reference);
		nm_buf_puts(&h->buf, "</small>");
	}
	nm_buf_puts(&h->buf, "\n");
}

static void put_rules(struct nm_html *h, const struct nm_html_vcpu *v, size_t field)
{
	uint32_t first = h->readers.first[field], end = h->readers.first[field + 1];
	unsigned idle = 0;

	nm_buf_puts(&h->buf, "<ul class=rl>\n");
	for (int mark = 0; mark < NM_MARK_NONE; mark++)
		for (uint32_t i = first; i < end; i++)
			if (v->marks[h->readers.rules[i]] == mark)
				put_rule(h, v, h->readers.rules[i]);
	for (uint32_t i = first; i < end; i++)
		idle += v->marks[h->readers.rules[i]] == NM_MARK_NONE;
	nm_buf_puts(&h->buf, "</ul>\n");
	if (first == end)
		nm_buf_puts(&h->buf, "<p>No rule shows this field.\n");
	else if (idle)
		nm_buf_printf(&h->buf, "<p>%u rule%s on it do%s not apply to this vCPU.\n", idle,
			      idle == 1 ? "" : "s", idle == 1 ? "es" : "");
}

static void put_cell(struct nm_html *h, const struct nm_html_vcpu *v, const struct group *group,
		     size_t index)
{
	const struct nm_field *field = nm_field_at(index);
	enum nm_mark mark = nm_field_mark(h, v, index);
	int32_t place = nm_field_place(v->vcpu, field);

	nm_buf_printf(&h->buf, "<details class=\"c %s\"><summary>", nm_mark_class(mark));
	if (place >= 0)
		nm_buf_printf(&h->buf, "<i>%03x</i>", (unsigned)place);
	put_name(h, field->name + strlen(group->prefix));
	nm_buf_printf(&h->buf, "<em title=\"%s\">%s</em></summary><div id=\"", nm_mark_text(mark),
		      nm_mark_sign(mark));
	nm_html_id(h, v);
	nm_buf_printf(&h->buf, "%s\"><p>", field->name);
	nm_html_value(h, field->name, nm_field_value(v->vcpu, field),
		      nm_field_width(v->vcpu, field));
	nm_buf_puts(&h->buf, "<p><small>");
	put_name(h, field->name);
	nm_buf_printf(&h->buf, ", %u byte%s; ", nm_field_width(v->vcpu, field),
		      nm_field_width(v->vcpu, field) == 1 ? "" : "s");
	nm_html_place(h, v, v->vcpu->origin[field->item].file,
		      nm_field_offset(v->vcpu, field, NULL, NULL));
	nm_buf_puts(&h->buf, "</small>\n");
	put_rules(h, v, index);
	nm_buf_puts(&h->buf, "</div></details>\n");
}

static void put_group(struct nm_html *h, const struct nm_html_vcpu *v, const struct group *group)
{
	unsigned counts[NM_MARKS] = {0};
	uint16_t cells[CELLS_MAX];
	size_t count = cells_of(v, group, cells);
	bool is_open;

	if (!count)
		return;
	for (size_t i = 0; i < count; i++)
		counts[nm_field_mark(h, v, cells[i])]++;
	is_open = group->is_page || counts[NM_MARK_BROKEN] || counts[NM_MARK_WARNING];
	nm_buf_printf(&h->buf, "<details class=g%s><summary>%s", is_open ? " open" : "",
		      group->title);
	if (*group->note)
		nm_buf_printf(&h->buf, " <small>%s</small>", group->note);
	nm_buf_puts(&h->buf, "<span class=k>");
	for (int mark = 0; mark < NM_MARKS; mark++)
		if (counts[mark])
			nm_buf_printf(&h->buf, " <em class=%s title=\"%s\">%s%u</em>",
				      nm_mark_class(mark), nm_mark_text(mark), nm_mark_sign(mark),
				      counts[mark]);
	nm_buf_puts(&h->buf, "</span></summary><div class=m>\n");
	for (size_t i = 0; i < count; i++)
		put_cell(h, v, group, cells[i]);
	nm_buf_puts(&h->buf, "</div></details>\n");
}

/* What the cells can be narrowed down to; the style sheet does it. */
static void put_filter(struct nm_html *h, const struct nm_html_vcpu *v)
{
	static const char *const filters[][2] = {
		{"fa", "all fields"}, {"fj", "judged"}, {"fp", "not holding"}};

	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		nm_buf_printf(&h->buf, "<input type=radio class=%s name=\"", filters[i][0]);
		nm_html_id(h, v);
		nm_buf_puts(&h->buf, "f\" id=\"");
		nm_html_id(h, v);
		nm_buf_printf(&h->buf, "%s\"%s><label for=\"", filters[i][0],
			      i == 0 ? " checked" : "");
		nm_html_id(h, v);
		nm_buf_printf(&h->buf, "%s\">%s</label>\n", filters[i][0], filters[i][1]);
	}
}

void nm_html_map(struct nm_html *h, const struct nm_html_vcpu *v)
{
	nm_buf_puts(&h->buf, "<h3>Map of the state</h3>\n<p class=lg>");
	for (int mark = 0; mark < NM_MARKS; mark++)
		nm_buf_printf(&h->buf, "<span class=%s><em>%s</em> %s</span> ", nm_mark_class(mark),
			      nm_mark_sign(mark), nm_mark_text(mark));
	nm_buf_puts(
		&h->buf,
		"\n<p class=ex>Each cell is a field, by its offset. Its mark is that of the worst "
		"rule that reads it; open it for its value and its rules.\n"
		"<div class=map>\n");
	put_filter(h, v);
	for (size_t g = 0; g < GROUPS; g++)
		put_group(h, v, &groups[g]);
	nm_buf_puts(&h->buf, "</div>\n");
}

void nm_html_strip(struct nm_html *h, const struct nm_html_vcpu *v)
{
	uint16_t cells[CELLS_MAX];

	nm_buf_puts(&h->buf, "<span class=s aria-hidden=true>");
	for (size_t g = 0; g < GROUPS; g++) {
		size_t count = cells_of(v, &groups[g], cells);

		for (size_t i = 0; i < count; i++)
			nm_buf_printf(&h->buf, "<i class=%s></i>",
				      nm_mark_class(nm_field_mark(h, v, cells[i])));
	}
	nm_buf_puts(&h->buf, "</span>\n");
}
