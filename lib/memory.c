// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Guest memory: what is RAM, reading it, and taking from it, once, all that rules read, so that
 * judging does no I/O. Addresses come from the guest and are not trusted: each is looked up, none is
 * computed with before.
 */
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "error.h"
#include "smram/smram.h"
#include "source.h"
#include "state.h"
#include "vmcb/vmcb12.h"
#include "vmcs/vmcs12.h"

#define MAX_EXTENTS 65536

_Static_assert(sizeof(((struct nm_vcpu_memory *)0)->smram_area) == SMRAM_AREA_SIZE,
	       "the area that Intel's maps use");

/* Who looks: a vCPU in SMM sees RAM in places where others do not. */
enum viewer { VIEWER_NORMAL, VIEWER_SMM };

/* ---- What is RAM ----------------------------------------------------------------------------- */

enum nestmig_error nm_state_add_extent(struct nestmig_state *state, struct nm_extent extent,
				       struct nestmig_detail *detail)
{
	struct nm_extent *bigger;
	size_t count = state->extent_count;

	if (extent.size == 0)
		return NESTMIG_OK;
	if (extent.gpa + extent.size - 1 < extent.gpa)
		return nm_fail(detail, NESTMIG_ERR_FORMAT,
			       "guest memory at 0x%llx runs past the end of the address space",
			       (unsigned long long)extent.gpa);
	if (count >= MAX_EXTENTS)
		return nm_fail(detail, NESTMIG_ERR_LIMIT, "more than %d memory extents",
			       MAX_EXTENTS);
	/* Room doubles at each power of two. */
	if (!(count & (count - 1))) {
		bigger = reallocarray(state->extents, count ? 2 * count : 1, sizeof(extent));
		if (!bigger)
			return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
		state->extents = bigger;
	}
	state->extents[state->extent_count++] = extent;
	return NESTMIG_OK;
}

static const struct nm_extent *extent_at(const struct nestmig_state *state, uint64_t gpa,
					 enum viewer viewer)
{
	const struct nm_extent *found = NULL;

	for (size_t i = 0; i < state->extent_count; i++) {
		const struct nm_extent *extent = &state->extents[i];

		if (gpa < extent->gpa || gpa - extent->gpa >= extent->size)
			continue;
		if (!extent->smm_only)
			return extent;
		if (viewer == VIEWER_SMM && !found)
			found = extent;
	}
	return found;
}

static enum nestmig_backed backed(const struct nestmig_state *state, uint64_t gpa, uint64_t length,
				  enum viewer viewer)
{
	/* Nothing is RAM past the end of the address space. */
	if (length && gpa + (length - 1) < gpa)
		return NESTMIG_BACKED_NO;
	while (length > 0) {
		const struct nm_extent *extent = extent_at(state, gpa, viewer);
		uint64_t here;

		if (!extent)
			return state->memory_known ? NESTMIG_BACKED_NO : NESTMIG_BACKED_UNKNOWN;
		here = extent->size - (gpa - extent->gpa);
		if (here >= length)
			break;
		gpa += here;
		length -= here;
	}
	return NESTMIG_BACKED_YES;
}

enum nestmig_backed nm_state_backed(const struct nestmig_state *state, uint64_t gpa,
				    uint64_t length)
{
	return backed(state, gpa, length, VIEWER_NORMAL);
}

enum nestmig_backed nm_state_backed_smm(const struct nestmig_state *state, uint64_t gpa,
					uint64_t length)
{
	return backed(state, gpa, length, VIEWER_SMM);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static int by_gpa(const void *a, const void *b)
{
	const struct nm_page *x = a, *y = b;

	return x->gpa < y->gpa ? -1 : x->gpa > y->gpa;
}

static const struct nm_page *page_at(const struct nestmig_state *state, uint64_t gpa)
{
	struct nm_page key = {.gpa = gpa & VMCB12_PAGE_MASK};

	if (state->page_count == 0)
		return NULL;
	return bsearch(&key, state->pages, state->page_count, sizeof(key), by_gpa);
}

/* Reads what of a range stands in one place: *ret_length bytes of it, from *ret_offset of the file
 * (UINT64_MAX: nowhere). */
static enum nestmig_error read_piece(const struct nestmig_state *state,
				     const struct nm_extent *extent, uint64_t gpa, void *buffer,
				     size_t *length, uint64_t *ret_offset,
				     struct nestmig_detail *detail)
{
	const struct nm_page *page = page_at(state, gpa);
	uint64_t skip = gpa - extent->gpa, here = extent->size - skip;
	struct nm_source *source = extent->source;
	uint8_t bytes[NM_PAGE_SIZE];
	struct nm_page found;
	enum nestmig_error error;

	*ret_offset = extent->offset + skip;
	if (!source && !page && state->find_page) {
		error = state->find_page(state, gpa, &found, detail);
		if (error)
			return error;
		page = &found;
	}
	if (!source && !page)
		return NESTMIG_ERR_NOT_FOUND;
	if (!source) {
		skip = gpa % NM_PAGE_SIZE;
		here = NM_PAGE_SIZE - skip < here ? NM_PAGE_SIZE - skip : here;
		source = state->stream;
		*ret_offset = page->kind == NM_PAGE_STORED ? page->offset + skip : UINT64_MAX;
	}
	if (here < *length)
		*length = (size_t)here;
	if (extent->source || page->kind == NM_PAGE_STORED)
		return nm_source_read(source, *ret_offset, buffer, *length, detail);
	if (page->kind == NM_PAGE_ABSENT)
		return NESTMIG_ERR_NOT_FOUND;
	error = nm_page_bytes(state, page, bytes, detail);
	if (!error)
		memcpy(buffer, bytes + skip, *length);
	return error;
}

/* origin, if not NULL, becomes where the bytes stand, if that is one place. */
static enum nestmig_error read_memory(const struct nestmig_state *state, uint64_t gpa, void *buffer,
				      size_t length, enum viewer viewer, struct nm_origin *origin,
				      struct nestmig_detail *detail)
{
	size_t done = 0;

	if (origin)
		*origin = (struct nm_origin){.offset = UINT64_MAX, .size = length, .bytes = buffer};
	if (length && gpa + (length - 1) < gpa)
		return NESTMIG_ERR_NOT_FOUND;
	while (done < length) {
		const struct nm_extent *extent = extent_at(state, gpa + done, viewer);
		size_t here = length - done;
		uint64_t offset = 0;
		enum nestmig_error error;

		if (!extent)
			return NESTMIG_ERR_NOT_FOUND;
		error = read_piece(state, extent, gpa + done, (uint8_t *)buffer + done, &here,
				   &offset, detail);
		if (error)
			return error;
		if (origin && here == length) {
			origin->offset = offset;
			origin->file = extent->file;
		}
		done += here;
	}
	return NESTMIG_OK;
}

enum nestmig_error nm_state_read_memory(const struct nestmig_state *state, uint64_t gpa,
					void *buffer, size_t length)
{
	return read_memory(state, gpa, buffer, length, VIEWER_NORMAL, NULL, NULL);
}

/* ---- What rules read ------------------------------------------------------------------------- */

/* The same where the bytes may be missing: *ret_there says whether they are there. */
static enum nestmig_error try_read(const struct nestmig_state *state, uint64_t gpa, void *buffer,
				   size_t length, enum viewer viewer, struct nm_origin *origin,
				   bool *ret_there, struct nestmig_detail *detail)
{
	enum nestmig_error error = read_memory(state, gpa, buffer, length, viewer, origin, detail);

	*ret_there = !error;
	return error == NESTMIG_ERR_NOT_FOUND ? NESTMIG_OK : error;
}

static bool is_in_smm(const struct nestmig_vcpu_view *view)
{
	return (view->have & NESTMIG_HAVE(EVENTS)) && view->events.smi_smm;
}

static bool has_smbase_in_smm(const struct nestmig_vcpu_view *view)
{
	return is_in_smm(view) && (view->have & NESTMIG_HAVE(SMBASE));
}

/* The map by which RSM reads the image. Without the guest's CPUID what the revision id says, which is
 * good enough to show a decode; rules that need to know ask for the CPUID. */
static enum smram_map map_of(const struct nestmig_vcpu_view *view)
{
	enum smram_map map = SMRAM_MAP_UNKNOWN;

	if (view->have & NESTMIG_HAVE(CPUID))
		map = smram_map_of_cpuid(&view->cpuid);
	if (map == SMRAM_MAP_UNKNOWN)
		map = (smram64_revision(view->smram) & 0xffff) == (SMRAM32_REVISION & 0xffff)
			      ? SMRAM_MAP_32
			      : SMRAM_MAP_64;
	return map;
}

/* The VMCB that an image names: what svm_leave_smm of KVM reads. */
static bool names_vmcb(const struct nestmig_vcpu_view *view, uint64_t *ret_gpa)
{
	if (!(view->have & NESTMIG_HAVE(SMRAM)) || view->vendor == NESTMIG_VENDOR_INTEL ||
	    map_of(view) != SMRAM_MAP_64 || !smram64_svm_guest_flag(view->smram))
		return false;
	*ret_gpa = smram64_svm_guest_vmcb(view->smram) & VMCB12_PAGE_MASK;
	return true;
}

bool nm_rsm_paging(const struct nestmig_vcpu_view *view, uint64_t *ret_efer, uint64_t *ret_cr0,
		   uint64_t *ret_cr3, uint64_t *ret_cr4)
{
	const uint8_t *image = view->smram;

	if (!(view->have & NESTMIG_HAVE(SMRAM)) || !(view->have & NESTMIG_HAVE(CPUID)))
		return false;
	switch (smram_map_of_cpuid(&view->cpuid)) {
	case SMRAM_MAP_64:
		*ret_efer = smram64_efer(image);
		*ret_cr0 = smram64_cr0(image);
		*ret_cr3 = smram64_cr3(image);
		*ret_cr4 = smram64_cr4(image);
		/* KVM drops LMA, and sets it again if LME is set when paging is turned on. */
		*ret_efer &= ~(UINT64_C(1) << 10);
		*ret_efer |= (*ret_efer & UINT64_C(1) << 8) << 2;
		return true;
	case SMRAM_MAP_32:
		*ret_efer = 0;
		*ret_cr0 = smram32_cr0(image);
		*ret_cr3 = smram32_cr3(image);
		*ret_cr4 = smram32_cr4(image);
		return true;
	default:
		return false;
	}
}

/* The CR3 with four PDPTEs behind it, if there is one of this kind. */
static bool cr3_of(const struct nestmig_vcpu_view *view, enum nm_pdptes_of kind, uint64_t *ret_cr3)
{
	const struct nestmig_sregs *sregs = &view->sregs;
	const uint8_t *page = view->vmcb12;
	uint64_t efer = 0, cr0 = 0, cr4 = 0;

	switch (kind) {
	case NM_PDPTES_LIVE:
		*ret_cr3 = sregs->cr3;
		return (view->have & NESTMIG_HAVE(SREGS)) &&
		       nm_uses_pdptes(sregs->efer, sregs->cr0, sregs->cr4);
	case NM_PDPTES_L1:
		if (view->have & NESTMIG_HAVE(VMCS12)) {
			*ret_cr3 = vmcs12_host_cr3(view->vmcs12);
			return vmcs12_host_pae(view->vmcs12);
		}
		if (!(view->have & NESTMIG_HAVE(VMCB12)))
			return false;
		*ret_cr3 = vmcb12_save_cr3(page);
		return nm_uses_pdptes(vmcb12_save_efer(page), vmcb12_save_cr0(page),
				      vmcb12_save_cr4(page));
	case NM_PDPTES_NESTED:
		if (!(view->have & NESTMIG_HAVE(VMCB12)))
			return false;
		*ret_cr3 = vmcb12_nested_cr3(page);
		return (vmcb12_nested_ctl(page) & VMCB12_NP_ENABLE) &&
		       nm_uses_pdptes(vmcb12_save_efer(page), UINT64_C(1) << 31,
				      vmcb12_save_cr4(page));
	default:
		return nm_rsm_paging(view, &efer, &cr0, ret_cr3, &cr4) &&
		       nm_uses_pdptes(efer, cr0, cr4);
	}
}

static enum nestmig_error load_pdptes(const struct nestmig_state *state, struct nm_vcpu *vcpu,
				      struct nestmig_detail *detail)
{
	for (unsigned i = 0; i < NM_PDPTES; i++) {
		struct nm_pdptes *pdptes = &vcpu->pdptes[i];
		enum nestmig_error error;
		uint64_t cr3 = 0;

		*pdptes = (struct nm_pdptes){0};
		if (!cr3_of(&vcpu->view, (enum nm_pdptes_of)i, &cr3))
			continue;
		pdptes->gpa = cr3 & ~UINT64_C(0x1f);
		error = try_read(state, pdptes->gpa, pdptes->bytes, sizeof(pdptes->bytes),
				 VIEWER_NORMAL, NULL, &pdptes->known, detail);
		if (error)
			return error;
	}
	return NESTMIG_OK;
}

/* Only where it is at hand: not worth a pass over a stream. */
static enum nestmig_error load_vmcb12_copy(const struct nestmig_state *state, struct nm_vcpu *vcpu,
					   struct nestmig_detail *detail)
{
	struct nm_vmcb12_copy *copy = &vcpu->vmcb12_copy;

	*copy = (struct nm_vmcb12_copy){.gpa = vcpu->view.nested.vmcb_pa & VMCB12_PAGE_MASK};
	if (!(vcpu->view.have & NESTMIG_HAVE(VMCB12)))
		return NESTMIG_OK;
	return try_read(state, copy->gpa, copy->bytes, sizeof(copy->bytes), VIEWER_NORMAL, NULL,
			&copy->known, detail);
}

enum nestmig_error nm_vcpu_load_pdptes(const struct nestmig_state *state, struct nm_vcpu *vcpu)
{
	enum nestmig_error error = load_vmcb12_copy(state, vcpu, NULL);

	return error ? error : load_pdptes(state, vcpu, NULL);
}

static enum nestmig_error memory_of(struct nm_vcpu *vcpu, struct nestmig_detail *detail)
{
	if (!vcpu->memory)
		vcpu->memory = calloc(1, sizeof(*vcpu->memory));
	return vcpu->memory ? NESTMIG_OK : nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
}

void nm_vcpu_drop_memory(struct nm_vcpu *vcpu)
{
	struct nestmig_vcpu_view *view = &vcpu->view;

	free(vcpu->memory);
	vcpu->memory = NULL;
	view->have &= ~(NESTMIG_HAVE(SMRAM) | NESTMIG_HAVE(SMM_VMCB12) | NESTMIG_HAVE(HSAVE) |
			NESTMIG_HAVE(LINK_HEADER));
	view->smram = view->smm_vmcb12 = view->hsave = NULL;
	nm_vmx_drop_memory(vcpu);
	memset(vcpu->pdptes, 0, sizeof(vcpu->pdptes));
	vcpu->vmcb12_copy.known = false;
}

static enum nestmig_error load_smram(const struct nestmig_state *state, struct nm_vcpu *vcpu,
				     struct nestmig_detail *detail)
{
	struct nestmig_vcpu_view *view = &vcpu->view;
	uint64_t area = view->smbase + SMRAM_AREA_BASE;
	enum nestmig_error error = memory_of(vcpu, detail);
	struct nm_origin origin = {0};
	uint8_t *image;
	bool there = false;

	if (error)
		return error;
	image = vcpu->memory->smram_area + (NESTMIG_SMRAM_BASE - SMRAM_AREA_BASE);
	error = try_read(state, view->smbase + NESTMIG_SMRAM_BASE, image, NESTMIG_SMRAM_SIZE,
			 VIEWER_SMM, &origin, &there, detail);
	if (error || !there)
		return error;
	view->smram = image;
	origin.layout = map_of(view) == SMRAM_MAP_32 ? NM_LAYOUT_SMRAM32 : NM_LAYOUT_KVM;
	nm_vcpu_set_item(vcpu, NESTMIG_ITEM_SMRAM, origin);
	return try_read(state, area, vcpu->memory->smram_area, NESTMIG_SMRAM_BASE - SMRAM_AREA_BASE,
			VIEWER_SMM, NULL, &vcpu->memory->has_smram_low, detail);
}

/* A page that is read as others than a vCPU in SMM see it: KVM leaves SMM before it maps it. */
static enum nestmig_error load_page(const struct nestmig_state *state, struct nm_vcpu *vcpu,
				    uint64_t gpa, enum nestmig_item item,
				    struct nestmig_detail *detail)
{
	enum nestmig_error error = memory_of(vcpu, detail);
	struct nm_origin origin = {0};
	bool there = false;
	uint8_t *page;

	if (error)
		return error;
	page = item == NESTMIG_ITEM_HSAVE ? vcpu->memory->hsave : vcpu->memory->smm_vmcb12;
	error = try_read(state, gpa & VMCB12_PAGE_MASK, page, KVMNS_VMCB_SIZE, VIEWER_NORMAL,
			 &origin, &there, detail);
	if (error || !there)
		return error;
	if (item == NESTMIG_ITEM_HSAVE)
		vcpu->view.hsave = page;
	else
		vcpu->view.smm_vmcb12 = page;
	nm_vcpu_set_item(vcpu, item, origin);
	return NESTMIG_OK;
}

/* The page that the VMCS link pointer names, if any. */
static bool names_link(const struct nestmig_vcpu_view *view, uint64_t *ret_gpa)
{
	*ret_gpa = 0;
	if (!(view->have & NESTMIG_HAVE(VMCS12)))
		return false;
	*ret_gpa = vmcs12_vmcs_link_pointer(view->vmcs12);
	return *ret_gpa != VMCS12_NO_GPA && !(*ret_gpa % NM_PAGE_SIZE);
}

static enum nestmig_error load_link(const struct nestmig_state *state, struct nm_vcpu *vcpu,
				    struct nestmig_detail *detail)
{
	struct nm_origin origin = {0};
	uint8_t header[4] = {0};
	bool there = false;
	uint64_t gpa = 0;
	enum nestmig_error error;

	if (!names_link(&vcpu->view, &gpa))
		return NESTMIG_OK;
	error = try_read(state, gpa, header, sizeof(header), VIEWER_NORMAL, &origin, &there,
			 detail);
	if (error || !there)
		return error;
	vcpu->view.link_header = nm_le32(header);
	origin.bytes = NULL;
	nm_vcpu_set_item(vcpu, NESTMIG_ITEM_LINK_HEADER, origin);
	return NESTMIG_OK;
}

/* What the registers lead to. */
static enum nestmig_error load_first(const struct nestmig_state *state, struct nm_vcpu *vcpu,
				     struct nestmig_detail *detail)
{
	const struct nestmig_vcpu_view *view = &vcpu->view;
	enum nestmig_error error = NESTMIG_OK;

	if (view->have & NESTMIG_HAVE(HSAVE_PA))
		error = load_page(state, vcpu, view->hsave_pa, NESTMIG_ITEM_HSAVE, detail);
	if (!error && has_smbase_in_smm(view))
		error = load_smram(state, vcpu, detail);
	return error ? error : load_link(state, vcpu, detail);
}

/* What an SMRAM image leads to. */
static enum nestmig_error load_second(const struct nestmig_state *state, struct nm_vcpu *vcpu,
				      struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;
	uint64_t gpa = 0;

	error = nm_vmx_load_memory(state, vcpu, detail);
	if (!error && names_vmcb(&vcpu->view, &gpa))
		error = load_page(state, vcpu, gpa, NESTMIG_ITEM_SMM_VMCB12, detail);
	if (!error)
		error = load_vmcb12_copy(state, vcpu, detail);
	return error ? error : load_pdptes(state, vcpu, detail);
}

/* ---- Pages that have to be looked for -------------------------------------------------------- */

/* Pages of a vCPU at most: two halves of SMRAM that may straddle a page, host save area, VMCB, and
 * PDPTEs of each kind, the page that the VMCS link pointer names. */
#define MAX_WANTED (9 + NM_VMX_PAGES)
/* Of the VMX ranges two are in one page each, three are areas of up to 8192 bytes anywhere. */
#define NM_VMX_PAGES (2 + 3 * 3)

struct wanted {
	struct nm_page *pages; /* owned; room for MAX_WANTED a vCPU */
	size_t count;
};

/* The pages of a range that is RAM, but not at hand. */
static void want(struct wanted *wanted, const struct nestmig_state *state, uint64_t gpa,
		 uint64_t length, enum viewer viewer)
{
	uint64_t last = gpa + (length - 1);

	if (last < gpa)
		return;
	for (uint64_t page = gpa & VMCB12_PAGE_MASK;; page += NM_PAGE_SIZE) {
		const struct nm_extent *extent = extent_at(state, page < gpa ? gpa : page, viewer);

		if (extent && !extent->source && !page_at(state, page))
			wanted->pages[wanted->count++] = (struct nm_page){.gpa = page};
		if (last - page < NM_PAGE_SIZE)
			break;
	}
}

/* PDPTEs that no rule asks for are not worth a pass: L2's with nested paging are not in L1's memory,
 * and a stream may bring them itself. */
static bool wants_pdptes(const struct nestmig_vcpu_view *view, enum nm_pdptes_of kind)
{
	if (kind != NM_PDPTES_LIVE)
		return true;
	if (view->have & NESTMIG_HAVE(PDPTRS))
		return false;
	if (view->have & NESTMIG_HAVE(VMCS12))
		return !vmcs12_proc2(view->vmcs12, PROC2_EPT);
	return (view->have & NESTMIG_HAVE(VMCB12)) &&
	       !(vmcb12_nested_ctl(view->vmcb12) & VMCB12_NP_ENABLE);
}

static void want_all(struct wanted *wanted, const struct nestmig_state *state,
		     const struct nestmig_vcpu_view *view)
{
	struct nm_range ranges[NM_VMX_RANGES];
	size_t count = nm_vmx_wants(view, ranges);
	uint64_t gpa = 0;

	for (size_t i = 0; i < count; i++)
		want(wanted, state, ranges[i].gpa, ranges[i].length, VIEWER_NORMAL);
	if (has_smbase_in_smm(view))
		want(wanted, state, view->smbase + SMRAM_AREA_BASE, SMRAM_AREA_SIZE, VIEWER_SMM);
	if (is_in_smm(view) && (view->have & NESTMIG_HAVE(HSAVE_PA)))
		want(wanted, state, view->hsave_pa & VMCB12_PAGE_MASK, NM_PAGE_SIZE, VIEWER_NORMAL);
	if (names_vmcb(view, &gpa))
		want(wanted, state, gpa, NM_PAGE_SIZE, VIEWER_NORMAL);
	if (names_link(view, &gpa))
		want(wanted, state, gpa, 4, VIEWER_NORMAL);
	for (unsigned i = 0; i < NM_PDPTES; i++)
		if (cr3_of(view, (enum nm_pdptes_of)i, &gpa) &&
		    wants_pdptes(view, (enum nm_pdptes_of)i))
			want(wanted, state, gpa & ~UINT64_C(0x1f), 32, VIEWER_NORMAL);
}

/* Sorts by gpa and drops doubles. */
static size_t sort_pages(struct nm_page *pages, size_t count)
{
	size_t kept = 0;

	qsort(pages, count, sizeof(*pages), by_gpa);
	for (size_t i = 0; i < count; i++)
		if (kept == 0 || pages[kept - 1].gpa != pages[i].gpa)
			pages[kept++] = pages[i];
	return kept;
}

/* Goes through the stream for the pages that are wanted and have not been looked for yet. */
static enum nestmig_error find_pages(struct nestmig_state *state, struct nestmig_detail *detail)
{
	size_t room = state->page_count + MAX_WANTED * state->vcpu_count;
	struct wanted wanted = {0};
	enum nestmig_error error;

	if (!state->find_pages || !state->vcpu_count)
		return NESTMIG_OK;
	wanted.pages = calloc(room, sizeof(*wanted.pages));
	if (!wanted.pages)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < state->vcpu_count; i++)
		want_all(&wanted, state, &state->vcpus[i].view);
	wanted.count = sort_pages(wanted.pages, wanted.count);
	error = wanted.count ? state->find_pages(state, wanted.pages, wanted.count, detail)
			     : NESTMIG_OK;
	if (error || !wanted.count) {
		free(wanted.pages);
		return error;
	}
	if (state->page_count)
		memcpy(wanted.pages + wanted.count, state->pages,
		       state->page_count * sizeof(*state->pages));
	free(state->pages);
	state->pages = wanted.pages;
	state->page_count = sort_pages(wanted.pages, wanted.count + state->page_count);
	return NESTMIG_OK;
}

static enum nestmig_error load_each(struct nestmig_state *state,
				    enum nestmig_error (*load)(const struct nestmig_state *state,
							       struct nm_vcpu *vcpu,
							       struct nestmig_detail *detail),
				    struct nestmig_detail *detail)
{
	enum nestmig_error error = find_pages(state, detail);

	for (size_t i = 0; i < state->vcpu_count && !error; i++)
		error = load(state, &state->vcpus[i], detail);
	return error;
}

enum nestmig_error nm_state_load_memory(struct nestmig_state *state, struct nestmig_detail *detail)
{
	enum nestmig_error error;

	for (size_t i = 0; i < state->vcpu_count; i++)
		nm_vcpu_drop_memory(&state->vcpus[i]);
	error = load_each(state, load_first, detail);
	return error ? error : load_each(state, load_second, detail);
}
