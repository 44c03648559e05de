// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KVM's tracepoint kvm_nested_vmenter_failed carries the text of the condition that an entry to L2, or
 * a KVM_SET_NESTED_STATE, has not met. It is read through perf_event_open, each process its own: an
 * instance in tracefs would take seconds to make in an emulated host.
 */
#include <linux/perf_event.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rawdump.h"

#define ID_FILE "/sys/kernel/tracing/events/kvm/kvm_nested_vmenter_failed/id"
#define PAGE    4096u
#define BUFFER  (4 * PAGE)
/* The sample: its size, then the event, in which KVM's string is said to be, offset in the low half. */
#define STRING_AT 8

static int event_fd = -1;
static struct perf_event_mmap_page *ring; /* the page before the buffer */

static unsigned int event_id(void)
{
	FILE *file = fopen(ID_FILE, "re");
	unsigned int id = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%u", &id) != 1)
		id = 0;
	fclose(file);
	return id;
}

void trace_open(void)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attributes),
		.sample_period = 1,
		.sample_type = PERF_SAMPLE_RAW,
	};
	static bool tried;
	void *mapped;

	if (tried || host_vendor() != VENDOR_INTEL)
		return;
	tried = true;
	attributes.config = event_id();
	if (!attributes.config)
		return;
	event_fd = (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (event_fd < 0) {
		perror("rawdump: the trace of failed VM entries");
		return;
	}
	mapped = mmap(NULL, PAGE + BUFFER, PROT_READ | PROT_WRITE, MAP_SHARED, event_fd, 0);
	if (mapped == MAP_FAILED)
		perror("rawdump: the trace of failed VM entries");
	else
		ring = mapped;
}

/* size bytes of the buffer, which is a ring, from position on */
static void copy_out(uint64_t position, void *bytes, size_t size)
{
	const uint8_t *buffer = (const uint8_t *)ring + PAGE;

	for (size_t i = 0; i < size; i++)
		((uint8_t *)bytes)[i] = buffer[(position + i) % BUFFER];
}

/* KVM may print once more when the VM of the case before is closed. */
void trace_empty(void)
{
	if (!ring)
		return;
	ring->data_tail = ring->data_head;
	atomic_thread_fence(memory_order_release);
}

/* The first of the samples that came; the next case is not to see the others. */
void trace_take(struct verdict *verdict)
{
	struct perf_event_header header;
	uint8_t event[1024] = {0};
	uint64_t head, tail;
	uint32_t where;

	if (!ring)
		return;
	head = ring->data_head;
	atomic_thread_fence(memory_order_acquire);
	tail = ring->data_tail;
	while (tail < head) {
		size_t size;

		copy_out(tail, &header, sizeof(header));
		size = header.size - sizeof(header);
		if (header.type == PERF_RECORD_SAMPLE && size < sizeof(event)) {
			copy_out(tail + sizeof(header), event, size);
			break;
		}
		tail += header.size;
	}
	atomic_thread_fence(memory_order_release);
	ring->data_tail = head;
	memcpy(&where, event + sizeof(uint32_t) + STRING_AT, sizeof(where));
	where = (where & 0xffff) + sizeof(uint32_t);
	if (tail < head && where < sizeof(event))
		verdict_add(verdict, " cc=\"%.*s\"", (int)(sizeof(event) - where), event + where);
}
