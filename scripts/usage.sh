# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# How a script says what it is for; sourced.

# The comment at its top.
usage()
{
	sed '1,3d; /^[^#]/,$d; s/^# \{0,1\}//' "$0"
}

# takes_no_arguments ARGUMENT...: only --help, and whoever asks for more is told before anything is done.
takes_no_arguments()
{
	case ${1:-} in
	-h | --help)
		usage
		exit 0
		;;
	esac
	[[ $# -eq 0 ]] && return 0
	echo "${0##*/}: it takes no arguments, and was given '$1' (--help)" >&2
	exit 64
}
