#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# echo_service.sh [SERVICE]: a service for tests, without packages: an HTTP server that tells its
# configuration and the machines with another service. Its port is read when it starts.
#
# Every action is written to /srv/history. An action waits while /srv/hold.ACTION exists, and gives
# up while /srv/break.ACTION does.

# shellcheck source=/dev/null
. "$LOOM_LIB/loom.sh"

home=/srv/$LOOM_SERVICE
pidfile=$home/pid

port=$(port_setting "$LOOM_SERVICE/port" 80) || exit

answers() { [[ $(http_status "$(<"$home/port")" /about) == 200 ]]; }

configure() {
	mkdir -p "$home"
	printf '%s\n' "$port" >"$home/port"
	{
		printf '%s\n' "$LOOM_SERVICE" "$(loom_lookup_key config/hostname)" "$(setting greeting none)"
		if [[ -n ${1:-} ]]; then
			loom_list_nodes "$1"
		fi
	} | put_file "$home/about"
}

start() {
	if daemon_pid "$pidfile" python3 >/dev/null; then
		say "it runs"
		return
	fi
	setsid python3 -m http.server -d "$home" "$(<"$home/port")" >"$home/log" 2>&1 &
	printf '%s\n' $! >"$pidfile"
	wait_until 20 answers || fail "no answer on port $(<"$home/port")"
}

printf '%s %s\n' "$LOOM_ACTION" "$LOOM_SERVICE" >>/srv/history
[[ ! -e /srv/hold.$LOOM_ACTION ]] || say "held"
while [[ -e /srv/hold.$LOOM_ACTION ]]; do
	sleep 0.05
done
[[ ! -e /srv/break.$LOOM_ACTION ]] || give_up "told to break"

case $LOOM_ACTION in
install) mkdir -p "$home" && touch "$home/installed" ;;
configure) configure "$@" ;;
initialize) [[ -e $home/initialized ]] || date +%s%N >"$home/initialized" ;;
start) start ;;
stop) end_daemon "$pidfile" python3 TERM ;;
remove) rm -rf "$home" ;;
*) give_up "no such action: $LOOM_ACTION" ;;
esac
