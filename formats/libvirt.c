// SPDX-License-Identifier: LGPL-2.1-or-later
/* libvirt's save images: a header, the domain XML, a cookie, and a QEMU stream in one of seven forms. */
#include "libvirt.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "domain.h"
#include "error.h"
#include "qemu.h"
#include "source.h"
#include "unpack.h"

#define MAGIC_SIZE  16
#define HEADER_SIZE 92
/* Offsets of 32-bit numbers in the byte order of the host that wrote the file. */
#define AT_VERSION 16
#define AT_LENGTH  20 /* of all that stands between the header and the stream */
#define AT_RUNNING 24
#define AT_FORMAT  28
#define AT_COOKIE  32 /* from the start of the XML; 0: there is none */

#define VERSION    2
/* Some 10 KiB of XML, a cookie, and 64 KiB of zeros for edits. */
#define LENGTH_MAX    (UINT32_C(16) << 20)

#define FORMAT_RAW    0
#define FORMAT_SPARSE 6 /* QEMU's mapped-ram: the stream speaks of offsets in the file */

static const char finished[MAGIC_SIZE + 1] = "LibvirtQemudSave";
static const char unfinished[MAGIC_SIZE + 1] = "LibvirtQemudPart";

struct header {
	uint32_t version, length, running, format, cookie;
};

bool nm_libvirt_recognise(const uint8_t *head, size_t size)
{
	return size >= MAGIC_SIZE && (memcmp(head, finished, MAGIC_SIZE) == 0 ||
				      memcmp(head, unfinished, MAGIC_SIZE) == 0);
}

static uint32_t word(const uint8_t *bytes, bool big, size_t at)
{
	return big ? nm_be32(bytes + at) : nm_le32(bytes + at);
}

/* libvirt knows the byte order by the version, too. */
static enum nestmig_error decode(const uint8_t *bytes, struct header *ret,
				 struct nestmig_detail *detail)
{
	bool big = nm_le32(bytes + AT_VERSION) > VERSION;

	*ret = (struct header){word(bytes, big, AT_VERSION), word(bytes, big, AT_LENGTH),
			       word(bytes, big, AT_RUNNING), word(bytes, big, AT_FORMAT),
			       word(bytes, big, AT_COOKIE)};
	if (ret->version == 0 || ret->version > VERSION)
		return nm_fail_at(detail, NESTMIG_ERR_UNSUPPORTED, AT_VERSION,
				  "a libvirt save image of version %" PRIu32
				  "; known are 1 and 2, in either byte order",
				  ret->version);
	/* libvirt looks at the format in version 2 only (qemuSaveImageDecompressionStart). */
	if (ret->version == 1)
		ret->format = FORMAT_RAW;
	if (ret->format > FORMAT_SPARSE)
		return nm_fail_at(detail, NESTMIG_ERR_UNSUPPORTED, AT_FORMAT,
				  "a libvirt save image of format %" PRIu32
				  "; known are 0 (raw) to 6 (sparse)",
				  ret->format);
	if (ret->running > 1)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, AT_RUNNING,
				  "was_running is 0x%" PRIx32 ", neither 0 nor 1", ret->running);
	return NESTMIG_OK;
}

static enum nestmig_error read_header(struct nm_source *source, struct header *ret,
				      struct nestmig_detail *detail)
{
	uint64_t size = nm_source_size(source);
	uint8_t bytes[HEADER_SIZE];
	enum nestmig_error error = nm_source_read(
		source, 0, bytes, size < HEADER_SIZE ? (size_t)size : HEADER_SIZE, detail);

	if (error)
		return error;
	if (memcmp(bytes, unfinished, MAGIC_SIZE) == 0)
		return nm_fail_at(
			detail, NESTMIG_ERR_UNSUPPORTED, 0,
			"this libvirt save image is unfinished: libvirt was still writing "
			"it or was interrupted, and does not restore it either");
	if (size < HEADER_SIZE)
		return nm_fail_at(detail, NESTMIG_ERR_TRUNCATED, size,
				  "the file ends in the header of a libvirt save image");
	return decode(bytes, ret, detail);
}

static enum nestmig_error check_lengths(const struct header *header, uint64_t size,
					struct nestmig_detail *detail)
{
	if (header->length == 0)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, AT_LENGTH,
				  "data_len is 0: there is no domain XML");
	if (header->length > LENGTH_MAX)
		return nm_fail_at(detail, NESTMIG_ERR_LIMIT, AT_LENGTH,
				  "data_len is %" PRIu32 ": domain XML and cookie take at most %u "
				  "MiB",
				  header->length, LENGTH_MAX >> 20);
	if (header->cookie >= header->length)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, AT_COOKIE,
				  "cookieOffset %" PRIu32 " is not below data_len, %" PRIu32,
				  header->cookie, header->length);
	if (header->length > size - HEADER_SIZE)
		return nm_fail_at(detail, NESTMIG_ERR_TRUNCATED, size,
				  "the file ends in the domain XML: data_len is %" PRIu32,
				  header->length);
	return NESTMIG_OK;
}

/* A text that ends with NUL within length bytes. */
static enum nestmig_error take_text(const uint8_t *bytes, size_t length, uint64_t offset,
				    const char *what, char **ret_text,
				    struct nestmig_detail *detail)
{
	size_t used = strnlen((const char *)bytes, length);
	char *text;

	if (used == length)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, offset + length,
				  "the %s does not end with a zero byte before this", what);
	if (used == 0)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, offset, "the %s is empty", what);
	text = strdup((const char *)bytes);
	if (!text)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	*ret_text = text;
	return NESTMIG_OK;
}

static enum nestmig_error take_texts(struct nestmig_state *state, struct nm_source *source,
				     const struct header *header, struct nestmig_detail *detail)
{
	size_t xml = header->cookie ? header->cookie : header->length;
	uint8_t *bytes = malloc(header->length);
	enum nestmig_error error;

	if (!bytes)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	error = nm_source_read(source, HEADER_SIZE, bytes, header->length, detail);
	if (!error)
		error = take_text(bytes, xml, HEADER_SIZE, "domain XML", &state->domain_xml,
				  detail);
	if (!error && header->cookie)
		error = take_text(bytes + xml, header->length - xml, HEADER_SIZE + xml, "cookie",
				  &state->cookie_xml, detail);
	free(bytes);
	return error;
}

/* The stream as it is, at an offset. Errors in it get their place in the file. */
static enum nestmig_error read_plain(struct nestmig_state *state, struct nm_source *source,
				     uint64_t offset, struct nestmig_detail *detail)
{
	struct nm_source *stream = NULL;
	enum nestmig_error error =
		nm_source_part(source, offset, nm_source_size(source) - offset, &stream, detail);

	if (!error)
		error = nm_state_add_source(state, stream, detail);
	if (error)
		return error;
	state->stream = stream;
	state->stream_base = offset;
	error = nm_qemu_read(state, stream, detail);
	if (error && detail && detail->has_offset)
		detail->offset += offset;
	return error;
}

/* libvirt saves whole VMs: device state alone could not be restored. */
static enum nestmig_error check_stream(const struct nestmig_state *state, uint64_t offset,
				       struct nestmig_detail *detail)
{
	if (!state->machine)
		return nm_fail_at(
			detail, NESTMIG_ERR_UNSUPPORTED, offset,
			"the stream in this libvirt save image is not that of a whole VM");
	return NESTMIG_OK;
}

/*
 * Into the CPUID of every vCPU goes what the guest will have on any host. It is one word: a CPU model
 * stands for features that no XML lists, so that no other register is known whole.
 */
static void take_context(struct nestmig_state *state)
{
	const struct nm_origin nowhere = {.offset = UINT64_MAX, .layout = NM_LAYOUT_NONE};
	struct nm_domain *domain = NULL, *cookie = NULL;
	unsigned bits = 0;

	if (nm_domain_parse(state->domain_xml, &domain, NULL) == NESTMIG_OK &&
	    (!state->cookie_xml || nm_domain_parse(state->cookie_xml, &cookie, NULL) == NESTMIG_OK))
		bits = nm_domain_phys_bits(domain, cookie);
	for (size_t i = 0; bits && i < state->vcpu_count; i++) {
		struct nestmig_cpuid *cpuid = &state->vcpus[i].view.cpuid;

		cpuid->word[NESTMIG_CPUID_80000008_EAX] = bits;
		cpuid->have |= UINT32_C(1) << NESTMIG_CPUID_80000008_EAX;
		nm_vcpu_set_item(&state->vcpus[i], NESTMIG_ITEM_CPUID, nowhere);
	}
	nm_domain_free(domain);
	nm_domain_free(cookie);
}

enum nestmig_error nm_libvirt_read(struct nestmig_state *state, struct nm_source *source,
				   unsigned flags, struct nestmig_detail *detail)
{
	struct header header = {0};
	enum nestmig_error error = read_header(source, &header, detail);
	uint64_t offset;

	(void)flags;
	state->format = "libvirt-save";
	if (!error)
		error = check_lengths(&header, nm_source_size(source), detail);
	if (!error)
		error = take_texts(state, source, &header, detail);
	if (error)
		return error;
	offset = HEADER_SIZE + (uint64_t)header.length;
	if (header.format == FORMAT_RAW || header.format == FORMAT_SPARSE)
		error = read_plain(state, source, offset, detail);
	else
		error = nm_unpack_stream(state, source, offset, (enum nm_packing)header.format,
					 detail);
	if (!error)
		error = check_stream(state, offset, detail);
	if (!error)
		take_context(state);
	return error;
}
