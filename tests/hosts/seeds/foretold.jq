# SPDX-License-Identifier: GPL-2.0-or-later
#
# Is what nestmig foretells what was seen? Arguments: expected, the outcome; names, lines "RULE TEXT"; name.
.vcpus[0] as $vcpu |
([$vcpu.outcome, $vcpu.ioctl // empty, $vcpu.errno // empty] | join(" ")) as $foretold |
(if ($expected | startswith("l1-exit")) then "resumes"
elif $expected == "svm-exit-err" and $vcpu.mode != "L2" then "resumes"
else $expected end) as $due |
[$names | split("\n")[] | select(. != "") | capture("^(?<rule>[^ ]+) ?(?<text>.*)$") | . as $named |
	select(any($vcpu.findings[]; .rule == $named.rule and
		(tojson | contains($named.text))) | not)] as $missing |
if $vcpu.verdict == "unknown" or ($vcpu.certain | not) or $foretold != $due then
	"FAILED \($name): \($expected), but nestmig foretells \($vcpu.verdict) \($foretold)"
elif $missing != [] then
	"FAILED \($name): nestmig does not name \($missing[0].rule) \($missing[0].text)"
else "foretold " + $name end
