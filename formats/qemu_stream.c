// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * QEMU migration streams as files. A full stream is read from its end: the vmdesc there gives the
 * size of every device section, so that sections are found backwards. That QEMU, which reads forwards and
 * does not look at the vmdesc, comes to the same devices, shows a pass over the headers of RAM. A stream
 * without a vmdesc is read forwards (qemu_forward.c).
 */
#include "qemu.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "error.h"
#include "qemu_internal.h"
#include "qemu_walk.h"
#include "source.h"

#define TAIL_FIRST   (UINT64_C(256) << 10)
#define PADDING_MAX  (UINT64_C(2) << 20)
#define PADDING_STEP 4096
#define EOS_SIZE     8
#define READS_MAX    1024 /* of at most 4 KiB each */
#define EARLY_MARGIN 32   /* the footer, and what of a header could start in a payload */

/* A stream with a vmdesc while it is read. */
struct full {
	struct nm_source *source;
	struct qemu_walk *walk;
	struct qemu_span tail; /* the end of the stream; the vmdesc starts at `at` of it */
	size_t at;
	struct qemu_vmdesc vmdesc;
	size_t early; /* so many devices of it stand before RAM */
	bool whole;   /* everything before the first part of RAM has been understood */
	struct qemu_sections sections;
	struct nestmig_detail *detail;
};

/* ---- The vmdesc -------------------------------------------------------------------------------- */

/* Where the stream ends: O_DIRECT pads files with zeros. */
static enum nestmig_error find_end(const struct full *f, uint64_t *ret_end)
{
	uint64_t size = nm_source_size(f->source), end = size;
	uint8_t bytes[PADDING_STEP];

	while (end && size - end < PADDING_MAX) {
		size_t step = (size_t)(end < PADDING_STEP ? end : PADDING_STEP);
		enum nestmig_error error;

		/* Most files end here. */
		if (end == size)
			step = 1;
		error = nm_source_read(f->source, end - step, bytes, step, f->detail);
		if (error)
			return error;
		while (step && !bytes[step - 1]) {
			step--;
			end--;
		}
		if (step || !qemu_is_padding(f->walk, end))
			break;
	}
	*ret_end = end;
	return NESTMIG_OK;
}

bool nm_qemu_find_vmdesc(const uint8_t *bytes, size_t size, size_t *ret_at)
{
	if (!size || bytes[size - 1] != '}')
		return false;
	for (size_t p = size; p-- > 1;) {
		if (bytes[p - 1] != QEMU_VM_EOF || bytes[p] != QEMU_VM_VMDESCRIPTION ||
		    size - p <= 5 || bytes[p + 5] != '{' || nm_be32(bytes + p + 1) != size - p - 5)
			continue;
		*ret_at = p;
		return true;
	}
	return false;
}

/* Finds the vmdesc in windows that grow from the end. f->tail becomes the window, with no bytes if there
 * is none, and f->at the place. */
static enum nestmig_error find_vmdesc(struct full *f)
{
	enum nestmig_error error;
	uint64_t size = 0;
	uint8_t last = 0;

	error = find_end(f, &size);
	if (!error && size)
		error = nm_source_read(f->source, size - 1, &last, 1, f->detail);
	if (error || last != '}' || !qemu_is_padding(f->walk, size))
		return error;
	for (uint64_t length = 0, most = TAIL_FIRST; length < size && most <= QEMU_DEVICE_MAX;
	     most *= 4) {
		struct qemu_span tail = {0};

		length = most < size ? most : size;
		tail.offset = size - length;
		tail.size = (size_t)length;
		error = nm_source_window(f->source, tail.offset, tail.size, &tail.bytes, f->detail);
		if (error)
			return error;
		if (nm_qemu_find_vmdesc(tail.bytes, tail.size, &f->at)) {
			f->tail = tail;
			return NESTMIG_OK;
		}
	}
	return NESTMIG_OK;
}

/* ---- Before RAM -------------------------------------------------------------------------------- */

/* A device that is set up early, so stands before RAM: QEMU lists it among the first. */
static enum nestmig_error early_device(struct full *f, const struct qemu_element *element)
{
	const struct qemu_device *device = &f->vmdesc.devices[f->early];
	struct qemu_section section = {
		.id = element->id, .instance = element->instance, .version = element->version};
	struct qemu_span *payload = &section.payload;
	enum nestmig_error error;

	if (f->early == f->vmdesc.count || strcmp(device->name, element->name) != 0 ||
	    device->instance != element->instance || device->version != element->version)
		return nm_fail_at(f->detail, NESTMIG_ERR_FORMAT, element->offset,
				  "section \"%s\" is not the one that the vmdesc lists next",
				  element->name);
	memcpy(section.name, element->name, sizeof(section.name));
	payload->offset = f->walk->cursor.at;
	if (device->size > QEMU_DEVICE_MAX || !qemu_skip(&f->walk->cursor, device->size))
		return nm_fail_at(f->detail, NESTMIG_ERR_FORMAT, payload->offset,
				  "section \"%s\" is larger in the vmdesc than what is left of "
				  "the stream",
				  device->name);
	payload->size = (size_t)device->size;
	error = qemu_sections_push(&f->sections, &section, f->detail);
	if (!error)
		error = nm_source_window(f->source, payload->offset, payload->size, &payload->bytes,
					 f->detail);
	if (error)
		return error;
	f->sections.list[f->sections.count - 1].payload = *payload;
	f->early++;
	return qemu_walk_footer(f->walk, element->id);
}

/* Keeps what was not understood, for the report. */
static enum nestmig_error say_why(const struct full *f, struct nestmig_state *state)
{
	const char *why = f->detail ? f->detail->text : "something is not understood";

	state->ram.unread_why = nm_state_keep(state, why);
	return state->ram.unread_why ? NESTMIG_OK
				     : nm_fail(f->detail, NESTMIG_ERR_NOMEM, "out of memory");
}

/* From the configuration to the first part of RAM. What a newer QEMU may have put there is no error: then
 * RAM stays unknown. */
static enum nestmig_error read_setup(struct full *f, struct nestmig_state *state)
{
	struct qemu_cursor *c = &f->walk->cursor;
	enum nestmig_error error = qemu_walk_configuration(f->walk, state);

	while (!error &&
	       (qemu_next_is(c, QEMU_VM_SECTION_START) || qemu_next_is(c, QEMU_VM_SECTION_FULL) ||
		qemu_next_is(c, QEMU_VM_COMMAND))) {
		struct qemu_element element = {0};

		error = qemu_walk_next(f->walk, &element);
		if (!error && element.type == QEMU_VM_SECTION_FULL)
			error = early_device(f, &element);
		if (!error && element.opaque)
			error = nm_fail_at(f->detail, NESTMIG_ERR_UNSUPPORTED, element.offset,
					   "the length of section \"%s\" is not known",
					   element.name);
		if (!error && element.length)
			error = nm_fail_at(f->detail, NESTMIG_ERR_UNSUPPORTED, element.offset,
					   "a command has packaged something before RAM");
	}
	error = error ? error : c->error;
	f->whole = !error;
	if (error == NESTMIG_ERR_UNSUPPORTED)
		return say_why(f, state);
	return error;
}

/* ---- Backwards from the vmdesc ------------------------------------------------------------------ */

/* The section of a device that ends at end. */
static enum nestmig_error section_before(const struct full *f, const struct qemu_device *device,
					 uint64_t end, struct qemu_section *ret)
{
	size_t footer_size = f->walk->footers == QEMU_NO_FOOTERS ? 0 : QEMU_FOOTER_SIZE;
	uint64_t total = 14 + strlen(device->name) + device->size + footer_size;
	struct qemu_span span = {.size = (size_t)total};
	const uint8_t *footer;
	enum nestmig_error error;

	if (total > end || device->size > QEMU_DEVICE_MAX)
		return nm_fail_at(f->detail, NESTMIG_ERR_FORMAT, end,
				  "section \"%s\" should end here, but is larger than what stands "
				  "before it",
				  device->name);
	span.offset = end - total;
	if (span.offset >= f->tail.offset) {
		span.bytes = f->tail.bytes + (span.offset - f->tail.offset);
	} else {
		error = nm_source_window(f->source, span.offset, span.size, &span.bytes, f->detail);
		if (error)
			return error;
	}
	footer = span.bytes + total - footer_size;
	if (!qemu_section_header(span, QEMU_VM_SECTION_FULL, ret) ||
	    strcmp(ret->name, device->name) != 0 || ret->instance != device->instance ||
	    ret->version != device->version ||
	    (footer_size &&
	     (footer[0] != QEMU_VM_SECTION_FOOTER || nm_be32(footer + 1) != ret->id)))
		return nm_fail_at(f->detail, NESTMIG_ERR_FORMAT, span.offset,
				  "section \"%s\" of the vmdesc is not here: header or footer do "
				  "not agree with it",
				  device->name);
	ret->payload.size = (size_t)device->size;
	return NESTMIG_OK;
}

/*
 * From the last device to the first that does not stand before RAM. Where the setup was not understood,
 * the walk may end at one that is not where it would be, if no vCPU is left.
 */
static enum nestmig_error walk_back(struct full *f, uint64_t *ret_start)
{
	uint64_t end = f->tail.offset + f->at - 1;
	size_t i = f->vmdesc.count;
	enum nestmig_error error = NESTMIG_OK;

	while (i > f->early && !error) {
		struct qemu_section section;

		error = section_before(f, &f->vmdesc.devices[i - 1], end, &section);
		if (!error)
			error = qemu_sections_push(&f->sections, &section, f->detail);
		if (error)
			break;
		end = section.payload.offset - 14 - strlen(section.name);
		i--;
	}
	if (error && (error != NESTMIG_ERR_FORMAT || f->whole))
		return error;
	while (i > f->early) {
		const char *name = f->vmdesc.devices[--i].name;

		if (strcmp(name, "cpu") == 0 || strcmp(name, "cpu_common") == 0)
			return error;
	}
	*ret_start = end;
	return NESTMIG_OK;
}

/* ---- Between RAM and the devices ------------------------------------------------------------------ */

static enum nestmig_error does_not_join(const struct full *f, uint64_t devices)
{
	return nm_fail_at(f->detail, NESTMIG_ERR_FORMAT, devices,
			  "no RAM section ends before the first device section: something else "
			  "starts here");
}

/*
 * From the setup to the devices: they are where QEMU comes to. If the caller is in a hurry, as far as a bounded
 * number of reads goes: all of it with mapped-ram and for a VM with little RAM that is not zero. What is not
 * understood is no error, as in read_setup.
 */
static enum nestmig_error check_parts(struct full *f, struct nestmig_state *state, uint64_t devices)
{
	struct qemu_cursor *c = &f->walk->cursor;
	uint64_t at = c->at, end = c->end, checked = at;
	enum nestmig_error error = NESTMIG_OK;

	if (state->ram.passed == devices)
		return NESTMIG_OK;
	c->end = devices;
	c->reads_left = state->is_quick ? READS_MAX : 0;
	while (c->at < devices && !error) {
		struct qemu_element element = {0};

		error = qemu_walk_next(f->walk, &element);
		if (!error && element.type != QEMU_VM_SECTION_PART &&
		    element.type != QEMU_VM_SECTION_END &&
		    (element.type != QEMU_VM_COMMAND || element.length))
			error = does_not_join(f, element.offset);
		if (error == NESTMIG_ERR_TRUNCATED)
			error = does_not_join(f, devices);
		if (!error)
			checked = c->at;
	}
	if (error == NESTMIG_ERR_LIMIT || error == NESTMIG_ERR_UNSUPPORTED) {
		state->ram.unread = devices - checked;
		error = error == NESTMIG_ERR_LIMIT && c->reads_left == 1 ? NESTMIG_OK
									 : say_why(f, state);
	}
	qemu_walk_init(f->walk, f->source, at, f->detail);
	c->end = end;
	return error;
}

/*
 * What stands before the devices ends a section that comes in parts: with a footer of its id; if it is one of
 * RAM, with the last record.
 */
static enum nestmig_error check_join(struct full *f, struct nestmig_state *state, uint64_t devices)
{
	const struct qemu_walk *walk = f->walk;
	size_t footer = walk->footers == QEMU_NO_FOOTERS ? 0 : QEMU_FOOTER_SIZE;
	uint8_t bytes[EOS_SIZE + QEMU_FOOTER_SIZE];
	enum nestmig_error error;
	uint32_t id;

	if (f->whole && walk->iterable_count == 0)
		return devices == walk->cursor.at ? NESTMIG_OK : does_not_join(f, devices);
	if (devices < walk->cursor.at || devices < EOS_SIZE + QEMU_FOOTER_SIZE)
		return does_not_join(f, devices);
	error = nm_source_read(f->source, devices - EOS_SIZE - footer, bytes, EOS_SIZE + footer,
			       f->detail);
	if (error)
		return error;
	id = footer ? nm_be32(bytes + EOS_SIZE + 1) : walk->iterables[0].id;
	if (footer && bytes[EOS_SIZE] != QEMU_VM_SECTION_FOOTER)
		return does_not_join(f, devices);
	state->ram.unread = f->whole ? 0 : devices - walk->cursor.at + 1;
	if (!f->whole)
		return NESTMIG_OK;
	for (size_t i = 0; i < walk->iterable_count; i++) {
		if (walk->iterables[i].id != id)
			continue;
		/* Without footers it could be the end of another. */
		if (walk->iterables[i].kind != QEMU_ITERABLE_RAM || nm_be64(bytes) == 0x10 ||
		    (!footer && walk->iterable_count > 1))
			return check_parts(f, state, devices);
	}
	return does_not_join(f, devices);
}

/* ---- All of it -------------------------------------------------------------------------------- */

static enum nestmig_error check_range(const struct full *f, uint64_t start, uint64_t end)
{
	struct qemu_span span = {.offset = start, .size = (size_t)(end - start)};
	enum nestmig_error error = NESTMIG_OK;

	if (start >= f->tail.offset)
		span.bytes = f->tail.bytes + (start - f->tail.offset);
	else
		error = nm_source_window(f->source, start, span.size, &span.bytes, f->detail);
	return error ? error : qemu_sections_check_hidden(&f->sections, span, f->detail);
}

#define VIRTIO_MEM "virtio-mem-device-early"

/* virtio-mem, the only device that QEMU 8.0 to 11.0 sets up early, has a bit a block in words of 64 behind its
 * fixed fields: be64 address, region, block; be32 node; be64 size (hw/virtio/virtio-mem.c). */
bool qemu_early_length(const char *name, const uint8_t fixed[QEMU_EARLY_FIXED],
		       uint64_t *ret_length)
{
	const char *device = strrchr(name, '/');
	uint64_t region = nm_be64(fixed + 8), block = nm_be64(fixed + 16);

	if (strcmp(device ? device + 1 : name, VIRTIO_MEM) != 0 || !block ||
	    region / block > 8 * QEMU_DEVICE_MAX)
		return false;
	*ret_length = QEMU_EARLY_FIXED + (region / block + 63) / 64 * 8;
	return true;
}

/* Is the section as long as QEMU takes it to be? */
static bool is_length_known(const struct qemu_section *section)
{
	const struct qemu_span *payload = &section->payload;
	uint64_t length;

	return payload->size >= QEMU_EARLY_FIXED &&
	       qemu_early_length(section->name, payload->bytes, &length) && length == payload->size;
}

/* A device before RAM that is longer for QEMU than was taken would make it read pages as elements. */
static enum nestmig_error check_early(const struct full *f, struct nestmig_state *state,
				      uint64_t first_part)
{
	for (size_t i = 0; i < f->sections.count; i++) {
		const struct qemu_section *section = &f->sections.list[i];

		if (section->payload.offset >= first_part || is_length_known(section))
			continue;
		state->ram.unread = nm_source_size(f->source) - section->payload.offset;
		(void)nm_fail_at(f->detail, NESTMIG_ERR_UNSUPPORTED, section->payload.offset,
				 "how long section \"%s\" is before RAM, is not known",
				 section->name);
		return say_why(f, state);
	}
	return NESTMIG_OK;
}

/*
 * The early devices, which stand first in the list, and what is between RAM and the vmdesc. What looks like a
 * section may be what the guest has made a device hold, so it is no error.
 */
static enum nestmig_error check_hidden(const struct full *f, struct nestmig_state *state,
				       uint64_t devices)
{
	uint64_t vmdesc = f->tail.offset + f->at;
	enum nestmig_error error = check_range(f, devices, vmdesc);

	for (size_t i = 0; i < f->early && !error; i++) {
		const struct qemu_span *payload = &f->sections.list[i].payload;
		uint64_t left = vmdesc - payload->offset - payload->size;

		error = check_range(f, payload->offset,
				    payload->offset + payload->size +
					    (left < EARLY_MARGIN ? left : EARLY_MARGIN));
	}
	if (error != NESTMIG_ERR_FORMAT)
		return error;
	state->ram.unread = vmdesc - devices;
	return say_why(f, state);
}

static enum nestmig_error read_full(struct full *f, struct nestmig_state *state)
{
	struct qemu_span text = {f->tail.bytes + f->at + 5, f->tail.offset + f->at + 5,
				 f->tail.size - f->at - 5};
	uint64_t devices = 0;
	enum nestmig_error error = qemu_vmdesc_parse(text, &f->vmdesc, f->detail);

	f->walk->cursor.end = text.offset;
	if (!error)
		error = read_setup(f, state);
	/* The last section has a footer, or none has. */
	if (!error && f->walk->footers == QEMU_FOOTERS_UNKNOWN && f->at > QEMU_FOOTER_SIZE &&
	    f->tail.bytes[f->at - 1 - QEMU_FOOTER_SIZE] != QEMU_VM_SECTION_FOOTER)
		f->walk->footers = QEMU_NO_FOOTERS;
	if (!error)
		error = walk_back(f, &devices);
	if (!error)
		error = check_join(f, state, devices);
	if (!error)
		error = check_hidden(f, state, devices);
	if (!error)
		error = check_early(f, state, f->walk->cursor.at);
	if (!error)
		error = qemu_sections_take(state, &f->sections, &f->vmdesc, f->detail);
	if (!error && f->whole)
		error = qemu_walk_take_ram(f->walk, state, devices, &f->sections);
	return error;
}

static enum nestmig_error read_forward(struct full *f, struct nestmig_state *state,
				       bool devices_only)
{
	uint64_t devices = 0;
	enum nestmig_error error;

	if (devices_only)
		error = qemu_forward_devices(f->walk, &f->sections);
	else
		error = qemu_walk_configuration(f->walk, state);
	if (!error && !devices_only)
		error = qemu_forward_stream(f->walk, &f->sections, &devices);
	if (!error && !devices_only)
		error = check_early(f, state, f->walk->parts);
	if (!error)
		error = qemu_sections_take(state, &f->sections, NULL, f->detail);
	if (!error && !devices_only)
		error = qemu_walk_take_ram(f->walk, state, devices, &f->sections);
	return error;
}

/* Those that QEMU compares with its own, and postcopy's advice, which it refuses without (QEMU 7.2 to 11,
 * loadvm_postcopy_handle_advise). */
static const char *capability_of(const struct qemu_walk *walk)
{
	if (walk->mapped_ram)
		return "mapped-ram";
	if (walk->ignore_shared)
		return "x-ignore-shared";
	return walk->page_sizes ? "postcopy-ram" : NULL;
}

enum nestmig_error nm_qemu_read(struct nestmig_state *state, struct nm_source *source,
				struct nestmig_detail *detail)
{
	struct full f = {.source = source, .detail = detail};
	uint8_t head[QEMU_FILE_HEADER + 1];
	bool first_is_device;
	enum nestmig_error error;

	if (nm_source_size(source) < sizeof(head))
		return nm_fail_at(detail, NESTMIG_ERR_TRUNCATED, nm_source_size(source),
				  "the stream ends in its header");
	error = nm_source_read(source, 0, head, sizeof(head), detail);
	if (error)
		return error;
	if (nm_be32(head) != NM_QEMU_MAGIC || nm_be32(head + 4) != 3)
		return nm_fail_at(detail, NESTMIG_ERR_UNSUPPORTED, 0,
				  "no QEMU migration stream of version 3");
	first_is_device = head[QEMU_FILE_HEADER] == QEMU_VM_SECTION_FULL;
	f.walk = calloc(1, sizeof(*f.walk));
	if (!f.walk)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	qemu_walk_init(f.walk, source, QEMU_FILE_HEADER, detail);
	f.walk->base = state->stream_base;
	error = find_vmdesc(&f);
	if (!state->format)
		state->format =
			first_is_device && !f.tail.bytes ? "qemu-device-state" : "qemu-stream";
	if (!error)
		error = f.tail.bytes ? read_full(&f, state)
				     : read_forward(&f, state, first_is_device);
	state->capability = capability_of(f.walk);
	free(f.sections.list);
	qemu_vmdesc_free(&f.vmdesc);
	free(f.walk);
	return error;
}
