// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * gate STREAM DEVICES FROM TO: sends a recorded stream to the unix socket FROM and takes it at TO, where a relay
 * stands between the two, once it listens. Prints the seconds from the first byte sent to the last byte taken of
 * what is before offset DEVICES, and the milliseconds of the rest, which is sent when the first part has arrived:
 * by that a relay makes the downtime of a VM longer.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"

#define PIECE (1U << 20)
/* The relay may hold back what it has not understood yet: the header of a section. */
#define SLACK 64

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return address;
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = address_of(path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 1))
		die(path);
	return fd;
}

/* Until the relay listens, at most 10 s. */
static int connect_to(const char *path)
{
	struct sockaddr_un address = address_of(path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	for (int i = 0; i < 1000; i++) {
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			return fd;
		usleep(10000);
	}
	die(path);
	return -1;
}

static void send_all(int fd, const char *bytes, size_t size)
{
	while (size) {
		ssize_t n = write(fd, bytes, size < PIECE ? size : PIECE);

		if (n <= 0)
			die("sending");
		bytes += n;
		size -= (size_t)n;
	}
}

/* Takes so many bytes. */
static void take(int fd, size_t size)
{
	static char piece[PIECE];

	while (size) {
		ssize_t n = read(fd, piece, size < PIECE ? size : PIECE);

		if (n <= 0)
			die("the stream does not arrive whole");
		size -= (size_t)n;
	}
}

int main(int argc, char **argv)
{
	int file = argc == 5 ? open(argv[1], O_RDONLY) : -1, listener, from, to, go[2];
	size_t devices, size;
	struct stat st;
	char *stream, byte = 0;
	double start, middle, end;
	pid_t sender;

	if (file < 0 || fstat(file, &st) < 0)
		die("usage: gate STREAM DEVICES FROM TO");
	size = (size_t)st.st_size;
	devices = strtoul(argv[2], NULL, 10);
	stream = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
	if (stream == MAP_FAILED || devices < SLACK || devices >= size || pipe(go) < 0)
		die(argv[1]);
	listener = listen_at(argv[4]);
	from = connect_to(argv[3]);
	start = now();
	sender = fork();
	if (sender == 0) {
		send_all(from, stream, devices);
		if (read(go[0], &byte, 1) == 1)
			send_all(from, stream + devices, size - devices);
		_exit(0);
	}
	to = accept(listener, NULL, NULL);
	take(to, devices - SLACK);
	middle = now() - start;
	usleep(100000);
	start = now();
	if (write(go[1], &byte, 1) != 1)
		die("pipe");
	take(to, size - devices + SLACK);
	end = now() - start;
	close(to);
	close(from);
	waitpid(sender, NULL, 0);
	printf("%.4f %.3f\n", middle, 1000 * end);
	return 0;
}
