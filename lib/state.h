/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * struct nestmig_state from the inside: what the readers in formats/ fill and everything else
 * reads.
 */
#ifndef NESTMIG_STATE_H
#define NESTMIG_STATE_H

#include "nestmig.h"
#include "view.h"

struct nm_source;

/* How the bytes at an origin are laid out, which decides where a field of an item stands. */
enum nm_layout {
	NM_LAYOUT_KVM,  /* a struct kvm_* as the ioctl returns it, little-endian */
	NM_LAYOUT_QEMU, /* payload of section "cpu" of a QEMU stream, big-endian; offset = its start
			 */
	NM_LAYOUT_NONE, /* made up from several places: fields have no offset of their own */
};

/* Where an item came from. */
struct nm_origin {
	const char *file; /* name of the file below a dump directory, or NULL for the file itself */
	uint64_t offset;  /* of the first byte of the item, in bytes */
	uint64_t size;
	const uint8_t *bytes; /* the undecoded bytes, or NULL; owned by the state */
	enum nm_layout layout;
};

/* struct kvm_msr_entry, decoded. */
struct nm_msr {
	uint32_t index;
	uint64_t value;
};

/* struct kvm_cpuid_entry2, decoded. */
struct nm_cpuid_entry {
	uint32_t function, index, flags, eax, ebx, ecx, edx;
};

/* What a QEMU stream says of a vCPU beyond the KVM structs. */
struct nm_qemu_cpu {
	bool present;
	uint32_t version; /* of section "cpu" */
	uint32_t hflags, hflags2, interrupt_request, halted;
	int32_t exception_nr; /* -1: none */
};

struct nm_vcpu {
	uint32_t id;
	struct nestmig_vcpu_view view;
	struct nm_origin origin[NESTMIG_ITEM_COUNT];
	struct nm_msr *msrs; /* owned */
	size_t msr_count;
	struct nm_cpuid_entry *cpuid; /* owned; may be empty though view.cpuid is known */
	size_t cpuid_count;
	struct nm_qemu_cpu qemu;
};

/* A guest-physical range that is RAM. Where its bytes can be had without reading the whole file,
 * source and offset say so. */
struct nm_extent {
	uint64_t gpa, size;
	struct nm_source *source; /* NULL: backed, but the content is not at hand */
	uint64_t offset;
};

struct nestmig_state {
	const char *format;
	char *path;
	enum nestmig_vendor vendor;
	struct nm_vcpu *vcpus; /* owned */
	size_t vcpu_count;
	/* Sources opened for this state, owned; the first is the file itself. */
	struct nm_source **sources;
	size_t source_count;
	/* RAM. memory_known says that the list is complete: an address outside it is not RAM. */
	struct nm_extent *extents;
	size_t extent_count;
	bool memory_known;
	/* The host that the state brings with it (a raw dump's meta.json, an .nms), or NULL. */
	struct nestmig_host *host;
	char *restore_order; /* ioctl names, comma-separated, or NULL for QEMU's order */
	char *machine;       /* QEMU machine name, or NULL */
	/* Where the QEMU stream inside starts and how long it is; source to read it from. */
	struct nm_source *stream; /* not owned: one of sources */
	char **kept;              /* texts that origins refer to, owned */
	size_t kept_count;
};

/* An empty state. */
NESTMIG_CHECKED enum nestmig_error nm_state_new(const char *path, const char *format,
						struct nestmig_state **ret_state,
						struct nestmig_detail *detail);

/* Adds a vCPU (ids need not be contiguous); the pointer is valid until the next one is added.
 * Errors: LIMIT (more than 4096), FORMAT (id twice), NOMEM. */
NESTMIG_CHECKED enum nestmig_error nm_state_add_vcpu(struct nestmig_state *state, uint32_t id,
						     struct nm_vcpu **ret_vcpu,
						     struct nestmig_detail *detail);

/* Hands a source over to the state; freed at once on failure. */
NESTMIG_CHECKED enum nestmig_error nm_state_add_source(struct nestmig_state *state,
						       struct nm_source *source,
						       struct nestmig_detail *detail);

/* The machine name, which comes from the file and will be printed: made of graphic ASCII. */
NESTMIG_CHECKED enum nestmig_error nm_state_set_machine(struct nestmig_state *state,
							const char *name, size_t length,
							struct nestmig_detail *detail);

/* Keeps a copy of text as long as the state lives; NULL when out of memory. */
const char *nm_state_keep(struct nestmig_state *state, const char *text);

/* Adds an extent of RAM. Errors: LIMIT, NOMEM, FORMAT (gpa + size overflows). */
NESTMIG_CHECKED enum nestmig_error nm_state_add_extent(struct nestmig_state *state,
						       struct nm_extent extent,
						       struct nestmig_detail *detail);

/* Is the whole range [gpa, gpa + length) RAM? */
enum nestmig_backed nm_state_backed(const struct nestmig_state *state, uint64_t gpa,
				    uint64_t length);

/* Reads guest memory. Errors: NOT_FOUND if the bytes are not at hand, IO. */
NESTMIG_CHECKED enum nestmig_error nm_state_read_memory(const struct nestmig_state *state,
							uint64_t gpa, void *buffer, size_t length);

/* Marks an item as present and says where it came from. */
void nm_vcpu_set_item(struct nm_vcpu *vcpu, enum nestmig_item item, struct nm_origin origin);

/* Has the vCPU all items of the mask? */
static inline bool nm_vcpu_has(const struct nm_vcpu *vcpu, uint64_t mask)
{
	return (vcpu->view.have & mask) == mask;
}

/* The name of an item ("sregs"), never NULL. */
const char *nm_item_name(enum nestmig_item item);

/* "L1", "L2", "SMM" or "unknown". */
const char *nm_vcpu_mode(const struct nm_vcpu *vcpu);

/*
 * Decoding struct kvm_* bytes into the view (lib/vcpu/decode.c). Each takes the bytes of one KVM
 * struct as they stand in a file, checks the size, fills vcpu->view and marks the item. The bytes
 * must live as long as the state. origin.bytes and origin.size give them.
 * Errors: FORMAT or TRUNCATED at origin.offset.
 */
enum nm_kvm_struct {
	NM_KVM_NESTED_STATE, /* header and data: NESTED and VMCB12 or VMCS12, SHADOW_VMCS12 */
	NM_KVM_SREGS,
	NM_KVM_SREGS2, /* SREGS, and PDPTRS if flagged */
	NM_KVM_REGS,
	NM_KVM_VCPU_EVENTS,
	NM_KVM_DEBUGREGS,
	NM_KVM_MP_STATE,
	NM_KVM_MSRS,  /* array of struct kvm_msr_entry */
	NM_KVM_CPUID, /* array of struct kvm_cpuid_entry2 */
	NM_KVM_STRUCTS
};

NESTMIG_CHECKED enum nestmig_error nm_decode_kvm(struct nm_vcpu *vcpu, enum nm_kvm_struct kind,
						 struct nm_origin origin,
						 struct nestmig_detail *detail);

/* The largest struct that nm_encode_kvm makes, in bytes. */
#define NM_KVM_STRUCT_MAX 8448

/*
 * The inverse: writes what the vCPU has of a KVM struct into buffer, NM_KVM_STRUCT_MAX bytes.
 * *ret_size becomes its size, 0 if the vCPU has none of it. What the vCPU does not have is zero.
 * NM_KVM_SREGS and NM_KVM_CPUID are not made (SREGS2 says more; CPUID is not decoded whole).
 */
void nm_encode_kvm(const struct nm_vcpu *vcpu, enum nm_kvm_struct kind, uint8_t *buffer,
		   size_t *ret_size);

/* The file name of a KVM struct in a raw dump ("nested_state", "sregs2", ...). */
const char *nm_kvm_struct_name(enum nm_kvm_struct kind);

/* Fills the words that rules read from a list of CPUID entries. */
void nm_cpuid_words(const struct nm_cpuid_entry *entries, size_t count, struct nestmig_cpuid *ret);

#endif
