// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The probes. Each starts from a state that this KVM accepts and changes one thing, so that a refusal is about
 * that thing. What KVM checks, and since when, is in host_advisories.def by commit; the order of the checks of
 * SVM is that of svm_set_nested_state (6.1), of VMX that of vmx_set_nested_state (6.1).
 */
#include "host_probe.h"

#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)

#include <sys/ioctl.h>
#include <unistd.h>

#include "bytes.h"
#include "host_scratch.h"
#include "vmcb/vmcb12.h"

#define ACCEPTED    "accepted"
#define REFUSED     "refused"

#define EFER_SVME   0x1000
#define EFER_LONG   0x500 /* LME, LMA */
#define CR0_PG_PE   0x80000011
#define CR0_ET_NW   0x20000010
#define CR4_PSE     0x10
#define CR4_PAE     0x20
#define CR4_VMXE    0x2000
#define PDE_4MIB    0x83 /* present, writable, large */
#define DR6_RESET   0xffff0ff0
#define DR7_RESET   0x400
#define ATTRIB_CODE 0x29b /* 64-bit code: type 11, S, P, L */
#define ATTRIB_D    0x400

#define GPA_CODE    0x1000
#define GPA_VMCB    0x3000
#define GPA_HSAVE   0x4000
#define GPA_TABLES  0x5000

#define LEAF_SVM    0x8000000a
#define MSR_HSAVE   0xc0010117
#define MSR_RATIO   0xc0000104
#define MSRS_MAX    1024
#define RATIO_ONE   (UINT64_C(1) << 32)

static const char *word(bool accepted)
{
	return accepted ? ACCEPTED : REFUSED;
}

static bool has_bit(struct nm_scratch *s, uint32_t function, unsigned reg, unsigned bit)
{
	const uint32_t *value = nm_scratch_cpuid_word(s, function, reg);

	return value && *value >> bit & 1;
}

static bool has_svm(struct nm_scratch *s)
{
	return has_bit(s, 0x80000001, 2, 2);
}

static bool has_vmx(struct nm_scratch *s)
{
	return has_bit(s, 1, 2, 5);
}

/* ---- Any vendor ------------------------------------------------------------------------------ */

static const char *ask_vm(struct nm_scratch *s, char *buffer)
{
	int size = ioctl(s->vm, KVM_CHECK_EXTENSION, KVM_CAP_NESTED_STATE);

	snprintf(buffer, NM_PROBE_VALUE, "%d", size);
	return size >= 0 ? buffer : NULL;
}

static const char *ask_tsc(struct nm_scratch *s, char *buffer)
{
	int khz = ioctl(s->vcpu, KVM_GET_TSC_KHZ, 0);

	snprintf(buffer, NM_PROBE_VALUE, "%d", khz);
	return khz > 0 ? buffer : NULL;
}

/* Half the frequency: without the capability KVM refuses it, with a line in the kernel's log. */
static const char *ask_scaling(struct nm_scratch *s, char *buffer)
{
	int khz = ioctl(s->vcpu, KVM_GET_TSC_KHZ, 0);

	(void)buffer;
	if (khz <= 1 || ioctl(s->kvm, KVM_CHECK_EXTENSION, KVM_CAP_TSC_CONTROL) <= 0)
		return NULL;
	return word(ioctl(s->vcpu, KVM_SET_TSC_KHZ, (unsigned long)khz / 2) == 0);
}

static const char *ask_cr0(struct nm_scratch *s, char *buffer)
{
	struct kvm_sregs sregs;

	(void)buffer;
	if (ioctl(s->vcpu, KVM_GET_SREGS, &sregs) != 0 ||
	    ioctl(s->vcpu, KVM_SET_SREGS, &sregs) != 0)
		return NULL;
	sregs.cr0 = CR0_ET_NW;
	return word(ioctl(s->vcpu, KVM_SET_SREGS, &sregs) == 0);
}

/* ---- SVM ------------------------------------------------------------------------------------- */

static const char *ask_svme(struct nm_scratch *s, char *buffer)
{
	(void)buffer;
	return has_svm(s) || has_bit(s, LEAF_SVM, 3, 0) ? word(nm_scratch_add_efer(s, EFER_SVME))
							: NULL;
}

static void put(uint8_t *page, enum vmcb12_offset offset, unsigned width, uint64_t value)
{
	for (unsigned i = 0; i < width; i++)
		page[offset + i] = (uint8_t)(value >> 8 * i);
}

/* A VMCB12 that every KVM takes: L1 in 64-bit mode, L2 without nested paging. */
static void fill_state(union nm_scratch_nested *state)
{
	uint8_t *page = state->page;

	memset(state, 0, sizeof(*state));
	state->head.flags = KVM_STATE_NESTED_GUEST_MODE | KVM_STATE_NESTED_GIF_SET;
	state->head.format = KVM_STATE_NESTED_FORMAT_SVM;
	state->head.size = sizeof(*state);
	state->head.hdr.svm.vmcb_pa = GPA_VMCB;
	put(page, VMCB12_OFFSET_intercept_word4, 4, VMCB12_INTERCEPT4_VMRUN);
	put(page, VMCB12_OFFSET_asid, 4, 1);
	put(page, VMCB12_OFFSET_save_cs_attrib, 2, ATTRIB_CODE);
	put(page, VMCB12_OFFSET_save_efer, 8, EFER_SVME | EFER_LONG);
	put(page, VMCB12_OFFSET_save_cr0, 8, CR0_PG_PE);
	put(page, VMCB12_OFFSET_save_cr4, 8, CR4_PAE);
	put(page, VMCB12_OFFSET_save_cr3, 8, GPA_TABLES);
	put(page, VMCB12_OFFSET_save_dr6, 8, DR6_RESET);
	put(page, VMCB12_OFFSET_save_dr7, 8, DR7_RESET);
	put(page, VMCB12_OFFSET_save_rflags, 8, 2);
}

static bool set_nested(const struct nm_scratch *s, union nm_scratch_nested *state)
{
	return ioctl(s->vcpu, KVM_SET_NESTED_STATE, &state->head) == 0;
}

/* Has this KVM SVM for guests, and may this vCPU be in guest mode? */
static bool prepare_l2(struct nm_scratch *s, union nm_scratch_nested *state)
{
	fill_state(state);
	return has_svm(s) && nm_scratch_add_efer(s, EFER_SVME);
}

static const char *ask_l1_state(struct nm_scratch *s, char *buffer)
{
	union nm_scratch_nested state;

	(void)buffer;
	if (!prepare_l2(s, &state))
		return NULL;
	state.head.flags = KVM_STATE_NESTED_GIF_SET;
	state.head.size = sizeof(state.head);
	return word(set_nested(s, &state));
}

static const char *ask_l2_state(struct nm_scratch *s, char *buffer)
{
	union nm_scratch_nested state;

	(void)buffer;
	return prepare_l2(s, &state) ? word(set_nested(s, &state)) : NULL;
}

/* Does KVM_GET_NESTED_STATE give back what was set? */
static const char *ask_l2_again(struct nm_scratch *s, char *buffer)
{
	union nm_scratch_nested state, got = {.head = {.size = sizeof(got)}};

	(void)buffer;
	if (!prepare_l2(s, &state) || !set_nested(s, &state))
		return NULL;
	if (ioctl(s->vcpu, KVM_GET_NESTED_STATE, &got.head) != 0)
		return REFUSED;
	if (got.head.flags != state.head.flags || got.head.format != state.head.format ||
	    got.head.hdr.svm.vmcb_pa != GPA_VMCB || vmcb12_asid(got.page) != 1 ||
	    vmcb12_save_cr3(got.page) != GPA_TABLES)
		return "differs";
	return "same";
}

/* A field of the VMCB12 changed; the twin with the first value must be accepted. */
static const char *ask_field(struct nm_scratch *s, enum vmcb12_offset offset, unsigned width,
			     uint64_t valid, uint64_t invalid)
{
	union nm_scratch_nested state;

	if (!prepare_l2(s, &state))
		return NULL;
	put(state.page, offset, width, invalid);
	if (!set_nested(s, &state))
		return put(state.page, offset, width, valid),
		       set_nested(s, &state) ? REFUSED : NULL;
	return ACCEPTED;
}

static const char *ask_ncr3(struct nm_scratch *s, char *buffer)
{
	union nm_scratch_nested state;

	(void)buffer;
	if (!prepare_l2(s, &state) || !has_bit(s, LEAF_SVM, 3, 0))
		return NULL;
	put(state.page, VMCB12_OFFSET_nested_ctl, 8, VMCB12_NP_ENABLE);
	put(state.page, VMCB12_OFFSET_nested_cr3, 8, UINT64_C(1) << 62);
	if (set_nested(s, &state))
		return ACCEPTED;
	put(state.page, VMCB12_OFFSET_nested_cr3, 8, GPA_TABLES);
	return set_nested(s, &state) ? REFUSED : NULL;
}

/* With the parameter npt off KVM refuses it (6.1), or drops the bit (7.1). */
static const char *ask_nested_paging(struct nm_scratch *s, char *buffer)
{
	union nm_scratch_nested state, got = {.head = {.size = sizeof(got)}};

	(void)buffer;
	if (!prepare_l2(s, &state) || !set_nested(s, &state))
		return NULL;
	put(state.page, VMCB12_OFFSET_nested_ctl, 8, VMCB12_NP_ENABLE);
	put(state.page, VMCB12_OFFSET_nested_cr3, 8, GPA_TABLES);
	if (!set_nested(s, &state))
		return REFUSED;
	if (ioctl(s->vcpu, KVM_GET_NESTED_STATE, &got.head) != 0)
		return NULL;
	return vmcb12_nested_ctl(got.page) & VMCB12_NP_ENABLE ? ACCEPTED : "dropped";
}

static const char *ask_cs(struct nm_scratch *s, char *buffer)
{
	(void)buffer;
	return ask_field(s, VMCB12_OFFSET_save_cs_attrib, 2, ATTRIB_CODE, ATTRIB_CODE | ATTRIB_D);
}

static const char *ask_l1_svme(struct nm_scratch *s, char *buffer)
{
	(void)buffer;
	return ask_field(s, VMCB12_OFFSET_save_efer, 8, EFER_SVME | EFER_LONG, EFER_LONG);
}

/* Valid, type 1, which is reserved, vector 0x20. */
static const char *ask_event(struct nm_scratch *s, char *buffer)
{
	(void)buffer;
	return ask_field(s, VMCB12_OFFSET_event_inj, 4, 0, 0x80000120);
}

/* #PF pending for L2, its address as payload. */
static const char *ask_exception(struct nm_scratch *s, char *buffer)
{
	struct kvm_vcpu_events events;
	union nm_scratch_nested state;

	(void)buffer;
	if (!nm_scratch_enable(s, KVM_CAP_EXCEPTION_PAYLOAD) || !prepare_l2(s, &state) ||
	    !set_nested(s, &state) || ioctl(s->vcpu, KVM_GET_VCPU_EVENTS, &events) != 0)
		return NULL;
	events.flags |= KVM_VCPUEVENT_VALID_PAYLOAD;
	events.exception.nr = 14;
	events.exception.has_error_code = 1;
	events.exception.pending = 1;
	events.exception_has_payload = 1;
	events.exception_payload = 0x1234;
	return word(ioctl(s->vcpu, KVM_SET_VCPU_EVENTS, &events) == 0);
}

/* The value without scaling, for a guest without scaling: QEMU 7.0 writes it. Kernels before 5.16 have no such
 * MSR, and QEMU does not write it there. */
static const char *ask_ratio(struct nm_scratch *s, char *buffer)
{
	union {
		struct kvm_msr_list head;
		uint8_t bytes[sizeof(struct kvm_msr_list) + MSRS_MAX * sizeof(uint32_t)];
	} list = {.head = {.nmsrs = MSRS_MAX}};
	uint32_t *features = nm_scratch_cpuid_word(s, LEAF_SVM, 3);
	bool offered = false;

	(void)buffer;
	if (!features || ioctl(s->kvm, KVM_GET_MSR_INDEX_LIST, &list) != 0)
		return NULL;
	for (uint32_t i = 0; i < list.head.nmsrs; i++)
		offered |= list.head.indices[i] == MSR_RATIO;
	*features &= ~UINT32_C(0x10);
	if (!offered || !nm_scratch_set_cpuid(s))
		return NULL;
	return word(nm_scratch_set_msr(s, MSR_RATIO, RATIO_ONE));
}

/* L1, with paging as KVM wants it: VMRUN of a VMCB12 with ASID 0, then HLT. */
static bool run_failing_vmrun(struct nm_scratch *s)
{
	static const uint8_t code[] = {0x0f, 0x01, 0xd8, 0xf4};
	struct kvm_segment flat = {
		.limit = 0xffffffff, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1};
	struct kvm_regs regs = {.rax = GPA_VMCB, .rip = GPA_CODE, .rflags = 2};
	struct kvm_sregs sregs;

	if (ioctl(s->vcpu, KVM_GET_SREGS, &sregs) != 0)
		return false;
	sregs.ds = sregs.es = sregs.ss = flat;
	flat.type = 11;
	sregs.cs = flat;
	sregs.cr0 = CR0_PG_PE;
	sregs.cr4 = CR4_PSE;
	sregs.cr3 = GPA_TABLES;
	sregs.efer = EFER_SVME;
	s->memory[GPA_TABLES] = PDE_4MIB;
	memcpy(s->memory + GPA_CODE, code, sizeof(code));
	put(s->memory + GPA_VMCB, VMCB12_OFFSET_intercept_word4, 4, VMCB12_INTERCEPT4_VMRUN);
	if (ioctl(s->vcpu, KVM_SET_SREGS, &sregs) != 0 ||
	    ioctl(s->vcpu, KVM_SET_REGS, &regs) != 0 ||
	    !nm_scratch_set_msr(s, MSR_HSAVE, GPA_HSAVE))
		return false;
	if (ioctl(s->vcpu, KVM_RUN, 0) != 0 || s->run->exit_reason != KVM_EXIT_HLT)
		return false;
	return vmcb12_exit_code(s->memory + GPA_VMCB) == 0xffffffff;
}

static const char *ask_failed_vmrun(struct nm_scratch *s, char *buffer)
{
	union nm_scratch_nested got = {.head = {.size = sizeof(got)}};

	(void)buffer;
	if (!has_svm(s) || !run_failing_vmrun(s) ||
	    ioctl(s->vcpu, KVM_GET_NESTED_STATE, &got.head) != 0)
		return NULL;
	return got.head.flags & KVM_STATE_NESTED_GIF_SET ? "set" : "clear";
}

/* ---- VMX ------------------------------------------------------------------------------------- */

static const char *ask_vmxe(struct nm_scratch *s, char *buffer)
{
	struct kvm_sregs sregs;

	(void)buffer;
	if (!has_vmx(s) || ioctl(s->vcpu, KVM_GET_SREGS, &sregs) != 0)
		return NULL;
	sregs.cr4 |= CR4_VMXE;
	return word(ioctl(s->vcpu, KVM_SET_SREGS, &sregs) == 0);
}

static bool set_vmxon(struct nm_scratch *s, uint64_t vmxon)
{
	struct kvm_nested_state head = {.format = KVM_STATE_NESTED_FORMAT_VMX,
					.size = sizeof(head)};

	head.hdr.vmx.vmxon_pa = vmxon;
	head.hdr.vmx.vmcs12_pa = UINT64_MAX;
	return ioctl(s->vcpu, KVM_SET_NESTED_STATE, &head) == 0;
}

static const char *ask_vmxon(struct nm_scratch *s, char *buffer)
{
	(void)buffer;
	return has_vmx(s) ? word(set_vmxon(s, GPA_VMCB)) : NULL;
}

static const char *ask_vmxon_unaligned(struct nm_scratch *s, char *buffer)
{
	(void)buffer;
	if (!has_vmx(s) || !set_vmxon(s, GPA_VMCB))
		return NULL;
	return word(set_vmxon(s, GPA_VMCB + 1));
}

/* ---- All of them ----------------------------------------------------------------------------- */

static const struct {
	const char *name, *title;
	const char *(*ask)(struct nm_scratch *scratch, char *buffer);
} probes[] = {
	{"nested-state-size", "the size of nested state that a VM of its own answers", ask_vm},
	{"tsc-khz", "the frequency of a new vCPU's TSC in kHz", ask_tsc},
	{"tsc-half", "a vCPU with half that frequency", ask_scaling},
	{"cr0-nw-without-cd", "KVM_SET_SREGS with CR0.NW and without CD", ask_cr0},
	{"svme", "EFER.SVME by KVM_SET_SREGS", ask_svme},
	{"l1-state", "KVM_SET_NESTED_STATE of an L1 with SVM on", ask_l1_state},
	{"l2-state", "KVM_SET_NESTED_STATE of an L2", ask_l2_state},
	{"l2-state-again", "KVM_GET_NESTED_STATE after it", ask_l2_again},
	{"l2-nested-paging", "an L2 with nested paging", ask_nested_paging},
	{"l2-exception-pending", "KVM_SET_VCPU_EVENTS with a #PF pending for L2", ask_exception},
	{"l2-ncr3-too-wide", "an L2 whose nested CR3 is too wide", ask_ncr3},
	{"l2-cs-l-and-d", "an L2 whose L1 has CS.L and CS.D in long mode", ask_cs},
	{"l2-l1-without-svme", "an L2 whose L1 has no EFER.SVME", ask_l1_svme},
	{"l2-event-type-reserved", "an L2 with an event of a reserved type to inject", ask_event},
	{"tsc-ratio-default", "TSC_RATIO 1 for a guest without TSC scaling", ask_ratio},
	{"failed-vmrun-gif", "GIF after a VMRUN that fails", ask_failed_vmrun},
	{"vmxe", "CR4.VMXE by KVM_SET_SREGS", ask_vmxe},
	{"vmxon-state", "KVM_SET_NESTED_STATE of an L1 after VMXON", ask_vmxon},
	{"vmxon-unaligned", "the same with a VMXON region that is not page aligned",
	 ask_vmxon_unaligned},
};

#define PROBES (sizeof(probes) / sizeof(probes[0]))

const char *nm_probe_ask(size_t index, int kvm, char buffer[NM_PROBE_VALUE])
{
	struct nm_scratch scratch;
	const char *result;

	if (!nm_scratch_start(&scratch, kvm))
		return NULL;
	result = probes[index].ask(&scratch, buffer);
	nm_scratch_end(&scratch);
	return result;
}

size_t nm_probe_count(void)
{
	return PROBES;
}

const char *nm_probe_name(size_t index)
{
	return probes[index].name;
}

const char *nm_probe_title(const char *name)
{
	for (size_t i = 0; i < PROBES; i++)
		if (!strcmp(probes[i].name, name))
			return probes[i].title;
	return "";
}

#else

size_t nm_probe_count(void)
{
	return 0;
}

const char *nm_probe_name(size_t index)
{
	(void)index;
	return "";
}

const char *nm_probe_title(const char *name)
{
	(void)name;
	return "";
}

const char *nm_probe_ask(size_t index, int kvm, char buffer[NM_PROBE_VALUE])
{
	(void)index;
	(void)kvm;
	(void)buffer;
	return NULL;
}

#endif
