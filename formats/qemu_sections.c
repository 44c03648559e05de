// SPDX-License-Identifier: LGPL-2.1-or-later
/* The device sections of a QEMU stream, however they were found: which belong together, and vCPUs of them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "error.h"
#include "qemu_internal.h"

#define MAX_SECTIONS 65536

enum nestmig_error qemu_sections_push(struct qemu_sections *sections,
				      const struct qemu_section *section,
				      struct nestmig_detail *detail)
{
	struct qemu_section *list = sections->list;

	if (sections->count >= MAX_SECTIONS)
		return nm_fail_at(detail, NESTMIG_ERR_LIMIT, section->payload.offset,
				  "more than %d sections", MAX_SECTIONS);
	if (section->payload.size > QEMU_DEVICES_MAX - sections->size)
		return nm_fail_at(detail, NESTMIG_ERR_LIMIT, section->payload.offset,
				  "the device state is larger than %" PRIu64 " MiB",
				  QEMU_DEVICES_MAX >> 20);
	if (sections->count == sections->room) {
		sections->room = sections->room ? 2 * sections->room : 64;
		list = reallocarray(sections->list, sections->room, sizeof(*list));
		if (!list)
			return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
		sections->list = list;
	}
	list[sections->count++] = *section;
	sections->size += section->payload.size;
	return NESTMIG_OK;
}

bool qemu_section_header(struct qemu_span span, uint8_t type, struct qemu_section *ret_section)
{
	size_t length;

	if (span.size < 6 || span.bytes[0] != type)
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

/* ---- Hidden ones ------------------------------------------------------------------------------- */

#define HEADER_ID 5 /* u8 FULL, be32 id; then u8 length, name */

static bool is_taken(const struct qemu_sections *sections, const char *name, uint64_t header)
{
	for (size_t i = 0; i < sections->count; i++) {
		const struct qemu_section *section = &sections->list[i];

		if (section->payload.offset - 14 - strlen(section->name) == header &&
		    strcmp(section->name, name) == 0)
			return true;
	}
	return false;
}

/* name: with its length before it. */
static enum nestmig_error check_name(const struct qemu_sections *sections, struct qemu_span span,
				     const char *name, struct nestmig_detail *detail)
{
	const uint8_t *p = span.bytes, *end = span.bytes + span.size;

	while ((p = memmem(p, (size_t)(end - p), name, strlen(name)))) {
		size_t at = (size_t)(p++ - span.bytes);
		uint64_t header = span.offset + at - HEADER_ID;

		if (at >= HEADER_ID && span.bytes[at - HEADER_ID] == QEMU_VM_SECTION_FULL &&
		    !is_taken(sections, name + 1, header))
			return nm_fail_at(
				detail, NESTMIG_ERR_FORMAT, header,
				"a section \"%s\" seems to start here, inside of what was "
				"taken for another: QEMU may load it instead",
				name + 1);
	}
	return NESTMIG_OK;
}

enum nestmig_error qemu_sections_check_hidden(const struct qemu_sections *sections,
					      struct qemu_span span, struct nestmig_detail *detail)
{
	static const char *const names[] = {"\x03"
					    "cpu",
					    "\x0a"
					    "cpu_common",
					    "\x04"
					    "apic"};
	enum nestmig_error error = NESTMIG_OK;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !error; i++)
		error = check_name(sections, span, names[i], detail);
	return error;
}

/* ---- Which belong together --------------------------------------------------------------------- */

static int by_instance(const void *a, const void *b)
{
	const struct qemu_section *x = a, *y = b;

	if (x->instance != y->instance)
		return x->instance < y->instance ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* Among sorted ones. */
static const struct qemu_section *find(const struct qemu_sections *sections, const char *name,
				       uint32_t instance)
{
	struct qemu_section key = {.instance = instance};

	strncpy(key.name, name, sizeof(key.name) - 1);
	return bsearch(&key, sections->list, sections->count, sizeof(key), by_instance);
}

/* The sections of that name; *ret_nth becomes the n-th of them or NULL. */
static size_t count_of(const struct qemu_sections *sections, const char *name, size_t n,
		       const struct qemu_section **ret_nth)
{
	size_t count = 0;

	*ret_nth = NULL;
	for (size_t i = 0; i < sections->count; i++)
		if (strcmp(sections->list[i].name, name) == 0 && count++ == n)
			*ret_nth = &sections->list[i];
	return count;
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
static enum nestmig_error check_ids(const struct qemu_sections *sections,
				    struct nestmig_detail *detail)
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

/* A device is there once. QEMU would load the one after the other, so that the last one counts. */
static enum nestmig_error check_twice(const struct qemu_sections *sections,
				      struct nestmig_detail *detail)
{
	for (size_t i = 1; i < sections->count; i++) {
		const struct qemu_section *section = &sections->list[i];

		if (by_instance(section - 1, section) == 0)
			return nm_fail_at(detail, NESTMIG_ERR_FORMAT, section->payload.offset,
					  "section \"%s\" of instance %u is there twice",
					  section->name, section->instance);
	}
	return NESTMIG_OK;
}

/* QEMU writes two sections of every vCPU, and a third if vCPUs have an APIC: a damaged header must not
 * make one of them vanish. */
static enum nestmig_error check_pairs(const struct qemu_sections *sections,
				      struct nestmig_detail *detail)
{
	const struct qemu_section *ignored;
	size_t cpus = count_of(sections, "cpu", 0, &ignored);
	size_t apics = count_of(sections, "apic", 0, &ignored);

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
	if (cpus && apics && apics != cpus)
		return nm_fail(
			detail, NESTMIG_ERR_FORMAT,
			"the stream has %zu vCPUs, but %zu sections \"apic\": a vCPU is missing "
			"or there is one too many",
			cpus, apics);
	return NESTMIG_OK;
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

/* ---- vCPUs --------------------------------------------------------------------------------------- */

/*
 * The instance of section "apic" is the APIC id, not the cpu_index: it grows with it, but skips numbers
 * where a level of the topology has no power of two of members. Hence the n-th "apic".
 */
static enum nestmig_error take_cpu(struct nestmig_state *state,
				   const struct qemu_sections *sections,
				   const struct qemu_section *section,
				   const struct qemu_vmdesc *vmdesc, struct nestmig_detail *detail)
{
	const struct qemu_section *apic = NULL;
	struct nm_vcpu *vcpu = NULL;
	size_t used = 0;
	enum nestmig_error error;

	count_of(sections, "apic", state->vcpu_count, &apic);
	error = nm_state_add_vcpu(state, section->instance, &vcpu, detail);
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

enum nestmig_error qemu_sections_take(struct nestmig_state *state, struct qemu_sections *sections,
				      const struct qemu_vmdesc *vmdesc,
				      struct nestmig_detail *detail)
{
	enum nestmig_error error = check_ids(sections, detail);

	if (error)
		return error;
	if (sections->count)
		qsort(sections->list, sections->count, sizeof(*sections->list), by_instance);
	error = check_twice(sections, detail);
	if (!error)
		error = check_pairs(sections, detail);
	for (size_t i = 0; i < sections->count && !error; i++)
		if (strcmp(sections->list[i].name, "cpu") == 0)
			error = take_cpu(state, sections, &sections->list[i], vmdesc, detail);
	if (error)
		return error;
	if (state->vcpu_count == 0)
		return nm_fail(detail, NESTMIG_ERR_UNSUPPORTED,
			       "the stream has no section \"cpu\": is it one of an x86 guest?");
	/* One VM has one vendor: a vCPU outside of nested use says nothing itself. */
	for (size_t i = 0; i < state->vcpu_count; i++)
		state->vcpus[i].view.vendor = state->vendor;
	return NESTMIG_OK;
}
