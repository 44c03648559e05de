/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * struct nestmig_state from the inside: what the readers in formats/ fill and everything else
 * reads.
 */
#ifndef NESTMIG_STATE_H
#define NESTMIG_STATE_H

#include "nestmig.h"
#include "view.h"

/* How the bytes at an origin are laid out, which decides where a field of an item stands. */
enum nm_layout {
	NM_LAYOUT_KVM,  /* a struct kvm_* as the ioctl returns it, little-endian */
	NM_LAYOUT_QEMU, /* payload of section "cpu" of a QEMU stream, big-endian; offset = its start
			 */
	NM_LAYOUT_NONE, /* made up from several places: fields have no offset of their own */
	NM_LAYOUT_SMRAM32, /* SMRAM of a guest without long mode: as guest memory, but KVM's other map
			    */
};

/* Where an item came from. */
struct nm_origin {
	const char *file; /* name of the file below a dump directory, or NULL for the file itself */
	uint64_t offset; /* of the first byte of the item, in bytes; UINT64_MAX: not in one place */
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

/* The four PDPTEs that a CR3 points at. */
struct nm_pdptes {
	bool known;
	uint64_t gpa;
	uint8_t bytes[32];
};

/* Whose CR3: the live one, L1's in the save area of the VMCB12, the one that RSM loads. */
enum nm_pdptes_of { NM_PDPTES_LIVE, NM_PDPTES_L1, NM_PDPTES_NESTED, NM_PDPTES_RSM, NM_PDPTES };

/* The head of L1's own page of the VMCB12: what L1 alone writes ends with nested_cr3. */
#define NM_VMCB12_COPY 0xb8
struct nm_vmcb12_copy {
	uint64_t gpa;
	bool known;
	uint8_t bytes[NM_VMCB12_COPY];
};

/* What of guest memory rules and inspect read (memory.c). The items of the view point into it. */
struct nm_vcpu_memory {
	uint8_t smram_area[1024]; /* from SMBASE + 0xfc00; item SMRAM is the second half */
	bool has_smram_low;       /* the first half is there, too */
	uint8_t smm_vmcb12[KVMNS_VMCB_SIZE], hsave[KVMNS_VMCB_SIZE];
};

/* The same for VMX (vmx_memory.c). */
struct nm_vmx_memory {
	uint8_t page[4096], vtpr[4]; /* page: only while loading */
	struct nestmig_eptp eptps[512];
	uint8_t areas[NESTMIG_MSR_AREAS][NESTMIG_MSR_AREA_MAX * NESTMIG_MSR_ENTRY_SIZE];
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
	bool is_not_nested; /* no nested state in the file, and the registers show that there was none */
	struct nm_vcpu_memory *memory;    /* owned; NULL: nothing of it is at hand */
	struct nm_vmx_memory *vmx_memory; /* the same */
	struct nm_pdptes pdptes[NM_PDPTES];
	struct nm_vmcb12_copy vmcb12_copy;
};

/* A guest-physical range that is RAM. Where its bytes can be had without reading the whole file,
 * source and offset say so. */
struct nm_extent {
	uint64_t gpa, size;
	struct nm_source *source; /* NULL: backed, but the content is not at hand, or in `pages` */
	uint64_t offset;
	const char *file; /* below a dump directory, or NULL; lives as long as the state */
	bool smm_only;    /* RAM for a vCPU in SMM, where others see something else */
};

/* A page of guest memory that was looked for in a stream. */
struct nm_page {
	uint64_t gpa;
	enum nm_page_kind {
		NM_PAGE_ABSENT,  /* not found, or in a form that is not read */
		NM_PAGE_FILL,    /* all bytes are `fill` */
		NM_PAGE_STORED,  /* 4096 bytes at `offset` of the stream */
		NM_PAGE_ZLIB,    /* `length` bytes of zlib at `offset` of the stream */
		NM_PAGE_PATCHED, /* number `offset` of the state's patched pages */
	} kind;
	uint8_t fill;
	uint16_t length;
	uint64_t offset;
};

/* Pages that a stream has sent as differences, put together: at most NM_PATCHED_MAX for a state. */
#define NM_PATCHED_MAX 4096
struct nm_patched {
	struct nm_patched_page {
		uint64_t gpa;
		uint8_t bytes[4096];
	} * pages[NM_PATCHED_MAX]; /* owned */
	size_t count;
};

/* A RAM block of a stream that is guest RAM, and pieces of such blocks as the guest has them. */
struct nm_ram_block {
	char name[256];
	uint64_t size;
	bool mapped;            /* with mapped-ram: */
	uint64_t bitmap, pages; /* where they stand, in the stream; 0: not in the file */
};
struct nm_ram_piece {
	uint64_t gpa, size, offset; /* offset: in the block */
	size_t block;               /* of nm_stream_ram's blocks */
};

#define NM_PAGE_SIZE UINT64_C(4096)

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
	/* Pages that were looked for, by gpa, owned. A stream has them in no order: find_pages goes
	 * through all of its RAM for the pages of a list that is sorted by gpa, each once, and fills in
	 * what it finds. NULL: nothing but the extents is at hand. Errors: IO, NOMEM, CHECKSUM, FORMAT
	 * (an .nms that cannot be unpacked; elements that no QEMU writes); a stream that is not
	 * understood is none. */
	struct nm_page *pages;
	size_t page_count;
	enum nestmig_error (*find_pages)(const struct nestmig_state *state, struct nm_page *pages,
					 size_t count, struct nestmig_detail *detail);
	/* The same for one page at once, where every page has its place (mapped-ram), or NULL; gpa is in an
	 * extent without a source. Errors: NOT_FOUND (not in the file), and those of reading. */
	enum nestmig_error (*find_page)(const struct nestmig_state *state, uint64_t gpa,
					struct nm_page *ret_page, struct nestmig_detail *detail);
	struct nm_stream_ram {
		/* For find_pages. Offsets are in the stream. */
		uint64_t offset;         /* of the first element behind the setup */
		uint64_t devices;        /* of the first device behind RAM; 0: it is not known */
		uint32_t id, bitmaps_id; /* of sections "ram" and "dirty-bitmap" */
		bool has_bitmaps, no_footers;
		/* Every element from the header to here has been passed; 0: not all have been. */
		uint64_t passed;
		/* Bytes in which QEMU may find other devices than these, so that nothing in the file is ok:
		 * they were not passed element by element. unread_why says what was not understood, and
		 * lives as long as the state; NULL: NESTMIG_READ_QUICK. */
		uint64_t unread;
		const char *unread_why;
		bool clear_is_absent; /* for find_page: a clear bit is no page of zeros, but one that
					 is not there */
		const struct nm_ram_block *blocks; /* as long as the state */
		const struct nm_ram_piece *pieces; /* the same, in order of gpa */
		size_t block_count, piece_count;
		struct nm_patched *patched; /* owned, or NULL */
	} ram;
	/* The host that the state brings with it (a raw dump's meta.json, an .nms), or NULL. */
	struct nestmig_host *host;
	char *restore_order; /* ioctl names, comma-separated, or NULL for QEMU's order */
	char *machine;       /* QEMU machine name, or NULL */
	/* Where the QEMU stream inside starts and how long it is; source to read it from. */
	struct nm_source *stream; /* not owned: one of sources */
	uint64_t stream_base; /* offset of the stream's first byte in the file, where it has one */
	/* The migration capability without which no QEMU loads the stream ("mapped-ram"), or NULL. */
	const char *capability;
	const char *packing; /* how the stream is compressed in the file ("zstd"), or NULL */
	/* What a libvirt image says of the VM, NUL-terminated as in the file, or NULL; owned. */
	char *domain_xml, *cookie_xml;
	char **kept; /* texts and bytes that origins and views refer to, owned */
	size_t kept_count;
	/* The snapshot that the caller of the reader wants; NULL: any. Valid while reading. */
	const char *wanted_snapshot;
	bool is_quick; /* NESTMIG_READ_QUICK; while reading */
	char *remark; /* sentences on what the container does not hold, for the report; or NULL; owned */
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

/* Room for size bytes that lives as long as the state; NULL when out of memory. */
void *nm_state_room(struct nestmig_state *state, size_t size);

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

/*
 * The same into memory that the caller frees: lists at full length, and NM_KVM_CPUID where the vCPU has the
 * whole list. Errors: NOMEM.
 */
NESTMIG_CHECKED enum nestmig_error nm_encode_kvm_new(const struct nm_vcpu *vcpu,
						     enum nm_kvm_struct kind, uint8_t **ret_bytes,
						     size_t *ret_size);

/* The file name of a KVM struct in a raw dump ("nested_state", "sregs2", ...). */
const char *nm_kvm_struct_name(enum nm_kvm_struct kind);

/* Puts an MSR among the VMX capability MSRs, if it is one; else does nothing. */
static inline bool nm_vmx_msr_put(struct nestmig_vmx_msrs *vmx, uint32_t index, uint64_t value)
{
	uint32_t n = index - NESTMIG_VMX_MSR_FIRST;

	if (index < NESTMIG_VMX_MSR_FIRST || n >= NESTMIG_VMX_MSRS)
		return false;
	vmx->value[n] = value;
	vmx->have |= UINT32_C(1) << n;
	return true;
}

/* The bit of msrs_listed that an MSR has, or 0. */
uint32_t nm_msr_listed(uint32_t index);

/* "cpuid.LEAF.INDEX.REGISTER" of a word that rules read, in hexadecimal. */
void nm_cpuid_word_name(enum nestmig_cpuid_word word, char *buffer, size_t size);

/* Fills the words that rules read from a list of CPUID entries. */
void nm_cpuid_words(const struct nm_cpuid_entry *entries, size_t count, struct nestmig_cpuid *ret);

/* ---- Guest memory (lib/memory.c) -------------------------------------------------------------- */

/* Adds an extent of RAM. Errors: LIMIT, NOMEM, FORMAT (gpa + size overflows). */
NESTMIG_CHECKED enum nestmig_error nm_state_add_extent(struct nestmig_state *state,
						       struct nm_extent extent,
						       struct nestmig_detail *detail);

/* Is the whole range [gpa, gpa + length) RAM? */
enum nestmig_backed nm_state_backed(const struct nestmig_state *state, uint64_t gpa,
				    uint64_t length);

/* The same for a vCPU in SMM, which sees RAM in places where others do not. */
enum nestmig_backed nm_state_backed_smm(const struct nestmig_state *state, uint64_t gpa,
					uint64_t length);

/* Reads guest memory. Errors: NOT_FOUND if the bytes are not at hand, IO. */
NESTMIG_CHECKED enum nestmig_error nm_state_read_memory(const struct nestmig_state *state,
							uint64_t gpa, void *buffer, size_t length);

/*
 * A whole page of guest memory, for which a stream is searched if need be: a pass over all of its RAM. gpa
 * is its address, buffer has NM_PAGE_SIZE bytes. Errors: NOT_FOUND (no RAM, or not in the file), INVALID
 * (gpa is no multiple of the page size), and those of reading. (page.c)
 */
NESTMIG_CHECKED enum nestmig_error nm_state_fetch_page(const struct nestmig_state *state,
						       uint64_t gpa, uint8_t *buffer,
						       struct nestmig_detail *detail);

/*
 * The bytes of a page that has been found in a stream, NM_PAGE_SIZE of them; patched may be NULL where no page
 * can be one of these. Errors: NOT_FOUND, and those of reading. (page.c)
 */
NESTMIG_CHECKED enum nestmig_error nm_page_content(struct nm_source *stream,
						   const struct nm_patched *patched,
						   const struct nm_page *page, uint8_t *buffer,
						   struct nestmig_detail *detail);

/* The bytes of a page that find_pages has looked for. Errors: NOT_FOUND, and those of reading. (page.c) */
NESTMIG_CHECKED enum nestmig_error nm_page_bytes(const struct nestmig_state *state,
						 const struct nm_page *page, uint8_t *buffer,
						 struct nestmig_detail *detail);

/*
 * Takes from guest memory what rules read, for every vCPU: SMRAM and the VMCB that it names, the
 * host save area, PDPTEs. To be called when all else of the state is there, and again when any of it
 * has changed: it starts from nothing. What is not at hand stays absent, which is no error. With a
 * QEMU stream this costs up to two passes over the headers of its RAM pages, but only if a vCPU is
 * in SMM or PDPTEs are needed.
 * Errors: NOMEM, and those of reading the file.
 */
NESTMIG_CHECKED enum nestmig_error nm_state_load_memory(struct nestmig_state *state,
							struct nestmig_detail *detail);

/* Of that only the PDPTEs, from extents and pages that are there already: costs no allocation. */
NESTMIG_CHECKED enum nestmig_error nm_vcpu_load_pdptes(const struct nestmig_state *state,
						       struct nm_vcpu *vcpu);

/*
 * Of that only what rules on a VMCS12 read; and the ranges that this is, at most NM_VMX_RANGES: those
 * that a stream is searched for. The root table of the EPT, which nearly every VMCS12 has, is taken
 * only where it is at hand.
 */
struct nm_range {
	uint64_t gpa, length;
};
#define NM_VMX_RANGES 5
NESTMIG_CHECKED enum nestmig_error nm_vmx_load_memory(const struct nestmig_state *state,
						      struct nm_vcpu *vcpu,
						      struct nestmig_detail *detail);
size_t nm_vmx_wants(const struct nestmig_vcpu_view *view, struct nm_range ranges[NM_VMX_RANGES]);
void nm_vmx_drop_memory(struct nm_vcpu *vcpu);

/* Gives up what nm_state_load_memory has taken; the items become absent. */
void nm_vcpu_drop_memory(struct nm_vcpu *vcpu);

/* Does paging with these registers take four PDPTEs from memory? */
static inline bool nm_uses_pdptes(uint64_t efer, uint64_t cr0, uint64_t cr4)
{
	return !(efer & UINT64_C(1) << 10) && (cr0 & UINT64_C(1) << 31) && (cr4 & UINT64_C(1) << 5);
}

/* What RSM loads of these, if the image and its map are known; else false. */
bool nm_rsm_paging(const struct nestmig_vcpu_view *view, uint64_t *ret_efer, uint64_t *ret_cr0,
		   uint64_t *ret_cr3, uint64_t *ret_cr4);

#endif
