// SPDX-License-Identifier: GPL-2.0-or-later
/* Lets a test judge in the kernel: what the test writes into the map, by bpf_prog_test_run. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "../../kernel/judge.bpf.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct nm_judging);
} judging SEC(".maps");

/* How often; more than once to measure. */
__u32 turns;
__u64 nanoseconds;

SEC("syscall")
int judge(void *unused)
{
	__u32 zero = 0;
	struct nm_judging *j = bpf_map_lookup_elem(&judging, &zero);
	__u64 start = bpf_ktime_get_ns();

	(void)unused;
	if (!j)
		return -1;
	for (__u32 i = 0; i < 1000 && i < turns; i++)
		nm_judge(j);
	nanoseconds = bpf_ktime_get_ns() - start;
	return 0;
}
