// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz target for the reader of .nms. Checksums would stop a fuzzer at the first changed byte, so
 * each input is read without comparing them, and once as it would be read in earnest.
 */
#include <stdlib.h>

#include "error.h"
#include "nms.h"
#include "source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ENOUGH (UINT64_C(64) << 20)

static enum nestmig_error sink(void *ctx, uint64_t offset, const uint8_t *bytes, size_t length,
			       struct nestmig_detail *detail)
{
	uint64_t *expected = ctx;

	if (offset != *expected || length == 0 || !bytes)
		abort();
	*expected += length;
	/* A small input can hold a very long stream of zeros. */
	if (*expected > ENOUGH)
		return nm_fail(detail, NESTMIG_ERR_CANCELLED, "enough");
	return NESTMIG_OK;
}

/* A few reads that cross chunks. Takes nms over. */
static void read_here_and_there(struct nm_nms *nms)
{
	uint64_t size = nm_nms_stream_size(nms);
	struct nm_source *stream = NULL;
	struct nestmig_detail detail;
	uint8_t buffer[10000];

	if (nm_nms_stream_source(nms, &stream, &detail))
		return;
	for (uint64_t i = 0; i < 8; i++) {
		uint64_t offset = size / 8 * i;
		size_t n =
			size - offset < sizeof(buffer) ? (size_t)(size - offset) : sizeof(buffer);

		if (nm_source_read(stream, offset, buffer, n, &detail) && !detail.text[0])
			abort();
	}
	nm_source_free(stream);
}

/* Every error tells where it is. */
static void check(enum nestmig_error error, const struct nestmig_detail *detail, size_t size)
{
	if (!error || error == NESTMIG_ERR_NOMEM)
		return;
	if (!detail->has_offset || detail->offset > size || !detail->text[0])
		abort();
}

static void walk(const uint8_t *data, size_t size, unsigned flags)
{
	struct nestmig_detail detail;
	struct nm_source *source = NULL;
	struct nm_nms *nms = NULL;
	uint64_t length = 0;
	enum nestmig_error error;

	if (nm_source_memory(data, size, &source, &detail))
		return;
	error = nm_nms_open(source, flags, &nms, &detail);
	check(error, &detail, size);
	if (!error && nm_nms_has_stream(nms)) {
		error = nm_nms_stream_each(nms, sink, &length, &detail);
		if (error != NESTMIG_ERR_CANCELLED)
			check(error, &detail, size);
		if (!error && length != nm_nms_stream_size(nms))
			abort();
		read_here_and_there(nms);
	} else {
		nm_nms_free(nms);
	}
	nm_source_free(source);
}

/* All the way into a state. */
static void read_state(const uint8_t *data, size_t size)
{
	unsigned flags = NM_NMS_NO_CHECKSUM | NESTMIG_READ_SKIP_RAM_CHECKSUM;
	struct nestmig_detail detail;
	struct nestmig_state *state = NULL;
	struct nm_source *source = NULL;
	enum nestmig_error error;

	if (nm_state_new("fuzz", NULL, &state, &detail))
		return;
	error = nm_source_memory(data, size, &source, &detail);
	if (!error)
		error = nm_state_add_source(state, source, &detail);
	if (!error)
		error = nm_nms_read(state, source, flags, &detail);
	for (size_t i = 0; !error && i < state->vcpu_count; i++)
		state->vcpus[i].view.events.smi_smm = 1;
	if (!error)
		error = nm_state_load_memory(state, &detail);
	if (error && !detail.text[0])
		abort();
	nestmig_state_free(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	walk(data, size, 0);
	walk(data, size, NM_NMS_NO_CHECKSUM);
	walk(data, size, NM_NMS_NO_CHECKSUM | NESTMIG_READ_SKIP_RAM_CHECKSUM);
	read_state(data, size);
	return 0;
}
