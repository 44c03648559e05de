// SPDX-License-Identifier: LGPL-2.1-or-later
/* What guests of two hosts are offered: CPUID, and the VMX capability MSRs. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bits.h"
#include "host_cpuid.h"
#include "host_diff.h"
#include "host_parts.h"
#include "vmcs/vmcs12.h"

#define LOST_BIT   "A guest that has it on A cannot be given the same CPU on B."
#define LOST_VMX   "An L1 that uses it for its L2 is refused on B."
#define FORCED_VMX "An L1 that leaves it clear for its L2 is refused on B."
#define LOST_PAGES "An L1 that uses nested paging for its L2, as hypervisors do, is refused on B."
#define LOST_GUEST                                                                                 \
	"An L1 that uses unrestricted guest for its L2, as hypervisors do, is refused on B."

/* ---- CPUID ----------------------------------------------------------------------------------- */

/* Bits without which no L2 runs, or none as hypervisors run it. */
static const char *blocks_without(const struct nm_features *features, unsigned bit)
{
	const char *name = features->names[bit];

	if (!name)
		return NULL;
	if ((features->function == 0x80000001 && !strcmp(name, "svm")) ||
	    (features->function == 1 && !strcmp(name, "vmx")))
		return "Guests of B have no virtualization of their own.";
	return features->function == 0x8000000a && !strcmp(name, "npt") ? LOST_PAGES : NULL;
}

static enum nestmig_error compare_register(struct nm_host_diff *diff,
					   const struct nm_features *features)
{
	uint32_t a = nm_features_of(features, diff->a->cpuid, diff->a->cpuid_count);
	uint32_t b = nm_features_of(features, diff->b->cpuid, diff->b->cpuid_count);
	enum nestmig_error error = NESTMIG_OK;

	for (unsigned bit = 0; bit < 32 && !error; bit++) {
		bool on_a = a >> bit & 1, on_b = b >> bit & 1;
		const char *why = blocks_without(features, bit);
		char name[64];

		if (on_a == on_b)
			continue;
		nm_feature_name(features, bit, name, sizeof(name));
		if (on_a)
			error = nm_host_diff_add(diff, why ? NM_LEVEL_BLOCKS : NM_LEVEL_RISK,
						 "cpuid", name, "on", "off", why ? why : LOST_BIT);
		else
			error = nm_host_diff_add(diff, NM_LEVEL_INFO, "cpuid", name, "off", "on",
						 "");
	}
	return error;
}

/* A width or a number that guests may use up to its whole. */
static enum nestmig_error compare_number(struct nm_host_diff *diff, const char *name, unsigned a,
					 unsigned b, enum nm_host_level less, const char *why)
{
	char left[16], right[16];

	if (!a || !b || a == b)
		return NESTMIG_OK;
	snprintf(left, sizeof(left), "%u", a);
	snprintf(right, sizeof(right), "%u", b);
	return nm_host_diff_add(diff, b < a ? less : NM_LEVEL_INFO, "cpuid", name, left, right,
				b < a ? why : "");
}

enum nestmig_error nm_host_diff_cpuid(struct nm_host_diff *diff)
{
	const uint32_t *a = diff->a->view.cpuid.word, *b = diff->b->view.cpuid.word;
	enum nestmig_error error = NESTMIG_OK;

	if (!diff->a->cpuid_count || !diff->b->cpuid_count)
		return NESTMIG_OK;
	for (size_t i = 0; i < nm_features_count && !error; i++)
		if (nm_features[i].reg)
			error = compare_register(diff, &nm_features[i]);
	if (!error)
		error = compare_number(
			diff, "MAXPHYADDR", nm_host_maxphyaddr(diff->a),
			nm_host_maxphyaddr(diff->b), NM_LEVEL_RISK,
			"State with addresses that are wider than B has is refused.");
	if (!error)
		error = compare_number(diff, "ASIDs", a[NESTMIG_CPUID_8000000A_EBX],
				       b[NESTMIG_CPUID_8000000A_EBX], NM_LEVEL_INFO, "");
	return error;
}

/* ---- VMX ------------------------------------------------------------------------------------- */

/* A field of controls, and the MSR whose halves say what must and may be 1. */
static const struct {
	enum vmx_msr msr;
	const char *field, *label;
	bool is_low_half_too; /* the low half: must be 1 */
} controls[] = {
	{VMX_TRUE_PIN, "vmcs12.pin_based_vm_exec_control", "pin-based control", true},
	{VMX_TRUE_PROC, "vmcs12.cpu_based_vm_exec_control", "processor-based control", true},
	{VMX_PROC2, "vmcs12.secondary_vm_exec_control", "secondary control", true},
	{VMX_TRUE_EXIT, "vmcs12.vm_exit_controls", "VM-exit control", true},
	{VMX_TRUE_ENTRY, "vmcs12.vm_entry_controls", "VM-entry control", true},
};

/* MSRs of which each bit is something that is offered. */
static const struct {
	enum vmx_msr msr;
	const char *field, *label;
	uint64_t bits;
} offers[] = {
	{VMX_EPT_VPID_CAP, NULL, "EPT and VPID capability", UINT64_MAX},
	{VMX_VMFUNC, NULL, "VM function", UINT64_MAX},
	{VMX_MISC, NULL, "VMX capability", 0x6000c1e0}, /* bits 5 to 8, 14, 15, 29, 30 */
	{VMX_CR0_FIXED1, "vmcs12.guest_cr0", "CR0 bit", UINT64_MAX},
	{VMX_CR4_FIXED1, "vmcs12.guest_cr4", "CR4 bit", UINT64_MAX},
};

static void bit_name(const char *field, const char *label, unsigned bit, char *buffer, size_t size)
{
	const struct nm_bit *names = field ? nm_bits_of(field) : NULL;

	while (names && names->name && names->bit != bit)
		names++;
	if (names && names->name && *names->name)
		snprintf(buffer, size, "%s %s", label, names->name);
	else
		snprintf(buffer, size, "%s %u", label, bit);
}

static bool both_have(const struct nm_host_diff *diff, enum vmx_msr msr)
{
	return diff->a->view.vmx.have >> msr & 1 && diff->b->view.vmx.have >> msr & 1;
}

/* What most hypervisors use for every L2. */
static const char *vmx_blocks_without(enum vmx_msr msr, unsigned bit)
{
	if (msr == VMX_PROC2 && bit == 1)
		return LOST_PAGES;
	return msr == VMX_PROC2 && bit == 7 ? LOST_GUEST : NULL;
}

static enum nestmig_error lost_bits(struct nm_host_diff *diff, enum vmx_msr msr, const char *field,
				    const char *label, uint64_t a, uint64_t b)
{
	enum nestmig_error error = NESTMIG_OK;

	for (unsigned bit = 0; bit < 64 && !error; bit++) {
		const char *why = vmx_blocks_without(msr, bit);
		bool on_a = a >> bit & 1, on_b = b >> bit & 1;
		char name[96];

		if (on_a == on_b)
			continue;
		bit_name(field, label, bit, name, sizeof(name));
		if (on_a)
			error = nm_host_diff_add(diff, why ? NM_LEVEL_BLOCKS : NM_LEVEL_RISK, "vmx",
						 name, "offered", "not offered",
						 why ? why : LOST_VMX);
		else
			error = nm_host_diff_add(diff, NM_LEVEL_INFO, "vmx", name, "not offered",
						 "offered", "");
	}
	return error;
}

/* Bits that B wants to be 1 and A does not. */
static enum nestmig_error forced_bits(struct nm_host_diff *diff, const char *field,
				      const char *label, uint32_t a, uint32_t b)
{
	enum nestmig_error error = NESTMIG_OK;

	for (unsigned bit = 0; bit < 32 && !error; bit++) {
		char name[96];

		if (!(b >> bit & 1) || a >> bit & 1)
			continue;
		bit_name(field, label, bit, name, sizeof(name));
		error = nm_host_diff_add(diff, NM_LEVEL_RISK, "vmx", name, "may be clear",
					 "must be set", FORCED_VMX);
	}
	return error;
}

enum nestmig_error nm_host_diff_vmx(struct nm_host_diff *diff)
{
	const uint64_t *a = diff->a->view.vmx.value, *b = diff->b->view.vmx.value;
	enum nestmig_error error = NESTMIG_OK;

	for (size_t i = 0; i < sizeof(controls) / sizeof(controls[0]) && !error; i++) {
		enum vmx_msr msr = controls[i].msr;

		if (!both_have(diff, msr))
			continue;
		error = lost_bits(diff, msr, controls[i].field, controls[i].label, a[msr] >> 32,
				  b[msr] >> 32);
		if (!error)
			error = forced_bits(diff, controls[i].field, controls[i].label,
					    (uint32_t)a[msr], (uint32_t)b[msr]);
	}
	for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]) && !error; i++)
		if (both_have(diff, offers[i].msr))
			error = lost_bits(diff, offers[i].msr, offers[i].field, offers[i].label,
					  a[offers[i].msr] & offers[i].bits,
					  b[offers[i].msr] & offers[i].bits);
	return error;
}
