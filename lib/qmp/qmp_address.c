// SPDX-License-Identifier: LGPL-2.1-or-later
/* Addresses, and connecting within a time. */
#include "qmp_internal.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Between two attempts, in ms. */
#define RETRY_PAUSE 20

/* false when the time is over. */
static bool pause_before_retry(const struct qmp_deadline *deadline)
{
	int left = qmp_time_left(deadline);

	if (!left)
		return false;
	poll(NULL, 0, left < 0 || left > RETRY_PAUSE ? RETRY_PAUSE : left);
	return true;
}

/* 0, or the errno of the connection. */
static int finish_connect(int fd, const struct qmp_deadline *deadline)
{
	int events = qmp_poll_fd(fd, POLLOUT, deadline);
	int error = 0;
	socklen_t size = sizeof(error);

	if (events < 0)
		return -events;
	if (!events)
		return ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size))
		return errno;
	return error;
}

/* 0, or the errno of the connection; EAGAIN: a unix socket's queue of waiting clients stayed full.
 */
static int connect_socket(int fd, const struct sockaddr *address, socklen_t length,
			  const struct qmp_deadline *deadline)
{
	for (;;) {
		if (!connect(fd, address, length))
			return 0;
		if (errno == EINPROGRESS || errno == EINTR)
			return finish_connect(fd, deadline);
		if (errno != EAGAIN)
			return errno;
		if (!pause_before_retry(deadline))
			return EAGAIN;
	}
}

/* 0 and a socket, or an errno. */
static int connect_one(const struct sockaddr *address, socklen_t length,
		       const struct qmp_deadline *deadline, int *ret_fd)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error;

	if (fd < 0)
		return errno;
	error = connect_socket(fd, address, length, deadline);
	if (error) {
		close(fd);
		return error;
	}
	*ret_fd = fd;
	return 0;
}

static int connect_unix(const struct sockaddr_un *address, const struct qmp_deadline *deadline,
			int *ret_fd)
{
	return connect_one((const struct sockaddr *)address, sizeof(*address), deadline, ret_fd);
}

/* Each address of the host in turn; the last one's errno counts. */
static int connect_tcp(const struct addrinfo *list, const struct qmp_deadline *deadline,
		       int *ret_fd)
{
	int error = EADDRNOTAVAIL;
	int on = 1;

	for (const struct addrinfo *a = list; a; a = a->ai_next) {
		error = connect_one(a->ai_addr, a->ai_addrlen, deadline, ret_fd);
		if (error)
			continue;
		/* Only speed is lost if this fails. */
		(void)setsockopt(*ret_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		return 0;
	}
	return error;
}

/* "HOST:PORT" or "[HOST]:PORT" in two halves. false if it is neither. */
static bool split_host_port(const char *text, char *host, size_t host_size, const char **ret_port)
{
	const char *colon = strrchr(text, ':');
	size_t length;

	if (!colon || !colon[1])
		return false;
	length = (size_t)(colon - text);
	if (text[0] == '[') {
		if (length < 3 || text[length - 1] != ']')
			return false;
		text++;
		length -= 2;
	} else if (memchr(text, ':', length)) {
		return false;
	}
	if (!length || length >= host_size)
		return false;
	memcpy(host, text, length);
	host[length] = 0;
	*ret_port = colon + 1;
	return true;
}

enum qmp_error qmp_address_resolve(const char *address, int flags, struct addrinfo **ret_list,
				   struct qmp_error_info *info)
{
	struct addrinfo hints = {
		.ai_flags = flags, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
	const char *host_port = address + strlen("tcp:");
	const char *port;
	char host[256];
	int why;

	if (!split_host_port(host_port, host, sizeof(host), &port)) {
		qmp_info_set(info, QMP_ERR_ADDRESS, 0,
			     "'%s' is not of the form tcp:HOST:PORT (an IPv6 HOST in brackets)",
			     address);
		return QMP_ERR_ADDRESS;
	}
	why = getaddrinfo(host, port, &hints, ret_list);
	if (!why)
		return QMP_OK;
	qmp_info_set(info, why == EAI_MEMORY ? QMP_ERR_NOMEM : QMP_ERR_ADDRESS,
		     why == EAI_SYSTEM ? errno : 0, "cannot look up '%s': %s", address,
		     gai_strerror(why));
	return why == EAI_MEMORY ? QMP_ERR_NOMEM : QMP_ERR_ADDRESS;
}

enum qmp_error qmp_address_unix(const char *path, struct sockaddr_un *ret_address,
				struct qmp_error_info *info)
{
	size_t length = strlen(path);

	if (!length) {
		qmp_info_set(info, QMP_ERR_ADDRESS, 0, "the address of the QMP server is empty");
		return QMP_ERR_ADDRESS;
	}
	if (length >= sizeof(ret_address->sun_path)) {
		qmp_info_set(info, QMP_ERR_ADDRESS, 0,
			     "the path of the socket has %zu bytes, and a unix socket allows %zu: "
			     "'%s'",
			     length, sizeof(ret_address->sun_path) - 1, path);
		return QMP_ERR_ADDRESS;
	}
	memset(ret_address, 0, sizeof(*ret_address));
	ret_address->sun_family = AF_UNIX;
	memcpy(ret_address->sun_path, path, length);
	return QMP_OK;
}

static enum qmp_error fail_connect(const char *address, int error,
				   const struct qmp_deadline *deadline, struct qmp_error_info *info)
{
	if (error == EAGAIN) {
		qmp_info_set(info, QMP_ERR_TIMEOUT, error,
			     "%s did not accept a connection within %d ms: are other clients "
			     "connected and waiting?",
			     address, deadline->timeout_ms);
		return QMP_ERR_TIMEOUT;
	}
	if (error == ETIMEDOUT) {
		qmp_info_set(info, QMP_ERR_TIMEOUT, error, "no connection to %s within %d ms",
			     address, deadline->timeout_ms);
		return QMP_ERR_TIMEOUT;
	}
	qmp_info_set(info, QMP_ERR_CONNECT, error, "cannot connect to %s: %s%s", address,
		     strerror(error),
		     error == ECONNREFUSED ? " (has the QEMU that made the socket ended?)" : "");
	return QMP_ERR_CONNECT;
}

/* A connected socket for an address of qmp_connect(). @info may be NULL. */
enum qmp_error qmp_address_connect(const char *address, unsigned int flags,
				   const struct qmp_deadline *deadline, int *ret_fd,
				   struct qmp_error_info *info)
{
	bool is_tcp = !strncmp(address, "tcp:", 4);
	bool has_prefix = is_tcp || !strncmp(address, "unix:", 5);
	const char *rest = has_prefix ? strchr(address, ':') + 1 : address;
	struct addrinfo *list = NULL;
	struct sockaddr_un path;
	enum qmp_error failed;
	bool again;
	int error;

	failed = is_tcp ? qmp_address_resolve(address, 0, &list, info)
			: qmp_address_unix(rest, &path, info);
	if (failed)
		return failed;
	do {
		error = is_tcp ? connect_tcp(list, deadline, ret_fd)
			       : connect_unix(&path, deadline, ret_fd);
		again = (flags & QMP_CONNECT_RETRY) && (error == ENOENT || error == ECONNREFUSED);
	} while (again && pause_before_retry(deadline));
	if (list)
		freeaddrinfo(list);
	return error ? fail_connect(address, error, deadline, info) : QMP_OK;
}
