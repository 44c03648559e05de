// SPDX-License-Identifier: GPL-2.0-or-later
/* The hook's file among libvirt's hooks: written, taken away, looked at. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "hook.h"
#include "jsontext.h"

/* The second line of every version of the file. */
#define MARKER "# Written by `nestmig hook install`; `nestmig hook remove` takes it away.\n"
/* Beside the directory, so that libvirt never runs it under another name. */
#define NEW_FILE  "/etc/libvirt/hooks/.50-nestmig.new"
#define HOOK_OLD  "/etc/libvirt/hooks/qemu"
#define HOOK_MODE 0755U
#define FILE_MAX  65536U

/* What it runs must not fail for any other reason than that it refuses. */
static const char script[] =
	"#!/bin/sh\n" MARKER "case $2 in migrate | restore) ;; *) exit 0 ;; esac\n"
	"program=%s\n"
	"[ -x \"$program\" ] || { echo \"nestmig: $program is not there: not checked\" >&2; exit "
	"0; }\n"
	"\"$program\" hook run -- \"$@\" >/dev/null\n"
	"status=$?\n"
	"[ $status -ne 1 ] || exit 1\n"
	"[ $status -eq 0 ] || echo \"nestmig: the check ended with status $status: not checked\" "
	">&2\n"
	"exit 0\n";

char *hook_path(const char *root, const char *path)
{
	char *text;

	return asprintf(&text, "%s%s", root, path) < 0 ? NULL : text;
}

/* ---- What is there ---------------------------------------------------------------------------- */

enum found { FOUND_NOTHING, FOUND_OURS, FOUND_OTHER };

struct look {
	enum found found;
	bool is_executable;
	char text[sizeof(script) + PATH_MAX];
	struct stat stat;
};

/* Below --root a link may lead out of the tree: no directory of the path is to be one. */
static enum nestmig_error check_links(const char *root, const char *path,
				      struct nestmig_detail *detail)
{
	const char *slash = *root ? path + strlen(root) : NULL;
	char directory[PATH_MAX];
	struct stat stat;

	while (slash && (slash = strchr(slash + 1, '/')) != NULL) {
		snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path), path);
		if (lstat(directory, &stat) == 0 && S_ISLNK(stat.st_mode))
			return nm_fail(detail, NESTMIG_ERR_INVALID,
				       "%s is a symbolic link, and below --root none is followed",
				       directory);
	}
	return NESTMIG_OK;
}

/* root: that of the options, with which path begins. */
static enum nestmig_error look_at(const char *root, const char *path, struct look *ret_look,
				  struct nestmig_detail *detail)
{
	struct look look = {.found = FOUND_OTHER};
	enum nestmig_error error = check_links(root, path, detail);
	const char *second;
	ssize_t n;
	int fd;

	if (error)
		return error;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno != ENOENT && errno != ELOOP && errno != ENOTDIR)
		return nm_fail_errno(detail, "cannot look at it");
	if (fd < 0) {
		look.found = errno == ELOOP ? FOUND_OTHER : FOUND_NOTHING;
		*ret_look = look;
		return NESTMIG_OK;
	}
	n = fstat(fd, &look.stat) == 0 && S_ISREG(look.stat.st_mode)
		    ? read(fd, look.text, sizeof(look.text) - 1)
		    : 0;
	close(fd);
	look.text[n > 0 ? n : 0] = '\0';
	second = strchr(look.text, '\n');
	if (second && strncmp(second + 1, MARKER, strlen(MARKER)) == 0)
		look.found = FOUND_OURS;
	look.is_executable = look.stat.st_mode & S_IXUSR;
	*ret_look = look;
	return NESTMIG_OK;
}

static enum nestmig_error not_ours(struct nestmig_detail *detail)
{
	return nm_fail(detail, NESTMIG_ERR_INVALID,
		       "this file was not written by nestmig: move it away first");
}

/* ---- Writing ---------------------------------------------------------------------------------- */

/* The program that the file is to run, by its whole name without anything that a shell would not take as it is. */
static enum nestmig_error find_program(const char *wanted, char program[PATH_MAX],
				       struct nestmig_detail *detail)
{
	ssize_t length;

	if (wanted)
		length = snprintf(program, PATH_MAX, "%s", wanted);
	else
		length = readlink("/proc/self/exe", program, PATH_MAX - 1);
	if (length <= 0 || length >= PATH_MAX)
		return nm_fail(detail, NESTMIG_ERR_INVALID,
			       "the name of the program cannot be found: give --program");
	program[length] = '\0';
	if (*program != '/')
		return nm_fail(detail, NESTMIG_ERR_INVALID, "--program takes a whole path");
	for (const char *c = program; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("/._+-", *c))
			return nm_fail(detail, NESTMIG_ERR_INVALID,
				       "\"%.200s\" has a character that a script would need to "
				       "quote",
				       program);
	return NESTMIG_OK;
}

/* The directories above path that are not there; mode 0755. */
static enum nestmig_error make_directories(const char *path, struct nestmig_detail *detail)
{
	char *copy = strdup(path);
	enum nestmig_error error = copy ? NESTMIG_OK : NESTMIG_ERR_NOMEM;

	for (char *slash = copy; !error && (slash = strchr(slash + 1, '/'));) {
		*slash = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			error = nm_fail_errno(detail, "cannot make the directory %s", copy);
		*slash = '/';
	}
	free(copy);
	return error;
}

/* Puts the new file into its place; one that has come there in between stays. */
static enum nestmig_error move_in(const char *from, const char *to, bool replaces,
				  struct nestmig_detail *detail)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, replaces ? 0 : RENAME_NOREPLACE) == 0)
		return NESTMIG_OK;
	nm_fail_errno(detail, "giving it its name");
	unlink(from);
	return NESTMIG_ERR_IO;
}

static enum nestmig_error write_file(const struct hook_options *options, const char *path,
				     const char *program, bool replaces,
				     struct nestmig_detail *detail)
{
	char *new_path = hook_path(options->root, NEW_FILE), *text = NULL;
	enum nestmig_error error = NESTMIG_ERR_NOMEM;

	if (new_path && asprintf(&text, script, program) >= 0)
		error = make_directories(path, detail);
	else
		text = NULL;
	if (!error)
		error = cli_write_file(new_path, text, HOOK_MODE, detail);
	if (!error)
		error = move_in(new_path, path, replaces, detail);
	free(new_path);
	free(text);
	return error;
}

/* What was done, for people or as JSON. */
static void report(const struct hook_options *options, const char *action, const char *path,
		   bool is_changed)
{
	if (!options->json) {
		cli_put_name(stdout, path);
		printf(": %s\n", is_changed ? action : "nothing to do");
		return;
	}
	json_t *json = json_pack("{s:s, s:s, s:o, s:b}", "schema", "nestmig.hook/1", "action",
				 action, "file", nm_json_text(path), "changed", is_changed);

	json_dumpf(json, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(json);
}

static enum nestmig_error install(const struct hook_options *options, const char *path,
				  bool *ret_changed, struct nestmig_detail *detail)
{
	char program[PATH_MAX];
	struct look look;
	enum nestmig_error error = find_program(options->program, program, detail);

	if (!error)
		error = look_at(options->root, path, &look, detail);
	if (error)
		return error;
	if (look.found == FOUND_OTHER)
		return not_ours(detail);
	*ret_changed = true;
	return write_file(options, path, program, look.found == FOUND_OURS, detail);
}

static enum nestmig_error take_away(const char *root, const char *path, bool *ret_changed,
				    struct nestmig_detail *detail)
{
	struct look look;
	enum nestmig_error error = look_at(root, path, &look, detail);

	if (error)
		return error;
	if (look.found == FOUND_OTHER)
		return not_ours(detail);
	*ret_changed = look.found == FOUND_OURS;
	if (*ret_changed && unlink(path) < 0)
		return nm_fail_errno(detail, "cannot remove it");
	return NESTMIG_OK;
}

int hook_install(const struct command *self, const struct hook_options *options)
{
	char *path = hook_path(options->root, HOOK_FILE);
	struct nestmig_detail detail = {0};
	bool is_changed = false;
	enum nestmig_error error =
		path ? install(options, path, &is_changed, &detail) : NESTMIG_ERR_NOMEM;

	if (!error)
		report(options, "installed", path, is_changed);
	if (!error && !*options->root)
		fputs("nestmig hook: a daemon that found no hooks when it started looks again "
		      "after "
		      "`systemctl reload libvirtd`\n",
		      stderr);
	if (error)
		cli_error(self, options->json, path, error, &detail);
	free(path);
	return error ? EXIT_TROUBLE : EXIT_CLEAN;
}

int hook_remove(const struct command *self, const struct hook_options *options)
{
	char *path = hook_path(options->root, HOOK_FILE);
	struct nestmig_detail detail = {0};
	bool is_changed = false;
	enum nestmig_error error =
		path ? take_away(options->root, path, &is_changed, &detail) : NESTMIG_ERR_NOMEM;

	if (!error)
		report(options, "removed", path, is_changed);
	if (error)
		cli_error(self, options->json, path, error, &detail);
	free(path);
	return error ? EXIT_TROUBLE : EXIT_CLEAN;
}

/* ---- Status ----------------------------------------------------------------------------------- */

struct status {
	struct look look;
	char program[PATH_MAX]; /* that the file runs, or "" */
	bool is_current; /* the file is as this version would write it, and its program is there */
	struct hook_policy policy;
	pid_t daemon;      /* 0: none runs, or --root is given */
	bool needs_reload; /* the daemon may not know of any hook */
};

static void find_what_it_runs(struct status *s)
{
	const char *start = strstr(s->look.text, "\nprogram=");
	char expected[sizeof(s->look.text)];

	if (s->look.found != FOUND_OURS || !start)
		return;
	if (sscanf(start, "\nprogram=%4095s", s->program) != 1)
		return;
	snprintf(expected, sizeof(expected), script, s->program);
	s->is_current = strcmp(expected, s->look.text) == 0 && s->look.is_executable;
}

/* When a process started, in seconds since 1970; 0 if that cannot be said. Also its name. */
static time_t started(const char *pid, char name[32])
{
	char path[300], line[512];
	unsigned long long ticks = 0, boot = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (!fgets(line, sizeof(line), file) ||
	    sscanf(line,
		   "%*d (%31[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
		   "%*d %*d %*d %llu",
		   name, &ticks) != 2)
		name[0] = '\0';
	fclose(file);
	file = fopen("/proc/stat", "re");
	while (file && fgets(line, sizeof(line), file) && sscanf(line, "btime %llu", &boot) != 1)
		;
	if (file)
		fclose(file);
	return (time_t)(boot + ticks / (unsigned long long)sysconf(_SC_CLK_TCK));
}

/* Was there another hook for QEMU before this time? Then the daemon looks at the directory at each call. */
static bool had_other_hook(time_t time)
{
	struct stat there;
	struct dirent *entry;
	bool is_found = stat(HOOK_OLD, &there) == 0 && there.st_ctime < time;
	DIR *dir = opendir(HOOK_OLD ".d");

	while (dir && !is_found && (entry = readdir(dir)))
		is_found = entry->d_name[0] != '.' &&
			   fstatat(dirfd(dir), entry->d_name, &there, 0) == 0 &&
			   there.st_ctime < time;
	if (dir)
		closedir(dir);
	return is_found;
}

/* libvirt looks for hooks when it starts and on SIGHUP (virHookInitialize), of which nothing can be seen. */
static void find_daemon(struct status *s)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	while (dir && !s->daemon && (entry = readdir(dir))) {
		char name[32] = "";
		time_t since = 0;

		if (isdigit((unsigned char)entry->d_name[0]))
			since = started(entry->d_name, name);
		if (strcmp(name, "libvirtd") != 0 && strcmp(name, "virtqemud") != 0)
			continue;
		s->daemon = (pid_t)atoi(entry->d_name);
		s->needs_reload = s->look.found == FOUND_OURS && s->look.stat.st_ctime >= since &&
				  !had_other_hook(since);
	}
	if (dir)
		closedir(dir);
}

static void print_status(const struct status *s, const char *path)
{
	static const char *const words[] = {
		[FOUND_NOTHING] = "not installed",
		[FOUND_OURS] = "installed",
		[FOUND_OTHER] = "not installed: the file of this name is none of nestmig's",
	};

	cli_put_name(stdout, path);
	printf(": %s\n", words[s->look.found]);
	if (s->look.found == FOUND_OURS)
		printf("program: %s%s\n", *s->program ? s->program : "?",
		       s->is_current ? ""
				     : " (the file is not as this version writes it: install "
				       "it again)");
	printf("mode: %s, strict: %s, timeout: %d s\n", s->policy.enforce ? "enforce" : "audit",
	       s->policy.strict ? "yes" : "no", s->policy.timeout_s);
	if (*s->policy.trouble)
		printf(HOOK_POLICY ": %s; nothing is refused\n", s->policy.trouble);
	if (s->needs_reload)
		printf("daemon: %d, started before the hook was installed: `systemctl reload "
		       "libvirtd`, unless that was done\n",
		       (int)s->daemon);
	else if (s->daemon)
		printf("daemon: %d\n", (int)s->daemon);
}

static void print_status_json(const struct status *s, const char *path)
{
	json_t *json = json_pack(
		"{s:s, s:s, s:o, s:b, s:b, s:b, s:o, s:s, s:b, s:i, s:o, s:o, s:b}", "schema",
		"nestmig.hook/1", "action", "status", "file", nm_json_text(path), "installed",
		s->look.found == FOUND_OURS, "foreign", s->look.found == FOUND_OTHER, "current",
		s->is_current, "program", nm_json_text(*s->program ? s->program : NULL), "mode",
		s->policy.enforce ? "enforce" : "audit", "strict", s->policy.strict, "timeout",
		s->policy.timeout_s, "policy_error",
		nm_json_text(*s->policy.trouble ? s->policy.trouble : NULL), "daemon",
		s->daemon ? json_integer(s->daemon) : json_null(), "reload", s->needs_reload);

	json_dumpf(json, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(json);
}

int hook_status(const struct command *self, const struct hook_options *options)
{
	char *path = hook_path(options->root, HOOK_FILE);
	struct nestmig_detail detail = {0};
	struct status s = {0};
	enum nestmig_error error =
		path ? look_at(options->root, path, &s.look, &detail) : NESTMIG_ERR_NOMEM;
	int status = EXIT_TROUBLE;

	if (error) {
		cli_error(self, options->json, path, error, &detail);
	} else {
		find_what_it_runs(&s);
		hook_policy_read(options->root, &s.policy);
		if (!*options->root)
			find_daemon(&s);
		if (options->json)
			print_status_json(&s, path);
		else
			print_status(&s, path);
		status = s.is_current && !s.needs_reload && !*s.policy.trouble ? EXIT_CLEAN
									       : EXIT_FINDINGS;
	}
	free(path);
	return status;
}
