/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the parts of the reader of cloud-hypervisor snapshots. */
#ifndef NESTMIG_CLOUD_HYPERVISOR_INTERNAL_H
#define NESTMIG_CLOUD_HYPERVISOR_INTERNAL_H

#include "cloud_hypervisor_json.h"

/* What makes an old snapshot of little use. */
#define CHV_OLD                                                                                    \
	"cloud-hypervisor before version 49 saves no nested state: a guest that was running a "    \
	"guest of its own loses it, and what ran of that is restored as if it were the outer "     \
	"guest"

/* A snapshot that is being read. */
struct chv {
	struct nestmig_state *state;
	const char *path; /* NULL: there are no files beside the text */
	struct nestmig_detail *detail;
	bool lacks_nested; /* a vCPU uses nesting, and the file has no nested state of it */
	bool drops_msrs;   /* of a vCPU the VMX capability MSRs will not be restored */
	bool has_field;    /* the file has the field: version 49 or later */
};

enum nestmig_error chv_no_memory(struct chv *chv);

/* Takes the object "Kvm" of a vCPU's state into vcpu, as cloud-hypervisor will restore it. Errors: FORMAT,
 * TRUNCATED, LIMIT, UNSUPPORTED (an older version's form), NOMEM. */
NESTMIG_CHECKED enum nestmig_error chv_take_vcpu(struct chv *chv, struct nm_vcpu *vcpu,
						 const json_t *kvm);

#endif
