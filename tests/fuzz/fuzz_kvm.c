// SPDX-License-Identifier: GPL-2.0-or-later
/* The structs of KVM's ioctls as a raw dump holds them: the first byte says which one. */
#include "nestmig.h"
#include "state.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nestmig_state *state = NULL;
	struct nestmig_report *report = NULL;
	struct nm_origin origin = {.bytes = data + 1, .size = size - 1};
	struct nm_vcpu *vcpu = NULL;
	struct nestmig_detail detail;

	if (size < 1 || nm_state_new("fuzz", "raw-dump", &state, &detail))
		return 0;
	if (nm_state_add_vcpu(state, 0, &vcpu, &detail) == NESTMIG_OK &&
	    nm_decode_kvm(vcpu, (enum nm_kvm_struct)(data[0] % NM_KVM_STRUCTS), origin, &detail) ==
		    NESTMIG_OK &&
	    nestmig_judge(state, NULL, &report) == NESTMIG_OK)
		nestmig_report_free(report);
	nestmig_state_free(state);
	return 0;
}
