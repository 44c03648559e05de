// SPDX-License-Identifier: LGPL-2.1-or-later
/* The order in which a VMM restores a vCPU: a list of ioctls, from a raw dump or from the user. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "error.h"
#include "judge.h"

/* Ioctls of a restore and the stage that each is; those at NM_STAGE_NONE decide nothing here. */
static const struct {
	const char *name; /* after "KVM_SET_" */
	enum nm_stage stage;
} ioctls[] = {
	{"SREGS", NM_STAGE_SET_SREGS},
	{"SREGS2", NM_STAGE_SET_SREGS},
	{"NESTED_STATE", NM_STAGE_SET_NESTED_STATE},
	{"REGS", NM_STAGE_SET_REGS},
	{"MSRS", NM_STAGE_SET_MSRS},
	{"VCPU_EVENTS", NM_STAGE_SET_VCPU_EVENTS},
	{"MP_STATE", NM_STAGE_SET_MP_STATE},
	{"DEBUGREGS", NM_STAGE_SET_DEBUGREGS},
	{"CPUID", NM_STAGE_NONE},
	{"CPUID2", NM_STAGE_NONE},
	{"FPU", NM_STAGE_NONE},
	{"GUEST_DEBUG", NM_STAGE_NONE},
	{"LAPIC", NM_STAGE_NONE},
	{"ONE_REG", NM_STAGE_NONE},
	{"TSC_KHZ", NM_STAGE_NONE},
	{"XCRS", NM_STAGE_NONE},
	{"XSAVE", NM_STAGE_NONE},
};

/* Orders that have a name. */
static const struct {
	const char *name, *order;
} named[] = {
	/* kvm_arch_put_registers of QEMU 7.2: what nm_order_parse makes of no list. */
	{"qemu", ""},
	/* The order of the raw dumps of tests/hosts, like that of the kernel's own selftests: nested
	 * state last, when all that it is checked against is there. */
	{"selftests", "CPUID2,MSRS,SREGS2,REGS,XSAVE,VCPU_EVENTS,MP_STATE,DEBUGREGS,NESTED_STATE"},
};

static const char separators[] = ", \t\n";

static bool same_word(const char *text, size_t length, const char *word)
{
	return strlen(word) == length && !strncasecmp(text, word, length);
}

/* The stage of one name of a restore order, NM_STAGES if it is no ioctl. */
static enum nm_stage stage_of(const char *text, size_t length)
{
	static const char prefix[] = "KVM_SET_";

	if (length > strlen(prefix) && !strncasecmp(text, prefix, strlen(prefix))) {
		text += strlen(prefix);
		length -= strlen(prefix);
	}
	for (size_t i = 0; i < sizeof(ioctls) / sizeof(ioctls[0]); i++)
		if (same_word(text, length, ioctls[i].name))
			return ioctls[i].stage;
	return NM_STAGES;
}

void nm_order_parse(const char *restore_order, struct nm_order *ret_order)
{
	bool placed[NM_STAGES] = {false};
	uint8_t next = 0;

	for (const char *text = restore_order; text && *text;) {
		size_t length = strcspn(text, separators);
		enum nm_stage stage = stage_of(text, length);

		if (stage < NM_STAGE_NONE && !placed[stage]) {
			ret_order->rank[stage] = next++;
			placed[stage] = true;
		}
		text += length;
		text += strspn(text, separators);
	}
	for (unsigned stage = 0; stage < NM_STAGES; stage++)
		if (!placed[stage])
			ret_order->rank[stage] = next++;
}

/* Any list: NESTMIG_OK if each of its names is an ioctl and at least one decides. */
static enum nestmig_error check_names(const char *order, struct nestmig_detail *detail)
{
	bool any = false;

	for (const char *text = order + strspn(order, separators); *text;) {
		size_t length = strcspn(text, separators);
		enum nm_stage stage = stage_of(text, length);

		if (stage == NM_STAGES)
			return nm_fail(
				detail, NESTMIG_ERR_INVALID,
				"\"%.*s\" is no ioctl of a restore: give names such as "
				"KVM_SET_SREGS2 or SREGS2, or \"qemu\" or \"selftests\" alone",
				length < 40 ? (int)length : 40, text);
		any |= stage < NM_STAGE_NONE;
		text += length;
		text += strspn(text, separators);
	}
	if (!any)
		return nm_fail(detail, NESTMIG_ERR_INVALID,
			       "the restore order names no ioctl that any rule goes by");
	return NESTMIG_OK;
}

enum nestmig_error nestmig_state_set_restore_order(struct nestmig_state *state, const char *order,
						   struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;
	bool has_name = false;
	char *copy;

	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]) && !has_name; i++) {
		has_name = !strcasecmp(order, named[i].name);
		order = has_name ? named[i].order : order;
	}
	if (!has_name)
		error = check_names(order, detail);
	if (error)
		return error;
	copy = strdup(order);
	if (!copy)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	free(state->restore_order);
	state->restore_order = copy;
	return NESTMIG_OK;
}
