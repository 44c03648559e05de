// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What libvirt calls. Of all that goes wrong here nothing may refuse anything: a daemon that starts again ends a
 * guest whose hook fails, and a broken check is no reason to lose one. So 1 is returned in one place only.
 */
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
/* Lines of this program's source are of no interest in a journal. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "hook.h"
#include "live.h"

/* Names of links that keep an image: IMAGE.nestmig-1 to -9. */
#define KEPT_FORMAT "%s.nestmig-%d"
#define KEPT_MAX    9

struct run {
	const struct hook_options *options;
	const char *domain, *operation;
	struct hook_policy policy;
	struct hook_answer answer;
};

/* ---- Telling ---------------------------------------------------------------------------------- */

/* A line to stderr, which libvirt shows where the hook refuses, and to the journal. action: what has become of it:
 * "refused", "let-pass", "unchecked" or "ok". */
static void tell(const struct run *r, int priority, const char *action, const char *text)
{
	if (priority <= LOG_WARNING) {
		fputs("nestmig: ", stderr);
		cli_put_name(stderr, r->domain);
		fprintf(stderr, ": %s %s: ", r->operation, action);
		/* It may have the domain's name in it, and names out of its XML. */
		cli_put_name(stderr, text);
		fputc('\n', stderr);
	}
	(void)sd_journal_send("MESSAGE=%s: %s %s: %s", r->domain, r->operation, action, text,
			      "PRIORITY=%d", priority, "SYSLOG_IDENTIFIER=nestmig-hook",
			      "NESTMIG_HOOK=%s", r->operation, "NESTMIG_DOMAIN=%s", r->domain,
			      "NESTMIG_ACTION=%s", action, NULL);
}

static void tell_all(const struct run *r, int priority, const char *action, char *lines)
{
	for (char *line = strtok(lines, "\n"); line; line = strtok(NULL, "\n"))
		tell(r, priority, action, line);
}

/* ---- Judging ---------------------------------------------------------------------------------- */

/* What the process apart says; it has parsed what others wrote. false: it says nothing by the deadline. */
static bool get_by(const struct apart *apart, struct hook_answer *answer, int64_t deadline)
{
	char *at = (char *)answer;
	size_t left = sizeof(*answer);

	while (left > 0) {
		int64_t now = live_now();
		struct pollfd wait = {.fd = apart->channel, .events = POLLIN};
		ssize_t n;

		if (now >= deadline || poll(&wait, 1, (int)(deadline - now)) == 0)
			return false;
		n = read(apart->channel, at, left);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		left -= (size_t)n;
	}
	answer->image[sizeof(answer->image) - 1] = '\0';
	answer->reasons[sizeof(answer->reasons) - 1] = '\0';
	if (answer->verdict != NESTMIG_VERDICT_OK && answer->verdict != NESTMIG_VERDICT_FAIL)
		answer->verdict = NESTMIG_VERDICT_UNKNOWN;
	return true;
}

/* false: there is no judgement, which has been told. */
static bool judge(struct run *r, bool is_restore)
{
	struct hook_request request = {r->options, r->domain, is_restore};
	int64_t deadline = live_now() + r->policy.timeout_s * INT64_C(1000);
	struct apart apart = {.channel = -1};
	struct nestmig_detail detail = {0};
	char text[100];
	bool has_answer;

	if (apart_start(&apart, hook_judge, &request, -1, &detail)) {
		tell(r, LOG_WARNING, "unchecked", detail.text);
		return false;
	}
	has_answer = get_by(&apart, &r->answer, deadline);
	apart_end(&apart);
	if (has_answer)
		return true;
	if (live_now() >= deadline)
		snprintf(text, sizeof(text), "the check took more than %d s", r->policy.timeout_s);
	else
		snprintf(text, sizeof(text), "the process that judges has ended without a word");
	tell(r, LOG_WARNING, "unchecked", text);
	return false;
}

/* ---- Managed saves ---------------------------------------------------------------------------- */

/*
 * libvirt 11.3.0 deletes the image of a managed save when a hook refuses it, and says that it has started the
 * domain (qemuDomainObjStart: ret is still 0 then). A second link keeps the file; the daemon cannot be asked for its
 * version from here. The name of the managed save, if that is what is restored, by this process's own reckoning, to be
 * freed by the caller; else NULL.
 */
static char *managed_save(const struct run *r)
{
	char *saves = hook_path(r->options->root, HOOK_SAVES), *path = NULL;
	struct stat image, managed;

	if (!saves || asprintf(&path, "%s/%s.save", saves, r->domain) < 0)
		path = NULL;
	free(saves);
	if (path && stat(path, &managed) == 0 && stat(r->answer.image, &image) == 0 &&
	    image.st_dev == managed.st_dev && image.st_ino == managed.st_ino)
		return path;
	free(path);
	return NULL;
}

static bool is_same_file(const char *a, const char *b)
{
	struct stat x, y;

	return lstat(a, &x) == 0 && lstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/* The name of the link that keeps this image now, to be freed by the caller; NULL if there can be none. */
static char *keep_image(const char *image)
{
	for (int i = 1; i <= KEPT_MAX; i++) {
		char *kept;

		if (asprintf(&kept, KEPT_FORMAT, image, i) < 0)
			return NULL;
		if (link(image, kept) == 0 || is_same_file(image, kept))
			return kept;
		free(kept);
	}
	return NULL;
}

/* What is restored after all need not be kept. */
static void release_image(const struct run *r)
{
	char *image = managed_save(r), *kept;

	for (int i = 1; image && i <= KEPT_MAX; i++) {
		if (asprintf(&kept, KEPT_FORMAT, image, i) < 0)
			break;
		if (is_same_file(image, kept))
			(void)unlink(kept);
		free(kept);
	}
	free(image);
}

/* Can it be refused without a loss? */
static bool can_refuse(const struct run *r)
{
	char *image = managed_save(r), *kept;
	char text[HOOK_PATH_MAX + 100];

	if (!image)
		return true;
	kept = keep_image(image);
	free(image);
	if (!kept) {
		tell(r, LOG_WARNING, "let-pass",
		     "a second link to the image, which libvirt may delete, could not be made");
		return false;
	}
	snprintf(text, sizeof(text), "the image is kept as %s, should libvirt delete it", kept);
	tell(r, LOG_WARNING, "refused", text);
	free(kept);
	return true;
}

/* ---- The call --------------------------------------------------------------------------------- */

static int decide(struct run *r)
{
	bool is_bad = r->answer.verdict == NESTMIG_VERDICT_FAIL ||
		      (r->answer.verdict == NESTMIG_VERDICT_UNKNOWN && r->policy.strict);

	if (is_bad && r->policy.enforce && can_refuse(r)) {
		tell_all(r, LOG_WARNING, "refused", r->answer.reasons);
		return 1;
	}
	if (is_bad)
		tell_all(r, LOG_WARNING, "let-pass", r->answer.reasons);
	else if (r->answer.verdict == NESTMIG_VERDICT_OK)
		tell(r, LOG_INFO, "ok", "nothing found");
	else
		tell_all(r, LOG_NOTICE, "unchecked", r->answer.reasons);
	release_image(r);
	return 0;
}

int hook_run(const struct hook_options *options, int argc, char **argv)
{
	struct run r = {.options = options};

	/* All other calls, above all "reconnect", must not fail, whatever it is that libvirt adds. */
	if (argc < 3 || strcmp(argv[2], "begin") != 0 ||
	    (strcmp(argv[1], "migrate") != 0 && strcmp(argv[1], "restore") != 0))
		return 0;
	r.domain = argv[0];
	r.operation = argv[1];
	hook_policy_read(options->root, &r.policy);
	if (*r.policy.trouble) {
		char text[sizeof(r.policy.trouble) + 100];

		snprintf(text, sizeof(text),
			 HOOK_POLICY ": %s; nothing is refused until it is mended",
			 r.policy.trouble);
		tell(&r, LOG_WARNING, "let-pass", text);
	}
	/* libvirt allows no slash in a name, which becomes a part of a path here. */
	if (!*r.domain || strchr(r.domain, '/')) {
		tell(&r, LOG_WARNING, "unchecked", "this is no name of a domain");
		return 0;
	}
	return judge(&r, strcmp(r.operation, "restore") == 0) ? decide(&r) : 0;
}
