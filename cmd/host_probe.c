// SPDX-License-Identifier: GPL-2.0-or-later
/* The probes in a process of their own. */
#include "host_command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host_probe.h"
#include "apart.h"
#include "host_parts.h"

#define LIMIT_MS 5000 /* for one answer; most take a millisecond, on an emulated host fifty */

struct answer {
	char name[NM_PROBE_NAME], value[NM_PROBE_VALUE]; /* an empty value: not known */
};

/* In the new process: every probe, an answer each. */
static void ask_all(void *ctx, int channel)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	(void)ctx;
	for (size_t i = 0; kvm >= 0 && i < nm_probe_count(); i++) {
		char buffer[NM_PROBE_VALUE];
		const char *value = nm_probe_ask(i, kvm, buffer);
		struct answer answer = {0};

		snprintf(answer.name, sizeof(answer.name), "%s", nm_probe_name(i));
		snprintf(answer.value, sizeof(answer.value), "%s", value ? value : "");
		if (!apart_put(channel, &answer, sizeof(answer)))
			break;
	}
}

/* Is there an answer in time? A signal may come in between. */
static bool has_answer(int channel)
{
	struct pollfd wait = {.fd = channel, .events = POLLIN};
	int n;

	do
		n = poll(&wait, 1, LIMIT_MS);
	while (n < 0 && errno == EINTR);
	return n > 0;
}

enum nestmig_error host_probe(struct nestmig_host *host, struct nestmig_detail *detail)
{
	struct apart apart = {.channel = -1};
	struct answer answer;
	enum nestmig_error error = apart_start(&apart, ask_all, NULL, -1, detail);

	while (!error && has_answer(apart.channel) &&
	       apart_get(NULL, apart.channel, &answer, sizeof(answer))) {
		answer.name[NM_PROBE_NAME - 1] = answer.value[NM_PROBE_VALUE - 1] = '\0';
		if (*answer.value)
			error = nm_host_put(&host->probes, answer.name, answer.value, detail);
	}
	apart_end(&apart);
	return error;
}
