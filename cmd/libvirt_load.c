// SPDX-License-Identifier: GPL-2.0-or-later
/* libvirt's functions, loaded when the first is needed. */
#include "libvirt_load.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#include "error.h"

struct libvirt_functions libvirt_functions;

struct function {
	const char *name;
	size_t at; /* in struct libvirt_functions */
};

#define FUNCTION(name) {#name, offsetof(struct libvirt_functions, name##_)},
static const struct function base[] = {LIBVIRT_FUNCTIONS(FUNCTION)};
static const struct function of_qemu[] = {LIBVIRT_QEMU_FUNCTIONS(FUNCTION)};

static enum nestmig_error load(const char *library, const struct function *functions, size_t count,
			       struct libvirt_functions *ret, struct nestmig_detail *detail)
{
	void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);

	if (!handle)
		return nm_fail(
			detail, NESTMIG_ERR_CAPABILITY,
			"libvirt's library cannot be loaded (Debian's package libvirt0): %.200s",
			dlerror());
	for (size_t i = 0; i < count; i++) {
		void *function = dlsym(handle, functions[i].name);

		if (!function)
			return nm_fail(detail, NESTMIG_ERR_CAPABILITY,
				       "%s has no %s: it is older than libvirt 8.2", library,
				       functions[i].name);
		memcpy((char *)ret + functions[i].at, &function, sizeof(function));
	}
	return NESTMIG_OK;
}

enum nestmig_error libvirt_load(struct nestmig_detail *detail)
{
	struct libvirt_functions loaded = {0};
	enum nestmig_error error;

	if (libvirt_functions.virConnectOpen_)
		return NESTMIG_OK;
	error = load("libvirt.so.0", base, sizeof(base) / sizeof(base[0]), &loaded, detail);
	if (!error)
		error = load("libvirt-qemu.so.0", of_qemu, sizeof(of_qemu) / sizeof(of_qemu[0]),
			     &loaded, detail);
	if (!error)
		libvirt_functions = loaded;
	return error;
}
