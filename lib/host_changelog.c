// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The changelog of the kernel's package as evidence. Debian's names every patch of the stable releases that a
 * version takes in, by its title, wrapped at 80 columns; those of other distributions have titles or commits
 * too. Newest entries come first, and the package that is installed may be newer than the kernel that runs: what
 * stands above the running version is not looked at.
 */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#include "error.h"
#include "host_advisories.h"
#include "host_parts.h"

#define UNPACKED_MAX ((size_t)64 * 1024 * 1024) /* Debian's have 4 MiB */
#define CHUNK        ((size_t)1024 * 1024)
#define VERSION_SIZE 64

/* ---- The version ----------------------------------------------------------------------------- */

/* Of Debian, "Debian 6.1.192-2 " in what uname -v says. */
static bool debian_version(const char *build, char *ret_version)
{
	static const char mark[] = "Debian ";
	const char *at = strstr(build, mark);
	size_t length;

	if (!at)
		return false;
	at += sizeof(mark) - 1;
	length = strcspn(at, " ");
	if (!length || length >= VERSION_SIZE)
		return false;
	memcpy(ret_version, at, length);
	ret_version[length] = '\0';
	return true;
}

/* Of Ubuntu, "6.8.0-45-generic" and "#45-Ubuntu" or "#45~22.04.1-Ubuntu" are 6.8.0-45.45 and 6.8.0-45.45~22.04.1. */
static bool ubuntu_version(const char *release, const char *build, char *ret_version)
{
	const char *mark = strstr(build, "-Ubuntu"), *dash = strchr(release, '-');
	size_t base = dash ? (size_t)(dash - release) + 1 + strspn(dash + 1, "0123456789") : 0;

	if (!mark || *build != '#' || !base)
		return false;
	return snprintf(ret_version, VERSION_SIZE, "%.*s.%.*s", (int)base, release,
			(int)(mark - build - 1), build + 1) < VERSION_SIZE;
}

static bool package_version(const struct nestmig_host *host, char *ret_version)
{
	const char *build = nm_host_get(&host->facts, "kernel.build");

	if (!build || !host->kernel)
		return false;
	return debian_version(build, ret_version) ||
	       ubuntu_version(host->kernel, build, ret_version);
}

/* ---- The search ------------------------------------------------------------------------------ */

/* Runs of white space become one space, so that a title is found across lines; zero bytes too. */
static void flatten(char *text, size_t size)
{
	size_t to = 0;

	for (size_t i = 0; i < size; i++) {
		bool space = !text[i] || isspace((unsigned char)text[i]);

		if (!space || (to && text[to - 1] != ' '))
			text[to++] = space ? ' ' : text[i];
	}
	text[to] = '\0';
}

/* Where the entry of a version starts: its heading "(VERSION)", or "Sign kernel from linux VERSION". */
static const char *entry_of(const char *text, const char *version)
{
	static const struct {
		const char *before, *after;
	} forms[] = {{" (", ") "}, {" from linux ", " "}};
	const char *first = NULL;

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		char wanted[VERSION_SIZE + 32];
		const char *at;

		snprintf(wanted, sizeof(wanted), "%s%s%s", forms[i].before, version,
			 forms[i].after);
		at = strstr(text, wanted);
		if (at && (!first || at < first))
			first = at;
	}
	return first;
}

/* The first place that has one of the marks of a commit, or NULL. */
static const char *find_commit(const char *text, const struct nm_advisory *advisory)
{
	const char *const marks[] = {advisory->title, advisory->cve, advisory->id};
	const char *first = NULL;

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		const char *at = *marks[i] ? strstr(text, marks[i]) : NULL;

		if (at && (!first || at < first))
			first = at;
	}
	return first;
}

/* Is what stands at a place the title of a commit that takes another one back? */
static bool is_revert(const char *text, const char *at)
{
	static const char mark[] = "Revert \"";

	return at - text >= (ptrdiff_t)sizeof(mark) - 1 &&
	       !strncmp(at - (sizeof(mark) - 1), mark, sizeof(mark) - 1);
}

enum nestmig_error nm_host_search_changelog(struct nestmig_host *host, char *text,
					    const char *version, struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;
	const char *start;

	flatten(text, strlen(text));
	start = version ? entry_of(text, version) : text;
	for (size_t i = 0; start && i < nm_advisory_count && !error; i++) {
		const struct nm_advisory *advisory = &nm_advisories[i];
		const char *at = find_commit(start, advisory);

		if (at)
			error = nm_host_put(&host->changelog, advisory->id,
					    is_revert(text, at) ? "reverted" : "has", detail);
		else if (*advisory->title)
			error = nm_host_put(&host->changelog, advisory->id, "lacks", detail);
	}
	return error;
}

/* ---- The file -------------------------------------------------------------------------------- */

/* Unpacks a gzip file, or reads a plain one; ret_text is the caller's. */
static enum nestmig_error unpack(gzFile file, char **ret_text, struct nestmig_detail *detail)
{
	size_t used = 0, size = 0;
	char *text = NULL;
	int n;

	do {
		if (used + CHUNK + 1 > size) {
			char *more = realloc(text, size + 4 * CHUNK);

			if (!more) {
				free(text);
				return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
			}
			text = more;
			size += 4 * CHUNK;
		}
		n = gzread(file, text + used, (unsigned)CHUNK);
		used += n > 0 ? (size_t)n : 0;
	} while (n > 0 && used <= UNPACKED_MAX);
	for (size_t i = 0; i < used; i++)
		if (!text[i])
			text[i] = ' ';
	text[used] = '\0';
	if (n == 0) {
		*ret_text = text;
		return NESTMIG_OK;
	}
	free(text);
	if (n > 0)
		return nm_fail(detail, NESTMIG_ERR_LIMIT,
			       "the changelog of the kernel's package has more than %zu bytes",
			       UNPACKED_MAX);
	return nm_fail(detail, NESTMIG_ERR_FORMAT,
		       "the changelog of the kernel's package is damaged");
}

/* Takes over fd. */
static enum nestmig_error read_text(int fd, char **ret_text, struct nestmig_detail *detail)
{
	gzFile file = gzdopen(fd, "r");
	enum nestmig_error error;

	if (!file) {
		close(fd);
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	}
	error = unpack(file, ret_text, detail);
	gzclose(file);
	return error;
}

static bool open_changelog(const struct nm_host_root *root, const char *release, int *ret_fd)
{
	static const char *const packages[] = {"linux-image", "linux-image-unsigned",
					       "linux-modules"};
	static const char *const names[] = {"changelog.Debian.gz", "changelog.gz"};
	char path[64 + NM_HOST_KERNEL_MAX];

	for (size_t p = 0; p < sizeof(packages) / sizeof(packages[0]); p++) {
		for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
			snprintf(path, sizeof(path), "usr/share/doc/%s-%s/%s", packages[p], release,
				 names[n]);
			if (!nm_host_open_file(root, path, ret_fd, NULL))
				return true;
		}
	}
	return false;
}

enum nestmig_error nm_host_read_changelog(struct nestmig_host *host, const char *root,
					  struct nestmig_detail *detail)
{
	struct nm_host_root tree = {.fd = open(root, O_RDONLY | O_CLOEXEC | O_DIRECTORY),
				    .prefix = ""};
	enum nestmig_error error = NESTMIG_OK;
	char version[VERSION_SIZE], *text = NULL;
	bool found;
	int fd = -1;

	if (tree.fd < 0)
		return nm_fail_errno(detail, "cannot open directory %s", root);
	/* A release with a slash is no name of a package. */
	found = package_version(host, version) && !strchr(host->kernel, '/') &&
		open_changelog(&tree, host->kernel, &fd);
	close(tree.fd);
	if (!found)
		return NESTMIG_OK;
	error = read_text(fd, &text, detail);
	if (!error)
		error = nm_host_search_changelog(host, text, version, detail);
	free(text);
	return error;
}
