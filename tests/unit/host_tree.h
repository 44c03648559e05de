/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Directory trees that tests of the host profile make and throw away. */
#ifndef TESTS_HOST_TREE_H
#define TESTS_HOST_TREE_H

#include <check.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char tree_root[256];

/* An empty tree; its path is in tree_root. */
static inline void tree_make(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(tree_root, sizeof(tree_root), "%s/nestmig-host-XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(tree_root));
}

static inline int tree_remove_one(const char *path, const struct stat *st, int type,
				  struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void tree_remove(void)
{
	nftw(tree_root, tree_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* The full path of a name below the root, its directories made; valid until the next call. */
static inline const char *tree_path(const char *name)
{
	static char path[1024];
	char *slash;

	snprintf(path, sizeof(path), "%s/%s", tree_root, name);
	slash = path + strlen(tree_root);
	while ((slash = strchr(slash + 1, '/'))) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	return path;
}

static inline void tree_bytes(const char *name, const void *bytes, size_t size)
{
	FILE *file = fopen(tree_path(name), "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
	ck_assert_int_eq(fclose(file), 0);
}

static inline void tree_text(const char *name, const char *text)
{
	tree_bytes(name, text, strlen(text));
}

static inline void put32(uint8_t *p, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(value >> 8 * i);
}

/* One struct kvm_cpuid_entry2 of index 0. */
static inline void put_cpuid(uint8_t *p, uint32_t function, uint32_t eax, uint32_t ebx,
			     uint32_t ecx, uint32_t edx)
{
	memset(p, 0, 40);
	put32(p, function);
	put32(p + 12, eax);
	put32(p + 16, ebx);
	put32(p + 20, ecx);
	put32(p + 24, edx);
}

/* One struct kvm_msr_entry. */
static inline void put_msr_entry(uint8_t *p, uint32_t index, uint64_t value)
{
	put32(p, index);
	put32(p + 4, 0);
	put32(p + 8, (uint32_t)value);
	put32(p + 12, (uint32_t)(value >> 32));
}

#endif
