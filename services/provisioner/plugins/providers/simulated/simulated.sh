#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# No machines: for load tests only. Provider and automator in one, in plain sh because it has to
# start fast. The action is the argument, the task JSON comes on stdin, the result goes to
# descriptor 3. Delays and failures are scripted by the provider's fields (create, confirm,
# delete, bootstrap) or the service's fields (all others); see plugin.json.
#
# The record, under the provider's state_dir:
#   machines/<nodeId>   one file per machine that exists; in it, what was done there: ACTION SERVICE
#   journal             one line per effect: TIME NODEID TASKID ATTEMPT create|delete
#   faults/ACTION       obeyed while it is there: "CODE [TIMES]", the exit code and how many attempts
#                       of a task get it (empty = all), or "hang"

action=${1:-}
node=${LOOM_NODE_ID:-} task=${LOOM_TASK_ID:-} attempt=${LOOM_ATTEMPT:-1}

case $action in
create | confirm | delete | bootstrap) block=provisioner ;;
install | configure | initialize | start | stop | remove) block=fields ;;
*) echo "usage: simulated.sh ACTION" >&2; exit 100 ;;
esac

# field NAME DEFAULT: sets $value.
field() {
	case $settings in
	*"\"$1\""*) ;;
	*) value=$2; return ;;
	esac
	value=${settings#*"\"$1\""}
	value=${value#*:}
	value=${value# }
	case $value in
	\"*) value=${value#\"}; value=${value%%\"*} ;;
	*) value=${value%%[,\} ]*}; value=${value%.*} ;;
	esac
	[ -n "$value" ] || value=$2
}

# The flat objects that hold the settings, found without a JSON parser.
provisioner='' fields='' service=''
set -f
IFS='
'
for part in $(tr '\0\n' '  ' | grep -o \
	-e '"provisioner"[[:space:]]*:[[:space:]]*{[^}]*}' \
	-e '"fields"[[:space:]]*:[[:space:]]*{[^}]*}' \
	-e '"service"[[:space:]]*:[[:space:]]*{[[:space:]]*"name"[[:space:]]*:[[:space:]]*"[^"]*"'); do
	case $part in
	'"provisioner"'*) provisioner=$part ;;
	'"fields"'*) fields=$part ;;
	*) service=${part%\"}; service=${service##*\"} ;;
	esac
done
unset IFS
settings=$provisioner
field state_dir ""; state_dir=$value
[ "$block" = provisioner ] || settings=$fields

# chance N: sets $value to 0..N-1, the same for the same task and attempt.
chance() {
	value=$(printf '%s %s %s' "$task" "$attempt" "$node" | cksum)
	value=$((${value%% *} % $1))
}

# listed ACTIONS: true when this action is among them.
listed() {
	case ",$1," in
	*",$action,"* | *",all,"*) return 0 ;;
	esac
	return 1
}

# note EFFECT: one line in the journal, in one write.
note() {
	printf '%s %s %s %s %s\n' "$(date +%s%3N)" "$node" "${task:--}" "$attempt" "$1" \
		>>"$state_dir/journal"
}

wait_as_told() {
	field delay_ms 0; delay=$value
	field jitter_ms 0
	if [ "$value" -gt 0 ]; then
		chance "$value"
		delay=$((delay + value))
	fi
	[ "$delay" -eq 0 ] || sleep "$((delay / 1000)).$(printf '%03d' $((delay % 1000)))"
}

fail_as_ordered() {
	[ -f "$state_dir/faults/$action" ] || return 0
	read -r code times <"$state_dir/faults/$action" || return 0
	[ -z "$times" ] || [ "$attempt" -le "$times" ] || return 0
	echo "$action fails as ordered (attempt $attempt): $code"
	[ "$code" = hang ] || exit "$code"
	exec sleep 86400
}

fail_as_told() {
	[ -z "$state_dir" ] || fail_as_ordered
	field hang_actions ""
	if listed "$value"; then
		echo "$action hangs as told"
		exec sleep 86400
	fi
	field fail_actions ""
	listed "$value" || return 0
	field fail_times ""
	[ -z "$value" ] || [ "$attempt" -le "$value" ] || return 0
	field fail_percent ""
	if [ -n "$value" ]; then
		share=$value
		chance 100
		[ "$value" -lt "$share" ] || return 0
	fi
	field fail_code 1
	echo "$action fails as told (attempt $attempt)"
	exit "$value"
}

# answer JSON: the result, to descriptor 3 when it is open.
answer() {
	{ printf '%s\n' "$1" >&3; } 2>/dev/null || printf '%s\n' "$1"
}

if [ "$block" = provisioner ] && [ "$action" != bootstrap ]; then
	case $node in
	"" | *[!A-Za-z0-9._-]* | .*) echo "unusable node id '$node'" >&2; exit 100 ;;
	esac
	case $state_dir in
	/*) ;;
	*) echo "the provider field 'state_dir' must be an absolute path" >&2; exit 100 ;;
	esac
	machine=$state_dir/machines/$node
	[ -d "$state_dir/machines" ] || mkdir -p "$state_dir/machines" || exit 1
fi

wait_as_told
case $action in
create)
	# The file appears in one step, so of two attempts at once only one makes the machine.
	if (set -C; : >"$machine") 2>/dev/null; then
		note create
		echo "created $node"
	else
		echo "adopted $node"
	fi
	fail_as_told
	answer "{\"result\":{\"providerid\":\"sim-$node\"}}"
	;;
confirm)
	[ -e "$machine" ] || { echo "no machine $node"; exit 1; }
	fail_as_told
	# An address out of the range set aside for benchmarks, 198.18.0.0/15.
	sum=$(printf '%s' "$node" | cksum)
	sum=$((${sum%% *} % 131072))
	ip=198.$((18 + sum / 65536)).$((sum / 256 % 256)).$((sum % 256))
	answer "{\"result\":{\"providerid\":\"sim-$node\"},\"ipaddresses\":{\"access_v4\":\"$ip\",\"bind_v4\":\"$ip\"}}"
	;;
delete)
	fail_as_told
	if rm "$machine" 2>/dev/null; then
		note delete
		echo "deleted $node"
	else
		echo "no machine $node"
	fi
	answer '{"result":{}}'
	;;
*)
	fail_as_told
	[ ! -f "$state_dir/machines/$node" ] || echo "$action $service" >>"$state_dir/machines/$node"
	echo "$action done"
	answer '{"result":{}}'
	;;
esac
