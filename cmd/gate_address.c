// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig gate: listening and connecting. */
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "error.h"
#include "gate.h"
#include "qmp_internal.h"

#define BACKLOG GATE_CONNECTIONS

static const char *path_of(const char *address)
{
	return strncmp(address, "unix:", 5) == 0 ? address + 5 : NULL;
}

static enum nestmig_error wrong(const struct qmp_error_info *info, struct nestmig_detail *detail)
{
	return nm_fail(detail, NESTMIG_ERR_INVALID, "%s", info->text);
}

static int open_listener(const struct sockaddr *address, socklen_t length)
{
	int on = 1, fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (address->sa_family != AF_UNIX)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, address, length) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	on = errno;
	close(fd);
	errno = on;
	return -1;
}

/* Is there a socket file that nobody listens on? */
static bool is_left_behind(const struct sockaddr_un *address)
{
	struct stat st;
	int fd, error;

	if (lstat(address->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	error = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? errno : 0;
	close(fd);
	return error == ECONNREFUSED;
}

static enum nestmig_error listen_unix(const char *path, int *ret_fd, struct nestmig_detail *detail)
{
	struct qmp_error_info info = {0};
	struct sockaddr_un address;

	if (qmp_address_unix(path, &address, &info))
		return wrong(&info, detail);
	if (is_left_behind(&address))
		(void)unlink(path);
	*ret_fd = open_listener((const struct sockaddr *)&address, sizeof(address));
	return *ret_fd < 0 ? nm_fail_errno(detail, "listening on %s", path) : NESTMIG_OK;
}

static enum nestmig_error listen_tcp(const char *address, int *ret_fd,
				     struct nestmig_detail *detail)
{
	struct qmp_error_info info = {0};
	struct addrinfo *list = NULL;
	int fd = -1;

	if (qmp_address_resolve(address, AI_PASSIVE, &list, &info))
		return wrong(&info, detail);
	for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
		fd = open_listener(a->ai_addr, a->ai_addrlen);
	if (fd < 0)
		nm_fail_errno(detail, "listening on %s", address);
	freeaddrinfo(list);
	*ret_fd = fd;
	return fd < 0 ? NESTMIG_ERR_IO : NESTMIG_OK;
}

enum nestmig_error gate_listen(const char *address, int *ret_fd, struct nestmig_detail *detail)
{
	const char *path = path_of(address);

	return path ? listen_unix(path, ret_fd, detail) : listen_tcp(address, ret_fd, detail);
}

enum nestmig_error gate_connect(const char *address, int timeout_s, int *ret_fd,
				struct nestmig_detail *detail)
{
	struct qmp_deadline deadline = qmp_deadline_in(timeout_s * 1000);
	struct qmp_error_info info = {0};

	switch (qmp_address_connect(address, 0, &deadline, ret_fd, &info)) {
	case QMP_OK:
		return NESTMIG_OK;
	case QMP_ERR_TIMEOUT:
		return nm_fail(detail, NESTMIG_ERR_TIMEOUT, "%s", info.text);
	default:
		return nm_fail(detail, NESTMIG_ERR_IO, "%s", info.text);
	}
}

void gate_unlisten(const char *address, int fd)
{
	const char *path = path_of(address);

	close(fd);
	if (path)
		(void)unlink(path);
}
