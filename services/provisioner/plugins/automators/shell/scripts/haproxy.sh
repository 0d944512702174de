#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# haproxy.sh install|configure|start|stop|remove [SERVICE]: spreads HTTP requests, in turn, over
# the nodes that carry a service (web). Cluster config: balancer.port (80), <SERVICE>.port (80).

. "$LOOM_LIB/loom.sh"

CONF=/etc/haproxy/haproxy.cfg
PIDFILE=/run/haproxy.pid

service=${2:-web}
port=$(port_setting balancer/port 80) || exit
backend_port=$(port_setting "$service/port" 80) || exit

backends() {
	loom_list_nodes "$service" | while read -r _ name address; do
		printf '    server %s %s:%s check inter 1s fall 2 rise 1\n' \
			"$name" "$address" "$backend_port"
	done
}

configure() {
	local servers
	servers=$(backends)
	put_file "$CONF" <<-EOF_CONF || fail "cannot write $CONF"
		global
		    maxconn 4096
		    user haproxy
		    group haproxy
		    chroot /var/lib/haproxy
		defaults
		    mode http
		    option forwardfor
		    timeout connect 5s
		    timeout client 60s
		    timeout server 60s
		frontend front
		    bind :$port
		    default_backend nodes
		backend nodes
		    balance roundrobin
		    option redispatch
		    http-response set-header X-Backend %s
		$servers
	EOF_CONF
	haproxy -q -c -f "$CONF" || fail "haproxy refuses its configuration"
	say "backends of $service:"
	say "${servers:-    none has an address yet}"
}

answers() { [[ $(http_status "$port") =~ ^[1-4]..$ ]]; }

# Nodes may have got their addresses after configure ran, so start writes the backends again.
start() {
	local old
	configure
	[[ -n $(backends) ]] || fail "no node with service $service has an address"
	if old=$(daemon_pid "$PIDFILE" haproxy); then
		say "haproxy is running: reloading"
		haproxy -D -f "$CONF" -p "$PIDFILE" -sf "$old" || fail "haproxy does not reload"
	else
		haproxy -D -f "$CONF" -p "$PIDFILE" || fail "haproxy does not start"
	fi
	wait_until 20 answers || fail "no answer through port $port (last: $(http_status "$port"))"
	say "haproxy balances port $port"
}

remove() {
	end_daemon "$PIDFILE" haproxy USR1
	dpkg --configure -a
	! installed haproxy || apt purge haproxy || fail "cannot remove haproxy"
}

case ${1:-} in
install) apt_install haproxy ;;
configure) configure ;;
start) start ;;
stop) end_daemon "$PIDFILE" haproxy TERM ;;
remove) remove ;;
*) give_up "usage: haproxy.sh install|configure|start|stop|remove [SERVICE]" ;;
esac
