/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Between the parts of the QEMU stream reader. Facts: QEMU 7.2 to 10.2 migration/savevm.c,
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
#define QEMU_VM_SECTION_FOOTER 0x7e

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

/* Takes what the first bytes of a full stream, header included, say of the machine and its RAM. What
 * is not there, or in a form that is not known, stays unknown. Errors: FORMAT, LIMIT, NOMEM. */
NESTMIG_CHECKED enum nestmig_error
qemu_head_parse(struct nestmig_state *state, struct qemu_span head, struct nestmig_detail *detail);

/*
 * Goes through the RAM of the stream for pages of guest memory: state->find_pages (state.h). Below
 * 4 GiB an address in guest RAM is its place in the RAM block, whatever the guest sees there.
 */
NESTMIG_CHECKED enum nestmig_error qemu_find_pages(const struct nestmig_state *state,
						   struct nm_page *pages, size_t count,
						   struct nestmig_detail *detail);

/* Reads a section header at the start of span. false if there is none. */
bool qemu_section_header(struct qemu_span span, struct qemu_section *ret_section);

#endif
