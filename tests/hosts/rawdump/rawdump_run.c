// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs a restored vCPU and puts a name to what happens, the same words that nestmig predicts with.
 *
 * "resumes" means that L2 counted, exited to L1, was entered again and counted again: L1's saved
 * state has been used too.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <time.h>

#include "rawdump.h"

/*
 * A guest that does not come back to userspace is asleep or spins. Its time is looked at in slices;
 * a tick that comes late because this whole host was not running is one slice, however late it is.
 * Between two OUTs the guest needs a few instructions and page faults, well under a millisecond. One
 * that stays at the same place is given up soon; one that strays through memory, which may lead it
 * back, only after the guest has had many thousand times what it needs. Bochs counts time in
 * instructions, so there that is the same for every case, and less will do.
 */
struct patience {
	long slice_microseconds;
	unsigned int slices_asleep, slices_spinning;
	long long spinning_nanoseconds, straying_nanoseconds;
	/* whatever the reason is, e.g. KVM itself spins */
	unsigned int slices_max;
};

static const struct patience patience_of[] = {
	[VENDOR_AMD] = {20000, 2, 10, 150000000, 2000000000, 500},
	[VENDOR_INTEL] = {10000, 2, 3, 30000000, 300000000, 200},
};

#define SAME_PLACE 1024

/* Exits to userspace; a guest that resumes needs seven, its SMI handler one. */
#define MAX_OUTS 48

/* What has been seen of a guest. */
struct course {
	struct vm *vm;
	unsigned int counts, calls, exceptions, smis;
	/* since the start or L1's first call */
	bool counted, counted_then_called;
	uint32_t report[REPORT_WORDS];
	report_function *report_exit;
	/* the first exception that L2 got */
	uint32_t vector;
	uint64_t dr6, cr2;
	/* since the last exit to userspace */
	unsigned int slices;
	long long cpu_start;
	uint64_t lowest_rip, highest_rip;
};

static void on_tick(int number)
{
	(void)number;
}

/* KVM_RUN is to return at each tick: no SA_RESTART. */
static void set_ticks(long microseconds)
{
	struct sigaction action = {.sa_handler = on_tick};
	struct itimerval timer = {
		.it_interval.tv_usec = microseconds,
		.it_value.tv_usec = microseconds,
	};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

static long long cpu_nanoseconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return time.tv_sec * 1000000000ll + time.tv_nsec;
}

bool is_out(const struct kvm_run *run, unsigned int port)
{
	return run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_OUT &&
	       run->io.port == port;
}

int finish_instruction(const struct vm *vm)
{
	/* An OUT is not finished, RIP still at it, until KVM_RUN is entered again. */
	vm->run->immediate_exit = 1;
	if (ioctl(vm->vcpu_fd, KVM_RUN, 0) != -1 || errno != EINTR) {
		fprintf(stderr, "rawdump: KVM does not finish an OUT\n");
		return -1;
	}
	vm->run->immediate_exit = 0;
	return 0;
}

uint32_t out_value(const struct kvm_run *run)
{
	uint32_t value = 0;
	size_t size = run->io.size < sizeof(value) ? run->io.size : sizeof(value);

	memcpy(&value, (const uint8_t *)run + run->io.data_offset, size);
	return value;
}

void verdict_say(struct verdict *verdict, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(verdict->words, sizeof(verdict->words), format, arguments);
	va_end(arguments);
}

void verdict_add(struct verdict *verdict, const char *format, ...)
{
	size_t used = strlen(verdict->details);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(verdict->details + used, sizeof(verdict->details) - used, format, arguments);
	va_end(arguments);
}

static void report_exit(const struct kvm_run *run, struct verdict *verdict)
{
	switch (run->exit_reason) {
	case KVM_EXIT_SHUTDOWN:
		verdict_say(verdict, "shutdown");
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		verdict_say(verdict, "internal-error");
		verdict_add(verdict, " suberror=%u", run->internal.suberror);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		verdict_say(verdict, "fail-entry");
		verdict_add(verdict, " reason=0x%llx",
			    (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
		break;
	case KVM_EXIT_MMIO:
		verdict_say(verdict, "mmio");
		verdict_add(verdict, " address=0x%llx", (unsigned long long)run->mmio.phys_addr);
		break;
	default:
		verdict_say(verdict, "kvm-exit %u", run->exit_reason);
		if (run->exit_reason == KVM_EXIT_IO)
			verdict_add(verdict, " port=0x%x", run->io.port);
	}
}

static bool is_asleep(const struct vm *vm)
{
	struct kvm_mp_state state;

	return !ioctl(vm->vcpu_fd, KVM_GET_MP_STATE, &state) &&
	       state.mp_state != KVM_MP_STATE_RUNNABLE;
}

/* After an exit to userspace it has all the time again. */
static void start_watch(struct course *course)
{
	course->slices = 0;
	course->cpu_start = cpu_nanoseconds();
	course->lowest_rip = UINT64_MAX;
	course->highest_rip = 0;
}

/* A tick came: is there hope? */
static bool has_stopped(struct course *course, struct verdict *verdict)
{
	const struct patience *patience = &patience_of[host_vendor()];
	long long used = cpu_nanoseconds() - course->cpu_start;
	struct kvm_regs regs = {0};
	const char *why = NULL;

	ioctl(course->vm->vcpu_fd, KVM_GET_REGS, &regs);
	if (regs.rip < course->lowest_rip)
		course->lowest_rip = regs.rip;
	if (regs.rip > course->highest_rip)
		course->highest_rip = regs.rip;
	course->slices++;
	if (course->slices >= patience->slices_asleep && is_asleep(course->vm))
		why = "asleep";
	else if (course->slices >= patience->slices_spinning &&
		 used > patience->spinning_nanoseconds &&
		 course->highest_rip - course->lowest_rip < SAME_PLACE)
		why = "spinning";
	else if (used > patience->straying_nanoseconds)
		why = "straying";
	else if (course->slices >= patience->slices_max)
		why = "stuck";
	if (!why)
		return false;
	verdict_say(verdict, "no-exit");
	verdict_add(verdict, " why=%s rip=0x%llx", why, (unsigned long long)regs.rip);
	return true;
}

static void take_exception(struct course *course)
{
	struct kvm_debugregs debug = {0};
	struct kvm_sregs sregs = {0};

	if (course->exceptions++)
		return;
	course->vector = out_value(course->vm->run);
	ioctl(course->vm->vcpu_fd, KVM_GET_DEBUGREGS, &debug);
	ioctl(course->vm->vcpu_fd, KVM_GET_SREGS, &sregs);
	course->dr6 = debug.dr6;
	course->cr2 = sregs.cr2;
}

/* true: the verdict is clear */
static bool take_out(struct course *course, struct verdict *verdict)
{
	const struct kvm_run *run = course->vm->run;
	unsigned int word = (run->io.port - PORT_L1_REPORT) / 4u;

	switch (run->io.port) {
	case PORT_L2_COUNT:
		course->counts++;
		course->counted = true;
		if (course->counted_then_called)
			verdict_say(verdict, "resumes");
		return course->counted_then_called;
	case PORT_L1_CALL:
		course->calls++;
		course->counted_then_called = course->counted;
		return false;
	case PORT_SMM:
		course->smis++;
		return false;
	case PORT_L2_EXCEPTION:
		take_exception(course);
		return false;
	case PORT_L1_VMXON:
		return false;
	}
	if (word >= REPORT_WORDS || run->io.port % 4) {
		report_exit(run, verdict);
		return true;
	}
	course->report[word] = out_value(run);
	if (word == REPORT_WORDS - 1)
		course->report_exit(course->vm, course->report, verdict);
	return word == REPORT_WORDS - 1;
}

static void watch(struct course *course, struct verdict *verdict)
{
	const struct kvm_run *run = course->vm->run;
	unsigned int outs = 0;

	start_watch(course);
	while (outs < MAX_OUTS) {
		if (ioctl(course->vm->vcpu_fd, KVM_RUN, 0)) {
			if (errno != EINTR) {
				verdict_say(verdict, "run-error %s", strerrorname_np(errno));
				return;
			}
			if (has_stopped(course, verdict))
				return;
			continue;
		}
		if (run->exit_reason != KVM_EXIT_IO || run->io.direction != KVM_EXIT_IO_OUT) {
			report_exit(run, verdict);
			return;
		}
		if (take_out(course, verdict))
			return;
		outs++;
		start_watch(course);
	}
	/* It runs, but not as its code says: L1 never hears of it, or L2 takes fault after fault. */
	if (course->exceptions)
		verdict_say(verdict, "l2-exception %u", course->vector);
	else
		verdict_say(verdict, "no-call");
}

static void run_vm(struct vm *vm, struct verdict *verdict)
{
	struct course course = {
		.vm = vm,
		.report_exit = host_vendor() == VENDOR_INTEL ? vmx_report : svm_report,
	};

	set_ticks(patience_of[host_vendor()].slice_microseconds);
	watch(&course, verdict);
	set_ticks(0);
	verdict_add(verdict, " counts=%u calls=%u smis=%u exceptions=%u", course.counts,
		    course.calls, course.smis, course.exceptions);
	if (course.exceptions)
		verdict_add(verdict, " vector=%u dr6=0x%llx cr2=0x%llx", course.vector,
			    (unsigned long long)course.dr6, (unsigned long long)course.cr2);
}

static void report_refusal(const struct refusal *refusal, struct verdict *verdict)
{
	if (refusal->error)
		verdict_say(verdict, "ioctl-rejected %s %s", refusal->ioctl,
			    strerrorname_np(refusal->error));
	else
		verdict_say(verdict, "ioctl-rejected %s returns %d", refusal->ioctl,
			    refusal->returned);
	if (refusal->msr)
		verdict_add(verdict, " msr=0x%x", refusal->msr);
}

int image_run(int kvm_fd, uint8_t *memory, struct image *image, struct verdict *ret_verdict)
{
	struct refusal refusal;
	int result = -1;
	struct vm vm;

	*ret_verdict = (struct verdict){0};
	trace_open();
	trace_empty();
	image_load_memory(image, memory);
	if (!vm_open(kvm_fd, image->meta.caps, memory, &vm))
		result = state_restore(&vm, image, &refusal);
	if (result == 0)
		run_vm(&vm, ret_verdict);
	else if (result > 0)
		report_refusal(&refusal, ret_verdict);
	trace_take(ret_verdict);
	vm_close(&vm);
	return result < 0 ? -1 : 0;
}
