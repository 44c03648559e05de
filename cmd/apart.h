/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process of its own for parsing what a guest may have shaped, beside one that talks to QEMU: whoever
 * takes the parser over has the sandbox around him and no connection to QEMU, which would start programs
 * for him. The two speak over a channel, in the layout of this program's memory. Each side gives
 * what the other waits for; the side that talks to QEMU checks all that it gets.
 */
#ifndef NESTMIG_APART_H
#define NESTMIG_APART_H

#include <sys/types.h>

#include "nestmig.h"

struct apart {
	pid_t pid; /* 0: there is none */
	int channel;
	int64_t deadline; /* of live_now, ms, for what is got next; 0: none */
};

/*
 * Starts work(ctx, channel) in a new process, which has of all descriptors but the standard ones only
 * channel and keep (-1: none), and ends with this one. When work returns, it ends. It has to enter the sandbox
 * itself. Errors: IO. apart_end must follow, also on failure.
 */
NESTMIG_CHECKED enum nestmig_error apart_start(struct apart *apart,
					       void (*work)(void *ctx, int channel), void *ctx,
					       int keep, struct nestmig_detail *detail);

/* The same of one that does not end with this process: it sees that on the channel. */
NESTMIG_CHECKED enum nestmig_error apart_start_lasting(struct apart *apart,
						       void (*work)(void *ctx, int channel),
						       void *ctx, int keep,
						       struct nestmig_detail *detail);

/* On both sides: size bytes. false: the other side has gone. A signal that live.h catches is handed on to
 * the process apart (NULL: this is that process). */
bool apart_put(int channel, const void *bytes, size_t size);
bool apart_get(const struct apart *apart, int channel, void *bytes, size_t size);

/* How something went on the other side: its error and detail, which is OK or becomes one's own. */
bool apart_put_error(int channel, enum nestmig_error error, const struct nestmig_detail *detail);
NESTMIG_CHECKED enum nestmig_error apart_get_error(struct apart *apart,
						   struct nestmig_detail *detail);

/* Fills detail: the process has ended, or does not say what it should. IO, CANCELLED after a signal, or TIMEOUT
 * after the deadline. */
enum nestmig_error apart_failed(struct apart *apart, struct nestmig_detail *detail);

/* Ends the process, if it has not. */
void apart_end(struct apart *apart);

#endif
