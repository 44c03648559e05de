/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records of section "ram", and copies of one page in all forms that they have. */
#ifndef TEST_RAM_COPIES_H
#define TEST_RAM_COPIES_H

#include <zlib.h>

#include "stream.h"

#define F_ZERO   0x002
#define F_PAGE   0x008
#define F_EOS    0x010
#define F_SAME   0x020
#define F_XBZRLE 0x040
#define F_PACKED 0x100

/* Records under construction; the block is named where it changes. */
static struct stream ram;
static uint32_t ram_id;

static void record(uint64_t address, unsigned flags, const char *block)
{
	put_be(&ram, address | flags | (block ? 0 : F_SAME), 8);
	if (block)
		put_name(&ram, block);
}

static void full_page(uint64_t address, const char *block, uint8_t value)
{
	record(address, F_PAGE, block);
	put_fill(&ram, value, 4096);
}

static void fill_page(uint64_t address, const char *block, uint8_t value)
{
	record(address, F_ZERO, block);
	put_be(&ram, value, 1);
}

static void end_section(void)
{
	put_be(&ram, F_EOS, 8);
	put_footer(&ram, ram_id);
}

static void start_section(uint8_t type)
{
	put_be(&ram, type, 1);
	put_be(&ram, ram_id, 4);
}

enum last { LAST_PAGE, LAST_FILL, LAST_NONE };

/* Page 0x5000 with zlib: `size` times the value, cut by some bytes. */
static void packed_page(uint8_t value, size_t size, size_t cut)
{
	uint8_t plain[2 * 4096], packed[2 * 4096];
	uLongf length = sizeof(packed);

	memset(plain, value, sizeof(plain));
	ck_assert_int_eq(compress(packed, &length, plain, size), Z_OK);
	record(0x5000, F_PACKED, "pc.ram");
	put_be(&ram, length - cut, 4);
	put(&ram, packed, length - cut);
}

/* The page full of ones but for 300 bytes from 200 on. */
static void spoiled_page(void)
{
	full_page(0x5000, "pc.ram", 1);
	memset(ram.p + ram.size - 4096 + 200, 2, 300);
}

/* xbzrle: these bytes. */
static void delta(const void *bytes, size_t length)
{
	record(0x5000, F_XBZRLE, NULL);
	put_be(&ram, 1, 1);
	put_be(&ram, length, 2);
	put(&ram, bytes, length);
}

/* `same` bytes stay, `changed` become ones; numbers of more than seven bits are in two bytes. */
static void run_of_ones(size_t same, size_t changed)
{
	struct stream d = {0};

	for (int i = 0; i < 2; i++) {
		size_t n = i ? changed : same;

		put_be(&d, n < 0x80 ? n : (n & 0x7f) | 0x80, 1);
		if (n >= 0x80)
			put_be(&d, n >> 7, 1);
	}
	put_fill(&d, 1, changed);
	delta(d.p, d.size);
	stream_free(&d);
}

#define OTHER "0000:00:01.0/vga.vram"

static void some_packed_copies(int which)
{
	static const uint8_t no_change[] = {1, 0}, alone[] = {5}, endless[] = {0x80, 0x80, 1, 1};

	switch (which) {
	case 12: /* zlib */
		full_page(0x5000, "pc.ram", 2);
		packed_page(1, 4096, 0);
		break;
	case 13: /* too short, too long, cut */
		packed_page(1, 4095, 0);
		break;
	case 14:
		packed_page(1, 4097, 0);
		break;
	case 15:
		packed_page(1, 4096, 1);
		break;
	case 16: /* a difference to a whole copy */
		spoiled_page();
		run_of_ones(200, 300);
		break;
	case 17: /* in two steps, a section between */
		spoiled_page();
		run_of_ones(200, 100);
		end_section();
		start_section(2);
		record(0x6000, F_ZERO, "pc.ram");
		put_be(&ram, 0, 1);
		run_of_ones(300, 200);
		break;
	case 18: /* to a page with zlib */
		packed_page(1, 4096, 0);
		run_of_ones(0, 3);
		break;
	case 19: /* to one of the same bytes */
		fill_page(0x5000, "pc.ram", 1);
		run_of_ones(4095, 1);
		break;
	case 20: /* to none */
		record(0x5000, F_XBZRLE, "pc.ram");
		put_be(&ram, 0x01000400, 4);
		put_be(&ram, 0x0101, 2);
		put_be(&ram, 0x01, 1);
		break;
	case 21: /* past the end */
		full_page(0x5000, "pc.ram", 1);
		run_of_ones(4095, 2);
		break;
	case 22: /* that are none */
		full_page(0x5000, "pc.ram", 1);
		delta(no_change, sizeof(no_change));
		break;
	case 23:
		full_page(0x5000, "pc.ram", 1);
		delta(alone, sizeof(alone));
		break;
	case 24:
		full_page(0x5000, "pc.ram", 1);
		delta(endless, sizeof(endless));
		break;
	case 25: /* after which a whole copy counts again */
		full_page(0x5000, "pc.ram", 2);
		delta(alone, sizeof(alone));
		full_page(0x5000, NULL, 1);
		break;
	case 26: /* zeros after a difference */
		full_page(0x5000, "pc.ram", 2);
		run_of_ones(7, 70);
		fill_page(0x5000, NULL, 0);
		break;
	case 27: /* an empty difference */
		full_page(0x5000, "pc.ram", 1);
		delta(alone, 0);
		break;
	case 28: /* a good one after a bad one */
		full_page(0x5000, "pc.ram", 1);
		delta(alone, sizeof(alone));
		run_of_ones(0, 1);
		break;
	default: /* to the same page of another block: none of ours */
		full_page(0x5000, "pc.ram", 1);
		record(0x5000, F_XBZRLE, OTHER);
		put_be(&ram, 0x01000300, 4);
		put_be(&ram, 0x0109, 2);
	}
}

/* Copies of page 0x5000, and what becomes of it. */
static void some_copies(int which)
{
	switch (which) {
	case 0: /* once */
		full_page(0x5000, "pc.ram", 1);
		break;
	case 1: /* again in a later section */
		full_page(0x5000, "pc.ram", 2);
		end_section();
		start_section(2);
		full_page(0x5000, NULL, 1);
		break;
	case 2: /* zero, then written */
		fill_page(0x5000, "pc.ram", 0);
		full_page(0x6000, NULL, 2);
		full_page(0x5000, NULL, 1);
		break;
	case 3: /* written, then zero */
		full_page(0x5000, "pc.ram", 2);
		fill_page(0x5000, NULL, 0);
		break;
	case 4: /* the same address in another block */
		full_page(0x5000, "pc.ram", 1);
		full_page(0x5000, OTHER, 2);
		fill_page(0x5000, NULL, 3);
		break;
	case 5: /* another block first */
		full_page(0x5000, OTHER, 2);
		full_page(0x5000, "pc.ram", 1);
		break;
	case 6: /* what is no difference is not applied */
		full_page(0x5000, "pc.ram", 2);
		record(0x5000, F_XBZRLE, NULL);
		put_be(&ram, 1, 1);
		put_be(&ram, 5, 2);
		put_fill(&ram, 0, 5);
		break;
	case 7: /* what is no zlib is not unpacked */
		record(0x5000, F_PACKED, "pc.ram");
		put_be(&ram, 20, 4);
		put_fill(&ram, 0, 20);
		break;
	case 8: /* but a whole copy after that counts */
		record(0x5000, F_PACKED, "pc.ram");
		put_be(&ram, 20, 4);
		put_fill(&ram, 0, 20);
		record(0x5000, F_XBZRLE, NULL);
		put_be(&ram, 1, 1);
		put_be(&ram, 0, 2);
		full_page(0x5000, NULL, 1);
		break;
	case 9: /* never */
		full_page(0x6000, "pc.ram", 1);
		break;
	case 10: /* QEMU 8.1 writes this for nothing */
		full_page(0x5000, "pc.ram", 1);
		put_be(&ram, 0x200, 8);
		full_page(0x6000, NULL, 2);
		break;
	case 11: /* with multifd, what is written later than zeros goes another way */
		fill_page(0x5000, "pc.ram", 0);
		put_be(&ram, 0x200, 8);
		break;
	default:
		some_packed_copies(which);
	}
}

static const enum last lasts[] = {LAST_PAGE, LAST_PAGE, LAST_PAGE, LAST_FILL, LAST_PAGE, LAST_PAGE,
				  LAST_NONE, LAST_NONE, LAST_PAGE, LAST_NONE, LAST_PAGE, LAST_NONE,
				  /* packed: 12 to 17, 18 to 23, 24 to 29 */
				  LAST_PAGE, LAST_NONE, LAST_NONE, LAST_NONE, LAST_PAGE, LAST_PAGE,
				  LAST_PAGE, LAST_PAGE, LAST_NONE, LAST_NONE, LAST_NONE, LAST_NONE,
				  LAST_NONE, LAST_PAGE, LAST_FILL, LAST_PAGE, LAST_NONE, LAST_PAGE};

#endif
