// SPDX-License-Identifier: GPL-2.0-or-later
/* qcow2 images: the snapshot that is alone, and those with the ids 1 and 2. */
#include <stdlib.h>

#include "fuzz_use.h"
#include "nestmig.h"
#include "qcow2.h"
#include "source.h"
#include "state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_one(const uint8_t *data, size_t size, const char *wanted)
{
	struct nestmig_state *state = NULL;
	struct nm_source *source = NULL;
	struct nestmig_detail detail;

	if (nm_state_new("fuzz", NULL, &state, &detail))
		return;
	state->wanted_snapshot = wanted;
	if (nm_source_memory(data, size, &source, &detail) == NESTMIG_OK &&
	    nm_state_add_source(state, source, &detail) == NESTMIG_OK &&
	    nm_qcow2_read(state, source, 0, &detail) == NESTMIG_OK &&
	    nm_state_load_memory(state, &detail) == NESTMIG_OK)
		use_state(state);
	nestmig_state_free(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_one(data, size, NULL);
	read_one(data, size, "1");
	read_one(data, size, "2");
	return 0;
}
