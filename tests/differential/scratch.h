/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The copy of a base in a directory, from the inside. */
#ifndef DIFFERENTIAL_SCRATCH_H
#define DIFFERENTIAL_SCRATCH_H

#include "base.h"

struct scratch {
	const struct base *base;
	char dir[1024];
	int *fds; /* one a file of the base */
	size_t fd_count;
};

#endif
