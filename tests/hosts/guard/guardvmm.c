// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guardvmm TEST BASE: what a VMM does under the guard in enforce mode, with a raw dump (rawdump save) of a vCPU in
 * L2. Prints "ok TEST" and exits 0, or says what is not as it should be and exits 1.
 *
 *   stuffed   registers that no processor takes, set in L2: KVM_RUN fails, the VM lives on, good ones run
 *   refused   a nested state with L2's ASID 0: EINVAL, the vCPU is as it was; then the good one
 *   changed   the nested state changes between the guard's copy and KVM's: KVM_RUN fails
 *   missed    while one thread's check waits for memory, another thread's is left out: its KVM_RUN fails
 *   events    an exception that L2 could not have raised itself
 *   synced    the same registers and such an exception, brought by KVM_RUN itself (KVM_CAP_SYNC_REGS): they run
 *   compat    the same registers, run by the ioctl of 32-bit programs: they run
 *   msrs      EFER, of a BASE without long mode, by KVM_SET_MSRS: KVM_RUN fails, until it is as it was
 *   rsm       BASE is in SMM: what RSM loads runs, however bad, even if it is read and written back; but not if
 *             something else is written
 *   overtaken bad registers that are set while KVM_RUN of another thread, already judged, waits for the vCPU
 *   plain     a VM without nesting is left alone, whatever it sets
 *   left      L2 counts, then KVM_SET_NESTED_STATE leaves it; says so and stays until standard input ends
 *   load S    VMs come, run and go for S seconds
 *
 * The dump's events, order and capabilities are rawdump's own; what is poked is in BASE's image.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "rawdump.h"

#define PAGE           4096u
#define ASID           (128u + 0x58u) /* in struct kvm_nested_state: of L2, in its VMCB12 */
#define EVENT_INJ      (128u + 0xa8u)
#define SMRAM_CS_FLAGS 0x3fe13u /* guest physical: the high byte of CS's attributes */
#define SMRAM_D        0x40u
#define BAD_EVENT_INJ  0x80000101u /* valid, of the reserved type 1 */

static int kvm_fd;
static struct image image;
static uint8_t *memory;

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			printf("FAILED %s:%d: %s (%s)\n", __func__, __LINE__, #condition,          \
			       strerror(errno));                                                   \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

/* A VM with the dump's state, up to the ioctl that is left out, which may be NULL. */
static int open_vm(struct vm *vm, const char *without)
{
	struct refusal refusal = {0};
	unsigned int kept = 0;
	struct meta all;
	int failed;

	image_reset(&image);
	all = image.meta;
	for (unsigned int i = 0; all.order[i][0]; i++)
		if (!without || strcmp(all.order[i], without) != 0)
			memcpy(image.meta.order[kept++], all.order[i], sizeof(all.order[i]));
	image.meta.order[kept][0] = 0;
	image_load_memory(&image, memory);
	failed = vm_open(kvm_fd, all.caps, memory, vm) || state_restore(vm, &image, &refusal);
	image.meta = all;
	if (failed)
		printf("FAILED: %s: %d\n", refusal.ioctl, refusal.error);
	return failed;
}

static int run(const struct vm *vm)
{
	return ioctl(vm->vcpu_fd, KVM_RUN, 0) ? errno : 0;
}

/* Until L2 has counted twice. */
static int counts(const struct vm *vm)
{
	for (unsigned int i = 0, seen = 0; i < 100; i++) {
		if (run(vm))
			return 0;
		seen += is_out(vm->run, PORT_L2_COUNT);
		if (seen == 2)
			return 1;
	}
	return 0;
}

static uint8_t *nested_state(size_t *ret_size)
{
	struct part *part = image_find(&image, "vcpu0/nested_state");

	*ret_size = part->size;
	return part->pristine;
}

/* ---- Tests -------------------------------------------------------------------------------------- */

/* L and D in CS. */
static int get_bad_sregs(const struct vm *vm, struct kvm_sregs *ret_bad)
{
	CHECK(!ioctl(vm->vcpu_fd, KVM_GET_SREGS, ret_bad));
	ret_bad->cs.l = ret_bad->cs.db = 1;
	return 0;
}

static int test_stuffed(void)
{
	struct kvm_sregs good, bad;
	struct vm vm;

	CHECK(!open_vm(&vm, NULL));
	CHECK(counts(&vm));
	CHECK(!ioctl(vm.vcpu_fd, KVM_GET_SREGS, &good));
	CHECK(!get_bad_sregs(&vm, &bad));
	CHECK(!ioctl(vm.vcpu_fd, KVM_SET_SREGS, &bad));
	CHECK(run(&vm) == EINVAL);
	CHECK(run(&vm) == EINVAL);
	CHECK(!ioctl(vm.vcpu_fd, KVM_SET_SREGS, &good));
	CHECK(counts(&vm));
	vm_close(&vm);
	return 0;
}

static int test_refused(void)
{
	struct vm vm;
	uint8_t *state;
	size_t size;

	CHECK(!open_vm(&vm, "KVM_SET_NESTED_STATE"));
	state = nested_state(&size);
	memset(state + ASID, 0, 4);
	CHECK(ioctl(vm.vcpu_fd, KVM_SET_NESTED_STATE, state) == -1 && errno == EINVAL);
	state[ASID] = 1;
	CHECK(!ioctl(vm.vcpu_fd, KVM_SET_NESTED_STATE, state));
	CHECK(counts(&vm));
	vm_close(&vm);
	return 0;
}

/* What a fault of KVM or of the guard gets: pages[0], or pages[1] from the second fault on it. */
struct faults {
	int fd;
	uint8_t *area; /* two pages; the state starts so that its controls are in the first */
	const uint8_t *good, *bad;
	unsigned int first; /* faults of the first page so far */
	int (*hook)(void);  /* while the first fault waits */
	int hooked;
};

static void *serve(void *data)
{
	struct faults *faults = data;
	struct uffd_msg message;

	while (read(faults->fd, &message, sizeof(message)) == sizeof(message)) {
		uint8_t *page = (uint8_t *)(message.arg.pagefault.address & ~(uint64_t)(PAGE - 1));
		size_t offset = (size_t)(page - faults->area);
		struct uffdio_copy copy = {.dst = (uintptr_t)page, .len = PAGE};

		if (!offset && !faults->first && faults->hook)
			faults->hooked = faults->hook();
		if (!offset)
			copy.src = (uintptr_t)(faults->first++ ? faults->bad : faults->good);
		else
			copy.src = (uintptr_t)(faults->good + offset);
		/* The guard has read the controls and waits for the rest: KVM gets others. */
		if (offset && faults->bad != faults->good)
			madvise(faults->area, PAGE, MADV_DONTNEED);
		ioctl(faults->fd, UFFDIO_COPY, &copy);
	}
	return NULL;
}

static int serve_faults(struct faults *faults)
{
	struct uffdio_register range = {.mode = UFFDIO_REGISTER_MODE_MISSING};
	struct uffdio_api api = {.api = UFFD_API};
	pthread_t thread;

	faults->area =
		mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(faults->area != MAP_FAILED);
	faults->fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	CHECK(faults->fd >= 0);
	CHECK(!ioctl(faults->fd, UFFDIO_API, &api));
	range.range.start = (uintptr_t)faults->area;
	range.range.len = 2 * PAGE;
	CHECK(!ioctl(faults->fd, UFFDIO_REGISTER, &range));
	CHECK(!pthread_create(&thread, NULL, serve, faults));
	return 0;
}

/* Two pages with the dump's nested state; the second form has an event that no processor takes. */
static uint8_t *two_pages(int bad)
{
	uint8_t *pages = aligned_alloc(PAGE, 2 * PAGE), *state;
	uint32_t event = BAD_EVENT_INJ;
	size_t size;

	state = nested_state(&size);
	memset(pages, 0, 2 * PAGE);
	memcpy(pages, state, size < 2 * PAGE ? size : 2 * PAGE);
	if (bad) {
		memcpy(pages + EVENT_INJ, &event, sizeof(event));
		pages[0] |= 2; /* KVM_STATE_NESTED_RUN_PENDING: the event is still to come */
	}
	return pages;
}

static int test_changed(void)
{
	struct faults faults = {.good = two_pages(0), .bad = two_pages(1)};
	struct vm vm;

	CHECK(!open_vm(&vm, "KVM_SET_NESTED_STATE"));
	CHECK(!serve_faults(&faults));
	CHECK(!ioctl(vm.vcpu_fd, KVM_SET_NESTED_STATE, faults.area));
	CHECK(faults.first == 2);
	CHECK(run(&vm) == EINVAL);
	CHECK(!ioctl(vm.vcpu_fd, KVM_SET_NESTED_STATE, faults.good));
	CHECK(counts(&vm));
	vm_close(&vm);
	return 0;
}

static struct vm other_vm;

static int set_bad_state(void)
{
	return ioctl(other_vm.vcpu_fd, KVM_SET_NESTED_STATE, two_pages(1)) ? errno : 0;
}

/* The check of one vCPU waits in its copy; that of another one, which KVM would take, is left out then. */
static int test_missed(void)
{
	uint8_t *good = two_pages(0);
	struct faults faults = {.good = good, .bad = good, .hook = set_bad_state};
	struct vm vm;

	CHECK(!open_vm(&other_vm, "KVM_SET_NESTED_STATE"));
	CHECK(!open_vm(&vm, "KVM_SET_NESTED_STATE"));
	CHECK(!serve_faults(&faults));
	CHECK(!ioctl(vm.vcpu_fd, KVM_SET_NESTED_STATE, faults.area));
	CHECK(counts(&vm));
	/* Where the check is not left out it may deny. */
	CHECK(faults.hooked == 0 || faults.hooked == EINVAL);
	CHECK(run(&other_vm) == (faults.hooked ? 0 : EINVAL));
	vm_close(&vm);
	vm_close(&other_vm);
	return 0;
}

static int test_events(void)
{
	struct kvm_vcpu_events good, bad;
	struct vm vm;

	CHECK(!open_vm(&vm, NULL));
	CHECK(counts(&vm));
	CHECK(!ioctl(vm.vcpu_fd, KVM_GET_VCPU_EVENTS, &good));
	bad = good;
	bad.exception.injected = 1;
	bad.exception.nr = 31; /* reserved: AMD's processors refuse it */
	CHECK(ioctl(vm.vcpu_fd, KVM_SET_VCPU_EVENTS, &bad) == -1 && errno == EINVAL);
	CHECK(counts(&vm));
	CHECK(!ioctl(vm.vcpu_fd, KVM_SET_VCPU_EVENTS, &good));
	CHECK(counts(&vm));
	vm_close(&vm);
	return 0;
}

static int test_synced(void)
{
	struct vm vm;

	CHECK(!open_vm(&vm, NULL));
	CHECK(counts(&vm));
	CHECK(!get_bad_sregs(&vm, &vm.run->s.regs.sregs));
	vm.run->kvm_dirty_regs = KVM_SYNC_X86_SREGS;
	CHECK(run(&vm) == 0);
	CHECK(!is_out(vm.run, PORT_L2_COUNT));
	vm_close(&vm);
	CHECK(!open_vm(&vm, NULL));
	CHECK(counts(&vm));
	CHECK(!ioctl(vm.vcpu_fd, KVM_GET_VCPU_EVENTS, &vm.run->s.regs.events));
	vm.run->s.regs.events.exception.injected = 1;
	vm.run->s.regs.events.exception.nr = 31;
	vm.run->kvm_dirty_regs = KVM_SYNC_X86_EVENTS;
	CHECK(run(&vm) == 0);
	CHECK(!is_out(vm.run, PORT_L2_COUNT));
	vm_close(&vm);
	return 0;
}

/* As a 32-bit program calls ioctl(fd, request, 0): 0 or -errno. */
static int ioctl_32(int fd, unsigned long request)
{
	int result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(54), "b"(fd), "c"(request), "d"(0)
			 : "memory", "r8", "r9", "r10", "r11");
	return result;
}

static int test_compat(void)
{
	struct kvm_sregs bad;
	struct vm vm;

	CHECK(!open_vm(&vm, NULL));
	CHECK(counts(&vm));
	CHECK(!get_bad_sregs(&vm, &bad));
	CHECK(!ioctl(vm.vcpu_fd, KVM_SET_SREGS, &bad));
	CHECK(ioctl_32(vm.vcpu_fd, KVM_RUN) == 0);
	CHECK(!is_out(vm.run, PORT_L2_COUNT));
	vm_close(&vm);
	return 0;
}

static int test_msrs(void)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry efer;
	} msrs = {.head.nmsrs = 1, .efer.index = 0xc0000080};
	struct vm vm;

	CHECK(!open_vm(&vm, NULL));
	CHECK(counts(&vm));
	CHECK(ioctl(vm.vcpu_fd, KVM_GET_MSRS, &msrs) == 1);
	msrs.efer.data ^= 0x100; /* LME: paging is on */
	CHECK(ioctl(vm.vcpu_fd, KVM_SET_MSRS, &msrs) == 1);
	CHECK(run(&vm) == EINVAL);
	msrs.efer.data ^= 0x100;
	CHECK(ioctl(vm.vcpu_fd, KVM_SET_MSRS, &msrs) == 1);
	CHECK(counts(&vm));
	vm_close(&vm);
	return 0;
}

/* A vCPU that RSM has just brought to L2, with L and D in CS. */
static int leave_smm(struct vm *vm)
{
	struct kvm_guest_debug debug = {.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP};

	CHECK(!open_vm(vm, NULL));
	memory[SMRAM_CS_FLAGS] |= SMRAM_D;
	CHECK(!ioctl(vm->vcpu_fd, KVM_SET_GUEST_DEBUG, &debug));
	for (unsigned int i = 0; i < 20; i++) {
		CHECK(run(vm) == 0);
		if (!(vm->run->flags & KVM_RUN_X86_SMM))
			break;
	}
	CHECK(vm->run->exit_reason == KVM_EXIT_DEBUG && !(vm->run->flags & KVM_RUN_X86_SMM));
	debug.control = 0;
	CHECK(!ioctl(vm->vcpu_fd, KVM_SET_GUEST_DEBUG, &debug));
	return 0;
}

static int test_rsm(void)
{
	struct kvm_sregs sregs;
	struct vm vm;

	CHECK(!leave_smm(&vm));
	CHECK(!ioctl(vm.vcpu_fd, KVM_GET_SREGS, &sregs));
	CHECK(sregs.cs.l && sregs.cs.db);
	CHECK(!ioctl(vm.vcpu_fd, KVM_SET_SREGS, &sregs));
	CHECK(run(&vm) == 0);
	CHECK(!is_out(vm.run, PORT_L2_COUNT));
	vm_close(&vm);
	CHECK(!leave_smm(&vm));
	CHECK(!ioctl(vm.vcpu_fd, KVM_GET_SREGS, &sregs));
	sregs.ds.limit ^= 0xff;
	CHECK(!ioctl(vm.vcpu_fd, KVM_SET_SREGS, &sregs));
	CHECK(run(&vm) == EINVAL);
	vm_close(&vm);
	return 0;
}

static volatile int are_set;

/*
 * Runs a VM until L1 reports that L2 has failed: NULL. Else KVM_RUN was denied, or the processor did not take the
 * registers since they were set while L1 ran, which is none of the guard's business, or L2 ran on for some time.
 */
static void *keep_running(void *data)
{
	const struct vm *vm = data;

	for (unsigned int after = 0; after < 20; after += (unsigned int)are_set) {
		if (run(vm) || vm->run->exit_reason == KVM_EXIT_FAIL_ENTRY)
			return data;
		if (is_out(vm->run, PORT_L1_REPORT))
			return NULL;
	}
	return data;
}

static int test_overtaken(void)
{
	for (unsigned int i = 0; i < 100; i++) {
		struct kvm_sregs bad;
		pthread_t thread;
		void *failed;
		struct vm vm;

		CHECK(!open_vm(&vm, NULL));
		CHECK(counts(&vm));
		CHECK(!get_bad_sregs(&vm, &bad));
		are_set = 0;
		CHECK(!pthread_create(&thread, NULL, keep_running, &vm));
		usleep(20000);
		CHECK(!ioctl(vm.vcpu_fd, KVM_SET_SREGS, &bad));
		are_set = 1;
		CHECK(!pthread_join(thread, &failed));
		vm_close(&vm);
		if (!failed)
			return 0;
	}
	puts("FAILED: KVM_RUN of L2 was never overtaken");
	return 1;
}

/* L and D in CS of a vCPU that has no nested state: KVM's own matter. */
static int test_plain(void)
{
	struct kvm_sregs sregs;
	struct vm vm;

	CHECK(!open_vm(&vm, "KVM_SET_NESTED_STATE"));
	CHECK(!get_bad_sregs(&vm, &sregs));
	CHECK(!ioctl(vm.vcpu_fd, KVM_SET_SREGS, &sregs));
	CHECK(run(&vm) == 0);
	CHECK(vm.run->exit_reason == KVM_EXIT_FAIL_ENTRY);
	vm_close(&vm);
	return 0;
}

static int test_left(void)
{
	struct kvm_nested_state none = {
		.flags = KVM_STATE_NESTED_GIF_SET,
		.format = KVM_STATE_NESTED_FORMAT_SVM,
		.size = sizeof(none),
	};
	struct vm vm;

	CHECK(!open_vm(&vm, NULL));
	CHECK(counts(&vm));
	CHECK(!ioctl(vm.vcpu_fd, KVM_SET_NESTED_STATE, &none));
	puts("left");
	while (getchar() != EOF)
		;
	vm_close(&vm);
	return 0;
}

static int test_load(unsigned int seconds)
{
	time_t end = time(NULL) + (time_t)seconds;
	unsigned int turns = 0;

	for (; time(NULL) < end; turns++) {
		struct vm vm;

		CHECK(!open_vm(&vm, NULL));
		CHECK(counts(&vm));
		vm_close(&vm);
	}
	printf("%u VMs\n", turns);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(void);
	} tests[] = {
		{"stuffed", test_stuffed}, {"refused", test_refused},     {"changed", test_changed},
		{"missed", test_missed},   {"events", test_events},       {"plain", test_plain},
		{"synced", test_synced},   {"compat", test_compat},       {"msrs", test_msrs},
		{"rsm", test_rsm},         {"overtaken", test_overtaken}, {"left", test_left},
	};
	int failed = 2;

	setvbuf(stdout, NULL, _IOLBF, 0);
	kvm_fd = argc >= 3 ? kvm_open() : -1;
	if (kvm_fd < 0 || image_read(argv[2], &image))
		return 2;
	memory = guest_memory_new(image.memory_fd);
	if (!memory)
		return 2;
	if (!strcmp(argv[1], "load") && argc == 4)
		failed = test_load((unsigned int)strtoul(argv[3], NULL, 10));
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		if (!strcmp(argv[1], tests[i].name))
			failed = tests[i].run();
	if (!failed)
		printf("ok %s\n", argv[1]);
	return failed;
}
