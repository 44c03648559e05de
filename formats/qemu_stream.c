// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * QEMU migration streams as files. A full stream is read from its end: the vmdesc there gives the
 * size of every device section, so that sections are found backwards and RAM is never read. A
 * device-only stream (xen-save-devices-state) has no vmdesc and is read forwards.
 */
#include "qemu.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "error.h"
#include "qemu_internal.h"
#include "source.h"

#define TAIL_FIRST       (UINT64_C(256) << 10)
#define TAIL_MAX         (UINT64_C(64) << 20)
#define HEAD_SIZE        (UINT64_C(64) << 10)
#define DEVICE_STATE_MAX (UINT64_C(64) << 20)
/* Of all sections of a full stream together, so that a vmdesc cannot ask for all of RAM. */
#define WALK_MAX     (UINT64_C(256) << 20)
#define MAX_SECTIONS 65536

/* The sections of a stream, in stream order or backwards. */
struct sections {
	struct qemu_section *list;
	size_t count, room;
};

static enum nestmig_error push(struct sections *sections, const struct qemu_section *section,
			       struct nestmig_detail *detail)
{
	struct qemu_section *list = sections->list;

	if (sections->count >= MAX_SECTIONS)
		return nm_fail_at(detail, NESTMIG_ERR_LIMIT, section->payload.offset,
				  "more than %d sections", MAX_SECTIONS);
	if (sections->count == sections->room) {
		sections->room = sections->room ? 2 * sections->room : 64;
		list = reallocarray(sections->list, sections->room, sizeof(*list));
		if (!list)
			return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
		sections->list = list;
	}
	list[sections->count++] = *section;
	return NESTMIG_OK;
}

bool qemu_section_header(struct qemu_span span, struct qemu_section *ret_section)
{
	size_t length;

	if (span.size < 6 || span.bytes[0] != QEMU_VM_SECTION_FULL)
		return false;
	length = span.bytes[5];
	if (length == 0 || span.size < 6 + length + 8)
		return false;
	ret_section->id = nm_be32(span.bytes + 1);
	memcpy(ret_section->name, span.bytes + 6, length);
	ret_section->name[length] = '\0';
	if (strlen(ret_section->name) != length)
		return false;
	ret_section->instance = nm_be32(span.bytes + 6 + length);
	ret_section->version = nm_be32(span.bytes + 6 + length + 4);
	ret_section->payload = (struct qemu_span){
		span.bytes + 14 + length, span.offset + 14 + length, span.size - 14 - length};
	return true;
}

/* ---- Vital sections, once found ------------------------------------------------------------- */

static const struct qemu_section *find(const struct sections *sections, const char *name,
				       uint32_t instance)
{
	for (size_t i = 0; i < sections->count; i++)
		if (sections->list[i].instance == instance &&
		    strcmp(sections->list[i].name, name) == 0)
			return &sections->list[i];
	return NULL;
}

/*
 * The APIC of the vCPU that comes n-th. The instance of section "apic" is the APIC id, not the
 * cpu_index: it grows with it, but skips numbers where a level of the topology has no power of two
 * of members. Hence the n-th "apic", if there are as many as there are "cpu".
 */
static const struct qemu_section *apic_of(const struct sections *sections, size_t n)
{
	const struct qemu_section *found = NULL;
	size_t apics = 0, cpus = 0;

	for (size_t i = 0; i < sections->count; i++) {
		const struct qemu_section *section = &sections->list[i];

		if (strcmp(section->name, "cpu") == 0)
			cpus++;
		if (strcmp(section->name, "apic") == 0 && apics++ == n)
			found = section;
	}
	return apics == cpus ? found : NULL;
}

static const struct qemu_device *device_of(const struct qemu_vmdesc *vmdesc,
					   const struct qemu_section *section)
{
	for (size_t i = 0; vmdesc && i < vmdesc->count; i++)
		if (vmdesc->devices[i].instance == section->instance &&
		    strcmp(vmdesc->devices[i].name, section->name) == 0)
			return &vmdesc->devices[i];
	return NULL;
}

/* Makes a vCPU of every section "cpu", in order of cpu_index. */
static enum nestmig_error take_cpu(struct nestmig_state *state, const struct sections *sections,
				   const struct qemu_section *section,
				   const struct qemu_vmdesc *vmdesc, struct nestmig_detail *detail)
{
	const struct qemu_section *apic = apic_of(sections, state->vcpu_count);
	struct nm_vcpu *vcpu = NULL;
	size_t used = 0;
	enum nestmig_error error = nm_state_add_vcpu(state, section->instance, &vcpu, detail);

	if (error)
		return error;
	vcpu->qemu.version = section->version;
	error = qemu_cpu_parse(vcpu, section->payload, device_of(vmdesc, section), &used, detail);
	if (!error)
		error = qemu_cpu_finish(vcpu, find(sections, "cpu_common", section->instance), apic,
					detail);
	if (error)
		return error;
	if (vcpu->view.vendor != NESTMIG_VENDOR_UNKNOWN)
		state->vendor = vcpu->view.vendor;
	return NESTMIG_OK;
}

static int by_id(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/*
 * QEMU numbers the devices of a VM, and each has one FULL section. Where an id comes twice, bytes of
 * a device, which the guest may have written, were taken for the end of its section.
 */
static enum nestmig_error check_ids(const struct sections *sections, struct nestmig_detail *detail)
{
	uint32_t *ids = calloc(sections->count + 1, sizeof(*ids));
	enum nestmig_error error = NESTMIG_OK;

	if (!ids)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < sections->count; i++)
		ids[i] = sections->list[i].id;
	qsort(ids, sections->count, sizeof(*ids), by_id);
	for (size_t i = 1; i < sections->count && !error; i++)
		if (ids[i] == ids[i - 1])
			error = nm_fail(
				detail, NESTMIG_ERR_FORMAT,
				"two sections have the id %u: the content of a device looks "
				"like sections of its own",
				ids[i]);
	free(ids);
	return error;
}

/* QEMU writes two sections of every vCPU: a damaged header must not make one of them vanish. */
static enum nestmig_error check_pairs(const struct sections *sections,
				      struct nestmig_detail *detail)
{
	for (size_t i = 0; i < sections->count; i++) {
		const struct qemu_section *section = &sections->list[i];
		bool cpu = strcmp(section->name, "cpu") == 0;
		const char *other = cpu ? "cpu_common" : "cpu";

		if ((cpu || strcmp(section->name, "cpu_common") == 0) &&
		    !find(sections, other, section->instance))
			return nm_fail_at(detail, NESTMIG_ERR_FORMAT, section->payload.offset,
					  "vCPU %u has a section \"%s\", but none \"%s\"",
					  section->instance, section->name, other);
	}
	return NESTMIG_OK;
}

static int by_instance(const void *a, const void *b)
{
	const struct qemu_section *x = a, *y = b;

	return x->instance < y->instance ? -1 : x->instance > y->instance;
}

static enum nestmig_error take_cpus(struct nestmig_state *state, struct sections *sections,
				    const struct qemu_vmdesc *vmdesc, struct nestmig_detail *detail)
{
	enum nestmig_error bad = check_ids(sections, detail);

	if (!bad)
		bad = check_pairs(sections, detail);
	if (bad)
		return bad;
	if (sections->count)
		qsort(sections->list, sections->count, sizeof(*sections->list), by_instance);
	for (size_t i = 0; i < sections->count; i++) {
		enum nestmig_error error;

		if (strcmp(sections->list[i].name, "cpu") != 0)
			continue;
		error = take_cpu(state, sections, &sections->list[i], vmdesc, detail);
		if (error)
			return error;
	}
	if (state->vcpu_count == 0)
		return nm_fail(detail, NESTMIG_ERR_UNSUPPORTED,
			       "the stream has no section \"cpu\": is it one of an x86 guest?");
	/* One VM has one vendor: a vCPU outside of nested use says nothing itself. */
	for (size_t i = 0; i < state->vcpu_count; i++)
		state->vcpus[i].view.vendor = state->vendor;
	return NESTMIG_OK;
}

/* ---- Full streams: backwards from the vmdesc ------------------------------------------------ */

/* Is p the place of "00, 06, be32 length, {" with the length that is left? */
static bool is_vmdesc_at(struct qemu_span tail, size_t p)
{
	return p >= 1 && tail.bytes[p - 1] == QEMU_VM_EOF &&
	       tail.bytes[p] == QEMU_VM_VMDESCRIPTION && tail.size - p > 5 &&
	       tail.bytes[p + 5] == '{' && nm_be32(tail.bytes + p + 1) == tail.size - p - 5;
}

/* Finds the vmdesc in windows that grow from the end. tail becomes the window, *ret_at the place.
 */
static enum nestmig_error find_vmdesc(struct nm_source *source, struct qemu_span *ret_tail,
				      size_t *ret_at, struct nestmig_detail *detail)
{
	uint64_t size = nm_source_size(source);

	for (uint64_t window = TAIL_FIRST;; window *= 4) {
		uint64_t length = window < size ? window : size;
		struct qemu_span tail = {.offset = size - length, .size = (size_t)length};
		enum nestmig_error error =
			nm_source_window(source, tail.offset, tail.size, &tail.bytes, detail);

		if (error)
			return error;
		for (size_t p = tail.size; p-- > 1;) {
			if (!is_vmdesc_at(tail, p))
				continue;
			*ret_tail = tail;
			*ret_at = p;
			return NESTMIG_OK;
		}
		if (window >= TAIL_MAX || length == size)
			break;
	}
	return nm_fail_at(detail, NESTMIG_ERR_TRUNCATED, size,
			  "no vmdesc at the end: the stream is cut short, or was written with "
			  "suppress-vmdesc=on");
}

/* The section of a device that ends at *end (an offset in the file). */
static enum nestmig_error section_before(struct nm_source *source, struct qemu_span tail,
					 const struct qemu_device *device, uint64_t end,
					 struct qemu_section *ret, struct nestmig_detail *detail)
{
	uint64_t total = 14 + strlen(device->name) + device->size + QEMU_FOOTER_SIZE;
	struct qemu_span span = {.size = (size_t)total};
	const uint8_t *footer;
	enum nestmig_error error;

	if (total > end || total > TAIL_MAX)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, end,
				  "section \"%s\" should end here, but is larger than what stands "
				  "before it",
				  device->name);
	span.offset = end - total;
	if (span.offset >= tail.offset) {
		span.bytes = tail.bytes + (span.offset - tail.offset);
	} else {
		error = nm_source_window(source, span.offset, span.size, &span.bytes, detail);
		if (error)
			return error;
	}
	footer = span.bytes + total - QEMU_FOOTER_SIZE;
	if (!qemu_section_header(span, ret) || strcmp(ret->name, device->name) != 0 ||
	    ret->instance != device->instance || ret->version != device->version ||
	    footer[0] != QEMU_VM_SECTION_FOOTER || nm_be32(footer + 1) != ret->id)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, span.offset,
				  "section \"%s\" of the vmdesc is not here: header or footer do "
				  "not agree with it",
				  device->name);
	ret->payload.size = (size_t)device->size;
	return NESTMIG_OK;
}

/* Do the bytes before offset look like the end of section "ram", a footer? */
static bool is_after_footer(struct nm_source *source, uint64_t offset)
{
	uint8_t footer[QEMU_FOOTER_SIZE];

	return offset >= QEMU_FILE_HEADER + sizeof(footer) &&
	       nm_source_read(source, offset - sizeof(footer), footer, sizeof(footer), NULL) ==
		       NESTMIG_OK &&
	       footer[0] == QEMU_VM_SECTION_FOOTER;
}

/*
 * From the last device to the first. Devices that are set up early (QEMU 8.0 and later) stand
 * before RAM: the walk may end at one that is not where it would be, if a RAM section ends there
 * and no vCPU is left.
 */
static enum nestmig_error walk_back(struct nm_source *source, struct qemu_span tail, size_t at,
				    const struct qemu_vmdesc *vmdesc, struct sections *sections,
				    struct nestmig_detail *detail)
{
	uint64_t end = tail.offset + at - 1, last = end;
	size_t i = vmdesc->count;
	enum nestmig_error error = NESTMIG_OK;

	while (i > 0 && !error) {
		struct qemu_section section;

		error = section_before(source, tail, &vmdesc->devices[i - 1], end, &section,
				       detail);
		if (error)
			break;
		if (last - section.payload.offset > WALK_MAX)
			return nm_fail_at(detail, NESTMIG_ERR_LIMIT, section.payload.offset,
					  "the device state from here on is larger than %" PRIu64
					  " MiB",
					  WALK_MAX >> 20);
		error = push(sections, &section, detail);
		end -= 14 + strlen(section.name) + section.payload.size + QEMU_FOOTER_SIZE;
		i--;
	}
	if (error && error != NESTMIG_ERR_FORMAT)
		return error;
	while (i > 0) {
		const char *name = vmdesc->devices[--i].name;

		if (strcmp(name, "cpu") == 0 || strcmp(name, "cpu_common") == 0)
			return error;
	}
	if (!is_after_footer(source, end))
		return error ? error
			     : nm_fail_at(detail, NESTMIG_ERR_FORMAT, end,
					  "no RAM section ends before the first device section");
	return NESTMIG_OK;
}

static enum nestmig_error read_full(struct nestmig_state *state, struct nm_source *source,
				    struct nestmig_detail *detail)
{
	struct qemu_vmdesc vmdesc = {0};
	struct sections sections = {0};
	struct qemu_span tail = {0}, text;
	size_t at = 0;
	enum nestmig_error error = find_vmdesc(source, &tail, &at, detail);

	if (error)
		return error;
	text = (struct qemu_span){tail.bytes + at + 5, tail.offset + at + 5, tail.size - at - 5};
	error = qemu_vmdesc_parse(text, &vmdesc, detail);
	if (!error)
		error = walk_back(source, tail, at, &vmdesc, &sections, detail);
	if (!error)
		error = take_cpus(state, &sections, &vmdesc, detail);
	free(sections.list);
	qemu_vmdesc_free(&vmdesc);
	return error;
}

/* ---- Device-only streams: forwards ---------------------------------------------------------- */

/* Does a section of this id end at p, with another one or the end of the stream behind it? */
static bool is_footer_at(struct qemu_span span, size_t p, uint32_t id)
{
	struct qemu_section next;
	struct qemu_span rest;

	if (span.size - p < QEMU_FOOTER_SIZE + 1 || span.bytes[p] != QEMU_VM_SECTION_FOOTER ||
	    nm_be32(span.bytes + p + 1) != id)
		return false;
	rest = (struct qemu_span){span.bytes + p + QEMU_FOOTER_SIZE,
				  span.offset + p + QEMU_FOOTER_SIZE,
				  span.size - p - QEMU_FOOTER_SIZE};
	return (rest.size == 1 && rest.bytes[0] == QEMU_VM_EOF) || qemu_section_header(rest, &next);
}

/*
 * The length of a section's payload: known from its own parser for "cpu", else up to the first
 * footer of its id that another section or the end of the stream follows.
 */
static enum nestmig_error payload_length(struct nestmig_state *scratch,
					 struct qemu_section *section,
					 struct nestmig_detail *detail)
{
	struct qemu_span *payload = &section->payload;
	size_t p = 0;

	if (strcmp(section->name, "cpu") == 0) {
		struct nm_vcpu *vcpu = NULL;
		enum nestmig_error error =
			nm_state_add_vcpu(scratch, section->instance, &vcpu, detail);

		if (error)
			return error;
		vcpu->qemu.version = section->version;
		error = qemu_cpu_parse(vcpu, *payload, NULL, &p, detail);
		if (error)
			return error;
		if (!is_footer_at(*payload, p, section->id))
			return nm_fail_at(detail, NESTMIG_ERR_FORMAT, payload->offset + p,
					  "section \"cpu\" of vCPU %u does not end here",
					  section->instance);
	}
	while (p < payload->size && !is_footer_at(*payload, p, section->id))
		p++;
	if (p == payload->size)
		return nm_fail_at(detail, NESTMIG_ERR_TRUNCATED, payload->offset + payload->size,
				  "section \"%s\", which starts at %" PRIu64 ", does not end",
				  section->name, payload->offset);
	payload->size = p;
	return NESTMIG_OK;
}

static enum nestmig_error walk_forward(struct nestmig_state *scratch, struct qemu_span span,
				       struct sections *sections, struct nestmig_detail *detail)
{
	size_t at = QEMU_FILE_HEADER;

	while (at < span.size && span.bytes[at] != QEMU_VM_EOF) {
		struct qemu_span rest = {span.bytes + at, span.offset + at, span.size - at};
		struct qemu_section section;
		enum nestmig_error error;

		if (!qemu_section_header(rest, &section))
			return nm_fail_at(detail, NESTMIG_ERR_FORMAT, rest.offset,
					  "no device section starts here (first byte 0x%02x)",
					  rest.bytes[0]);
		error = payload_length(scratch, &section, detail);
		if (!error)
			error = push(sections, &section, detail);
		if (error)
			return error;
		at = (size_t)(section.payload.offset - span.offset) + section.payload.size +
		     QEMU_FOOTER_SIZE;
	}
	if (at + 1 != span.size)
		return nm_fail_at(
			detail, at < span.size ? NESTMIG_ERR_FORMAT : NESTMIG_ERR_TRUNCATED,
			span.offset + at, "the stream should end here with one zero byte");
	return NESTMIG_OK;
}

static enum nestmig_error read_devices(struct nestmig_state *state, struct nm_source *source,
				       struct nestmig_detail *detail)
{
	struct qemu_span span = {.size = (size_t)nm_source_size(source)};
	struct nestmig_state *scratch = NULL;
	struct sections sections = {0};
	enum nestmig_error error;

	if (nm_source_size(source) > DEVICE_STATE_MAX)
		return nm_fail_at(detail, NESTMIG_ERR_LIMIT, QEMU_FILE_HEADER,
				  "a device section comes first, so this should be a device-only "
				  "stream, but it has more than %" PRIu64 " bytes",
				  DEVICE_STATE_MAX);
	error = nm_source_window(source, 0, span.size, &span.bytes, detail);
	if (!error)
		error = nm_state_new("", "", &scratch, detail);
	if (!error)
		error = walk_forward(scratch, span, &sections, detail);
	if (!error)
		error = take_cpus(state, &sections, NULL, detail);
	nestmig_state_free(scratch);
	free(sections.list);
	return error;
}

enum nestmig_error nm_qemu_read(struct nestmig_state *state, struct nm_source *source,
				struct nestmig_detail *detail)
{
	uint64_t size = nm_source_size(source);
	struct qemu_span head = {.size = (size_t)(size < HEAD_SIZE ? size : HEAD_SIZE)};
	enum nestmig_error error = nm_source_window(source, 0, head.size, &head.bytes, detail);
	bool devices_only;

	if (error)
		return error;
	if (head.size < QEMU_FILE_HEADER + 1)
		return nm_fail_at(detail, NESTMIG_ERR_TRUNCATED, size,
				  "the stream ends in its header");
	if (nm_be32(head.bytes) != NM_QEMU_MAGIC || nm_be32(head.bytes + 4) != 3)
		return nm_fail_at(detail, NESTMIG_ERR_UNSUPPORTED, 0,
				  "no QEMU migration stream of version 3");
	devices_only = head.bytes[QEMU_FILE_HEADER] == QEMU_VM_SECTION_FULL;
	if (!state->format)
		state->format = devices_only ? "qemu-device-state" : "qemu-stream";
	if (devices_only)
		return read_devices(state, source, detail);
	error = qemu_head_parse(state, head, detail);
	return error ? error : read_full(state, source, detail);
}
