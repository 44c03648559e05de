// SPDX-License-Identifier: LGPL-2.1-or-later
/* Section "cpu" of a QEMU stream (vmstate_x86_cpu of target/i386/machine.c, QEMU 5.1 to 11.1). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "error.h"
#include "fields.h"
#include "qemu_internal.h"

#define CPU_FIXED_V12 1817
#define CPU_FIXED_V11 1545

/* Offsets of fixed fields that are not taken as they stand. */
#define OFF_HFLAGS          144
#define OFF_CR0             456
#define OFF_HFLAGS2         876
#define OFF_EXCEPTION_NR    1165
#define OFF_INTR_INJECTED   1149
#define OFF_HAS_ERROR_CODE  1172
#define SEGMENT_FLAGS       16

#define HF_SMM_MASK         (1U << 19)
#define HF2_NMI_MASK        (1U << 2)
#define HF2_SMM_INSIDE_NMI  (1U << 4)
#define RFLAGS_VM           (UINT64_C(1) << 17)
#define CR0_PE              1

#define EVENT_VALID_NMI     0x1
#define EVENT_VALID_SMM     0x8
#define EVENT_VALID_PAYLOAD 0x10
#define EVENT_VALID_TRIPLE  0x20

/* Sizes of the fields of subsections, for streams without a vmdesc. In stream order up to
 * nested_state nothing has been added since 7.2 but error_code (10.2). */
static const struct {
	const char *name;
	uint32_t size;
} known_subsections[] = {
	{"cpu/exception_info", 11},
	{"cpu/error_code", 4},
	{"cpu/async_pf_msr", 8},
	{"cpu/async_pf_int_msr", 8},
	{"cpu/async_pv_eoi_msr", 8},
	{"cpu/steal_time_msr", 8},
	{"cpu/poll_control_msr", 8},
	{"cpu/fpop_ip_dp", 18},
	{"cpu/msr_tsc_adjust", 8},
	{"cpu/msr_tscdeadline", 8},
	{"cpu/msr_ia32_misc_enable", 8},
	{"cpu/msr_ia32_feature_control", 8},
	{"cpu/msr_architectural_pmu", 344},
	{"cpu/mpx", 88},
	{"cpu/msr_hyperv_hypercall", 16},
	{"cpu/msr_hyperv_vapic", 8},
	{"cpu/msr_hyperv_time", 8},
	{"cpu/msr_hyperv_crash", 40},
	{"cpu/msr_hyperv_runtime", 8},
	{"cpu/msr_hyperv_synic", 152},
	{"cpu/msr_hyperv_stimer", 64},
	{"cpu/msr_hyperv_reenlightenment", 24},
	{"cpu/avx512", 1600},
	{"cpu/xss", 8},
	{"cpu/umwait", 4},
	{"cpu/tsc_khz", 8},
	{"cpu/msr_smi_count", 8},
	{"cpu/pkru", 4},
	{"cpu/pkrs", 4},
	{"cpu/spec_ctrl", 8},
	{"cpu/amd_tsc_scale_msr", 8},
	{"cpu/mcg_ext_ctl", 8},
	{"cpu/intel_pt", 104},
	{"cpu/virt_ssbd", 8},
	{"cpu/svn_npt", 12},
	{"cpu/svm_guest", 4},
	{"cpu/nested_state", 0},
	{"cpu/xen_vcpu", 97},
	{"cpu/msr_tsx_ctrl", 4},
	{"cpu/intel_sgx", 32},
	{"cpu/pdptrs", 32},
	{"cpu/msr_xfd", 16},
	{"cpu/msr_hwcr", 8},
	{"cpu/fred", 72},
	{"cpu/intel_amx_xtile", 8256},
	{"cpu/arch_lbr", 784},
	{"cpu/triple_fault", 1},
	{"cpu/msr_pl0_ssp", 8},
	{"cpu/cet", 16},
	{"cpu/cet_shstk", 40},
	{"cpu/apx", 128},
};

/* QEMU has about 50 of them. */
#define MAX_SUBSECTIONS 256

/* A walk through the subsections. */
struct cursor {
	struct nm_vcpu *vcpu;
	struct qemu_span span;
	size_t at;
	const struct qemu_device *device;
	size_t names[MAX_SUBSECTIONS]; /* where those that were there start, in the section */
	size_t count;
};

static struct qemu_span rest(const struct cursor *c)
{
	return (struct qemu_span){c->span.bytes + c->at, c->span.offset + c->at,
				  c->span.size - c->at};
}

static enum nestmig_error too_short(const struct cursor *c, const char *what,
				    struct nestmig_detail *detail)
{
	return nm_fail_at(detail, NESTMIG_ERR_TRUNCATED, c->span.offset + c->span.size,
			  "section \"cpu\" of vCPU %u ends in the middle of %s", c->vcpu->id, what);
}

/* The name of the subsection that starts here, if one does. */
static bool subsection_name(const struct cursor *c, char name[256])
{
	struct qemu_span left = rest(c);
	size_t length;

	if (left.size < 2 || left.bytes[0] != QEMU_VM_SUBSECTION)
		return false;
	length = left.bytes[1];
	if (left.size < 2 + length + 4)
		return false;
	memcpy(name, left.bytes + 2, length);
	name[length] = '\0';
	return strlen(name) == length;
}

/* Of two with the same name QEMU loads both, so that the last one counts; it writes each once. */
static enum nestmig_error note(struct cursor *c, const char *name, struct nestmig_detail *detail)
{
	size_t size = 2 + strlen(name);

	for (size_t i = 0; i < c->count; i++)
		if (memcmp(c->span.bytes + c->names[i], c->span.bytes + c->at, size) == 0)
			return nm_fail_at(detail, NESTMIG_ERR_FORMAT, c->span.offset + c->at,
					  "vCPU %u has subsection \"%.64s\" twice", c->vcpu->id,
					  name);
	if (c->count == MAX_SUBSECTIONS)
		return nm_fail_at(detail, NESTMIG_ERR_LIMIT, c->span.offset + c->at,
				  "vCPU %u has more than %d subsections", c->vcpu->id,
				  MAX_SUBSECTIONS);
	c->names[c->count++] = c->at;
	return NESTMIG_OK;
}

/* Skips the header of a subsection whose name has been read. */
static enum nestmig_error enter(struct cursor *c, const char *name, struct nestmig_detail *detail)
{
	enum nestmig_error error = note(c, name, detail);
	size_t header = 2 + strlen(name) + 4;
	uint32_t version = nm_be32(rest(c).bytes + header - 4);

	if (error)
		return error;
	if (version != 1)
		return nm_fail_at(detail, NESTMIG_ERR_UNSUPPORTED, c->span.offset + c->at,
				  "subsection %s has version %u, known is 1", name, version);
	c->at += header;
	return NESTMIG_OK;
}

static struct nm_origin origin_here(const struct cursor *c, size_t size, enum nm_layout layout)
{
	return (struct nm_origin){.offset = c->span.offset + c->at,
				  .size = size,
				  .bytes = c->span.bytes + c->at,
				  .layout = layout};
}

/* A page of guest bytes: VMCB12 or VMCS12, in the guest's own order. */
static enum nestmig_error take_page(struct cursor *c, enum nestmig_item item, const uint8_t **slot,
				    struct nestmig_detail *detail)
{
	if (rest(c).size < KVMNS_VMCB_SIZE)
		return too_short(c, nm_item_name(item), detail);
	*slot = rest(c).bytes;
	nm_vcpu_set_item(c->vcpu, item, origin_here(c, KVMNS_VMCB_SIZE, NM_LAYOUT_KVM));
	c->at += KVMNS_VMCB_SIZE;
	return NESTMIG_OK;
}

/* The header of the format follows here: size bytes, behind those that all formats have. */
static void has_header(struct cursor *c, uint64_t size)
{
	struct nm_origin *origin = &c->vcpu->origin[NESTMIG_ITEM_NESTED];

	origin->size = c->span.offset + c->at + size - origin->offset;
}

static enum nestmig_error nested_svm(struct cursor *c, struct nestmig_detail *detail)
{
	struct nestmig_vcpu_view *view = &c->vcpu->view;

	if (rest(c).size < 8)
		return too_short(c, "hdr.svm", detail);
	view->nested.vmcb_pa = nm_be64(rest(c).bytes);
	has_header(c, 8);
	c->at += 8;
	return take_page(c, NESTMIG_ITEM_VMCB12, &view->vmcb12, detail);
}

static enum nestmig_error nested_vmx(struct cursor *c, struct nestmig_detail *detail)
{
	struct nestmig_vcpu_view *view = &c->vcpu->view;
	enum nestmig_error error;
	char name[256];

	if (rest(c).size < 18)
		return too_short(c, "hdr.vmx", detail);
	view->nested.vmxon_pa = nm_be64(rest(c).bytes);
	view->nested.vmcs12_pa = nm_be64(rest(c).bytes + 8);
	view->nested.vmx_smm_flags = nm_be16(rest(c).bytes + 16);
	has_header(c, 18);
	c->at += 18;
	while (subsection_name(c, name)) {
		bool shadow = strcmp(name, "cpu/kvm_nested_state/vmx/shadow_vmcs12") == 0;

		if (!shadow && strcmp(name, "cpu/kvm_nested_state/vmx/vmcs12") != 0)
			break;
		error = enter(c, name, detail);
		if (!error)
			error = take_page(c,
					  shadow ? NESTMIG_ITEM_SHADOW_VMCS12 : NESTMIG_ITEM_VMCS12,
					  shadow ? &view->shadow_vmcs12 : &view->vmcs12, detail);
		if (error)
			return error;
	}
	return NESTMIG_OK;
}

/* struct cpu/kvm_nested_state and its subsections. */
static enum nestmig_error nested_state(struct cursor *c, struct nestmig_detail *detail)
{
	struct nestmig_nested *nested = &c->vcpu->view.nested;
	enum nestmig_error error = NESTMIG_OK;
	char name[256];

	if (rest(c).size < 8)
		return too_short(c, "kvm_nested_state", detail);
	nested->flags = nested->stored_flags = nm_be16(rest(c).bytes);
	nested->format = nm_be16(rest(c).bytes + 2);
	nested->size = nm_be32(rest(c).bytes + 4);
	/* VMXON is not in effect unless the subsection says so. */
	nested->vmxon_pa = nested->vmcs12_pa = nested->format == KVMNS_FORMAT_VMX ? UINT64_MAX : 0;
	nm_vcpu_set_item(c->vcpu, NESTMIG_ITEM_NESTED, origin_here(c, 8, NM_LAYOUT_QEMU));
	c->at += 8;
	while (!error && subsection_name(c, name)) {
		bool svm = strcmp(name, "cpu/kvm_nested_state/svm") == 0;

		if (!svm && strcmp(name, "cpu/kvm_nested_state/vmx") != 0)
			break;
		/* Both would be loaded to the same place. */
		if (nested->format != (svm ? KVMNS_FORMAT_SVM : KVMNS_FORMAT_VMX))
			return nm_fail_at(detail, NESTMIG_ERR_FORMAT, c->span.offset + c->at,
					  "vCPU %u has nested state of format %u, but subsection "
					  "%s",
					  c->vcpu->id, nested->format, name);
		error = enter(c, name, detail);
		if (!error)
			error = svm ? nested_svm(c, detail) : nested_vmx(c, detail);
	}
	return error;
}

/* A subsection whose content rules read. */
static bool is_read(const char *name)
{
	static const char *const names[] = {"cpu/exception_info", "cpu/error_code",
					    "cpu/triple_fault", "cpu/pdptrs"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static void take_fields(struct cursor *c, const char *name)
{
	struct nestmig_vcpu_view *view = &c->vcpu->view;
	const uint8_t *p = rest(c).bytes;

	if (strcmp(name, "cpu/exception_info") == 0) {
		view->events.exc_pending = p[0];
		view->events.exc_injected = p[1];
		view->events.exc_has_payload = p[2];
		view->events.exc_payload = nm_be64(p + 3);
	} else if (strcmp(name, "cpu/error_code") == 0) {
		view->events.exc_error_code = nm_be32(p);
		nm_vcpu_set_item(c->vcpu, NESTMIG_ITEM_ERROR_CODE,
				 origin_here(c, 4, NM_LAYOUT_NONE));
	} else if (strcmp(name, "cpu/msr_ia32_feature_control") == 0) {
		view->vendor = NESTMIG_VENDOR_INTEL;
	} else if (strcmp(name, "cpu/triple_fault") == 0) {
		view->events.triple_fault = p[0];
		view->events.flags |= EVENT_VALID_TRIPLE;
	} else if (strcmp(name, "cpu/pdptrs") == 0) {
		for (int i = 0; i < 4; i++)
			view->sregs.pdptrs[i] = nm_be64(p + 8 * i);
		nm_vcpu_set_item(c->vcpu, NESTMIG_ITEM_PDPTRS, origin_here(c, 32, NM_LAYOUT_NONE));
	}
}

/*
 * The fields of a subsection whose size only the vmdesc gives, or gives otherwise than is known here, must
 * not hide nested state.
 */
static enum nestmig_error check_hidden(const struct cursor *c, const char *name, size_t size,
				       struct nestmig_detail *detail)
{
	static const char hidden[] = "\x05\x10"
				     "cpu/nested_state";

	if (memmem(rest(c).bytes, size, hidden, sizeof(hidden) - 1) == NULL)
		return NESTMIG_OK;
	return nm_fail_at(detail, NESTMIG_ERR_FORMAT, c->span.offset + c->at,
			  "vCPU %u has nested state inside of what the vmdesc says is subsection "
			  "\"%.64s\"",
			  c->vcpu->id, name);
}

static bool known_size(const char *name, uint64_t *ret_size)
{
	for (size_t i = 0; i < sizeof(known_subsections) / sizeof(known_subsections[0]); i++) {
		if (strcmp(known_subsections[i].name, name) != 0)
			continue;
		*ret_size = known_subsections[i].size;
		return true;
	}
	return false;
}

/* Past the fields of a subsection. Where they are not read, the vmdesc knows better how many they are. */
static enum nestmig_error skip_fields(struct cursor *c, const char *name,
				      struct nestmig_detail *detail)
{
	uint64_t known = 0, said = 0, size, start = c->span.offset + c->at - 6 - strlen(name);
	bool is_known = known_size(name, &known);
	bool is_said = c->device && qemu_vmdesc_subsection(c->device, name, &said);

	if (!is_known && !is_said)
		return nm_fail_at(
			detail, NESTMIG_ERR_UNSUPPORTED, start,
			"vCPU %u has the unknown subsection \"%.64s\", and the stream has "
			"no vmdesc that gives its size",
			c->vcpu->id, name);
	if (is_known && is_said && known != said && is_read(name))
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, start,
				  "subsection %s has %" PRIu64 " bytes, but %" PRIu64
				  " in the vmdesc",
				  name, known, said);
	size = is_said ? said : known;
	if (size > rest(c).size)
		return too_short(c, name, detail);
	if (!is_known || size != known) {
		enum nestmig_error error = check_hidden(c, name, (size_t)size, detail);

		if (error)
			return error;
	}
	take_fields(c, name);
	c->at += (size_t)size;
	return NESTMIG_OK;
}

static enum nestmig_error one_subsection(struct cursor *c, const char *name,
					 struct nestmig_detail *detail)
{
	enum nestmig_error error = enter(c, name, detail);

	if (error)
		return error;
	if (strcmp(name, "cpu/nested_state") == 0)
		return nested_state(c, detail);
	return skip_fields(c, name, detail);
}

/* QEMU's SegmentCache.flags: bits of a descriptor's second word. A segment that is not present is
 * given to KVM as unusable; in virtual-8086 mode the attributes are forced (set_v8086_seg). */
static void load_segment(struct nestmig_segment *segment, uint32_t flags, bool v86)
{
	segment->type = v86 ? 3 : (uint8_t)(flags >> 8 & 15);
	segment->present = v86 ? 1 : (uint8_t)(flags >> 15 & 1);
	segment->dpl = v86 ? 3 : (uint8_t)(flags >> 13 & 3);
	segment->s = v86 ? 1 : (uint8_t)(flags >> 12 & 1);
	segment->db = v86 ? 0 : (uint8_t)(flags >> 22 & 1);
	segment->l = v86 ? 0 : (uint8_t)(flags >> 21 & 1);
	segment->g = v86 ? 0 : (uint8_t)(flags >> 23 & 1);
	segment->avl = v86 ? 0 : (uint8_t)(flags >> 20 & 1);
	segment->unusable = !segment->present;
}

static void load_segments(struct nestmig_sregs *sregs, const uint8_t *p)
{
	bool v86 = nm_be64(p + 136) & RFLAGS_VM;
	struct nestmig_segment *const by_offset[] = {&sregs->es,  &sregs->cs, &sregs->ss,
						     &sregs->ds,  &sregs->fs, &sregs->gs,
						     &sregs->ldt, &sregs->tr};
	/* cpu_post_load clears the DPLs of a real-mode vCPU whose CS has one. */
	bool real = !(sregs->cr0 & CR0_PE) && nm_be32(p + 256 + SEGMENT_FLAGS) >> 13 & 3;

	for (size_t i = 0; i < 8; i++) {
		uint32_t flags = nm_be32(p + 236 + 20 * i + SEGMENT_FLAGS);

		/* ldt and tr are never set as v8086 segments. */
		load_segment(by_offset[i], flags, v86 && i < 6);
		if (real && !v86 && i < 6)
			by_offset[i]->dpl = 0;
	}
}

static void add_msr(struct nm_vcpu *vcpu, uint32_t index, uint64_t value)
{
	vcpu->msrs[vcpu->msr_count++] = (struct nm_msr){.index = index, .value = value};
	vcpu->view.msrs_listed |= nm_msr_listed(index);
}

/* The MSRs among the fixed fields. */
static enum nestmig_error load_msrs(struct nm_vcpu *vcpu, const uint8_t *p, struct nm_origin origin)
{
	static const struct {
		uint32_t index;
		uint16_t offset;
		uint8_t width;
	} msrs[] = {
		{0x10, 1157, 8},      {0x9e, 864, 4},       {0x174, 436, 4},
		{0x175, 440, 8},      {0x176, 448, 8},      {0x277, 868, 8},
		{0xc0000081, 824, 8}, {0xc0000082, 832, 8}, {0xc0000083, 840, 8},
		{0xc0000084, 848, 8}, {0xc0000102, 856, 8}, {0xc0000103, 1521, 8},
		{0xc0010117, 880, 8},
	};
	size_t count = sizeof(msrs) / sizeof(msrs[0]);

	free(vcpu->msrs);
	vcpu->msr_count = 0;
	vcpu->msrs = calloc(count, sizeof(*vcpu->msrs));
	if (!vcpu->msrs)
		return NESTMIG_ERR_NOMEM;
	for (size_t i = 0; i < count; i++)
		add_msr(vcpu, msrs[i].index, nm_be(p + msrs[i].offset, msrs[i].width));
	origin.bytes = NULL;
	origin.layout = NM_LAYOUT_NONE;
	nm_vcpu_set_item(vcpu, NESTMIG_ITEM_MSRS, origin);
	return NESTMIG_OK;
}

static void load_events(struct nm_vcpu *vcpu, const uint8_t *p)
{
	struct nestmig_events *events = &vcpu->view.events;
	int32_t interrupt = (int32_t)nm_be32(p + OFF_INTR_INJECTED);

	nm_fields_load_qemu(&vcpu->view, NESTMIG_ITEM_EVENTS, p, CPU_FIXED_V11);
	events->intr_injected = interrupt >= 0;
	events->intr_nr = (uint8_t)interrupt;
	events->nmi_masked = !!(vcpu->qemu.hflags2 & HF2_NMI_MASK);
	events->smi_smm = !!(vcpu->qemu.hflags & HF_SMM_MASK);
	events->smi_inside_nmi = !!(vcpu->qemu.hflags2 & HF2_SMM_INSIDE_NMI);
	events->flags |= EVENT_VALID_NMI | EVENT_VALID_SMM | EVENT_VALID_PAYLOAD;
}

static enum nestmig_error load_fixed(struct cursor *c, size_t size, struct nestmig_detail *detail)
{
	static const enum nestmig_item items[] = {
		NESTMIG_ITEM_SREGS,    NESTMIG_ITEM_REGS,   NESTMIG_ITEM_DEBUGREGS,
		NESTMIG_ITEM_MP_STATE, NESTMIG_ITEM_SMBASE, NESTMIG_ITEM_HSAVE_PA,
	};
	struct nm_vcpu *vcpu = c->vcpu;
	const uint8_t *p = c->span.bytes;
	struct nm_origin origin = origin_here(c, size, NM_LAYOUT_QEMU);

	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		nm_fields_load_qemu(&vcpu->view, items[i], p, size);
		nm_vcpu_set_item(vcpu, items[i], origin);
	}
	vcpu->qemu.present = true;
	vcpu->qemu.hflags = nm_be32(p + OFF_HFLAGS);
	vcpu->qemu.hflags2 = nm_be32(p + OFF_HFLAGS2);
	vcpu->qemu.exception_nr = (int32_t)nm_be32(p + OFF_EXCEPTION_NR);
	load_segments(&vcpu->view.sregs, p);
	load_events(vcpu, p);
	nm_vcpu_set_item(vcpu, NESTMIG_ITEM_EVENTS, origin);
	if (load_msrs(vcpu, p, origin))
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	return NESTMIG_OK;
}

enum nestmig_error qemu_cpu_parse(struct nm_vcpu *vcpu, struct qemu_span payload,
				  const struct qemu_device *device, size_t *ret_used,
				  struct nestmig_detail *detail)
{
	struct cursor c = {.vcpu = vcpu, .span = payload, .device = device};
	size_t fixed = vcpu->qemu.version >= 12 ? CPU_FIXED_V12 : CPU_FIXED_V11;
	enum nestmig_error error;
	uint64_t said = 0;
	char name[256];

	if (vcpu->qemu.version < 11 || vcpu->qemu.version > 12)
		return nm_fail_at(detail, NESTMIG_ERR_UNSUPPORTED, payload.offset,
				  "section \"cpu\" has version %u, known are 11 and 12",
				  vcpu->qemu.version);
	if (payload.size < fixed)
		return too_short(&c,
				 "the registers (a qemu-system-i386 stream has other sizes and "
				 "is not read)",
				 detail);
	if (device && qemu_vmdesc_fields(device, &said) && said != fixed)
		return nm_fail_at(detail, NESTMIG_ERR_UNSUPPORTED, payload.offset,
				  "section \"cpu\" has %" PRIu64
				  " bytes of registers in the vmdesc, "
				  "known are %zu (a qemu-system-i386 stream is not read)",
				  said, fixed);
	error = load_fixed(&c, fixed, detail);
	c.at = fixed;
	while (!error && subsection_name(&c, name) && strncmp(name, "cpu/", 4) == 0)
		error = one_subsection(&c, name, detail);
	if (error)
		return error;
	if (device && c.at != payload.size)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, payload.offset + c.at,
				  "section \"cpu\" of vCPU %u has %zu bytes that belong to no "
				  "subsection",
				  vcpu->id, payload.size - c.at);
	*ret_used = c.at;
	return NESTMIG_OK;
}
