#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# nginx.sh install|configure|start|stop|remove: a web server with one page.
# Cluster config: web.message (text of the page), web.port (80).

. "$LOOM_LIB/loom.sh"

SITE=/etc/nginx/sites-available/loom
PAGES=/var/www/loom
PIDFILE=/run/nginx.pid

port=$(port_setting web/port 80) || exit

configure() {
	local message host
	message=$(setting web/message "Hello from Loom" | html_escape)
	host=$(loom_lookup_key config/hostname | html_escape)
	put_file "$PAGES/index.html" <<-EOF_PAGE || fail "cannot write the page"
		<!DOCTYPE html>
		<html lang="en">
		<head><meta charset="utf-8"><title>$message</title></head>
		<body>
		<h1>$message</h1>
		<p>Served by $host, port $port</p>
		</body>
		</html>
	EOF_PAGE
	put_file "$SITE" <<-EOF_SITE || fail "cannot write the site"
		server {
		    listen $port default_server;
		    server_name _;
		    root $PAGES;
		    add_header X-Served-By \$hostname always;
		}
	EOF_SITE
	ln -sfn "$SITE" /etc/nginx/sites-enabled/loom
	rm -f /etc/nginx/sites-enabled/default
	nginx -q -t || fail "nginx refuses its configuration"
	say "page and site written, port $port"
}

answers() { [[ $(http_status "$port") == 200 ]]; }

start() {
	nginx -q -t || fail "nginx refuses its configuration"
	if daemon_pid "$PIDFILE" nginx >/dev/null; then
		say "nginx is running: reloading"
		nginx -s reload || fail "nginx does not reload"
	else
		nginx || fail "nginx does not start"
	fi
	wait_until 15 answers || fail "no page on port $port"
	say "nginx serves the page on port $port"
}

remove() {
	end_daemon "$PIDFILE" nginx QUIT
	rm -rf "$PAGES" "$SITE" /etc/nginx/sites-enabled/loom
	dpkg --configure -a
	! installed nginx-light || apt remove nginx-light || fail "cannot remove nginx-light"
}

case ${1:-} in
install) apt_install nginx-light ;;
configure) configure ;;
start) start ;;
stop) end_daemon "$PIDFILE" nginx QUIT ;;
remove) remove ;;
*) give_up "usage: nginx.sh install|configure|start|stop|remove" ;;
esac
