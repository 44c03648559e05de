/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whole streams as newer QEMUs write them, built from the specification, not captured: one vCPU in an SVM
 * guest's L2, 4 MiB of RAM, and what else a test asks for. Facts: QEMU 8.0 to 11.0 migration/savevm.c,
 * migration/ram.c, migration/block-dirty-bitmap.c.
 */
#ifndef TEST_STREAM_NEW_H
#define TEST_STREAM_NEW_H

#include <stdarg.h>

#include "stream.h"

#define NEW_RAM     0x400000 /* bytes of pc.ram */
#define NEW_ROM     0x20000  /* bytes of another block */
#define NEW_ALIGN   0x100000 /* of the pages of a block with mapped-ram */
#define NEW_VMCB_PA 0x113000

enum {
	ID_RAM = 2,
	ID_BITMAPS = 3,
	ID_EARLY = 40,
	ID_APIC = 5,
	ID_COMMON = 6,
	ID_CPU = 7,
	ID_GLOBALSTATE = 30,
};

/* What a stream under construction has. */
struct maker {
	struct stream s;
	uint64_t base; /* of the stream in its file */
	bool ignore_shared, mapped_ram, no_footers, uuid;
	uint64_t page_size;   /* of pc.ram, with postcopy; 0: none */
	bool skip_ram_pages;  /* mapped-ram of a shared block as QEMU 11.0 writes it */
	size_t bitmap, pages; /* of pc.ram, in the stream */
	struct stream vmdesc; /* devices so far */
	size_t device;        /* where the payload of the device that is written starts */
	size_t devices;       /* where the first device behind RAM starts */
	size_t cpu;           /* payload of section "cpu" */
};

__attribute__((format(printf, 2, 3))) static inline void put_text(struct stream *s,
								  const char *format, ...)
{
	char text[1000];
	va_list args;

	va_start(args, format);
	put(s, text, (size_t)vsnprintf(text, sizeof(text), format, args));
	va_end(args);
}

static inline void maker_free(struct maker *m)
{
	stream_free(&m->s);
	stream_free(&m->vmdesc);
}

static inline void make_footer(struct maker *m, uint32_t id)
{
	if (!m->no_footers)
		put_footer(&m->s, id);
}

/* The header and the configuration section of this machine; none if machine is NULL. */
static inline void make_head(struct maker *m, const char *machine)
{
	struct stream *s = &m->s;

	put_file_header(s);
	if (!machine)
		return;
	put_be(s, 7, 1);
	put_be(s, strlen(machine), 4);
	put(s, machine, strlen(machine));
	if (m->ignore_shared || m->mapped_ram) {
		put_subsection(s, "configuration/capabilities");
		put_be(s, m->ignore_shared + m->mapped_ram, 4);
		if (m->ignore_shared)
			put_name(s, "x-ignore-shared");
		if (m->mapped_ram)
			put_name(s, "mapped-ram");
	}
	if (m->uuid) {
		put_subsection(s, "configuration/uuid");
		put_fill(s, 0x55, 16);
	}
}

static inline void make_command(struct maker *m, uint16_t command, const void *data, size_t size)
{
	put_be(&m->s, 8, 1);
	put_be(&m->s, command, 2);
	put_be(&m->s, size, 2);
	put(&m->s, data, size);
}

/* ---- RAM --------------------------------------------------------------------------------------- */

static inline size_t round_up(uint64_t value, uint64_t step)
{
	return (size_t)((value + step - 1) / step * step);
}

/* Header, bitmap and room for the pages of a block with mapped-ram. */
static inline void make_mapped(struct maker *m, uint64_t size, size_t *bitmap, size_t *pages)
{
	struct stream *s = &m->s;
	size_t words = (size / 4096 + 63) / 64 * 8;

	*bitmap = s->size + 28;
	*pages = round_up(m->base + *bitmap + words, NEW_ALIGN) - m->base;
	put_be(s, 1, 4);
	put_be(s, 4096, 8);
	put_be(s, m->base + *bitmap, 8);
	put_be(s, m->base + *pages, 8);
	/* What is a hole in a file is here bytes that must not be read as a page. */
	put_fill(s, 0, words);
	put_fill(s, 0xcc, *pages + size - s->size);
}

static inline void make_block(struct maker *m, const char *name, uint64_t size)
{
	bool ram = strcmp(name, "pc.ram") == 0;
	size_t bitmap, pages;

	put_name(&m->s, name);
	put_be(&m->s, size, 8);
	if (ram && m->page_size)
		put_be(&m->s, m->page_size, 8);
	if (m->ignore_shared)
		put_be(&m->s, 0, 8);
	if (!m->mapped_ram)
		return;
	if (ram && m->skip_ram_pages) {
		put_be(&m->s, 1, 4);
		put_be(&m->s, 4096, 8);
		put_fill(&m->s, 0, 16);
		return;
	}
	make_mapped(m, size, ram ? &m->bitmap : &bitmap, ram ? &m->pages : &pages);
}

/* START of section "ram". */
static inline void make_ram(struct maker *m)
{
	put_section(&m->s, 1, ID_RAM, "ram", 0, 4);
	put_be(&m->s, (NEW_RAM + NEW_ROM) | 0x004, 8);
	make_block(m, "pc.ram", NEW_RAM);
	make_block(m, "/rom@etc/acpi/tables", NEW_ROM);
	put_be(&m->s, 0x010, 8);
	make_footer(m, ID_RAM);
}

/* PART (2) or END (3) of section "ram", with one page of pc.ram unless gpa is UINT64_MAX. */
static inline void make_part(struct maker *m, uint8_t type, uint64_t gpa, uint8_t value)
{
	put_be(&m->s, type, 1);
	put_be(&m->s, ID_RAM, 4);
	if (gpa != UINT64_MAX) {
		put_be(&m->s, gpa | 0x008, 8);
		put_name(&m->s, "pc.ram");
		put_fill(&m->s, value, 4096);
	}
	put_be(&m->s, 0x010, 8);
	make_footer(m, ID_RAM);
}

/* A page of a block with mapped-ram. */
static inline void set_mapped_page(struct maker *m, uint64_t gpa, uint8_t value)
{
	m->s.p[m->bitmap + gpa / 4096 / 8] |= (uint8_t)(1U << gpa / 4096 % 8);
	memset(m->s.p + m->pages + gpa, value, 4096);
}

/* Sections of dirty bitmaps: flags and names as send_bitmap_start, send_bitmap_bits and so on put them. */
static inline void make_bitmaps(struct maker *m, uint8_t type)
{
	struct stream *s = &m->s;

	if (type == 1) {
		put_section(s, 1, ID_BITMAPS, "dirty-bitmap", 0, 1);
		put_be(s, 0x1c, 1); /* START, names */
		put_name(s, "drive0");
		put_name(s, "bitmap0");
		put_be(s, 65536, 4);
		put_be(s, 1, 1);
	} else {
		put_be(s, type, 1);
		put_be(s, ID_BITMAPS, 4);
		put_be(s, 0x40, 1); /* BITS */
		put_be(s, 0, 8);
		put_be(s, 2048, 4);
		put_be(s, 16, 8);
		put_fill(s, 0x7e, 16);
		put_be(s, 0x42, 1); /* BITS, ZEROES */
		put_be(s, 2048, 8);
		put_be(s, 2048, 4);
		if (type == 3)
			put_be(s, 0x20, 1); /* COMPLETE */
	}
	put_be(s, 0x01, 1);
	make_footer(m, ID_BITMAPS);
}

/* ---- Devices ----------------------------------------------------------------------------------- */

/* The header of a device, which comes into the vmdesc, too. */
static inline void make_instance(struct maker *m, uint32_t id, const char *name, uint32_t instance,
				 uint32_t version)
{
	put_section(&m->s, 4, id, name, instance, version);
	m->device = m->s.size;
	put_text(&m->vmdesc, "%s{\"name\":\"%s\",\"instance_id\":%u,\"version\":%u",
		 m->vmdesc.size ? "," : "", name, instance, version);
}

static inline void make_device(struct maker *m, uint32_t id, const char *name, uint32_t version)
{
	make_instance(m, id, name, 0, version);
}

/* Its end. In the vmdesc its fields have as many bytes as were written, but for `subsections`. */
static inline void make_device_end(struct maker *m, uint32_t id, size_t subsections,
				   const char *more)
{
	put_text(&m->vmdesc, ",\"fields\":[{\"name\":\"x\",\"size\":%zu}]%s}",
		 m->s.size - m->device - subsections, more);
	make_footer(m, id);
}

static inline void make_filled(struct maker *m, uint32_t id, const char *name, size_t size)
{
	make_device(m, id, name, 1);
	put_fill(&m->s, 0x11, size);
	make_device_end(m, id, 0, "");
}

/* struct APICCommonState: be32 apicbase first. */
static inline void make_apic(struct maker *m)
{
	make_device(m, ID_APIC, "apic", 3);
	put_be(&m->s, 0xfee00900, 4);
	put_fill(&m->s, 0, 177);
	make_device_end(m, ID_APIC, 0, "");
}

static inline void make_cpu(struct maker *m)
{
	struct stream *s = &m->s;
	size_t after;

	make_filled(m, ID_COMMON, "cpu_common", 8);
	memset(s->p + m->device, 0, 8);
	make_device(m, ID_CPU, "cpu", 12);
	m->cpu = m->device;
	put_cpu_fixed(s);
	set_be(s->p + m->cpu + 144, 1U << 21 | 1U << 20, 4); /* hflags: guest mode, SVME */
	set_be(s->p + m->cpu + 816, 0x1000, 8);              /* efer: SVME */
	after = s->size;
	put_nested_svm(s, 0x101, NEW_VMCB_PA);
	make_device_end(m, ID_CPU, s->size - after,
			",\"subsections\":[{\"vmsd_name\":\"cpu/nested_state\",\"fields\":"
			"[{\"size\":4142}]}]");
}

/* All devices as QEMU 10.1 orders them: apic first. */
static inline void make_devices(struct maker *m)
{
	m->devices = m->s.size;
	make_apic(m);
	make_filled(m, 9, "timer", 24);
	make_cpu(m);
	make_filled(m, 10, "kvmclock", 9);
	make_filled(m, ID_GLOBALSTATE, "globalstate", 104);
}

/* The end of the stream, with the vmdesc. */
static inline void make_end(struct maker *m)
{
	size_t start;

	put_be(&m->s, 0x0006, 2);
	start = m->s.size;
	put_be(&m->s, 0, 4);
	put_text(&m->s, "{\"configuration\":{},\"page_size\":4096,\"devices\":[");
	put(&m->s, m->vmdesc.p, m->vmdesc.size);
	put_text(&m->s, "]}");
	set_be(m->s.p + start, m->s.size - start - 4, 4);
}

#endif
