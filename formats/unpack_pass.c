// SPDX-License-Identifier: LGPL-2.1-or-later
/* Unpacking once from front to end. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "error.h"
#include "source.h"
#include "unpack_internal.h"

#define IN_SIZE (128U << 10)
/* Zeros after the end: a block device, or the padding of O_DIRECT (libvirt's runIO, virfile.c). */
#define PADDING_MAX (UINT64_C(1) << 20)
/* 0x184d2a50 to 5f: a skippable frame (RFC 8878, 3.1.2) */
#define ZSTD_SKIPPABLE UINT32_C(0x184d2a50)
#define MAGIC_MAX      9

struct nm_unpack_pass {
	struct nm_source *packed;
	const struct nm_codec *codec;
	void *ctx;
	enum nm_packing packing;
	uint64_t next;   /* offset in packed of what has not been read yet */
	uint64_t given;  /* bytes so far */
	uint64_t limit;  /* of them */
	uint8_t *in;     /* IN_SIZE bytes */
	size_t at, have; /* in[at] to in[have] has been read and not been taken */
	bool ended;
};

static const struct {
	const char *name, *magic;
	size_t length;
	const struct nm_codec *codec;
} packings[NM_PACKINGS] = {
	[NM_PACKING_GZIP] = {"gzip", "\x1f\x8b\x08", 3, &nm_codec_gzip},
	[NM_PACKING_BZIP2] = {"bzip2", "BZh", 3, &nm_codec_bzip2},
	[NM_PACKING_XZ] = {"xz", "\xfd\x37zXZ\0", 6, &nm_codec_xz},
	[NM_PACKING_LZOP] = {"lzop", "\x89LZO\0\r\n\x1a\n", MAGIC_MAX, &nm_codec_lzop},
	[NM_PACKING_ZSTD] = {"zstd", "\x28\xb5\x2f\xfd", 4, &nm_codec_zstd},
};

enum nm_packing nm_packing_of(const uint8_t *head, size_t size)
{
	for (enum nm_packing i = NM_PACKING_NONE + 1; i < NM_PACKINGS; i++)
		if (size >= packings[i].length &&
		    memcmp(head, packings[i].magic, packings[i].length) == 0)
			return i;
	return NM_PACKING_NONE;
}

const char *nm_packing_name(enum nm_packing packing)
{
	return packings[packing].name;
}

enum nestmig_error nm_unpack_pass_new(struct nm_source *packed, uint64_t offset,
				      enum nm_packing packing, struct nm_unpack_pass **ret_pass,
				      struct nestmig_detail *detail)
{
	struct nm_unpack_pass *pass = calloc(1, sizeof(*pass));
	uint64_t left = nm_source_size(packed) - offset;

	if (!pass)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	pass->packed = packed;
	pass->packing = packing;
	pass->codec = packings[packing].codec;
	pass->next = offset;
	pass->limit = left > (UINT64_MAX - NM_UNPACK_FREE) / NM_UNPACK_RATIO
			      ? UINT64_MAX
			      : NM_UNPACK_FREE + left * NM_UNPACK_RATIO;
	pass->in = malloc(IN_SIZE);
	pass->ctx = pass->codec->new ();
	if (!pass->in || !pass->ctx) {
		nm_unpack_pass_free(pass);
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	}
	*ret_pass = pass;
	return NESTMIG_OK;
}

void nm_unpack_pass_free(struct nm_unpack_pass *pass)
{
	if (!pass)
		return;
	if (pass->ctx)
		pass->codec->free(pass->ctx);
	free(pass->in);
	free(pass);
}

uint64_t nm_unpack_pass_at(const struct nm_unpack_pass *pass)
{
	return pass->given;
}

/* Where in the file the next byte to be unpacked stands. */
static uint64_t file_offset(const struct nm_unpack_pass *pass)
{
	return pass->next - (pass->have - pass->at);
}

uint64_t nm_unpack_pass_left(const struct nm_unpack_pass *pass)
{
	return nm_source_size(pass->packed) - file_offset(pass);
}

/* Reads on behind what has not been taken yet, which moves to the front. */
static enum nestmig_error refill(struct nm_unpack_pass *pass, struct nestmig_detail *detail)
{
	uint64_t left = nm_source_size(pass->packed) - pass->next;
	size_t here;
	enum nestmig_error error;

	memmove(pass->in, pass->in + pass->at, pass->have - pass->at);
	pass->have -= pass->at;
	pass->at = 0;
	here = IN_SIZE - pass->have;
	here = left < here ? (size_t)left : here;
	error = nm_source_read(pass->packed, pass->next, pass->in + pass->have, here, detail);
	if (error)
		return error;
	pass->next += here;
	pass->have += here;
	return NESTMIG_OK;
}

static enum nestmig_error damaged(const struct nm_unpack_pass *pass, enum nm_codec_result result,
				  const char *why, struct nestmig_detail *detail)
{
	static const enum nestmig_error errors[] = {
		[NM_CODEC_DAMAGED] = NESTMIG_ERR_FORMAT,
		[NM_CODEC_CHECKSUM] = NESTMIG_ERR_CHECKSUM,
		[NM_CODEC_LIMIT] = NESTMIG_ERR_LIMIT,
		[NM_CODEC_UNSUPPORTED] = NESTMIG_ERR_UNSUPPORTED,
	};

	if (result == NM_CODEC_NOMEM)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	return nm_fail_at(detail, errors[result], file_offset(pass),
			  "the %s data cannot be unpacked: %s", packings[pass->packing].name, why);
}

/* Is what follows a compressed stream of the same kind? */
static bool continues(const struct nm_unpack_pass *pass)
{
	const uint8_t *p = pass->in + pass->at;
	size_t left = pass->have - pass->at;

	return nm_packing_of(p, left) == pass->packing ||
	       (pass->packing == NM_PACKING_ZSTD && left >= 4 &&
		(nm_le32(p) & ~UINT32_C(0xf)) == ZSTD_SKIPPABLE);
}

/* Behind the last compressed stream: nothing, or a few zeros. */
static enum nestmig_error check_rest(struct nm_unpack_pass *pass, struct nestmig_detail *detail)
{
	uint64_t start = file_offset(pass);
	enum nestmig_error error = NESTMIG_OK;

	pass->ended = true;
	while (!error && file_offset(pass) < nm_source_size(pass->packed)) {
		while (pass->at < pass->have && !pass->in[pass->at])
			pass->at++;
		if (pass->at < pass->have || file_offset(pass) - start > PADDING_MAX)
			return nm_fail_at(detail, NESTMIG_ERR_FORMAT, file_offset(pass),
					  "the %s data ended at byte %" PRIu64
					  ", but something else follows it",
					  packings[pass->packing].name, start);
		error = refill(pass, detail);
	}
	return error;
}

static enum nestmig_error end_of_one(struct nm_unpack_pass *pass, struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;

	if (pass->have - pass->at < MAGIC_MAX)
		error = refill(pass, detail);
	if (error)
		return error;
	if (!continues(pass))
		return check_rest(pass, detail);
	if (!pass->codec->restart(pass->ctx))
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	return NESTMIG_OK;
}

/* Lets the codec go on once; *ret_got grows. */
static enum nestmig_error step(struct nm_unpack_pass *pass, uint8_t *out, size_t room,
			       size_t *ret_got, struct nestmig_detail *detail)
{
	struct nm_codec_io io = {.out = out, .out_left = room};
	enum nm_codec_result result;
	enum nestmig_error error;
	size_t taken;

	if (pass->at == pass->have) {
		error = refill(pass, detail);
		if (error)
			return error;
	}
	io.in = pass->in + pass->at;
	io.in_left = pass->have - pass->at;
	result = pass->codec->step(pass->ctx, &io);
	taken = pass->have - pass->at - io.in_left;
	pass->at += taken;
	*ret_got = room - io.out_left;
	if (result == NM_CODEC_END)
		return end_of_one(pass, detail);
	if (result != NM_CODEC_MORE)
		return damaged(pass, result, io.why, detail);
	if (taken || *ret_got)
		return NESTMIG_OK;
	if (pass->at == pass->have)
		return nm_fail_at(detail, NESTMIG_ERR_TRUNCATED, pass->next,
				  "the %s data is cut short: the file ends here",
				  packings[pass->packing].name);
	return damaged(pass, NM_CODEC_DAMAGED, "no progress", detail);
}

enum nestmig_error nm_unpack_pass_next(struct nm_unpack_pass *pass, uint8_t *out, size_t room,
				       size_t *ret_got, struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;
	size_t got = 0;

	while (!error && !got && !pass->ended)
		error = step(pass, out, room, &got, detail);
	if (error)
		return error;
	pass->given += got;
	if (pass->given > pass->limit)
		return nm_fail_at(detail, NESTMIG_ERR_LIMIT, file_offset(pass),
				  "the %s data unpacks to more than %" PRIu64
				  " bytes, %u times what is in the file: no saved state does",
				  packings[pass->packing].name, pass->limit, NM_UNPACK_RATIO);
	*ret_got = got;
	return NESTMIG_OK;
}
