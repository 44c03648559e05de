/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The JSON of a cloud-hypervisor snapshot as serde_json writes it: unsigned 64-bit numbers, which jansson
 * does not take, and bytes as arrays of numbers.
 */
#ifndef NESTMIG_CLOUD_HYPERVISOR_JSON_H
#define NESTMIG_CLOUD_HYPERVISOR_JSON_H

#include <jansson.h>

#include "state.h"

/*
 * Parses size bytes of text, which holds at most max_values values: a value costs up to 40 bytes of memory
 * and may stand in 2 bytes of text. what names the text in errors. Duplicate keys are an error.
 * The caller frees *ret_json. Errors: FORMAT, LIMIT, NOMEM; offsets are those in the text.
 */
NESTMIG_CHECKED enum nestmig_error chv_parse(const char *text, size_t size, size_t max_values,
					     const char *what, json_t **ret_json,
					     struct nestmig_detail *detail);

/* An unsigned number of at most max; false if it is none. */
bool chv_number(const json_t *json, uint64_t max, uint64_t *ret_value);

/* Makes bytes of an array of numbers; false if it has another length or what is no byte. */
bool chv_bytes(const json_t *json, uint8_t *bytes, size_t size);

#endif
