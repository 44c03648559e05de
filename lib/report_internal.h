/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the renderers of reports and rules share. */
#ifndef NESTMIG_REPORT_INTERNAL_H
#define NESTMIG_REPORT_INTERNAL_H

#include <jansson.h>

#include "judge.h"

/* "intel", "amd", or NULL if not known. */
const char *nm_vendor_name(enum nestmig_vendor vendor);

/* What offsets in this report count: bytes of the file, or of the stream inside. */
const char *nm_byte_word(const struct nestmig_report *report);

/* " (KVM_SET_SREGS: EINVAL)", or nothing where no ioctl fails. */
void nm_put_ioctl(struct nm_buf *buf, const struct nm_consequence_row *row);

/* Text from a file, which may hold anything: control characters become '?'. */
void nm_put_foreign(struct nm_buf *buf, const char *text);

/* A finding as the lines of a report for people. */
void nm_put_finding(struct nm_buf *buf, const struct nm_finding *finding, bool colour);

/* Is no undecided rule before this one for want of the same inputs? */
bool nm_is_first_of_group(const struct nm_vcpu_report *vcpu, size_t at);

/* What follows an outcome that is not certain, or nothing. */
const char *nm_unless(const struct nm_vcpu_report *vcpu);

/* Adds "unknown" and "remark" of the whole file, where there are any. */
void nm_json_file_unknown(json_t *object, const struct nestmig_report *report);

/* Adds "outcome", and where there are any, "ioctl" and "errno". */
bool nm_json_consequence(json_t *object, const struct nm_consequence_row *row);

/* The names of the items of a mask. */
json_t *nm_json_items(uint64_t items);

/* One line of text from a document, which is given up; NULL is out of memory. */
NESTMIG_CHECKED enum nestmig_error nm_json_line(json_t *root, char **ret_text);

#endif
