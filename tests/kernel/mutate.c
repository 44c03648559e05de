// SPDX-License-Identifier: GPL-2.0-or-later
/* Random changes of a flat context. */
#include "mutate.h"

#include <stddef.h>
#include <string.h>

#include "vmcb/vmcb12.h"
#include "vmcs/vmcs12.h"

/* What is at a place: bytes of any meaning, bytes that are 0 or 1, values of enum nestmig_backed. */
enum kind { BYTES, FLAGS, BACKED };

struct place {
	enum kind kind;
	size_t offset, size;
	unsigned weight;
};

#define CTX(kind, member, weight)                                                                  \
	{                                                                                          \
		kind, offsetof(struct nestmig_flat_ctx, member),                                   \
			sizeof(((struct nestmig_flat_ctx *)0)->member), weight                     \
	}
#define HOST_FLAG(member) CTX(FLAGS, h[0].member, 1)

static const struct place places[] = {
	CTX(BYTES, v[0].nested, 8),
	CTX(BYTES, v[0].sregs, 20),
	CTX(BYTES, v[0].regs, 3),
	CTX(BYTES, v[0].events, 12),
	CTX(BYTES, v[0].debugregs, 2),
	CTX(BYTES, v[0].mp_state, 2),
	CTX(BYTES, v[0].smbase, 1),
	CTX(BYTES, v[0].hsave_pa, 1),
	CTX(BYTES, v[0].vm_caps, 2),
	CTX(BYTES, v[0].cpuid, 8),
	CTX(BYTES, v[0].vmx, 8),
	CTX(BYTES, v[0].ept_root.any, 1),
	CTX(FLAGS, v[0].ept_root.write_only, 1),
	CTX(FLAGS, v[0].ept_root.execute_only, 1),
	CTX(BYTES, v[0].vtpr, 1),
	CTX(BYTES, v[0].msrs_listed, 1),
	CTX(BYTES, v[0].link_header, 1),
	CTX(BYTES, v[0].smram, 15),
	CTX(BYTES, v[0].vmcb12, 20),
	CTX(BYTES, v[0].vmcs12, 40),
	CTX(BYTES, v[0].shadow_vmcs12, 1),
	CTX(BYTES, v[0].smm_vmcb12, 10),
	CTX(BYTES, v[0].hsave, 10),
	CTX(BYTES, v[0].eptps.memtypes, 1),
	CTX(BYTES, v[0].eptps.walks, 1),
	CTX(FLAGS, v[0].eptps.unbacked, 1),
	CTX(BYTES, v[0].eptps.any, 1),
	CTX(BYTES, v[0].msr_areas, 6),
	CTX(BYTES, h[0].cpuid, 3),
	CTX(BYTES, h[0].vmx, 4),
	HOST_FLAG(nested),
	HOST_FLAG(npt),
	HOST_FLAG(ept),
	HOST_FLAG(unrestricted_guest),
	HOST_FLAG(no_emulation),
	HOST_FLAG(vgif),
	HOST_FLAG(vls),
	HOST_FLAG(has_nested_state),
	CTX(BYTES, lim.cr4_ok, 1),
	CTX(BYTES, lim.cr4_bad, 1),
	CTX(BYTES, lim.efer_ok, 1),
	CTX(BYTES, lim.efer_bad, 1),
	CTX(BACKED, mem, 8),
	CTX(BACKED, vmx_mem, 8),
	CTX(BYTES, vmx, 8),
	CTX(FLAGS, sregs_first, 1),
	CTX(FLAGS, events_first, 1),
	CTX(FLAGS, no_nested, 1),
	CTX(FLAGS, is_qemu, 1),
	CTX(FLAGS, svm_l2, 2),
	CTX(FLAGS, vmx_l2, 2),
	CTX(FLAGS, events_before_sregs, 1),
	CTX(FLAGS, mp_before_events, 1),
	CTX(FLAGS, mp_before_nested, 1),
	CTX(FLAGS, vmx_msrs_late, 1),
	CTX(FLAGS, regs_first, 1),
	CTX(FLAGS, msrs_first, 1),
	CTX(FLAGS, regs_after_events, 1),
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct place *draw_place(struct random *random)
{
	unsigned total = 0, drawn;

	for (size_t i = 0; i < COUNT(places); i++)
		total += places[i].weight;
	drawn = random_below(random, total);
	for (size_t i = 0; i < COUNT(places); i++) {
		if (drawn < places[i].weight)
			return &places[i];
		drawn -= places[i].weight;
	}
	return &places[0];
}

static uint64_t draw_value(uint64_t old, unsigned width, struct random *random)
{
	static const uint64_t some[] = {0,
					1,
					2,
					3,
					0x1000,
					0xffff,
					0x8000,
					0x10033,
					0x80000021,
					UINT64_C(0x8000000000000000),
					UINT64_C(0xffff800000000000)};

	switch (random_below(random, 6)) {
	case 0:
		return random_draw(random);
	case 1:
		return ~UINT64_C(0);
	case 2:
		return some[random_below(random, COUNT(some))];
	default:
		return old ^ UINT64_C(1) << random_below(random, 8 * width);
	}
}

static void change_bytes(uint8_t *at, size_t size, struct random *random)
{
	unsigned width = 1U << random_below(random, 4);
	uint64_t value = 0;
	size_t offset;

	while (width > size)
		width /= 2;
	offset = random_below(random, (unsigned)(size / width)) * width;
	memcpy(&value, at + offset, width);
	value = draw_value(value, width, random);
	memcpy(at + offset, &value, width);
}

static void change_place(struct nestmig_flat_ctx *flat, struct random *random)
{
	const struct place *place = draw_place(random);
	uint8_t *at = (uint8_t *)flat + place->offset;
	enum nestmig_backed backed = random_below(random, NESTMIG_BACKED_YES + 1);
	size_t offset = random_below(random, (unsigned)(place->size / sizeof(backed)) + 1);

	switch (place->kind) {
	case BYTES:
		change_bytes(at, place->size, random);
		break;
	case FLAGS:
		*at ^= 1;
		break;
	case BACKED:
		offset = offset * sizeof(backed) % place->size;
		memcpy(at + offset, &backed, sizeof(backed));
		break;
	}
}

/* A field that has a name is hit more often than a random place in a page. */
static void change_field(struct nestmig_flat_ctx *flat, struct random *random)
{
	static const struct {
		uint16_t offset, width;
	} vmcs12[] =
		{
#define VMCS_FIELD(offset, width, name, encoding) {offset, width},
#include "vmcs/layout.def"
#undef VMCS_FIELD
		},
	  vmcb12[] = {
#define VMCB_FIELD(area, offset, width, ident, name, in_blob) {VMCB12_AT_##area + (offset), width},
#include "vmcb/layout.def"
#undef VMCB_FIELD
	  };
	struct nestmig_flat_vcpu_view *v = flat->v;
	uint8_t *pages[] = {v->vmcb12, v->smm_vmcb12, v->hsave, v->vmcs12};
	unsigned which = random_below(random, COUNT(pages)), n;
	size_t offset;
	unsigned width;

	if (pages[which] == v->vmcs12) {
		n = random_below(random, COUNT(vmcs12));
		offset = vmcs12[n].offset, width = vmcs12[n].width;
	} else {
		n = random_below(random, COUNT(vmcb12));
		offset = vmcb12[n].offset, width = vmcb12[n].width;
	}
	if (width <= 8)
		change_bytes(pages[which] + offset, width, random);
}

static void change_what_is_known(struct nestmig_flat_ctx *flat, struct random *random)
{
	uint64_t bit = UINT64_C(1) << random_below(random, NESTMIG_ITEM_COUNT);

	if (random_below(random, 4) == 0) {
		flat->v[0].have |= bit & (NESTMIG_HAVE(MEMORY) - 1);
		return;
	}
	flat->v[0].have &= ~bit;
	flat->h[0].have &= ~bit;
}

static void change_host(struct nestmig_flat_ctx *flat, struct random *random)
{
	static const uint32_t kernels[] = {0,
					   NESTMIG_KERNEL(5, 8),
					   NESTMIG_KERNEL(6, 1),
					   NESTMIG_KERNEL(6, 2),
					   NESTMIG_KERNEL(6, 6),
					   NESTMIG_KERNEL(6, 12),
					   NESTMIG_KERNEL(6, 18),
					   NESTMIG_KERNEL(7, 0),
					   NESTMIG_KERNEL(7, 1),
					   NESTMIG_KERNEL(7, 2)};
	static const uint8_t bits[][2] = {{32, 52}, {36, 36}, {40, 40},
					  {52, 52}, {64, 64}, {40, 52}};
	unsigned drawn = random_below(random, COUNT(bits));

	switch (random_below(random, 4)) {
	case 0:
		flat->h[0].vendor = random_below(random, NESTMIG_VENDOR_AMD + 1);
		break;
	case 1:
		flat->v[0].vendor = random_below(random, NESTMIG_VENDOR_AMD + 1);
		break;
	case 2:
		flat->lim.phys_bits_min = bits[drawn][0];
		flat->lim.phys_bits_max = bits[drawn][1];
		break;
	default:
		flat->h[0].kernel = kernels[random_below(random, COUNT(kernels))];
	}
}

void mutate(struct nestmig_flat_ctx *flat, struct random *random)
{
	unsigned count = 1 + random_below(random, 6);

	for (unsigned i = 0; i < count; i++) {
		switch (random_below(random, 12)) {
		case 0:
			change_what_is_known(flat, random);
			break;
		case 1:
			change_host(flat, random);
			break;
		case 2:
		case 3:
		case 4:
			change_field(flat, random);
			break;
		default:
			change_place(flat, random);
		}
	}
}
