// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guard_vmm WORKLOAD...: what the guard is measured with. Makes its VMs with the raw KVM API (see rawdump.h), says
 * "ready", and then for every line that it reads does each workload many times and answers one line: what each took,
 * in ns for one operation.
 *
 *   fionread       FIONREAD of a pipe             winsize      TIOCGWINSZ of a terminal
 *   check-ext      KVM_CHECK_EXTENSION of a VM    get-regs     KVM_GET_REGS of a vCPU in L2
 *   get-events     KVM_GET_VCPU_EVENTS of it
 *   run-plain      KVM_RUN of a vCPU without nesting, which leaves at once by OUT
 *   run-l2         KVM_RUN of a vCPU in L2, which leaves at once by OUT
 *   run-l2-exits   KVM_RUN of a vCPU in L2, in which L2 calls L1 100 times and then leaves by OUT
 *   set-nested     KVM_SET_NESTED_STATE with a state that has just been taken
 *   set-and-run    the same, and KVM_RUN until L2's next OUT
 */
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "clock.h"
#include "rawdump_guest.h"

#define NESTED_STATE_SIZE 16384
#define WARM_UP           8

extern const uint8_t guest_l1[], guest_l2_64[]; /* rawdump_guest_code.S */

/* L1 as hypervisors go round, without leaving KVM_RUN; two kinds of L2. rax: the VMCB. */
__asm__(".pushsection .rodata\n"
	"bench_l1: clgi; vmload; vmrun; vmsave; stgi\n"
	"	addq $3, 0x578(%rax)\n" /* past VMMCALL */
	"	jmp bench_l1\n"
	"bench_l1_end:\n"
	"bench_outs: outl %eax, $0x80\n"
	"	jmp bench_outs\n"
	"bench_outs_end:\n"
	"bench_calls: movl $100, %esi\n"
	"1:	vmmcall\n"
	"	decl %esi\n"
	"	jnz 1b\n"
	"	outl %eax, $0x80\n"
	"	jmp bench_calls\n"
	"bench_calls_end:\n"
	".popsection\n");
extern const uint8_t bench_l1[], bench_l1_end[], bench_outs[], bench_outs_end[], bench_calls[],
	bench_calls_end[];

/* What a workload works on; the descriptor of what is no VM is vm.vm_fd. */
struct target {
	struct vm vm;
	struct kvm_nested_state *state;
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* ---- Making it ---------------------------------------------------------------------------------- */

static void open_pipe(struct target *target)
{
	int ends[2];

	if (pipe(ends))
		fail("pipe");
	target->vm.vm_fd = ends[0];
}

static void open_terminal(struct target *target)
{
	int other;

	if (openpty(&target->vm.vm_fd, &other, NULL, NULL, NULL))
		fail("openpty");
}

static void open_guest(struct target *target, const struct guest *guest)
{
	int kvm_fd = kvm_open();
	uint8_t *memory = guest_memory_new(-1);

	if (kvm_fd < 0 || !memory || vm_open(kvm_fd, VM_CAPS_DEFAULT, memory, &target->vm) ||
	    guest_load(&target->vm, guest))
		exit(1);
}

static void open_plain(struct target *target)
{
	open_guest(target, &(struct guest){.mode = L2_LEGACY, .plain = true});
}

static void run(struct target *target)
{
	const struct kvm_run *state = target->vm.run;

	if (ioctl(target->vm.vcpu_fd, KVM_RUN, 0) || state->exit_reason != KVM_EXIT_IO)
		fail("KVM_RUN");
}

static void open_l2(struct target *target, const uint8_t *code, const uint8_t *end)
{
	uint8_t *memory;

	open_guest(target, &(struct guest){.mode = L2_LONG, .nested_paging = true});
	memory = target->vm.memory + ADDRESS_CODE;
	memcpy(memory + offset_of(guest_l1), bench_l1, (size_t)(bench_l1_end - bench_l1));
	memcpy(memory + offset_of(guest_l2_64), code, (size_t)(end - code));
	run(target);
	if (!is_out(target->vm.run, PORT_L2_COUNT))
		fail("L2 does not run");
}

static void open_outs(struct target *target)
{
	open_l2(target, bench_outs, bench_outs_end);
}

static void open_calls(struct target *target)
{
	open_l2(target, bench_calls, bench_calls_end);
}

static void open_state(struct target *target)
{
	open_outs(target);
	target->state = calloc(1, NESTED_STATE_SIZE);
	if (!target->state)
		fail("nested state");
	target->state->size = NESTED_STATE_SIZE;
	if (finish_instruction(&target->vm) ||
	    ioctl(target->vm.vcpu_fd, KVM_GET_NESTED_STATE, target->state) ||
	    !(target->state->flags & KVM_STATE_NESTED_GUEST_MODE))
		fail("KVM_GET_NESTED_STATE");
}

/* ---- One operation ------------------------------------------------------------------------------- */

static void get_unread(struct target *target)
{
	int bytes;

	if (ioctl(target->vm.vm_fd, FIONREAD, &bytes))
		fail("FIONREAD");
}

static void get_window(struct target *target)
{
	struct winsize size;

	if (ioctl(target->vm.vm_fd, TIOCGWINSZ, &size))
		fail("TIOCGWINSZ");
}

static void check_extension(struct target *target)
{
	if (ioctl(target->vm.vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS) <= 0)
		fail("KVM_CHECK_EXTENSION");
}

static void get_regs(struct target *target)
{
	struct kvm_regs regs;

	if (ioctl(target->vm.vcpu_fd, KVM_GET_REGS, &regs))
		fail("KVM_GET_REGS");
}

static void get_events(struct target *target)
{
	struct kvm_vcpu_events events;

	if (ioctl(target->vm.vcpu_fd, KVM_GET_VCPU_EVENTS, &events))
		fail("KVM_GET_VCPU_EVENTS");
}

static void set_nested(struct target *target)
{
	if (ioctl(target->vm.vcpu_fd, KVM_SET_NESTED_STATE, target->state))
		fail("KVM_SET_NESTED_STATE");
}

static void set_and_run(struct target *target)
{
	set_nested(target);
	run(target);
}

/* ---- Workloads ---------------------------------------------------------------------------------- */

/* turns: about 20 ms where the clock counts instructions, 4 ns each. */
static const struct workload {
	const char *name;
	void (*open)(struct target *target);
	void (*once)(struct target *target);
	unsigned int turns;
} workloads[] = {
	{"fionread", open_pipe, get_unread, 10000},
	{"winsize", open_terminal, get_window, 10000},
	{"check-ext", open_plain, check_extension, 10000},
	{"get-regs", open_outs, get_regs, 5000},
	{"get-events", open_outs, get_events, 3000},
	{"run-plain", open_plain, run, 2000},
	{"run-l2", open_outs, run, 2000},
	{"run-l2-exits", open_calls, run, 10},
	{"set-nested", open_state, set_nested, 300},
	{"set-and-run", open_state, set_and_run, 200},
};

#define WORKLOADS (sizeof(workloads) / sizeof(workloads[0]))

static const struct workload *find(const char *name)
{
	for (size_t i = 0; i < WORKLOADS; i++)
		if (!strcmp(workloads[i].name, name))
			return &workloads[i];
	fprintf(stderr, "guard_vmm: there is no workload %s\n", name);
	exit(2);
}

static double measure(const struct workload *workload, struct target *target)
{
	double start;

	for (unsigned int i = 0; i < WARM_UP; i++)
		workload->once(target);
	start = now();
	for (unsigned int i = 0; i < workload->turns; i++)
		workload->once(target);
	return (now() - start) * 1e9 / workload->turns;
}

int main(int argc, char **argv)
{
	struct target *targets = calloc((size_t)argc, sizeof(*targets));
	char line[64];

	if (!targets)
		fail("targets");
	for (int i = 1; i < argc; i++)
		find(argv[i])->open(&targets[i]);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		for (int i = 1; i < argc; i++)
			printf("%.2f ", measure(find(argv[i]), &targets[i]));
		putchar('\n');
		fflush(stdout);
	}
	return 0;
}
