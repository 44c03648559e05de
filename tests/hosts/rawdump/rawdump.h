// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rawdump: nested guests made and restored with nothing but KVM's own ioctls.
 *
 * Every function that returns int returns 0, or -1 after saying on stderr what went wrong, unless
 * its comment says otherwise.
 */
#ifndef RAWDUMP_H
#define RAWDUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/kvm.h>

/*
 * The guest's physical memory: one slot from address 0, as small as the default SMBASE allows (SMRAM
 * ends at 0x3ffff). What is above is not RAM.
 */
#define GUEST_MEMORY (256u << 10)

#define ADDRESS_VMCB 0x5000 /* or L1's VMCS */

/* Where the guest's code reports: see rawdump_guest_code.S. */
#define PORT_L2_COUNT     0x80
#define PORT_L1_REPORT    0x84 /* six words, see rawdump_svm_report.c and rawdump_vmx_report.c */
#define PORT_L1_CALL      0xa0
#define PORT_SMM          0xb0
#define PORT_L2_EXCEPTION 0xb4
#define PORT_L1_VMXON     0xb8
#define REPORT_WORDS      6

#define MAX_ORDER         64

/* ---- VMs: rawdump_vm.c ------------------------------------------------------------------------ */

/* What was, or is to be, enabled on the VM: bits in the order of the table in rawdump_vm.c. */
typedef uint32_t vm_caps;
#define VM_CAPS_DEFAULT 0x7u

struct vm {
	int kvm_fd;
	int vm_fd;
	int vcpu_fd;
	uint8_t *memory; /* GUEST_MEMORY bytes, not owned */
	struct kvm_run *run;
	size_t run_size;
};

/* struct kvm_msrs with room for one. */
struct one_msr {
	uint32_t count;
	uint32_t pad;
	struct kvm_msr_entry entry;
};

/* -1, after saying why, if there is no KVM that saves nested state */
int kvm_open(void);
/*
 * GUEST_MEMORY bytes, private to the process, that come from the file open as fd, or are zeros if it
 * is -1. NULL after saying why. Never freed: a process needs one.
 */
uint8_t *guest_memory_new(int fd);
/* A VM with one vCPU, to be freed by vm_close whatever vm_open returned. */
int vm_open(int kvm_fd, vm_caps caps, uint8_t *memory, struct vm *ret_vm);
void vm_close(struct vm *vm);
const char *vm_cap_name(unsigned int bit); /* NULL: there is no such bit */
struct kvm_cpuid2 *supported_cpuid_new(int kvm_fd);

/* ---- files: rawdump_files.c ------------------------------------------------------------------- */

char *path_new(const char *dir, const char *name);
int dir_make(const char *path);
int file_write(const char *path, const void *bytes, size_t size);
/* A buffer of at most max bytes and a NUL after them. */
char *file_read_new(const char *path, size_t max, size_t *ret_size);

/* ---- meta.json: rawdump_meta.c ---------------------------------------------------------------- */

struct meta {
	char order[MAX_ORDER][32]; /* of ioctls; ends with an empty one */
	vm_caps caps;
};

int meta_save(const char *dir, vm_caps caps);
int meta_read(const char *dir, struct meta *ret_meta);
/* meta.json of the dump from, with meta's restore order, into dir */
int meta_copy(const char *from, const char *dir, const struct meta *meta);

/* ---- a dump in memory: rawdump_image.c -------------------------------------------------------- */

struct part {
	char name[48]; /* as in the directory: "vcpu0/regs", "mem/0" */
	uint8_t *bytes;
	uint8_t *pristine; /* as read */
	size_t size;
};

/* Bytes of a part that a case has changed. */
struct change {
	struct part *part;
	size_t offset;
	size_t size;
};

/* Room before a part's bytes for a count, and after them because KVM reads whole structs. */
#define PART_HEADROOM 8
#define PART_TAILROOM 16384
#define MAX_PARTS     40
#define MAX_CHANGES   256

struct image {
	struct meta meta;
	struct meta pristine_meta;
	struct part parts[MAX_PARTS];
	size_t count;
	struct change changes[MAX_CHANGES];
	size_t change_count;
	int memory_fd; /* the guest's memory as read: a file of GUEST_MEMORY bytes */
};

int image_read(const char *dir, struct image *ret_image);
int image_write(const struct image *image, const char *from, const char *dir);
struct part *image_find(struct image *image, const char *name);
/* Room for size bytes at offset of the part called name, to be filled in; NULL: there is none */
uint8_t *image_change(struct image *image, const char *name, size_t offset, size_t size);
void image_reset(struct image *image); /* undoes every change */
/* memory: from guest_memory_new(image->memory_fd) */
void image_load_memory(const struct image *image, uint8_t *memory);

/* ---- cases, changes to a dump: rawdump_cases.c ------------------------------------------------ */

struct case_text {
	const char *name;
	size_t name_length;
	const char *body; /* up to the next case */
	const char *end;
};

struct cases {
	char *text;
	struct case_text *items;
	size_t count;
};

int cases_read(const char *path, struct cases *ret_cases);
/* Changes image, its restore order too. -1 with a reason in *ret_reason, nothing on stderr. */
int case_apply(const struct case_text *text, struct image *image, const char **ret_reason);

/* ---- a vCPU's state: rawdump_state.c, rawdump_msrs.c ------------------------------------------ */

/* An ioctl that refused: its number as errno, or what it returned if that was positive. */
struct refusal {
	const char *ioctl;
	int error;
	int returned;
	uint32_t msr; /* the first that was not taken; 0 if none */
};

int state_save(const struct vm *vm, vm_caps caps, const char *dir);
/* 1: refused */
int state_restore(const struct vm *vm, struct image *image, struct refusal *ret_refusal);
size_t state_file_count(void);
const char *state_file_name(size_t index);
int msrs_save(const struct vm *vm, const char *path);
int feature_msrs_save(int kvm_fd, const char *path);

/* ---- the guests: rawdump_guest.c, rawdump_variants.c ------------------------------------------ */

enum l2_mode { L2_LONG, L2_LEGACY, L2_PAE, L2_REAL, L2_VM86 };

/* What L1 uses of VMX beside what every guest of this kind needs. */
enum vmx_extra {
	VMX_NOTHING_MORE,
	VMX_MSR_LISTS,
	VMX_EPTP_LIST,
	VMX_TPR_SHADOW,
	VMX_APIC_ACCESS,
	VMX_X2APIC,
	/* every control that the host allows and that leaves L2 alone */
	VMX_FULL,
};

struct guest {
	enum l2_mode mode;
	bool nested_paging;
	bool shutdown_not_intercepted;
	/* no L2: L1 itself counts, in L2_LEGACY mode, on a processor without long mode */
	bool plain;
	enum vmx_extra extra;
};

/* Puts L1, L2, the SMI handler and the VMCB into memory and points the vCPU at L1. */
int guest_load(struct vm *vm, const struct guest *guest);
/* Takes back what only an emulated processor writes into page tables. */
void guest_clean(uint8_t *memory);
/* Can it be made on this host? Also where KVM gives the vCPU less than its feature MSRs say: false */
bool vmx_guest_fits(int kvm_fd, const struct guest *guest);

/* ---- the states that are dumped: rawdump_variants.c and the tables of the vendors -------------- */

enum moment {
	IN_L2,
	/* VMRUN, VMLAUNCH or VMRESUME is emulated, L2 not yet entered */
	RUN_PENDING,
	IN_L1,
	/* VMXON done, no VMCS yet */
	IN_VMXON,
	/* in the handler of an SMI that came to L2, or to L1 */
	SMM_FROM_L2,
	SMM_FROM_L1,
};

struct variant {
	const char *name;
	struct guest guest;
	enum moment moment;
	vm_caps caps;
};

struct variant_list {
	const struct variant *items;
	size_t count;
};

extern const struct variant_list svm_variants, vmx_variants;

/* Makes the guest called variant and writes its dump into dir. */
int variant_save(int kvm_fd, const char *variant, const char *dir);
int variants_print(int kvm_fd);
/* Moves L1 to the moment between an emulated VM entry and L2's first instruction. */
int step_over_vmrun(const struct vm *vm);
int step_over_vmresume(const struct vm *vm);

/* ---- running: rawdump_run.c, rawdump_batch.c -------------------------------------------------- */

struct verdict {
	char words[96];    /* "resumes", "ioctl-rejected KVM_SET_SREGS2 EINVAL", ... */
	char details[640]; /* "counts=3 calls=1 ..." */
};

/* What L1 said on PORT_L1_REPORT, put into words. */
typedef void report_function(const struct vm *vm, const uint32_t *words, struct verdict *verdict);
report_function svm_report, vmx_report;
void __attribute__((format(printf, 2, 3)))
verdict_say(struct verdict *verdict, const char *format, ...);
void __attribute__((format(printf, 2, 3)))
verdict_add(struct verdict *verdict, const char *format, ...);

bool is_out(const struct kvm_run *run, unsigned int port);
uint32_t out_value(const struct kvm_run *run);
/* Lets KVM finish an instruction that went to userspace, without executing another one. */
int finish_instruction(const struct vm *vm);
/* Restores the image into a VM of its own, runs it, names the outcome. -1: it could not be tried. */
int image_run(int kvm_fd, uint8_t *memory, struct image *image, struct verdict *ret_verdict);
/* workers: how many, as text; NULL for the default */
int batch_run(int kvm_fd, const char *base, const char *cases_file, const char *workers);

/* ---- KVM's own reasons: rawdump_trace.c -------------------------------------------------------- */

/* A trace of this process's failed VM entries; without tracefs, or on AMD, there is none. */
void trace_open(void);
void trace_empty(void);
/* What came since: adds cc="..." for the first one to details */
void trace_take(struct verdict *verdict);

/* ---- the kernel's warnings: rawdump_kernel_log.c ----------------------------------------------- */

/* Without debugfs there are none. */
void kernel_log_open(void);
void kernel_log_start(void);
/* What the kernel has warned of since: adds warned=FILE:LINE to details */
void kernel_log_take(struct verdict *verdict);

/* ---- this host: rawdump_host.c ---------------------------------------------------------------- */

enum vendor { VENDOR_AMD, VENDOR_INTEL };

enum vendor host_vendor(void);
const char *host_module(void); /* where the parameters of its KVM module are */
/* Is the module's parameter on? */
bool host_parameter(const char *name);

/* What `nestmig host` wants to know, as KVM answers it. */
int host_save(int kvm_fd, const char *dir);

#endif
