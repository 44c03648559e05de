// SPDX-License-Identifier: LGPL-2.1-or-later
/* Events: the callback, the bounded queue, waiting. */
#include "qmp_internal.h"

#include <stdlib.h>
#include <string.h>

const char *qmp_event_name(const json_t *event)
{
	return json_string_value(json_object_get(event, "event"));
}

json_t *qmp_event_data(const json_t *event)
{
	return json_object_get(event, "data");
}

int64_t qmp_event_time(const json_t *event)
{
	const json_t *timestamp = json_object_get(event, "timestamp");
	const json_t *seconds = json_object_get(timestamp, "seconds");
	const json_t *micro = json_object_get(timestamp, "microseconds");
	int64_t s = json_integer_value(seconds);
	int64_t us = json_integer_value(micro);

	/* QEMU sends -1 for both when its clock cannot be read. */
	if (!json_is_integer(seconds) || !json_is_integer(micro) || s < 0 ||
	    s > INT64_MAX / 1000000 - 1 || us < 0 || us >= 1000000)
		return -1;
	return s * 1000000 + us;
}

/* No names stand for any event. */
static bool is_named(const json_t *event, const char *const *names)
{
	const char *name = qmp_event_name(event);

	if (!names)
		return true;
	for (; *names; names++) {
		if (!strcmp(*names, name))
			return true;
	}
	return false;
}

/* Take the event after @before, or the oldest one, out of the queue. */
static json_t *unlink_event(struct qmp *q, struct qmp_queued *before)
{
	struct qmp_queued **link = before ? &before->next : &q->oldest;
	struct qmp_queued *taken = *link;
	json_t *event = taken->event;

	*link = taken->next;
	if (q->newest == taken)
		q->newest = before;
	q->events--;
	q->event_bytes -= taken->bytes;
	free(taken);
	return event;
}

static json_t *take_named(struct qmp *q, const char *const *names)
{
	struct qmp_queued *before = NULL;

	for (struct qmp_queued *e = q->oldest; e; before = e, e = e->next) {
		if (is_named(e->event, names))
			return unlink_event(q, before);
	}
	return NULL;
}

static void drop_oldest(struct qmp *q)
{
	json_decref(unlink_event(q, NULL));
	q->events_dropped++;
}

static void queue_event(struct qmp *q, json_t *event, size_t bytes)
{
	struct qmp_queued *e = NULL;

	if (bytes <= q->limits.event_bytes)
		e = malloc(sizeof(*e));
	if (!e) {
		q->events_dropped++;
		return;
	}
	while (q->oldest &&
	       (q->events >= q->limits.events || q->event_bytes > q->limits.event_bytes - bytes))
		drop_oldest(q);

	*e = (struct qmp_queued){.event = json_incref(event), .bytes = bytes};
	if (q->newest)
		q->newest->next = e;
	else
		q->oldest = e;
	q->newest = e;
	q->events++;
	q->event_bytes += bytes;
}

/* The event that is waited for goes past the queue, and so cannot be dropped from it. */
void qmp_event_arrived(struct qmp *q, json_t *event, size_t bytes)
{
	bool consumed = false;

	if (q->on_event) {
		q->in_callback = true;
		consumed = q->on_event(event, q->on_event_context);
		q->in_callback = false;
	}
	if (consumed)
		return;
	if (q->waiting && !q->matched && is_named(event, q->wanted))
		q->matched = json_incref(event);
	else
		queue_event(q, event, bytes);
}

/* "STOP" or "STOP, RESUME", or what fits of it. */
static void list_names(const char *const *names, char *to, size_t size)
{
	size_t used = 0;

	to[0] = 0;
	for (size_t i = 0; names && names[i]; i++) {
		size_t length = strlen(names[i]);

		if (used + length + 3 > size)
			return;
		if (i) {
			memcpy(to + used, ", ", 2);
			used += 2;
		}
		memcpy(to + used, names[i], length + 1);
		used += length;
	}
}

static enum qmp_error fail_waiting(struct qmp *q, enum qmp_error error, const char *const *names,
				   int timeout_ms)
{
	char list[200];

	list_names(names, list, sizeof(list));
	if (q->broken.code)
		return qmp_fail_broken(q, "while waiting for the event %s",
				       list[0] ? list : "(any)");
	return qmp_fail(q, error, 0, "no event%s%s from %s within %d ms", list[0] ? " " : "", list,
			q->peer, timeout_ms);
}

static enum qmp_error wait_event(struct qmp *q, const char *const *names, int timeout_ms,
				 json_t **ret_event)
{
	struct qmp_deadline deadline = qmp_deadline_in(timeout_ms);
	enum qmp_error error = qmp_check_usable(q);
	json_t *event;

	if (error)
		return error;
	event = take_named(q, names);
	q->waiting = true;
	q->wanted = names;
	while (!event && !error) {
		error = qmp_read_wait(q, &deadline);
		event = q->matched;
	}
	q->waiting = false;
	q->wanted = NULL;
	q->matched = NULL;

	if (!event)
		return fail_waiting(q, error, names, timeout_ms);
	if (ret_event)
		*ret_event = event;
	else
		json_decref(event);
	return QMP_OK;
}

enum qmp_error qmp_wait_event(struct qmp *q, const char *name, int timeout_ms, json_t **ret_event)
{
	const char *const names[] = {name, NULL};

	return wait_event(q, name ? names : NULL, timeout_ms, ret_event);
}

enum qmp_error qmp_wait_any_event(struct qmp *q, const char *const *names, int timeout_ms,
				  json_t **ret_event)
{
	if (!names || !names[0])
		return qmp_fail(q, QMP_ERR_INVALID, 0, "no names of events to wait for");
	return wait_event(q, names, timeout_ms, ret_event);
}

json_t *qmp_take_event(struct qmp *q)
{
	return q->oldest ? unlink_event(q, NULL) : NULL;
}

void qmp_flush_events(struct qmp *q)
{
	while (q->oldest)
		json_decref(unlink_event(q, NULL));
}

size_t qmp_events_queued(const struct qmp *q)
{
	return q->events;
}

uint64_t qmp_events_dropped(const struct qmp *q)
{
	return q->events_dropped;
}
