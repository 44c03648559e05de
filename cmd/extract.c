// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig extract: a part of a state, as bytes. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "files.h"
#include "jsontext.h"
#include "nms_file.h"
#include "options.h"
#include "source.h"
#include "state.h"

#define PIECE_SIZE (1U << 20)

enum what { WHAT_NONE, WHAT_BLOB, WHAT_ITEM, WHAT_PAGE, WHAT_STREAM };

struct extract {
	const struct command *self;
	enum what what;
	const char *item, *output; /* NULL: not given */
	uint64_t gpa;
	int vcpu;
	unsigned read_flags;
	bool has_vcpu, is_twice, force, json;
	struct files files;
	struct nms_file *file; /* of --output */
	uint64_t bytes;        /* written so far */
};

static enum nestmig_error put(struct extract *x, const void *bytes, size_t length,
			      struct nestmig_detail *detail)
{
	x->bytes += length;
	if (x->file)
		return nms_file_write(x->file, bytes, length, detail);
	/* A short write shows again when stdout is flushed and checked. */
	if (fwrite(bytes, 1, length, stdout) < length)
		return nm_fail_errno(detail, "writing to standard output");
	return NESTMIG_OK;
}

static enum nestmig_error put_blob(struct extract *x, const struct nestmig_state *state,
				   struct nestmig_detail *detail)
{
	uint8_t buffer[NM_KVM_STRUCT_MAX];
	size_t size = 0;

	if ((size_t)x->vcpu >= state->vcpu_count)
		return nm_fail(detail, NESTMIG_ERR_INVALID,
			       "there is no vCPU %d: the file has %zu, counted from 0", x->vcpu,
			       state->vcpu_count);
	nm_encode_kvm(&state->vcpus[x->vcpu], NM_KVM_NESTED_STATE, buffer, &size);
	if (!size)
		return nm_fail(detail, NESTMIG_ERR_NOT_FOUND, "vCPU %d has no nested state",
			       x->vcpu);
	return put(x, buffer, size, detail);
}

static enum nestmig_error put_item(struct extract *x, const struct nestmig_state *state,
				   struct nestmig_detail *detail)
{
	const uint8_t *bytes = NULL;
	size_t size = 0;
	enum nestmig_error error =
		nestmig_item_bytes(state, (size_t)x->vcpu, x->item, &bytes, &size, detail);

	return error ? error : put(x, bytes, size, detail);
}

static enum nestmig_error put_page(struct extract *x, const struct nestmig_state *state,
				   struct nestmig_detail *detail)
{
	uint8_t page[NM_PAGE_SIZE];
	enum nestmig_error error = nm_state_fetch_page(state, x->gpa, page, detail);

	return error ? error : put(x, page, sizeof(page), detail);
}

static enum nestmig_error put_stream(struct extract *x, const struct nestmig_state *state,
				     struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;
	uint64_t offset = 0, size;
	uint8_t *piece;

	if (!state->stream)
		return nm_fail(detail, NESTMIG_ERR_NOT_FOUND, "there is no QEMU stream in a %s",
			       state->format);
	size = nm_source_size(state->stream);
	piece = malloc(PIECE_SIZE);
	if (!piece)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	while (offset < size && !error) {
		size_t here = size - offset < PIECE_SIZE ? (size_t)(size - offset) : PIECE_SIZE;

		error = nm_source_read(state->stream, offset, piece, here, detail);
		if (!error)
			error = put(x, piece, here, detail);
		offset += here;
	}
	free(piece);
	return error;
}

/* ---- Options --------------------------------------------------------------------------------- */

static bool address(const char *text, uint64_t *ret_gpa)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*ret_gpa = strtoull(text, &end, 0);
	return !errno && !*end;
}

static void choose(struct extract *x, enum what what)
{
	x->is_twice |= x->what != WHAT_NONE;
	x->what = what;
}

static int check(const struct extract *x, int files)
{
	if (x->what == WHAT_NONE || x->is_twice)
		return cli_usage_error(x->self, "give one of --blob, --item, --page and --stream");
	if (x->has_vcpu && x->what != WHAT_BLOB && x->what != WHAT_ITEM)
		return cli_usage_error(x->self, "--vcpu goes with --blob or --item");
	if (x->json && !x->output)
		return cli_usage_error(x->self, "--json goes with --output");
	if (files != 1)
		return cli_usage_error(x->self, "give one file");
	return -1;
}

static int parse(struct extract *x, int argc, char **argv)
{
	static const struct option options[] = {{"blob", no_argument, NULL, 'b'},
						{"item", required_argument, NULL, 'i'},
						{"page", required_argument, NULL, 'p'},
						{"stream", no_argument, NULL, 's'},
						{"vcpu", required_argument, NULL, 'c'},
						{"output", required_argument, NULL, 'o'},
						{"snapshot", required_argument, NULL, 'n'},
						{"force", no_argument, NULL, 'f'},
						{"skip-ram", no_argument, NULL, 'r'},
						{"json", no_argument, NULL, 'j'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	int c;

	while ((c = getopt_long(argc, argv, "bi:p:sc:n:o:fjh", options, NULL)) != -1) {
		switch (c) {
		case 'b':
			choose(x, WHAT_BLOB);
			break;
		case 'i':
			choose(x, WHAT_ITEM);
			x->item = optarg;
			break;
		case 'p':
			choose(x, WHAT_PAGE);
			if (!address(optarg, &x->gpa))
				return cli_usage_error(
					x->self, "--page takes an address, not \"%s\"", optarg);
			break;
		case 's':
			choose(x, WHAT_STREAM);
			break;
		case 'c':
			if (!option_number(optarg, 0, 65535, &x->vcpu))
				return cli_usage_error(x->self, "--vcpu takes a number, not \"%s\"",
						       optarg);
			x->has_vcpu = true;
			break;
		case 'o':
			x->output = optarg;
			break;
		case 'n':
			x->files.snapshot = optarg;
			break;
		case 'f':
			x->force = true;
			break;
		case 'r':
			x->read_flags |= NESTMIG_READ_SKIP_RAM_CHECKSUM;
			break;
		case 'j':
			x->json = true;
			break;
		case 'h':
			return cli_help(x->self);
		default:
			return cli_wrong_option(x->self);
		}
	}
	return check(x, argc - optind);
}

/* ---- The command ----------------------------------------------------------------------------- */

static enum nestmig_error check_output(const struct extract *x, struct nestmig_detail *detail)
{
	struct stat st;

	if (x->force)
		return NESTMIG_OK;
	if (!x->output && isatty(STDOUT_FILENO))
		return nm_fail(detail, NESTMIG_ERR_INVALID,
			       "not to a terminal: give --output FILE, or --force");
	if (x->output && lstat(x->output, &st) == 0)
		return nm_fail(detail, NESTMIG_ERR_INVALID,
			       "%s is there already; --force replaces it", x->output);
	return NESTMIG_OK;
}

static enum nestmig_error extract(struct extract *x, struct nestmig_detail *detail)
{
	static enum nestmig_error (*const puts_what[])(
		struct extract * x, const struct nestmig_state *state,
		struct nestmig_detail *detail) = {[WHAT_BLOB] = put_blob,
						  [WHAT_ITEM] = put_item,
						  [WHAT_PAGE] = put_page,
						  [WHAT_STREAM] = put_stream};
	struct nestmig_state *state = NULL;
	enum nestmig_error error = check_output(x, detail);

	if (!error)
		error = files_open_input(&x->files, detail);
	if (!error)
		error = files_enter_sandbox(&x->files, NULL, x->output, detail);
	if (!error)
		error = files_read(&x->files, 0, x->read_flags, &state, detail);
	if (!error && x->output)
		error = nms_file_new(x->output, &x->file, detail);
	if (!error)
		error = puts_what[x->what](x, state, detail);
	if (!error && x->file)
		error = nms_file_commit(x->file, detail);
	nms_file_free(x->file);
	nestmig_state_free(state);
	return error;
}

static int print_json(const struct extract *x)
{
	static const char *const names[] = {[WHAT_BLOB] = "blob",
					    [WHAT_ITEM] = "item",
					    [WHAT_PAGE] = "page",
					    [WHAT_STREAM] = "stream"};
	json_t *json = json_pack("{s:s, s:o, s:s, s:o, s:I}", "schema", "nestmig.extract/1", "file",
				 nm_json_text(x->files.names[0]), "what", names[x->what], "output",
				 nm_json_text(x->output), "bytes", (json_int_t)x->bytes);

	json_dumpf(json, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(json);
	return EXIT_CLEAN;
}

int cmd_extract(const struct command *self, int argc, char **argv)
{
	struct extract x = {.self = self, .files = {.input = -1}, .read_flags = NESTMIG_READ_QUICK};
	struct nestmig_detail detail = {0};
	int status = parse(&x, argc, argv);
	enum nestmig_error error;

	if (status >= 0)
		return status;
	error = files_gather(&x.files, argc - optind, argv + optind, NULL, &detail);
	if (!error)
		error = extract(&x, &detail);
	if (error)
		status = cli_error(self, x.json, argv[optind], error, &detail);
	else
		status = x.json ? print_json(&x) : EXIT_CLEAN;
	files_free(&x.files);
	return status;
}
