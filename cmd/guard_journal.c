// SPDX-License-Identifier: GPL-2.0-or-later
/* Events of the guard to journald, with fields of their own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "error.h"
#include "guard_command.h"

/* Device and inode of the stream that systemd has connected, see systemd.exec(5). */
bool guard_has_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat out;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDOUT_FILENO, &out) == 0 && out.st_dev == device && out.st_ino == inode;
}

#define FIELDS_FIXED 6

/* A field "NAME=value"; false is out of memory. */
__attribute__((format(printf, 3, 4))) static bool add(struct iovec *fields, int *count,
						      const char *format, ...)
{
	va_list args;
	char *text;
	int length;

	va_start(args, format);
	length = vasprintf(&text, format, args);
	va_end(args);
	if (length < 0)
		return false;
	fields[(*count)++] = (struct iovec){text, (size_t)length};
	return true;
}

static int priority_of(const struct guard_told *told)
{
	return told->event.action == NM_GUARD_DENIED || told->word == GUARD_WOULD_DENY ||
			       told->word == GUARD_RACED
		       ? LOG_WARNING
		       : LOG_NOTICE;
}

static bool add_all(struct iovec *fields, int *count, const struct guard_told *told)
{
	bool ok =
		add(fields, count, "MESSAGE=%s: %s", guard_word_name(told->word), told->sentence) &&
		add(fields, count, "PRIORITY=%d", priority_of(told)) &&
		add(fields, count, "NESTMIG_EVENT=%s", guard_word_name(told->word)) &&
		add(fields, count, "NESTMIG_VM=%u", told->event.vm) &&
		add(fields, count, "NESTMIG_VM_PID=%u", told->event.vmm) &&
		add(fields, count, "NESTMIG_VCPU=%u", told->event.vcpu);

	for (size_t i = 0; ok && i < told->finding_count; i++)
		ok = add(fields, count, "NESTMIG_RULE=%s", told->findings[i].rule->id);
	return ok;
}

enum nestmig_error guard_to_journal(const struct guard_told *told, struct nestmig_detail *detail)
{
	struct iovec *fields = calloc(FIELDS_FIXED + told->finding_count, sizeof(*fields));
	int count = 0, failed = -ENOMEM;

	if (fields && add_all(fields, &count, told))
		failed = sd_journal_sendv(fields, count);
	while (count > 0)
		free(fields[--count].iov_base);
	free(fields);
	if (failed == -ENOMEM)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	if (failed < 0) {
		errno = -failed;
		return nm_fail_errno(detail, "cannot write to the journal");
	}
	return NESTMIG_OK;
}
