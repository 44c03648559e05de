// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig migrate: which side has the VM in the end, with QEMUs that fail as real ones do only by chance; and RAM
 * from `info mtree`. */
#include "testing/qmp_mock.h"

#include "migrate_sides.h"
#include "migrate_take.h"

/* A QEMU as far as settling speaks to it. */
struct fake {
	struct mock mock;                     /* first: a script is given this */
	const char *status, *migration, *why; /* why: as it stands in JSON, or NULL */
	bool runs_again;                      /* by itself, after a cancellation */
	bool loses_cancel; /* it waits until it is told to continue, from "cancelling" */
	bool refuses_cont;
	bool is_deaf; /* to migrate-continue */
	int conts, continues;
};

static void over(struct fake *f, const char *migration)
{
	f->migration = migration;
	if (strcmp(migration, "completed") == 0)
		f->status = "postmigrate";
	else if (f->runs_again)
		f->status = "running";
}

static bool cancel(struct fake *f)
{
	if (strcmp(f->migration, "completed") == 0)
		return true;
	if (f->loses_cancel)
		f->migration = "cancelling";
	else
		over(f, "cancelled");
	return true;
}

static bool go_on(struct fake *f, const json_t *command)
{
	const char *state = NULL;

	f->continues++;
	if (f->is_deaf ||
	    json_unpack((json_t *)(uintptr_t)command, "{s:{s:s}}", "arguments", "state", &state) ||
	    strcmp(state, f->migration) != 0)
		return false;
	over(f, strcmp(state, "cancelling") == 0 ? "cancelled" : "completed");
	return true;
}

static bool cont(struct fake *f)
{
	f->conts++;
	if (!f->refuses_cont)
		f->status = "running";
	return !f->refuses_cont;
}

/* Does what one command says. false: an error. */
static bool obey(struct fake *f, const char *name, const json_t *command)
{
	if (strcmp(name, "migrate_cancel") == 0)
		return cancel(f);
	if (strcmp(name, "migrate-continue") == 0)
		return go_on(f, command);
	return strcmp(name, "cont") == 0 ? cont(f) : true;
}

static void answer(struct fake *f, const char *name, const char *id, bool is_good)
{
	char text[256] = "{}";

	if (strcmp(name, "query-status") == 0)
		snprintf(text, sizeof(text), "{\"status\": \"%s\", \"running\": %s}", f->status,
			 strcmp(f->status, "running") == 0 ? "true" : "false");
	else if (strcmp(name, "query-migrate") == 0)
		snprintf(text, sizeof(text), "{\"status\": \"%s\", \"error-desc\": \"%s\"}",
			 f->migration, f->why ? f->why : "");
	if (is_good)
		mock_reply(&f->mock, id, "return", text);
	else
		mock_reply(&f->mock, id, "error",
			   "{\"class\": \"GenericError\", \"desc\": \"no\"}");
}

static void serve(struct mock *m)
{
	struct fake *f = (struct fake *)m;
	json_t *command;

	MOCK_CHECK(m, mock_handshake(m));
	while ((command = mock_command(m))) {
		const char *name = NULL, *id = NULL;
		bool is_end;

		MOCK_CHECK(m, !json_unpack(command, "{s:s, s:s}", "execute", &name, "id", &id));
		is_end = strcmp(name, "quit") == 0;
		answer(f, name, id, obey(f, name, command));
		json_decref(command);
		if (is_end)
			return;
	}
}

/* Settles with these two (dest may be NULL). */
static struct sides_outcome settle(struct fake *source, struct fake *dest, enum sides_phase phase,
				   bool was_running)
{
	struct sides sides = {.source_address = "source", .dest_address = dest ? "dest" : NULL};
	struct sides_plan plan = {.phase = phase, .was_running = was_running, .timeout_s = 5};
	struct sides_outcome outcome;

	sides.source.qmp = mock_open(&source->mock, serve, NULL);
	if (dest) {
		sides.dest.qmp = mock_open(&dest->mock, serve, NULL);
		sides.is_dest_open = true;
	}
	sides_settle(&sides, &plan, &outcome);
	mock_stop(&source->mock, sides.source.qmp);
	if (dest)
		mock_stop(&dest->mock, sides.dest.qmp);
	return outcome;
}

static void expect(const struct sides_outcome *outcome, enum sides_at at, const char *source,
		   const char *dest)
{
	ck_assert_str_eq(sides_at_name(outcome->at), sides_at_name(at));
	ck_assert_str_eq(outcome->source, source);
	ck_assert_str_eq(outcome->dest, dest);
}

/* clang-format off */
#define AT_SWITCHOVER .status = "finish-migrate", .migration = "pre-switchover"
#define LOADED        .status = "paused", .migration = "completed"
#define WAITING       .status = "inmigrate", .migration = "setup"
/* clang-format on */

START_TEST(cancelled)
{
	struct fake source = {AT_SWITCHOVER, .runs_again = true}, dest = {WAITING};
	struct sides_outcome outcome = settle(&source, &dest, SIDES_STARTED, true);

	expect(&outcome, SIDES_AT_SOURCE, "running", "inmigrate");
	ck_assert_int_eq(source.conts, 0);
	ck_assert_int_eq(source.continues, 0);
}
END_TEST

/* QEMU 7.2 may lose a cancellation: see wake(). */
START_TEST(cancellation_lost)
{
	struct fake source = {.status = "finish-migrate",
			      .migration = "active",
			      .runs_again = true,
			      .loses_cancel = true};
	struct sides_outcome outcome = settle(&source, NULL, SIDES_STARTED, true);

	expect(&outcome, SIDES_AT_SOURCE, "running", "unknown");
	ck_assert_int_ge(source.continues, 1);
}
END_TEST

/* A source that does not run the VM again by itself is told to; of one that was paused nothing is asked. */
START_TEST(taken_back)
{
	struct fake source = {AT_SWITCHOVER}, paused = {AT_SWITCHOVER};
	struct sides_outcome outcome = settle(&source, NULL, SIDES_STARTED, true);

	expect(&outcome, SIDES_AT_SOURCE, "running", "unknown");
	ck_assert_int_eq(source.conts, 1);
	outcome = settle(&paused, NULL, SIDES_STARTED, false);
	expect(&outcome, SIDES_AT_SOURCE, "finish-migrate", "unknown");
	ck_assert_int_eq(paused.conts, 0);
}
END_TEST

/* The decision was made, and who made it may have died before it was said. */
START_TEST(decided)
{
	struct fake source = {AT_SWITCHOVER}, dest = {LOADED}, kept = {AT_SWITCHOVER},
		    paused = {LOADED};
	struct sides_outcome outcome = settle(&source, &dest, SIDES_DECIDED, true);

	expect(&outcome, SIDES_AT_DESTINATION, "postmigrate", "running");
	ck_assert_int_eq(dest.conts, 1);
	ck_assert_int_eq(source.conts, 0);
	outcome = settle(&kept, &paused, SIDES_DECIDED, false);
	expect(&outcome, SIDES_AT_DESTINATION, "postmigrate", "paused");
	ck_assert_int_eq(paused.conts, 0);
}
END_TEST

/* What the destination cannot run it must not keep: it is ended before the source goes on. */
START_TEST(destination_fails)
{
	struct fake source = {AT_SWITCHOVER}, dest = {LOADED, .refuses_cont = true},
		    again = {AT_SWITCHOVER},
		    failed = {.status = "inmigrate", .migration = "failed"};
	struct sides_outcome outcome = settle(&source, &dest, SIDES_DECIDED, true);

	expect(&outcome, SIDES_AT_SOURCE, "running", "gone");
	ck_assert_int_eq(source.conts, 1);
	outcome = settle(&again, &failed, SIDES_DECIDED, true);
	expect(&outcome, SIDES_AT_SOURCE, "running", "gone");
}
END_TEST

/* The words of a QEMU that nobody trusts. */
START_TEST(hostile_words)
{
	struct fake source = {.status = "running\\u001b[2J",
			      .migration = "failed",
			      .why = "no\\u001b]0;\\u009b\\u202e"};
	struct sides_outcome outcome = settle(&source, NULL, SIDES_STARTED, false);

	expect(&outcome, SIDES_AT_SOURCE, "running?[2J", "unknown");
	ck_assert_str_eq(outcome.why, "no?]0;?????");
}
END_TEST

/* Nobody starts a VM at the source that the destination runs. */
START_TEST(destination_not_asked)
{
	struct fake source = {AT_SWITCHOVER};
	struct sides_outcome outcome = settle(&source, NULL, SIDES_DECIDED, true);

	expect(&outcome, SIDES_AT_DESTINATION, "postmigrate", "unknown");
	ck_assert_int_eq(source.conts, 0);
}
END_TEST

START_TEST(ram)
{
	static const char text[] =
		"FlatView #0\n AS \"I/O\", root: io\n Root memory region: io\n"
		"  0000000000000000-0000000000000fff (prio 0, ram): not.this\n\n"
		"FlatView #1\n AS \"memory\", root: system\n AS \"cpu-memory-0\", root: system\n"
		" Root memory region: system\n"
		"  0000000000000000-000000000009ffff (prio 0, ram): pc.ram\n"
		"  00000000000a0000-00000000000bffff (prio 1, i/o): vga-lowmem\n"
		"  00000000000c0000-00000000000dffff (prio 1, rom): pc.rom\n"
		"  0000000000100000-0000000003ffffff (prio 0, ram): pc.ram @0000000000100000\n"
		"  0000000000000000-ffffffffffffffff (prio 0, ram): all\n"
		"  0000000000000002-0000000000000001 (prio 0, ram): none\n"
		"  00000000fd000000-00000000fdffffff (prio -1, ram): vga.vram\n"
		"  nonsense\n\n"
		"FlatView #2\n AS \"KVM-SMRAM\", root: mem-container-smram\n"
		"  00000000000a0000-00000000000bffff (prio 0, ram): pc.ram\n";
	struct nm_range *ranges = NULL;
	size_t count = 0;

	ck_assert_int_eq(take_ram_text(text, &ranges, &count), NESTMIG_OK);
	ck_assert_uint_eq(count, 3);
	ck_assert_uint_eq(ranges[0].gpa, 0);
	ck_assert_uint_eq(ranges[0].length, 0xa0000);
	ck_assert_uint_eq(ranges[1].gpa, 0x100000);
	ck_assert_uint_eq(ranges[1].length, 0x3f00000);
	ck_assert_uint_eq(ranges[2].gpa, 0xfd000000);
	free(ranges);
	ck_assert_int_eq(take_ram_text("", &ranges, &count), NESTMIG_OK);
	ck_assert_uint_eq(count, 0);
	free(ranges);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("migrate");
	TCase *tc = tcase_create("sides");

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, cancelled);
	tcase_add_test(tc, cancellation_lost);
	tcase_add_test(tc, taken_back);
	tcase_add_test(tc, decided);
	tcase_add_test(tc, destination_fails);
	tcase_add_test(tc, destination_not_asked);
	tcase_add_test(tc, hostile_words);
	tcase_add_test(tc, ram);
	suite_add_tcase(suite, tc);
	return mock_run(suite);
}
