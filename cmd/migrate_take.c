// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig migrate: device state and guest memory out of a QEMU, without files. */
#include "migrate_take.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"

/* More than a machine with every memory slot in use has. */
#define RANGES_MAX 4096

/* ---- Descriptors ------------------------------------------------------------------------------ */

/* *ret_fd: its number in QEMU. */
static enum nestmig_error add_fd(struct take *take, int fd, json_int_t *ret_set, json_int_t *ret_fd,
				 struct nestmig_detail *detail)
{
	json_t *reply = NULL, *none = json_object();
	enum nestmig_error error =
		live_execute(take->live, "add-fd", none, fd, LIVE_REPLY_MS, &reply, detail);

	if (!error && json_unpack(reply, "{s:I, s:I}", "fdset-id", ret_set, "fd", ret_fd))
		error = nm_fail(detail, NESTMIG_ERR_QMP, "the reply to add-fd has no \"fdset-id\"");
	json_decref(none);
	json_decref(reply);
	return error;
}

/* QEMU opens /dev/fdset/N for writing, so the descriptor it is given must be just that. */
static enum nestmig_error open_writer(struct take *take, struct nestmig_detail *detail)
{
	char path[64];

	take->memory = memfd_create("nestmig-state", MFD_CLOEXEC);
	if (take->memory < 0)
		return nm_fail_errno(detail, "memfd_create");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", take->memory);
	take->writer = open(path, O_WRONLY | O_CLOEXEC);
	return take->writer < 0 ? nm_fail_errno(detail, "opening %s", path) : NESTMIG_OK;
}

enum nestmig_error take_open(struct take *take, struct live *live, struct nestmig_detail *detail)
{
	enum nestmig_error error;
	json_int_t fd;

	*take = (struct take){.live = live,
			      .memory = -1,
			      .writer = -1,
			      .page_memory = -1,
			      .set = -1,
			      .page_set = -1};
	error = open_writer(take, detail);
	if (!error)
		error = add_fd(take, take->writer, &take->set, &fd, detail);
	if (error)
		return error;
	take->page_memory = memfd_create("nestmig-page", MFD_CLOEXEC);
	if (take->page_memory < 0)
		return nm_fail_errno(detail, "memfd_create");
	error = add_fd(take, take->page_memory, &take->page_set, &fd, detail);
	/* pmemsave of QEMU up to 10 opens its file with fopen(), which knows nothing of fdsets. */
	if (!error)
		snprintf(take->page_path, sizeof(take->page_path), "/proc/self/fd/%lld",
			 (long long)fd);
	return error;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void take_close(struct take *take)
{
	close_fd(&take->memory);
	close_fd(&take->writer);
	close_fd(&take->page_memory);
}

void take_remove(struct take *take)
{
	json_int_t *const sets[] = {&take->set, &take->page_set};

	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		json_t *arguments = json_pack("{s:I}", "fdset-id", *sets[i]);

		/* It fails only where the monitor is gone, and the descriptors with it. */
		if (*sets[i] >= 0)
			(void)!live_execute(take->live, "remove-fd", arguments, -1, LIVE_REPLY_MS,
					    NULL, NULL);
		*sets[i] = -1;
		json_decref(arguments);
	}
}

/* ---- Taking ----------------------------------------------------------------------------------- */

enum nestmig_error take_state(struct take *take, int timeout_ms, struct nestmig_detail *detail)
{
	enum nestmig_error error;
	json_t *arguments;
	char name[64];

	/* QEMU writes from where the descriptor stands, which both sides share. */
	if (ftruncate(take->memory, 0) < 0 || lseek(take->writer, 0, SEEK_SET) < 0)
		return nm_fail_errno(detail, "making room for the device state");
	snprintf(name, sizeof(name), "/dev/fdset/%lld", (long long)take->set);
	/* live=true, the default, would give up the image locks of a paused VM. */
	arguments = json_pack("{s:s, s:b}", "filename", name, "live", 0);
	error = live_execute(take->live, "xen-save-devices-state", arguments, -1, timeout_ms, NULL,
			     detail);
	json_decref(arguments);
	return error;
}

bool take_page(void *ctx, uint64_t gpa, uint8_t *page)
{
	struct take *take = ctx;
	enum nestmig_error error;
	json_t *arguments;

	if (take->page_memory < 0 || ftruncate(take->page_memory, 0) < 0)
		return false;
	arguments = json_pack("{s:I, s:I, s:s}", "val", (json_int_t)gpa, "size",
			      (json_int_t)NM_PAGE_SIZE, "filename", take->page_path);
	error = live_execute(take->live, "pmemsave", arguments, -1, LIVE_REPLY_MS, NULL, NULL);
	json_decref(arguments);
	return !error && pread(take->page_memory, page, NM_PAGE_SIZE, 0) == (ssize_t)NM_PAGE_SIZE;
}

/* ---- What is RAM ------------------------------------------------------------------------------ */

/* "  FIRST-LAST (prio N, ram): NAME", in hexadecimal, of which one is a range. */
static bool is_ram_line(const char *line, size_t length, struct nm_range *ret_range)
{
	static const char kind[] = ", ram): ";
	uint64_t first, last;
	char text[128];
	int end = 0;

	if (length >= sizeof(text))
		length = sizeof(text) - 1;
	memcpy(text, line, length);
	text[length] = '\0';
	if (sscanf(text, " %" SCNx64 "-%" SCNx64 " (prio %*d%n", &first, &last, &end) != 2 ||
	    !end || strncmp(text + end, kind, sizeof(kind) - 1) != 0 || last < first ||
	    last - first == UINT64_MAX)
		return false;
	*ret_range = (struct nm_range){.gpa = first, .length = last - first + 1};
	return true;
}

static bool begins(const char *line, size_t length, const char *with)
{
	size_t n = strlen(with);

	return length >= n && memcmp(line, with, n) == 0;
}

/* The flat view that the address space "memory" has is the one that a vCPU outside SMM sees. */
enum nestmig_error take_ram_text(const char *text, struct nm_range **ret_ranges, size_t *ret_count)
{
	struct nm_range *ranges = calloc(RANGES_MAX, sizeof(*ranges));
	bool is_memory = false;
	size_t count = 0;

	if (!ranges)
		return NESTMIG_ERR_NOMEM;
	while (*text && count < RANGES_MAX) {
		size_t length = strcspn(text, "\n");

		if (begins(text, length, "FlatView "))
			is_memory = false;
		else if (begins(text, length, " AS \"memory\","))
			is_memory = true;
		else if (is_memory && is_ram_line(text, length, &ranges[count]))
			count++;
		text += length + (text[length] == '\n');
	}
	*ret_ranges = ranges;
	*ret_count = count;
	return NESTMIG_OK;
}

enum nestmig_error take_ram(struct live *live, struct nm_range **ret_ranges, size_t *ret_count,
			    struct nestmig_detail *detail)
{
	json_t *arguments = json_pack("{s:s}", "command-line", "info mtree -f"), *reply = NULL;
	enum nestmig_error error = live_execute(live, "human-monitor-command", arguments, -1,
						LIVE_REPLY_MS, &reply, detail);

	json_decref(arguments);
	if (error)
		return error;
	error = take_ram_text(json_is_string(reply) ? json_string_value(reply) : "", ret_ranges,
			      ret_count);
	json_decref(reply);
	return error ? nm_fail(detail, error, "out of memory") : NESTMIG_OK;
}
