// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * JSON as it comes off the wire: finding where a message ends before anything is parsed or kept,
 * parsing it, and making text of unknown origin fit to print.
 *
 * The end of a message is found by counting brackets and not by lines, since a monitor with
 * pretty=on spreads a message over many.
 */
#include "qmp_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_space(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* How many bytes of white space there are in front of the next message. */
size_t qmp_count_space(const char *data, size_t length)
{
	size_t n = 0;

	while (n < length && is_space((unsigned char)data[n]))
		n++;
	return n;
}

/* A raw control character may not stand in a JSON string: without this test a server that lost a
 * quote would be read up to the limit before it is noticed. */
static enum qmp_scan_result scan_in_string(struct qmp_scan *scan, unsigned char c)
{
	if (c < 0x20)
		return QMP_SCAN_GARBAGE;
	if (scan->escaped)
		scan->escaped = false;
	else if (c == '\\')
		scan->escaped = true;
	else if (c == '"')
		scan->in_string = false;
	return QMP_SCAN_MORE;
}

static enum qmp_scan_result scan_open(struct qmp_scan *scan, unsigned char c,
				      const struct qmp_limits *limits)
{
	if (!scan->depth && c != '{')
		return QMP_SCAN_GARBAGE;
	if (scan->depth >= limits->depth)
		return QMP_SCAN_TOO_DEEP;
	if (scan->values >= limits->values)
		return QMP_SCAN_TOO_MANY;
	scan->depth++;
	scan->values++;
	return QMP_SCAN_MORE;
}

static enum qmp_scan_result scan_outside(struct qmp_scan *scan, unsigned char c,
					 const struct qmp_limits *limits)
{
	if (is_space(c))
		return QMP_SCAN_MORE;
	if (c == '{' || c == '[')
		return scan_open(scan, c, limits);
	if (!scan->depth || c < 0x20 || c >= 0x7f)
		return QMP_SCAN_GARBAGE;

	switch (c) {
	case '}':
	case ']':
		return --scan->depth ? QMP_SCAN_MORE : QMP_SCAN_MESSAGE;
	case ',':
		if (scan->values >= limits->values)
			return QMP_SCAN_TOO_MANY;
		scan->values++;
		return QMP_SCAN_MORE;
	case '"':
		scan->in_string = true;
		return QMP_SCAN_MORE;
	default:
		return QMP_SCAN_MORE;
	}
}

/* Goes on where the last call on the same message stopped: @data begins with that message, without
 * white space in front. */
enum qmp_scan_result qmp_scan(struct qmp_scan *scan, const char *data, size_t length,
			      const struct qmp_limits *limits)
{
	while (scan->length < length) {
		unsigned char c = (unsigned char)data[scan->length];
		enum qmp_scan_result result;

		if (scan->length >= limits->message)
			return QMP_SCAN_TOO_LONG;
		result = scan->in_string ? scan_in_string(scan, c) : scan_outside(scan, c, limits);
		if (result != QMP_SCAN_MORE && result != QMP_SCAN_MESSAGE)
			return result;
		scan->length++;
		if (result == QMP_SCAN_MESSAGE)
			return result;
	}
	return QMP_SCAN_MORE;
}

static bool is_number_part(char c)
{
	return (c >= '0' && c <= '9') || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-';
}

/* Whether the token is an integer that fits into 64 bits, but not into 63. */
static bool is_big_unsigned(const char *token, size_t length, uint64_t *ret_value)
{
	char digits[32];
	unsigned long long value;
	char *end;

	if (length < 19 || length > 20 || token[0] == '0' || token[0] == '-')
		return false;
	memcpy(digits, token, length);
	digits[length] = 0;
	errno = 0;
	value = strtoull(digits, &end, 10);
	if (*end || errno || value <= INT64_MAX)
		return false;
	*ret_value = value;
	return true;
}

/* The text with each integer above INT64_MAX written as the negative number of the same bits. */
static char *wrap_big_integers(const char *text, size_t length, size_t *ret_length)
{
	/* Only a token of 19 digits gets longer, by one character. */
	size_t size = length + length / 19 + 2;
	char *out = malloc(size);
	size_t n = 0;
	size_t i = 0;
	bool in_string = false;

	if (!out)
		return NULL;
	while (i < length) {
		size_t token = 0;
		uint64_t value;

		while (!in_string && i + token < length && is_number_part(text[i + token]))
			token++;
		if (token && is_big_unsigned(text + i, token, &value)) {
			n += (size_t)snprintf(out + n, size - n, "%" PRId64, (int64_t)value);
			i += token;
			continue;
		}
		/* An escaped character must not be taken for the closing quote. */
		if (!token)
			token = in_string && text[i] == '\\' && i + 1 < length ? 2 : 1;
		if (text[i] == '"')
			in_string = !in_string;
		memcpy(out + n, text + i, token);
		n += token;
		i += token;
	}
	*ret_length = n;
	return out;
}

/* NULL on failure, with the reason in @error. */
json_t *qmp_parse(const char *text, size_t length, json_error_t *error)
{
	json_t *json = json_loadb(text, length, JSON_REJECT_DUPLICATES, error);
	char *wrapped;
	size_t wrapped_length;

	if (json || json_error_code(error) != json_error_numeric_overflow)
		return json;
	wrapped = wrap_big_integers(text, length, &wrapped_length);
	if (!wrapped)
		return NULL;
	json = json_loadb(wrapped, wrapped_length, JSON_REJECT_DUPLICATES, error);
	free(wrapped);
	return json;
}

/* The length of the UTF-8 sequence at @from, 0 if there is no whole and valid one. */
static size_t utf8_length(const unsigned char *from, size_t length)
{
	size_t n;

	if (from[0] < 0x80)
		return 1;
	if (from[0] >= 0xc2 && from[0] <= 0xdf)
		n = 2;
	else if ((from[0] & 0xf0) == 0xe0)
		n = 3;
	else if (from[0] >= 0xf0 && from[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (n > length)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((from[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((from[0] == 0xe0 && from[1] < 0xa0) || (from[0] == 0xf0 && from[1] < 0x90))
		return 0;
	return n;
}

/* Copy text that may come from anywhere: no control characters (which a terminal would obey), no
 * broken UTF-8, ended by NUL, cut between characters. */
void qmp_copy_safe(char *to, size_t size, const char *from, size_t length)
{
	const unsigned char *in = (const unsigned char *)from;
	size_t n = 0;

	for (size_t i = 0; i < length;) {
		size_t step = utf8_length(in + i, length - i);
		bool control = in[i] < 0x20 || in[i] == 0x7f ||
			       (step == 2 && in[i] == 0xc2 && in[i + 1] < 0xa0);
		bool replace = !step || control;
		size_t used = replace ? 1 : step;

		if (n + used >= size)
			break;
		if (replace)
			to[n] = '?';
		else
			memcpy(to + n, in + i, used);
		n += used;
		i += step ? step : 1;
	}
	to[n] = 0;
}
