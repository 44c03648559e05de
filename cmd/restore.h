/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nestmig restore: what the process that talks to QEMU (restore.c) and the one that parses (restore_file.c)
 * say to each other. */
#ifndef NESTMIG_RESTORE_H
#define NESTMIG_RESTORE_H

#include <jansson.h>

#include "apart.h"

/* What is asked for; borrowed. */
struct restore_request {
	const char *file;
	const char *snapshot;            /* which one of a qcow2 image, or NULL */
	const struct nestmig_host *host; /* NULL: not known */
	const char *machine;             /* the QEMU's machine type; NULL: it does not tell */
	const json_t *cpus;              /* live_query_cpus */
	bool force, strict, json, colour;
	int timeout_s; /* for QEMU to take something */
	int pipe;      /* what the stream is written to: does not block */
};

/* Follows apart_put_error of reading and judging, if that is OK; then report_size bytes of the report, in JSON
 * or as a text. */
struct restore_answer {
	uint64_t total, report_size; /* bytes; total: of the stream */
	int is_refused;              /* by the judgement: nothing will be sent */
};

/*
 * The work of apart_start, of a struct restore_request: answers, and unless there is an error or it is refused
 * waits for one byte, writes the stream, closes the pipe, and says with apart_put_error how that went.
 */
void restore_file(void *ctx, int channel);

#endif
