// SPDX-License-Identifier: GPL-2.0-or-later
/* What an attached guard was told, and what of it is not there. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>

#include "error.h"
#include "guard_object.h"
#include "nm_guard_bpf.skel.h"

enum nestmig_error nm_guard_settings(const struct nm_guard *guard,
				     struct nm_guard_config *ret_config,
				     struct nestmig_detail *detail)
{
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info), zero = 0;

	if (bpf_obj_get_info_by_fd(guard->config, &info, &size))
		return nm_fail_errno(detail, "cannot ask for the guard's configuration");
	/* The kernel writes a whole value of the map, however long that is. */
	if (info.value_size != sizeof(*ret_config))
		return nm_fail(detail, NESTMIG_ERR_CAPABILITY, NM_GUARD_OTHER_VERSION);
	if (bpf_map_lookup_elem(guard->config, &zero, ret_config))
		return nm_fail_errno(detail, "cannot read the guard's configuration");
	return NESTMIG_OK;
}

/* In one of its forms. */
static bool is_attached(const struct nm_guard *guard, const char *name)
{
	for (size_t i = 0; i < guard->attached_count; i++)
		if (nm_guard_is_same(guard->attached[i].name, name))
			return true;
	return false;
}

/* Of LSM programs the one on which denying relies; the others are for kernels that have their hook. */
static bool is_needed(const struct bpf_program *program, const struct nm_guard_config *config)
{
	if (bpf_program__type(program) == BPF_PROG_TYPE_LSM)
		return config->lsm && !strcmp(bpf_program__name(program), "nm_guard_ioctl");
	if (nm_guard_is_of_other_case(program, config->lsm))
		return false;
	return !nm_guard_is_of_other_vendor(program, config->host.vendor);
}

enum nestmig_error nm_guard_left_out(const struct nm_guard *guard,
				     const struct nm_guard_config *config,
				     void (*each)(const char *name, void *data), void *data,
				     struct nestmig_detail *detail)
{
	/* Only opened, never loaded: the list of all programs. */
	struct nm_guard_bpf *skeleton = nm_guard_bpf__open();
	struct bpf_program *program;

	if (!skeleton)
		return nm_fail_errno(detail, "cannot open the guard's programs");
	bpf_object__for_each_program(program, skeleton->obj)
	{
		const char *name = bpf_program__name(program);

		if (is_needed(program, config) && !is_attached(guard, name))
			each(name, data);
	}
	nm_guard_bpf__destroy(skeleton);
	return NESTMIG_OK;
}

enum nestmig_error nm_guard_name_functions(struct nm_guard *guard, struct nestmig_detail *detail)
{
	struct nm_guard_bpf *skeleton = nm_guard_bpf__open();

	if (!skeleton)
		return nm_fail_errno(detail, "cannot open the guard's programs");
	for (size_t i = 0; i < guard->attached_count; i++) {
		struct nm_guard_attached *at = &guard->attached[i];
		const struct bpf_program *program =
			bpf_object__find_program_by_name(skeleton->obj, at->name);

		if (program)
			snprintf(at->function, sizeof(at->function), "%s",
				 nm_guard_function_of(program));
	}
	nm_guard_bpf__destroy(skeleton);
	return NESTMIG_OK;
}
