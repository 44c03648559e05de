// SPDX-License-Identifier: LGPL-2.1-or-later
/* JSON of serde_json for jansson. */
#include "cloud_hypervisor_json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

/* Numbers of so many digits may be beyond INT64_MAX, which jansson refuses: they become texts. */
#define LONG_NUMBER 19

static bool is_number_char(char c)
{
	return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

/* The length of the string that starts at text[0], a quote; size if it does not end. */
static size_t string_length(const char *text, size_t size)
{
	for (size_t i = 1; i < size; i++) {
		if (text[i] == '\\')
			i++;
		else if (text[i] == '"')
			return i + 1;
	}
	return size;
}

/* The length of the number at text[0]; whether it has but digits, and many. */
static size_t number_length(const char *text, size_t size, bool *ret_is_long)
{
	bool digits = true;
	size_t n = 0;

	for (; n < size && is_number_char(text[n]); n++)
		digits = digits && text[n] >= '0' && text[n] <= '9';
	*ret_is_long = digits && n >= LONG_NUMBER;
	return n;
}

/* Copies text, long numbers in quotes; *ret_values becomes the number of values, or one more. */
static size_t quote_numbers(const char *text, size_t size, char *to, size_t *ret_values)
{
	size_t at = 0, used = 0, values = 1;

	while (at < size) {
		bool is_long = false;
		size_t n = 1;

		if (text[at] == '"')
			n = string_length(text + at, size - at);
		else if (is_number_char(text[at]))
			n = number_length(text + at, size - at, &is_long);
		else
			values += text[at] == ',' || text[at] == ':' || text[at] == '[';
		if (is_long)
			to[used++] = '"';
		memcpy(to + used, text + at, n);
		used += n;
		if (is_long)
			to[used++] = '"';
		at += n;
	}
	*ret_values = values;
	return used;
}

enum nestmig_error chv_parse(const char *text, size_t size, size_t max_values, const char *what,
			     json_t **ret_json, struct nestmig_detail *detail)
{
	/* Two quotes for LONG_NUMBER digits at most. */
	char *copy = malloc(size + size / 8 + 1);
	json_error_t json_error;
	size_t values = 0, used;
	json_t *json;

	if (!copy)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	used = quote_numbers(text, size, copy, &values);
	if (values > max_values) {
		free(copy);
		return nm_fail(detail, NESTMIG_ERR_LIMIT, "%s has more than %zu values", what,
			       max_values);
	}
	json = json_loadb(copy, used, JSON_REJECT_DUPLICATES, &json_error);
	free(copy);
	if (!json && json_error_code(&json_error) == json_error_out_of_memory)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	if (!json)
		return nm_fail(detail, NESTMIG_ERR_FORMAT, "%s, line %d, column %d: %s", what,
			       json_error.line, json_error.column, json_error.text);
	*ret_json = json;
	return NESTMIG_OK;
}

bool chv_number(const json_t *json, uint64_t max, uint64_t *ret_value)
{
	uint64_t value;

	if (json_is_integer(json) && json_integer_value(json) >= 0) {
		value = (uint64_t)json_integer_value(json);
	} else if (json_is_string(json) && json_string_length(json) >= LONG_NUMBER) {
		const char *text = json_string_value(json);

		if (strspn(text, "0123456789") != json_string_length(json))
			return false;
		errno = 0;
		value = strtoull(text, NULL, 10);
		if (errno)
			return false;
	} else {
		return false;
	}
	if (value > max)
		return false;
	*ret_value = value;
	return true;
}

bool chv_bytes(const json_t *json, uint8_t *bytes, size_t size)
{
	size_t i;
	json_t *element;

	if (!json_is_array(json) || json_array_size(json) != size)
		return false;
	json_array_foreach (json, i, element) {
		uint64_t value;

		if (!chv_number(element, UINT8_MAX, &value))
			return false;
		bytes[i] = (uint8_t)value;
	}
	return true;
}
