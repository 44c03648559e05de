/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections to libvirt, its domains and its errors. */
#ifndef NESTMIG_LIBVIRT_H
#define NESTMIG_LIBVIRT_H

#include <jansson.h>

#include "libvirt_load.h"
#include "nestmig.h"

/*
 * Connects to a daemon. uri: NULL is what libvirt takes by default. libvirt_close must follow on success.
 * From the first call on libvirt prints no errors itself. Errors: those of libvirt_load and libvirt_failed.
 */
NESTMIG_CHECKED enum nestmig_error libvirt_open(const char *uri, virConnectPtr *ret_connection,
						struct nestmig_detail *detail);

/* NULL is allowed. */
void libvirt_close(virConnectPtr connection);

/*
 * Turns the last failure of libvirt in this thread into an error; what is put before its text. NOT_FOUND (no
 * such domain), CAPABILITY (driver, daemon or QEMU cannot do it), CANCELLED (the job was aborted), TIMEOUT,
 * NOMEM, else LIBVIRT.
 */
enum nestmig_error libvirt_failed(const char *what, struct nestmig_detail *detail);

/* A domain by its name, or by its UUID. To be freed with libvirt_domain_free. Errors: NOT_FOUND, LIBVIRT. */
NESTMIG_CHECKED enum nestmig_error libvirt_lookup(virConnectPtr connection, const char *name,
						  virDomainPtr *ret_domain,
						  struct nestmig_detail *detail);

/* NULL is allowed. */
void libvirt_domain_free(virDomainPtr domain);

/* The state of a domain, in virsh's words: "running", "paused", "shut off", ...; "gone" if there is no such
 * domain any more, "unknown" if the daemon does not say. A static string. */
const char *libvirt_state(virDomainPtr domain);

/*
 * A QMP command to the domain's QEMU, which marks the domain as tainted until it ends. arguments: an object, or
 * NULL; borrowed. fd: passed with it, as "add-fd" wants it, or -1; stays the caller's. *ret_value: NULL, or
 * becomes a new reference to "return". Errors: CAPABILITY (passing a descriptor needs libvirt 8.2 on both
 * sides), QMP (QEMU's own error), and those of libvirt_failed.
 */
NESTMIG_CHECKED enum nestmig_error libvirt_monitor(virDomainPtr domain, const char *command,
						   json_t *arguments, int fd, json_t **ret_value,
						   struct nestmig_detail *detail);

#endif
