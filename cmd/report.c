// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nestmig report FILE [FILE2]: one HTML page.
 *
 * What parses the files runs in a process of its own, in the sandbox, and hands the page over through a
 * pipe: what writes the page has never looked at a file, and what has cannot write one.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"
#include "hostarg.h"
#include "jsontext.h"
#include "sandbox.h"

#define FILES_MAX 2
/* More than the largest page there is: two files of 4096 vCPUs. */
#define PAGE_MAX (UINT64_C(256) << 20)

struct report {
	const struct command *self;
	const char *files[FILES_MAX];
	size_t file_count;
	const char *output, *host_argument, *order; /* NULL: not given */
	struct nestmig_host *host; /* of --host; NULL if that is "none" or not given */
	unsigned read_flags;
	bool json, strict;
};

/* ---- In the sandbox -------------------------------------------------------------------------- */

/* A file as it was read and judged. */
struct judged {
	struct nestmig_state *state;
	struct nestmig_report *report;
};

static enum nestmig_error judge(const struct report *r, const char *file, struct judged *ret_judged,
				struct nestmig_detail *detail)
{
	struct nestmig_host *own = NULL;
	enum nestmig_error error =
		nestmig_state_read(file, r->read_flags, &ret_judged->state, detail);

	if (!error && r->order)
		error = nestmig_state_set_restore_order(ret_judged->state, r->order, detail);
	if (!error && !r->host_argument)
		error = host_argument(NULL, ret_judged->state, &own, detail);
	if (!error)
		error = nestmig_judge(ret_judged->state, r->host_argument ? r->host : own,
				      &ret_judged->report);
	nestmig_host_free(own);
	return error;
}

static int exit_code(const struct report *r, const struct judged *judged)
{
	enum nestmig_verdict verdict = nestmig_report_verdict(judged->report);

	if (verdict == NESTMIG_VERDICT_FAIL)
		return EXIT_FINDINGS;
	return verdict == NESTMIG_VERDICT_UNKNOWN && r->strict ? EXIT_FINDINGS : EXIT_CLEAN;
}

static enum nestmig_error write_page(const struct report *r, const struct judged *judged, FILE *out)
{
	struct nestmig_html_file files[FILES_MAX];
	enum nestmig_error error;
	char *page = NULL;

	for (size_t i = 0; i < r->file_count; i++)
		files[i] =
			(struct nestmig_html_file){r->files[i], judged[i].state, judged[i].report};
	error = nestmig_report_html(files, r->file_count, &page);
	if (!error && fputs(page, out) < 0)
		error = NESTMIG_ERR_IO;
	free(page);
	return error;
}

/* That of this machine has been read before; any other profile is read here. */
static enum nestmig_error prepare(struct report *r, const char **ret_file,
				  struct nestmig_detail *detail)
{
	struct sandbox sandbox = {
		.paths = r->files,
		.count = r->file_count,
		.profile = host_argument_is_live(r->host_argument) ? NULL : r->host_argument};
	enum nestmig_error error = sandbox_enter(&sandbox, detail);

	*ret_file = NULL;
	if (error || !r->host_argument || host_argument_is_live(r->host_argument))
		return error;
	*ret_file = r->host_argument;
	return host_argument(r->host_argument, NULL, &r->host, detail);
}

/* Writes the page to out; returns what to exit with. */
static int make_page(struct report *r, FILE *out)
{
	struct nestmig_detail detail = {0};
	struct judged judged[FILES_MAX] = {0};
	int status = EXIT_CLEAN;
	const char *file;
	enum nestmig_error error = prepare(r, &file, &detail);

	for (size_t i = 0; !error && i < r->file_count; i++) {
		file = r->files[i];
		error = judge(r, file, &judged[i], &detail);
		if (!error && exit_code(r, &judged[i]) > status)
			status = exit_code(r, &judged[i]);
	}
	if (!error)
		error = write_page(r, judged, out);
	if (error)
		status = cli_error(r->self, r->json, file, error, &detail);
	for (size_t i = 0; i < r->file_count; i++) {
		nestmig_report_free(judged[i].report);
		nestmig_state_free(judged[i].state);
	}
	return status;
}

/* ---- Outside --------------------------------------------------------------------------------- */

/* The process that parses; its status is what to exit with. */
static pid_t start(struct report *r, int *ret_fd)
{
	int ends[2];
	pid_t pid;

	if (pipe(ends) < 0)
		return -1;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		FILE *out = fdopen(ends[1], "w");
		int status = EXIT_TROUBLE;

		close(ends[0]);
		if (out) {
			status = make_page(r, out);
			if (fclose(out) != 0)
				status = EXIT_TROUBLE;
		}
		nestmig_host_free(r->host);
		exit(fflush(stdout) == 0 ? status : EXIT_TROUBLE);
	}
	close(ends[1]);
	if (pid < 0)
		close(ends[0]);
	else
		*ret_fd = ends[0];
	return pid;
}

/* All that comes through the pipe, as a text; NULL: too much, out of memory, or an error. */
static char *read_page(int fd)
{
	char *page = NULL, bytes[65536];
	size_t size = 0;
	FILE *memory = open_memstream(&page, &size);
	ssize_t n = -1;
	uint64_t total = 0;

	while (memory && total < PAGE_MAX) {
		n = read(fd, bytes, sizeof(bytes));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || fwrite(bytes, 1, (size_t)n, memory) != (size_t)n)
			break;
		total += (uint64_t)n;
	}
	close(fd);
	if (memory && fclose(memory) == 0 && n == 0)
		return page;
	free(page);
	return NULL;
}

static void print_json(const struct report *r, size_t bytes, int status)
{
	json_t *json = json_pack("{s:s, s:o, s:I, s:b}", "schema", "nestmig.page/1", "output",
				 nm_json_text(r->output), "bytes", (json_int_t)bytes, "findings",
				 status == EXIT_FINDINGS);

	if (!json)
		return;
	json_dumpf(json, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(json);
}

/* A page holds guest registers: it is for its owner alone until he says otherwise. */
static int put_page(const struct report *r, char *page, int status)
{
	struct nestmig_detail detail = {0};
	enum nestmig_error error;

	if (strcmp(r->output, "-") == 0) {
		fputs(page, stdout);
		return status;
	}
	error = cli_write_file(r->output, page, 0600, &detail);
	if (error)
		return cli_error(r->self, r->json, r->output, error, &detail);
	if (r->json)
		print_json(r, strlen(page), status);
	return status;
}

static int run(struct report *r)
{
	struct nestmig_detail detail = {0};
	int fd = -1, wait_status = 0, status = EXIT_TROUBLE;
	pid_t pid = start(r, &fd);
	char *page;

	if (pid < 0)
		return cli_error(r->self, r->json, NULL,
				 nm_fail_errno(&detail, "starting a process that reads"), &detail);
	page = read_page(fd);
	while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == EXIT_TROUBLE)
		status = EXIT_TROUBLE; /* it has said why */
	else if (!WIFEXITED(wait_status) || !page)
		status = cli_error(r->self, r->json, NULL,
				   nm_fail(&detail, NESTMIG_ERR_IO,
					   "the process that reads ended without a page"),
				   &detail);
	else
		status = put_page(r, page, WEXITSTATUS(wait_status));
	free(page);
	return status;
}

static int check_arguments(struct report *r, int argc, char **argv)
{
	if (!r->output)
		return cli_usage_error(r->self, "give -o PAGE, or -o - for standard output");
	if (r->json && strcmp(r->output, "-") == 0)
		return cli_usage_error(r->self, "--json and -o - exclude each other");
	if (optind == argc)
		return cli_usage_error(r->self, "no file given");
	if (argc - optind > FILES_MAX)
		return cli_usage_error(r->self, "give one file, or two to compare");
	while (optind < argc)
		r->files[r->file_count++] = argv[optind++];
	return -1;
}

static int parse(struct report *r, int argc, char **argv)
{
	static const struct option options[] = {{"output", required_argument, NULL, 'o'},
						{"host", required_argument, NULL, 'H'},
						{"order", required_argument, NULL, 'O'},
						{"strict", no_argument, NULL, 's'},
						{"skip-ram", no_argument, NULL, 'r'},
						{"quick", no_argument, NULL, 'q'},
						{"json", no_argument, NULL, 'j'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	int c;

	while ((c = getopt_long(argc, argv, "o:H:jh", options, NULL)) != -1) {
		switch (c) {
		case 'o':
			r->output = optarg;
			break;
		case 'H':
			r->host_argument = optarg;
			break;
		case 'O':
			r->order = optarg;
			break;
		case 's':
			r->strict = true;
			break;
		case 'r':
			r->read_flags |= NESTMIG_READ_SKIP_RAM_CHECKSUM;
			break;
		case 'q':
			r->read_flags |= NESTMIG_READ_QUICK;
			break;
		case 'j':
			r->json = true;
			break;
		case 'h':
			return cli_help(r->self);
		default:
			return cli_wrong_option(r->self);
		}
	}
	return check_arguments(r, argc, argv);
}

int cmd_report(const struct command *self, int argc, char **argv)
{
	struct report r = {.self = self};
	struct nestmig_detail detail = {0};
	int status = parse(&r, argc, argv);

	if (status >= 0)
		return status;
	if (host_argument_is_live(r.host_argument)) {
		enum nestmig_error error = host_argument(r.host_argument, NULL, &r.host, &detail);

		if (error)
			return cli_error(self, r.json, NULL, error, &detail);
	}
	status = run(&r);
	nestmig_host_free(r.host);
	return status;
}
