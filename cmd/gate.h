/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nestmig gate: a relay on the path of a migration, which lets the device state pass when it has been judged.
 *
 * When does which side run? (QEMU 7.2 to 11.0, migration/migration.c, migration/savevm.c)
 * - The destination runs once it has read QEMU_VM_EOF. It reads the vmdesc behind that, but goes on without it.
 *   All that stands before may pass, so RAM passes as it comes. The devices behind RAM are held back
 *   until the end has come, and judged; EOF and vmdesc are the tail, which is sent last.
 * - A source with a return path, which the command "open return path" in the stream tells of, waits for the
 *   destination's RP SHUT; if the connection is cut before, the guest goes on there. One without is done when
 *   its last byte is in a socket's buffer, of which there is room for the whole device state: nobody could stop it
 *   then. So a stream without a return path is refused before RAM, unless it was asked for.
 * - With postcopy the source does not run again on its own once the destination has the devices: refused at the
 *   first command of it, which comes before RAM.
 *
 * Who holds the sockets? Two processes: the keeper, which the user has started and which accepts, connects and
 * reports, and the relay, which reads the stream, in a sandbox. The state is in memory that they share. Until the
 * phase is COMMITTED the death of either cuts the connections: the destination has no EOF, the source goes on. From
 * there on neither cuts. If the relay dies, the keeper sends the rest of the tail and passes on what the
 * destination says; if the keeper dies, the relay goes on. Bytes may come twice then, which does no harm: a part of
 * the tail behind EOF is not looked at by the destination, and a SHUT is the last that the source reads.
 * What the destination says is looked at (MSG_PEEK), sent, and only then taken.
 * A third process, the judge, parses the devices.
 */
#ifndef NESTMIG_GATE_H
#define NESTMIG_GATE_H

#include <stdatomic.h>

#include "apart.h"
#include "cli.h"

/* The most of device state, with what stands before RAM, bytes. */
#define GATE_STATE_MAX (UINT64_C(64) << 20)
/* The longest report: of 4096 vCPUs. */
#define GATE_REPORT_MAX (UINT64_C(64) << 20)
/* Connections of one migration: the stream, and those of multifd, of which QEMU has at most 255. */
#define GATE_CONNECTIONS 257

/* Only ever grows. */
enum gate_phase {
	GATE_RELAYING,  /* up to the devices */
	GATE_HOLDING,   /* the devices are kept and judged */
	GATE_COMMITTED, /* the tail is being sent: nobody may cut from here on */
};

/* Between relay and keeper. */
struct gate_shared {
	_Atomic uint32_t phase;
	_Atomic uint64_t passed; /* bytes of the stream and of multifd to the destination */
	_Atomic uint64_t sent;   /* with COMMITTED: state up to here has been sent */
	_Atomic uint64_t end;    /* with COMMITTED: of the tail, in state */
	uint8_t state[GATE_STATE_MAX];
};

/* What the user wants; borrowed. */
struct gate_request {
	const char *name; /* for reports: where the stream goes */
	const struct nestmig_host *host;
	bool strict, one_way, json, colour;
	int timeout_s; /* for the devices to come whole, and to be judged */
};

/* What has become of a migration, from the relay to the keeper; report_size bytes of the report follow. */
struct gate_result {
	uint32_t is_judged, verdict; /* enum nestmig_verdict */
	uint32_t is_passed;          /* the devices went on to the destination */
	uint32_t return_path;        /* the stream has opened one */
	uint32_t answer;             /* enum gate_answer */
	uint32_t connections;
	uint64_t bytes, held_bytes;
	int64_t relayed_us, held_us, judged_us;
	uint64_t report_size;
};

/* What the destination has said at the end. */
enum gate_answer { GATE_ANSWER_NONE, GATE_ANSWER_TAKEN, GATE_ANSWER_REFUSED };

/* ---- The judge (gate_judge.c) ----------------------------------------------------------------- */

struct gate_verdict {
	uint32_t verdict; /* enum nestmig_verdict */
	uint64_t report_size;
};

/*
 * The work of apart_start, of a struct gate_request: for each uint64_t of size and the stream of so many
 * bytes answers with apart_put_error, and if that is OK a struct gate_verdict and the report.
 */
void gate_judge(void *ctx, int channel);

/* ---- The relay (gate_relay.c) ------------------------------------------------------------------ */

struct gate_relay_work {
	const struct gate_request *request;
	struct gate_shared *shared;
	int judge; /* channel to the judge */
};

/*
 * The work of apart_start_lasting, of a struct gate_relay_work. Gets connections over the channel
 * (gate_send_pair); anything else on it means that the user has given up. Answers with apart_put_error, and
 * always a struct gate_result and the report.
 */
void gate_relay(void *ctx, int channel);

/* After the relay's death in phase COMMITTED: does what it has not done, until the destination has closed. */
enum gate_answer gate_take_over(struct gate_shared *shared, int source, int destination);

/* One connection of the source's, and the one to the destination that belongs to it. false: the relay has gone. */
bool gate_send_pair(int channel, int source, int destination);
/* false: something else came, or the other side has gone. */
bool gate_receive_pair(int channel, int *ret_source, int *ret_destination);

/* ---- The keeper (gate_keeper.c) ------------------------------------------------------------------ */

struct gate_keeper {
	const struct gate_request *request;
	const char *connect;
	int listener;
	struct gate_result result;
	char *report; /* owned, or NULL */
};

/*
 * Waits for the stream of a migration, and passes it on. keeper->result and report tell what has become of it, also
 * after an error. Errors: those of the relay, of connecting, CANCELLED, and IO (a process has died).
 */
NESTMIG_CHECKED enum nestmig_error gate_keep(struct gate_keeper *keeper,
					     struct nestmig_detail *detail);

/* ---- Addresses (gate_address.c) ----------------------------------------------------------------- */

/* Listens on "unix:PATH" or "tcp:HOST:PORT"; a socket file that nobody listens on is replaced.
 * Errors: INVALID, IO. */
NESTMIG_CHECKED enum nestmig_error gate_listen(const char *address, int *ret_fd,
					       struct nestmig_detail *detail);

/* Connects; the socket does not block. Errors: IO, TIMEOUT. */
NESTMIG_CHECKED enum nestmig_error gate_connect(const char *address, int timeout_s, int *ret_fd,
						struct nestmig_detail *detail);

/* Removes the socket file of a listener. */
void gate_unlisten(const char *address, int fd);

#endif
