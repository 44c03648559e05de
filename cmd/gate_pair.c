// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig gate: handing a pair of connections from one process to another (unix(7), SCM_RIGHTS). */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gate.h"

#define PAIR 'c'

union control {
	struct cmsghdr header; /* for its alignment */
	char bytes[CMSG_SPACE(2 * sizeof(int))];
};

bool gate_send_pair(int channel, int source, int destination)
{
	int fds[2] = {source, destination};
	union control control = {0};
	char byte = PAIR;
	struct iovec piece = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {.msg_iov = &piece,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	ssize_t n;

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(header), fds, sizeof(fds));
	do
		n = sendmsg(channel, &message, 0);
	while (n < 0 && errno == EINTR);
	return n == 1;
}

bool gate_receive_pair(int channel, int *ret_source, int *ret_destination)
{
	union control control = {0};
	char byte = 0;
	struct iovec piece = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {.msg_iov = &piece,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	const struct cmsghdr *header;
	int fds[2];
	ssize_t n;

	do
		n = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	header = n == 1 && byte == PAIR ? CMSG_FIRSTHDR(&message) : NULL;
	if (!header || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(fds)))
		return false;
	memcpy(fds, CMSG_DATA(header), sizeof(fds));
	*ret_source = fds[0];
	*ret_destination = fds[1];
	return true;
}
