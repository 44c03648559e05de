// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig: finds the subcommand and runs it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

/* clang-format off */
static const struct command commands[] = {
	{"snapshot", "[--state-only] [--resume] [--json] (--qmp SOCKET | --domain NAME [--connect URI]) FILE",
	 "save a running VM, or only its device state, to a .nms snapshot",
	 "  -q, --qmp SOCKET     QMP socket of the VM: PATH or unix:PATH\n"
	 "  -d, --domain NAME    a libvirt domain: libvirt saves it to an image of its own\n"
	 "  -c, --connect URI    with --domain: libvirt's daemon\n"
	 "  -s, --state-only     device state without RAM; the VM goes on after milliseconds\n"
	 "  -r, --resume         let a VM that was running go on after a full snapshot\n"
	 "  -H, --host PROFILE   profile of the source host: a file, \"live\" or \"none\"\n"
	 "  -l, --level N        zstd level, 1 to 19 (default 1)\n"
	 "  -t, --timeout S      seconds without progress until it gives up (default 30)\n"
	 "  -j, --json           one JSON document on stdout\n",
	 cmd_snapshot, 1},
	{"validate", "[--host PROFILE] [--order LIST] [--snapshot NAME] [--strict] [--jobs N] [--json] FILE...",
	 "tell whether saved vCPUs will resume on a host, and if not why",
	 "  -H, --host PROFILE   the destination: a file of `nestmig host --save`, \"live\" for this\n"
	 "                       machine, \"none\"; default: the host that the file itself describes\n"
	 "  -o, --order LIST     the ioctls of the restore in their order: \"qemu\", \"selftests\" or names\n"
	 "                       like SREGS2,NESTED_STATE; default: what a raw dump says, else \"qemu\"\n"
	 "  -n, --snapshot NAME  of a qcow2 image: the internal snapshot with this name or id\n"
	 "      --strict         count what could not be judged as a finding\n"
	 "      --skip-ram       do not verify the checksums of RAM in an .nms\n"
	 "      --quick          do not pass over a stream's RAM to the devices: nothing is ok then\n"
	 "  -J, --jobs N         judge N files at a time; 0: one a processor (default 1)\n"
	 "  -T, --files-from F   the names of more files, a line each or ended by NULs, are in F\n"
	 "  -j, --json           one JSON document a file on stdout\n",
	 cmd_validate, 1},
	{"place", "--hosts DIR [--order LIST] [--snapshot NAME] [--strict] [--jobs N] [--json] FILE...",
	 "tell on which of many hosts saved vCPUs will resume, and why not on the others",
	 "  -H, --hosts DIR      the profiles: its files *.json, of `nestmig host --save`\n"
	 "  -o, --order LIST     the ioctls of the restore in their order, as `nestmig validate` takes it\n"
	 "  -n, --snapshot NAME  of a qcow2 image: the internal snapshot with this name or id\n"
	 "      --strict         a host of which it is not known is none\n"
	 "      --skip-ram       do not verify the checksums of RAM in an .nms\n"
	 "      --quick          do not pass over a stream's RAM to the devices: nothing is ok then\n"
	 "  -J, --jobs N         judge N files at a time; 0: one a processor (default 1)\n"
	 "  -T, --files-from F   the names of more files, a line each or ended by NULs, are in F\n"
	 "  -j, --json           one JSON document a file on stdout\n",
	 cmd_place, 1},
	{"inspect", "[--field NAME | --raw ITEM | --smram | --xml] [--vcpu N] [--snapshot NAME] [--jobs N] [--json] FILE...",
	 "show the saved state of vCPUs in readable form",
	 "  -f, --field NAME     only the value of this field, e.g. vmcb12.control.asid\n"
	 "  -R, --raw ITEM       the undecoded bytes of an item (vmcb12, nested_state, ...) to stdout\n"
	 "  -S, --smram          of vCPUs in SMM: what RSM will load\n"
	 "  -x, --xml            libvirt's domain XML and cookie\n"
	 "      --fields         list the names of all fields\n"
	 "      --skip-ram       do not verify the checksums of RAM in an .nms\n"
	 "  -n, --snapshot NAME  of a qcow2 image: the internal snapshot with this name or id\n"
	 "  -c, --vcpu N         with --field and --raw: the vCPU, by position (default 0)\n"
	 "  -J, --jobs N         show N files at a time; 0: one a processor (default 1)\n"
	 "  -T, --files-from F   the names of more files, a line each or ended by NULs, are in F\n"
	 "  -j, --json           one JSON document a file on stdout\n",
	 cmd_inspect, 1},
	{"diff", "[--host PROFILE] [--all] [--json] A B",
	 "compare two saved states, and what rules say of them",
	 "  -H, --host PROFILE   judge both for this host: a file, \"live\" or \"none\"; default: the\n"
	 "                       host that B describes, else that of A\n"
	 "  -a, --all            also clocks and counters, which never matter\n"
	 "      --skip-ram       do not verify the checksums of RAM in an .nms\n"
	 "      --quick          do not pass over a stream's RAM to the devices: nothing is ok then\n"
	 "  -j, --json           one JSON document on stdout\n",
	 cmd_diff, 1},
	{"convert", "[--to nms|raw-dump] [--memory] [--snapshot NAME] [--force] [--json] IN OUT",
	 "write a saved state as an .nms or as a raw KVM dump",
	 "  -t, --to KIND        nms or raw-dump; default: by the name, .nms or a slash at its end\n"
	 "  -m, --memory         raw-dump: all guest memory at hand, not only what rules need\n"
	 "  -n, --snapshot NAME  of a qcow2 image: the internal snapshot with this name or id\n"
	 "  -f, --force          replace OUT if it is there\n"
	 "      --skip-ram       do not verify the checksums of RAM in an .nms\n"
	 "  -j, --json           one JSON document on stdout\n",
	 cmd_convert, 1},
	{"extract", "(--blob | --item NAME | --page GPA | --stream) [--snapshot NAME] [-o OUT] [--json] FILE",
	 "write a part of a saved state as bytes",
	 "  -b, --blob           the struct kvm_nested_state of a vCPU\n"
	 "  -i, --item NAME      the undecoded bytes of an item of a vCPU (vmcb12, sregs, ...)\n"
	 "  -p, --page GPA       the page of guest memory at this address\n"
	 "  -s, --stream         the QEMU stream inside, uncompressed\n"
	 "  -c, --vcpu N         with --blob and --item: the vCPU, by position (default 0)\n"
	 "  -o, --output OUT     into this file, whole or not at all; default: standard output\n"
	 "  -n, --snapshot NAME  of a qcow2 image: the internal snapshot with this name or id\n"
	 "  -f, --force          replace OUT if it is there; write to a terminal\n"
	 "      --skip-ram       do not verify the checksums of RAM in an .nms\n"
	 "  -j, --json           with --output: one JSON document on stdout\n",
	 cmd_extract, 1},
	{"report", "[--host PROFILE] [--order LIST] [--strict] [--json] -o PAGE FILE [FILE2]",
	 "make one HTML page of a saved state, its findings and a map of its fields, or of two",
	 "  -o, --output PAGE    the file to write; \"-\" for standard output\n"
	 "  -H, --host PROFILE   the destination: a file of `nestmig host --save`, \"live\" for this\n"
	 "                       machine, \"none\"; default: the host that the file itself describes\n"
	 "      --order LIST     the ioctls of the restore in their order, as `nestmig validate` takes it\n"
	 "      --strict         count what could not be judged as a finding\n"
	 "      --skip-ram       do not verify the checksums of RAM in an .nms\n"
	 "      --quick          do not pass over a stream's RAM to the devices: nothing is ok then\n"
	 "  -j, --json           one JSON document on stdout about the page that was written\n",
	 cmd_report, 1},
	{"restore", "[--host PROFILE] [--snapshot NAME] [--force] [--json] (--qmp SOCKET | --domain NAME [--connect URI]) FILE",
	 "restore a snapshot into a QEMU started with -incoming defer",
	 "  -q, --qmp SOCKET     QMP socket of the QEMU: PATH or unix:PATH\n"
	 "  -d, --domain NAME    a libvirt domain: libvirt restores its image\n"
	 "  -c, --connect URI    with --domain: libvirt's daemon\n"
	 "  -H, --host PROFILE   the host to judge for; default \"live\", this machine\n"
	 "  -n, --snapshot NAME  of a qcow2 image: the internal snapshot with this name or id\n"
	 "  -f, --force          restore although the state would not resume\n"
	 "      --strict         refuse also what could not be judged\n"
	 "  -w, --watch S        seconds to watch the VM after it runs (default 1)\n"
	 "  -t, --timeout S      seconds without progress until it gives up (default 30)\n"
	 "  -j, --json           one JSON document on stdout\n",
	 cmd_restore, 1},
	{"migrate", "--qmp SOCKET (--dest-qmp SOCKET | --dest URI) [--host PROFILE] [--json] ...",
	 "migrate a running VM, judged for the destination when it is stopped",
	 "  -q, --qmp SOCKET     QMP socket of the VM: PATH or unix:PATH\n"
	 "  -Q, --dest-qmp SOCKET\n"
	 "                       QMP socket of a QEMU started with -incoming defer: PATH, unix:PATH,\n"
	 "                       tcp:HOST:PORT\n"
	 "  -d, --dest URI       where the source connects to (unix:PATH, tcp:HOST:PORT); default with\n"
	 "                       --dest-qmp: a pair of sockets of its own\n"
	 "      --listen URI     where the destination listens, if that is not --dest\n"
	 "  -D, --domain NAME    instead of --qmp: a domain of libvirt\n"
	 "      --connect URI    the libvirt that has it; default: libvirt's own\n"
	 "      --dest-connect URI\n"
	 "                       the libvirt that is to have it, as the source's daemon reaches it\n"
	 "      --migrate-uri URI\n"
	 "                       where the domain's QEMU connects to; default: libvirt's choice\n"
	 "      --managed        nestmig speaks to both daemons, not one daemon to the other\n"
	 "      --unsafe         migrate a domain whose storage libvirt does not know to be shared\n"
	 "      --monitor        judge the domain's device state, which taints the domain\n"
	 "  -H, --host PROFILE   the destination: a file of `nestmig host --save`, \"live\" for this machine\n"
	 "                       (the default with a --dest-qmp that is a file here), \"none\"\n"
	 "  -f, --force          migrate although the VM would not resume\n"
	 "      --strict         refuse also what could not be judged\n"
	 "      --paused         leave the VM paused at the destination\n"
	 "      --no-preflight   judge it only at the switchover\n"
	 "      --multifd N      send over N connections\n"
	 "      --bandwidth N    at most N MiB/s; default: as QEMU is set\n"
	 "      --downtime MS    switch over when the rest takes no longer; default: as QEMU is set\n"
	 "  -t, --timeout S      seconds without progress until it gives up (default 30)\n"
	 "  -j, --json           one JSON document on stdout\n",
	 cmd_migrate, 1},
	{"gate", "--listen ADDRESS --connect ADDRESS --host PROFILE [--strict] [--one-way] [--once | --keep] [--json]",
	 "pass a migration on, its device state only when that would resume at the destination",
	 "  -l, --listen ADDRESS   where the source migrates to: unix:PATH or tcp:HOST:PORT\n"
	 "  -c, --connect ADDRESS  where the destination waits\n"
	 "  -H, --host PROFILE     the destination's host: a file of `nestmig host --save`, \"live\" for\n"
	 "                         this machine, \"none\"\n"
	 "      --strict           refuse also what could not be judged\n"
	 "      --one-way          pass also a stream without a return path: after a cut the VM stands\n"
	 "                         still at the source, until `cont`\n"
	 "  -o, --once             end after one migration (the default)\n"
	 "  -k, --keep             wait for the next one\n"
	 "  -t, --timeout S        seconds for connecting, for device state to come, and to be judged\n"
	 "                         (default 30)\n"
	 "  -j, --json             one JSON document a migration on stdout\n",
	 cmd_gate, 1},
	{"guard", "(run | install | status | remove) [--mode MODE] [--host PROFILE] [--json] ...",
	 "hold the rules on this running host, inside its kernel",
	 "  -m, --mode MODE      run, install: audit (tell, the default) or enforce (deny)\n"
	 "  -H, --host PROFILE   run, install: a profile of this host; default: ask it\n"
	 "  -b, --best-effort    run, install: go on without programs that this kernel does not take\n"
	 "  -r, --rate N         run, install: events a second that each VM may cause (default 100;\n"
	 "                       0: no limit)\n"
	 "  -M, --metrics FILE   run, status: write the counters to FILE, in OpenMetrics text\n"
	 "  -j, --json           run: one JSON document an event; status: one\n",
	 cmd_guard, 8},
	{"top", "[--delay S] [--count N] [--json]",
	 "show the vCPUs of this host that use nesting, live",
	 "  -d, --delay S        seconds between updates (default 2)\n"
	 "  -n, --count N        updates before it ends; default: until q or Ctrl-C, 1 where\n"
	 "                       standard output is no terminal\n"
	 "  -j, --json           one JSON document an update\n",
	 cmd_top, 1},
	{"hook", "(install | remove | status) [--root DIR] [--program PATH] [--json] | run NAME OPERATION SUBOPERATION EXTRA",
	 "check where libvirt restores a domain or takes one in",
	 "      --root DIR       the directory that stands for /, to make packages\n"
	 "      --program PATH   install: the nestmig that the hook runs; default: this one\n"
	 "  -H, --host PROFILE   run: a profile of this host; default: ask it\n"
	 "  -j, --json           install, remove, status: one JSON document on stdout\n",
	 cmd_hook, 8},
	{"host", "[diff A B | advisories [PROFILE]] [--root DIR] [--format FORMAT] [--save FILE] [--json]",
	 "show or save the profile of a host, compare two, look for known faults of its kernel",
	 "      --root DIR       a captured directory tree instead of this machine\n"
	 "  -f, --format FORMAT  text (the default), json, openmetrics, nfd (Kubernetes), nova (OpenStack)\n"
	 "  -s, --save FILE      write the profile to FILE, as JSON unless --format says otherwise\n"
	 "  -a, --all            diff, advisories: also what does not matter, or is fixed\n"
	 "      --strict         diff, advisories: count what is not known as a finding\n"
	 "  -j, --json           one JSON document on stdout\n",
	 cmd_host, 1},
	{"rules", "[--json]",
	 "list all rules",
	 "  -j, --json           one JSON document a rule on stdout\n",
	 cmd_rules, 1},
	{"explain", "[--json] RULE...",
	 "explain a rule: what must hold, why, what happens if not, what to do",
	 "  -j, --json           one JSON document a rule on stdout\n",
	 cmd_explain, 1},
};
/* clang-format on */

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *out)
{
	fputs("Usage: nestmig SUBCOMMAND [options] FILE...\n"
	      "Will a saved nested vCPU resume on another KVM host? Checks, saves and moves "
	      "it.\n\n",
	      out);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
	fputs("\n`nestmig SUBCOMMAND --help` tells more. Exit status: 0 nothing found, 1 "
	      "findings,\n"
	      "2 trouble.\n",
	      out);
}

/* A full disk or a closed pipe must not look like success. */
static int checked(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "nestmig: writing to standard output: %s\n", strerror(errno));
	return EXIT_TROUBLE;
}

static int run(const struct command *command, int argc, char **argv)
{
	char name[64];

	/* What getopt puts before its messages. */
	snprintf(name, sizeof(name), "nestmig %s", command->name);
	argv[0] = name;
	return command->run(command, argc, argv);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	/* QEMU may close a pipe, the disk may be full or a size limit reached: errors, not deaths.
	 */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (strcmp(name, "--version") == 0) {
		printf("nestmig %s\n", nestmig_version());
		return checked(EXIT_CLEAN);
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
		usage(stdout);
		return checked(EXIT_CLEAN);
	}
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(name, commands[i].name) == 0)
			return checked(run(&commands[i], argc - 1, argv + 1));
	if (*name)
		fprintf(stderr, "nestmig: there is no subcommand \"%s\"\n", name);
	usage(stderr);
	return EXIT_TROUBLE;
}
