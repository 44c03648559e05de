/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading integers from bytes: the only two ways, little-endian and big-endian. Needs no libc, so
 * predicates may use it. A BPF program runs on x86 here and loads little-endian ones as they are. */
#ifndef NESTMIG_BYTES_H
#define NESTMIG_BYTES_H

#include "view.h"

#ifdef __bpf__
typedef uint16_t __attribute__((may_alias)) nm_loaded16;
typedef uint32_t __attribute__((may_alias)) nm_loaded32;
typedef uint64_t __attribute__((may_alias)) nm_loaded64;

static inline uint16_t nm_le16(const uint8_t *p)
{
	return *(const nm_loaded16 *)p;
}

static inline uint32_t nm_le32(const uint8_t *p)
{
	return *(const nm_loaded32 *)p;
}

static inline uint64_t nm_le64(const uint8_t *p)
{
	return *(const nm_loaded64 *)p;
}
#else
/* In the one large function of evaluate.c GCC would else call them. */
static inline __attribute__((always_inline)) uint16_t nm_le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline __attribute__((always_inline)) uint32_t nm_le32(const uint8_t *p)
{
	return (uint32_t)nm_le16(p) | (uint32_t)nm_le16(p + 2) << 16;
}

static inline __attribute__((always_inline)) uint64_t nm_le64(const uint8_t *p)
{
	return (uint64_t)nm_le32(p) | (uint64_t)nm_le32(p + 4) << 32;
}
#endif

static inline uint16_t nm_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t nm_be32(const uint8_t *p)
{
	return (uint32_t)nm_be16(p) << 16 | (uint32_t)nm_be16(p + 2);
}

static inline uint64_t nm_be64(const uint8_t *p)
{
	return (uint64_t)nm_be32(p) << 32 | (uint64_t)nm_be32(p + 4);
}

/* An unsigned little-endian integer of 1, 2, 4 or 8 bytes; 0 for any other width. */
static inline uint64_t nm_le(const uint8_t *p, unsigned width)
{
	switch (width) {
	case 1:
		return p[0];
	case 2:
		return nm_le16(p);
	case 4:
		return nm_le32(p);
	case 8:
		return nm_le64(p);
	default:
		return 0;
	}
}

/* The same, big-endian. */
static inline uint64_t nm_be(const uint8_t *p, unsigned width)
{
	switch (width) {
	case 1:
		return p[0];
	case 2:
		return nm_be16(p);
	case 4:
		return nm_be32(p);
	case 8:
		return nm_be64(p);
	default:
		return 0;
	}
}

#endif
