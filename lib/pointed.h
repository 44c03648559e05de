/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of guest memory the state of a vCPU points at. */
#ifndef NESTMIG_POINTED_H
#define NESTMIG_POINTED_H

#include "state.h"

struct nm_pointed {
	const char *name; /* of the field that points, or what stands there; static */
	uint64_t gpa, length;
	bool in_smm;                /* as a vCPU in SMM sees it */
	enum nestmig_backed backed; /* is all of it RAM? */
	bool is_at_hand;            /* the bytes can be read without a pass over a stream */
};

/* Each of a VMCS12's at most, and what else there is. */
#define NM_POINTED_MAX 32

/* Fills ret; returns how many. Only what is in use: a pointer of a control that is off does not count. */
size_t nm_vcpu_pointed(const struct nestmig_state *state, const struct nm_vcpu *vcpu,
		       struct nm_pointed ret[NM_POINTED_MAX]);

/* "yes", "no" or "unknown". */
const char *nm_backed_name(enum nestmig_backed backed);

#endif
