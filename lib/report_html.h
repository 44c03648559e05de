/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of the report as an HTML page share. */
#ifndef NESTMIG_REPORT_HTML_H
#define NESTMIG_REPORT_HTML_H

#include "fields.h"
#include "report_internal.h"

/* What is said of a rule for one vCPU, and of a field by the rules that read it: the worst first. */
enum nm_mark {
	NM_MARK_BROKEN,
	NM_MARK_WARNING, /* broken, but no error */
	NM_MARK_UNKNOWN,
	NM_MARK_HOLDS,
	NM_MARK_NONE, /* no rule that applies */
	NM_MARKS
};

/* The rules that read each field: those of field i are rules[first[i]] to rules[first[i + 1] - 1]. */
struct nm_readers {
	uint32_t *first; /* owned */
	uint16_t *rules; /* owned; indices of nm_rules */
};

/* A vCPU of the page. */
struct nm_html_vcpu {
	const struct nm_vcpu *vcpu;
	const struct nm_vcpu_report *report;
	const char *file;             /* "a" or "b": ids of elements begin with it and the index */
	size_t index;                 /* in the state */
	const char *byte;             /* nm_byte_word */
	bool has_details;             /* a section of its own */
	bool has_map;                 /* in it, a map of the fields */
	uint8_t marks[NESTMIG_RULES]; /* enum nm_mark */
};

/* A file of the page. */
struct nm_html_file {
	const char *name; /* as given by the caller */
	const struct nestmig_state *state;
	const struct nestmig_report *report;
	struct nm_html_vcpu *vcpus; /* owned; as many as the report has */
};

struct nm_html {
	struct nm_buf buf;
	struct nm_readers readers;
	struct nm_html_file files[2];
	size_t file_count;
};

/* Text as text: what HTML gives a meaning is escaped, also for attributes in quotes. */
void nm_html_text(struct nm_html *h, const char *text);

/* Text that may be anything: bytes that are no UTF-8 and characters that control or turn the text
 * around become '?'. */
void nm_html_clean(struct nm_html *h, const char *text);

/* The same where elements may stand: its script does not turn around what stands beside it. */
void nm_html_foreign(struct nm_html *h, const char *text);

/* The class of a mark ("b", "w", "u", "h" or "n"), its sign and what it says. */
const char *nm_mark_class(enum nm_mark mark);
const char *nm_mark_sign(enum nm_mark mark);
const char *nm_mark_text(enum nm_mark mark);

/* The mark of a verdict. */
enum nm_mark nm_verdict_mark(enum nestmig_verdict verdict);

/* The mark of a finding. */
enum nm_mark nm_finding_mark(const struct nm_finding *finding);

/* "<FILE><INDEX>-": how the ids of a vCPU's elements begin. */
void nm_html_id(struct nm_html *h, const struct nm_html_vcpu *v);

/* A value in the width of its field and the names of its bits. */
void nm_html_value(struct nm_html *h, const char *name, uint64_t value, unsigned width);

/* " file vcpu0/sregs, byte 566 = 0x236"; offset UINT64_MAX: that it has none. */
void nm_html_place(struct nm_html *h, const struct nm_html_vcpu *v, const char *file,
		   uint64_t offset);

/* Findings and unknowns of a vCPU (report_html_findings.c). */
void nm_html_findings(struct nm_html *h, const struct nm_html_vcpu *v);
void nm_html_unknowns(struct nm_html *h, const struct nm_html_vcpu *v);

/* Every field as a cell; and the same as a strip of tiles (report_html_map.c). */
void nm_html_map(struct nm_html *h, const struct nm_html_vcpu *v);
void nm_html_strip(struct nm_html *h, const struct nm_html_vcpu *v);

/* Finds the readers of every field. Errors: NOMEM. */
NESTMIG_CHECKED enum nestmig_error nm_readers_new(struct nm_readers *ret_readers);
void nm_readers_free(struct nm_readers *readers);

/* The worst mark of the rules that read a field, by its index in the registry. */
enum nm_mark nm_field_mark(const struct nm_html *h, const struct nm_html_vcpu *v, size_t field);

/* What differs between the two files of a page (report_html_diff.c). */
void nm_html_diff(struct nm_html *h);

#endif
