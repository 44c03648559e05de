// SPDX-License-Identifier: LGPL-2.1-or-later
/* One page of guest memory, wherever it is. */
#include <inttypes.h>
#include <string.h>

#include "error.h"
#include "source.h"
#include "state.h"

enum nestmig_error nm_page_bytes(const struct nestmig_state *state, const struct nm_page *page,
				 uint8_t *buffer, struct nestmig_detail *detail)
{
	switch (page->kind) {
	case NM_PAGE_STORED:
		return nm_source_read(state->stream, page->offset, buffer, NM_PAGE_SIZE, detail);
	case NM_PAGE_FILL:
		memset(buffer, page->fill, NM_PAGE_SIZE);
		return NESTMIG_OK;
	case NM_PAGE_ABSENT:
		break;
	}
	return nm_fail(detail, NESTMIG_ERR_NOT_FOUND,
		       "page 0x%" PRIx64 " is RAM, but the file does not have it in a form that is "
		       "read",
		       page->gpa);
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
