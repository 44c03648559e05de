// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mutate BASE OUT COUNT SEED: COUNT copies of the raw KVM dump BASE as OUT/00000, OUT/00001, ...,
 * each with one to four fields changed that KVM_SET_* and VMRUN look at, and a file "changes" that
 * says which. Half of the copies get any value in any field; the others get values at the edges of
 * what is allowed, in fields that one check looks at together. The same seed gives the same copies.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fields.h"
#include "state.h"

#define BIT(n)       (UINT64_C(1) << (n))
#define EFER_LONG    (BIT(8) | BIT(10))
#define CR0_PE_PG    (BIT(0) | BIT(31))
#define CR0_CD_NW    (BIT(29) | BIT(30))
#define MAX_FLIPS    16
#define MAX_TOGETHER 8
#define MAX_CHANGES  4

/* Bits that mean something together, or nothing: what is flipped in a field at its edge. */
struct edge {
	const char *field;
	uint64_t flips[MAX_FLIPS]; /* up to the first 0; without one: an address */
};

#define EDGES_CR0                                                                                  \
	{                                                                                          \
		BIT(0), BIT(31), CR0_PE_PG, BIT(29), BIT(30), CR0_CD_NW, BIT(16), BIT(32)          \
	}
#define EDGES_CR4                                                                                  \
	{                                                                                          \
		BIT(5), BIT(5), BIT(5), BIT(11), BIT(12), BIT(13), BIT(14), BIT(15), BIT(16),      \
			BIT(17), BIT(19), BIT(22), BIT(23), BIT(24), BIT(28), BIT(32)              \
	}
#define EDGES_EFER                                                                                 \
	{                                                                                          \
		EFER_LONG, EFER_LONG, EFER_LONG, EFER_LONG, BIT(8), BIT(10), BIT(9), BIT(11),      \
			BIT(12), BIT(13), BIT(14), BIT(15), BIT(17), BIT(18), BIT(20), BIT(21)     \
	}

static const struct edge edges[] = {
	{"sregs.cr0", EDGES_CR0},
	{"sregs.cr3", {0}},
	{"sregs.cr4", EDGES_CR4},
	{"sregs.efer", EDGES_EFER},
	{"sregs.cs.l", {1, 1, 2}},
	{"sregs.cs.db", {1, 1, 2}},
	{"debugregs.dr6", {BIT(0), BIT(16), BIT(32)}},
	{"debugregs.dr7", {BIT(13), BIT(32)}},
	{"vmcb12.save.cr0", EDGES_CR0},
	{"vmcb12.save.cr3", {0}},
	{"vmcb12.save.cr4", EDGES_CR4},
	{"vmcb12.save.efer", EDGES_EFER},
	{"vmcb12.save.cs.attrib", {BIT(9), BIT(10), BIT(9) | BIT(10)}},
	{"vmcb12.save.rflags", {BIT(1), BIT(9), BIT(17)}},
	{"vmcb12.save.dr6", {BIT(31), BIT(32)}},
	{"vmcb12.save.dr7", {BIT(31), BIT(32)}},
	{"vmcb12.control.nested_ctl", {BIT(0), BIT(0), BIT(0), BIT(1), BIT(2), BIT(3)}},
	{"vmcb12.control.nested_cr3", {0}},
	{"vmcb12.control.asid", {1, 3, BIT(31)}},
	{"vmcb12.control.intercept_word3", {BIT(1), BIT(24), BIT(27), BIT(28)}},
	{"vmcb12.control.intercept_word4", {BIT(0), BIT(1)}},
	{"vmcb12.control.int_ctl", {BIT(8), BIT(11), BIT(12), BIT(24), BIT(25), BIT(26), BIT(31)}},
	{"vmcb12.control.msrpm_base_pa", {0}},
	{"vmcb12.control.iopm_base_pa", {0}},
	{"nested_state.flags", {BIT(0), BIT(1), BIT(2), BIT(3), BIT(4), BIT(8), BIT(8) | BIT(0)}},
	{"nested_state.format", {1, 2, 3}},
	{"nested_state.size", {0x1, 0x80, 0x1000, 0x1080, 0xff}},
	{"nested_state.vmcb_pa", {0}},
};

/* Fields that one function of KVM, or VMRUN, judges together. */
static const char *const together[][MAX_TOGETHER] = {
	{"sregs.cr0", "sregs.cr3", "sregs.cr4", "sregs.efer", "sregs.efer", "sregs.cs.l",
	 "sregs.cs.l", "sregs.cs.db"},
	{"vmcb12.save.cr0", "vmcb12.save.cr3", "vmcb12.save.cr4", "vmcb12.save.efer",
	 "vmcb12.save.cs.attrib", "vmcb12.save.rflags", "vmcb12.save.dr6", "vmcb12.save.dr7"},
	{"vmcb12.control.nested_ctl", "vmcb12.control.nested_cr3", "vmcb12.control.asid",
	 "vmcb12.control.intercept_word3", "vmcb12.control.intercept_word4",
	 "vmcb12.control.int_ctl", "vmcb12.control.msrpm_base_pa", "vmcb12.control.iopm_base_pa"},
	{"nested_state.flags", "nested_state.format", "nested_state.size", "nested_state.vmcb_pa",
	 "sregs.efer", "debugregs.dr6", "debugregs.dr7", "vmcb12.save.efer"},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct mutate {
	const char *base, *out;
	struct nestmig_state *state;
	uint64_t seed;
	const struct nm_field **fields; /* that may be changed */
	size_t field_count;
};

/* splitmix64 */
static uint64_t draw(struct mutate *m)
{
	uint64_t z = m->seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* Fields with a place in a file of their own whose value KVM or the processor judges. */
static bool is_of_interest(const struct nm_field *field)
{
	static const char *const prefixes[] = {"nested_state.flags", "nested_state.format",
					       "nested_state.size",  "nested_state.vmcb_pa",
					       "vmcb12.control.",    "vmcb12.save.",
					       "sregs.cr",           "sregs.efer",
					       "sregs.cs.",          "debugregs.dr"};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (strncmp(field->name, prefixes[i], strlen(prefixes[i])) == 0)
			return field->kvm_offset >= 0 && field->kvm_width <= 8 &&
			       !strstr(field->name, "reserved");
	return false;
}

static int find_fields(struct mutate *m)
{
	m->fields = calloc(nm_field_count(), sizeof(struct nm_field *));
	if (!m->fields)
		return -1;
	for (size_t i = 0; i < nm_field_count(); i++) {
		const struct nm_field *field = nm_field_at(i);

		if (is_of_interest(field) &&
		    nm_vcpu_has(&m->state->vcpus[0], UINT64_C(1) << field->item))
			m->fields[m->field_count++] = field;
	}
	return m->field_count ? 0 : -1;
}

/* Mostly one bit: that is what breaks one rule and no other. */
static uint64_t other_value(struct mutate *m, uint64_t value, unsigned width)
{
	switch (draw(m) % 8) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX;
	case 2:
		return draw(m);
	default:
		return value ^ UINT64_C(1) << (draw(m) % (8 * width));
	}
}

/* At and around the widths that matter: 40 bits (the emulated host's), 52, and none. */
static uint64_t edge_address(struct mutate *m, uint64_t value)
{
	static const uint64_t bases[] = {0, BIT(32), BIT(36), BIT(39), BIT(40), BIT(52), BIT(63)};
	static const uint64_t offsets[] = {0, 0x1, 0x18, 0xfff, 0x1000, 0x2000, 0x3000};
	uint64_t base = bases[draw(m) % COUNT(bases)];
	uint64_t offset = offsets[draw(m) % COUNT(offsets)];

	switch (draw(m) % 3) {
	case 0:
		return base - offset;
	case 1:
		return base + offset;
	default:
		return value ^ (base | (offset & 0xfff));
	}
}

static uint64_t edge_value(struct mutate *m, uint64_t value, const struct edge *edge)
{
	unsigned count = 0;

	while (count < MAX_FLIPS && edge->flips[count])
		count++;
	return count ? value ^ edge->flips[draw(m) % count] : edge_address(m, value);
}

static const struct edge *edge_of(const struct nm_field *field)
{
	for (size_t i = 0; i < COUNT(edges); i++)
		if (strcmp(edges[i].field, field->name) == 0)
			return &edges[i];
	return NULL;
}

/* Where a field is in the copy. Its value there counts: it may have been changed before. */
static int find_place(const struct mutate *m, const char *dir, const struct nm_field *field,
		      char *ret_path, size_t path_size, uint64_t *ret_offset)
{
	const struct nm_vcpu *vcpu = &m->state->vcpus[0];

	*ret_offset = nm_field_offset(vcpu, field, NULL, NULL);
	snprintf(ret_path, path_size, "%s/%s", dir, vcpu->origin[field->item].file);
	return *ret_offset == UINT64_MAX ? -1 : 0;
}

static int change_file(struct mutate *m, FILE *file, uint64_t offset, const struct nm_field *field,
		       const struct edge *edge, FILE *changes)
{
	unsigned width = field->kvm_width;
	uint64_t before = 0, value;
	int failed = fseek(file, (long)offset, SEEK_SET);

	for (unsigned i = 0; i < width; i++) {
		int byte = fgetc(file);

		failed |= byte == EOF;
		before |= (uint64_t)(byte & 0xff) << (8 * i);
	}
	value = edge ? edge_value(m, before, edge) : other_value(m, before, width);
	if (width < 8)
		value &= (UINT64_C(1) << 8 * width) - 1;
	failed |= fseek(file, (long)offset, SEEK_SET);
	for (unsigned i = 0; i < width; i++)
		failed |= fputc((int)(value >> (8 * i) & 0xff), file) == EOF;
	fprintf(changes, "%s 0x%" PRIx64 " -> 0x%" PRIx64 "\n", field->name, before, value);
	return failed;
}

static int change_one(struct mutate *m, const char *dir, const struct nm_field *field,
		      const struct edge *edge, FILE *changes)
{
	char path[4096];
	uint64_t offset;
	FILE *file;
	int failed;

	if (find_place(m, dir, field, path, sizeof(path), &offset))
		return -1;
	file = fopen(path, "r+b");
	if (!file)
		return -1;
	failed = change_file(m, file, offset, field, edge, changes);
	return fclose(file) || failed ? -1 : 0;
}

static int change_any(struct mutate *m, const char *dir, FILE *changes)
{
	unsigned count = 1 + (unsigned)(draw(m) % 6) / 4 + (unsigned)(draw(m) % 12) / 11;
	int failed = 0;

	for (unsigned i = 0; i < count; i++)
		failed |= change_one(m, dir, m->fields[draw(m) % m->field_count], NULL, changes);
	return failed;
}

/* One to four changes at the edges of fields that belong together; those that BASE lacks stay out. */
static int change_edges(struct mutate *m, const char *dir, FILE *changes)
{
	const char *const *names = together[draw(m) % COUNT(together)];
	unsigned count = 1 + (unsigned)(draw(m) % MAX_CHANGES);
	int failed = 0;

	for (unsigned i = 0; i < count; i++) {
		const struct nm_field *field = nm_field_find(names[draw(m) % MAX_TOGETHER]);

		for (size_t j = 0; j < m->field_count; j++)
			if (m->fields[j] == field)
				failed |= change_one(m, dir, field, edge_of(field), changes);
	}
	return failed;
}

static int make_copy(struct mutate *m, int number)
{
	char dir[2048], command[8192], path[4096];
	FILE *changes;
	int failed;

	snprintf(dir, sizeof(dir), "%s/%05d", m->out, number);
	snprintf(command, sizeof(command), "cp -r '%s' '%s'", m->base, dir);
	snprintf(path, sizeof(path), "%s/changes", dir);
	if (system(command) || !(changes = fopen(path, "w")))
		return -1;
	failed = draw(m) % 2 ? change_any(m, dir, changes) : change_edges(m, dir, changes);
	return fclose(changes) || failed ? -1 : 0;
}

int main(int argc, char **argv)
{
	struct mutate m = {0};
	struct nestmig_detail detail = {0};
	int count, failed = 0;

	if (argc != 5) {
		fprintf(stderr, "usage: mutate BASE OUT COUNT SEED\n");
		return 2;
	}
	m.base = argv[1];
	m.out = argv[2];
	count = atoi(argv[3]);
	m.seed = strtoull(argv[4], NULL, 0);
	if (nestmig_state_read(m.base, 0, &m.state, &detail) || find_fields(&m)) {
		fprintf(stderr, "mutate: %s: %s\n", m.base, detail.text);
		return 1;
	}
	if (mkdir(m.out, 0755) && errno != EEXIST)
		failed = 1;
	for (int i = 0; i < count && !failed; i++)
		failed = make_copy(&m, i);
	if (failed)
		fprintf(stderr, "mutate: cannot write below %s\n", m.out);
	free(m.fields);
	nestmig_state_free(m.state);
	return failed ? 1 : 0;
}
