// SPDX-License-Identifier: GPL-2.0-or-later
/* libvirt's save images, compressed streams and libvirt's XML: read, and if that succeeds print everything. */
#include <stdlib.h>
#include <string.h>

#include "domain.h"
#include "fuzz_use.h"
#include "libvirt.h"
#include "nestmig.h"
#include "source.h"
#include "state.h"
#include "unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is compressed gives the same bytes each time, and as many as were promised. */
static void unpack(struct nm_source *file, const uint8_t *data, size_t size)
{
	enum nm_packing packing = nm_packing_of(data, size);
	struct nestmig_detail detail;
	struct nm_source *source = NULL;
	const uint8_t *a, *b;
	size_t length;

	if (packing == NM_PACKING_NONE ||
	    nm_unpack_source(file, 0, packing, &source, &detail) != NESTMIG_OK)
		return;
	length = nm_source_size(source) < 100000 ? (size_t)nm_source_size(source) : 100000;
	if (nm_source_window(source, 0, length, &a, &detail) ||
	    nm_source_keep(source, 0, length, &detail) ||
	    nm_source_window(source, 0, length, &b, &detail) || memcmp(a, b, length) != 0)
		abort();
	if (nm_source_window(source, nm_source_size(source) - length, length, &a, &detail))
		abort();
	nm_source_free(source);
}

static void parse_xml(const uint8_t *data, size_t size)
{
	struct nm_domain *domain = NULL;
	char *text = malloc(size + 1);

	if (!text)
		return;
	memcpy(text, data, size);
	text[size] = '\0';
	if (nm_domain_parse(text, &domain, NULL) == NESTMIG_OK) {
		unsigned bits = nm_domain_phys_bits(domain, domain);

		if (bits && (bits < 32 || bits > 52))
			abort();
	}
	nm_domain_free(domain);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nestmig_state *state = NULL;
	struct nm_source *source = NULL;
	struct nestmig_detail detail;

	if (size > 0 && data[0] == '<') {
		parse_xml(data, size);
		return 0;
	}
	if (nm_state_new("fuzz", NULL, &state, &detail))
		return 0;
	if (nm_source_memory(data, size, &source, &detail) == NESTMIG_OK &&
	    nm_state_add_source(state, source, &detail) == NESTMIG_OK) {
		enum nestmig_error error = NESTMIG_ERR_FORMAT;

		unpack(source, data, size);
		if (nm_libvirt_recognise(data, size))
			error = nm_libvirt_read(state, source, 0, &detail);
		else if (nm_unpack_recognise(data, size))
			error = nm_unpack_read(state, source, 0, &detail);
		if (!error && nm_state_load_memory(state, &detail) == NESTMIG_OK)
			use_state(state);
	}
	nestmig_state_free(state);
	return 0;
}
