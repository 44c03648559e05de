/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NESTMIG_KERNEL_MUTATE_H
#define NESTMIG_KERNEL_MUTATE_H

#include "../differential/random.h"
#include "flat.h"

/* Changes one to six values of a flat context. Every value stays one that the library could have put there. */
void mutate(struct nestmig_flat_ctx *flat, struct random *random);

#endif
