// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The snapshot table of a qcow2 image. It is walked once, entry by entry: what is kept does not grow with
 * the table. An entry that is not understood is an error even where another one is wanted: what follows it
 * could not be found.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bytes.h"
#include "error.h"
#include "qcow2_internal.h"

#define ENTRY_SIZE      40
#define EXTRA_MAX       1024  /* QCOW_MAX_SNAPSHOT_EXTRA_DATA */
#define SNAPSHOTS_MAX   65536 /* QCOW_MAX_SNAPSHOTS */
#define EXTRA_VM_SIZE   8     /* extra data up to and with the 64-bit VM state size */
#define EXTRA_DISK_SIZE 16    /* ... the disk size */
#define LIST_MAX        300

/* What the walk finds. */
struct choice {
	const char *wanted; /* NULL: any with VM state */
	struct qcow2_snapshot found;
	size_t found_count; /* entries that are wanted */
	size_t listed, left_off;
	char list[LIST_MAX]; /* of the entries that come into question: id, name, date */
};

static enum nestmig_error read_text(struct nm_source *image, uint64_t offset, size_t length,
				    char *text, size_t room, const char *what,
				    struct nestmig_detail *detail)
{
	enum nestmig_error error;

	if (length >= room)
		return nm_fail_at(detail, NESTMIG_ERR_LIMIT, offset,
				  "the %s of a snapshot has %zu bytes, more than %zu", what, length,
				  room - 1);
	error = nm_source_read(image, offset, text, length, detail);
	if (error)
		return error;
	text[length] = '\0';
	if (strlen(text) != length)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, offset,
				  "the %s of a snapshot has a zero byte", what);
	return NESTMIG_OK;
}

/* Reads the entry at *offset, which then is that of the next one. */
static enum nestmig_error read_entry(struct nm_source *image, const struct qcow2_header *header,
				     uint64_t *offset, struct qcow2_snapshot *ret_snapshot,
				     struct nestmig_detail *detail)
{
	uint8_t p[ENTRY_SIZE], extra[EXTRA_DISK_SIZE] = {0};
	struct qcow2_snapshot snapshot = {.disk_size = header->disk_size};
	enum nestmig_error error = nm_source_read(image, *offset, p, sizeof(p), detail);
	uint32_t extra_size, known;
	uint64_t at, size;

	if (error)
		return error;
	extra_size = nm_be32(p + 36);
	if (extra_size > EXTRA_MAX)
		return nm_fail_at(detail, NESTMIG_ERR_LIMIT, *offset + 36,
				  "a snapshot has %" PRIu32 " bytes of extra data, more than %d",
				  extra_size, EXTRA_MAX);
	known = extra_size < sizeof(extra) ? extra_size : (uint32_t)sizeof(extra);
	at = *offset + ENTRY_SIZE;
	error = nm_source_read(image, at, extra, known, detail);
	if (error)
		return error;
	snapshot.l1_offset = nm_be64(p);
	snapshot.l1_entries = nm_be32(p + 8);
	snapshot.date = nm_be32(p + 16);
	snapshot.vm_state_size = known >= EXTRA_VM_SIZE ? nm_be64(extra) : nm_be32(p + 32);
	if (known >= EXTRA_DISK_SIZE)
		snapshot.disk_size = nm_be64(extra + 8);
	at += extra_size;
	error = read_text(image, at, nm_be16(p + 12), snapshot.id, sizeof(snapshot.id), "id",
			  detail);
	at += nm_be16(p + 12);
	if (!error)
		error = read_text(image, at, nm_be16(p + 14), snapshot.name, sizeof(snapshot.name),
				  "name", detail);
	if (error)
		return error;
	size = at + nm_be16(p + 14) - *offset;
	*offset += (size + 7) & ~UINT64_C(7);
	*ret_snapshot = snapshot;
	return NESTMIG_OK;
}

/* Puts an entry on the list of an error. Names are foreign: what is not plain ASCII becomes '?'. */
static void list_entry(struct choice *choice, const struct qcow2_snapshot *snapshot)
{
	size_t used = strlen(choice->list);
	time_t seconds = (time_t)snapshot->date;
	char line[128], date[32] = "";
	struct tm tm;
	int length;

	if (gmtime_r(&seconds, &tm))
		strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
	length = snprintf(line, sizeof(line), "%s\"%.40s\" (id %.20s, %s UTC%s)",
			  choice->listed ? ", " : "", snapshot->name, snapshot->id, date,
			  snapshot->vm_state_size ? "" : ", no VM state");
	for (char *p = line; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	if (choice->left_off || (size_t)length >= sizeof(choice->list) - used) {
		choice->left_off++;
		return;
	}
	strcpy(choice->list + used, line);
	choice->listed++;
}

static void consider(struct choice *choice, const struct qcow2_snapshot *snapshot)
{
	bool is_wanted = choice->wanted ? strcmp(snapshot->name, choice->wanted) == 0 ||
						  strcmp(snapshot->id, choice->wanted) == 0
					: snapshot->vm_state_size > 0;

	if (is_wanted && choice->found_count++ == 0)
		choice->found = *snapshot;
	list_entry(choice, snapshot);
}

static enum nestmig_error decide(const struct choice *choice, struct nestmig_detail *detail)
{
	char more[40] = "";

	if (choice->left_off)
		snprintf(more, sizeof(more), " and %zu more", choice->left_off);
	if (choice->found_count == 0 && choice->wanted)
		return nm_fail(detail, NESTMIG_ERR_NOT_FOUND,
			       "no snapshot has this name or id; there are %s%s", choice->list,
			       more);
	if (choice->found_count == 0)
		return nm_fail(detail, NESTMIG_ERR_NOT_FOUND,
			       "no snapshot in this image has VM state: %s%s", choice->list, more);
	if (choice->found_count > 1 && choice->wanted)
		return nm_fail(detail, NESTMIG_ERR_INVALID,
			       "several snapshots have this name or id, give what only one has: "
			       "%s%s",
			       choice->list, more);
	if (choice->found_count > 1)
		return nm_fail(detail, NESTMIG_ERR_INVALID,
			       "say which snapshot is meant (--snapshot NAME): %s%s", choice->list,
			       more);
	if (choice->found.vm_state_size == 0)
		return nm_fail(detail, NESTMIG_ERR_NOT_FOUND,
			       "this snapshot is one of the disk alone: it has no VM state");
	if (choice->found.vm_state_size > INT64_MAX)
		return nm_fail(detail, NESTMIG_ERR_FORMAT,
			       "the snapshot is said to have %" PRIu64 " bytes of VM state",
			       choice->found.vm_state_size);
	return NESTMIG_OK;
}

enum nestmig_error qcow2_find_snapshot(struct nm_source *image, const struct qcow2_header *header,
				       const char *wanted, struct qcow2_snapshot *ret_snapshot,
				       struct nestmig_detail *detail)
{
	struct choice choice = {.wanted = wanted};
	uint64_t offset = header->snapshots_offset;
	enum nestmig_error error = NESTMIG_OK;

	if (header->snapshot_count == 0)
		return nm_fail(
			detail, NESTMIG_ERR_NOT_FOUND,
			"this qcow2 image has no internal snapshot, so it holds a disk and no "
			"VM state");
	if (header->snapshot_count > SNAPSHOTS_MAX)
		return nm_fail_at(detail, NESTMIG_ERR_LIMIT, 60,
				  "the image claims %" PRIu32 " snapshots, more than %d",
				  header->snapshot_count, SNAPSHOTS_MAX);
	for (uint32_t i = 0; i < header->snapshot_count && !error; i++) {
		struct qcow2_snapshot snapshot;

		error = read_entry(image, header, &offset, &snapshot, detail);
		if (!error)
			consider(&choice, &snapshot);
	}
	if (!error)
		error = decide(&choice, detail);
	if (!error)
		*ret_snapshot = choice.found;
	return error;
}
