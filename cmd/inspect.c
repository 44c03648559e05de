// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig inspect FILE */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "cli.h"
#include "fields.h"
#include "options.h"
#include "sandbox.h"

struct inspect {
	const struct command *self;
	const char *file, *field, *raw, *snapshot;
	int vcpu;
	unsigned read_flags;
	bool json, smram, has_vcpu, lists_fields;
};

static enum nestmig_error print_field(const struct inspect *i, const struct nestmig_state *state,
				      struct nestmig_detail *detail)
{
	uint64_t value = 0, offset = 0;
	unsigned width = 0;
	enum nestmig_error error =
		nestmig_field(state, (size_t)i->vcpu, i->field, &value, &width, &offset, detail);
	char hex[32];

	if (error)
		return error;
	snprintf(hex, sizeof(hex), "0x%0*" PRIx64, (int)(2 * width), value);
	if (!i->json) {
		puts(hex);
		return NESTMIG_OK;
	}
	printf("{\"schema\":\"nestmig.field/1\",\"field\":\"%s\",\"value\":\"%s\",\"width\":%u",
	       i->field, hex, width);
	if (offset != UINT64_MAX)
		printf(",\"offset\":%" PRIu64, offset);
	puts("}");
	return NESTMIG_OK;
}

static enum nestmig_error print_raw(const struct inspect *i, const struct nestmig_state *state,
				    struct nestmig_detail *detail)
{
	const uint8_t *bytes = NULL;
	size_t size = 0;
	enum nestmig_error error =
		nestmig_item_bytes(state, (size_t)i->vcpu, i->raw, &bytes, &size, detail);

	/* A short write shows when stdout is flushed and checked. */
	if (!error)
		fwrite(bytes, 1, size, stdout);
	return error;
}

static enum nestmig_error print_all(const struct inspect *i, const struct nestmig_state *state)
{
	char *text = NULL;
	enum nestmig_error error;

	if (i->smram)
		error = i->json ? nestmig_inspect_smram_json(state, &text)
				: nestmig_inspect_smram_text(state, cli_colour(), &text);
	else
		error = i->json ? nestmig_inspect_json(state, &text)
				: nestmig_inspect_text(state, cli_colour(), &text);

	if (!error)
		cli_print(text);
	return error;
}

static int list_fields(bool json)
{
	const char *separator = "";

	if (json)
		fputs("{\"schema\":\"nestmig.fields/1\",\"fields\":[", stdout);
	for (size_t i = 0; i < nm_field_count(); i++) {
		if (json)
			printf("%s\"%s\"", separator, nm_field_at(i)->name);
		else
			puts(nm_field_at(i)->name);
		separator = ",";
	}
	if (json)
		puts("]}");
	return EXIT_CLEAN;
}

static int parse(struct inspect *i, int argc, char **argv)
{
	static const struct option options[] = {
		{"field", required_argument, NULL, 'f'},    {"raw", required_argument, NULL, 'R'},
		{"fields", no_argument, NULL, 'F'},         {"vcpu", required_argument, NULL, 'c'},
		{"snapshot", required_argument, NULL, 'n'}, {"skip-ram", no_argument, NULL, 'r'},
		{"json", no_argument, NULL, 'j'},           {"smram", no_argument, NULL, 'S'},
		{"help", no_argument, NULL, 'h'},           {0}};
	int c;

	while ((c = getopt_long(argc, argv, "f:R:Sc:n:jh", options, NULL)) != -1) {
		switch (c) {
		case 'f':
			i->field = optarg;
			break;
		case 'R':
			i->raw = optarg;
			break;
		case 'S':
			i->smram = true;
			break;
		case 'F':
			i->lists_fields = true;
			break;
		case 'c':
			if (!option_number(optarg, 0, 65535, &i->vcpu))
				return cli_usage_error(i->self, "--vcpu takes a number, not \"%s\"",
						       optarg);
			i->has_vcpu = true;
			break;
		case 'n':
			i->snapshot = optarg;
			break;
		case 'r':
			i->read_flags |= NESTMIG_READ_SKIP_RAM_CHECKSUM;
			break;
		case 'j':
			i->json = true;
			break;
		case 'h':
			return cli_help(i->self);
		default:
			return cli_wrong_option(i->self);
		}
	}
	if (i->lists_fields)
		return optind < argc ? cli_usage_error(i->self, "--fields takes no file")
				     : list_fields(i->json);
	if (i->has_vcpu && !i->field && !i->raw)
		return cli_usage_error(i->self, "--vcpu goes with --field or --raw");
	if (i->field && i->raw)
		return cli_usage_error(i->self, "--field and --raw exclude each other");
	if (i->smram && (i->field || i->raw))
		return cli_usage_error(i->self, "--smram goes without --field and --raw");
	if (i->raw && i->json)
		return cli_usage_error(i->self, "--raw and --json exclude each other");
	if (optind + 1 != argc)
		return cli_usage_error(i->self, "give one file");
	i->file = argv[optind];
	return -1;
}

int cmd_inspect(const struct command *self, int argc, char **argv)
{
	struct inspect i = {.self = self};
	struct nestmig_detail detail = {0};
	struct nestmig_state *state = NULL;
	int status = parse(&i, argc, argv);
	enum nestmig_error error;

	if (status >= 0)
		return status;
	error = sandbox_enter(&detail);
	if (!error)
		error = nestmig_state_read_named(i.file, i.read_flags, i.snapshot, &state, &detail);
	if (!error && i.field)
		error = print_field(&i, state, &detail);
	else if (!error && i.raw)
		error = print_raw(&i, state, &detail);
	else if (!error)
		error = print_all(&i, state);
	nestmig_state_free(state);
	return error ? cli_error(self, i.json, i.file, error, &detail) : EXIT_CLEAN;
}
