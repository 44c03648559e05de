// SPDX-License-Identifier: GPL-2.0-or-later
/* The hook's process that judges: the domain's XML, and of a restore the image. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "domain.h"
#include "error.h"
#include "hook.h"
#include "host.h"
#include "hostarg.h"
#include "place.h"
#include "place_render.h"
#include "sandbox.h"

#define XML_MAX (16U << 20)
#define ANCESTORS                                                                                  \
	4 /* from the hook to the daemon: nestmig, a shell, and what else starts programs */
#define IMAGE_MAGIC "LibvirtQemud" /* then "Save", or "Part" in an unfinished one */

struct judging {
	const struct hook_request *request;
	struct nestmig_host *host; /* NULL: not known */
	char *xml;
	char image[HOOK_PATH_MAX];
	struct nm_buf reasons;
	enum nestmig_verdict verdict;
};

static void worsen(struct judging *j, enum nestmig_verdict verdict)
{
	if (verdict > j->verdict)
		j->verdict = verdict;
}

__attribute__((format(printf, 2, 3))) static void not_checked(struct judging *j, const char *format,
							      ...)
{
	char text[600];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	nm_buf_printf(&j->reasons, "not checked: %s\n", text);
	worsen(j, NESTMIG_VERDICT_UNKNOWN);
}

/* ---- What needs more than the sandbox leaves ------------------------------------------------- */

static void read_xml(struct judging *j)
{
	size_t size = 0, room = 0;
	ssize_t n = 1;
	char *bigger;

	while (n && size < XML_MAX) {
		if (size + 1 >= room) {
			room = room ? 2 * room : 65536;
			bigger = realloc(j->xml, room);
			if (!bigger)
				break;
			j->xml = bigger;
		}
		n = read(STDIN_FILENO, j->xml + size, room - 1 - size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		size += (size_t)n;
	}
	if (n != 0) {
		free(j->xml);
		j->xml = NULL;
	} else {
		j->xml[size] = '\0';
	}
}

/* The second field of /proc/PID/stat, and the parent. */
static pid_t parent_of(pid_t pid, char name[32])
{
	char path[64], text[256] = "";
	int parent = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (!fgets(text, sizeof(text), file) ||
	    sscanf(text, "%*d (%31[^)]) %*c %d", name, &parent) != 2)
		parent = 0;
	fclose(file);
	return parent;
}

/* The daemon that has started the hook; 0 if it was somebody else. */
static pid_t find_daemon(void)
{
	pid_t pid = getppid();
	char name[32] = "";

	for (int i = 0; i < ANCESTORS && pid > 1; i++) {
		pid_t parent = parent_of(pid, name);

		if (strcmp(name, "libvirtd") == 0 || strcmp(name, "virtqemud") == 0)
			return pid;
		pid = parent;
	}
	return 0;
}

/*
 * Is this a save image of the domain? The name stands near the start of its XML, which a guest has no part in:
 * <domain type='kvm'>, then <name>.
 */
static bool is_image_of(int fd, const char *domain)
{
	char head[4096], name[1024];
	ssize_t n = pread(fd, head, sizeof(head) - 1, 0);

	if (n < 200 || memcmp(head, IMAGE_MAGIC, strlen(IMAGE_MAGIC)) != 0)
		return false;
	head[n] = '\0';
	/* Texts in XML are escaped; a name with such a character is not found. */
	snprintf(name, sizeof(name), "<name>%s</name>", domain);
	return memmem(head, (size_t)n, name, strlen(name)) != NULL;
}

/* The image behind a descriptor of the daemon, under a name that leads to the same file. */
static bool take_image(struct judging *j, const char *link)
{
	struct stat there, named;
	ssize_t length;
	bool is_taken;
	int fd;

	/* To open something else could do something. */
	if (stat(link, &there) < 0 || !S_ISREG(there.st_mode))
		return false;
	fd = open(link, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	length = readlink(link, j->image, sizeof(j->image) - 1);
	j->image[length > 0 ? length : 0] = '\0';
	is_taken = length > 0 && fstat(fd, &there) == 0 && S_ISREG(there.st_mode) &&
		   stat(j->image, &named) == 0 && there.st_dev == named.st_dev &&
		   there.st_ino == named.st_ino && is_image_of(fd, j->request->domain);
	if (!is_taken)
		j->image[0] = '\0';
	close(fd);
	return is_taken;
}

/* Among the daemon's open files: it holds the image open from reading its header until QEMU has loaded it
 * (qemuDomainRestoreInternal and qemuDomainObjRestore, libvirt 9.0). */
static bool find_open_image(struct judging *j)
{
	pid_t daemon = find_daemon();
	char path[64], link[sizeof(path) + NAME_MAX + 2];
	bool is_found = false;
	struct dirent *entry;
	DIR *dir;

	if (!daemon)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)daemon);
	dir = opendir(path);
	while (dir && !is_found && (entry = readdir(dir))) {
		snprintf(link, sizeof(link), "%s/%s", path, entry->d_name);
		is_found = isdigit((unsigned char)entry->d_name[0]) && take_image(j, link);
	}
	if (dir)
		closedir(dir);
	return is_found;
}

static void find_image(struct judging *j)
{
	char *saves = hook_path(j->request->options->root, HOOK_SAVES);
	int length;

	if (find_open_image(j)) {
		free(saves);
		return;
	}
	length = saves ? snprintf(j->image, sizeof(j->image), "%s/%s.save", saves,
				  j->request->domain)
		       : -1;
	free(saves);
	if (length > 0 && (size_t)length < sizeof(j->image) && access(j->image, R_OK) == 0)
		return;
	j->image[0] = '\0';
	not_checked(j, "the file that is restored: there is no managed save of this name, and the "
		       "daemon shows no other; `nestmig validate` judges it");
}

/* ---- Judging ---------------------------------------------------------------------------------- */

static void judge_domain(struct judging *j)
{
	struct nm_domain *domain = NULL;
	struct nestmig_detail detail = {0};

	if (!j->xml) {
		not_checked(j, "the domain's CPU: its XML could not be read");
	} else if (nm_domain_parse(j->xml, &domain, &detail)) {
		not_checked(j, "the domain's CPU: its XML: %s", detail.text);
	} else {
		worsen(j, hook_judge_needs(domain, j->host, &j->reasons));
		nm_domain_free(domain);
	}
}

static enum nestmig_error place_image(struct judging *j, const struct nestmig_state *state)
{
	struct nm_placer *placer = NULL;
	enum nestmig_error error = nm_placer_new(state, &placer);
	struct nm_placement placement;
	char *text = NULL;

	if (error)
		return error;
	nm_place(placer, j->host ? &j->host->view : NULL, &placement);
	nm_placer_free(placer);
	worsen(j, (enum nestmig_verdict)placement.verdict);
	if (placement.verdict == NESTMIG_VERDICT_OK)
		return NESTMIG_OK;
	error = place_reason(state, &placement, &text);
	if (!error)
		nm_buf_printf(&j->reasons, "%s: %s\n", j->image, text);
	free(text);
	if (!error && placement.verdict == NESTMIG_VERDICT_FAIL) {
		error = place_outcome(&placement, &text);
		if (!error)
			nm_buf_printf(&j->reasons, "%s: outcome: %s\n", j->image, text);
		free(text);
	}
	return error;
}

static void judge_image(struct judging *j)
{
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail = {0};
	enum nestmig_error error = nestmig_state_read(j->image, 0, &state, &detail);

	/* An image that cannot be read is libvirt's to refuse. */
	if (error)
		not_checked(j, "%s: %s", j->image, detail.text);
	else if (place_image(j, state))
		not_checked(j, "%s: out of memory", j->image);
	nestmig_state_free(state);
}

static void gather(struct judging *j)
{
	const char *host = j->request->options->host;
	struct nestmig_detail detail = {0};

	read_xml(j);
	if (host_argument_apart(host ? host : "live", &j->host, &detail))
		not_checked(j, "this host: %s", detail.text);
	if (j->request->is_restore)
		find_image(j);
}

static void answer(struct judging *j, int channel)
{
	struct hook_answer *answer = calloc(1, sizeof(*answer));
	char *text = NULL;

	if (answer && !nm_buf_take(&j->reasons, &text)) {
		answer->verdict = j->verdict;
		memcpy(answer->image, j->image, sizeof(answer->image));
		snprintf(answer->reasons, sizeof(answer->reasons), "%s", text);
		(void)apart_put(channel, answer, sizeof(*answer));
	}
	free(text);
	free(answer);
}

void hook_judge(void *ctx, int channel)
{
	struct judging j = {.request = ctx};
	const char *paths[] = {j.image};
	struct sandbox sandbox = {.paths = paths};
	struct nestmig_detail detail = {0};

	nm_buf_puts(&j.reasons, "");
	gather(&j);
	sandbox.count = *j.image ? 1 : 0;
	if (sandbox_enter(&sandbox, &detail)) {
		not_checked(&j, "%s", detail.text);
	} else {
		judge_domain(&j);
		if (*j.image)
			judge_image(&j);
	}
	answer(&j, channel);
	free(j.xml);
	nestmig_host_free(j.host);
}
