/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading the SMRAM save area. Needs no libc.
 *
 * smram64_<ident>(image) and smram32_<ident>(image) read a field of KVM's two maps (layout.def); the
 * image is the NESTMIG_SMRAM_SIZE bytes at SMBASE + NESTMIG_SMRAM_BASE that RSM of KVM loads. Intel's
 * maps start 512 bytes earlier: intel64_<ident>(area) and intel32_<ident>(area) take the
 * SMRAM_AREA_SIZE bytes at SMBASE + SMRAM_AREA_BASE. A range gives a pointer to its first byte.
 */
#ifndef NESTMIG_SMRAM_H
#define NESTMIG_SMRAM_H

#include "../bytes.h"

#define SMRAM_AREA_BASE          0xfc00
#define SMRAM_AREA_SIZE          1024

#define SMRAM_START_smram64      NESTMIG_SMRAM_BASE
#define SMRAM_START_smram32      NESTMIG_SMRAM_BASE
#define SMRAM_START_intel64      SMRAM_AREA_BASE
#define SMRAM_START_intel32      SMRAM_AREA_BASE

#define SMRAM_OFFSET_OF_smram64  SMRAM64_OFFSET_
#define SMRAM_OFFSET_OF_smram32  SMRAM32_OFFSET_
#define SMRAM_OFFSET_OF_intel64  INTEL64_OFFSET_
#define SMRAM_OFFSET_OF_intel32  INTEL32_OFFSET_
#define SMRAM_PASTE_(a, b)       a##b
#define SMRAM_PASTE(a, b)        SMRAM_PASTE_(a, b)
#define SMRAM_OFFSET(map, ident) SMRAM_PASTE(SMRAM_OFFSET_OF_##map, ident)

/* Offset of each field in its image: SMRAM64_OFFSET_<ident>, SMRAM32_OFFSET_<ident>; in the area:
 * INTEL64_OFFSET_<ident>, INTEL32_OFFSET_<ident>. */
enum smram_offset {
#define SMRAM_FIELD(map, offset, width, ident, name, loaded)                                       \
	SMRAM_OFFSET(map, ident) = (offset)-SMRAM_START_##map,
#include "layout.def"
#undef SMRAM_FIELD
};

#define SMRAM_FIELD(map, offset, width, ident, name, loaded)                                       \
	static inline uint64_t map##_##ident(const uint8_t *bytes)                                 \
	{                                                                                          \
		return nm_le(bytes + SMRAM_OFFSET(map, ident), width);                             \
	}
#define SMRAM_RANGE(map, offset, width, ident, name, loaded)                                       \
	static inline const uint8_t *map##_##ident(const uint8_t *bytes)                           \
	{                                                                                          \
		return bytes + SMRAM_OFFSET(map, ident);                                           \
	}
#include "layout.def"
#undef SMRAM_FIELD

/* What KVM writes as revision id; bits 15:0 tell the map. RSM of KVM does not look at it. */
#define SMRAM64_REVISION 0x00020064
#define SMRAM32_REVISION 0x00020000

#define SMRAM_CPUID_LM   (1U << 29) /* CPUID 8000_0001h EDX */

/* Segment attributes, as smram64 has them; those of smram32 shifted right by 8 are the same. */
#define SMRAM_ATTRIB_TYPE(a) ((unsigned)(a)&0xf)
#define SMRAM_ATTRIB_S(a)    ((unsigned)(a) >> 4 & 1)
#define SMRAM_ATTRIB_DPL(a)  ((unsigned)(a) >> 5 & 3)
#define SMRAM_ATTRIB_P(a)    ((unsigned)(a) >> 7 & 1)
#define SMRAM_ATTRIB_AVL(a)  ((unsigned)(a) >> 12 & 1)
#define SMRAM_ATTRIB_L(a)    ((unsigned)(a) >> 13 & 1)
#define SMRAM_ATTRIB_DB(a)   ((unsigned)(a) >> 14 & 1)
#define SMRAM_ATTRIB_G(a)    ((unsigned)(a) >> 15 & 1)

/* Which of KVM's maps RSM loads: the guest's CPUID decides, on either vendor's processors (em_rsm of
 * 6.1, emulator_leave_smm from 6.2). */
enum smram_map { SMRAM_MAP_UNKNOWN, SMRAM_MAP_64, SMRAM_MAP_32 };

static inline enum smram_map smram_map_of_cpuid(const struct nestmig_cpuid *cpuid)
{
	if (!(cpuid->have & 1U << NESTMIG_CPUID_80000001_EDX))
		return SMRAM_MAP_UNKNOWN;
	return cpuid->word[NESTMIG_CPUID_80000001_EDX] & SMRAM_CPUID_LM ? SMRAM_MAP_64
									: SMRAM_MAP_32;
}

#endif
