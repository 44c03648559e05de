// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig inspect FILE */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "error.h"
#include "fields.h"
#include "files.h"
#include "jobs.h"
#include "jsontext.h"
#include "options.h"

struct inspect {
	const struct command *self;
	const char *field, *raw, *list; /* NULL: not given */
	struct files files;
	int vcpu, processes;
	unsigned read_flags;
	bool json, smram, xml, has_vcpu, lists_fields, colour;
};

static void field_json(const struct inspect *i, const char *file, FILE *out, const char *hex,
		       unsigned width, uint64_t offset)
{
	json_t *json = json_pack("{s:s, s:o, s:s, s:s, s:I}", "schema", "nestmig.field/1", "file",
				 nm_json_text(file), "field", i->field, "value", hex, "width",
				 (json_int_t)width);

	if (offset != UINT64_MAX)
		json_object_set_new(json, "offset", json_integer((json_int_t)offset));
	json_dumpf(json, out, JSON_COMPACT);
	putc('\n', out);
	json_decref(json);
}

static enum nestmig_error print_field(const struct inspect *i, const char *file, FILE *out,
				      const struct nestmig_state *state,
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
	if (i->json) {
		field_json(i, file, out, hex, width, offset);
		return NESTMIG_OK;
	}
	if (i->files.count > 1) {
		cli_put_name(out, file);
		fputs(": ", out);
	}
	fprintf(out, "%s\n", hex);
	return NESTMIG_OK;
}

static enum nestmig_error print_raw(const struct inspect *i, FILE *out,
				    const struct nestmig_state *state,
				    struct nestmig_detail *detail)
{
	const uint8_t *bytes = NULL;
	size_t size = 0;
	enum nestmig_error error =
		nestmig_item_bytes(state, (size_t)i->vcpu, i->raw, &bytes, &size, detail);

	if (!error)
		fwrite(bytes, 1, size, out);
	return error;
}

static enum nestmig_error print_all(const struct inspect *i, FILE *out,
				    const struct nestmig_state *state,
				    struct nestmig_detail *detail)
{
	char *text = NULL;
	enum nestmig_error error;

	if (i->xml)
		error = i->json ? nestmig_inspect_xml_json(state, &text, detail)
				: nestmig_inspect_xml_text(state, &text, detail);
	else if (i->smram)
		error = i->json ? nestmig_inspect_smram_json(state, &text)
				: nestmig_inspect_smram_text(state, i->colour, &text);
	else
		error = i->json ? nestmig_inspect_json(state, &text)
				: nestmig_inspect_text(state, i->colour, &text);

	if (!error)
		cli_print_to(out, text);
	return error;
}

/* Of struct jobs. */
static int inspect_file(void *ctx, size_t index, FILE *out, FILE *err)
{
	const struct inspect *i = ctx;
	const char *file = i->files.names[index];
	struct nestmig_detail detail = {0};
	struct nestmig_state *state = NULL;
	enum nestmig_error error = files_read(&i->files, index, i->read_flags, &state, &detail);

	if (!error && i->field)
		error = print_field(i, file, out, state, &detail);
	else if (!error && i->raw)
		error = print_raw(i, out, state, &detail);
	else if (!error)
		error = print_all(i, out, state, &detail);
	nestmig_state_free(state);
	return error ? cli_error_to(out, err, i->self, i->json, file, error, &detail) : EXIT_CLEAN;
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

/* An exit code to end with, or -1 to go on. */
static int check(const struct inspect *i, int files)
{
	if (i->lists_fields)
		return files ? cli_usage_error(i->self, "--fields takes no file")
			     : list_fields(i->json);
	if (i->has_vcpu && !i->field && !i->raw)
		return cli_usage_error(i->self, "--vcpu goes with --field or --raw");
	if (i->field && i->raw)
		return cli_usage_error(i->self, "--field and --raw exclude each other");
	if (i->smram && (i->field || i->raw))
		return cli_usage_error(i->self, "--smram goes without --field and --raw");
	if (i->xml && (i->field || i->raw || i->smram))
		return cli_usage_error(i->self, "--xml goes without --field, --raw and --smram");
	if (i->raw && i->json)
		return cli_usage_error(i->self, "--raw and --json exclude each other");
	if (!files && !i->list)
		return cli_usage_error(i->self, "no file given");
	return -1;
}

static int parse(struct inspect *i, int argc, char **argv)
{
	static const struct option options[] = {{"field", required_argument, NULL, 'f'},
						{"raw", required_argument, NULL, 'R'},
						{"fields", no_argument, NULL, 'F'},
						{"vcpu", required_argument, NULL, 'c'},
						{"skip-ram", no_argument, NULL, 'r'},
						{"json", no_argument, NULL, 'j'},
						{"smram", no_argument, NULL, 'S'},
						{"xml", no_argument, NULL, 'x'},
						{"snapshot", required_argument, NULL, 'n'},
						{"jobs", required_argument, NULL, 'J'},
						{"files-from", required_argument, NULL, 'T'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	int c;

	while ((c = getopt_long(argc, argv, "f:R:Sxc:n:J:T:jh", options, NULL)) != -1) {
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
		case 'J':
			if (!option_number(optarg, 0, JOBS_MAX, &i->processes))
				return cli_usage_error(i->self, "--jobs takes a number, not \"%s\"",
						       optarg);
			break;
		case 'T':
			i->list = optarg;
			break;
		case 'x':
			i->xml = true;
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
			i->files.snapshot = optarg;
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
	return check(i, argc - optind);
}

/* Of struct jobs. */
static int prepare(void *ctx, FILE *out, FILE *err)
{
	const struct inspect *i = ctx;
	struct nestmig_detail detail = {0};
	enum nestmig_error error = files_enter_sandbox(&i->files, NULL, NULL, &detail);

	return error ? cli_error_to(out, err, i->self, i->json, NULL, error, &detail) : EXIT_CLEAN;
}

int cmd_inspect(const struct command *self, int argc, char **argv)
{
	struct inspect i = {.self = self,
			    .processes = 1,
			    .colour = cli_colour(),
			    .read_flags = NESTMIG_READ_QUICK};
	struct nestmig_detail detail = {0};
	int status = parse(&i, argc, argv);
	enum nestmig_error error;

	if (status >= 0)
		return status;
	error = files_gather(&i.files, argc - optind, argv + optind, i.list, &detail);
	if (!error && i.raw && i.files.count != 1)
		error = nm_fail(&detail, NESTMIG_ERR_INVALID, "--raw takes one file");
	if (!error)
		error = files_open_input(&i.files, &detail);
	if (error) {
		status = cli_error(self, i.json, NULL, error, &detail);
	} else {
		status = jobs_run(&(struct jobs){.self = self,
						 .what = argv[0],
						 .names = (const char *const *)i.files.names,
						 .count = i.files.count,
						 .processes = i.processes,
						 .input = i.files.input,
						 .separate = !i.json && !i.field,
						 .json = i.json,
						 .prepare = prepare,
						 .work = inspect_file,
						 .ctx = &i});
	}
	files_free(&i.files);
	return status;
}
