// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rawdump save DIR: make a nested guest, stop it in L2, write everything KVM knows into DIR.
 * rawdump run DIR:  restore DIR as its meta.json orders, run it, say what KVM and the CPU did.
 * rawdump host DIR: write what KVM says of this host into DIR.
 *
 * `run` prints one line on stdout, "outcome WORD ...", and exits 0 whatever the word is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rawdump.h"

/* 2: it could not be tried. */
#define EXIT_TROUBLE 2

static int save_files(const struct vm *vm, const char *dir)
{
	char *vcpu = path_new(dir, "vcpu0"), *memory = path_new(dir, "mem");
	char *host_msrs = path_new(dir, "host_msrs");
	int failed = -1;

	if (vcpu && memory && host_msrs && !dir_make(dir) && !dir_make(vcpu) &&
	    !state_save(vm, vcpu) && !memory_save(vm, memory) &&
	    !feature_msrs_save(vm->kvm_fd, host_msrs))
		failed = meta_save(dir);
	free(vcpu);
	free(memory);
	free(host_msrs);
	return failed;
}

static int command_save(struct vm *vm, const char *dir)
{
	if (guest_load(vm) || run_until_l2_counts(vm))
		return -1;
	return save_files(vm, dir);
}

static void report_refusal(const struct refusal *refusal)
{
	if (refusal->error)
		printf("outcome ioctl-rejected %s %s\n", refusal->ioctl,
		       strerrorname_np(refusal->error));
	else
		printf("outcome ioctl-rejected %s returns %d\n", refusal->ioctl, refusal->returned);
}

static int command_run(struct vm *vm, const char *dir)
{
	char *vcpu = path_new(dir, "vcpu0"), *memory = path_new(dir, "mem");
	const char **order = meta_order_new(dir);
	struct refusal refusal;
	int result = -1;

	if (vcpu && memory && order && !memory_restore(vm, memory))
		result = state_restore(vm, vcpu, order, &refusal);
	free(vcpu);
	free(memory);
	free(order);
	if (result < 0)
		return -1;
	if (result == 0)
		return run_and_report(vm);
	report_refusal(&refusal);
	return 0;
}

static int command_host(struct vm *vm, const char *dir)
{
	return host_save(vm->kvm_fd, dir);
}

static const struct {
	const char *name;
	int (*run)(struct vm *vm, const char *dir);
} commands[] = {
	{"save", command_save},
	{"run", command_run},
	{"host", command_host},
};

int main(int argc, char **argv)
{
	struct vm vm;
	int failed;

	for (size_t i = 0; argc == 3 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name))
			continue;
		failed = vm_open(&vm) || commands[i].run(&vm, argv[2]);
		vm_close(&vm);
		return failed || fflush(stdout) ? EXIT_TROUBLE : EXIT_SUCCESS;
	}
	fprintf(stderr, "usage: rawdump save DIR | run DIR | host DIR\n");
	return EXIT_TROUBLE;
}
