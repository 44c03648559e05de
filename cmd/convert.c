// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig convert IN OUT: a state in another container. */
#include "convert.h"

#include <getopt.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "files.h"
#include "jsontext.h"
#include "live.h"

enum target { TARGET_UNKNOWN, TARGET_NMS, TARGET_DUMP };

struct options {
	struct convert c;
	struct files files;
	char *output; /* owned: c.output */
	enum target target;
	unsigned read_flags;
	bool json;
};

void convert_note(struct convert *c, const char *format, ...)
{
	char *note = NULL;
	va_list args;
	int length;

	if (c->note_count == CONVERT_NOTES)
		return;
	va_start(args, format);
	length = vasprintf(&note, format, args);
	va_end(args);
	if (length < 0)
		return;
	for (size_t i = 0; i < c->note_count; i++)
		if (strcmp(c->notes[i], note) == 0) {
			free(note);
			return;
		}
	c->notes[c->note_count++] = note;
}

enum nestmig_error convert_go_on(struct nestmig_detail *detail)
{
	if (live_interrupted())
		return nm_fail(detail, NESTMIG_ERR_CANCELLED, "interrupted, nothing was written");
	return NESTMIG_OK;
}

/* ---- Options --------------------------------------------------------------------------------- */

static bool target_named(const char *name, enum target *ret_target)
{
	*ret_target = strcmp(name, "nms") == 0        ? TARGET_NMS
		      : strcmp(name, "raw-dump") == 0 ? TARGET_DUMP
						      : TARGET_UNKNOWN;
	return *ret_target != TARGET_UNKNOWN;
}

/* ".nms" at its end, or a slash, or the name of a directory. */
static enum target target_of(const char *output)
{
	size_t length = strlen(output);
	struct stat st;

	if (length > 4 && strcmp(output + length - 4, ".nms") == 0)
		return TARGET_NMS;
	if (length && output[length - 1] == '/')
		return TARGET_DUMP;
	return stat(output, &st) == 0 && S_ISDIR(st.st_mode) ? TARGET_DUMP : TARGET_UNKNOWN;
}

/* The output's name without slashes at its end. */
static int take_output(struct options *o, const char *output)
{
	size_t length = strlen(output);

	if (o->target == TARGET_UNKNOWN)
		o->target = target_of(output);
	if (o->target == TARGET_UNKNOWN)
		return cli_usage_error(o->c.self,
				       "what is \"%s\" to become? Give --to, a name that "
				       "ends with .nms, or one with a slash at its end",
				       output);
	if (o->c.with_memory && o->target != TARGET_DUMP)
		return cli_usage_error(o->c.self, "--memory goes with a raw dump");
	while (length > 1 && output[length - 1] == '/')
		length--;
	o->output = strndup(output, length);
	o->c.output = o->output;
	return o->output ? -1 : cli_usage_error(o->c.self, "out of memory");
}

static int parse(struct options *o, int argc, char **argv)
{
	static const struct option options[] = {
		{"to", required_argument, NULL, 't'},       {"memory", no_argument, NULL, 'm'},
		{"snapshot", required_argument, NULL, 'n'}, {"force", no_argument, NULL, 'f'},
		{"skip-ram", no_argument, NULL, 'r'},       {"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},           {0}};
	int c;

	while ((c = getopt_long(argc, argv, "t:mn:fjh", options, NULL)) != -1) {
		switch (c) {
		case 't':
			if (!target_named(optarg, &o->target))
				return cli_usage_error(o->c.self,
						       "--to takes nms or raw-dump, not \"%s\"",
						       optarg);
			break;
		case 'm':
			o->c.with_memory = true;
			break;
		case 'n':
			o->files.snapshot = optarg;
			break;
		case 'f':
			o->c.force = true;
			break;
		case 'r':
			o->read_flags |= NESTMIG_READ_SKIP_RAM_CHECKSUM;
			break;
		case 'j':
			o->json = true;
			break;
		case 'h':
			return cli_help(o->c.self);
		default:
			return cli_wrong_option(o->c.self);
		}
	}
	if (optind + 2 != argc)
		return cli_usage_error(o->c.self, "give a file to read and a name to write");
	return take_output(o, argv[optind + 1]);
}

/* ---- The command ----------------------------------------------------------------------------- */

static void print_json(const struct options *o, const struct nestmig_state *state)
{
	json_t *notes = json_array(), *json;

	for (size_t i = 0; i < o->c.note_count; i++)
		json_array_append_new(notes, nm_json_text(o->c.notes[i]));
	json = json_pack("{s:s, s:o, s:s, s:o, s:s, s:I, s:I, s:I, s:o}", "schema",
			 "nestmig.convert/1", "file", nm_json_text(o->files.names[0]), "format",
			 state->format, "output", nm_json_text(o->c.output), "to",
			 o->target == TARGET_NMS ? "nms" : "raw-dump", "vcpus",
			 (json_int_t)state->vcpu_count, "stream_bytes",
			 (json_int_t)o->c.stream_bytes, "memory_bytes",
			 (json_int_t)o->c.memory_bytes, "not_carried_over", notes);
	json_dumpf(json, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(json);
}

static void print_notes(const struct options *o)
{
	for (size_t i = 0; i < o->c.note_count; i++)
		fprintf(stderr, "nestmig %s: not carried over: %s\n", o->c.self->name,
			o->c.notes[i]);
}

/* *ret_file: the file that an error is about. */
static enum nestmig_error run(struct options *o, const char **ret_file,
			      struct nestmig_detail *detail)
{
	struct nestmig_state *state = NULL;
	enum nestmig_error error = files_open_input(&o->files, detail);

	if (!error)
		error = files_enter_sandbox(&o->files, NULL, o->c.output, detail);
	if (!error)
		error = files_read(&o->files, 0, o->read_flags, &state, detail);
	if (!error) {
		*ret_file = o->c.output;
		error = o->target == TARGET_NMS ? convert_to_nms(&o->c, state, detail)
						: convert_to_dump(&o->c, state, detail);
	}
	if (!error) {
		print_notes(o);
		if (o->json)
			print_json(o, state);
	}
	nestmig_state_free(state);
	return error;
}

int cmd_convert(const struct command *self, int argc, char **argv)
{
	struct options o = {.c.self = self, .files = {.input = -1}};
	struct nestmig_detail detail = {0};
	int status = parse(&o, argc, argv);
	enum nestmig_error error;
	const char *file = NULL;

	if (status >= 0)
		return status;
	file = argv[optind];
	error = files_gather(&o.files, 1, argv + optind, NULL, &detail);
	if (!error)
		error = run(&o, &file, &detail);
	status = error ? cli_error(self, o.json, file, error, &detail) : EXIT_CLEAN;
	for (size_t i = 0; i < o.c.note_count; i++)
		free(o.c.notes[i]);
	free(o.output);
	files_free(&o.files);
	return status;
}
