// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Streams without a vmdesc: those of devices alone (xen-save-devices-state), postcopy, suppress-vmdesc=on.
 * They are read forwards. Sections of devices have no length: one ends at the first footer of its id behind
 * which something else starts that may follow. That bytes which the guest has put into a device look like
 * it shows in ids that come twice (qemu_sections.c).
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "error.h"
#include "qemu.h"
#include "qemu_internal.h"
#include "qemu_walk.h"
#include "source.h"

#define EARLY_MAX    (64 << 10) /* of a device before RAM; virtio-mem's has about 60 bytes */
#define O_DIRECT_MIN 512

/* Where a device stands, which decides what may follow. */
enum where { AMONG_DEVICES, IN_PACKAGE, BEFORE_RAM };

struct forward {
	struct qemu_walk *walk;
	struct nestmig_state *scratch; /* for parsing vCPUs to find where they end */
	struct qemu_sections *sections;
	bool ram_only; /* ends where the devices behind RAM start */
	struct nestmig_detail *detail;
};

bool qemu_is_padding(const struct qemu_walk *walk, uint64_t from)
{
	uint64_t size = nm_source_size(walk->cursor.source);

	return from == size || (walk->base + size) % O_DIRECT_MIN == 0;
}

static struct qemu_span from(struct qemu_span span, size_t at)
{
	return (struct qemu_span){span.bytes + at, span.offset + at, span.size - at};
}

static bool is_zero(struct qemu_span span)
{
	for (size_t i = 0; i < span.size; i++)
		if (span.bytes[i])
			return false;
	return true;
}

/* The end of the stream: its mark and at most padding, or a vmdesc that is not whole. */
static bool is_end(const struct qemu_walk *walk, struct qemu_span rest)
{
	if (rest.bytes[0] != QEMU_VM_EOF)
		return false;
	if (rest.size == 1 || rest.bytes[1] == QEMU_VM_VMDESCRIPTION)
		return true;
	return qemu_is_padding(walk, rest.offset + 1) && is_zero(rest);
}

/* May the section before rest end there? */
static bool may_follow(const struct qemu_walk *walk, struct qemu_span rest, enum where where)
{
	struct qemu_section next;

	if (rest.size == 0)
		return where == IN_PACKAGE;
	switch (rest.bytes[0]) {
	case QEMU_VM_EOF:
		return where != IN_PACKAGE && is_end(walk, rest);
	case QEMU_VM_SECTION_FULL:
		return qemu_section_header(rest, QEMU_VM_SECTION_FULL, &next);
	case QEMU_VM_COMMAND:
		return where != AMONG_DEVICES && rest.size >= 5;
	case QEMU_VM_SECTION_START:
		return where == BEFORE_RAM &&
		       qemu_section_header(rest, QEMU_VM_SECTION_START, &next);
	case QEMU_VM_SECTION_PART:
	case QEMU_VM_SECTION_END:
		return where == BEFORE_RAM && rest.size >= 5;
	default:
		return false;
	}
}

static bool is_footer_at(const struct forward *f, struct qemu_span span, size_t p, uint32_t id,
			 enum where where)
{
	return span.size - p >= QEMU_FOOTER_SIZE && span.bytes[p] == QEMU_VM_SECTION_FOOTER &&
	       nm_be32(span.bytes + p + 1) == id &&
	       may_follow(f->walk, from(span, p + QEMU_FOOTER_SIZE), where);
}

/* The same with the mark of the stream's end behind it, and something else behind that. */
static bool is_last_at(struct qemu_span span, size_t p, uint32_t id)
{
	return span.size - p > QEMU_FOOTER_SIZE && span.bytes[p] == QEMU_VM_SECTION_FOOTER &&
	       nm_be32(span.bytes + p + 1) == id && span.bytes[p + QEMU_FOOTER_SIZE] == QEMU_VM_EOF;
}

/* The next byte from p on that may be a footer's first, or the end. */
static size_t next_candidate(struct qemu_span span, size_t p)
{
	const uint8_t *next =
		p < span.size ? memchr(span.bytes + p, QEMU_VM_SECTION_FOOTER, span.size - p)
			      : NULL;

	return next ? (size_t)(next - span.bytes) : span.size;
}

/* Where "cpu" ends says its own parser. */
static enum nestmig_error cpu_length(const struct forward *f, const struct qemu_section *section,
				     enum where where, size_t *ret_length)
{
	struct nm_vcpu *vcpu = NULL;
	enum nestmig_error error =
		nm_state_add_vcpu(f->scratch, section->instance, &vcpu, f->detail);

	if (error)
		return error;
	vcpu->qemu.version = section->version;
	error = qemu_cpu_parse(vcpu, section->payload, NULL, ret_length, f->detail);
	if (!error && !is_footer_at(f, section->payload, *ret_length, section->id, where))
		error = nm_fail_at(
			f->detail, NESTMIG_ERR_FORMAT, section->payload.offset + *ret_length,
			"section \"cpu\" of vCPU %u does not end here", section->instance);
	return error;
}

/* Finds the end of a section whose header stands at the start of span, and notes it. */
static enum nestmig_error one_device(const struct forward *f, struct qemu_span span,
				     enum where where, size_t *ret_size)
{
	struct qemu_section section;
	struct qemu_span *payload = &section.payload;
	enum nestmig_error error = NESTMIG_OK;
	size_t p = 0, last = 0;

	if (!qemu_section_header(span, QEMU_VM_SECTION_FULL, &section))
		return nm_fail_at(f->detail, NESTMIG_ERR_FORMAT, span.offset,
				  "no device section starts here (first byte 0x%02x)",
				  span.bytes[0]);
	if (strcmp(section.name, "cpu") == 0)
		error = cpu_length(f, &section, where, &p);
	if (error)
		return error;
	while (p < payload->size && !is_footer_at(f, *payload, p, section.id, where)) {
		if (is_last_at(*payload, p, section.id))
			last = p;
		p = next_candidate(*payload, p + 1);
	}
	if (p == payload->size && last && where == AMONG_DEVICES)
		return nm_fail_at(f->detail, NESTMIG_ERR_FORMAT,
				  payload->offset + last + QEMU_FOOTER_SIZE + 1,
				  "bytes follow what looks like the end of the stream, behind "
				  "section \"%s\"",
				  section.name);
	if (p == payload->size)
		return nm_fail_at(f->detail, NESTMIG_ERR_TRUNCATED, payload->offset + payload->size,
				  "section \"%s\", which starts at %" PRIu64 ", does not end",
				  section.name, payload->offset);
	payload->size = p;
	*ret_size = (size_t)(payload->offset - span.offset) + p + QEMU_FOOTER_SIZE;
	return qemu_sections_push(f->sections, &section, f->detail);
}

/* Behind the devices: 00, padding. A vmdesc that is whole would have been found from the end. */
static enum nestmig_error check_end(const struct forward *f, struct qemu_span rest)
{
	uint64_t left = rest.size > 6 ? rest.size - 6 : 0;
	uint32_t length;

	if (rest.size > 1 && rest.bytes[1] != QEMU_VM_VMDESCRIPTION && !is_end(f->walk, rest))
		return nm_fail_at(f->detail, NESTMIG_ERR_FORMAT, rest.offset + 1,
				  "%zu bytes follow the end of the stream", rest.size - 1);
	if (rest.size == 1 || rest.bytes[1] != QEMU_VM_VMDESCRIPTION)
		return NESTMIG_OK;
	length = rest.size >= 6 ? nm_be32(rest.bytes + 2) : UINT32_MAX;
	if (length > left)
		return nm_fail_at(f->detail, NESTMIG_ERR_TRUNCATED, rest.offset + rest.size,
				  "the vmdesc, which starts at %" PRIu64 ", is cut short",
				  rest.offset + 1);
	return nm_fail_at(f->detail, NESTMIG_ERR_FORMAT, rest.offset + 6 + length,
			  length < left ? "bytes follow the vmdesc, with which the stream ends"
					: "the vmdesc at the end of the stream is no JSON object");
}

static enum nestmig_error end_of_devices(const struct forward *f, struct qemu_span span,
					 struct qemu_span rest)
{
	enum nestmig_error error = check_end(f, rest);

	return error ? error : qemu_sections_check_hidden(f->sections, span, f->detail);
}

/* Commands inside of a package are passed; they carry no state. */
static enum nestmig_error skip_command(const struct forward *f, struct qemu_span rest,
				       size_t *ret_size)
{
	if (rest.size < 5 || rest.size - 5 < nm_be16(rest.bytes + 3))
		return nm_fail_at(f->detail, NESTMIG_ERR_TRUNCATED, rest.offset + rest.size,
				  "a package ends in the middle of a command");
	if (nm_be16(rest.bytes + 1) == QEMU_CMD_PACKAGED)
		return nm_fail_at(f->detail, NESTMIG_ERR_UNSUPPORTED, rest.offset,
				  "a package inside of a package is not read");
	*ret_size = 5 + (size_t)nm_be16(rest.bytes + 3);
	return NESTMIG_OK;
}

static enum nestmig_error devices(const struct forward *f, struct qemu_span span, enum where where)
{
	size_t at = 0;

	while (at < span.size) {
		struct qemu_span rest = from(span, at);
		enum nestmig_error error;
		size_t size = 0;

		if (where == AMONG_DEVICES && rest.bytes[0] == QEMU_VM_EOF)
			return end_of_devices(f, span, rest);
		error = where == IN_PACKAGE && rest.bytes[0] == QEMU_VM_COMMAND
				? skip_command(f, rest, &size)
				: one_device(f, rest, where, &size);
		if (error)
			return error;
		at += size;
	}
	if (where == IN_PACKAGE)
		return qemu_sections_check_hidden(f->sections, span, f->detail);
	return nm_fail_at(f->detail, NESTMIG_ERR_TRUNCATED, span.offset + span.size,
			  "the stream should end here with one zero byte");
}

/* The bytes from `at`, at most `max`, or those left of the stream. */
static enum nestmig_error window(const struct forward *f, uint64_t at, uint64_t max,
				 struct qemu_span *ret_span)
{
	uint64_t left = f->walk->cursor.end - at;
	struct qemu_span span = {.offset = at, .size = (size_t)(left < max ? left : max)};
	enum nestmig_error error =
		nm_source_window(f->walk->cursor.source, at, span.size, &span.bytes, f->detail);

	if (!error)
		*ret_span = span;
	return error;
}

static enum nestmig_error last_devices(const struct forward *f, uint64_t at)
{
	struct qemu_span span = {0};
	enum nestmig_error error;

	if (f->walk->footers == QEMU_NO_FOOTERS)
		return nm_fail_at(f->detail, NESTMIG_ERR_UNSUPPORTED, at,
				  "the stream has neither a vmdesc nor footers of sections: where "
				  "devices end is not known");
	if (f->walk->cursor.end - at > QEMU_DEVICE_MAX)
		return nm_fail_at(f->detail, NESTMIG_ERR_LIMIT, at,
				  "the devices start here, but more than %" PRIu64
				  " MiB follow, and there is no vmdesc at the end",
				  QEMU_DEVICE_MAX >> 20);
	error = window(f, at, QEMU_DEVICE_MAX, &span);
	return error ? error : devices(f, span, AMONG_DEVICES);
}

static enum nestmig_error early_device(const struct forward *f, uint64_t at)
{
	struct qemu_span span = {0};
	size_t size = 0;
	enum nestmig_error error = window(f, at, EARLY_MAX, &span);

	if (!error)
		error = one_device(f, span, BEFORE_RAM, &size);
	f->walk->cursor.at = at + size;
	span.size = size;
	return error ? error : qemu_sections_check_hidden(f->sections, span, f->detail);
}

static enum nestmig_error package(const struct forward *f, uint32_t length)
{
	struct qemu_span span = {0};
	enum nestmig_error error;

	if (length > QEMU_DEVICE_MAX)
		return nm_fail_at(f->detail, NESTMIG_ERR_LIMIT, f->walk->cursor.at,
				  "a package of %u bytes", length);
	error = window(f, f->walk->cursor.at, length, &span);
	if (!error)
		error = devices(f, span, IN_PACKAGE);
	f->walk->cursor.at += length;
	return error;
}

static enum nestmig_error elements(const struct forward *f, uint64_t *ret_devices)
{
	bool ended = false, packaged = false;

	for (;;) {
		struct qemu_element element = {0};
		enum nestmig_error error = qemu_walk_next(f->walk, &element);

		if (error)
			return error;
		if (element.opaque)
			return nm_fail_at(f->detail, NESTMIG_ERR_UNSUPPORTED, element.offset,
					  "the length of section \"%s\" is not known, and the "
					  "stream has no vmdesc that would give it",
					  element.name);
		ended |= element.type == QEMU_VM_SECTION_END;
		if (f->ram_only && (element.length || element.type == QEMU_VM_EOF))
			return NESTMIG_ERR_UNSUPPORTED;
		if (element.type == QEMU_VM_COMMAND && element.command == QEMU_CMD_PACKAGED) {
			packaged = true;
			error = package(f, element.length);
		} else if (element.type == QEMU_VM_SECTION_FULL) {
			if (packaged)
				return nm_fail_at(f->detail, NESTMIG_ERR_FORMAT, element.offset,
						  "a device behind the package with all devices");
			if (ended) {
				*ret_devices = element.offset;
				return f->ram_only ? NESTMIG_OK : last_devices(f, element.offset);
			}
			error = early_device(f, element.offset);
		} else if (element.type == QEMU_VM_EOF) {
			return last_devices(f, element.offset);
		}
		if (error)
			return error;
		if (element.type == QEMU_VM_VMDESCRIPTION)
			return nm_fail_at(f->detail, NESTMIG_ERR_FORMAT, element.offset,
					  "a vmdesc before the end of the stream");
	}
}

/* ret_devices: NULL for devices alone. */
static enum nestmig_error run(struct forward f, uint64_t *ret_devices)
{
	enum nestmig_error error = nm_state_new("", "", &f.scratch, f.detail);

	if (!error)
		error = ret_devices ? elements(&f, ret_devices)
				    : last_devices(&f, f.walk->cursor.at);
	nestmig_state_free(f.scratch);
	return error;
}

enum nestmig_error qemu_forward_devices(struct qemu_walk *walk, struct qemu_sections *sections)
{
	return run((struct forward){.walk = walk, .sections = sections, .detail = walk->detail},
		   NULL);
}

enum nestmig_error qemu_forward_stream(struct qemu_walk *walk, struct qemu_sections *sections,
				       uint64_t *ret_devices)
{
	return run((struct forward){.walk = walk, .sections = sections, .detail = walk->detail},
		   ret_devices);
}

enum nestmig_error nm_qemu_pass_ram(struct nm_source *source, uint64_t *ret_devices,
				    struct nestmig_detail *detail)
{
	struct qemu_walk *walk = calloc(1, sizeof(*walk));
	struct qemu_sections sections = {0};
	struct nestmig_state *scratch = NULL; /* for the machine that the configuration names */
	enum nestmig_error error = nm_state_new("", "", &scratch, detail);

	if (!error && !walk)
		error = nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	if (!error) {
		qemu_walk_init(walk, source, QEMU_FILE_HEADER, detail);
		error = qemu_walk_configuration(walk, scratch);
	}
	if (!error)
		error = run((struct forward){.walk = walk,
					     .sections = &sections,
					     .ram_only = true,
					     .detail = detail},
			    ret_devices);
	free(sections.list);
	nestmig_state_free(scratch);
	free(walk);
	return error;
}
