/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Between the parts of the QEMU stream reader. Facts: QEMU 7.2 to 11.0 migration/savevm.c,
 * migration/vmstate.c, migration/ram.c, target/i386/machine.c. All integers are big-endian.
 */
#ifndef NESTMIG_QEMU_INTERNAL_H
#define NESTMIG_QEMU_INTERNAL_H

#include <jansson.h>

#include "nestmig.h"
#include "state.h"

/* Element types (QEMU_VM_* of migration/savevm.h). */
#define QEMU_VM_EOF            0x00
#define QEMU_VM_SECTION_START  0x01
#define QEMU_VM_SECTION_PART   0x02
#define QEMU_VM_SECTION_END    0x03
#define QEMU_VM_SECTION_FULL   0x04
#define QEMU_VM_SUBSECTION     0x05
#define QEMU_VM_VMDESCRIPTION  0x06
#define QEMU_VM_CONFIGURATION  0x07
#define QEMU_VM_COMMAND        0x08
#define QEMU_VM_SECTION_FOOTER 0x7e

#define QEMU_CMD_RETURN_PATH   1
#define QEMU_CMD_PING          2
#define QEMU_CMD_ADVISE        3
#define QEMU_CMD_PACKAGED      7
#define QEMU_CMD_SWITCHOVER    11

#define QEMU_FILE_HEADER       8
#define QEMU_FOOTER_SIZE       5

/* Bytes of a stream and where they stand in it. */
struct qemu_span {
	const uint8_t *bytes;
	uint64_t offset; /* in the file, of bytes[0] */
	size_t size;
};

/* One FULL section. */
struct qemu_section {
	char name[256];
	uint32_t id, instance, version;
	struct qemu_span payload;
};

/* One device of the vmdesc. */
struct qemu_device {
	const char *name; /* owned by the JSON */
	uint32_t instance, version;
	uint64_t size; /* of the payload, bytes */
	json_t *json;
};

struct qemu_vmdesc {
	json_t *root;
	struct qemu_device *devices;
	size_t count;
};

/* Parses the JSON of a vmdesc. Errors: FORMAT, LIMIT, NOMEM; offset is that of the text. */
NESTMIG_CHECKED enum nestmig_error qemu_vmdesc_parse(struct qemu_span text,
						     struct qemu_vmdesc *ret_vmdesc,
						     struct nestmig_detail *detail);

void qemu_vmdesc_free(struct qemu_vmdesc *vmdesc);

/* The size in bytes of all that follows the 6 + len bytes of a subsection's header. false if the
 * device has no such subsection. */
bool qemu_vmdesc_subsection(const struct qemu_device *device, const char *name, uint64_t *ret_size);

/* The size in bytes of the fields of a device, without its subsections. false if they have no size. */
bool qemu_vmdesc_fields(const struct qemu_device *device, uint64_t *ret_size);

/*
 * Parses the payload of section "cpu". device is its vmdesc or NULL; without it the payload may be
 * longer than the section and *ret_used says where the section ends.
 */
NESTMIG_CHECKED enum nestmig_error qemu_cpu_parse(struct nm_vcpu *vcpu, struct qemu_span payload,
						  const struct qemu_device *device,
						  size_t *ret_used, struct nestmig_detail *detail);

/* Once cpu_common and apic (each may be NULL) are known: what QEMU makes of it before it calls KVM.
 * Errors: FORMAT where QEMU itself refuses the stream. */
NESTMIG_CHECKED enum nestmig_error qemu_cpu_finish(struct nm_vcpu *vcpu,
						   const struct qemu_section *common,
						   const struct qemu_section *apic,
						   struct nestmig_detail *detail);

struct qemu_walk;

/* Past the configuration section, if there is one. Gives the state its machine.
 * Errors: those of qemu_walk.h; then walk is somewhere in the section. */
NESTMIG_CHECKED enum nestmig_error qemu_walk_configuration(struct qemu_walk *walk,
							   struct nestmig_state *state);

/*
 * Goes through the RAM of the stream for pages of guest memory: state->find_pages (state.h). An address is that
 * of the RAM there, whatever else the guest sees in its place.
 */
NESTMIG_CHECKED enum nestmig_error qemu_find_pages(const struct nestmig_state *state,
						   struct nm_page *pages, size_t count,
						   struct nestmig_detail *detail);

/* One page of a stream with mapped-ram: state->find_page. */
NESTMIG_CHECKED enum nestmig_error qemu_find_page(const struct nestmig_state *state, uint64_t gpa,
						  struct nm_page *ret_page,
						  struct nestmig_detail *detail);

/* ---- Sections (qemu_sections.c) --------------------------------------------------------------- */

/* Of all device sections of a stream together, so that a vmdesc cannot ask for all of RAM. */
#define QEMU_DEVICES_MAX (UINT64_C(256) << 20)
/* Of one device, and of a stream of devices alone. */
#define QEMU_DEVICE_MAX (UINT64_C(64) << 20)

/* The sections of a stream, in stream order or backwards. */
struct qemu_sections {
	struct qemu_section *list; /* owned */
	size_t count, room;
	uint64_t size; /* of all payloads, bytes */
};

/* Errors: LIMIT, NOMEM. */
NESTMIG_CHECKED enum nestmig_error qemu_sections_push(struct qemu_sections *sections,
						      const struct qemu_section *section,
						      struct nestmig_detail *detail);

/*
 * QEMU knows how long a device is and reads on behind it; the vmdesc, and a footer that a guest has written
 * into a device, may say otherwise. So no section of a vCPU may start in these bytes but those that were taken:
 * all sections must be in the list. Errors: FORMAT.
 */
NESTMIG_CHECKED enum nestmig_error qemu_sections_check_hidden(const struct qemu_sections *sections,
							      struct qemu_span span,
							      struct nestmig_detail *detail);

/* Makes a vCPU of every section "cpu", in order of cpu_index; sorts the sections. vmdesc may be NULL.
 * Errors: FORMAT (a section twice, a vCPU without one of its sections), UNSUPPORTED (no vCPU),
 * and those of qemu_cpu_parse and qemu_cpu_finish. */
NESTMIG_CHECKED enum nestmig_error qemu_sections_take(struct nestmig_state *state,
						      struct qemu_sections *sections,
						      const struct qemu_vmdesc *vmdesc,
						      struct nestmig_detail *detail);

/* ---- Streams without a vmdesc (qemu_forward.c) ------------------------------------------------- */

/* The sections of a stream of devices alone, from its header on. Errors: those of qemu_walk.h, LIMIT. */
NESTMIG_CHECKED enum nestmig_error qemu_forward_devices(struct qemu_walk *walk,
							struct qemu_sections *sections);

/* The same of a whole stream, from behind the configuration. Reads all headers of RAM. *ret_devices becomes
 * where the devices behind RAM start; it stays if they are in a package. */
NESTMIG_CHECKED enum nestmig_error
qemu_forward_stream(struct qemu_walk *walk, struct qemu_sections *sections, uint64_t *ret_devices);

/* Of a device before RAM, the bytes that tell its length. */
#define QEMU_EARLY_FIXED 36

/* How long the payload of a device before RAM is that starts so. false: it is not known. (qemu_stream.c) */
bool qemu_early_length(const char *name, const uint8_t fixed[QEMU_EARLY_FIXED],
		       uint64_t *ret_length);

/* May the zero bytes from `from` to the end of the source be what O_DIRECT pads a file with? */
bool qemu_is_padding(const struct qemu_walk *walk, uint64_t from);

/* Reads a section header of this type, START or FULL, at the start of span. false if there is none. */
bool qemu_section_header(struct qemu_span span, uint8_t type, struct qemu_section *ret_section);

#endif
