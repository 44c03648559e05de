/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What nestmig foretells of a case: it reads the changed dump as it would any other. */
#ifndef DIFFERENTIAL_FORETELL_H
#define DIFFERENTIAL_FORETELL_H

#include <stdio.h>

#include "mutate.h"

struct scratch;

/* A copy of the base in a directory of its own, removed by scratch_free. NULL after complaining. */
struct scratch *scratch_new(const struct base *base);
void scratch_free(struct scratch *scratch);

/* Makes the changes of a case in the copy, and takes them back. */
bool scratch_apply(struct scratch *scratch, const struct mutation *mutation);
bool scratch_undo(struct scratch *scratch, const struct mutation *mutation);

/*
 * Judges the copy and writes one line:
 *   NAME VERDICT OUTCOME [IOCTL ERRNO] | follows: ROW | cpu: OUTCOME ... | cpu-follows: ROW
 *   | or: OUTCOME ... | or-follows: ROW | certain: yes | rules: IDS | also: IDS | open: IDS |
 *   user: WHO | changes: TEXT
 * ROW is one of consequences.def, cpu is what the emulated processor makes of it, or what comes of it if KVM
 * loses what it may lose (peculiar.def), rules are those that decide the outcome, also what else is broken,
 * open what is undecided, user who executes with what was changed ("first": what
 * runs first; "l1s": L1, too). A line of VMX has after "open" also
 *   | next: OUTCOME | next-follows: ROW | next-rules: IDS | cpu-next: OUTCOME | may: OUTCOMES | ept: yes
 * next is what L1's next VM entry meets (next.h; "?": not decided), cpu-next what it meets on the emulated
 * processor, may what warnings say may come, ept whether L1 uses EPT.
 */
bool foretell(const struct scratch *scratch, const struct mutation *mutation, FILE *out);

/* The case as the oracle reads it. */
void mutation_print(const struct base *base, const struct mutation *mutation, FILE *out);

/* Writes a whole dump with the changes of a case into a directory that is made. */
bool mutation_materialise(const struct base *base, const struct mutation *mutation,
			  const char *dir);

#endif
