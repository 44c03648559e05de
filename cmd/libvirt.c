// SPDX-License-Identifier: GPL-2.0-or-later
/* Connections to libvirt, its domains and its errors. */
#include "libvirt.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

/* libvirt's own handler writes every error to standard error. */
static void keep_quiet(void *ctx, virErrorPtr error)
{
	(void)ctx;
	(void)error;
}

static enum nestmig_error kind_of(int code)
{
	switch (code) {
	case VIR_ERR_NO_DOMAIN:
		return NESTMIG_ERR_NOT_FOUND;
	case VIR_ERR_NO_MEMORY:
		return NESTMIG_ERR_NOMEM;
	case VIR_ERR_NO_SUPPORT:
	case VIR_ERR_ARGUMENT_UNSUPPORTED:
	case VIR_ERR_CONFIG_UNSUPPORTED:
	case VIR_ERR_OPERATION_UNSUPPORTED:
		return NESTMIG_ERR_CAPABILITY;
	case VIR_ERR_OPERATION_ABORTED:
		return NESTMIG_ERR_CANCELLED;
	case VIR_ERR_OPERATION_TIMEOUT:
		return NESTMIG_ERR_TIMEOUT;
	default:
		return NESTMIG_ERR_LIBVIRT;
	}
}

enum nestmig_error libvirt_failed(const char *what, struct nestmig_detail *detail)
{
	virErrorPtr error = virGetLastError();
	enum nestmig_error kind = kind_of(error ? error->code : VIR_ERR_OK);
	char *text = strdup(error && error->message ? error->message : "libvirt does not say why");

	if (!text)
		return nm_fail(detail, kind, "%s", what);
	/* Messages name connections. */
	nm_hide_passwords(text);
	nm_fail(detail, kind, "%s%s%.330s", what, *what ? ": " : "", text);
	free(text);
	return kind;
}

enum nestmig_error libvirt_open(const char *uri, virConnectPtr *ret_connection,
				struct nestmig_detail *detail)
{
	enum nestmig_error error = libvirt_load(detail);
	virConnectPtr connection;

	if (error)
		return error;
	virSetErrorFunc(NULL, keep_quiet);
	connection = virConnectOpen(uri);
	if (!connection)
		return libvirt_failed(uri ? "" : "libvirt's default connection", detail);
	*ret_connection = connection;
	return NESTMIG_OK;
}

void libvirt_close(virConnectPtr connection)
{
	if (connection)
		virConnectClose(connection);
}

enum nestmig_error libvirt_lookup(virConnectPtr connection, const char *name,
				  virDomainPtr *ret_domain, struct nestmig_detail *detail)
{
	virDomainPtr domain = virDomainLookupByName(connection, name);

	if (!domain)
		domain = virDomainLookupByUUIDString(connection, name);
	if (!domain) {
		/* What the look-up by UUID complains of says nothing about a name. */
		(void)virDomainLookupByName(connection, name);
		return libvirt_failed("", detail);
	}
	*ret_domain = domain;
	return NESTMIG_OK;
}

void libvirt_domain_free(virDomainPtr domain)
{
	if (domain)
		virDomainFree(domain);
}

const char *libvirt_state(virDomainPtr domain)
{
	/* The words of virsh domstate, in the order of enum virDomainState. */
	static const char *const names[] = {"no state",    "running",  "idle",    "paused",
					    "in shutdown", "shut off", "crashed", "pmsuspended"};
	virErrorPtr error;
	int state = 0;

	if (virDomainGetState(domain, &state, NULL, 0) < 0) {
		error = virGetLastError();
		return error && error->code == VIR_ERR_NO_DOMAIN ? "gone" : "unknown";
	}
	return state >= 0 && (size_t)state < sizeof(names) / sizeof(names[0]) ? names[state]
									      : "unknown";
}

/* The "return" of a reply, or QEMU's error. */
static enum nestmig_error take_reply(const char *command, const char *text, json_t **ret_value,
				     struct nestmig_detail *detail)
{
	json_t *reply = json_loads(text, JSON_DECODE_ANY, NULL);
	const json_t *error = json_object_get(reply, "error");
	json_t *value = json_object_get(reply, "return");
	enum nestmig_error result = NESTMIG_OK;

	if (error) {
		const char *why = json_string_value(json_object_get(error, "desc"));

		result = nm_fail(detail, NESTMIG_ERR_QMP, "%s: %.330s", command,
				 why ? why : "QEMU does not say why");
	} else if (!value) {
		result = nm_fail(detail, NESTMIG_ERR_QMP, "the reply to %s has no \"return\"",
				 command);
	} else if (ret_value) {
		*ret_value = json_incref(value);
	}
	json_decref(reply);
	return result;
}

enum nestmig_error libvirt_monitor(virDomainPtr domain, const char *command, json_t *arguments,
				   int fd, json_t **ret_value, struct nestmig_detail *detail)
{
	json_t *whole = json_pack("{s:s, s:O*}", "execute", command, "arguments", arguments);
	char *text = whole ? json_dumps(whole, JSON_COMPACT) : NULL, *reply = NULL;
	enum nestmig_error error = NESTMIG_OK;
	int status;

	json_decref(whole);
	if (!text)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	status = fd < 0 ? virDomainQemuMonitorCommand(domain, text, &reply, 0)
			: virDomainQemuMonitorCommandWithFiles(domain, text, 1, &fd, NULL, NULL,
							       &reply, 0);
	free(text);
	if (status < 0)
		error = libvirt_failed(command, detail);
	else
		error = take_reply(command, reply, ret_value, detail);
	free(reply);
	return error;
}
