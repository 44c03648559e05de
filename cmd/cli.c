// SPDX-License-Identifier: GPL-2.0-or-later
/* What the subcommands share: help, errors, output. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "jsontext.h"

int cli_help(const struct command *self)
{
	printf("Usage: nestmig %s %s\nnestmig-%s(%d): %s.\n\n%s  -h, --help           this text\n",
	       self->name, self->synopsis, self->name, self->section, self->summary, self->options);
	return EXIT_CLEAN;
}

int cli_wrong_option(const struct command *self)
{
	fprintf(stderr, "Usage: nestmig %s %s\n", self->name, self->synopsis);
	return EXIT_TROUBLE;
}

int cli_usage_error(const struct command *self, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "nestmig %s: ", self->name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return cli_wrong_option(self);
}

void cli_put_name(FILE *out, const char *name)
{
	while (*name) {
		size_t length = nm_printable_length(name);

		if (length)
			fwrite(name, 1, length, out);
		else
			putc('?', out);
		name += length ? length : 1;
	}
}

static void error_json(FILE *out, const char *file, enum nestmig_error error, const char *text,
		       const struct nestmig_detail *detail)
{
	json_t *json = json_pack("{s:s, s:o, s:s, s:o}", "schema", "nestmig.error/1", "file",
				 nm_json_text(file), "error", nestmig_error_name(error), "message",
				 nm_json_text(text));

	if (!json)
		return;
	if (detail->has_offset)
		json_object_set_new(json, "offset", json_integer((json_int_t)detail->offset));
	json_dumpf(json, out, JSON_COMPACT);
	putc('\n', out);
	json_decref(json);
}

int cli_error_to(FILE *out, FILE *err, const struct command *self, bool json, const char *file,
		 enum nestmig_error error, const struct nestmig_detail *detail)
{
	const char *text = detail->text[0] ? detail->text : nestmig_error_name(error);
	char *about = file ? strdup(file) : NULL;

	fprintf(err, "nestmig %s: ", self->name);
	if (about) {
		nm_hide_passwords(about);
		cli_put_name(err, about);
		fputs(": ", err);
	}
	fputs(text, err);
	if (detail->has_offset)
		fprintf(err, " (at byte %" PRIu64 ")", detail->offset);
	fputc('\n', err);
	if (json)
		error_json(out, about, error, text, detail);
	free(about);
	return EXIT_TROUBLE;
}

int cli_error(const struct command *self, bool json, const char *file, enum nestmig_error error,
	      const struct nestmig_detail *detail)
{
	return cli_error_to(stdout, stderr, self, json, file, error, detail);
}

void cli_print_to(FILE *out, char *text)
{
	size_t length = strlen(text);

	fputs(text, out);
	if (length > 0 && text[length - 1] != '\n')
		putc('\n', out);
	free(text);
}

bool cli_refuses(enum nestmig_verdict verdict, bool strict, bool force)
{
	if (force)
		return false;
	return verdict == NESTMIG_VERDICT_FAIL || (verdict == NESTMIG_VERDICT_UNKNOWN && strict);
}

void cli_print(char *text)
{
	cli_print_to(stdout, text);
}

bool cli_colour(void)
{
	const char *no_color = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && !(no_color && *no_color);
}

static enum nestmig_error write_all(int fd, const char *text, struct nestmig_detail *detail)
{
	size_t left = strlen(text);

	while (left > 0) {
		ssize_t n = write(fd, text, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return nm_fail_errno(detail, "writing it");
		text += n;
		left -= (size_t)n;
	}
	if (fsync(fd) < 0)
		return nm_fail_errno(detail, "writing it");
	return NESTMIG_OK;
}

enum nestmig_error cli_write_file(const char *path, const char *text, unsigned mode,
				  struct nestmig_detail *detail)
{
	enum nestmig_error error;
	struct stat there;
	const char *name;
	char *temporary;
	int fd;

	/* Renaming onto /dev/null would replace it. */
	if (lstat(path, &there) == 0 && !S_ISREG(there.st_mode))
		return nm_fail(detail, NESTMIG_ERR_INVALID,
			       "this name belongs to something that is not a regular file");
	/* With a dot in front: what watches the directory for files passes over it. */
	name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	if (asprintf(&temporary, "%.*s.%s.XXXXXX", (int)(name - path), path, name) < 0)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0) {
		error = nm_fail_errno(detail, "cannot create a file there");
		free(temporary);
		return error;
	}
	error = write_all(fd, text, detail);
	if (!error && fchmod(fd, (mode_t)mode) < 0)
		error = nm_fail_errno(detail, "setting its mode");
	close(fd);
	if (!error && rename(temporary, path) < 0)
		error = nm_fail_errno(detail, "giving it its name");
	if (error)
		unlink(temporary);
	free(temporary);
	return error;
}
