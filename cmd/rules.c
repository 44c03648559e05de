// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig rules */
#include <getopt.h>

#include "options.h"

int cmd_rules(const struct command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
	struct nestmig_detail detail = {0};
	enum nestmig_error error;
	bool json = false;
	char *text = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "jh", options, NULL)) != -1) {
		int code = option_common(self, c, &json);

		if (code >= 0)
			return code;
	}
	if (optind < argc)
		return cli_usage_error(self, "too many arguments");
	error = json ? nestmig_rules_json(&text) : nestmig_rules_text(&text);
	if (error)
		return cli_error(self, json, NULL, error, &detail);
	cli_print(text);
	return EXIT_CLEAN;
}
