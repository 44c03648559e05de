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
	/* Of a vCPU: */
	bool is_old;       /* it uses nesting, and before version 49 no nested state was saved */
	bool lacks_nested; /* it is in SMM, and nothing was saved of what it used before */
	bool loses_gif;    /* it is an L1 with SVM on, and a clear GIF was not saved */
	bool loses_vmxon;  /* it is an L1 with CR4.VMXE, and VMX operation was not saved */
	bool drops_msrs;   /* its VMX capability MSRs will not be restored */
};

enum nestmig_error chv_no_memory(struct chv *chv);

/* Takes the object "Kvm" of a vCPU's state into vcpu, as cloud-hypervisor will restore it. Errors: FORMAT,
 * TRUNCATED, LIMIT, UNSUPPORTED (an older version's form), NOMEM. */
NESTMIG_CHECKED enum nestmig_error chv_take_vcpu(struct chv *chv, struct nm_vcpu *vcpu,
						 const json_t *kvm);

#endif
