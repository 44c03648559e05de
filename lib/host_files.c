// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The host profile from files: proc and sys of the running system or of a captured tree, and the
 * kvm directory of a captured tree, which stands for what a live host answers by ioctl.
 *
 * proc and sys report sizes of 0 or 4096 whatever they hold, so files are read up to a limit rather
 * than by their size. Names are opened below a directory and their last part is never a symbolic
 * link that is followed.
 */
#include "host_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "error.h"

#define CPUID_ENTRY_SIZE 40 /* struct kvm_cpuid_entry2 */
#define MSR_ENTRY_SIZE   16 /* struct kvm_msr_entry */
#define CAPS_FILE_MAX    (64 * 1024)
#define CPUINFO_HEAD     (16 * 1024) /* vendor_id is in the second line */
#define VERSION_MAX      4096
#define PATH_SIZE        (64 + 256) /* of a name below the root; NAME_MAX is 255 */

/* ---- One file -------------------------------------------------------------------------------- */

enum nestmig_error nm_host_open_file(const struct nm_host_root *root, const char *path, int *ret_fd,
				     struct nestmig_detail *detail)
{
	/* O_NONBLOCK: a fifo in a hostile tree must not hang. */
	int fd = openat(root->fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == EPERM))
		return nm_fail(detail, NESTMIG_ERR_NOT_FOUND, "%s%s: %s", root->prefix, path,
			       strerror(errno));
	if (fd < 0 && errno == ELOOP)
		return nm_fail(
			detail, NESTMIG_ERR_FORMAT,
			"%s%s is a symbolic link; files of a captured host are regular files",
			root->prefix, path);
	if (fd < 0)
		return nm_fail_errno(detail, "cannot open %s%s", root->prefix, path);
	*ret_fd = fd;
	return NESTMIG_OK;
}

bool nm_host_has_file(const struct nm_host_root *root, const char *path)
{
	int fd = openat(root->fd, path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static enum nestmig_error check_regular(int fd, const char *name, struct nestmig_detail *detail)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return nm_fail_errno(detail, "%s", name);
	if (!S_ISREG(st.st_mode))
		return nm_fail(detail, NESTMIG_ERR_FORMAT, "%s is not a regular file", name);
	return NESTMIG_OK;
}

/* Reads up to size bytes; fewer only at the end of the file. Negative: errno. */
static ssize_t read_up_to(int fd, char *buffer, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(fd, buffer + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

enum nestmig_error nm_host_read_fd(int fd, const char *name, size_t limit, bool head,
				   char **ret_text, size_t *ret_size, struct nestmig_detail *detail)
{
	enum nestmig_error error = check_regular(fd, name, detail);
	char *text;
	ssize_t size;

	if (error)
		return error;
	text = malloc(limit + 1);
	if (!text)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	size = read_up_to(fd, text, limit + 1);
	if (size < 0)
		error = nm_fail_errno(detail, "reading %s", name);
	else if ((size_t)size > limit && !head)
		error = nm_fail_at(detail, NESTMIG_ERR_LIMIT, limit, "%s is longer than %zu bytes",
				   name, limit);
	if (error) {
		free(text);
		return error;
	}
	if ((size_t)size > limit)
		size = (ssize_t)limit;
	text[size] = '\0';
	*ret_text = text;
	*ret_size = (size_t)size;
	return NESTMIG_OK;
}

enum nestmig_error nm_host_read_file(const struct nm_host_root *root, const char *path,
				     size_t limit, bool head, char **ret_text, size_t *ret_size,
				     struct nestmig_detail *detail)
{
	char name[PATH_SIZE + 1];
	int fd = -1;
	enum nestmig_error error = nm_host_open_file(root, path, &fd, detail);

	if (error)
		return error;
	snprintf(name, sizeof(name), "%s%s", root->prefix, path);
	error = nm_host_read_fd(fd, name, limit, head, ret_text, ret_size, detail);
	close(fd);
	return error;
}

enum nestmig_error nm_host_read_line(const struct nm_host_root *root, const char *path,
				     size_t limit, char **ret_text, struct nestmig_detail *detail)
{
	char *text = NULL;
	size_t size = 0, good;
	enum nestmig_error error =
		nm_host_read_file(root, path, limit + 1, false, &text, &size, detail);

	if (error)
		return error;
	if (size && text[size - 1] == '\n')
		text[--size] = '\0';
	good = nm_host_text_length(text, size, true);
	if (good < size) {
		free(text);
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, good,
				  "%s%s is not one line of printable text", root->prefix, path);
	}
	*ret_text = text;
	return NESTMIG_OK;
}

/* ---- proc and sys ---------------------------------------------------------------------------- */

/* A fact that is not there stays unknown. */
static enum nestmig_error unless_missing(enum nestmig_error error)
{
	return error == NESTMIG_ERR_NOT_FOUND ? NESTMIG_OK : error;
}

/* proc/version: "Linux version 6.1.0-37-amd64 (...". */
static enum nestmig_error read_proc_version(struct nestmig_host *host,
					    const struct nm_host_root *root,
					    struct nestmig_detail *detail)
{
	static const char start[] = "Linux version ";
	const char *path = "proc/version", *release;
	char *text = NULL;
	enum nestmig_error error = nm_host_read_line(root, path, VERSION_MAX, &text, detail);

	if (error)
		return unless_missing(error);
	if (strncmp(text, start, sizeof(start) - 1)) {
		free(text);
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, 0, "%s%s does not start with \"%s\"",
				  root->prefix, path, start);
	}
	release = text + sizeof(start) - 1;
	error = nm_host_set_kernel(host, release, strcspn(release, " "), detail);
	free(text);
	return error;
}

static enum nestmig_error read_kernel(struct nestmig_host *host, const struct nm_host_root *root,
				      struct nestmig_detail *detail)
{
	char *text;
	enum nestmig_error error = nm_host_read_line(root, "proc/sys/kernel/osrelease",
						     NM_HOST_KERNEL_MAX, &text, detail);

	if (error == NESTMIG_ERR_NOT_FOUND)
		return read_proc_version(host, root, detail);
	if (error)
		return error;
	error = nm_host_set_kernel(host, text, strlen(text), detail);
	free(text);
	return error;
}

static enum nestmig_error read_param(struct nestmig_host *host, const struct nm_host_root *root,
				     const char *module, const char *name,
				     struct nestmig_detail *detail)
{
	char path[PATH_SIZE], *value = NULL;
	enum nestmig_error error;

	if (strlen(name) > NM_HOST_NAME_MAX)
		return nm_fail(detail, NESTMIG_ERR_LIMIT,
			       "%ssys/module/%s/parameters has a name longer than %d bytes",
			       root->prefix, module, NM_HOST_NAME_MAX);
	snprintf(path, sizeof(path), "sys/module/%s/parameters/%s", module, name);
	error = nm_host_read_line(root, path, NM_HOST_VALUE_MAX, &value, detail);
	if (error)
		return unless_missing(error);
	error = nm_host_set_param(host, module, name, value, detail);
	free(value);
	if (error == NESTMIG_ERR_FORMAT)
		return nm_fail(detail, error,
			       "%ssys/module/%s/parameters has a name that no "
			       "module parameter has",
			       root->prefix, module);
	return error;
}

static int by_name(const void *a, const void *b)
{
	const struct nm_named_value *left = a, *right = b;

	return strcmp(left->name, right->name);
}

/* sys/module/MODULE/parameters, in the order of the names. */
static enum nestmig_error read_module(struct nestmig_host *host, const struct nm_host_root *root,
				      const char *module, struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;
	size_t before = host->param_count;
	const struct dirent *entry;
	char path[64];
	DIR *dir;
	int fd;

	snprintf(path, sizeof(path), "sys/module/%s/parameters", module);
	fd = openat(root->fd, path, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
	if (fd < 0 && (errno == ENOENT || errno == EACCES || errno == EPERM))
		return NESTMIG_OK;
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		error = nm_fail_errno(detail, "cannot open %s%s", root->prefix, path);
		if (fd >= 0)
			close(fd);
		return error;
	}
	while (!error && (errno = 0, entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			error = read_param(host, root, module, entry->d_name, detail);
	if (!error && errno)
		error = nm_fail_errno(detail, "reading %s%s", root->prefix, path);
	closedir(dir);
	if (!error && host->param_count > before)
		qsort(host->params + before, host->param_count - before, sizeof(*host->params),
		      by_name);
	return error;
}

/* "vendor_id : AuthenticAMD" of proc/cpuinfo. */
static enum nestmig_error read_cpuinfo_vendor(struct nestmig_host *host,
					      const struct nm_host_root *root,
					      struct nestmig_detail *detail)
{
	char *text = NULL, *line, id[13] = "";
	size_t size = 0;
	enum nestmig_error error =
		nm_host_read_file(root, "proc/cpuinfo", CPUINFO_HEAD, true, &text, &size, detail);

	if (error)
		return unless_missing(error);
	line = strncmp(text, "vendor_id", 9) ? strstr(text, "\nvendor_id") : text;
	line = line ? strchr(line, ':') : NULL;
	if (line && line[1] == ' ')
		snprintf(id, sizeof(id), "%s", line + 2);
	free(text);
	host->view.vendor = nm_host_vendor_of_id(id);
	return NESTMIG_OK;
}

enum nestmig_error nm_host_read_system(struct nestmig_host *host, const struct nm_host_root *root,
				       struct nestmig_detail *detail)
{
	static const char *const modules[] = {"kvm", "kvm_amd", "kvm_intel"};
	enum nestmig_error error = read_kernel(host, root, detail);

	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]) && !error; i++)
		error = read_module(host, root, modules[i], detail);
	if (!error)
		error = nm_host_read_facts(host, root, detail);
	if (error)
		return error;
	nm_host_finish(host);
	if (host->view.vendor != NESTMIG_VENDOR_UNKNOWN)
		return NESTMIG_OK;
	return read_cpuinfo_vendor(host, root, detail);
}

/* ---- kvm of a captured tree ------------------------------------------------------------------ */

/* A file that is an array of entries of one size; ret_text is the caller's. */
static enum nestmig_error read_array(const struct nm_host_root *root, const char *path,
				     size_t entry_size, size_t most, char **ret_text,
				     size_t *ret_count, struct nestmig_detail *detail)
{
	char *text = NULL;
	size_t size = 0;
	enum nestmig_error error =
		nm_host_read_file(root, path, entry_size * most, false, &text, &size, detail);

	if (error)
		return error;
	if (size % entry_size) {
		free(text);
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, size - size % entry_size,
				  "%s%s is an array of %zu-byte entries, and the last has %zu "
				  "bytes",
				  root->prefix, path, entry_size, size % entry_size);
	}
	*ret_text = text;
	*ret_count = size / entry_size;
	return NESTMIG_OK;
}

/* kvm/supported_cpuid: struct kvm_cpuid_entry2 {function, index, flags, eax, ebx, ecx, edx, pad}.
 */
static enum nestmig_error read_cpuid(struct nestmig_host *host, const struct nm_host_root *root,
				     struct nestmig_detail *detail)
{
	char *text = NULL;
	size_t count = 0;
	enum nestmig_error error = read_array(root, "kvm/supported_cpuid", CPUID_ENTRY_SIZE,
					      NM_HOST_CPUID_MAX, &text, &count, detail);

	if (error)
		return unless_missing(error);
	for (size_t i = 0; i < count && !error; i++) {
		const uint8_t *p = (const uint8_t *)text + i * CPUID_ENTRY_SIZE;
		struct nm_cpuid_entry entry = {
			.function = nm_le32(p),
			.index = nm_le32(p + 4),
			.flags = nm_le32(p + 8),
			.eax = nm_le32(p + 12),
			.ebx = nm_le32(p + 16),
			.ecx = nm_le32(p + 20),
			.edx = nm_le32(p + 24),
		};

		error = nm_host_add_cpuid(host, &entry, 1);
	}
	free(text);
	return error ? nm_fail(detail, error, "cannot keep the CPUID entries") : NESTMIG_OK;
}

/* kvm/feature_msrs: struct kvm_msr_entry {index, reserved, data}. */
static enum nestmig_error read_msrs(struct nestmig_host *host, const struct nm_host_root *root,
				    struct nestmig_detail *detail)
{
	char *text = NULL;
	size_t count = 0;
	enum nestmig_error error = read_array(root, "kvm/feature_msrs", MSR_ENTRY_SIZE,
					      NM_HOST_MSRS_MAX, &text, &count, detail);

	if (error)
		return unless_missing(error);
	for (size_t i = 0; i < count && !error; i++) {
		const uint8_t *p = (const uint8_t *)text + i * MSR_ENTRY_SIZE;
		struct nm_msr msr = {.index = nm_le32(p), .value = nm_le64(p + 8)};

		error = nm_host_add_msrs(host, &msr, 1);
	}
	free(text);
	return error ? nm_fail(detail, error, "cannot keep the feature MSRs") : NESTMIG_OK;
}

/* A decimal number of 1 to 10 digits that ends the line. */
static bool parse_value(const char *text, uint32_t *ret_value)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long long value;

	if (!digits || digits > 10 || text[digits])
		return false;
	value = strtoull(text, NULL, 10);
	if (value > INT32_MAX)
		return false;
	*ret_value = (uint32_t)value;
	return true;
}

/* "NAME VALUE"; empty lines and those that start with '#' say nothing. */
static enum nestmig_error read_cap_line(struct nestmig_host *host, char *line)
{
	size_t name = strcspn(line, " \t"), gap = strspn(line + name, " \t");
	uint32_t value;

	if (!*line || *line == '#')
		return NESTMIG_OK;
	if (!gap || !parse_value(line + name + gap, &value))
		return NESTMIG_ERR_FORMAT;
	line[name] = '\0';
	return nm_host_set_cap(host, line, value, NULL);
}

/* kvm/capabilities: a line for each KVM_CHECK_EXTENSION. */
static enum nestmig_error read_caps(struct nestmig_host *host, const struct nm_host_root *root,
				    struct nestmig_detail *detail)
{
	const char *path = "kvm/capabilities";
	size_t size = 0, offset = 0;
	char *text = NULL;
	enum nestmig_error error =
		nm_host_read_file(root, path, CAPS_FILE_MAX, false, &text, &size, detail);

	if (error)
		return unless_missing(error);
	while (offset < size && !error) {
		size_t length = strcspn(text + offset, "\n");

		if (offset + length < size && text[offset + length] != '\n') {
			error = nm_fail_at(detail, NESTMIG_ERR_FORMAT, offset + length,
					   "%s%s has a zero byte", root->prefix, path);
			break;
		}
		text[offset + length] = '\0';
		error = read_cap_line(host, text + offset);
		if (error)
			nm_fail_at(detail, error, offset,
				   "%s%s: a line is not \"NAME VALUE\", a capability and a decimal "
				   "number up to 2147483647, or there are too many",
				   root->prefix, path);
		offset += length + 1;
	}
	free(text);
	return error;
}

/* A directory that holds no part of a profile is a wrong argument rather than an unknown host. */
static enum nestmig_error check_tree(const struct nm_host_root *root, struct nestmig_detail *detail)
{
	static const char *const parts[] = {"proc", "sys", "kvm"};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (nm_host_has_file(root, parts[i]))
			return NESTMIG_OK;
	return nm_fail(detail, NESTMIG_ERR_NOT_FOUND,
		       "no directory proc, sys or kvm in it: this is no captured host");
}

enum nestmig_error nestmig_host_tree(const char *path, struct nestmig_host **ret_host,
				     struct nestmig_detail *detail)
{
	struct nm_host_root root = {.fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECTORY),
				    .prefix = ""};
	struct nestmig_host *host = NULL;
	enum nestmig_error error;

	if (root.fd < 0)
		return nm_fail_errno(detail, "cannot open directory %s", path);
	error = check_tree(&root, detail);
	if (!error)
		error = nm_host_new(&host, detail);
	if (!error)
		error = nm_host_read_system(host, &root, detail);
	if (!error)
		error = read_caps(host, &root, detail);
	if (!error)
		error = read_msrs(host, &root, detail);
	if (!error)
		error = read_cpuid(host, &root, detail);
	close(root.fd);
	if (error) {
		nestmig_host_free(host);
		return error;
	}
	nm_host_finish(host);
	*ret_host = host;
	return NESTMIG_OK;
}
