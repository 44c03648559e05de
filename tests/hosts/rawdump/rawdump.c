// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rawdump save [VARIANT] DIR       make a nested guest, stop it, write everything KVM knows into DIR
 * rawdump variants                 what can be made on this host
 * rawdump run DIR                  restore DIR as its meta.json orders, run it, say what became of it
 * rawdump batch BASE CASES [WORKERS]
 *                                  the same for each case of the file CASES: changes to the dump BASE
 * rawdump apply BASE CASES OUTDIR  write each case as a dump OUTDIR/NAME
 * rawdump host DIR                 write what KVM says of this host into DIR
 *
 * `run` prints one line on stdout, "outcome WORD ...", and exits 0 whatever the word is; `batch`
 * prints "NAME outcome WORD ... # details" for each case, as they come.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rawdump.h"

/* 2: it could not be tried. */
#define EXIT_TROUBLE    2
#define DEFAULT_VARIANT "long-nonp"

static int command_save(int kvm_fd, char **arguments)
{
	return variant_save(kvm_fd, DEFAULT_VARIANT, arguments[0]);
}

static int command_save_variant(int kvm_fd, char **arguments)
{
	return variant_save(kvm_fd, arguments[0], arguments[1]);
}

static int command_variants(int kvm_fd, char **arguments)
{
	(void)arguments;
	return variants_print(kvm_fd);
}

static int command_run(int kvm_fd, char **arguments)
{
	struct image *image = calloc(1, sizeof(*image));
	struct verdict verdict;
	uint8_t *memory = NULL;
	int failed = -1;

	if (image && !image_read(arguments[0], image))
		memory = guest_memory_new(image->memory_fd);
	if (memory)
		failed = image_run(kvm_fd, memory, image, &verdict);
	if (!failed)
		printf("outcome %s\n", verdict.words);
	free(image);
	return failed;
}

static int command_batch(int kvm_fd, char **arguments)
{
	return batch_run(kvm_fd, arguments[0], arguments[1], NULL);
}

static int command_batch_workers(int kvm_fd, char **arguments)
{
	return batch_run(kvm_fd, arguments[0], arguments[1], arguments[2]);
}

static int apply_case(struct image *image, const struct case_text *item, char **arguments)
{
	const char *reason = "";
	char *name = strndup(item->name, item->name_length);
	char *dir = name ? path_new(arguments[2], name) : NULL;
	int failed = -1;

	image_reset(image);
	if (case_apply(item, image, &reason))
		fprintf(stderr, "rawdump: case %s: %s\n", name, reason);
	else if (dir)
		failed = image_write(image, arguments[0], dir);
	free(name);
	free(dir);
	return failed;
}

static int command_apply(int kvm_fd, char **arguments)
{
	struct image *image = calloc(1, sizeof(*image));
	struct cases cases;
	int failed;

	(void)kvm_fd;
	failed = !image || image_read(arguments[0], image) || cases_read(arguments[1], &cases);
	for (size_t i = 0; !failed && i < cases.count; i++)
		failed = apply_case(image, &cases.items[i], arguments);
	free(image);
	return failed;
}

static int command_host(int kvm_fd, char **arguments)
{
	return host_save(kvm_fd, arguments[0]);
}

static const struct {
	const char *name;
	int arguments;
	bool needs_kvm;
	int (*run)(int kvm_fd, char **arguments);
} commands[] = {
	{"save", 1, true, command_save},   {"save", 2, true, command_save_variant},
	{"run", 1, true, command_run},     {"variants", 0, true, command_variants},
	{"batch", 2, true, command_batch}, {"apply", 3, false, command_apply},
	{"host", 1, true, command_host},   {"batch", 3, true, command_batch_workers},
};

int main(int argc, char **argv)
{
	int kvm_fd = -1, failed;

	for (size_t i = 0; argc >= 2 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name) || argc - 2 != commands[i].arguments)
			continue;
		if (commands[i].needs_kvm && (kvm_fd = kvm_open()) < 0)
			return EXIT_TROUBLE;
		failed = commands[i].run(kvm_fd, argv + 2);
		return failed || fflush(stdout) ? EXIT_TROUBLE : EXIT_SUCCESS;
	}
	fprintf(stderr, "usage: rawdump save [VARIANT] DIR | variants | run DIR | batch BASE CASES "
			"[WORKERS] | "
			"apply BASE CASES OUTDIR | host DIR\n");
	return EXIT_TROUBLE;
}
