/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Predicates of the rules on SMM: what RSM will load, and what that makes. Needs no libc. */
#ifndef NESTMIG_SMRAM_PREDICATES_H
#define NESTMIG_SMRAM_PREDICATES_H

#include "../vcpu/predicates.h"
#include "rsm.h"

#include "predicates_image.h"
#include "predicates_registers.h"
#include "predicates_svm.h"
#include "predicates_vmx.h"

#endif
