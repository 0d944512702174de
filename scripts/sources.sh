# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What this tree is, for scripts that make something of it; sourced, with root set.

# identify PATH...: sets version, revision, commit (12 digits) and date (epoch seconds). Changes below
# the paths that are not committed make it "-modified".
identify()
{
	version=${VERSION:-$(sed -n 's/^#define LOOM_VERSION "\(.*\)"$/\1/p' "$root/common/base/version.c")}
	revision=${REVISION:-$(sed -n 's/^#define LOOM_COMMIT "\([0-9a-f]*\)"$/\1/p' "$root/common/base/version.c")}
	revision=${revision:-unknown}
	date=${SOURCE_DATE_EPOCH:-}
	if git -C "$root" rev-parse HEAD >/dev/null 2>&1; then
		revision=$(git -C "$root" rev-parse HEAD)
		date=${date:-$(git -C "$root" log -1 --format=%ct)}
	fi
	commit=${revision:0:12}
	if git -C "$root" rev-parse HEAD >/dev/null 2>&1 && [[ -n $(git -C "$root" status --porcelain -- "$@") ]]; then
		revision+=-modified
		commit+=-modified
	fi
	date=${date:-$(stat -c %Y "$root/Makefile")}
}

# files PATH...: the files that git knows below them, in a source archive all, each ending with NUL. One
# that was deleted and is not yet committed is left out.
files()
{
	if git -C "$root" rev-parse HEAD >/dev/null 2>&1; then
		git -C "$root" ls-files -z --cached --others --exclude-standard -- "$@"
	else
		(cd "$root" && find "$@" -type f -not -path '*/__pycache__/*' -print0)
	fi | (cd "$root" && while IFS= read -r -d '' name; do
		[[ ! -e $name ]] || printf '%s\0' "$name"
	done) | LC_ALL=C sort -z
}
