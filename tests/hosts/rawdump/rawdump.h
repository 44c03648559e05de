// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rawdump: a nested guest made and restored with nothing but KVM's own ioctls.
 *
 * Every function that returns int returns 0, or -1 after saying on stderr what went wrong.
 */
#ifndef RAWDUMP_H
#define RAWDUMP_H

#include <stddef.h>
#include <stdint.h>
#include <linux/kvm.h>

/* The guest's physical memory: one slot from address 0. */
#define GUEST_MEMORY (2u << 20)
#define PAGE         4096u

/* Where the guest's code reports: see rawdump_guest_code.S. */
#define PORT_L2_COUNT     0x80
#define PORT_L1_EXIT_LOW  0x84
#define PORT_L1_EXIT_HIGH 0x88

struct vm {
	int kvm_fd;
	int vm_fd;
	int vcpu_fd;
	uint8_t *memory;
	struct kvm_run *run;
	size_t run_size;
};

/* struct kvm_msrs with room for one. */
struct one_msr {
	uint32_t count;
	uint32_t pad;
	struct kvm_msr_entry entry;
};

/* An ioctl that refused: its number as errno, or what it returned if that was positive. */
struct refusal {
	const char *ioctl;
	int error;
	int returned;
};

/* rawdump_vm.c: a VM with one vCPU, freed by vm_close whatever vm_open returned. */
int vm_open(struct vm *ret_vm);
void vm_close(struct vm *vm);
struct kvm_cpuid2 *supported_cpuid_new(int kvm_fd);

/* rawdump_guest.c: puts L1, L2 and the VMCB into memory and points the vCPU at L1. */
int guest_load(struct vm *vm);

/* rawdump_state.c: everything of a vCPU, to and from the files of DIR/vcpu0. */
int state_save(const struct vm *vm, const char *dir);
int state_restore(const struct vm *vm, const char *dir, const char *const *order,
		  struct refusal *ret_refusal);

/* rawdump_msrs.c */
int msrs_save(const struct vm *vm, const char *path);
int feature_msrs_save(int kvm_fd, const char *path);

/* rawdump_files.c: files are small; file_read_new gives a buffer of at most max bytes. */
char *path_new(const char *dir, const char *name);
int dir_make(const char *path);
int file_write(const char *path, const void *bytes, size_t size);
void *file_read_new(const char *path, size_t max, size_t *ret_size);
int memory_save(const struct vm *vm, const char *dir);
int memory_restore(struct vm *vm, const char *dir);
int meta_save(const char *dir);
const char **meta_order_new(const char *dir);

/* rawdump_host.c: what `nestmig host` wants to know, as KVM answers it. */
int host_save(int kvm_fd, const char *dir);

/* rawdump_run.c: runs until L2 counts, L1 reports or KVM gives up; prints the outcome. */
int run_until_l2_counts(struct vm *vm);
int run_and_report(struct vm *vm);

#endif
