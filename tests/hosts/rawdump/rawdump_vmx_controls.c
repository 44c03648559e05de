// SPDX-License-Identifier: GPL-2.0-or-later
/* Which VM-execution, VM-exit and VM-entry controls L1 uses: what it must, what it wants and may. */
#include <stdio.h>
#include <sys/ioctl.h>

#include "rawdump_vmx.h"

int vmx_msrs_read(int fd, struct vmx_msrs *ret_msrs)
{
	for (uint32_t i = 0; i < MSR_VMX_COUNT; i++) {
		struct one_msr msr = {.count = 1, .entry.index = MSR_VMX_BASIC + i};

		if (ioctl(fd, KVM_GET_MSRS, &msr) != 1) {
			fprintf(stderr, "rawdump: KVM tells no VMX capability 0x%x: nested=1?\n",
				MSR_VMX_BASIC + i);
			return -1;
		}
		ret_msrs->values[i] = msr.entry.data;
	}
	return 0;
}

static uint64_t value_of(const struct vmx_msrs *msrs, uint32_t index)
{
	return msrs->values[index - MSR_VMX_BASIC];
}

/* The low half of a capability MSR says what must be 1, the high half what may be. */
static uint32_t allowed(const struct vmx_msrs *msrs, uint32_t index, uint32_t wanted)
{
	uint64_t msr = value_of(msrs, index);

	return ((uint32_t)msr | wanted) & (uint32_t)(msr >> 32);
}

/* What L1 cannot do without. */
static void want(const struct guest *guest, struct vmx_controls *wanted)
{
	*wanted = (struct vmx_controls){
		.pin = PIN_INTERRUPTS | PIN_NMIS,
		.proc = PROC_HLT | PROC_MSR_BITMAPS,
		.exit = EXIT_HOST_64 | EXIT_SAVE_DEBUG | EXIT_SAVE_PAT | EXIT_LOAD_PAT |
			EXIT_SAVE_EFER | EXIT_LOAD_EFER,
		.entry = ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER,
	};
	if (guest->mode == L2_LONG)
		wanted->entry |= ENTRY_GUEST_64;
	if (guest->mode == L2_REAL)
		wanted->proc2 |= PROC2_UNRESTRICTED;
	if (guest->nested_paging)
		wanted->proc2 |= PROC2_EPT;
	if (guest->extra == VMX_EPTP_LIST)
		wanted->proc2 |= PROC2_VMFUNC;
	if (guest->extra == VMX_APIC_ACCESS)
		wanted->proc2 |= PROC2_APIC_ACCESSES;
	if (guest->extra == VMX_X2APIC)
		wanted->proc2 |= PROC2_X2APIC | PROC2_APIC_REGISTERS | PROC2_INTERRUPTS;
	if (guest->extra == VMX_TPR_SHADOW || wanted->proc2 & PROC2_X2APIC)
		wanted->proc |= PROC_TPR_SHADOW;
	if (wanted->proc2)
		wanted->proc |= PROC_SECONDARY;
}

/* Everything, but for what makes L2 exit now and then or at its OUTs, and half of what excludes each other. */
static void want_all(const struct guest *guest, struct vmx_controls *wanted)
{
	wanted->pin = wanted->exit = UINT32_MAX;
	wanted->proc = ~(PROC_IRQ_WINDOW | PROC_NMI_WINDOW | PROC_ALL_IO | PROC_MONITOR_TRAP);
	wanted->proc2 = ~PROC2_X2APIC;
	if (!guest->nested_paging)
		wanted->proc2 &= ~(PROC2_EPT | PROC2_UNRESTRICTED | PROC2_VMFUNC | PROC2_PML);
	wanted->entry = guest->mode == L2_LONG ? UINT32_MAX : ~ENTRY_GUEST_64;
}

int vmx_controls_choose(const struct vmx_msrs *msrs, const struct guest *guest,
			struct vmx_controls *ret_controls)
{
	struct vmx_controls needed, wanted;

	want(guest, &needed);
	wanted = needed;
	if (guest->extra == VMX_FULL)
		want_all(guest, &wanted);
	*ret_controls = (struct vmx_controls){
		.pin = allowed(msrs, MSR_VMX_TRUE_PIN, wanted.pin),
		.proc = allowed(msrs, MSR_VMX_TRUE_PROC, wanted.proc),
		.proc2 = allowed(msrs, MSR_VMX_PROC2, wanted.proc2),
		.exit = allowed(msrs, MSR_VMX_TRUE_EXIT, wanted.exit),
		.entry = allowed(msrs, MSR_VMX_TRUE_ENTRY, wanted.entry),
		.vmfunc = value_of(msrs, MSR_VMX_VMFUNC) & VMFUNC_EPTP_SWITCHING,
	};
	if (ret_controls->proc2 & PROC2_EPT) {
		ret_controls->eptp = ADDRESS_NESTED_PML4 | EPT_WRITE_BACK | EPT_WALK_4;
		if (guest->extra == VMX_FULL &&
		    value_of(msrs, MSR_VMX_EPT_VPID) & EPT_CAP_ACCESSED_DIRTY)
			ret_controls->eptp |= EPT_ACCESSED_DIRTY;
	}
	if (guest->extra == VMX_EPTP_LIST && !ret_controls->vmfunc)
		return -1;
	return (needed.pin & ~ret_controls->pin) || (needed.proc & ~ret_controls->proc) ||
			       (needed.proc2 & ~ret_controls->proc2) ||
			       (needed.exit & ~ret_controls->exit) ||
			       (needed.entry & ~ret_controls->entry)
		       ? -1
		       : 0;
}

bool vmx_guest_fits(int kvm_fd, const struct guest *guest)
{
	struct vmx_controls controls;
	struct vmx_msrs msrs;

	if (guest->plain)
		return true;
	return !vmx_msrs_read(kvm_fd, &msrs) && !vmx_controls_choose(&msrs, guest, &controls);
}
