// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * poke IN OUT vcpuN.FIELD VALUE [vcpuN.FIELD VALUE]...: a copy of a snapshot with fields of the stream
 * inside changed, to make states that are broken in exactly one way; or a copy of a QEMU stream. Field
 * names are those of `nestmig inspect --fields`. For events.exception_pending and
 * events.exception_payload QEMU's subsection cpu/exception_info is added, one in a stream.
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
	size_t info_at; /* where the subsection below goes, 0 if it is not to be added */
	unsigned info_cpu;
	uint8_t info[11];
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

#define INFO_HEADER      "\5\22cpu/exception_info\0\0\0\1"
#define INFO_HEADER_SIZE (sizeof(INFO_HEADER) - 1)

/* A pending exception, with a payload or not: it is the first subsection behind the fixed fields. */
static bool add_exception_info(struct poke *p, const struct nm_vcpu *vcpu, const uint64_t *payload)
{
	const struct nm_origin *origin = &vcpu->origin[NESTMIG_ITEM_EVENTS];
	uint64_t at = origin->offset + origin->size;

	if (!vcpu->qemu.present || origin->layout != NM_LAYOUT_QEMU || p->info_at)
		return false;
	if (at > p->size || p->size - at < INFO_HEADER_SIZE ||
	    memcmp(p->stream + at, INFO_HEADER, INFO_HEADER_SIZE) == 0)
		return false;
	p->info_at = (size_t)at;
	p->info_cpu = vcpu->id;
	p->info[0] = 1;
	p->info[2] = !!payload;
	put(p->info + 3, payload ? *payload : 0, 8, true);
	return true;
}

static bool insert(struct poke *p, size_t at, const void *bytes, size_t size)
{
	uint8_t *stream = realloc(p->stream, p->size + size);

	if (!stream)
		return false;
	p->stream = stream;
	memmove(stream + at + size, stream + at, p->size - at);
	memcpy(stream + at, bytes, size);
	p->size += size;
	return true;
}

/* First place of text in the stream from there on, or its end. */
static size_t find(const struct poke *p, size_t from, const char *text)
{
	const uint8_t *at = memmem(p->stream + from, p->size - from, text, strlen(text));

	return at ? (size_t)(at - p->stream) : p->size;
}

/* The vmdesc of a full stream, at its end: type 6, length, JSON. It names the subsections in it. */
static bool describe_exception_info(struct poke *p)
{
	static const char entry[] =
		"{\"vmsd_name\": \"cpu/exception_info\", \"version\": 1, \"fields\": ["
		"{\"name\": \"env.exception_pending\", \"type\": \"uint8\", \"size\": 1}, "
		"{\"name\": \"env.exception_injected\", \"type\": \"uint8\", \"size\": 1}, "
		"{\"name\": \"env.exception_has_payload\", \"type\": \"uint8\", \"size\": 1}, "
		"{\"name\": \"env.exception_payload\", \"type\": \"uint64\", \"size\": 8}]}, ";
	static const char list[] = "\"subsections\": [";
	size_t json = find(p, p->info_at, "{\"page_size\""), at;
	char device[64];

	if (json == p->size)
		return true; /* a stream of devices only has none */
	snprintf(device, sizeof(device), "\"name\": \"cpu\", \"instance_id\": %u,", p->info_cpu);
	at = find(p, find(p, json, device), list);
	if (nm_be32(p->stream + json - 4) != p->size - json || at == p->size)
		return false;
	if (!insert(p, at + sizeof(list) - 1, entry, sizeof(entry) - 1))
		return false;
	put(p->stream + json - 4, p->size - json, 4, true);
	return true;
}

static bool insert_exception_info(struct poke *p)
{
	return insert(p, p->info_at, p->info, sizeof(p->info)) &&
	       insert(p, p->info_at, INFO_HEADER, INFO_HEADER_SIZE) && describe_exception_info(p);
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
	if (strcmp(where + used, "events.exception_payload") == 0)
		return add_exception_info(p, &p->state->vcpus[id], &value);
	if (strcmp(where + used, "events.exception_pending") == 0)
		return value == 1 && add_exception_info(p, &p->state->vcpus[id], NULL);
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

static int write_stream(struct poke *p)
{
	FILE *file = fopen(p->out, "wb");
	bool written = file && fwrite(p->stream, 1, p->size, file) == p->size;

	if (file && fclose(file))
		written = false;
	return written ? 0 : die(p, p->out);
}

static int run(struct poke *p, char **changes)
{
	struct nm_source *stream;
	bool bare;

	if (nestmig_state_read(p->in, 0, &p->state, &p->detail))
		return die(p, p->in);
	stream = p->state->stream;
	if (!stream)
		return die(p, "there is no stream");
	bare = stream == p->state->sources[0];
	p->size = (size_t)nm_source_size(stream);
	p->stream = malloc(p->size);
	if (!p->stream || nm_source_read(stream, 0, p->stream, p->size, &p->detail))
		return die(p, p->in);
	for (; *changes; changes += 2)
		if (!change(p, changes[0], strtoull(changes[1], NULL, 0)))
			return die(p, "no such field in the stream, or not to be changed");
	if (p->info_at && !insert_exception_info(p))
		return die(p, "the vmdesc has no place for the subsection");
	if (bare)
		return write_stream(p);
	if (nm_nms_open(p->state->sources[0], 0, &p->nms, &p->detail))
		return die(p, p->in);
	return write_copy(p) ? die(p, p->out) : 0;
}

int main(int argc, char **argv)
{
	struct poke p = {0};
	int status;

	if (argc < 5 || argc % 2 == 0) {
		fprintf(stderr, "usage: poke IN OUT vcpuN.FIELD VALUE [vcpuN.FIELD VALUE]...\n");
		return 2;
	}
	p.in = argv[1];
	p.out = argv[2];
	status = run(&p, argv + 3);
	nm_nms_free(p.nms);
	nestmig_state_free(p.state);
	free(p.stream);
	return status;
}
