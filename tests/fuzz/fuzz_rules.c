// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The rule engine: a healthy guest of the unit tests, with any bytes put into any part of its state, its
 * memory and its host, is judged, predicted and printed. Twice, which must give the same; and "ok" must not
 * be said with an input missing, nor may a rule that is broken look satisfied without one of its inputs.
 *
 * An input is a byte that chooses the guest, one that takes an item away, and records: where (1 byte), at
 * which offset (3 bytes, little-endian), how many bytes (1 byte, 1 to 16 of them), the bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/rules_vm.h"
#include "../unit/rules_vmx_vm.h"
#include "host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CPUID_SVM (1U << 2) /* of CPUID_80000001_ECX */

struct input {
	const uint8_t *data;
	size_t size;
};

static uint8_t take(struct input *in)
{
	if (in->size == 0)
		return 0;
	in->size--;
	return *in->data++;
}

/* A part of the guest that may hold anything; size 0 if there is no part of this number. */
struct part {
	void *bytes;
	size_t size;
};

static struct part part_of(struct vm *vm, unsigned number)
{
	struct nestmig_vcpu_view *v = &vm->vcpu.view;
	const struct part parts[] = {
		{vm->page, sizeof(vm->page)},
		{&v->sregs, sizeof(v->sregs)},
		{&v->nested, sizeof(v->nested)},
		{&v->events, sizeof(v->events)},
		{&v->regs, sizeof(v->regs)},
		{&v->debugregs, sizeof(v->debugregs)},
		{&v->mp_state, sizeof(v->mp_state)},
		{&v->smbase, sizeof(v->smbase)},
		{&v->hsave_pa, sizeof(v->hsave_pa)},
		{&v->vm_caps, sizeof(v->vm_caps)},
		{&v->cpuid.word, sizeof(v->cpuid.word)},
		{&v->vmx.value, sizeof(v->vmx.value)},
		{vm->image, sizeof(vm->image)},
		{vm->hsave, sizeof(vm->hsave)},
		{vm->shadow, sizeof(vm->shadow)},
		{&vm->host.kernel, sizeof(vm->host.kernel)},
		{&vm->host.nested, sizeof(vm->host) - offsetof(struct nestmig_host_view, nested)},
		{vm->ram, RAM_SIZE},
	};

	number %= sizeof(parts) / sizeof(parts[0]);
	return parts[number];
}

static void change(struct vm *vm, struct input *in)
{
	while (in->size >= 6) {
		struct part part = part_of(vm, take(in));
		size_t offset = take(in), length;

		offset |= (size_t)take(in) << 8;
		offset |= (size_t)take(in) << 16;
		offset %= part.size;
		length = take(in) % 16 + 1;
		for (; length > 0 && in->size > 0 && offset < part.size; length--)
			((uint8_t *)part.bytes)[offset++] = take(in);
	}
}

/*
 * What is said in two ways is said alike, for rules take the one where the other is missing, and what goes
 * without saying is so:
 * - VMMs give a guest 32 bits of addresses at least;
 * - QEMU sends 0 for an error code that a stream leaves out;
 * - a host's CPUID has SVM where kvm_amd's nested is on (svm_set_cpu_caps of 6.1);
 * - the ioctls of nested state came with 4.20 on Intel and with 5.8 on AMD.
 */
static void agree(struct vm *vm, unsigned lacking)
{
	struct nestmig_vcpu_view *v = &vm->vcpu.view;
	struct nestmig_host_view *h = &vm->host;
	bool on_intel = h->vendor == NESTMIG_VENDOR_INTEL;
	uint32_t *word = &v->cpuid.word[NESTMIG_CPUID_80000008_EAX];

	if ((*word & 0xff) < 32)
		*word |= 32;
	if (vm->vcpu.qemu.present && lacking == NESTMIG_ITEM_ERROR_CODE)
		v->events.exc_error_code = 0;
	word = &h->cpuid.word[NESTMIG_CPUID_80000001_ECX];
	*word = (*word & ~CPUID_SVM) | (h->nested && !on_intel ? CPUID_SVM : 0);
	if (h->kernel)
		h->has_nested_state =
			h->kernel >= (on_intel ? NESTMIG_KERNEL(4, 20) : NESTMIG_KERNEL(5, 8));
}

static void make_vm(struct vm *vm, uint8_t kind)
{
	if (kind & 2)
		vmx_vm_new(vm);
	else
		vm_new(vm);
	if (kind & 1 && kind & 2)
		vmx_enter_smm(vm);
	else if (kind & 1)
		vm_enter_smm(vm);
	if (kind & 4)
		vm->vcpu.qemu.present = true;
	if (kind & 8)
		vm->host = (struct nestmig_host_view){0};
	if (kind & 16)
		vm->state.restore_order = (char *)(uintptr_t) "KVM_SET_NESTED_STATE";
	nm_order_parse(vm->state.restore_order, &vm->order);
}

/* What a user sees: the verdict, and both texts, which are the caller's. */
static enum nestmig_verdict report(const struct vm *vm, char **ret_json, char **ret_text)
{
	struct nestmig_host host = {.view = vm->host};
	struct nestmig_report *report = NULL;
	enum nestmig_verdict verdict;

	if (nestmig_judge(&vm->state, &host, &report) ||
	    nestmig_report_json(report, "fuzz", ret_json) ||
	    nestmig_report_text(report, "fuzz", false, ret_text))
		abort();
	verdict = nestmig_report_verdict(report);
	nestmig_report_free(report);
	return verdict;
}

static bool has_unknown_error(const struct vm *vm, const struct judged *judged)
{
	for (unsigned i = 0; i < NESTMIG_RULES; i++)
		if (nm_rule_bit(judged->unknown, i) &&
		    nm_rule_severity(&nm_rules[i],
				     nm_rule_consequence(&nm_rules[i], &judged->ctx, &vm->order)) ==
			    NM_SEVERITY_ERROR)
			return true;
	return false;
}

static void judge_twice(const struct vm *vm, struct judged *judged)
{
	char *json[2], *text[2];
	struct judged again;

	vm_judge(vm, judged);
	if (report(vm, &json[0], &text[0]) == NESTMIG_VERDICT_OK && has_unknown_error(vm, judged))
		abort();
	report(vm, &json[1], &text[1]);
	vm_judge(vm, &again);
	if (strcmp(json[0], json[1]) != 0 || strcmp(text[0], text[1]) != 0 ||
	    memcmp(judged->broken, again.broken, sizeof(again.broken)) != 0 ||
	    memcmp(judged->unknown, again.unknown, sizeof(again.unknown)) != 0)
		abort();
	for (unsigned i = 0; i < 2; i++) {
		free(json[i]);
		free(text[i]);
	}
}

/* Without one of its inputs a rule that is broken is broken or unknown. */
static void compare(const struct judged *whole, const struct judged *lacking, unsigned item)
{
	for (unsigned i = 0; i < NESTMIG_RULES; i++) {
		uint64_t inputs = nm_rule_inputs(&nm_rules[i]) | nm_rules[i].may_read;

		if (inputs >> item & 1 && nm_rule_bit(whole->broken, i) &&
		    !nm_rule_bit(lacking->broken, i) && !nm_rule_bit(lacking->unknown, i)) {
			fprintf(stderr, "%s looks satisfied without %s\n", nm_rules[i].id,
				nm_item_name((enum nestmig_item)item));
			abort();
		}
	}
}

/* A QEMU stream says by leaving the nested state out that there is none; and a processor of one vendor has
 * none of the other's. */
static bool says_none(const struct vm *vm)
{
	bool is_vmx = vm->vcpu.view.nested.format == KVMNS_FORMAT_VMX;

	return vm->vcpu.qemu.present ||
	       vm->vcpu.view.vendor == (is_vmx ? NESTMIG_VENDOR_AMD : NESTMIG_VENDOR_INTEL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	uint8_t kind = take(&in), item = take(&in) % (2 * NESTMIG_ITEM_COUNT);
	struct judged whole, lacking;
	struct vm vm;

	make_vm(&vm, kind);
	change(&vm, &in);
	if (item < NESTMIG_ITEM_COUNT)
		agree(&vm, item);
	judge_twice(&vm, &whole);
	if (item < NESTMIG_ITEM_COUNT) {
		bool is_said = item == NESTMIG_ITEM_NESTED && says_none(&vm);

		lack(&vm, item);
		judge_twice(&vm, &lacking);
		if (!is_said)
			compare(&whole, &lacking, item);
	}
	vm_free(&vm);
	return 0;
}
