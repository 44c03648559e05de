/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libvirt's functions. They are loaded with the first connection: with all that libvirt itself needs nestmig would
 * take ten times as long to start, and most commands have no use for it.
 */
#ifndef NESTMIG_LIBVIRT_LOAD_H
#define NESTMIG_LIBVIRT_LOAD_H

#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "nestmig.h"

#define LIBVIRT_FUNCTIONS(X)                                                                       \
	X(virConnectClose)                                                                         \
	X(virConnectOpen)                                                                          \
	X(virDomainAbortJob)                                                                       \
	X(virDomainFree)                                                                           \
	X(virDomainGetJobStats)                                                                    \
	X(virDomainGetState)                                                                       \
	X(virDomainGetXMLDesc)                                                                     \
	X(virDomainLookupByName)                                                                   \
	X(virDomainLookupByUUIDString)                                                             \
	X(virDomainMigrate3)                                                                       \
	X(virDomainMigrateToURI3)                                                                  \
	X(virDomainRestoreFlags)                                                                   \
	X(virDomainSaveFlags)                                                                      \
	X(virGetLastError)                                                                         \
	X(virSetErrorFunc)                                                                         \
	X(virTypedParamsAddString)                                                                 \
	X(virTypedParamsAddULLong)                                                                 \
	X(virTypedParamsFree)                                                                      \
	X(virTypedParamsGetULLong)

#define LIBVIRT_QEMU_FUNCTIONS(X)                                                                  \
	X(virDomainQemuMonitorCommand)                                                             \
	X(virDomainQemuMonitorCommandWithFiles)

#define LIBVIRT_MEMBER(name) __typeof__(name) *name##_;
struct libvirt_functions {
	LIBVIRT_FUNCTIONS(LIBVIRT_MEMBER)
	LIBVIRT_QEMU_FUNCTIONS(LIBVIRT_MEMBER)
};

/* Set by libvirt_load, never changed again. */
extern struct libvirt_functions libvirt_functions;

/* Once is enough, more often does no harm. Errors: CAPABILITY, it is not installed, or lacks a function. */
NESTMIG_CHECKED enum nestmig_error libvirt_load(struct nestmig_detail *detail);

#define virConnectClose                      libvirt_functions.virConnectClose_
#define virConnectOpen                       libvirt_functions.virConnectOpen_
#define virDomainAbortJob                    libvirt_functions.virDomainAbortJob_
#define virDomainFree                        libvirt_functions.virDomainFree_
#define virDomainGetJobStats                 libvirt_functions.virDomainGetJobStats_
#define virDomainGetState                    libvirt_functions.virDomainGetState_
#define virDomainGetXMLDesc                  libvirt_functions.virDomainGetXMLDesc_
#define virDomainLookupByName                libvirt_functions.virDomainLookupByName_
#define virDomainLookupByUUIDString          libvirt_functions.virDomainLookupByUUIDString_
#define virDomainMigrate3                    libvirt_functions.virDomainMigrate3_
#define virDomainMigrateToURI3               libvirt_functions.virDomainMigrateToURI3_
#define virDomainQemuMonitorCommand          libvirt_functions.virDomainQemuMonitorCommand_
#define virDomainQemuMonitorCommandWithFiles libvirt_functions.virDomainQemuMonitorCommandWithFiles_
#define virDomainRestoreFlags                libvirt_functions.virDomainRestoreFlags_
#define virDomainSaveFlags                   libvirt_functions.virDomainSaveFlags_
#define virGetLastError                      libvirt_functions.virGetLastError_
#define virSetErrorFunc                      libvirt_functions.virSetErrorFunc_
#define virTypedParamsAddString              libvirt_functions.virTypedParamsAddString_
#define virTypedParamsAddULLong              libvirt_functions.virTypedParamsAddULLong_
#define virTypedParamsFree                   libvirt_functions.virTypedParamsFree_
#define virTypedParamsGetULLong              libvirt_functions.virTypedParamsGetULLong_

#endif
