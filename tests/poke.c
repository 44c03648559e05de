// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * poke IN.nms OUT.nms vcpuN.FIELD VALUE: a copy of a snapshot with one field of the stream inside
 * changed, to make states that are broken in exactly one way. Field names are those of
 * `nestmig inspect --fields`.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "fields.h"
#include "nms.h"
#include "qemu_features.h"
#include "source.h"
#include "state.h"

struct poke {
	const char *in, *out;
	struct nestmig_state *state;
	struct nm_nms *nms;
	uint8_t *stream;
	size_t size;
	struct nestmig_detail detail;
};

static int die(const struct poke *p, const char *what)
{
	fprintf(stderr, "poke: %s: %s\n", what, p->detail.text);
	return 1;
}

/* Where the parts of a segment stand in QEMU's flags word. */
static bool packed_bits(const char *name, unsigned *ret_shift, unsigned *ret_bits)
{
	static const struct {
		const char *name;
		uint8_t shift, bits;
	} parts[] = {{"type", 8, 4}, {"s", 12, 1}, {"dpl", 13, 2}, {"present", 15, 1},
		     {"avl", 20, 1}, {"l", 21, 1}, {"db", 22, 1},  {"g", 23, 1}};
	const char *part = strrchr(name, '.') + 1;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (strcmp(part, parts[i].name) != 0)
			continue;
		*ret_shift = parts[i].shift;
		*ret_bits = parts[i].bits;
		return true;
	}
	return false;
}

static void put(uint8_t *at, uint64_t value, unsigned width, bool big)
{
	for (unsigned i = 0; i < width; i++)
		at[i] = (uint8_t)(value >> 8 * (big ? width - 1 - i : i));
}

static bool change(struct poke *p, const char *where, uint64_t value)
{
	unsigned id = 0, width = 0, shift, bits;
	const struct nm_field *field;
	uint64_t offset;
	bool big = false;
	int used = 0;

	if (sscanf(where, "vcpu%u.%n", &id, &used) != 1 || !used || id >= p->state->vcpu_count)
		return false;
	field = nm_field_find(where + used);
	if (!field)
		return false;
	offset = nm_field_offset(&p->state->vcpus[id], field, &width, &big);
	if (offset >= p->size || p->size - offset < 8)
		return false;
	if (width) {
		put(p->stream + offset, value, width, big);
		return true;
	}
	if (!packed_bits(field->name, &shift, &bits))
		return false;
	width = nm_be32(p->stream + offset);
	width &= ~(((1U << bits) - 1) << shift);
	put(p->stream + offset, width | (uint32_t)value << shift, 4, true);
	return true;
}

/* HOST and CPU records go over as they are; those of the vCPU structs would no longer be true. */
static enum nestmig_error copy_records(struct poke *p, struct nm_nms_writer *writer)
{
	enum nestmig_error error = NESTMIG_OK;

	for (size_t i = 0; !error && i < nm_nms_record_count(p->nms); i++) {
		const struct nm_nms_record *record = nm_nms_record(p->nms, i);
		const uint8_t *bytes = NULL;

		if (record->type != NM_NMS_HOST && record->type != NM_NMS_QEMU_CPU)
			continue;
		error = nm_source_window(p->state->sources[0], record->payload_offset,
					 (size_t)record->length, &bytes, &p->detail);
		if (!error)
			error = nm_nms_writer_add_record(writer, record->type, record->index, bytes,
							 (size_t)record->length, &p->detail);
	}
	return error;
}

static enum nestmig_error write_copy(struct poke *p)
{
	struct nm_nms_writer *writer = NULL;
	enum nestmig_error error = nm_nms_writer_new(p->out, 1, &writer, &p->detail);

	if (!error)
		error = nm_nms_writer_add_source(writer, nm_nms_info(p->nms), &p->detail);
	if (!error)
		error = copy_records(p, writer);
	if (!error)
		error = nm_nms_writer_add_stream(writer, p->stream, p->size, &p->detail);
	if (!error)
		error = nm_nms_writer_finish_stream(writer, &p->detail);
	if (!error)
		error = nm_nms_writer_commit(writer, &p->detail);
	nm_nms_writer_free(writer);
	return error;
}

static int run(struct poke *p, const char *field, const char *text)
{
	uint64_t value = strtoull(text, NULL, 0);

	if (nestmig_state_read(p->in, 0, &p->state, &p->detail))
		return die(p, p->in);
	if (!p->state->stream || p->state->stream == p->state->sources[0])
		return die(p, "not an .nms with a stream");
	p->size = (size_t)nm_source_size(p->state->stream);
	p->stream = malloc(p->size);
	if (!p->stream || nm_source_read(p->state->stream, 0, p->stream, p->size, &p->detail))
		return die(p, p->in);
	if (!change(p, field, value))
		return die(p, "no such field in the stream");
	if (nm_nms_open(p->state->sources[0], 0, &p->nms, &p->detail))
		return die(p, p->in);
	return write_copy(p) ? die(p, p->out) : 0;
}

int main(int argc, char **argv)
{
	struct poke p = {0};
	int status;

	if (argc != 5) {
		fprintf(stderr, "usage: poke IN.nms OUT.nms vcpuN.FIELD VALUE\n");
		return 2;
	}
	p.in = argv[1];
	p.out = argv[2];
	status = run(&p, argv[3], argv[4]);
	nm_nms_free(p.nms);
	nestmig_state_free(p.state);
	free(p.stream);
	return status;
}
