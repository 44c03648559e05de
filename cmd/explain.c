// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig explain RULE... */
#include <getopt.h>
#include <stdio.h>

#include "options.h"

int cmd_explain(const struct command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
	bool json = false;
	int c, status = EXIT_CLEAN;

	while ((c = getopt_long(argc, argv, "jh", options, NULL)) != -1) {
		int code = option_common(self, c, &json);

		if (code >= 0)
			return code;
	}
	if (optind == argc)
		return cli_usage_error(self, "which rule? `nestmig rules` lists them");
	for (int i = optind; i < argc; i++) {
		struct nestmig_detail detail = {0};
		char *text = NULL;
		enum nestmig_error error = nestmig_explain(argv[i], json, &text, &detail);

		if (error) {
			status = cli_error(self, json, NULL, error, &detail);
			continue;
		}
		if (i > optind && !json)
			putchar('\n');
		cli_print(text);
	}
	return status;
}
