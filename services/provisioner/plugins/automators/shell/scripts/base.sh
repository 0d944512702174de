#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# base.sh install: what every node needs before other services: fresh package lists, once.

. "$LOOM_LIB/loom.sh"

MARK=/var/cache/loom/base.lists

install() {
	if [[ -n $(find "$MARK" -mmin -720 2>/dev/null) ]]; then
		say "package lists are fresh"
		return
	fi
	dpkg --configure -a || fail "dpkg --configure -a"
	local try
	for try in 1 2 3; do
		if apt update; then
			touch "$MARK"
			return
		fi
		sleep "$try"
	done
	fail "cannot fetch the package lists"
}

case ${1:-} in
install) install ;;
*) give_up "usage: base.sh install" ;;
esac
