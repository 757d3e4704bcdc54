# shellcheck shell=bash
# What the scripts in tools/ share. Source it; it changes to the root of the source tree.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
ROOT=$PWD
export ROOT

say() { printf '%s\n' "$*"; }
warn() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
    warn "$*"
    exit 1
}

# Seconds since the script started, with one decimal.
elapsed() { awk -v now="$EPOCHREALTIME" -v start="$1" 'BEGIN { printf "%.1f", now - start }'; }

cpus() { nproc 2>/dev/null || echo 2; }

# usage: prints the comment block at the head of the calling script, as its --help.
usage() { awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"; }
