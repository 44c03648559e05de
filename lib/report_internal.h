/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the renderers of reports and rules share. */
#ifndef NESTMIG_REPORT_INTERNAL_H
#define NESTMIG_REPORT_INTERNAL_H

#include <jansson.h>

#include "judge.h"

/* "intel", "amd", or NULL if not known. */
const char *nm_vendor_name(enum nestmig_vendor vendor);

/* Adds "outcome", and where there are any, "ioctl" and "errno". */
bool nm_json_consequence(json_t *object, const struct nm_consequence_row *row);

/* The names of the items of a mask. */
json_t *nm_json_items(uint64_t items);

/* One line of text from a document, which is given up; NULL is out of memory. */
NESTMIG_CHECKED enum nestmig_error nm_json_line(json_t *root, char **ret_text);

#endif
