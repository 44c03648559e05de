// SPDX-License-Identifier: GPL-2.0-or-later
/* QEMU streams: read, and if that succeeds judge and print everything. */
#include <stdlib.h>

#include "nestmig.h"
#include "qemu.h"
#include "source.h"
#include "state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All of memory that rules ask for, as if every vCPU were in SMM; few inputs have one that is. */
static void load_memory(struct nestmig_state *state, uint64_t stream_size)
{
	struct nestmig_detail detail;

	for (size_t i = 0; i < state->vcpu_count; i++) {
		state->vcpus[i].view.events.smi_smm = 1;
		state->vcpus[i].view.sregs.efer = 0;
		state->vcpus[i].view.sregs.cr0 |= UINT64_C(1) << 31;
		state->vcpus[i].view.sregs.cr4 |= UINT64_C(1) << 5;
	}
	if (nm_state_load_memory(state, &detail))
		return;
	for (size_t i = 0; i < state->page_count; i++)
		if (state->pages[i].kind == NM_PAGE_STORED &&
		    (state->pages[i].offset > stream_size ||
		     stream_size - state->pages[i].offset < NM_PAGE_SIZE))
			abort();
}

static void use(const struct nestmig_state *state)
{
	struct nestmig_report *report = NULL;
	char *text = NULL;

	if (nestmig_judge(state, NULL, &report) == NESTMIG_OK &&
	    nestmig_report_json(report, "fuzz", &text) == NESTMIG_OK)
		free(text);
	nestmig_report_free(report);
	if (nestmig_inspect_text(state, false, &text) == NESTMIG_OK)
		free(text);
	if (nestmig_inspect_smram_text(state, false, &text) == NESTMIG_OK)
		free(text);
	if (nestmig_inspect_smram_json(state, &text) == NESTMIG_OK)
		free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nestmig_state *state = NULL;
	struct nm_source *source = NULL;
	struct nestmig_detail detail;

	if (nm_state_new("fuzz", NULL, &state, &detail))
		return 0;
	if (nm_source_memory(data, size, &source, &detail) == NESTMIG_OK &&
	    nm_state_add_source(state, source, &detail) == NESTMIG_OK &&
	    nm_qemu_read(state, source, &detail) == NESTMIG_OK) {
		state->stream = source;
		if (nm_state_load_memory(state, &detail) == NESTMIG_OK)
			use(state);
		load_memory(state, size);
		use(state);
	}
	nestmig_state_free(state);
	return 0;
}
