# SPDX-License-Identifier: GPL-2.0-or-later
#
# awk -f compare.awk [-v real=1] [-v wrong=FILE] [-v limit=PERCENT] RULES HOST/.../VARIANT.foretold HOST/.../VARIANT.seen ...
#
# Does what KVM did agree with what was foretold? RULES is what `nestmig-cases --rules` prints; .foretold is
# described in foretell.h, a line of .seen is "NAME outcome WORD ...". With real=1 the processor is a real
# one and must do what the manual says; else it is compared with what is foretold of TCG (peculiar.def).
#
# An outcome that is foretold must be what is seen. Where "resumes" is foretold, restore and entry must
# succeed, and if nothing was changed that L2 or L1 execute with, nothing but "resumes" will do; if only L1
# can trip, L2 must have counted. What L2 or L1 do with registers, tables or events that are not their own
# is not foretold: they may go astray.
# Of VMX, what L1's next VM entry meets ("next") must be seen, too, where the restore succeeds: in L1 at once,
# of L2 after its exit. Where KVM's tracepoint names the condition that was not met (cc="..."), one of the
# rules for it (reasons.def, in RULES) must be broken.
# "unknown" is left open, and so is an outcome before which a rule that could not be judged may come; more
# than `limit` percent (5) of that is a failure, and so is a case that was not tried.

BEGIN {
	if (!limit)
		limit = 5
	if (wrong)
		printf "" >wrong
}

# "npt1/cases/long.foretold" is variant "npt1/long": the host and the base state.
function variant_of(file,   host) {
	host = file
	sub(/\/.*/, "", host)
	sub(/.*\//, "", file)
	sub(/\.[a-z]*$/, "", file)
	return host "/" file
}

# The words after "KEY:" in a line of " | "-separated parts.
function part(line, key,   at, rest) {
	at = index(line, " | " key ":")
	if (!at)
		return ""
	rest = substr(line, at + length(key) + 4)
	at = index(rest, " | ")
	if (at)
		rest = substr(rest, 1, at - 1)
	sub(/^ /, "", rest)
	return rest
}

# One name for one thing: KVM_SET_SREGS2 makes the checks of KVM_SET_SREGS; only KVM_RUN runs; and a KVM_RUN
# that comes back without an exit reason (6.1 does not set one, so it is that of the run before: 0, or 10 if a
# signal ended that) is an internal error to QEMU.
function normal(text) {
	gsub(/  +/, " ", text)
	gsub(/^ | $/, "", text)
	sub(/SREGS2/, "SREGS", text)
	sub(/^run-error KVM_RUN /, "run-error ", text)
	sub(/^kvm-exit (0|10)$/, "internal-error", text)
	return text
}

# The text after cc=", or nothing.
function reason_of(details) {
	if (!match(details, /cc="[^"]*"/))
		return ""
	return substr(details, RSTART + 4, RLENGTH - 5)
}

function is_vmx(key) {
	return index(line[key], " | next: ") > 0
}

# What is seen of a guest that runs, but not as its code says.
function is_astray(seen) {
	return seen ~ /^(triple-fault-to-l1|shutdown|l1-exit|l2-exception|mmio|no-exit|no-call|kvm-exit)/
}

# "resumes" is what follows in several ways (consequences.def). What fetches instructions from where there
# is no RAM ends in an emulation failure (suberror 1).
function has_resumed(key, follows, seen, details,   user, word) {
	user = part(line[key], "user")
	sub(/ .*/, "", user)
	if (follows == "WAITS")
		return seen == "no-exit" && details ~ /why=asleep/
	if (seen == "resumes")
		return 1
	# ... or, with VMX, in an exception that cannot be delivered (suberror 3)
	if (seen == "internal-error" && details ~ (is_vmx(key) ? "suberror=[13] " : "suberror=1 ") && (user == "fetch" || follows ~ /^(INIT_RESETS|SIPI_STARTS)$/ ||
			(part(line[key], "user") ~ /^l1| l1s$/ && details ~ /counts=[1-9]/)))
		return 1
	# an SMI handler that is not where SMBASE says
	if (seen == "internal-error" && details ~ /suberror=1 / && part(line[key], "changes") ~ /smram\.smbase/)
		return 1
	# a warning says so
	word = seen
	sub(/ .*/, "", word)
	if (index(" " part(line[key], "may") " ", " " word " "))
		return 1
	if (seen == "ept-misconfig" && user == "fetch" && part(line[key], "changes") ~ /ept-|ept_pointer|secondary/)
		return 1
	if (seen == "vmfunc-exit-59" && user != "nobody")
		return 1
	# an L1 that makes its VMCS with what it knew of the processor
	if (seen ~ /^(vmentry-exit-|vmfail-)/ && user == "l1" && key ~ /\/l1-vmxon\//)
		return 1
	# a later VMRUN or VMRESUME of L1, which L2 has called
	if (seen ~ /^(svm-exit-err|vmentry-exit-|vmfail-)/ && details ~ /calls=[1-9]/ && user != "nobody")
		return 1
	if (seen == "fail-entry" && follows == "RSM_LOSES_L1" && details ~ /counts=[1-9]/)
		return 1
	# an L1 from which its current VMCS was taken
	if (seen == "vmfail-invalid" && part(line[key], "changes") ~ /vmcs12_pa 0x[0-9a-f]* -> 0xffffffffffffffff/)
		return 1
	# the instruction after a shadow that is restored may be L1's VMRESUME
	if (seen == "vmfail-26" && part(line[key], "changes") ~ /events\.interrupt_shadow/)
		return 1
	if (follows != "ACCEPTED")
		return is_astray(seen)
	if (user == "nobody")
		return 0
	# L2 is untouched: it counts before L1 can go astray.
	if (user == "l1" && key !~ /\/(smm|l1)-/ && details !~ /counts=[1-9]/)
		return 0
	return is_astray(seen)
}

# L1 gets what is foretold, but cannot say so: it was changed itself, or with VMX, which has no GIF, gets
# an NMI at once, for which it has no handler.
function is_dumb(key, seen) {
	if (is_vmx(key) && seen == "shutdown" && part(line[key], "changes") ~ /events\.nmi_pending 0x0 -> /)
		return 1
	return part(line[key], "user") ~ / l1s$/ && seen ~ /^(shutdown|mmio|no-exit|l1-exit)/
}

function is_agreed(key, expected, follows, seen, details) {
	if (expected == "resumes")
		return has_resumed(key, follows, seen, details)
	# L1 is lost and cannot say so: the tracepoint does
	if (follows == "LATE_VMFAIL_7")
		return reason_of(details) ~ /^hardware VM-instruction error/
	# KVM puts a halted L2 to sleep before the processor looks at it
	if (follows == "NEXT_EXIT_33" && seen == "no-exit" && details ~ /why=asleep/ &&
			part(line[key], "changes") ~ /guest_activity_state/)
		return 1
	# KVM_SET_MSRS returns a number of MSRs
	if (expected ~ / returns$/ && index(seen, expected " ") == 1)
		return 1
	return seen == expected || (expected ~ /^(svm-exit-err|triple-fault-to-l1|vmentry-exit-.*)$/ && is_dumb(key, seen)) ||
		strays_before(key, follows, seen, details)
}

# What is foretold of RSM, or of the next exit to L1, waits for code to get there; with registers, tables or
# events of that code changed it may go astray before.
function strays_before(key, follows, seen, details) {
	if (follows !~ /^(RSM_|NEXT_)/ ||
			(part(line[key], "user") !~ / first/ && part(line[key], "changes") !~ /smbase/))
		return 0
	if (!is_astray(seen) && !(seen == "internal-error" && details ~ /suberror=1 /))
		return 0
	strayed++
	return 1
}

# "reason TEXT | IDS": TEXT may have bars, IDS have none.
FILENAME ~ /\.rules$/ && $1 == "reason" {
	match($0, / \|[^|]*$/)
	reasons[substr($0, 8, RSTART - 8)] = substr($0, RSTART + 3)
	next
}

FILENAME ~ /\.rules$/ {
	errors[$1] = 1
	next
}

FILENAME ~ /\.foretold$/ {
	key = variant_of(FILENAME) "/" $1
	head = substr($0, 1, index($0, " | ") - 1)
	verdict[key] = $2
	foretold[key] = normal(substr(head, length($1) + length($2) + 3))
	line[key] = $0
	next
}

function note_rules(list, counts,   n, i, ids) {
	n = split(list, ids, " ")
	for (i = 1; i <= n; i++)
		counts[ids[i]]++
}

function disagree(key, expected, seen, details,   text, kind) {
	wrong_count++
	text = key ": foretold \"" expected "\", seen \"" seen "\"" (details ? " (" details ")" : "") " |" substr(line[key], index(line[key], " | rules:") + 2)
	kind = expected " -> " seen
	kinds[kind]++
	if (wrong)
		print text >wrong
	else
		print text
}

# The condition of the table that a text begins with, the longest one.
function find_reason(text,   reason, best) {
	for (reason in reasons)
		if (index(text, reason) == 1 && length(reason) > length(best))
			best = reason
	return best
}

# Is the condition that KVM names one of a rule that is broken? A guest that runs may bring about
# another, and so may an L1 that L2 exits to if it was changed itself.
function check_reason(key, broken_ids, seen, details,   text, reason, ids, n, i) {
	text = reason_of(details)
	if (text == "")
		return
	reason = find_reason(text)
	if (reason == "") {
		strange_count++
		strange[text]++
		return
	}
	n = split(reasons[reason], ids, " ")
	if (!n) {
		unruled_count++
		unruled[reason]++
		return
	}
	for (i = 1; i <= n; i++)
		if (index(" " broken_ids " ", " " ids[i] " ")) {
			reason_count++
			reason_confirmed[reason]++
			return
		}
	# RSM enters L2 without a look at its controls: the processor refuses what KVM would have
	if (reason ~ /^hardware/ && part(line[key], "may") ~ /vmfail-7/) {
		reason_count++
		reason_confirmed[reason]++
		return
	}
	# what is open for a rule is counted as that
	for (i = 1; i <= n; i++)
		if (index(" " part(line[key], "open") " ", " " ids[i] " "))
			return
	if (part(line[key], "user") !~ /^nobody/ && seen !~ /^ioctl-rejected/ &&
			(details ~ /(counts|calls)=[1-9]/ || part(line[key], "user") ~ / l1s$/ || key ~ /\/l1-vmxon\//)) {
		late_reasons++
		return
	}
	disagree(key, "reason: a rule for it", "reason: " text, details)
}

FILENAME ~ /\.seen$/ {
	key = variant_of(FILENAME) "/" $1
	if (!(key in verdict))
		next
	tried[key] = 1
	seen = $0
	details = ""
	sub(/^[^ ]* (outcome )?/, "", seen)
	if (index(seen, " #")) {
		details = substr(seen, index(seen, " #") + 2)
		seen = substr(seen, 1, index(seen, " #") - 1)
	}
	seen = normal(seen)
	rules = part(line[key], "rules")
	note_rules(rules " " part(line[key], "also"), broken)
	if (verdict[key] == "unknown" || part(line[key], "certain") == "no") {
		open++
		note_rules(part(line[key], "open") == "" ? "(nothing)" : part(line[key], "open"), open_rules)
		next
	}
	check_reason(key, rules " " part(line[key], "also"), seen, details)
	expected = foretold[key]
	follows = part(line[key], "follows")
	at_next = part(line[key], "next")
	# an INIT that waits keeps nobody from going on
	runs_on = follows ~ /^(ACCEPTED|INIT_WAITS)$/
	if (expected == "resumes" && runs_on && at_next == "?") {
		open++
		note_rules("(of-the-next-entry)", open_rules)
		next
	}
	if (expected == "resumes" && runs_on && (real || part(line[key], "cpu-follows") == follows)) {
		if (!real && part(line[key], "cpu-next") != at_next) {
			peculiar++
			note_rules(part(line[key], "next-rules"), peculiar_rules)
			at_next = part(line[key], "cpu-next")
		}
		if (at_next != "") {
			expected = at_next
			follows = part(line[key], "next-follows")
			rules = part(line[key], "next-rules")
			next_count++
		}
	} else if (!real && part(line[key], "cpu-follows") != follows) {
		peculiar++
		note_rules(rules, peculiar_rules)
		expected = normal(part(line[key], "cpu"))
		follows = part(line[key], "cpu-follows")
		rules = ""
	}
	agrees = is_agreed(key, expected, follows, seen, details)
	if (!agrees && follows !~ /^NEXT_/ && part(line[key], "or-follows") != follows) {
		agrees = is_agreed(key, normal(part(line[key], "or")), part(line[key], "or-follows"), seen, details)
		if (agrees) {
			lost++
			note_rules(rules, lost_rules)
		}
	}
	foretold_count[expected]++
	note_rules(rules, rule_foretold)
	if (agrees) {
		confirmed_count[expected]++
		note_rules(rules, rule_confirmed)
	} else
		disagree(key, expected, seen, details)
}

# The most frequent first; nothing if there are none.
function print_counts(count, title, counts,   name) {
	if (!count)
		return
	print title
	for (name in counts)
		printf "  %6d  %s\n", counts[name], name | "sort -rn"
	close("sort -rn")
}

END {
	for (key in verdict) {
		all++
		if (!(key in tried)) {
			missing++
			if (missing <= 5)
				print key ": was not tried"
		}
	}
	print "outcome: foretold, confirmed"
	for (outcome in foretold_count)
		printf "  %6d %6d  %s\n", foretold_count[outcome], confirmed_count[outcome], outcome | "sort -rn"
	close("sort -rn")
	print "rule that decides: foretold, confirmed"
	for (rule in rule_foretold)
		printf "  %6d %6d  %s\n", rule_foretold[rule], rule_confirmed[rule], rule | "sort -k3"
	close("sort -k3")
	print_counts(open, "left open by:", open_rules)
	print_counts(peculiar, "the emulated processor does not have (peculiar.def):", peculiar_rules)
	print_counts(lost, "lost by KVM, by chance (peculiar.def):", lost_rules)
	for (rule in errors)
		if (!(rule in broken))
			never = never " " rule
		else if (!(rule in rule_foretold) && !(rule in peculiar_rules))
			behind = behind " " rule
	for (reason in reasons)
		if (!(reason in reason_confirmed) && !(reason in unruled))
			unseen[reason] = 1
	print_counts(reason_count, "reasons of KVM, confirmed:", reason_confirmed)
	print_counts(unruled_count, "reasons that no saved state shows:", unruled)
	print_counts(strange_count, "reasons that are in no table:", strange)
	for (reason in unseen)
		print "  never a reason: " reason | "sort"
	close("sort")
	print "never broken:" never
	print "never the one that decides:" behind
	print_counts(wrong_count, "disagreements by kind:", kinds)
	if (strayed)
		print strayed " went astray before what is foretold of RSM or the next exit could come"
	if (next_count || reason_count)
		printf "%d were foretold of L1's next VM entry; %d reasons confirmed, %d of a guest that ran, %d in no table\n",
			next_count, reason_count, late_reasons, strange_count
	printf "%d cases, %d left open, %d peculiar to the emulated processor, %d lost by chance, %d not tried, " \
		"%d disagreements\n", all, open, peculiar, lost, missing, wrong_count
	if (open * 100 > all * limit) {
		print "more than " limit " in a hundred are left open"
		exit 1
	}
	exit wrong_count > 0 || missing > 0
}
