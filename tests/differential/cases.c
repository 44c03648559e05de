// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nestmig-cases BASES OUTDIR COUNT SEED [options]: COUNT cases, spread over the base states (raw KVM
 * dumps) BASES/VARIANT. A case is a base with one to three mutations. Writes
 *   OUTDIR/VARIANT.cases      what is changed, for tests/hosts/oracle.sh --batch
 *   OUTDIR/VARIANT.foretold   what nestmig says of each (foretell.h)
 * The same bases and seed give the same cases, whatever COUNT is.
 *
 *   --variant NAME[,NAME...]  only these
 *   --case VARIANT/NAME DIR   writes no cases but this one, as a whole dump into DIR (a new directory), and
 *                             its line to stdout; OUTDIR and COUNT do not matter
 *   --rules                   writes no cases but the ids of the rules that may decide an outcome on the
 *                             kernel of the first base to stdout; with VMX also lines
 *                             "reason TEXT | IDS": what KVM's tracepoint says, and the rules for it
 *   --list                    writes no cases but the places of each variant to stdout
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "foretell.h"
#include "host.h"
#include "judge.h"
#include "reasons.h"

struct options {
	const char *bases, *out;
	unsigned count;
	uint64_t seed;
	const char *variants;
	const char *one, *one_dir; /* --case */
	bool list, rules;
};

static const char usage[] = "usage: nestmig-cases BASES OUTDIR COUNT SEED [--variant NAME,...] "
			    "[--case VARIANT/NAME DIR] "
			    "[--list]\n";

static bool parse_options(int argc, char **argv, struct options *options)
{
	if (argc < 5)
		return false;
	*options = (struct options){.bases = argv[1], .out = argv[2]};
	options->count = (unsigned)strtoul(argv[3], NULL, 0);
	options->seed = strtoull(argv[4], NULL, 0);
	for (int i = 5; i < argc; i++) {
		if (strcmp(argv[i], "--list") == 0) {
			options->list = true;
		} else if (strcmp(argv[i], "--rules") == 0) {
			options->rules = true;
		} else if (strcmp(argv[i], "--variant") == 0 && i + 1 < argc) {
			options->variants = argv[++i];
		} else if (strcmp(argv[i], "--case") == 0 && i + 2 < argc) {
			options->one = argv[++i];
			options->one_dir = argv[++i];
		} else {
			return false;
		}
	}
	return true;
}

static FILE *open_output(const struct options *options, const char *variant, const char *suffix)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.%s", options->out, variant, suffix);
	file = fopen(path, "we");
	if (!file)
		perror(path);
	return file;
}

/* Cases first, first + step, ... */
static bool write_variant(const struct options *options, const struct base *base, unsigned first,
			  unsigned step)
{
	FILE *cases = open_output(options, base->name, "cases");
	FILE *foretold = open_output(options, base->name, "foretold");
	struct scratch *scratch = scratch_new(base);
	bool good = cases && foretold && scratch;
	struct mutation mutation;

	for (unsigned i = first; good && i < options->count; i += step) {
		mutation_draw(base, options->seed, i / step, &mutation);
		mutation_print(base, &mutation, cases);
		good = scratch_apply(scratch, &mutation) &&
		       foretell(scratch, &mutation, foretold) && scratch_undo(scratch, &mutation);
	}
	if (cases && (ferror(cases) | fclose(cases)))
		good = false;
	if (foretold && (ferror(foretold) | fclose(foretold)))
		good = false;
	scratch_free(scratch);
	return good;
}

static bool show_case(const struct options *options, const struct base *base)
{
	struct scratch *scratch;
	struct mutation mutation;
	bool good = false;

	mutation_draw(base, options->seed,
		      (unsigned)strtoul(strchr(options->one, '/') + 1, NULL, 10), &mutation);
	scratch = scratch_new(base);
	if (scratch && scratch_apply(scratch, &mutation))
		good = foretell(scratch, &mutation, stdout);
	scratch_free(scratch);
	return good && mutation_materialise(base, &mutation, options->one_dir);
}

static bool list_places(const struct base *base)
{
	for (size_t i = 0; i < base->place_count; i++) {
		const struct place *place = &base->places[i];

		printf("%s %s %s %" PRIu64 " %u 0x%" PRIx64 "%s\n", base->name, place->name,
		       base->files[place->file].name, place->offset, place->width,
		       base_value(base, place), place->edge ? " edge" : "");
	}
	return true;
}

/* A rule that is new on a later kernel decides nothing here, nor one of the other vendor. */
static bool list_rules(const struct base *base)
{
	uint32_t kernel = base->state->host->view.kernel;

	for (size_t i = 0; i < nm_rule_count; i++) {
		const struct nm_rule *rule = &nm_rules[i];
		bool is_later = rule->changed && kernel >= rule->changed;

		if (base->is_vmx &&
		    (strncmp(rule->id, "svm-", 4) == 0 || strncmp(rule->id, "smm-svm-", 8) == 0))
			continue;
		if (rule->severity == NM_SEVERITY_ERROR &&
		    (is_later ? rule->after : rule->before) != NM_CONSEQUENCE_NONE)
			puts(rule->id);
	}
	return !base->is_vmx || reasons_print(stdout);
}

static bool do_variant(const struct options *options, const char *name, unsigned first,
		       unsigned step)
{
	struct base *base = base_new(options->bases, name);
	bool good;

	if (!base)
		return false;
	if (options->rules)
		good = first || list_rules(base);
	else if (options->list)
		good = list_places(base);
	else if (options->one)
		good = show_case(options, base);
	else
		good = write_variant(options, base, first, step);
	base_free(base);
	return good;
}

/* Is a name in the list of variants, or is it the variant of --case? */
static bool is_chosen(const struct options *options, const char *name)
{
	const char *at = options->variants;
	size_t length = strlen(name);

	if (options->one)
		return strncmp(options->one, name, length) == 0 && options->one[length] == '/';
	if (!at)
		return true;
	for (; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
		if (strncmp(at, name, length) == 0 && (!at[length] || at[length] == ','))
			return true;
	return false;
}

static const char *variants_of; /* for is_variant, which scandir calls */
static const struct options *options_of;

static int is_variant(const struct dirent *entry)
{
	char path[4096];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s/meta.json", variants_of, entry->d_name);
	return entry->d_name[0] != '.' && is_chosen(options_of, entry->d_name) &&
	       stat(path, &st) == 0;
}

int main(int argc, char **argv)
{
	struct options options;
	struct dirent **names = NULL;
	bool good = true;
	int count;

	if (!parse_options(argc, argv, &options) || (options.one && !strchr(options.one, '/'))) {
		fputs(usage, stderr);
		return 2;
	}
	variants_of = options.bases;
	options_of = &options;
	count = scandir(options.bases, &names, is_variant, alphasort);
	if (count <= 0) {
		fprintf(stderr, "nestmig-cases: no such base state below %s\n", options.bases);
		return 1;
	}
	if (!options.one && !options.list && !options.rules)
		mkdir(options.out, 0777);
	for (int i = 0; i < count; i++) {
		if (good)
			good = do_variant(&options, names[i]->d_name, (unsigned)i, (unsigned)count);
		free(names[i]);
	}
	free(names);
	return good && fflush(stdout) == 0 ? 0 : 1;
}
