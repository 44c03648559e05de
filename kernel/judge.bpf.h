/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Evaluating the rules in a BPF program: the same rows and predicates as lib/evaluate.c, over one flat context.
 * judge.bpf.o is linked with the object of the caller (bpftool gen object).
 */
#ifndef NESTMIG_JUDGE_BPF_H
#define NESTMIG_JUDGE_BPF_H

#include "judging.h"

/* Evaluates the wanted rules: sets bits in broken and unknown, which it clears first. Changes the context while
 * it works and has put it back when it returns: two programs must not judge with the same memory at once.
 * 0; -1 if judging is NULL. */
int nm_judge(struct nm_judging *judging);

#endif
