// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig convert: guest memory of a raw KVM dump, a file an extent. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "convert.h"
#include "error.h"
#include "pointed.h"
#include "source.h"

#define PIECE_SIZE (1U << 20)
/* Pages that one pass over a stream looks for: 4 GiB of guest memory, 32 MiB of ours. */
#define BATCH (UINT64_C(1) << 20)
/* An extent that a stream claims to have: each batch is a pass over all of the stream. */
#define EXTENT_MAX (UINT64_C(1) << 40)

struct piece {
	uint64_t gpa, length;
};

struct pieces {
	struct piece *at; /* owned */
	size_t count;
};

static enum nestmig_error add(struct pieces *pieces, uint64_t gpa, uint64_t length,
			      struct nestmig_detail *detail)
{
	struct piece *bigger;
	size_t count = pieces->count;

	/* Room doubles at each power of two. */
	if (!(count & (count - 1))) {
		bigger = reallocarray(pieces->at, count ? 2 * count : 1, sizeof(*bigger));
		if (!bigger)
			return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
		pieces->at = bigger;
	}
	pieces->at[pieces->count++] = (struct piece){gpa, length};
	return NESTMIG_OK;
}

static int by_gpa(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	return x->gpa < y->gpa ? -1 : x->gpa > y->gpa;
}

/* Sorts, and makes one of those that touch. None runs past the end of the address space. */
static void merge(struct pieces *pieces)
{
	size_t kept = 0;

	if (!pieces->count)
		return;
	qsort(pieces->at, pieces->count, sizeof(*pieces->at), by_gpa);
	for (size_t i = 0; i < pieces->count; i++) {
		struct piece *before = kept ? &pieces->at[kept - 1] : NULL, *now = &pieces->at[i];

		if (before && now->gpa - before->gpa <= before->length) {
			if (now->gpa - before->gpa + now->length > before->length)
				before->length = now->gpa - before->gpa + now->length;
		} else {
			pieces->at[kept++] = *now;
		}
	}
	pieces->count = kept;
}

/* ---- Files ----------------------------------------------------------------------------------- */

static enum nestmig_error open_extent(const char *directory, uint64_t gpa, uint64_t size,
				      int *ret_fd, struct nestmig_detail *detail)
{
	char *path;
	int fd;

	if (asprintf(&path, "%s/%" PRIx64, directory, gpa) < 0)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	free(path);
	if (fd < 0)
		return nm_fail_errno(detail, "creating mem/%" PRIx64, gpa);
	if (ftruncate(fd, (off_t)size) < 0) {
		close(fd);
		return nm_fail_errno(detail, "writing mem/%" PRIx64, gpa);
	}
	*ret_fd = fd;
	return NESTMIG_OK;
}

static enum nestmig_error close_extent(int fd, enum nestmig_error error,
				       struct nestmig_detail *detail)
{
	if (!error && fsync(fd) < 0)
		error = nm_fail_errno(detail, "writing guest memory to disk");
	close(fd);
	return error;
}

static enum nestmig_error write_at(int fd, uint64_t offset, const uint8_t *bytes, size_t length,
				   struct nestmig_detail *detail)
{
	while (length > 0) {
		ssize_t n = pwrite(fd, bytes, length, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return nm_fail_errno(detail, "writing guest memory");
		bytes += n;
		offset += (uint64_t)n;
		length -= (size_t)n;
	}
	return NESTMIG_OK;
}

/* What nm_state_read_memory reads at once. */
static enum nestmig_error write_piece(struct convert *c, const struct nestmig_state *state,
				      const char *directory, const struct piece *piece,
				      struct nestmig_detail *detail)
{
	uint8_t *buffer = malloc(PIECE_SIZE);
	uint64_t done = 0;
	enum nestmig_error error;
	int fd = -1;

	if (!buffer)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	error = open_extent(directory, piece->gpa, piece->length, &fd, detail);
	while (!error && done < piece->length) {
		uint64_t left = piece->length - done;
		size_t here = left < PIECE_SIZE ? (size_t)left : PIECE_SIZE;

		error = convert_go_on(detail);
		if (error)
			break;
		error = nm_state_read_memory(state, piece->gpa + done, buffer, here);
		if (error)
			nm_fail(detail, error, "reading guest memory at 0x%" PRIx64,
				piece->gpa + done);
		else
			error = write_at(fd, done, buffer, here, detail);
		done += here;
	}
	free(buffer);
	if (fd >= 0)
		error = close_extent(fd, error, detail);
	c->memory_bytes += done;
	return error;
}

static enum nestmig_error write_pieces(struct convert *c, const struct nestmig_state *state,
				       const char *directory, struct pieces *pieces,
				       struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;

	merge(pieces);
	for (size_t i = 0; i < pieces->count && !error; i++)
		error = write_piece(c, state, directory, &pieces->at[i], detail);
	return error;
}

/* ---- What rules need ------------------------------------------------------------------------- */

static enum nestmig_error add_pointed(struct convert *c, const struct nestmig_state *state,
				      const struct nm_vcpu *vcpu, struct pieces *pieces,
				      struct nestmig_detail *detail)
{
	struct nm_pointed pointed[NM_POINTED_MAX];
	size_t count = nm_vcpu_pointed(state, vcpu, pointed);
	enum nestmig_error error = NESTMIG_OK;

	for (size_t i = 0; i < count && !error; i++) {
		const struct nm_pointed *p = &pointed[i];

		if (p->in_smm && nm_state_backed(state, p->gpa, p->length) != NESTMIG_BACKED_YES) {
			convert_note(c, "SMRAM that only a vCPU in SMM sees");
			continue;
		}
		if (p->is_at_hand)
			error = add(pieces, p->gpa, p->length, detail);
	}
	return error;
}

/* ---- All that is at hand --------------------------------------------------------------------- */

static enum nestmig_error write_run(struct convert *c, const struct nestmig_state *state,
				    const char *directory, const struct nm_page *pages,
				    size_t count, struct nestmig_detail *detail)
{
	uint8_t buffer[NM_PAGE_SIZE];
	enum nestmig_error error;
	int fd = -1;

	error = open_extent(directory, pages[0].gpa, count * NM_PAGE_SIZE, &fd, detail);
	if (error)
		return error;
	for (size_t i = 0; i < count && !error; i++) {
		/* The file is zero where nothing is written. */
		if (pages[i].kind == NM_PAGE_FILL && !pages[i].fill)
			continue;
		error = convert_go_on(detail);
		if (!error)
			error = nm_page_bytes(state, &pages[i], buffer, detail);
		if (!error)
			error = write_at(fd, i * NM_PAGE_SIZE, buffer, sizeof(buffer), detail);
	}
	c->memory_bytes += count * NM_PAGE_SIZE;
	return close_extent(fd, error, detail);
}

/* The pages of a batch that were found, those that follow each other into one file. */
static enum nestmig_error write_batch(struct convert *c, const struct nestmig_state *state,
				      const char *directory, const struct nm_page *pages,
				      size_t count, bool *ret_complete,
				      struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;

	for (size_t i = 0, end; i < count && !error; i = end) {
		bool absent = pages[i].kind == NM_PAGE_ABSENT;

		for (end = i + 1; end < count && (pages[end].kind == NM_PAGE_ABSENT) == absent;)
			end++;
		if (absent)
			*ret_complete = false;
		else
			error = write_run(c, state, directory, pages + i, end - i, detail);
	}
	return error;
}

static enum nestmig_error write_from_stream(struct convert *c, const struct nestmig_state *state,
					    const char *directory, const struct nm_extent *extent,
					    bool *ret_complete, struct nestmig_detail *detail)
{
	uint64_t count = extent->size / NM_PAGE_SIZE;
	uint64_t room = count < BATCH ? count : BATCH;
	struct nm_page *pages;
	enum nestmig_error error = NESTMIG_OK;

	if (!state->find_pages || extent->size > EXTENT_MAX || extent->gpa % NM_PAGE_SIZE ||
	    extent->size % NM_PAGE_SIZE) {
		*ret_complete = false;
		return NESTMIG_OK;
	}
	pages = calloc((size_t)room, sizeof(*pages));
	if (!pages)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	for (uint64_t done = 0; done < count && !error; done += room) {
		size_t here = (size_t)(count - done < room ? count - done : room);

		for (size_t i = 0; i < here; i++)
			pages[i] = (struct nm_page){.gpa = extent->gpa + (done + i) * NM_PAGE_SIZE};
		error = state->find_pages(state, pages, here, detail);
		if (!error)
			error = convert_go_on(detail);
		if (!error)
			error = write_batch(c, state, directory, pages, here, ret_complete, detail);
	}
	free(pages);
	return error;
}

static enum nestmig_error write_all(struct convert *c, const struct nestmig_state *state,
				    const char *directory, struct pieces *pieces,
				    bool *ret_complete, struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;
	bool complete = true;

	for (size_t i = 0; i < state->extent_count && !error; i++) {
		const struct nm_extent *extent = &state->extents[i];

		if (extent->smm_only) {
			convert_note(c, "RAM that only a vCPU in SMM sees");
			*ret_complete = false;
		} else if (extent->source) {
			error = add(pieces, extent->gpa, extent->size, detail);
		} else {
			error = write_from_stream(c, state, directory, extent, &complete, detail);
		}
	}
	if (!complete) {
		convert_note(c, "pages of guest memory that the file does not have in a form that "
				"is read");
		*ret_complete = false;
	}
	return error ? error : write_pieces(c, state, directory, pieces, detail);
}

enum nestmig_error convert_memory(struct convert *c, const struct nestmig_state *state,
				  const char *directory, bool *ret_complete,
				  struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;
	struct pieces pieces = {0};

	*ret_complete = c->with_memory && state->memory_known;
	for (size_t i = 0; i < state->vcpu_count && !error && !c->with_memory; i++)
		error = add_pointed(c, state, &state->vcpus[i], &pieces, detail);
	if (!error)
		error = c->with_memory
				? write_all(c, state, directory, &pieces, ret_complete, detail)
				: write_pieces(c, state, directory, &pieces, detail);
	free(pieces.at);
	if (!c->with_memory && state->memory_known)
		convert_note(c, "which addresses are RAM (--memory carries all of it over)");
	return error;
}
