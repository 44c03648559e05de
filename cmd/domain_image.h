/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libvirt's save images, for `nestmig snapshot --domain` and `nestmig restore --domain`. */
#ifndef NESTMIG_DOMAIN_IMAGE_H
#define NESTMIG_DOMAIN_IMAGE_H

#include "cli.h"

/* What is asked for; borrowed. */
struct domain_request {
	const char *domain;        /* its name */
	const char *uri;           /* of --connect; NULL: libvirt's default */
	const char *file;          /* the image */
	const char *host_argument; /* of --host; NULL: this machine, if the daemon is here */
	bool force, strict, json, colour;
};

struct domain_judged {
	enum nestmig_verdict verdict;
	char name[256]; /* of the domain in the image */
	char *report;   /* owned: JSON, or a text */
};

/*
 * Reads and judges an image in a process apart, in the sandbox. Errors: those of nestmig_state_read and of
 * host_argument; UNSUPPORTED (no image of libvirt).
 */
NESTMIG_CHECKED enum nestmig_error domain_judge(const struct domain_request *request,
						struct domain_judged *ret_judged,
						struct nestmig_detail *detail);

/* The two commands with --domain; an exit code. */
int snapshot_domain(const struct command *self, const struct domain_request *request);
int restore_domain(const struct command *self, const struct domain_request *request);

#endif
