// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * occupy FUNCTION N: attaches N programs that do nothing to a function of kvm_amd, says so, and holds them until
 * standard input ends. The kernel takes 38 (BPF_MAX_TRAMP_LINKS, 6.1): after that there is no room for the guard's.
 * To be run in an emulated host only.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char module[] = "kvm_amd";

/* The module's types, as the kernel has them; -1. */
static int module_btf(void)
{
	for (uint32_t id = 0; !bpf_btf_get_next_id(id, &id);) {
		int fd = bpf_btf_get_fd_by_id(id);
		char name[64] = "";
		struct bpf_btf_info info = {.name = (uintptr_t)name, .name_len = sizeof(name)};
		uint32_t size = sizeof(info);

		if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &size) && !strcmp(name, module))
			return fd;
	}
	return -1;
}

static int attach_nothing(int btf, uint32_t function)
{
	const struct bpf_insn nothing[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_FENTRY,
		    .attach_btf_obj_fd = (uint32_t)btf, .attach_btf_id = function);
	int program = bpf_prog_load(BPF_PROG_TYPE_TRACING, "nothing", "GPL", nothing, 2, &options);

	return program < 0 ? -1 : bpf_raw_tracepoint_open(NULL, program);
}

int main(int argc, char **argv)
{
	struct btf *kernel = btf__load_vmlinux_btf();
	struct btf *types = kernel ? btf__load_module_btf(module, kernel) : NULL;
	int btf = module_btf(), function;
	unsigned long count;

	if (argc != 3 || !types || btf < 0)
		return 2;
	function = btf__find_by_name_kind(types, argv[1], BTF_KIND_FUNC);
	count = function > 0 ? strtoul(argv[2], NULL, 10) : 0;
	for (unsigned long i = 0; i < count; i++) {
		if (attach_nothing(btf, (uint32_t)function) < 0) {
			perror("occupy");
			return 1;
		}
	}
	printf("%lu programs at %s\n", count, argv[1]);
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
