// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pages SECTION MIB: writes MIB of RAM pages as a QEMU stream has them (migration/ram.c, ram_save_page and
 * ram_save_zero_page) to standard output: parts of the section with this id, and its end. A third of the
 * pages is zero and takes 9 bytes each, a third is like text, a third is noise. They are the first 1 MiB of
 * pc.ram again and again, as a guest that never stops writing makes them.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_SIZE = 4096, PAGES_PER_PART = 4096, BLOCK_PAGES = 256 };
enum { PART = 0x02, END = 0x03, FOOTER = 0x7e };
enum { FLAG_ZERO = 0x02, FLAG_PAGE = 0x08, FLAG_EOS = 0x10, FLAG_CONTINUE = 0x20 };

static uint64_t written;

static void put(const void *bytes, size_t size)
{
	if (fwrite(bytes, 1, size, stdout) != size) {
		perror("bench-pages");
		exit(1);
	}
	written += size;
}

static void put_be(uint64_t value, unsigned width)
{
	uint8_t bytes[8];

	for (unsigned i = 0; i < width; i++)
		bytes[i] = (uint8_t)(value >> 8 * (width - 1 - i));
	put(bytes, width);
}

static void put_page(uint64_t number, bool is_first)
{
	static uint64_t page[PAGE_SIZE / 8], noise = 1;
	uint64_t flags = (number % 3 ? FLAG_PAGE : FLAG_ZERO) | (is_first ? 0 : FLAG_CONTINUE);

	put_be(number % BLOCK_PAGES * PAGE_SIZE | flags, 8);
	if (is_first)
		put("\006pc.ram", 7);
	if (number % 3 == 0) {
		put("", 1);
		return;
	}
	for (unsigned i = 0; i < PAGE_SIZE / 8; i++) {
		noise = noise * UINT64_C(6364136223846793005) + 1442695040888963407;
		if (number % 3 == 1)
			memcpy(&page[i], i % 16 ? "register" : (const char *)&noise, 8);
		else
			page[i] = noise ^ noise >> 29;
	}
	put(page, PAGE_SIZE);
}

int main(int argc, char **argv)
{
	uint64_t section, size, number = 0;

	if (argc != 3)
		return 2;
	section = strtoull(argv[1], NULL, 0);
	size = strtoull(argv[2], NULL, 0) << 20;
	for (bool is_end = false; !is_end;) {
		is_end = written >= size;
		put_be(is_end ? END : PART, 1);
		put_be(section, 4);
		for (unsigned i = 0; i < PAGES_PER_PART && !is_end; i++)
			put_page(number++, i == 0);
		put_be(FLAG_EOS, 8);
		put_be(FOOTER, 1);
		put_be(section, 4);
	}
	return fflush(stdout) ? 1 : 0;
}
