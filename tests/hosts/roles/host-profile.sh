#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# nestmig host on this machine's KVM, with kvm_amd loaded anew for each profile. From the environment: NESTMIG,
# MODULE (kvm-amd.ko), CHANGELOG (a usr/share/doc with changelogs of kernels), OUT.
set -uo pipefail
export PATH=$PATH:/usr/sbin:/sbin
work=$(mktemp -d) && cd "$work" || exit 2
failures=0

# expect WHAT COMMAND...: the command succeeds
expect() {
	local what=$1
	shift
	if "$@"; then
		echo "ok $what"
	else
		echo "FAILED $what"
		failures=$((failures + 1))
	fi
}

# ends STATUS COMMAND...: the command ends with this status; its output to said and errors
ends() {
	local wanted=$1 status
	shift
	"$@" >said 2>errors
	status=$?
	[ $status = "$wanted" ] || { echo "status $status:" && cat said errors && return 1; }
}

# is FILE EXPRESSION: jq finds it true
is() {
	jq -e "$2" "$1" >/dev/null || { jq -c . "$1" | cut -c 1-2000 && return 1; }
}

# take NAME PARAMETER...: the profile with kvm_amd loaded with these parameters. It cannot be unloaded while a VM
# is there, so the probes' VMs are gone.
take() {
	local name=$1
	shift
	rmmod kvm_amd && insmod "$MODULE" "$@" && ends 0 "$NESTMIG" host --save "$OUT/$name.json"
}

# differs A B LEVEL KIND NAME: this is among what differs
differs() {
	"$NESTMIG" host diff --json "$OUT/$1.json" "$OUT/$2.json" >said
	is said "any(.differences[]; .level == \"$3\" and .kind == \"$4\" and .name == \"$5\")"
}

# decided PROFILE ID STATUS BY: this is what is said of an advisory
decided() {
	"$NESTMIG" host advisories --json "$OUT/$1.json" >said
	is said ".advisories[] | select(.id == \"$2\") | .status == \"$3\" and .by == \"$4\""
}

if [ -d "$CHANGELOG/linux-image-$(uname -r)" ]; then
	cp -r "$CHANGELOG/linux-image-$(uname -r)" /usr/share/doc/
fi
expect "a profile with nested=1" take nested1 nested=1
expect "the same again" take again nested=1
expect "a profile with npt=0" take npt0 nested=1 npt=0
expect "a profile with nested=0" take nested0 nested=0

one=$OUT/nested1.json
expect "nested=1: L2 is accepted, and comes back" is "$one" \
	'.probes | ."l2-state" == "accepted" and ."l2-state-again" == "same" and ."l2-nested-paging" == "accepted"'
expect "npt=0: L2 is, nested paging is not" is "$OUT/npt0.json" \
	'.probes | ."l2-state" == "accepted" and ."l2-nested-paging" != "accepted"'
expect "nested=0: the capability is there, SVM is not" is "$OUT/nested0.json" \
	'.capabilities.KVM_CAP_NESTED_STATE > 0 and .probes.svme == null'
expect "facts of the host" is "$one" \
	'.facts | ."os.id" and ."kernel.build" and ."cpu.microcode" and (."cpu.flags" | test("svm"))'
expect "emulated CPUID and saved MSRs" is "$one" '(.emulated_cpuid | length) > 0 and (.saved_msrs | length) > 20'

expect "the same host does not differ" ends 0 "$NESTMIG" host diff --strict "$one" "$OUT/again.json"
expect "to npt=0: something blocks" ends 1 "$NESTMIG" host diff "$one" "$OUT/npt0.json"
expect "to npt=0: the parameter" differs nested1 npt0 blocks parameter kvm_amd.npt
expect "to npt=0: the probe" differs nested1 npt0 blocks probe l2-nested-paging
expect "to npt=0: the CPUID bit" differs nested1 npt0 blocks cpuid npt
expect "to nested=0: something blocks" ends 1 "$NESTMIG" host diff "$one" "$OUT/nested0.json"
expect "to nested=0: the parameter" differs nested1 nested0 blocks parameter kvm_amd.nested
expect "to nested=0: the CPUID bit" differs nested1 nested0 blocks cpuid svm
expect "back from npt=0: nothing is lost" ends 0 "$NESTMIG" host diff "$OUT/npt0.json" "$one"
expect "back from nested=0: nothing is lost" ends 0 "$NESTMIG" host diff "$OUT/nested0.json" "$one"

gif=$(jq -r '.probes."failed-vmrun-gif"' "$one")
case $gif in
clear) expect "a failed VMRUN clears GIF: fixed by probe" decided nested1 f85a6ce06e4a fixed probe ;;
set) expect "a failed VMRUN leaves GIF: affected by probe" decided nested1 f85a6ce06e4a affected probe ;;
*) expect "a failed VMRUN was tried" false ;;
esac
expect "what cannot be asked without SVM is not said to be fixed by a probe" \
	eval '"$NESTMIG" host advisories --json "$OUT/nested0.json" >said
	is said "[.advisories[] | select(.id == \"f85a6ce06e4a\" and .by == \"probe\")] | length == 0"'
if [ -d "/usr/share/doc/linux-image-$(uname -r)" ]; then
	expect "the package's changelog is read" decided nested1 03bee264f8eb fixed changelog
fi
expect "no commit of mainline before 6.1 is unknown" \
	eval '"$NESTMIG" host advisories --json "$one" >said
	is said "[.advisories[] | select(.mainline == \"5.14\" and .status != \"fixed\" and .by == \"nothing\")] | length == 0"'

# Where rpm keeps the changelog; one that answers what rpm would, since there is none for this kernel.
rm -rf "/usr/share/doc/linux-image-$(uname -r)"
cat >/usr/bin/rpm <<'RPM'
#!/bin/sh
[ "$*" = "-qf --changelog /lib/modules/$(uname -r)/vmlinuz" ] || exit 1
printf '* Mon Nov 16 2026 - 1\n- KVM: nSVM: Sync NextRIP to cached vmcb12 after VMRUN of L2\n'
RPM
chmod +x /usr/bin/rpm
expect "rpm is asked" eval '"$NESTMIG" host --json >said && is said ".changelog.\"778d8c1b2a6f\" == \"has\""'

for format in openmetrics nfd nova; do
	expect "$format" ends 0 "$NESTMIG" host --format $format --save "$OUT/$format"
done
expect "hosts of one class" eval 'grep -q nestmig-class= "$OUT/nfd"'
expect "the kernel has not complained" eval '! dmesg | grep -E "WARNING|BUG:|Oops"'
echo "$failures failures"
[ $failures = 0 ]
