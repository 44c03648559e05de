// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Cases: changes to a dump, as text.
 *
 *	# a comment
 *	case NAME
 *	poke FILE OFFSET HEX            FILE of the dump, OFFSET in decimal, HEX the bytes to put there
 *	restore_order IOCTL,IOCTL,...   instead of meta.json's
 *	expect ...                      not for us
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rawdump.h"

#define MAX_CASES_FILE (1u << 30)

/* One word of a line: not terminated. */
struct word {
	const char *start;
	size_t length;
};

static const char *line_end(const char *at)
{
	return at + strcspn(at, "\n");
}

static struct word next_word(const char **at)
{
	struct word word;

	*at += strspn(*at, " \t");
	word.start = *at;
	word.length = strcspn(*at, " \t\r\n");
	*at += word.length;
	return word;
}

static bool is_word(struct word word, const char *text)
{
	return word.length == strlen(text) && !memcmp(word.start, text, word.length);
}

static bool starts_case(const char *line, struct word *ret_name)
{
	if (!is_word(next_word(&line), "case"))
		return false;
	*ret_name = next_word(&line);
	return ret_name->length > 0;
}

static const char *next_line(const char *line)
{
	line = line_end(line);
	return *line ? line + 1 : line;
}

static size_t count_cases(const char *text)
{
	struct word name;
	size_t count = 0;

	for (; *text; text = next_line(text))
		count += starts_case(text, &name);
	return count;
}

int cases_read(const char *path, struct cases *ret_cases)
{
	size_t size, count = 0;
	const char *line;

	*ret_cases = (struct cases){0};
	ret_cases->text = file_read_new(path, MAX_CASES_FILE, &size);
	if (!ret_cases->text)
		return -1;
	ret_cases->items = calloc(count_cases(ret_cases->text) + 1, sizeof(ret_cases->items[0]));
	if (!ret_cases->items) {
		perror("rawdump: cases");
		return -1;
	}
	for (line = ret_cases->text; *line; line = next_line(line)) {
		struct word name;

		if (!starts_case(line, &name))
			continue;
		if (count)
			ret_cases->items[count - 1].end = line;
		ret_cases->items[count++] = (struct case_text){
			.name = name.start,
			.name_length = name.length,
			.body = next_line(line),
			.end = ret_cases->text + size,
		};
	}
	ret_cases->count = count;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int poke(struct image *image, const char *line, const char **ret_reason)
{
	struct word file = next_word(&line), number = next_word(&line), hex = next_word(&line);
	char name[48] = "", *end;
	size_t offset = strtoul(number.start, &end, 10);
	uint8_t *bytes = NULL;

	*ret_reason = "no offset, or not an even number of hexadecimal digits";
	if (!number.length || end != number.start + number.length || !hex.length || hex.length % 2)
		return -1;
	if (file.length < sizeof(name))
		bytes = image_change(image, memcpy(name, file.start, file.length), offset,
				     hex.length / 2);
	for (size_t i = 0; bytes && i < hex.length; i += 2) {
		int high = hex_digit(hex.start[i]), low = hex_digit(hex.start[i + 1]);

		if (high < 0 || low < 0)
			return -1;
		bytes[i / 2] = (uint8_t)(high << 4 | low);
	}
	*ret_reason = "the dump has no such bytes";
	return bytes ? 0 : -1;
}

static int change_order(struct image *image, const char *line, const char **ret_reason)
{
	struct word list = next_word(&line);
	const char *name = list.start, *end = list.start + list.length;
	size_t count = 0;

	memset(image->meta.order, 0, sizeof(image->meta.order));
	*ret_reason = "not a restore order";
	while (name < end) {
		size_t length = strcspn(name, ", \t\r\n");

		if (!length || length >= sizeof(image->meta.order[0]) || count + 1 >= MAX_ORDER)
			return -1;
		memcpy(image->meta.order[count++], name, length);
		name += length + 1;
	}
	return count ? 0 : -1;
}

int case_apply(const struct case_text *text, struct image *image, const char **ret_reason)
{
	for (const char *line = text->body; line < text->end; line = next_line(line)) {
		const char *at = line;
		struct word word = next_word(&at);
		int failed = 0;

		if (is_word(word, "poke")) {
			failed = poke(image, at, ret_reason);
		} else if (is_word(word, "restore_order")) {
			failed = change_order(image, at, ret_reason);
		} else if (word.length && word.start[0] != '#' && !is_word(word, "expect")) {
			*ret_reason = "unknown word";
			failed = -1;
		}
		if (failed)
			return -1;
	}
	return 0;
}
