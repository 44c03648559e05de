/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The profiles of a directory, as nestmig place judges for them. */
#ifndef NESTMIG_PLACE_HOSTS_H
#define NESTMIG_PLACE_HOSTS_H

#include <jansson.h>

#include "cli.h"
#include "view.h"

struct place_host {
	char *path;        /* owned */
	char *name;        /* owned: the name of the file without .json */
	json_t *json_name; /* owned */
	size_t same_as;    /* the index of the first host with the same view */
	struct nestmig_host_view view;
};

struct place_hosts {
	struct place_host *hosts; /* owned; in order of the files' names */
	size_t count;
};

/* The files *.json of a directory. Errors: IO, NOT_FOUND (there is none), NOMEM. */
NESTMIG_CHECKED enum nestmig_error place_hosts_list(const char *directory,
						    struct place_hosts *ret_hosts,
						    struct nestmig_detail *detail);

/*
 * Reads them, in so many processes apart (0: one a processor). One that cannot be read is told like other errors of the command and
 * taken out. Returns EXIT_CLEAN, or EXIT_TROUBLE if there was one; with no host left, there is nothing to judge for.
 */
int place_hosts_read(struct place_hosts *hosts, int processes, const struct command *self,
		     bool json);

void place_hosts_free(struct place_hosts *hosts);

#endif
