#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# report.sh BUILD [DIRECTORY]: the pages of `nestmig report` in a real browser, headless Chromium that is
# driven through its DevTools pipe: at the sizes of a phone and of a desk, light and dark, with every fold
# open. A page must be wholly visible without scrolling sideways, log nothing, load nothing, run nothing,
# and work without scripts. A page that breaks each of these shows that the checks see it. With a
# DIRECTORY, screenshots are left there.
set -uo pipefail

build=$(realpath "$1")
shots=${2:+$(realpath "$2")}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
browser=
trap '[ -z "$browser" ] || kill "$browser" 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT
session=
reply=

# Also from where standard output is captured.
complain() {
	echo "$*" | tee -a "$work/trouble" >&2
}

for tool in chromium jq zstd; do
	command -v $tool >/dev/null || { echo "$tool is missing: tests/setup.sh hosts tests"; exit 1; }
done

# ---- The browser --------------------------------------------------------------------------------

start_browser() {
	mkfifo "$work/to" "$work/from"
	# What goes out in spite of all this meets a proxy that is not there.
	HOME=$work chromium --headless=new --no-sandbox --disable-gpu --no-first-run \
		--disable-background-networking --disable-component-update --disable-sync \
		--proxy-server=127.0.0.1:9 --user-data-dir="$work/profile" --remote-debugging-pipe \
		3<"$work/to" 4>"$work/from" >"$work/log" 2>&1 &
	browser=$!
	exec {to}>"$work/to" {from}<"$work/from"
}

# call METHOD [PARAMETERS]: sends it, leaves the answer in $reply and what comes before it in the file of
# events.
call() {
	local message
	# Unique also among subshells, which share the browser.
	id=$((10#${EPOCHREALTIME/[.,]/} % 2000000000))
	printf '{"id":%d,"method":"%s","params":%s%s}\0' $id "$1" "${2:-{\}}" \
		"${session:+,\"sessionId\":\"$session\"}" >&"$to"
	while IFS= read -r -t 300 -d '' -u "$from" message; do
		if [[ $message == "{\"id\":$id,"* ]]; then
			reply=$message
			[[ $message != *'"error":{"code"'* ]] || { complain "$1: $message"; return 1; }
			return 0
		fi
		printf '%s\n' "$message" >>"$work/events"
	done
	complain "$1: the browser does not answer"
	tail -n 5 "$work/log"
	exit 1
}

# evaluate EXPRESSION: its value as JSON.
evaluate() {
	call Runtime.evaluate "$(jq -cn --arg e "$1" '{expression: $e, returnByValue: true}')"
	if [[ $reply == *'"exceptionDetails"'* ]]; then
		complain "$1: $(jq -r .result.exceptionDetails.exception.description <<<"$reply")"
	fi
	jq -c '.result.result.value' <<<"$reply"
}

open_tab() {
	local target
	call Target.createTarget '{"url":"about:blank"}'
	target=$(jq -r .result.targetId <<<"$reply")
	call Target.attachToTarget "{\"targetId\":\"$target\",\"flatten\":true}"
	session=$(jq -r .result.sessionId <<<"$reply")
	for domain in Page Runtime Log Network; do call $domain.enable; done
}

# open PAGE WIDTH HEIGHT SCHEME
open() {
	local mobile=false waited=0
	[ "$2" -ge 600 ] || mobile=true
	call Emulation.setDeviceMetricsOverride \
		"{\"width\":$2,\"height\":$3,\"deviceScaleFactor\":1,\"mobile\":$mobile}"
	call Emulation.setEmulatedMedia \
		"{\"features\":[{\"name\":\"prefers-color-scheme\",\"value\":\"$4\"}]}"
	: >"$work/events"
	call Page.navigate "{\"url\":\"file://$1\"}"
	while [ "$(evaluate "document.readyState == 'complete' && location.protocol == 'file:'")" != true ]; do
		waited=$((waited + 1))
		[ $waited -lt 600 ] || { complain "$1 is not loaded"; exit 1; }
		sleep 0.05
	done
}

# shot NAME: the whole page as a picture.
shot() {
	[ -n "$shots" ] || return 0
	call Page.captureScreenshot '{"captureBeyondViewport":true}'
	jq -r .result.data <<<"$reply" | base64 -d >"$shots/$1.png"
}

# ---- What a page must be ------------------------------------------------------------------------

# A function of the verdict that is to be seen at once, or null: what of the page is wrong, as a list of
# texts. Nothing sticks out of the window, text stands out from what is behind it (WCAG 2: contrast 4.5 to
# 1, large text 3 to 1), and what a finger opens is 44 pixels high.
# shellcheck disable=SC2016 # JavaScript
look='verdict => {
const wrong = [], width = innerWidth, name = e => e.tagName + "." + e.className + " " + e.textContent.slice(0, 40);
const channels = c => (c.match(/[\d.]+/g) || []).map(Number);
const luminance = c => channels(c).slice(0, 3).map(v => v / 255)
	.map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
	.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
	if (channels(c)[3] !== 0) return c; } return "rgb(255, 255, 255)"; };
const big = document.querySelector(".big"), top = big && big.getBoundingClientRect();
if (verdict && (!big || !big.checkVisibility() || !big.textContent.endsWith(" " + verdict) || top.top < 0 ||
	top.bottom > innerHeight || top.height < 20)) wrong.push("the verdict " + verdict + " is not to be seen");
if (document.documentElement.scrollWidth > width)
	wrong.push("it scrolls sideways: " + document.documentElement.scrollWidth + " of " + width);
if (document.scripts.length) wrong.push("it has scripts");
if (window.pwned) wrong.push("a script of the file ran");
for (const e of document.body.querySelectorAll("*")) {
	const box = e.getBoundingClientRect();
	if (!box.width || !box.height || !e.checkVisibility({opacityProperty: true})) continue;
	if (box.right > width + 1) wrong.push("sticks out: " + name(e));
	if (e.matches(".c summary") && box.height < 44) wrong.push("too small for a finger: " + name(e));
	if (![...e.childNodes].some(n => n.nodeType == 3 && n.data.trim())) continue;
	const style = getComputedStyle(e), a = luminance(style.color), b = luminance(behind(e));
	const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
	if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5))
		wrong.push("contrast " + ratio.toFixed(2) + ": " + name(e));
}
return wrong.slice(0, 20); }'

# What is wrong with the page that is open, a line each: as it comes, and unfolded.
faults() {
	local page=$1 verdict=$2
	evaluate "(() => { const look = $look, folded = look('$verdict');
		document.querySelectorAll('details').forEach(d => d.open = true);
		return folded.concat(look(null).map(text => 'unfolded, ' + text)); })()" | jq -r '.[]'
	jq -r --arg page "file://$page" '
		if .method == "Log.entryAdded" or .method == "Runtime.exceptionThrown" or
			.method == "Runtime.consoleAPICalled" then "it logs: " + (.params.entry.text // .method)
		elif .method == "Network.requestWillBeSent" and .params.request.url != $page then
			"it loads: " + .params.request.url
		else empty end' "$work/events"
}

# check NAME VERDICT WIDTH HEIGHT SCHEME
check() {
	local page=$work/$1.html what="$1 at $3x$4, $5" found
	open "$page" "$3" "$4" "$5"
	shot "$1-$3-$5"
	found=$(faults "$page" "$2")
	[ -z "$found" ] || complain "$what: $found"
}

# click SELECTOR: in the middle of the first such element.
click() {
	local at
	at=$(evaluate "(() => { const e = document.querySelector('$1'); e.scrollIntoView({block: 'center'});
		const b = e.getBoundingClientRect(); return {x: b.x + b.width / 2, y: b.y + b.height / 2}; })()")
	for type in mousePressed mouseReleased; do
		call Input.dispatchMouseEvent \
			"$(jq -c --arg t $type '. + {type: $t, button: "left", clickCount: 1}' <<<"$at")"
	done
}

# Cells open and are narrowed down although no script may run.
check_without_scripts() {
	local visible='[...document.querySelectorAll(".c.h")].filter(e => e.checkVisibility()).length'
	local cell='document.querySelector(".c.b div").checkVisibility()' before
	call Emulation.setScriptExecutionDisabled '{"value":true}'
	open "$work/broken.html" 360 800 light
	[ "$(evaluate "$cell")" = false ] || complain "a cell is open from the start"
	click ".c.b summary"
	[ "$(evaluate "$cell")" = true ] || complain "a cell does not open when it is tapped"
	before=$(evaluate "$visible")
	click ".fp + label"
	[ "$before" -gt 50 ] && [ "$(evaluate "$visible")" = 0 ] ||
		complain "the filter does not hide what holds ($before, $(evaluate "$visible"))"
	call Emulation.setScriptExecutionDisabled '{"value":false}'
}

# The policy of a page keeps out what would be injected. Its own style it lets in, or nothing else here would
# look right.
check_policy() {
	open "$work/full.html" 1280 800 light
	evaluate 'document.body.insertAdjacentHTML("beforeend", "<style>body { color: #010203 }</style><p id=s style=\"color: #010203\">x")' >/dev/null
	[ "$(evaluate '[document.body, document.getElementById("s")].every(e => getComputedStyle(e).color != "rgb(1, 2, 3)")')" = true ] ||
		complain "the policy lets a foreign style apply"
	evaluate 'document.body.insertAdjacentHTML("beforeend", "<img src=http://example.invalid/x onerror=pwned=1><a id=x href=# onclick=pwned=1>x</a>")' >/dev/null
	evaluate 'document.getElementById("x").click()' >/dev/null
	sleep 0.5
	[ "$(evaluate 'window.pwned === undefined')" = true ] || complain "the policy lets a script run"
	evaluate 1 >/dev/null
	grep -q 'violates the following Content Security Policy' "$work/events" ||
		complain "the policy lets a picture be loaded"
}

# A page that is wrong in every way is told.
check_checks() {
	local found
	sed -e '/Content-Security-Policy/d' -e '/^<body>/a <script>console.log("x"); pwned = 1</script>\
<p style="width:2000px;color:#777;background:#888">wide and grey<div class=c><summary style="min-height:0;padding:0">small</summary></div><img src="http://example.invalid/x">' \
		"$work/full.html" >"$work/wrong.html"
	open "$work/wrong.html" 360 800 light
	found=$(faults "$work/wrong.html" fail)
	for fault in "the verdict fail is not to be seen" "it scrolls sideways" "it has scripts" "a script of the file ran" "sticks out" \
		"contrast 1." "too small for a finger" "it logs" "it loads: http://example.invalid/x"; do
		grep -qF "$fault" <<<"$found" || complain "the checks do not see: $fault"
	done
}

# ---- Pages --------------------------------------------------------------------------------------

# make NAME STATUS ARGUMENT...: a page, from inside $work.
make() {
	local name=$1 want=$2
	shift 2
	(cd "$work" && "$build/cmd/nestmig" report -o "$name.html" "$@")
	[ $? = "$want" ] || { complain "nestmig report $* does not end with $want"; return; }
	! grep -qE '<(script|link|img|iframe|object)|<[a-z][^>]* (src|style|on[a-z]+)=|href="[^#]|@import|url\(' "$work/$name.html" ||
		complain "$name: something that a page must not have"
}

make_pages() {
	local hostile='"><script>pwned=1</script><img src=x onerror=pwned=1>'\''&amp;.qemu' case
	local poke=$build/tests/nestmig-poke
	for case in dev2 vmx1; do zstd -qdc "$here/cases/streams/$case.qemu.zst" >"$work/$case" || exit 1; done
	for case in smm-l2 raw-dump-vmx; do
		cp -r "$here/cases/$case" "$work/$case"
		zstd -qd --rm "$work/$case/mem/0.zst" || exit 1
	done
	cp "$here/cli/inputs/full1.nms" "$work"
	"$poke" "$work/full1.nms" "$work/one.nms" vcpu0.sregs.cr0 0xa0010033 &&
		"$poke" "$work/one.nms" "$work/two.nms" vcpu0.vmcb12.control.asid 0 || exit 1
	cp "$work/dev2" "$work/${hostile//\//_}"
	make full 0 full1.nms
	make broken 1 two.nms
	make streams 0 dev2
	make hostile 0 -- "${hostile//\//_}"
	make vmx 0 vmx1
	make vmx-dump 0 raw-dump-vmx
	make smm 0 smm-l2
	make pair 1 full1.nms two.nms
}

make_pages
[ ! -s "$work/trouble" ] || exit 1
start_browser
open_tab
while read -r name verdict; do
	check "$name" "$verdict" 360 800 light
	check "$name" "$verdict" 360 800 dark
	check "$name" "$verdict" 1280 800 light
done <<-"END"
	full ok
	broken fail
	streams unknown
	hostile unknown
	vmx unknown
	vmx-dump ok
	smm ok
	pair ok
END
check_without_scripts
check_policy
check_checks
[ ! -s "$work/trouble" ] || exit 1
echo "8 pages in $(chromium --version 2>/dev/null | cut -d' ' -f1,2), 3 ways each"
