/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest's CPUID as QEMU tells it over QMP: a migration stream does not carry it. */
#ifndef NESTMIG_QEMU_FEATURES_H
#define NESTMIG_QEMU_FEATURES_H

#include <jansson.h>

#include "state.h"

/* An .nms record of this type holds, for the vCPU of its index, a JSON object
 * {"feature-words": reply of qom-get, "phys-bits": number}. Optional: older readers skip it. */
#define NM_NMS_QEMU_CPU UINT32_C(0x80000019)

/*
 * Takes CPUID words from that object into a vCPU; registers it does not name stay unknown. What the
 * vCPU had of CPUID is replaced. Errors: FORMAT.
 */
NESTMIG_CHECKED enum nestmig_error nm_qemu_features(struct nm_vcpu *vcpu, const json_t *object,
						    struct nm_origin origin,
						    struct nestmig_detail *detail);

/* The same from JSON text. */
NESTMIG_CHECKED enum nestmig_error
nm_qemu_features_text(struct nm_vcpu *vcpu, struct nm_origin origin, struct nestmig_detail *detail);

/* The inverse, as far as such an object has words for it: JSON text, which the caller frees. Errors: NOMEM. */
NESTMIG_CHECKED enum nestmig_error nm_qemu_features_format(const struct nm_vcpu *vcpu,
							   char **ret_text);

#endif
