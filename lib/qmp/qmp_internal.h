/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of libqmp share. Not for users of the library. */
#ifndef QMP_INTERNAL_H
#define QMP_INTERNAL_H

#include "qmp.h"

#include <stdarg.h>

#pragma GCC visibility push(hidden)

#define QMP_PRINTF(string, first) __attribute__((format(printf, string, first)))

/* When a call has to end. Past that moment a call still reads what has already come, but not more
 * than the grace, so that a server which never stops talking cannot hold it. */
struct qmp_deadline {
	int64_t at;     /* ms of the monotonic clock; negative: never */
	int timeout_ms; /* as the caller gave it, for messages */
	size_t grace;   /* bytes */
};

/* Where a scan of the incoming bytes for the end of a message stands. Survives partial input. */
struct qmp_scan {
	size_t length; /* bytes of the current message looked at */
	size_t values;
	unsigned int depth; /* 0: between messages */
	bool in_string;
	bool escaped;
};

enum qmp_scan_result {
	QMP_SCAN_MORE,    /* all bytes looked at, the message is not complete */
	QMP_SCAN_MESSAGE, /* scan->length bytes are a message */
	QMP_SCAN_GARBAGE, /* byte scan->length cannot be part of a message */
	QMP_SCAN_TOO_LONG,
	QMP_SCAN_TOO_DEEP,
	QMP_SCAN_TOO_MANY,
};

struct qmp_limits {
	size_t message;
	size_t values;
	unsigned int depth;
	size_t events;
	size_t event_bytes;
};

struct qmp_queued {
	struct qmp_queued *next;
	json_t *event;
	size_t bytes;
};

struct qmp_pending {
	uint64_t id; /* 0: this place is free */
	json_t *reply;
	char command[64];
};

struct qmp {
	int fd;
	bool is_unix;
	bool has_greeting;
	bool in_callback;
	char peer[160]; /* for messages, safe to print */
	struct qmp_limits limits;
	qmp_event_fn on_event;
	void *on_event_context;

	json_t *greeting;
	struct qmp_version version;

	char *in;
	size_t in_length;
	size_t in_size;
	struct qmp_scan scan;

	struct qmp_queued *oldest;
	struct qmp_queued *newest;
	size_t events;
	size_t event_bytes;
	uint64_t events_dropped;

	/* While an event is waited for: its names, and the event once it is there. */
	bool waiting;
	const char *const *wanted;
	json_t *matched;

	uint64_t next_id;
	struct qmp_pending pending[QMP_LIMIT_PENDING];

	struct qmp_error_info broken; /* code is QMP_OK while the connection is good */
	struct qmp_error_info last;
};

/* qmp_json.c */
size_t qmp_count_space(const char *data, size_t length);
enum qmp_scan_result qmp_scan(struct qmp_scan *scan, const char *data, size_t length,
			      const struct qmp_limits *limits);
json_t *qmp_parse(const char *text, size_t length, json_error_t *error);
void qmp_copy_safe(char *to, size_t size, const char *from, size_t length);

/* qmp_error.c */
void qmp_info_set(struct qmp_error_info *info, enum qmp_error code, int sys_errno,
		  const char *format, ...) QMP_PRINTF(4, 5);
enum qmp_error qmp_fail(struct qmp *q, enum qmp_error code, int sys_errno, const char *format, ...)
	QMP_PRINTF(4, 5);
enum qmp_error qmp_break(struct qmp *q, enum qmp_error code, int sys_errno, const char *format, ...)
	QMP_PRINTF(4, 5);
enum qmp_error qmp_fail_broken(struct qmp *q, const char *format, ...) QMP_PRINTF(2, 3);
enum qmp_error qmp_fail_reply(struct qmp *q, const char *command, const json_t *error);
enum qmp_error qmp_check_usable(struct qmp *q);

/* qmp_io.c */
struct qmp_deadline qmp_deadline_in(int timeout_ms);
int qmp_time_left(const struct qmp_deadline *deadline);
int qmp_poll_fd(int fd, short events, const struct qmp_deadline *deadline);
enum qmp_error qmp_read_some(struct qmp *q, size_t *ret_bytes);
enum qmp_error qmp_read_wait(struct qmp *q, struct qmp_deadline *deadline);
enum qmp_error qmp_write(struct qmp *q, const char *data, size_t length, int fd,
			 const struct qmp_deadline *deadline);

/* qmp_message.c */
enum qmp_error qmp_handle_message(struct qmp *q, const char *text, size_t length);

/* qmp_command.c */
enum qmp_error qmp_command(struct qmp *q, const char *command, json_t *arguments, int fd,
			   struct qmp_deadline *deadline, json_t **ret_value);
enum qmp_error qmp_command_reply(struct qmp *q, json_t *message);

/* qmp_event.c */
void qmp_event_arrived(struct qmp *q, json_t *event, size_t bytes);

/* qmp_address.c */
enum qmp_error qmp_address_connect(const char *address, unsigned int flags,
				   const struct qmp_deadline *deadline, int *ret_fd,
				   struct qmp_error_info *info);
/* The two kinds of address, "tcp:HOST:PORT" with flags of getaddrinfo(3), and a path. */
struct addrinfo;
struct sockaddr_un;
enum qmp_error qmp_address_resolve(const char *address, int flags, struct addrinfo **ret_list,
				   struct qmp_error_info *info);
enum qmp_error qmp_address_unix(const char *path, struct sockaddr_un *ret_address,
				struct qmp_error_info *info);

#pragma GCC visibility pop

#endif
