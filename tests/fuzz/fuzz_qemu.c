// SPDX-License-Identifier: GPL-2.0-or-later
/* QEMU streams: read, and if that succeeds judge and print everything. */
#include <stdlib.h>

#include "nestmig.h"
#include "qemu.h"
#include "source.h"
#include "state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
	    nm_qemu_read(state, source, &detail) == NESTMIG_OK)
		use(state);
	nestmig_state_free(state);
	return 0;
}
