# SPDX-License-Identifier: GPL-2.0-or-later
#
# Is what nestmig foretells what was seen? Arguments: expected, the outcome; names, lines "RULE TEXT"; name.
# A finding that is named is about what comes of something that L2 does when it has resumed, so it has the
# outcome that was seen.
.vcpus[0] as $vcpu |
([$vcpu.outcome, $vcpu.ioctl // empty, $vcpu.errno // empty] | join(" ")) as $foretold |
(if $names != "" or ($expected | test("^(l1-exit|vmfunc-exit-59|ept-misconfig)")) then "resumes"
elif $expected | startswith("run-error ") then $expected | sub(" "; " KVM_RUN ")
elif ($expected | test("^(svm-exit-err|vmfail-)")) and $vcpu.mode != "L2" then "resumes"
else $expected end) as $due |
[$names | split("\n")[] | select(. != "") | capture("^(?<rule>[^ ]+) ?(?<text>.*)$") | . as $named |
	select(any($vcpu.findings[]; .rule == $named.rule and .outcome == $expected and
		(tojson | contains($named.text))) | not)] as $missing |
if $vcpu.verdict == "unknown" or ($vcpu.certain | not) or $foretold != $due then
	"FAILED \($name): \($expected), but nestmig foretells \($vcpu.verdict) \($foretold)"
elif $missing != [] then
	"FAILED \($name): nestmig does not name \($missing[0].rule) \($missing[0].text)"
else "foretold " + $name end
