/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random numbers that are the same everywhere: splitmix64. */
#ifndef DIFFERENTIAL_RANDOM_H
#define DIFFERENTIAL_RANDOM_H

#include <stdint.h>

struct random {
	uint64_t state;
};

static inline uint64_t random_draw(struct random *random)
{
	uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* 0 to count - 1; count is small, so the bias is, too. */
static inline unsigned random_below(struct random *random, unsigned count)
{
	return (unsigned)(random_draw(random) >> 32) % count;
}

/* Mixes a text into a seed, so that each variant has numbers of its own. */
static inline uint64_t random_seed(uint64_t seed, const char *text)
{
	for (; *text; text++)
		seed = (seed ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return seed;
}

#endif
