// SPDX-License-Identifier: GPL-2.0-or-later
/* A context in its two forms. */
#include "flat.h"

#include <string.h>

#include "vmcs/vmcs12.h"

/* Members that are the same in both forms. */
#define VIEW_MEMBERS(X)                                                                            \
	X(have)                                                                                    \
	X(vendor)                                                                                  \
	X(nested)                                                                                  \
	X(sregs)                                                                                   \
	X(regs)                                                                                    \
	X(events)                                                                                  \
	X(debugregs)                                                                               \
	X(mp_state)                                                                                \
	X(smbase)                                                                                  \
	X(hsave_pa) X(vm_caps) X(cpuid) X(vmx) X(ept_root) X(vtpr) X(msrs_listed) X(link_header)
#define CTX_MEMBERS(X)                                                                             \
	X(lim)                                                                                     \
	X(mem)                                                                                     \
	X(sregs_first)                                                                             \
	X(events_first)                                                                            \
	X(no_nested)                                                                               \
	X(is_qemu)                                                                                 \
	X(svm_l2)                                                                                  \
	X(vmx_l2)                                                                                  \
	X(vmx_bare)                                                                                \
	X(events_before_sregs)                                                                     \
	X(mp_before_events)                                                                        \
	X(mp_before_nested)                                                                        \
	X(vmx) X(vmx_mem) X(vmx_msrs_late) X(regs_first) X(msrs_first) X(regs_after_events)
#define EPTP_MEMBERS(X) X(count) X(memtypes) X(walks) X(unbacked) X(any)

static void copy(uint8_t *to, const uint8_t *from, size_t size)
{
	if (from)
		memcpy(to, from, size);
}

static void flatten_areas(const struct nestmig_vcpu_view *v, struct nestmig_flat_vcpu_view *flat)
{
	const uint64_t counts[] = {
		v->vmcs12 ? vmcs12_vm_entry_msr_load_count(v->vmcs12) : 0,
		v->vmcs12 ? vmcs12_vm_exit_msr_load_count(v->vmcs12) : 0,
		v->vmcs12 ? vmcs12_vm_exit_msr_store_count(v->vmcs12) : 0,
	};

	for (unsigned i = 0; i < NESTMIG_MSR_AREAS; i++) {
		uint64_t count = counts[i] < NESTMIG_FLAT_MSRS ? counts[i] : NESTMIG_FLAT_MSRS;

		copy(flat->msr_areas[i], v->msr_areas[i], count * NESTMIG_MSR_ENTRY_SIZE);
	}
}

void flatten(const struct nestmig_ctx *ctx, struct nestmig_flat_ctx *ret_flat)
{
	const struct nestmig_vcpu_view *v = ctx->v;
	struct nestmig_flat_vcpu_view *flat = ret_flat->v;

	memset(ret_flat, 0, sizeof(*ret_flat));
	ret_flat->h[0] = *ctx->h;
#define COPY(member) ret_flat->member = ctx->member;
	CTX_MEMBERS(COPY)
#undef COPY
#define COPY(member) flat->member = v->member;
	VIEW_MEMBERS(COPY)
#undef COPY
#define COPY(member) flat->eptps.member = v->eptps.member;
	EPTP_MEMBERS(COPY)
#undef COPY
	copy(flat->smram, v->smram, sizeof(flat->smram));
	copy(flat->vmcb12, v->vmcb12, sizeof(flat->vmcb12));
	copy(flat->vmcs12, v->vmcs12, sizeof(flat->vmcs12));
	copy(flat->shadow_vmcs12, v->shadow_vmcs12, sizeof(flat->shadow_vmcs12));
	copy(flat->smm_vmcb12, v->smm_vmcb12, sizeof(flat->smm_vmcb12));
	copy(flat->hsave, v->hsave, sizeof(flat->hsave));
	for (unsigned i = 0; i < v->eptps.count && i < NESTMIG_EPTPS; i++)
		flat->eptps.entries[i] = v->eptps.entries[i];
	flatten_areas(v, flat);
}

void unflatten(const struct nestmig_flat_ctx *flat, struct unflattened *ret)
{
	const struct nestmig_flat_vcpu_view *v = flat->v;

	memset(ret, 0, sizeof(*ret));
	ret->ctx.v = &ret->view;
	ret->ctx.h = flat->h;
#define COPY(member) ret->ctx.member = flat->member;
	CTX_MEMBERS(COPY)
#undef COPY
#define COPY(member) ret->view.member = v->member;
	VIEW_MEMBERS(COPY)
#undef COPY
#define COPY(member) ret->view.eptps.member = v->eptps.member;
	EPTP_MEMBERS(COPY)
#undef COPY
	memcpy(ret->vmcs12[0], v->vmcs12, sizeof(v->vmcs12));
	memcpy(ret->vmcs12[1], v->shadow_vmcs12, sizeof(v->shadow_vmcs12));
	memcpy(ret->svm[0], v->smm_vmcb12, sizeof(v->smm_vmcb12));
	memcpy(ret->svm[1], v->hsave, sizeof(v->hsave));
	ret->view.smram = v->smram;
	ret->view.vmcb12 = v->vmcb12;
	ret->view.vmcs12 = ret->vmcs12[0];
	ret->view.shadow_vmcs12 = ret->vmcs12[1];
	ret->view.smm_vmcb12 = ret->svm[0];
	ret->view.hsave = ret->svm[1];
	ret->view.eptps.entries = v->eptps.entries;
	for (unsigned i = 0; i < NESTMIG_MSR_AREAS; i++) {
		memcpy(ret->areas[i], v->msr_areas[i], sizeof(v->msr_areas[i]));
		ret->view.msr_areas[i] = ret->areas[i];
	}
}

bool has_long_area(const struct nestmig_ctx *ctx)
{
	const uint8_t *page = ctx->v->vmcs12;

	return page && (vmcs12_vm_entry_msr_load_count(page) > NESTMIG_FLAT_MSRS ||
			vmcs12_vm_exit_msr_load_count(page) > NESTMIG_FLAT_MSRS ||
			vmcs12_vm_exit_msr_store_count(page) > NESTMIG_FLAT_MSRS);
}
