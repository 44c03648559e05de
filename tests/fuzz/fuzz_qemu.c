// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * QEMU streams: read, and if that succeeds judge and print everything. The mutator knows what a stream is
 * made of: it moves sections, subsections and devices of the vmdesc about, and keeps footers and lengths
 * right, so that what is behind the first check is reached.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "fuzz_use.h"
#include "nestmig.h"
#include "qemu.h"
#include "source.h"
#include "state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size); /* libFuzzer's */

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
			use_state(state);
		load_memory(state, size);
		use_state(state);
	}
	nestmig_state_free(state);
	return 0;
}

/* ---- A mutator that knows streams ---------------------------------------------------------------- */

#define MAX_PIECES  512
#define SECTION_MAX 65536

/* A piece of a stream: a section with its footer, or what stands between two. */
struct piece {
	size_t at, size;
	size_t payload,
		payload_size; /* of a section, from the start of the stream; 0: no section */
	uint32_t id;
};

struct stream {
	uint8_t *bytes; /* of max_size */
	size_t size, max_size;
	struct piece pieces[MAX_PIECES];
	size_t count;
	size_t vmdesc; /* where its text starts; 0: there is none */
	uint32_t random;
};

static uint32_t below(struct stream *s, size_t n)
{
	s->random = s->random * 1103515245 + 12345;
	return n ? (uint32_t)((s->random >> 8) % n) : 0;
}

static void put_be32(uint8_t *p, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* Replaces old bytes at a place by others; false if it becomes too long. */
static bool splice(struct stream *s, size_t at, size_t old, const uint8_t *bytes, size_t size)
{
	if (at > s->size || old > s->size - at || size > s->max_size - (s->size - old))
		return false;
	memmove(s->bytes + at + size, s->bytes + at + old, s->size - at - old);
	if (size)
		memcpy(s->bytes + at, bytes, size);
	s->size = s->size - old + size;
	return true;
}

/* The end of the section that starts here, its footer included, or 0. */
static size_t section_end(const struct stream *s, size_t at, struct piece *piece)
{
	const uint8_t *p = s->bytes + at;
	size_t left = s->size - at, header = 5;

	/* Genuine ids are small: most bytes are no start at the first look. */
	if (left < 32 || p[0] < 1 || p[0] > 4 || p[1] || p[2] || p[3] > 3)
		return 0;
	if (p[0] == 1 || p[0] == 4) {
		if (p[5] == 0 || p[5] > 64 || left < 32u + p[5] || p[6] < '0' || p[6] > 'z')
			return 0;
		header = 14u + p[5];
	}
	for (size_t i = header; i + 5 <= left && i < SECTION_MAX; i++) {
		if (p[i] != 0x7e || memcmp(p + i + 1, p + 1, 4) != 0)
			continue;
		*piece = (struct piece){.at = at,
					.size = i + 5,
					.payload = at + header,
					.payload_size = i - header,
					.id = nm_be32(p + 1)};
		return at + i + 5;
	}
	return 0;
}

static void cut_up(struct stream *s)
{
	size_t at = 8, start = 8;

	s->count = s->vmdesc = 0;
	while (at < s->size && s->count + 2 < MAX_PIECES) {
		struct piece piece;
		size_t end = section_end(s, at, &piece);

		if (!end) {
			if (s->size - at > 6 && memcmp(s->bytes + at, "\0\6", 2) == 0 &&
			    s->bytes[at + 6] == '{' &&
			    nm_be32(s->bytes + at + 2) == s->size - at - 6) {
				s->vmdesc = at + 6;
				break;
			}
			at++;
			continue;
		}
		if (at > start)
			s->pieces[s->count++] = (struct piece){.at = start, .size = at - start};
		s->pieces[s->count++] = piece;
		at = start = end;
	}
	if (s->size > start)
		s->pieces[s->count++] = (struct piece){.at = start, .size = s->size - start};
}

/* A section, preferably one of a vCPU, or NULL. */
static struct piece *some_section(struct stream *s)
{
	for (unsigned tries = 0; s->count && tries < 32; tries++) {
		struct piece *piece = &s->pieces[below(s, s->count)];
		bool cpu = piece->payload >= 11 &&
			   memcmp(s->bytes + piece->payload - 11, "cpu", 3) == 0;

		if (piece->payload && (cpu || tries > 8))
			return piece;
	}
	return NULL;
}

/* Puts a copy of a piece somewhere else, or takes it out, or both; its id may become another. */
static bool move_section(struct stream *s)
{
	struct piece *piece = some_section(s), *to;
	uint32_t how = below(s, 4);
	uint8_t *copy;
	bool done;

	if (!piece)
		return false;
	if (how == 0)
		return splice(s, piece->at, piece->size, NULL, 0);
	copy = malloc(piece->size);
	if (!copy)
		return false;
	memcpy(copy, s->bytes + piece->at, piece->size);
	if (how == 1) {
		put_be32(copy + 1, 1000 + below(s, 8));
		memcpy(copy + piece->size - 4, copy + 1, 4);
	}
	to = &s->pieces[below(s, s->count)];
	done = splice(s, to->at, 0, copy, piece->size);
	if (done && how == 2)
		done = splice(s, piece->at + (to->at <= piece->at ? piece->size : 0), piece->size,
			      NULL, 0);
	free(copy);
	return done;
}

/* Id, instance or version of a section, with its footer. */
static bool change_header(struct stream *s)
{
	struct piece *piece = some_section(s);
	uint32_t value = below(s, 4) ? below(s, 16) : below(s, UINT32_MAX);

	if (!piece || s->bytes[piece->at] != 4)
		return false;
	switch (below(s, 3)) {
	case 0:
		put_be32(s->bytes + piece->at + 1, value);
		put_be32(s->bytes + piece->at + piece->size - 4, value);
		return true;
	case 1:
		put_be32(s->bytes + piece->payload - 8, value);
		return true;
	default:
		put_be32(s->bytes + piece->payload - 4, value);
		return true;
	}
}

/* The bytes inside of a section, whatever its length becomes. */
static bool change_payload(struct stream *s)
{
	struct piece *piece = some_section(s);
	size_t size, room;
	uint8_t *copy;
	bool done;

	if (!piece)
		return false;
	room = piece->payload_size + 64;
	copy = calloc(1, room);
	if (!copy)
		return false;
	memcpy(copy, s->bytes + piece->payload, piece->payload_size);
	size = LLVMFuzzerMutate(copy, piece->payload_size, room);
	done = splice(s, piece->payload, piece->payload_size, copy, size);
	free(copy);
	return done;
}

/* The places of subsections of a piece, at most n. */
static size_t subsections(const struct stream *s, const struct piece *piece, size_t *places,
			  size_t n)
{
	size_t count = 0, end = piece->payload + piece->payload_size;

	for (size_t i = piece->payload; i + 8 < end && count < n; i++)
		if (s->bytes[i] == 5 && s->bytes[i + 1] > 4 &&
		    memcmp(s->bytes + i + 2, "cpu/", 4) == 0)
			places[count++] = i;
	return count;
}

/* From one subsection to another: again at the place of a third, or taken out. */
static bool move_subsection(struct stream *s)
{
	size_t places[64], count, a, b;
	struct piece *piece = some_section(s);
	uint8_t *copy;
	bool done;

	count = piece ? subsections(s, piece, places, 63) : 0;
	if (!count)
		return false;
	places[count] = piece->payload + piece->payload_size;
	a = below(s, count);
	b = a + 1 + below(s, count - a);
	if (below(s, 3) == 0)
		return splice(s, places[a], places[b] - places[a], NULL, 0);
	copy = malloc(places[b] - places[a]);
	if (!copy)
		return false;
	memcpy(copy, s->bytes + places[a], places[b] - places[a]);
	done = splice(s, places[below(s, count + 1)], 0, copy, places[b] - places[a]);
	free(copy);
	return done;
}

/* Elements that may stand anywhere, and some that may not. */
static bool insert_element(struct stream *s)
{
	static const struct {
		const char *bytes;
		size_t size;
	} elements[] = {
#define ELEMENT(text) {text, sizeof(text) - 1}
		ELEMENT("\x08\0\x0b\0\0"),
		ELEMENT("\x08\0\2\0\4\0\0\0\1"),
		ELEMENT("\x08\0\3\0\x10\0\0\0\0\0\x20\x10\0\0\0\0\0\0\0\x10\0"),
		ELEMENT("\x08\0\7\0\4\0\0\1\0"),
		ELEMENT("\2\0\0\0\2\0\0\0\0\0\0\0\x10\x7e\0\0\0\2"),
		ELEMENT("\1\0\0\0\x63\x0c"
			"dirty-bitmap\0\0\0\0\0\0\0\1\1\x7e\0\0\0\x63"),
		ELEMENT("\2\0\0\0\x63\x42\0\0\0\0\0\0\0\0\0\0\x10\0\1\x7e\0\0\0\x63"),
		ELEMENT("\5\x1a"
			"configuration/capabilities\0\0\0\1\0\0\0\1\x0a"
			"mapped-ram"),
		ELEMENT("\5\x1a"
			"configuration/capabilities\0\0\0\1\0\0\0\1\x0f"
			"x-ignore-shared"),
		ELEMENT("\5\x12"
			"configuration/uuid\0\0\0\1"
			"0123456789abcdef"),
#undef ELEMENT
	};
	uint32_t n = below(s, sizeof(elements) / sizeof(elements[0]));
	/* The configuration ends where the first section starts. */
	size_t to = n >= 7 && s->count > 1 ? 1 : below(s, s->count);

	return s->count &&
	       splice(s, s->pieces[to].at, 0, (const uint8_t *)elements[n].bytes, elements[n].size);
}

/* A device of the vmdesc, its size, or its place among the others. */
static bool change_devices(struct stream *s, json_t *devices)
{
	static const char *const numbers[] = {"size", "array_len", "version", "instance_id"};
	size_t count = json_array_size(devices), n = below(s, count);
	json_t *device = json_array_get(devices, n), *fields, *field;

	if (!device)
		return false;
	switch (below(s, 4)) {
	case 0:
		return json_array_remove(devices, n) == 0;
	case 1:
		return json_array_insert_new(devices, below(s, count), json_deep_copy(device)) == 0;
	case 2:
		json_incref(device);
		json_array_remove(devices, n);
		return json_array_insert_new(devices, below(s, count - 1), device) == 0;
	default:
		fields = json_object_get(device, "fields");
		field = json_array_get(fields, below(s, json_array_size(fields)));
		n = below(s, 4);
		return json_object_set_new(n < 2 ? field : device, numbers[n],
					   json_integer((json_int_t)below(s, 8192) - 8)) == 0;
	}
}

static bool change_vmdesc(struct stream *s)
{
	json_t *root = s->vmdesc ? json_loadb((const char *)s->bytes + s->vmdesc,
					      s->size - s->vmdesc, 0, NULL)
				 : NULL;
	char *text = NULL;
	bool done = false;

	if (root && change_devices(s, json_object_get(root, "devices")))
		text = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	if (!text)
		return false;
	done = splice(s, s->vmdesc, s->size - s->vmdesc, (const uint8_t *)text, strlen(text));
	if (done)
		put_be32(s->bytes + s->vmdesc - 4, (uint32_t)strlen(text));
	free(text);
	return done;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	static bool (*const ways[])(struct stream * s) = {
		move_section,    change_header,  change_payload, change_payload,
		move_subsection, insert_element, change_vmdesc,
	};
	struct stream *s = calloc(1, sizeof(*s));
	uint32_t times;

	if (!s || size < 16 || seed % 8 == 0) {
		free(s);
		return LLVMFuzzerMutate(data, size, max_size);
	}
	s->bytes = data;
	s->size = size;
	s->max_size = max_size;
	s->random = seed;
	times = 1 + below(s, 3);
	for (uint32_t i = 0; i < times; i++) {
		cut_up(s);
		ways[below(s, sizeof(ways) / sizeof(ways[0]))](s);
	}
	size = s->size;
	free(s);
	return size;
}
