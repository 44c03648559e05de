/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the renderers of a state as text share. */
#ifndef NESTMIG_INSPECT_TEXT_H
#define NESTMIG_INSPECT_TEXT_H

#include "bits.h"
#include "buf.h"
#include "fields.h"

struct nm_text {
	struct nm_buf buf;
	const char *bold, *dim, *plain;
};

/* A text with or without terminal colours. */
struct nm_text nm_text_new(bool colour);

/* A file name, or what else may hold anything: control characters become '?'. */
void nm_text_foreign(struct nm_text *t, const char *text);

/* "FILE: FORMAT, VENDOR, N vCPUs, machine M". */
void nm_text_state(struct nm_text *t, const struct nestmig_state *state);

/* "vCPU N: MODE (...)". */
void nm_text_vcpu(struct nm_text *t, const struct nm_vcpu *vcpu);

/* A line above some fields; the note may be empty. */
void nm_text_heading(struct nm_text *t, const char *what, const char *note);

/* The bits that are set, by name; bits without a name as one hexadecimal rest. */
void nm_text_bits(struct nm_text *t, const struct nm_bit *bits, uint64_t value);

/* One field a line: name, value, bits. label is what is shown for the name. */
void nm_text_field(struct nm_text *t, const struct nm_vcpu *vcpu, const struct nm_field *field,
		   const char *label);

/* The fields PREFIX + name that the vCPU has, a line each; names end with NULL. */
void nm_text_named(struct nm_text *t, const struct nm_vcpu *vcpu, const char *prefix,
		   const char *const *names);

/* All fields of an item whose names start with prefix and that are not zero. */
void nm_text_page(struct nm_text *t, const struct nm_vcpu *vcpu, enum nestmig_item item,
		  const char *prefix, const char *title, const char *note);

/* The head of a table of segments, and a row of it. */
void nm_text_segments_head(struct nm_text *t);
void nm_text_segment(struct nm_text *t, const char *name, const struct nestmig_segment *segment);
void nm_text_dtable(struct nm_text *t, const char *name, uint64_t base, uint32_t limit);

#endif
