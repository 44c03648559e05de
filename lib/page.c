// SPDX-License-Identifier: LGPL-2.1-or-later
/* One page of guest memory, wherever it is. */
#include <inttypes.h>
#include <string.h>
#include <zlib.h>

#include "error.h"
#include "source.h"
#include "state.h"

/* Of what QEMU compresses in one call: exactly a page comes out. */
static enum nestmig_error unpack(struct nm_source *stream, const struct nm_page *page,
				 uint8_t *buffer, bool *ret_good, struct nestmig_detail *detail)
{
	uint8_t packed[2 * NM_PAGE_SIZE];
	uLongf size = NM_PAGE_SIZE;
	enum nestmig_error error = NESTMIG_OK;

	*ret_good = page->length <= sizeof(packed);
	if (*ret_good)
		error = nm_source_read(stream, page->offset, packed, page->length, detail);
	if (!error && *ret_good)
		*ret_good = uncompress(buffer, &size, packed, page->length) == Z_OK &&
			    size == NM_PAGE_SIZE;
	return error;
}

enum nestmig_error nm_page_content(struct nm_source *stream, const struct nm_patched *patched,
				   const struct nm_page *page, uint8_t *buffer,
				   struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;
	bool good = false;

	switch (page->kind) {
	case NM_PAGE_STORED:
		return nm_source_read(stream, page->offset, buffer, NM_PAGE_SIZE, detail);
	case NM_PAGE_FILL:
		memset(buffer, page->fill, NM_PAGE_SIZE);
		return NESTMIG_OK;
	case NM_PAGE_PATCHED:
		memcpy(buffer, patched->pages[page->offset]->bytes, NM_PAGE_SIZE);
		return NESTMIG_OK;
	case NM_PAGE_ZLIB:
		error = unpack(stream, page, buffer, &good, detail);
		break;
	case NM_PAGE_ABSENT:
		break;
	}
	if (error || good)
		return error;
	return nm_fail(detail, NESTMIG_ERR_NOT_FOUND,
		       "page 0x%" PRIx64 " is RAM, but the file does not have it in a form that is "
		       "read",
		       page->gpa);
}

enum nestmig_error nm_page_bytes(const struct nestmig_state *state, const struct nm_page *page,
				 uint8_t *buffer, struct nestmig_detail *detail)
{
	return nm_page_content(state->stream, state->ram.patched, page, buffer, detail);
}

enum nestmig_error nm_state_fetch_page(const struct nestmig_state *state, uint64_t gpa,
				       uint8_t *buffer, struct nestmig_detail *detail)
{
	struct nm_page page = {.gpa = gpa};
	enum nestmig_error error;

	if (gpa % NM_PAGE_SIZE)
		return nm_fail(detail, NESTMIG_ERR_INVALID,
			       "0x%" PRIx64 " is not the address of a page", gpa);
	switch (nm_state_backed(state, gpa, NM_PAGE_SIZE)) {
	case NESTMIG_BACKED_NO:
		return nm_fail(detail, NESTMIG_ERR_NOT_FOUND, "there is no RAM at 0x%" PRIx64, gpa);
	case NESTMIG_BACKED_UNKNOWN:
		return nm_fail(detail, NESTMIG_ERR_NOT_FOUND,
			       "the file does not have the guest memory at 0x%" PRIx64, gpa);
	case NESTMIG_BACKED_YES:
		break;
	}
	error = nm_state_read_memory(state, gpa, buffer, NM_PAGE_SIZE);
	if (error != NESTMIG_ERR_NOT_FOUND)
		return error ? nm_fail(detail, error, "reading page 0x%" PRIx64, gpa) : NESTMIG_OK;
	if (state->find_pages)
		error = state->find_pages(state, &page, 1, detail);
	else
		error = NESTMIG_OK;
	return error ? error : nm_page_bytes(state, &page, buffer, detail);
}
