/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nestmig migrate: the device state of a stopped VM, judged by a process of its own (apart.h) while the process
 * that talks to QEMU fetches the pages of guest memory that rules read.
 */
#ifndef NESTMIG_MIGRATE_CHECK_H
#define NESTMIG_MIGRATE_CHECK_H

#include <jansson.h>

#include "apart.h"
#include "state.h"

/* What the process that judges is given when it starts; borrowed until then. */
struct check_request {
	const char *name;                /* of the VM, for the report */
	const struct nestmig_host *host; /* the destination; NULL: not known */
	const json_t *cpus;              /* live_query_cpus of the QEMU that will run the VM */
	const struct nm_range *ram;      /* what is RAM; may be empty */
	size_t ram_count;
	bool json, colour; /* the form of the report */
	int memory;        /* a memfd, which holds the device state whenever it is asked */
};

/* What one judgement says. */
struct check_answer {
	enum nestmig_verdict verdict;
	/* vCPUs; those whose CPUID is known; those with SVM or VMX in it, with EFER.SVME or CR4.VMXE, with
	 * L2 active. */
	uint32_t vcpus, told, exposed, on, active;
	uint64_t bytes; /* of device state */
	uint32_t pages; /* of guest memory that were read */
	char *report;   /* in JSON or as a text; freed by check_answer_clear */
};

/* Gives one page of guest memory: NM_PAGE_SIZE bytes. false: it cannot be had. */
typedef bool (*check_page_fn)(void *ctx, uint64_t gpa, uint8_t *page);

/* Starts the process. apart_end ends it. Errors: IO. */
NESTMIG_CHECKED enum nestmig_error check_start(struct apart *apart,
					       const struct check_request *request,
					       struct nestmig_detail *detail);

/*
 * Has the state judged that stands in the memfd now; at most limit_ms. check_answer_clear must follow. Errors:
 * those of reading a stream, CANCELLED, TIMEOUT, and those of apart.h.
 */
NESTMIG_CHECKED enum nestmig_error check_judge(struct apart *apart, int limit_ms,
					       check_page_fn page, void *ctx,
					       struct check_answer *ret_answer,
					       struct nestmig_detail *detail);
void check_answer_clear(struct check_answer *answer);

#endif
