// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Time, reading and writing. The socket's own flags are never relied on: every transfer asks for
 * not blocking by itself, and poll() does the waiting.
 */
#include "qmp_internal.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define READ_CHUNK  ((size_t)16 << 10)
#define KEEP_BUFFER ((size_t)64 << 10)
#define GRACE       ((size_t)1 << 20)
/* What the shortest read costs of the grace: bounds the number of reads, too. */
#define GRACE_READ ((size_t)1 << 10)

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct qmp_deadline qmp_deadline_in(int timeout_ms)
{
	return (struct qmp_deadline){
		.at = timeout_ms < 0 ? -1 : now_ms() + timeout_ms,
		.timeout_ms = timeout_ms,
		.grace = GRACE,
	};
}

/* In ms, as poll() wants it: -1 is for ever. */
int qmp_time_left(const struct qmp_deadline *deadline)
{
	int64_t left;

	if (deadline->at < 0)
		return -1;
	left = deadline->at - now_ms();
	if (left < 0)
		return 0;
	return left > INT_MAX ? INT_MAX : (int)left;
}

/* What has happened to @fd (poll's revents), 0 when the time is over, or -errno. */
int qmp_poll_fd(int fd, short events, const struct qmp_deadline *deadline)
{
	struct pollfd p = {.fd = fd, .events = events};

	for (;;) {
		int n = poll(&p, 1, qmp_time_left(deadline));

		if (n > 0)
			return p.revents;
		if (!n)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

static enum qmp_error break_scan(struct qmp *q, enum qmp_scan_result result, const char *text,
				 size_t length)
{
	char excerpt[80];

	qmp_copy_safe(excerpt, sizeof(excerpt), text, length);
	switch (result) {
	case QMP_SCAN_TOO_LONG:
		return qmp_break(q, QMP_ERR_LIMIT, 0, "%s sent a message longer than %zu bytes",
				 q->peer, q->limits.message);
	case QMP_SCAN_TOO_DEEP:
		return qmp_break(q, QMP_ERR_LIMIT, 0,
				 "%s sent a message nested deeper than %u levels", q->peer,
				 q->limits.depth);
	case QMP_SCAN_TOO_MANY:
		return qmp_break(q, QMP_ERR_LIMIT, 0, "%s sent a message of more than %zu values",
				 q->peer, q->limits.values);
	default:
		break;
	}
	if (!q->has_greeting)
		return qmp_break(q, QMP_ERR_GREETING, 0,
				 "%s does not speak QMP, it sent \"%s\": is this the socket of "
				 "`-qmp`, and not of `-monitor` or something else?",
				 q->peer, excerpt);
	return qmp_break(q, QMP_ERR_PROTOCOL, 0, "%s sent what is not a QMP message: \"%s\"",
			 q->peer, excerpt);
}

/* Handle every complete message of the buffer and keep the beginning of the next one. */
static enum qmp_error take_messages(struct qmp *q)
{
	enum qmp_error error = QMP_OK;
	size_t done = 0;

	while (!error) {
		enum qmp_scan_result result;
		const char *text;

		if (!q->scan.length)
			done += qmp_count_space(q->in + done, q->in_length - done);
		text = q->in + done;
		result = qmp_scan(&q->scan, text, q->in_length - done, &q->limits);
		if (result == QMP_SCAN_MORE)
			break;
		if (result == QMP_SCAN_MESSAGE) {
			error = qmp_handle_message(q, text, q->scan.length);
			done += q->scan.length;
		} else {
			error = break_scan(q, result, text, q->in_length - done);
		}
		q->scan = (struct qmp_scan){0};
	}

	if (error)
		done = q->in_length;
	q->in_length -= done;
	if (done)
		memmove(q->in, q->in + done, q->in_length);
	if (!q->in_length && q->in_size > KEEP_BUFFER) {
		free(q->in);
		q->in = NULL;
		q->in_size = 0;
	}
	return error;
}

/* The buffer never holds more than one unfinished message and one read. */
static enum qmp_error make_room(struct qmp *q)
{
	size_t size = q->in_size ? q->in_size * 2 : 2 * READ_CHUNK;
	char *in;

	if (q->in_size - q->in_length >= READ_CHUNK)
		return QMP_OK;
	in = realloc(q->in, size);
	if (!in)
		return qmp_break(q, QMP_ERR_NOMEM, 0, "no memory for a message from %s", q->peer);
	q->in = in;
	q->in_size = size;
	return QMP_OK;
}

static enum qmp_error break_closed(struct qmp *q)
{
	if (q->in_length)
		return qmp_break(q, QMP_ERR_CLOSED, 0,
				 "%s closed the connection in the middle of a message, after %zu "
				 "bytes of it: did QEMU exit?",
				 q->peer, q->in_length);
	return qmp_break(q, QMP_ERR_CLOSED, 0, "%s closed the connection: did QEMU exit?", q->peer);
}

/*
 * One read, without waiting; handles what is complete after it. @ret_bytes may be NULL; 0 bytes and
 * QMP_OK means that there is nothing to read. On failure the handle is broken, and the caller has
 * to set the text of the call.
 *
 * recv() and not recvmsg(): descriptors that a server might pass are then closed by the kernel.
 */
enum qmp_error qmp_read_some(struct qmp *q, size_t *ret_bytes)
{
	enum qmp_error error;
	ssize_t n;

	if (q->broken.code)
		return q->broken.code;
	error = make_room(q);
	if (error)
		return error;
	do {
		n = recv(q->fd, q->in + q->in_length, READ_CHUNK, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);

	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		n = 0;
	else if (!n || (n < 0 && (errno == ECONNRESET || errno == EPIPE)))
		return break_closed(q);
	else if (n < 0)
		return qmp_break(q, QMP_ERR_IO, errno, "cannot read from %s: %s", q->peer,
				 strerror(errno));

	q->in_length += (size_t)n;
	if (ret_bytes)
		*ret_bytes = (size_t)n;
	return n ? take_messages(q) : QMP_OK;
}

/* Wait for something to read, and read once. After QMP_ERR_TIMEOUT the handle is as it was; after
 * any other failure it is broken. Sets no text. */
enum qmp_error qmp_read_wait(struct qmp *q, struct qmp_deadline *deadline)
{
	bool late = !qmp_time_left(deadline);
	size_t bytes = 0;
	enum qmp_error error;
	int events;

	if (q->broken.code)
		return q->broken.code;
	if (late && !deadline->grace)
		return QMP_ERR_TIMEOUT;
	events = qmp_poll_fd(q->fd, POLLIN, deadline);
	if (events < 0)
		return qmp_break(q, QMP_ERR_IO, -events, "cannot wait for %s: %s", q->peer,
				 strerror(-events));
	if (!events)
		return QMP_ERR_TIMEOUT;
	error = qmp_read_some(q, &bytes);
	if (late && bytes < GRACE_READ)
		bytes = GRACE_READ;
	if (late)
		deadline->grace -= bytes < deadline->grace ? bytes : deadline->grace;
	return error;
}

/* One sendmsg(), with a descriptor unless @fd is negative. */
static ssize_t send_part(int socket, const char *data, size_t length, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = length};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (fd >= 0) {
		struct cmsghdr *header;

		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	}
	return sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Until the socket takes more. Reads meanwhile: a server whose output nobody takes may not read
 * either. */
static enum qmp_error wait_writable(struct qmp *q, size_t sent, size_t length,
				    const struct qmp_deadline *deadline)
{
	for (;;) {
		bool late = !qmp_time_left(deadline);
		int events = qmp_poll_fd(q->fd, POLLIN | POLLOUT, deadline);

		if (events < 0)
			return qmp_break(q, QMP_ERR_IO, -events, "cannot wait for %s: %s", q->peer,
					 strerror(-events));
		if (events & POLLOUT)
			return QMP_OK;
		if (events && !late) {
			enum qmp_error error = qmp_read_some(q, NULL);

			if (error)
				return error;
			continue;
		}
		if (!sent)
			return QMP_ERR_TIMEOUT;
		return qmp_break(q, QMP_ERR_TIMEOUT, 0,
				 "%s took only %zu of the %zu bytes of a command within %d ms",
				 q->peer, sent, length, deadline->timeout_ms);
	}
}

/* The socket takes no more, but the last events, which say why, may be waiting in it. */
static enum qmp_error write_closed(struct qmp *q)
{
	size_t bytes, sum = 0;

	do {
		bytes = 0;
		sum += GRACE_READ;
	} while (!qmp_read_some(q, &bytes) && bytes && (sum += bytes) < GRACE);
	return break_closed(q);
}

/* Write all, passing @fd with the first byte unless it is negative. QMP_ERR_TIMEOUT with a handle
 * that is not broken means that nothing was sent. Sets no text. */
enum qmp_error qmp_write(struct qmp *q, const char *data, size_t length, int fd,
			 const struct qmp_deadline *deadline)
{
	size_t sent = 0;

	if (q->broken.code)
		return q->broken.code;
	while (sent < length) {
		ssize_t n = send_part(q->fd, data + sent, length - sent, sent ? -1 : fd);
		enum qmp_error error;

		if (n >= 0) {
			sent += (size_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == EPIPE || errno == ECONNRESET)
			return write_closed(q);
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			return qmp_break(q, QMP_ERR_IO, errno, "cannot write to %s: %s", q->peer,
					 strerror(errno));
		error = wait_writable(q, sent, length, deadline);
		if (error)
			return error;
	}
	return QMP_OK;
}
