// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs the vCPU and puts a name to what happens, the same words that nestmig predicts with.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../l1/svm.h"
#include "rawdump.h"

/* A guest that neither counts nor fails is asleep or spinning. */
#define SECONDS_WITHOUT_EXIT 5

static void on_alarm(int number)
{
	(void)number;
}

static void set_alarm(unsigned int seconds)
{
	/* No SA_RESTART: KVM_RUN is to return. */
	struct sigaction action = {.sa_handler = on_alarm};

	sigaction(SIGALRM, &action, NULL);
	alarm(seconds);
}

static uint32_t out_value(const struct kvm_run *run)
{
	uint32_t value;

	memcpy(&value, (const uint8_t *)run + run->io.data_offset, sizeof(value));
	return value;
}

static _Bool is_out(const struct kvm_run *run, uint16_t port)
{
	return run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_OUT &&
	       run->io.size == 4 && run->io.port == port;
}

int run_until_l2_counts(struct vm *vm)
{
	struct kvm_run *run = vm->run;

	for (int counted = 0; counted < 3; counted++) {
		if (ioctl(vm->vcpu_fd, KVM_RUN, 0)) {
			perror("rawdump: KVM_RUN");
			return -1;
		}
		if (!is_out(run, PORT_L2_COUNT)) {
			fprintf(stderr, "rawdump: L2 does not count: KVM exit %u, port 0x%x\n",
				run->exit_reason, run->io.port);
			return -1;
		}
	}
	/* The OUT is not finished, RIP still at it, until KVM_RUN is entered again. */
	run->immediate_exit = 1;
	if (ioctl(vm->vcpu_fd, KVM_RUN, 0) != -1 || errno != EINTR) {
		fprintf(stderr, "rawdump: KVM does not finish L2's OUT\n");
		return -1;
	}
	run->immediate_exit = 0;
	return 0;
}

static void report_l1_exit(uint64_t code)
{
	if ((uint32_t)code == UINT32_MAX)
		puts("outcome svm-exit-err");
	else if (code == VMEXIT_SHUTDOWN)
		puts("outcome triple-fault-to-l1");
	else
		printf("outcome l1-exit 0x%llx\n", (unsigned long long)code);
}

static void report_run_error(int error)
{
	if (error == EINTR)
		printf("outcome no-exit %d s\n", SECONDS_WITHOUT_EXIT);
	else
		printf("outcome run-error %s\n", strerrorname_np(error));
}

static void report_exit(const struct kvm_run *run)
{
	switch (run->exit_reason) {
	case KVM_EXIT_SHUTDOWN:
		puts("outcome shutdown");
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		fprintf(stderr, "rawdump: KVM internal error, suberror %u\n",
			run->internal.suberror);
		puts("outcome internal-error");
		break;
	case KVM_EXIT_FAIL_ENTRY:
		fprintf(stderr, "rawdump: hardware entry failure reason 0x%llx\n",
			(unsigned long long)run->fail_entry.hardware_entry_failure_reason);
		puts("outcome fail-entry");
		break;
	default:
		printf("outcome kvm-exit %u\n", run->exit_reason);
	}
}

int run_and_report(struct vm *vm)
{
	struct kvm_run *run = vm->run;
	uint32_t low = 0;

	set_alarm(SECONDS_WITHOUT_EXIT);
	for (;;) {
		if (ioctl(vm->vcpu_fd, KVM_RUN, 0)) {
			report_run_error(errno);
			return 0;
		}
		if (is_out(run, PORT_L1_EXIT_LOW)) {
			low = out_value(run);
			continue;
		}
		break;
	}
	alarm(0);
	if (is_out(run, PORT_L2_COUNT))
		puts("outcome resumes");
	else if (is_out(run, PORT_L1_EXIT_HIGH))
		report_l1_exit((uint64_t)out_value(run) << 32 | low);
	else
		report_exit(run);
	return 0;
}
