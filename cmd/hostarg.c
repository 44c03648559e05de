// SPDX-License-Identifier: GPL-2.0-or-later
/* The argument of --host. */
#include "hostarg.h"

#include <stdio.h>
#include <string.h>

#include "apart.h"
#include "error.h"
#include "host_parts.h"
#include "sandbox.h"

bool host_argument_is_live(const char *argument)
{
	return argument && strcmp(argument, "live") == 0;
}

static void advise(struct nestmig_detail *detail)
{
	size_t used = strlen(detail->text);

	snprintf(detail->text + used, sizeof(detail->text) - used,
		 "; --host takes a profile from elsewhere, or \"none\"");
}

enum nestmig_error host_argument(const char *argument, const struct nestmig_state *state,
				 struct nestmig_host **ret_host, struct nestmig_detail *detail)
{
	enum nestmig_error error;

	if (argument && strcmp(argument, "none") == 0) {
		*ret_host = NULL;
		return NESTMIG_OK;
	}
	if (host_argument_is_live(argument)) {
		error = nestmig_host_live(ret_host, detail);
		if (error == NESTMIG_ERR_CAPABILITY)
			advise(detail);
		return error;
	}
	if (argument)
		return nestmig_host_load(argument, ret_host, detail);
	error = nestmig_host_of_state(state, ret_host, detail);
	if (error != NESTMIG_ERR_NOT_FOUND)
		return error;
	*ret_host = NULL;
	return NESTMIG_OK;
}

/* ---- A profile, read apart ---------------------------------------------------------------------- */

/* What comes over the channel. */
struct told {
	struct nestmig_host_view view;
	char kernel[256]; /* "": not known */
};

static void tell_host(const char *path, int channel)
{
	struct nestmig_detail detail = {0};
	struct nestmig_host *host = NULL;
	enum nestmig_error error = nestmig_host_load(path, &host, &detail);

	if (apart_put_error(channel, error, &detail) && !error) {
		struct told told = {.view = host->view};

		snprintf(told.kernel, sizeof(told.kernel), "%s", host->kernel ? host->kernel : "");
		(void)apart_put(channel, &told, sizeof(told));
	}
	nestmig_host_free(host);
}

/* The work of apart_start, of a profile's name: how entering the sandbox went, how reading went, struct told. */
static void read_profile(void *ctx, int channel)
{
	const char *path = ctx;
	struct nestmig_detail detail = {0};
	enum nestmig_error error =
		sandbox_enter(&(struct sandbox){.paths = &path, .count = 1}, &detail);

	if (apart_put_error(channel, error, &detail) && !error)
		tell_host(path, channel);
}

static enum nestmig_error take_host(struct apart *apart, struct nestmig_host *host,
				    struct nestmig_detail *detail)
{
	enum nestmig_error error = apart_get_error(apart, detail);
	struct told told;

	if (!error)
		error = apart_get_error(apart, detail);
	if (error)
		return error;
	if (!apart_get(apart, apart->channel, &told, sizeof(told)))
		return apart_failed(apart, detail);
	if (told.view.vendor > NESTMIG_VENDOR_AMD || !memchr(told.kernel, 0, sizeof(told.kernel)))
		return nm_fail(detail, NESTMIG_ERR_IO, "what read the profile says what cannot be");
	host->view = told.view;
	host->kernel = *told.kernel ? strdup(told.kernel) : NULL;
	if (*told.kernel && !host->kernel)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	return NESTMIG_OK;
}

enum nestmig_error host_argument_apart(const char *argument, struct nestmig_host **ret_host,
				       struct nestmig_detail *detail)
{
	struct apart apart = {.channel = -1};
	struct nestmig_host *host = NULL;
	enum nestmig_error error;

	if (host_argument_is_live(argument) || strcmp(argument, "none") == 0)
		return host_argument(argument, NULL, ret_host, detail);
	error = nm_host_new(&host, detail);
	if (!error)
		error = apart_start(&apart, read_profile, (void *)(uintptr_t)argument, -1, detail);
	if (!error)
		error = take_host(&apart, host, detail);
	apart_end(&apart);
	if (error) {
		nestmig_host_free(host);
		return error;
	}
	*ret_host = host;
	return NESTMIG_OK;
}
