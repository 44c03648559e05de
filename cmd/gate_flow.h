/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nestmig gate: what passes without being looked at, while the relay waits for the stream. */
#ifndef NESTMIG_GATE_FLOW_H
#define NESTMIG_GATE_FLOW_H

#include "gate.h"

/* One direction of a connection of multifd. */
struct gate_flow {
	int from, to; /* -1: over */
	uint8_t *bytes;
	size_t at, have;
};

struct gate_pair {
	int source, destination;
	struct gate_flow forward, back;
};

/* The messages of the destination, of which only the headers are kept: be16 type, be16 length. */
struct gate_messages {
	uint8_t head[8]; /* and the be32 of a SHUT */
	size_t have;
	uint32_t left; /* of a payload */
};

struct gate_io {
	struct gate_shared *shared;
	int channel;             /* to the keeper, or -1 */
	int judge;               /* while an answer of the judge is waited for; else -1 */
	int source, destination; /* of the stream */
	struct gate_pair pairs[GATE_CONNECTIONS];
	size_t pair_count;
	struct gate_messages messages;
	enum gate_answer answer;
	bool is_back_blocked; /* the source does not take what the destination says */
	bool is_over;         /* the destination has closed */
	bool is_given_up;     /* the keeper says so, or has gone */
};

/*
 * Waits until something can be done, at most timeout_ms (-1: any time), and does all that is not the stream's:
 * passes on what the destination says, multifd, and takes connections. Returns whether anything has happened.
 * source, destination: events of poll(2) that the caller waits for.
 */
bool gate_turn(struct gate_io *io, short source, short destination, int timeout_ms);

/* Closes all connections at once. */
void gate_cut(struct gate_io *io);

/*
 * In phase COMMITTED: sends the rest of the tail, and passes on what the destination says until it closes. If it
 * says nothing for so long although the source has sent more than the tail, or the keeper dies, see the .c file.
 * Errors: IO (the destination has gone before it had the tail), FORMAT (the stream goes on behind its end).
 */
NESTMIG_CHECKED enum nestmig_error gate_finish(struct gate_io *io, int timeout_s,
					       struct nestmig_detail *detail);

#endif
