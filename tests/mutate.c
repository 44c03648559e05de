// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mutate BASE OUT COUNT SEED: COUNT copies of the raw KVM dump BASE as OUT/00000, OUT/00001, ...,
 * each with one to three fields changed that KVM_SET_* and VMRUN look at, and a file "changes" that
 * says which. The same seed gives the same copies.
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

static int patch(const char *path, uint64_t offset, uint64_t value, unsigned width)
{
	FILE *file = fopen(path, "r+b");
	int failed;

	if (!file)
		return -1;
	failed = fseek(file, (long)offset, SEEK_SET);
	for (unsigned i = 0; i < width; i++)
		failed |= fputc((int)(value >> (8 * i) & 0xff), file) == EOF;
	return fclose(file) || failed ? -1 : 0;
}

static int change_one(struct mutate *m, const char *dir, FILE *changes)
{
	const struct nm_vcpu *vcpu = &m->state->vcpus[0];
	const struct nm_field *field = m->fields[draw(m) % m->field_count];
	uint64_t before = nm_field_value(vcpu, field), value;
	unsigned width = field->kvm_width;
	char path[4096];

	value = other_value(m, before, width);
	if (width < 8)
		value &= (UINT64_C(1) << 8 * width) - 1;
	snprintf(path, sizeof(path), "%s/%s", dir, vcpu->origin[field->item].file);
	fprintf(changes, "%s 0x%" PRIx64 " -> 0x%" PRIx64 "\n", field->name, before, value);
	return patch(path, nm_field_offset(vcpu, field, NULL, NULL), value, width);
}

static int make_copy(struct mutate *m, int number)
{
	unsigned count = 1 + (unsigned)(draw(m) % 6) / 4 + (unsigned)(draw(m) % 12) / 11;
	char dir[2048], command[8192], path[4096];
	FILE *changes;
	int failed = 0;

	snprintf(dir, sizeof(dir), "%s/%05d", m->out, number);
	snprintf(command, sizeof(command), "cp -r '%s' '%s'", m->base, dir);
	snprintf(path, sizeof(path), "%s/changes", dir);
	if (system(command) || !(changes = fopen(path, "w")))
		return -1;
	for (unsigned i = 0; i < count; i++)
		failed |= change_one(m, dir, changes);
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
