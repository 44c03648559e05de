/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of MSRs. */
#ifndef NESTMIG_MSRS_H
#define NESTMIG_MSRS_H

#include <stdint.h>

/* The name of an MSR, "" for one that is not known. */
const char *nm_msr_name(uint32_t index);

#endif
