# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Functions for scripts (bash): source "$LOOM_LIB/loom.sh". Also on the PATH: loom_lookup_key,
# loom_list_nodes. A script ends with 0 when the action is done, 100 to give up, any other to be
# tried again; each action must be safe to repeat, also after an attempt that died half-way.

set -u

say() { printf '%s\n' "$*"; }
fail() { say "error: $*"; exit 1; }
give_up() { say "error: $*"; exit 100; }

# setting PATH DEFAULT: a value of the cluster's config, or the default.
setting() { loom_lookup_key "config/cluster/$1" 2>/dev/null || printf '%s\n' "$2"; }

# port_setting PATH DEFAULT: the same for a port number; gives up on anything else.
port_setting() {
	local value
	value=$(setting "$1" "$2")
	[[ $value =~ ^[1-9][0-9]{0,4}$ && $value -le 65535 ]] ||
		{ say "error: $1 must be a port number, not '$value'" >&2; return 100; }
	printf '%s\n' "$value"
}

html_escape() { sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/>/\&gt;/g' -e 's/"/\&quot;/g'; }

# put_file PATH: writes stdin to a file in one step.
put_file() {
	local temp="$1.loom.$$"
	mkdir -p "$(dirname "$1")" && cat >"$temp" && chmod 644 "$temp" && mv -f "$temp" "$1"
}

installed() {
	[[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

apt() {
	apt-get -q -y -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 \
		-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
		-o Acquire::Retries=3 "$@"
}

# missing_of PACKAGE...: those that are not installed.
missing_of() {
	local package
	for package in "$@"; do
		installed "$package" || printf '%s\n' "$package"
	done
}

# apt_install PACKAGE...: installs what is missing; repairs what an interrupted attempt left.
apt_install() {
	local try missing
	for try in 1 2 3 4; do
		dpkg --configure -a || sleep 1
		mapfile -t missing < <(missing_of "$@")
		if [[ ${#missing[@]} -eq 0 ]] || apt install --no-install-recommends "${missing[@]}"; then
			say "installed: $*"
			return 0
		fi
		say "apt-get failed (try $try): fetching the package lists again"
		sleep $((try - 1))
		apt update || true
		apt -f install || true
	done
	fail "cannot install ${missing[*]}"
}

# http_status PORT [PATH]: the status code of an HTTP answer from this node; nothing if none.
http_status() {
	timeout 5 bash -c '
		exec 3<>"/dev/tcp/127.0.0.1/$1" || exit
		printf "GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n" "$2" >&3
		read -r _ code _ <&3 && printf "%s\n" "$code"' - "$1" "${2:-/}" 2>/dev/null
}

# wait_until SECONDS COMMAND...: repeats a command until it succeeds.
wait_until() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[[ $SECONDS -lt $end ]] || return 1
		sleep 0.1
	done
}

# daemon_pid PIDFILE NAME: the daemon's process number if that process lives and has that name.
daemon_pid() {
	local pid
	[[ -s $1 ]] && read -r pid <"$1" && [[ $(ps -o comm= -p "$pid" 2>/dev/null) == "$2" ]] &&
		printf '%s\n' "$pid"
}

# end_daemon PIDFILE NAME SIGNAL: ends a daemon politely, then by force; fine when it is not there.
end_daemon() {
	local pid
	pid=$(daemon_pid "$1" "$2") || { say "$2 is not running"; return 0; }
	kill "-$3" "$pid" 2>/dev/null
	if ! wait_until 10 gone "$pid"; then
		kill -KILL "$pid" 2>/dev/null
		wait_until 5 gone "$pid" || fail "$2 (process $pid) does not end"
	fi
	rm -f "$1"
	say "$2 has ended"
}

gone() { ! kill -0 "$1" 2>/dev/null; }
