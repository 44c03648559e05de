// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig hook: a check where libvirt restores a domain or takes one in. */
#include "hook.h"

#include <getopt.h>
#include <string.h>

static const struct {
	const char *name, *options; /* the letters of those that it takes */
	int (*run)(const struct command *self, const struct hook_options *options);
} actions[] = {
	{"install", "rpj", hook_install},
	{"remove", "rj", hook_remove},
	{"status", "rj", hook_status},
	{"run", "rH", NULL},
};

#define ACTIONS (sizeof(actions) / sizeof(actions[0]))

/* An exit code to end with, or -1 to go on. used: the letters of the options that were there. */
static int parse(const struct command *self, int argc, char **argv, struct hook_options *options,
		 char used[8])
{
	static const struct option table[] = {
		{"root", required_argument, NULL, 'r'}, {"program", required_argument, NULL, 'p'},
		{"host", required_argument, NULL, 'H'}, {"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},       {0}};
	int c;

	while ((c = getopt_long(argc, argv, "H:jh", table, NULL)) != -1) {
		switch (c) {
		case 'r':
			options->root = optarg;
			break;
		case 'p':
			options->program = optarg;
			break;
		case 'H':
			options->host = optarg;
			break;
		case 'j':
			options->json = true;
			break;
		case 'h':
			return cli_help(self);
		default:
			return cli_wrong_option(self);
		}
		if (!strchr(used, c))
			used[strlen(used)] = (char)c;
	}
	return -1;
}

/* Below, and what libvirt has called cannot fail for the wrong arguments. */
static int trouble_of_call(bool is_call, int status)
{
	if (is_call && status == EXIT_TROUBLE)
		return 0;
	return status;
}

int cmd_hook(const struct command *self, int argc, char **argv)
{
	struct hook_options options = {.root = ""};
	bool is_call = argc > 1 && strcmp(argv[1], "run") == 0;
	char used[8] = "";
	int status = parse(self, argc, argv, &options, used);
	size_t which = 0;

	if (status >= 0)
		return trouble_of_call(is_call, status);
	while (which < ACTIONS &&
	       (optind == argc || strcmp(argv[optind], actions[which].name) != 0))
		which++;
	if (which == ACTIONS)
		return trouble_of_call(is_call,
				       cli_usage_error(self, "give install, remove, status "
							     "or run"));
	if (strspn(used, actions[which].options) != strlen(used))
		return trouble_of_call(is_call, cli_usage_error(self, "%s takes no such option",
								actions[which].name));
	if (!actions[which].run)
		return hook_run(&options, argc - optind - 1, argv + optind + 1);
	if (optind + 1 != argc)
		return cli_usage_error(self, "too many arguments");
	return actions[which].run(self, &options);
}
