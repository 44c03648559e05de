// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Raw KVM dumps: a directory out of one input, read, judged for the host that it describes, and printed.
 * An input is a row of files: which name (1 byte), how long (2 bytes, little-endian), the bytes. Sockets,
 * links and modes are for the unit tests.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "nestmig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* seeds in run.sh counts on the order. */
static const char *const names[] = {
	"meta.json",
	"host_msrs",
	"vcpu0/nested_state",
	"vcpu0/sregs",
	"vcpu0/sregs2",
	"vcpu0/regs",
	"vcpu0/vcpu_events",
	"vcpu0/debugregs",
	"vcpu0/mp_state",
	"vcpu0/msrs",
	"vcpu0/cpuid",
	"mem/0",
	"mem/1000",
	"mem/10000",
	"mem/fffffffffffff000",
	"mem/no-number",
	"vcpu7/nested_state",
	"vcpu7/sregs2",
	"vcpu7/vcpu_events",
	"vcpu7/mp_state",
	"vcpu7/other",
	"vcpu99999999999/sregs",
	"other",
};

#define NAMES (sizeof(names) / sizeof(names[0]))

static int directory = -1;
static char path[64];

static void make_directories(void)
{
	static const char *const directories[] = {"vcpu0", "vcpu7", "vcpu99999999999", "mem"};

	/* In memory, where the system has it. */
	snprintf(path, sizeof(path), "%s/fuzz-rawdump.XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(path))
		abort();
	directory = open(path, O_RDONLY | O_DIRECTORY);
	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
		if (mkdirat(directory, directories[i], 0700) < 0)
			abort();
}

static void write_file(const char *name, const uint8_t *bytes, size_t size)
{
	int fd = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
		abort();
	close(fd);
}

static void use(const struct nestmig_state *state)
{
	struct nestmig_report *report = NULL;
	struct nestmig_host *host = NULL;
	struct nestmig_detail detail;
	char *text = NULL;
	enum nestmig_error error = nestmig_host_of_state(state, &host, &detail);

	if (error && error != NESTMIG_ERR_NOT_FOUND && !detail.text[0])
		abort();
	if (nestmig_judge(state, host, &report) || nestmig_report_json(report, "fuzz", &text))
		abort();
	free(text);
	nestmig_report_free(report);
	nestmig_host_free(host);
	if (nestmig_inspect_text(state, false, &text))
		abort();
	free(text);
	if (nestmig_inspect_json(state, &text))
		abort();
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail = {0};
	bool written[NAMES] = {false};
	enum nestmig_error error;

	if (directory < 0)
		make_directories();
	while (size >= 3) {
		size_t name = data[0] % NAMES, length = data[1] | (size_t)data[2] << 8;

		data += 3;
		size -= 3;
		length = length < size ? length : size;
		write_file(names[name], data, length);
		written[name] = true;
		data += length;
		size -= length;
	}
	error = nestmig_state_read(path, 0, &state, &detail);
	if (error && !detail.text[0])
		abort();
	if (!error)
		use(state);
	nestmig_state_free(state);
	for (size_t i = 0; i < NAMES; i++)
		if (written[i])
			unlinkat(directory, names[i], 0);
	return 0;
}
