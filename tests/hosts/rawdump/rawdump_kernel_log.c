// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Warnings of the kernel while a case runs: "warned=FILE:LINE" among its details. The kernel says each
 * once a boot, unless debugfs lets it forget. Only for a batch with one worker, else it is not known whose
 * they are. Sources: Linux Documentation/admin-guide/clearing-warn-once.rst; ABI/testing/dev-kmsg.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rawdump.h"

#define CLEAR_WARN_ONCE "/sys/kernel/debug/clear_warn_once"
#define WARNING         ";WARNING: "

static int log_fd = -1, clear_fd = -1;

void kernel_log_open(void)
{
	clear_fd = open(CLEAR_WARN_ONCE, O_WRONLY | O_CLOEXEC);
	if (clear_fd >= 0)
		log_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

/* From here on. */
void kernel_log_start(void)
{
	if (log_fd < 0)
		return;
	lseek(log_fd, 0, SEEK_END);
	if (write(clear_fd, "1", 1) != 1)
		perror("rawdump: " CLEAR_WARN_ONCE);
}

/* A record says "WARNING: CPU: 0 PID: 1 at FILE:LINE FUNCTION"; each read gives one record. */
void kernel_log_take(struct verdict *verdict)
{
	char record[8192];
	ssize_t length;

	while (log_fd >= 0 && (length = read(log_fd, record, sizeof(record) - 1)) > 0) {
		const char *warning, *place;

		record[length] = '\0';
		warning = strstr(record, WARNING);
		place = warning ? strstr(warning, " at ") : NULL;
		if (place)
			verdict_add(verdict, " warned=%.*s", (int)strcspn(place + 4, " \n"),
				    place + 4);
	}
}
