// SPDX-License-Identifier: GPL-2.0-or-later
/* The vCPUs of a state in a QEMU that is there. */
#include "cpus.h"

#include "error.h"
#include "live.h"
#include "qemu_features.h"

/* The guest's CPUID is that of the QEMU which will run it. */
enum nestmig_error cpus_take(struct nestmig_state *state, const json_t *cpus,
			     struct nestmig_detail *detail)
{
	struct nm_origin origin = {.layout = NM_LAYOUT_NONE};
	enum nestmig_error error = NESTMIG_OK;

	for (size_t i = 0; !error && i < state->vcpu_count; i++) {
		struct nm_vcpu *vcpu = &state->vcpus[i];
		const json_t *cpu = live_cpu(cpus, vcpu->id);

		if (!cpu)
			error = nm_fail(detail, NESTMIG_ERR_CAPABILITY,
					"the state has vCPU %u, but this QEMU has only %zu: start "
					"it with the same -smp",
					vcpu->id, json_object_size(cpus));
		else if (json_is_object(cpu))
			error = nm_qemu_features(vcpu, cpu, origin, detail);
		else /* That of the source would be a guess. */
			vcpu->view.have &= ~NESTMIG_HAVE(CPUID);
	}
	if (!error && json_object_size(cpus) > state->vcpu_count)
		error = nm_fail(
			detail, NESTMIG_ERR_CAPABILITY,
			"this QEMU has %zu vCPUs, but the state only %zu: start it with the "
			"same -smp",
			json_object_size(cpus), state->vcpu_count);
	return error;
}
