#!/bin/sh
# Installs the real agent CLIs for the tests and prints where they are: install.sh [DIR]
#   codex=…   claude=…   the native programs
# DIR is kept between runs (default: a folder of the user's cache named after the lockfile). Two runs may meet in it.
# Exit 77: cannot be had, because node, npm or the packages are missing.
set -u

skip() {
  echo "skipped: $1" >&2
  exit 77
}

if [ $# -gt 1 ]; then
  echo "usage: install.sh [DIR]" >&2
  exit 2
fi
source=$(dirname "$(realpath "$0")")
for tool in node npm flock; do
  command -v $tool >/dev/null 2>&1 || skip "$tool is missing"
done
[ "$(node -p 'parseInt(process.versions.node)')" -ge 18 ] || skip "node is older than 18"

lockfile=$(cksum <"$source/package-lock.json" | tr ' ' '-')
target=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/codex-orchestrator-tests/agents-$lockfile}
mkdir -p "$(dirname "$target")" || exit 2
target=$(realpath "$(dirname "$target")")/$(basename "$target")

# The programs themselves, not their wrappers: what is killed is then what runs.
found() {
  codex= claude=
  for file in "$target"/node_modules/@openai/codex-*/vendor/*/bin/codex; do
    [ -x "$file" ] && codex=$file
  done
  for file in "$target"/node_modules/@anthropic-ai/claude-code-*/claude; do
    [ -x "$file" ] && claude=$file
  done
  [ "$(cat "$target/installed" 2>/dev/null)" = "$lockfile" ] && [ -n "$codex" ] && [ -n "$claude" ]
}

install_clis() {
  rm -rf "$target".new.*
  fresh=$(mktemp -d "$target.new.XXXXXX") || exit 2
  trap 'rm -rf "$fresh"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  cp "$source/package.json" "$source/package-lock.json" "$fresh/"
  (cd "$fresh" && exec timeout --kill-after=3 300 npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier \
    --prefer-offline --fetch-retries=1 --fetch-retry-mintimeout=1000 --logs-max=0 >npm.log 2>&1)
  if [ $? -ne 0 ]; then
    if grep -q EUSAGE "$fresh/npm.log"; then
      cat "$fresh/npm.log" >&2
      exit 1
    fi
    skip "the packages of the agent CLIs cannot be had"
  fi
  echo "$lockfile" >"$fresh/installed"
  rm -rf "$target" && mv -T "$fresh" "$target" || exit 2
}

# The lock ends with the process that holds it; children do not inherit it, so none can hold it longer.
if ! found; then
  exec 9>"$target.lock" || exit 2
  flock -w 600 9 || skip "another installation does not end"
  found || (install_clis 9>&-) || exit $?
  exec 9>&-
  found || skip "the agent CLIs have no program for this machine"
fi
echo "codex=$codex"
echo "claude=$claude"
