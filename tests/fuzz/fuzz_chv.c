// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cloud-hypervisor snapshots: an input that starts with '{' is the text of a state.json; of any other the rest
 * is the text of a vCPU inside of one, which mutations of the whole would seldom reach.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cloud_hypervisor.h"
#include "fuzz_use.h"
#include "nestmig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A state.json with this text as the state of its only vCPU; NULL if it is no UTF-8. */
static char *wrapped(const uint8_t *data, size_t size)
{
	json_t *vcpu = json_stringn((const char *)data, size), *root;
	char *text;

	if (!vcpu)
		return NULL;
	root = json_pack("{s:{s:{s:{s:{s:{s:o}}}}}}", "snapshots", "cpu-manager", "snapshots", "0",
			 "snapshot_data", "state", vcpu);
	text = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail;
	char *text = NULL;

	if (size > 0 && data[0] != '{') {
		text = wrapped(data + 1, size - 1);
		if (!text)
			return 0;
		data = (const uint8_t *)text;
		size = strlen(text);
	}
	if (nm_state_new("fuzz", NULL, &state, &detail) == NESTMIG_OK &&
	    nm_chv_read_text(state, (const char *)data, size, &detail) == NESTMIG_OK &&
	    nm_state_load_memory(state, &detail) == NESTMIG_OK)
		use_state(state);
	nestmig_state_free(state);
	free(text);
	return 0;
}
