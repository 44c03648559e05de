// SPDX-License-Identifier: LGPL-2.1-or-later
/* A compressed stream as a source: its head and its end at once, what is between them pass by pass. */
#include "unpack.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "error.h"
#include "qemu.h"
#include "reader.h"
#include "source.h"
#include "unpack_internal.h"

/* What nm_qemu_read looks at first. */
#define HEAD_SIZE (64U << 10)
/* Device state and vmdesc: some 20 KiB a vCPU. What is larger takes another pass. */
#define TAIL_SIZE   (16U << 20)
#define TAIL_PACKED (24U << 20)
/* Of a later pass: how far back it is still there. */
#define WINDOW_SIZE (1U << 20)
/* Unpacked at a time: stays in the processor's cache, and a block of lzop's fits in. */
#define STEP_SIZE   (128U << 10)
#define RECENT_SIZE (256U << 10)
/* Pages of guest memory that were asked to be kept: 64 MiB. */
#define KEPT_MAX 16384

/* The last bytes that a pass has put here, of those from `from` to `end`; byte n of the stream stands at
 * n % size. */
struct ring {
	uint8_t *bytes;
	size_t size;
	uint64_t from, end;
};

struct kept {
	uint64_t offset;
	size_t length;
	uint8_t bytes[];
};

struct unpack {
	struct nm_source *packed;
	uint64_t offset; /* in packed */
	enum nm_packing packing;
	uint64_t total;
	uint8_t *head;    /* HEAD_SIZE bytes */
	uint64_t devices; /* where RAM ends, or 0: first_pass */
	struct ring tail, window;
	struct nm_unpack_pass *pass; /* the one that fills the window, or NULL */
	unsigned passes;
	struct kept **kept; /* a ring of KEPT_MAX, or NULL */
	uint64_t kept_count;
	bool failed; /* to unpack */
};

static void unpack_free(void *ctx)
{
	struct unpack *u = ctx;

	nm_unpack_pass_free(u->pass);
	for (size_t i = 0; u->kept && i < KEPT_MAX; i++)
		free(u->kept[i]);
	free(u->kept);
	free(u->head);
	free(u->tail.bytes);
	free(u->window.bytes);
	free(u);
}

/* Unpacks on into a ring. *ret_got is 0 at the end. */
static enum nestmig_error fill(struct nm_unpack_pass *pass, struct ring *ring, size_t *ret_got,
			       struct nestmig_detail *detail)
{
	size_t at = (size_t)(nm_unpack_pass_at(pass) % ring->size);
	size_t room = ring->size - at < STEP_SIZE ? ring->size - at : STEP_SIZE;

	enum nestmig_error error =
		nm_unpack_pass_next(pass, ring->bytes + at, room, ret_got, detail);

	ring->end = nm_unpack_pass_at(pass);
	return error;
}

/* Copies what a ring has of a range from its start on. */
static size_t from_ring(const struct ring *ring, uint64_t offset, uint8_t *out, size_t length)
{
	uint64_t start = ring->end - ring->from > ring->size ? ring->end - ring->size : ring->from;
	size_t at, here;

	if (offset < start || offset >= ring->end)
		return 0;
	at = (size_t)(offset % ring->size);
	here = ring->size - at;
	here = ring->end - offset < here ? (size_t)(ring->end - offset) : here;
	here = length < here ? length : here;
	memcpy(out, ring->bytes + at, here);
	return here;
}

static size_t from_head(const struct unpack *u, uint64_t offset, uint8_t *out, size_t length)
{
	uint64_t end = u->total < HEAD_SIZE ? u->total : HEAD_SIZE;
	size_t here;

	if (offset >= end)
		return 0;
	here = end - offset < length ? (size_t)(end - offset) : length;
	memcpy(out, u->head + offset, here);
	return here;
}

static size_t from_kept(const struct unpack *u, uint64_t offset, uint8_t *out, size_t length)
{
	size_t count = u->kept_count < KEPT_MAX ? (size_t)u->kept_count : KEPT_MAX, left;

	for (size_t i = 0; u->kept && i < count; i++) {
		const struct kept *kept = u->kept[i];

		if (offset < kept->offset || offset - kept->offset >= kept->length)
			continue;
		left = kept->length - (size_t)(offset - kept->offset);
		length = left < length ? left : length;
		memcpy(out, kept->bytes + (offset - kept->offset), length);
		return length;
	}
	return 0;
}

static enum nestmig_error restart(struct unpack *u, struct nestmig_detail *detail)
{
	nm_unpack_pass_free(u->pass);
	u->pass = NULL;
	u->window.end = 0;
	if (u->passes++ >= NM_UNPACK_PASSES)
		return nm_fail_at(
			detail, NESTMIG_ERR_LIMIT, u->offset,
			"so many places of the compressed stream are needed that it would "
			"have to be unpacked more than %d times: unpack it first",
			NM_UNPACK_PASSES);
	if (!u->window.bytes)
		u->window = (struct ring){.bytes = malloc(WINDOW_SIZE), .size = WINDOW_SIZE};
	if (!u->window.bytes)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	return nm_unpack_pass_new(u->packed, u->offset, u->packing, &u->pass, detail);
}

/* Brings a pass on until its window has the byte at offset, or starts one. */
static enum nestmig_error pass_to(struct unpack *u, uint64_t offset, struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;
	size_t got = 1;

	if (!u->pass || (nm_unpack_pass_at(u->pass) > WINDOW_SIZE &&
			 offset < nm_unpack_pass_at(u->pass) - WINDOW_SIZE))
		error = restart(u, detail);
	while (!error && got && nm_unpack_pass_at(u->pass) <= offset)
		error = fill(u->pass, &u->window, &got, detail);
	if (!error && !got)
		error = nm_fail(detail, NESTMIG_ERR_TRUNCATED,
				"the file was changed while it was read");
	if (error) {
		nm_unpack_pass_free(u->pass);
		u->pass = NULL;
	}
	return error;
}

static enum nestmig_error unpack_bytes(void *ctx, uint64_t offset, void *buffer, size_t length,
				       struct nestmig_detail *detail)
{
	struct unpack *u = ctx;
	uint8_t *out = buffer;

	while (length > 0) {
		size_t here = from_head(u, offset, out, length);
		enum nestmig_error error;

		if (!here)
			here = from_ring(&u->tail, offset, out, length);
		if (!here && u->pass)
			here = from_ring(&u->window, offset, out, length);
		/* Few are kept, and a pass that has come this far need not start anew. */
		if (!here && (!u->pass || offset < nm_unpack_pass_at(u->pass)))
			here = from_kept(u, offset, out, length);
		if (!here) {
			error = pass_to(u, offset, detail);
			u->failed = u->failed || error;
			if (error)
				return error;
		}
		out += here;
		offset += here;
		length -= here;
	}
	return NESTMIG_OK;
}

/* The oldest give way: a page that is stored again and again was not the last one. */
static enum nestmig_error unpack_keep(void *ctx, uint64_t offset, size_t length,
				      struct nestmig_detail *detail)
{
	struct unpack *u = ctx;
	struct kept *kept = malloc(sizeof(*kept) + length);
	enum nestmig_error error;

	if (!u->kept)
		u->kept = calloc(KEPT_MAX, sizeof(struct kept *));
	if (!u->kept || !kept) {
		free(kept);
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	}
	error = unpack_bytes(u, offset, kept->bytes, length, detail);
	if (error) {
		free(kept);
		return error;
	}
	kept->offset = offset;
	kept->length = length;
	free(u->kept[u->kept_count % KEPT_MAX]);
	u->kept[u->kept_count++ % KEPT_MAX] = kept;
	return NESTMIG_OK;
}

static const struct nm_source_ops ops = {
	.read = unpack_bytes, .keep = unpack_keep, .free = unpack_free, .is_derived = true};

/* ---- The first pass --------------------------------------------------------------------------- */

/* While it lasts, what has been unpacked can be read in order. */
struct first {
	struct unpack *u;
	struct nm_unpack_pass *pass;
	struct ring recent; /* before the tail: it stays in the processor's cache */
	bool in_tail;
	enum nestmig_error error; /* of unpacking */
	struct nestmig_detail *detail;
};

/*
 * The last TAIL_SIZE bytes come from the last TAIL_PACKED of the file, however badly it was compressed (but for
 * what a format can hold that unpacks to nothing; then they take another pass).
 */
static bool advance(struct first *f)
{
	uint64_t before = nm_unpack_pass_at(f->pass);
	struct ring *ring = &f->recent;
	size_t got = 0;

	if (!f->in_tail && nm_unpack_pass_left(f->pass) <= TAIL_PACKED) {
		f->in_tail = true;
		f->u->tail.from = f->u->tail.end = before;
	}
	if (f->in_tail)
		ring = &f->u->tail;
	f->error = fill(f->pass, ring, &got, f->detail);
	/* Before the ring overwrites it. */
	if (!f->error && before < HEAD_SIZE)
		from_ring(ring, before, f->u->head + before, HEAD_SIZE - (size_t)before);
	return !f->error && got;
}

static enum nestmig_error first_read(void *ctx, uint64_t offset, void *buffer, size_t length,
				     struct nestmig_detail *detail)
{
	struct first *f = ctx;
	uint8_t *out = buffer;

	(void)detail;
	while (length > 0) {
		size_t here;

		while (nm_unpack_pass_at(f->pass) <= offset)
			if (!advance(f))
				return f->error ? f->error : NESTMIG_ERR_TRUNCATED;
		here = from_ring(&f->u->tail, offset, out, length);
		if (!here)
			here = from_ring(&f->recent, offset, out, length);
		if (!here)
			return NESTMIG_ERR_UNSUPPORTED;
		out += here;
		offset += here;
		length -= here;
	}
	return NESTMIG_OK;
}

static void first_free(void *ctx)
{
	struct first *f = ctx;

	nm_unpack_pass_free(f->pass);
	free(f->recent.bytes);
}

/* All of it once: the size, the head, the end, whether it is good, and where RAM ends. */
static enum nestmig_error first_pass(struct unpack *u, struct nestmig_detail *detail)
{
	static const struct nm_source_ops first_ops = {
		.read = first_read, .free = first_free, .is_derived = true};
	struct first f = {.u = u,
			  .recent = {.bytes = malloc(RECENT_SIZE), .size = RECENT_SIZE},
			  .detail = detail};
	struct nm_source *unpacked = NULL;
	struct nestmig_detail ignored = {0};
	enum nestmig_error error;

	if (!f.recent.bytes)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	error = nm_unpack_pass_new(u->packed, u->offset, u->packing, &f.pass, detail);
	if (error) {
		free(f.recent.bytes);
		return error;
	}
	error = nm_source_new(&first_ops, &f, UINT64_MAX / 2, &unpacked, detail);
	if (error)
		return error;
	if (nm_qemu_pass_ram(unpacked, &u->devices, &ignored) != NESTMIG_OK)
		u->devices = 0;
	while (!f.error && advance(&f))
		;
	u->total = f.error ? 0 : nm_unpack_pass_at(f.pass);
	nm_source_free(unpacked);
	return f.error;
}

static enum nestmig_error unpack_new(struct nm_source *packed, uint64_t offset,
				     enum nm_packing packing, struct unpack **ret_unpack,
				     struct nestmig_detail *detail)
{
	struct unpack *u = calloc(1, sizeof(*u));
	enum nestmig_error error;

	if (!u)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	u->packed = packed;
	u->offset = offset;
	u->packing = packing;
	u->head = malloc(HEAD_SIZE);
	u->tail = (struct ring){.bytes = malloc(TAIL_SIZE), .size = TAIL_SIZE};
	if (!u->head || !u->tail.bytes)
		error = nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	else
		error = first_pass(u, detail);
	if (error) {
		unpack_free(u);
		return error;
	}
	*ret_unpack = u;
	return NESTMIG_OK;
}

enum nestmig_error nm_unpack_source(struct nm_source *packed, uint64_t offset,
				    enum nm_packing packing, struct nm_source **ret_source,
				    struct nestmig_detail *detail)
{
	struct unpack *u = NULL;
	enum nestmig_error error = unpack_new(packed, offset, packing, &u, detail);

	return error ? error : nm_source_new(&ops, u, u->total, ret_source, detail);
}

/* ---- A QEMU stream in it ---------------------------------------------------------------------- */

/* Before all of it is unpacked: is it a stream at all? */
static enum nestmig_error check_magic(struct nm_source *packed, uint64_t offset,
				      enum nm_packing packing, struct nestmig_detail *detail)
{
	struct nm_unpack_pass *pass = NULL;
	enum nestmig_error error = nm_unpack_pass_new(packed, offset, packing, &pass, detail);
	uint8_t magic[4];
	size_t have = 0, got = 1;

	while (!error && got && have < sizeof(magic)) {
		error = nm_unpack_pass_next(pass, magic + have, sizeof(magic) - have, &got, detail);
		have += error ? 0 : got;
	}
	nm_unpack_pass_free(pass);
	if (!error && (have < sizeof(magic) || nm_be32(magic) != NM_QEMU_MAGIC))
		error = nm_fail_at(detail, NESTMIG_ERR_UNSUPPORTED, offset,
				   "the %s data here holds no QEMU migration stream",
				   nm_packing_name(packing));
	return error;
}

enum nestmig_error nm_unpack_stream(struct nestmig_state *state, struct nm_source *source,
				    uint64_t offset, enum nm_packing packing,
				    struct nestmig_detail *detail)
{
	enum nestmig_error error = check_magic(source, offset, packing, detail);
	struct nm_source *stream = NULL;
	struct unpack *u = NULL;
	size_t used;

	if (!error)
		error = unpack_new(source, offset, packing, &u, detail);
	if (!error)
		error = nm_source_new(&ops, u, u->total, &stream, detail);
	if (!error)
		error = nm_state_add_source(state, stream, detail);
	if (error)
		return error;
	state->stream = stream;
	state->ram.passed = u->devices;
	state->packing = nm_packing_name(packing);
	error = nm_qemu_read(state, stream, detail);
	if (!error || u->failed || !detail || !detail->has_offset)
		return error;
	used = strlen(detail->text);
	snprintf(detail->text + used, sizeof(detail->text) - used, "; in the unpacked stream");
	return error;
}

bool nm_unpack_recognise(const uint8_t *head, size_t size)
{
	return nm_packing_of(head, size) != NM_PACKING_NONE;
}

enum nestmig_error nm_unpack_read(struct nestmig_state *state, struct nm_source *source,
				  unsigned flags, struct nestmig_detail *detail)
{
	uint8_t head[NM_HEAD_SIZE] = {0};
	uint64_t size = nm_source_size(source);
	enum nestmig_error error = nm_source_read(
		source, 0, head, size < sizeof(head) ? (size_t)size : sizeof(head), detail);

	(void)flags;
	return error ? error
		     : nm_unpack_stream(state, source, 0, nm_packing_of(head, sizeof(head)),
					detail);
}
