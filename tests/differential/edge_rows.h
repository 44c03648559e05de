/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How rows of the tables of edges and recipes are written. */
#ifndef DIFFERENTIAL_EDGE_ROWS_H
#define DIFFERENTIAL_EDGE_ROWS_H

#include "edges.h"

#define BIT(n)     (UINT64_C(1) << (n))
#define EFER_LONG  (BIT(8) | BIT(10))
#define CR0_PE_PG  (BIT(0) | BIT(31))
#define CR0_CD_NW  (BIT(29) | BIT(30))
#define COUNT(...) (sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

#define FLIP(place, weight, ...)                                                                   \
	{                                                                                          \
		place, weight, EDGE_FLIP, COUNT(__VA_ARGS__),                                      \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
#define SET(place, weight, ...)                                                                    \
	{                                                                                          \
		place, weight, EDGE_SET, COUNT(__VA_ARGS__),                                       \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
#define ADDRESS(place, weight)                                                                     \
	{                                                                                          \
		place, weight, EDGE_ADDRESS, 0,                                                    \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}

#define NON_CANONICAL                                                                              \
	BIT(47), BIT(63), UINT64_C(0x8000000000000000), UINT64_C(0x7fffffffffff),                  \
		UINT64_C(0x800000000000), UINT64_C(0xffff800000000000)

#endif
