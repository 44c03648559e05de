/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libqmp: a small client of the QEMU Machine Protocol (QMP).
 *
 * A handle (struct qmp) is one connection to one QMP server. It is opened with qmp_connect() or
 * qmp_adopt(), which also read the greeting and negotiate, so that a handle which exists is
 * ready for commands. Out-of-band execution is not negotiated.
 *
 * Threads: a handle belongs to one thread at a time. Different handles share nothing and may be
 * used from different threads at once. The library keeps no global state, installs no signal
 * handler, never raises SIGPIPE, prints nothing and never ends the process.
 *
 * Time: every timeout is in milliseconds on the monotonic clock and covers the whole call.
 * 0 means "do not wait", a negative value means "wait for ever". Interrupting signals do not
 * shorten or lengthen a wait.
 *
 * Errors: what can fail returns enum qmp_error, and outputs (ret_x) are untouched on failure. The
 * text of the last failure is kept in the handle, see qmp_last_error(); the functions that open
 * a handle take a struct qmp_error_info instead.
 *
 * Trust: the server is not trusted. The size, depth and number of values of a message are
 * bounded, and so is what is queued; see struct qmp_options. A server that breaks the protocol or
 * a bound ends the connection: the handle is then *broken*, each later call that needs the
 * connection repeats the first error, and what had already arrived can still be taken.
 *
 * JSON integers: QMP has unsigned 64-bit integers, jansson has only signed ones. A number above
 * INT64_MAX arrives as the negative number of the same 64 bits, so that
 * (uint64_t)json_integer_value(v) is the number which was sent.
 */
#ifndef QMP_H
#define QMP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef QMP_API
#define QMP_API __attribute__((visibility("default")))
#endif
#define QMP_MUST_CHECK __attribute__((warn_unused_result))

#ifdef __cplusplus
extern "C" {
#endif

/** A connection to a QMP server. Opaque. */
struct qmp;

/** What went wrong. The numbers are stable, new ones are added at the end. */
enum qmp_error {
	QMP_OK = 0,
	/** A parameter is not usable, or the call is not allowed now (inside an event callback). */
	QMP_ERR_INVALID = 1,
	/** Memory could not be allocated. */
	QMP_ERR_NOMEM = 2,
	/** The address is malformed or the host name cannot be resolved. */
	QMP_ERR_ADDRESS = 3,
	/** The connection could not be made; sys_errno tells why. */
	QMP_ERR_CONNECT = 4,
	/** Reading or writing failed; sys_errno tells why. Breaks the handle. */
	QMP_ERR_IO = 5,
	/** The time is over. Breaks the handle only if half a command had been sent. */
	QMP_ERR_TIMEOUT = 6,
	/** The server closed the connection, as QEMU does when it exits. Breaks the handle. */
	QMP_ERR_CLOSED = 7,
	/** The peer talks, but its first message is not a QMP greeting. */
	QMP_ERR_GREETING = 8,
	/** The server sent what is not QMP. Breaks the handle. */
	QMP_ERR_PROTOCOL = 9,
	/** The server sent more than a bound allows (breaks the handle), or too many commands are
	 *  outstanding (does not). */
	QMP_ERR_LIMIT = 10,
	/** The server answered the command with an error: see error_class and error_desc. */
	QMP_ERR_COMMAND = 11,
};

/** The details of a failure. Plain data: nothing in it is to be freed. */
struct qmp_error_info {
	/** Which error; QMP_OK if there was none. */
	enum qmp_error code;
	/** The errno of the system call that failed, or 0. */
	int sys_errno;
	/** With QMP_ERR_COMMAND the server's error class ("GenericError"), else "". */
	char error_class[64];
	/** With QMP_ERR_COMMAND the server's description, else "". Cut if long; control characters
	 *  are replaced by '?', so that it is safe to print. UTF-8. */
	char error_desc[1024];
	/** One line for people, without a newline; the same care as error_desc. */
	char text[1536];
};

/** The QEMU version of the greeting. */
struct qmp_version {
	int major;
	int minor;
	int micro;
	/** The "package" string, cut if long, "" if empty or missing; safe to print. */
	char package[128];
};

/**
 * Called for each event when it is read, in the order of arrival.
 *
 * @event: the whole message, with "event", "timestamp" and perhaps "data"; borrowed, valid during
 *	the call (json_incref() a copy of the pointer to keep it).
 * @context: the pointer of struct qmp_options.
 *
 * Returns true if it has dealt with the event, which is then forgotten and seen neither by
 * qmp_wait_event() nor qmp_take_event(); false to leave it to them.
 *
 * The callback must not free the handle; the calls on the handle that read or send refuse to work
 * inside it (QMP_ERR_INVALID).
 */
typedef bool (*qmp_event_fn)(json_t *event, void *context);

/** Defaults of struct qmp_options, used where a member is 0. */
#define QMP_DEFAULT_TIMEOUT_MS      5000
#define QMP_DEFAULT_MAX_MESSAGE     (16u << 20)
#define QMP_DEFAULT_MAX_VALUES      (256u << 10)
#define QMP_DEFAULT_MAX_DEPTH       64
#define QMP_DEFAULT_MAX_EVENTS      256
#define QMP_DEFAULT_MAX_EVENT_BYTES (1u << 20)

/** The largest max_depth that may be asked for. */
#define QMP_LIMIT_DEPTH 1024
/** Commands that may be outstanding at a time, see qmp_send(). */
#define QMP_LIMIT_PENDING 16

/** Flag of struct qmp_options: while the socket does not exist or refuses connections, try again
 *  until the timeout. For a QEMU that has just been started. */
#define QMP_CONNECT_RETRY 0x1u

/**
 * How to open a handle. Start from QMP_OPTIONS_INIT and set what differs from the defaults:
 *
 *	struct qmp_options options = QMP_OPTIONS_INIT;
 *	options.timeout_ms = 10000;
 */
struct qmp_options {
	/** sizeof(struct qmp_options), as the caller knows it: lets the struct grow. */
	size_t size;
	/** For opening as a whole: connect, greeting, negotiation. 0 is the default here; negative
	 *  is for ever. In ms. */
	int timeout_ms;
	/** QMP_CONNECT_RETRY, or 0. */
	unsigned int flags;
	/** The longest message accepted, in bytes. */
	size_t max_message;
	/** The largest number of JSON values in a message. Bounds the memory a message can cost
	 *  once parsed: at worst some 250 bytes a value, and the text of its strings. */
	size_t max_values;
	/** The deepest nesting of objects and arrays, at most QMP_LIMIT_DEPTH. */
	unsigned int max_depth;
	/** Events kept until they are taken, and the sum of their lengths as sent, in bytes. When
	 *  one of the two would be exceeded the oldest are dropped, see qmp_events_dropped(). */
	size_t max_events;
	size_t max_event_bytes;
	/** See qmp_event_fn; NULL if all events are to be queued. */
	qmp_event_fn on_event;
	void *on_event_context;
};

#define QMP_OPTIONS_INIT                                                                           \
	{                                                                                          \
		.size = sizeof(struct qmp_options)                                                 \
	}

/**
 * Connect to a QMP server, read its greeting and negotiate.
 *
 * @address: "unix:PATH" or "PATH", a unix socket; "tcp:HOST:PORT", where an IPv6 HOST stands in
 *	brackets and PORT is a number or a service name. Looking up a HOST that is not numeric
 *	is left to getaddrinfo() and its time is not bounded by the timeout.
 * @options: NULL for the defaults. Copied.
 * @ret_qmp: receives the handle, to be freed with qmp_free().
 * @ret_info: NULL, or receives the details of a failure.
 *
 * Errors: QMP_ERR_INVALID, _NOMEM, _ADDRESS, _CONNECT, _IO; _TIMEOUT (no connection, no greeting
 * or no answer in time: QEMU serves one client a socket and lets the next one wait), _CLOSED,
 * _GREETING, _PROTOCOL, _LIMIT, and _COMMAND when the server refuses to negotiate.
 */
QMP_API enum qmp_error qmp_connect(const char *address, const struct qmp_options *options,
				   struct qmp **ret_qmp,
				   struct qmp_error_info *ret_info) QMP_MUST_CHECK;

/**
 * Make a handle of a connected stream socket whose greeting has not been read yet, and negotiate.
 *
 * @fd: the socket. It belongs to the handle on success and stays the caller's on failure. Its
 *	flags are not changed: it may be blocking or not.
 * @options, @ret_qmp, @ret_info: as for qmp_connect(); QMP_CONNECT_RETRY has no effect.
 *
 * Errors: as qmp_connect(), but neither _ADDRESS nor _CONNECT; _INVALID also if @fd is not a
 * stream socket.
 */
QMP_API enum qmp_error qmp_adopt(int fd, const struct qmp_options *options, struct qmp **ret_qmp,
				 struct qmp_error_info *ret_info) QMP_MUST_CHECK;

/** Close the connection and free the handle with all it holds. NULL is allowed. */
QMP_API void qmp_free(struct qmp *q);

/** The server's version, from its greeting. Lives as long as the handle. */
QMP_API const struct qmp_version *qmp_version(const struct qmp *q);

/** The whole greeting, {"QMP": {"version": ..., "capabilities": [...]}}. Borrowed, read only;
 *  lives as long as the handle. */
QMP_API const json_t *qmp_greeting(const struct qmp *q);

/** The socket, for poll() or epoll with POLLIN; call qmp_dispatch() when it is readable. Nothing
 *  else may be done with it. No complete message is ever held back in user space: what has
 *  been read when a call returns is in the event queue or kept as a reply. */
QMP_API int qmp_fd(const struct qmp *q);

/**
 * The details of the last call on the handle that failed. Never NULL (code QMP_OK if none has
 * failed). The struct belongs to the handle; a later failure overwrites it, success does not.
 */
QMP_API const struct qmp_error_info *qmp_last_error(const struct qmp *q);

/** A few words for an error code, a constant string; never NULL, whatever the number. */
QMP_API const char *qmp_strerror(enum qmp_error error);

/**
 * Execute a command and wait for its reply. Events that arrive meanwhile go to the callback or
 * the queue, replies to other commands are kept for qmp_wait_reply().
 *
 * @command: the name, such as "query-status".
 * @arguments: a JSON object, or NULL for none. Borrowed.
 * @timeout_ms: for sending and for the reply together.
 * @ret_value: NULL, or receives a new reference to the value of "return", to be released with
 *	json_decref().
 *
 * After QMP_ERR_TIMEOUT the server may still execute the command; its late reply is ignored.
 *
 * Errors: QMP_ERR_COMMAND (the server's error), _TIMEOUT, _CLOSED, _IO, _PROTOCOL, _LIMIT, _NOMEM,
 * _INVALID.
 */
QMP_API enum qmp_error qmp_execute(struct qmp *q, const char *command, json_t *arguments,
				   int timeout_ms, json_t **ret_value) QMP_MUST_CHECK;

/**
 * As qmp_execute(), and pass a file descriptor along with the command (SCM_RIGHTS), as "getfd"
 * and "add-fd" want it. Needs a unix socket (else QMP_ERR_INVALID).
 *
 * @fd: stays the caller's, who may close it as soon as the call has returned.
 */
QMP_API enum qmp_error qmp_execute_fd(struct qmp *q, const char *command, json_t *arguments, int fd,
				      int timeout_ms, json_t **ret_value) QMP_MUST_CHECK;

/**
 * As qmp_execute(), with the arguments built by json_pack():
 *
 *	qmp_execute_pack(q, 5000, NULL, "migrate", "{s:s}", "uri", "fd:out");
 *
 * @format: see json_pack(); must make an object. QMP_ERR_INVALID if it cannot be built, and
 *	nothing is sent then.
 */
QMP_API enum qmp_error qmp_execute_pack(struct qmp *q, int timeout_ms, json_t **ret_value,
					const char *command, const char *format,
					...) QMP_MUST_CHECK;

/**
 * Send a command without waiting for its reply, so that the caller can do something else, such as
 * emptying the pipe which the command fills. Take the reply with qmp_wait_reply().
 *
 * @command, @arguments: as for qmp_execute().
 * @fd: a file descriptor to pass as by qmp_execute_fd(), or -1.
 * @timeout_ms: for sending, that is until the kernel has taken all bytes.
 * @ret_id: receives the number of the command, never 0.
 *
 * Errors: as qmp_execute() without _COMMAND; _LIMIT also if QMP_LIMIT_PENDING commands are
 * outstanding.
 */
QMP_API enum qmp_error qmp_send(struct qmp *q, const char *command, json_t *arguments, int fd,
				int timeout_ms, uint64_t *ret_id) QMP_MUST_CHECK;

/**
 * Wait for the reply to a command sent with qmp_send().
 *
 * @id: its number.
 * @timeout_ms: 0 reads what is there and looks.
 * @ret_value: as for qmp_execute().
 *
 * After QMP_ERR_TIMEOUT the command is still outstanding and can be waited for again. Any other
 * outcome ends it: its number is then unknown (QMP_ERR_INVALID).
 *
 * Errors: as qmp_execute().
 */
QMP_API enum qmp_error qmp_wait_reply(struct qmp *q, uint64_t id, int timeout_ms,
				      json_t **ret_value) QMP_MUST_CHECK;

/** Give up waiting for a command sent with qmp_send(): its reply will be ignored. An unknown @id
 *  is allowed. */
QMP_API void qmp_forget(struct qmp *q, uint64_t id);

/**
 * Wait for an event of one name. A matching event that is already queued is taken at once, the
 * oldest first; other events stay queued, or are queued as they arrive.
 *
 * @name: such as "STOP"; NULL for any event.
 * @timeout_ms: 0 reads what is there and looks.
 * @ret_event: NULL, or receives a new reference to the whole event message, to be released with
 *	json_decref().
 *
 * Errors: QMP_ERR_TIMEOUT, _CLOSED, _IO, _PROTOCOL, _LIMIT, _NOMEM, _INVALID. A queued event is
 * found even when the handle is broken.
 */
QMP_API enum qmp_error qmp_wait_event(struct qmp *q, const char *name, int timeout_ms,
				      json_t **ret_event) QMP_MUST_CHECK;

/** As qmp_wait_event(), for any event of a list of names that ends with NULL. */
QMP_API enum qmp_error qmp_wait_any_event(struct qmp *q, const char *const *names, int timeout_ms,
					  json_t **ret_event) QMP_MUST_CHECK;

/**
 * Read what the socket holds, without waiting: events go to the callback or the queue, replies
 * are kept for qmp_wait_reply(). No data is not an error. Reads at most about 1 MiB a call, so
 * that a talkative server cannot hold the caller; the rest leaves the socket readable.
 *
 * Errors: QMP_ERR_CLOSED, _IO, _PROTOCOL, _LIMIT, _NOMEM, _INVALID.
 */
QMP_API enum qmp_error qmp_dispatch(struct qmp *q) QMP_MUST_CHECK;

/** Take the oldest queued event: a new reference, to be released with json_decref(), or NULL if
 *  none is queued. Does not read from the socket. */
QMP_API json_t *qmp_take_event(struct qmp *q);

/** Forget all queued events, for instance before a command whose event is then waited for. */
QMP_API void qmp_flush_events(struct qmp *q);

/** How many events are queued. */
QMP_API size_t qmp_events_queued(const struct qmp *q);

/** How many events were dropped so far because the queue was full. */
QMP_API uint64_t qmp_events_dropped(const struct qmp *q);

/** The name of an event; borrowed from it. NULL if @event is not an event. */
QMP_API const char *qmp_event_name(const json_t *event);

/** The "data" object of an event; borrowed from it. NULL if it has none. */
QMP_API json_t *qmp_event_data(const json_t *event);

/** The time of an event, in microseconds of the server's real-time clock since the epoch; -1 if
 *  the event does not tell it. */
QMP_API int64_t qmp_event_time(const json_t *event);

#ifdef __cplusplus
}
#endif

#endif
