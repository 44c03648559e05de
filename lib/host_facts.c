// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Facts of a host that no rule reads, but that tell hosts apart: the distribution, how its kernel was built,
 * the processor and its microcode, the clock, SEV and TDX. From files of the running system or of a captured tree.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "host_parts.h"

#define FILE_MAX     (16 * 1024)
#define VERSION_MAX  4096
#define CPUINFO_HEAD (16 * 1024) /* the first processor's lines */

/* A fact that cannot be kept as it is, because it is too long or not printable, stays unknown. */
static enum nestmig_error put_fact(struct nestmig_host *host, const char *name, const char *value)
{
	enum nestmig_error error =
		*value ? nm_host_put(&host->facts, name, value, NULL) : NESTMIG_OK;

	return error == NESTMIG_ERR_FORMAT || error == NESTMIG_ERR_LIMIT ? NESTMIG_OK : error;
}

/* What is not there, or is no plain file, tells nothing. */
static enum nestmig_error unless_missing(enum nestmig_error error)
{
	return error == NESTMIG_ERR_NOT_FOUND || error == NESTMIG_ERR_FORMAT ? NESTMIG_OK : error;
}

/* Takes the quotes off a value of os-release(5), in place. */
static char *unquoted(char *value)
{
	size_t length = strlen(value);

	if (length >= 2 && (*value == '"' || *value == '\'') && value[length - 1] == *value) {
		value[length - 1] = '\0';
		return value + 1;
	}
	return value;
}

/* One line of os-release(5). */
static enum nestmig_error read_os_line(struct nestmig_host *host, char *line)
{
	static const struct {
		const char *key, *fact;
	} keys[] = {
		{"ID", "os.id"},          {"VERSION_ID", "os.version"}, {"PRETTY_NAME", "os.name"},
		{"BUILD_ID", "os.build"}, {"VARIANT_ID", "os.variant"},
	};
	char *equals = strchr(line, '=');

	if (!equals)
		return NESTMIG_OK;
	*equals = '\0';
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strcmp(line, keys[i].key))
			return put_fact(host, keys[i].fact, unquoted(equals + 1));
	return NESTMIG_OK;
}

/* /etc/os-release is a link to the one below usr/lib, or a file of its own. */
static enum nestmig_error read_os(struct nestmig_host *host, const struct nm_host_root *root)
{
	char *text = NULL, *state = NULL;
	size_t size = 0;
	enum nestmig_error error =
		nm_host_read_file(root, "usr/lib/os-release", FILE_MAX, true, &text, &size, NULL);

	if (error)
		error = nm_host_read_file(root, "etc/os-release", FILE_MAX, true, &text, &size,
					  NULL);
	if (error)
		return unless_missing(error);
	for (char *line = strtok_r(text, "\n", &state); line && !error;
	     line = strtok_r(NULL, "\n", &state))
		error = read_os_line(host, line);
	free(text);
	return error;
}

/* proc/version ends with what uname -v says: "#1 SMP ... Debian 6.1.192-2 (2026-11-16)". */
static enum nestmig_error read_build(struct nestmig_host *host, const struct nm_host_root *root)
{
	char *text = NULL, *build = NULL;
	enum nestmig_error error =
		nm_host_read_line(root, "proc/version", VERSION_MAX, &text, NULL);

	if (error)
		return unless_missing(error);
	for (char *at = strstr(text, " #"); at; at = strstr(at + 1, " #"))
		build = at + 1;
	if (build)
		error = put_fact(host, "kernel.build", build);
	free(text);
	return error;
}

/* The flags of a processor that matter here, as far as it has them. */
static enum nestmig_error put_flags(struct nestmig_host *host, const char *flags)
{
	static const char *const wanted[] = {
		"svm",
		"vmx",
		"npt",
		"ept",
		"vgif",
		"v_vmsave_vmload",
		"avic",
		"x2avic",
		"vnmi",
		"tsc_scale",
		"constant_tsc",
		"nonstop_tsc",
		"sme",
		"sev",
		"sev_es",
		"sev_snp",
		"tdx_host_platform",
		"unrestricted_guest",
		"la57",
		"hypervisor",
	};
	char text[NM_HOST_VALUE_MAX + 1] = "";

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		size_t length = strlen(wanted[i]), used = strlen(text);
		const char *at = flags;

		while ((at = strstr(at, wanted[i])) &&
		       (at[-1] != ' ' || (at[length] && at[length] != ' ')))
			at += length;
		if (at)
			snprintf(text + used, sizeof(text) - used, "%s%s", used ? " " : "",
				 wanted[i]);
	}
	return put_fact(host, "cpu.flags", text);
}

/* "cpu family	: 15". */
static enum nestmig_error read_cpu_line(struct nestmig_host *host, char *line)
{
	static const struct {
		const char *key, *fact;
	} keys[] = {
		{"cpu family", "cpu.family"},   {"model", "cpu.model"},
		{"model name", "cpu.name"},     {"stepping", "cpu.stepping"},
		{"microcode", "cpu.microcode"},
	};
	char *colon = strchr(line, ':'), *end = colon;

	if (!colon || colon == line || colon[1] != ' ')
		return NESTMIG_OK;
	while (end > line && (end[-1] == '\t' || end[-1] == ' '))
		end--;
	*end = '\0';
	if (!strcmp(line, "flags"))
		return put_flags(host, colon + 1);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strcmp(line, keys[i].key))
			return put_fact(host, keys[i].fact, colon + 2);
	return NESTMIG_OK;
}

/* The first processor's: up to the first empty line. */
static enum nestmig_error read_cpu(struct nestmig_host *host, const struct nm_host_root *root)
{
	char *text = NULL, *state = NULL, *end;
	size_t size = 0;
	enum nestmig_error error =
		nm_host_read_file(root, "proc/cpuinfo", CPUINFO_HEAD, true, &text, &size, NULL);

	if (error)
		return unless_missing(error);
	end = strstr(text, "\n\n");
	if (end)
		*end = '\0';
	for (char *line = strtok_r(text, "\n", &state); line && !error;
	     line = strtok_r(NULL, "\n", &state))
		error = read_cpu_line(host, line);
	free(text);
	return error;
}

static enum nestmig_error read_fact(struct nestmig_host *host, const struct nm_host_root *root,
				    const char *path, const char *name)
{
	char *text = NULL;
	enum nestmig_error error = nm_host_read_line(root, path, NM_HOST_VALUE_MAX, &text, NULL);

	if (error)
		return unless_missing(error);
	error = put_fact(host, name, text);
	free(text);
	return error;
}

/* The devices of the processors' key managers; a tree without dev says nothing. */
static enum nestmig_error read_devices(struct nestmig_host *host, const struct nm_host_root *root)
{
	if (!nm_host_has_file(root, "dev"))
		return NESTMIG_OK;
	return put_fact(host, "dev.sev", nm_host_has_file(root, "dev/sev") ? "yes" : "no");
}

enum nestmig_error nm_host_read_facts(struct nestmig_host *host, const struct nm_host_root *root,
				      struct nestmig_detail *detail)
{
	enum nestmig_error error = read_os(host, root);

	if (!error)
		error = read_build(host, root);
	if (!error)
		error = read_cpu(host, root);
	if (!error)
		error = read_fact(host, root,
				  "sys/devices/system/clocksource/clocksource0/current_clocksource",
				  "clocksource");
	if (!error)
		error = read_devices(host, root);
	return error ? nm_fail(detail, error, "cannot keep the facts of the host") : NESTMIG_OK;
}
