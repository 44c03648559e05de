// SPDX-License-Identifier: GPL-2.0-or-later
/* /etc/nestmig/hook.conf: lines KEY = VALUE. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "hook.h"
#include "options.h"

#define LINE_MAX_BYTES 256
#define TIMEOUT_MAX_S  600

static const struct hook_policy defaults = {.timeout_s = HOOK_TIMEOUT_S};

__attribute__((format(printf, 2, 3))) static bool complain(struct hook_policy *policy,
							   const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(policy->trouble, sizeof(policy->trouble), format, args);
	va_end(args);
	return false;
}

/* Without spaces around. */
static char *trim(char *text)
{
	size_t length;

	text += strspn(text, " \t\r\n");
	length = strlen(text);
	while (length && strchr(" \t\r\n", text[length - 1]))
		text[--length] = '\0';
	return text;
}

/* One of two words. */
static bool take_word(const char *value, const char *no, const char *yes, bool *ret_value)
{
	if (strcmp(value, no) != 0 && strcmp(value, yes) != 0)
		return false;
	*ret_value = strcmp(value, yes) == 0;
	return true;
}

static bool take(struct hook_policy *policy, unsigned line, const char *key, const char *value,
		 unsigned *seen)
{
	static const char *const keys[] = {"mode", "strict", "timeout"};
	unsigned which = 0;

	while (which < 3 && strcmp(key, keys[which]) != 0)
		which++;
	if (which == 3)
		return complain(policy, "line %u: there is no key \"%.32s\": mode, strict, timeout",
				line, key);
	if (*seen >> which & 1)
		return complain(policy, "line %u: %s is there twice", line, key);
	*seen |= 1U << which;
	if (which == 0 && !take_word(value, "audit", "enforce", &policy->enforce))
		return complain(policy, "line %u: mode is audit or enforce, not \"%.32s\"", line,
				value);
	if (which == 1 && !take_word(value, "no", "yes", &policy->strict))
		return complain(policy, "line %u: strict is yes or no, not \"%.32s\"", line, value);
	if (which == 2 && !option_number(value, 1, TIMEOUT_MAX_S, &policy->timeout_s))
		return complain(policy, "line %u: timeout is 1 to %d seconds, not \"%.32s\"", line,
				TIMEOUT_MAX_S, value);
	return true;
}

static bool take_line(struct hook_policy *policy, unsigned number, char *line, unsigned *seen)
{
	char *text = trim(line), *equals;

	if (!*text || *text == '#')
		return true;
	equals = strchr(text, '=');
	if (!equals)
		return complain(policy, "line %u is not KEY = VALUE", number);
	*equals = '\0';
	return take(policy, number, trim(text), trim(equals + 1), seen);
}

static bool read_lines(FILE *file, struct hook_policy *policy)
{
	char line[LINE_MAX_BYTES];
	unsigned seen = 0;

	for (unsigned number = 1; fgets(line, sizeof(line), file); number++) {
		if (!strchr(line, '\n') && !feof(file))
			return complain(policy, "line %u has more than %zu bytes", number,
					sizeof(line) - 2);
		if (!take_line(policy, number, line, &seen))
			return false;
	}
	return !ferror(file) || complain(policy, "it cannot be read: %s", strerror(errno));
}

void hook_policy_read(const char *root, struct hook_policy *ret_policy)
{
	char *path = hook_path(root, HOOK_POLICY);
	FILE *file = path ? fopen(path, "re") : NULL;
	struct hook_policy policy = defaults;
	bool is_good = file ? read_lines(file, &policy) : path && errno == ENOENT;

	*ret_policy = defaults;
	if (is_good)
		*ret_policy = policy;
	else if (file)
		memcpy(ret_policy->trouble, policy.trouble, sizeof(policy.trouble));
	else
		complain(ret_policy, "it cannot be read: %s", strerror(errno));
	/* It goes to terminals and logs. */
	nm_make_printable(ret_policy->trouble);
	if (file)
		fclose(file);
	free(path);
}
