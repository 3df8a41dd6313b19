#!/bin/sh
# Tests PROGRAM with the official MCP client: run.sh PROGRAM
# The client is installed into a private directory, or kept between runs in ORCH_MCP_CACHE.
# Exit 77: not tested, because node, npm or the packages cannot be had.
set -u

skip() {
  echo "skipped: $1"
  exit 77
}

if [ $# -ne 1 ] || [ ! -x "$1" ]; then
  echo "usage: run.sh PROGRAM" >&2
  exit 2
fi
program=$(realpath "$1")
source=$(dirname "$(realpath "$0")")
for tool in node npm; do
  command -v $tool >/dev/null 2>&1 || skip "$tool is missing"
done
[ "$(node -p 'parseInt(process.versions.node)')" -ge 18 ] || skip "node is older than 18"

child=
private=$(mktemp -d "${TMPDIR:-/tmp}/orch mcp XXXXXX") || exit 2
private=$(realpath "$private")
clean_up() {
  [ -z "$child" ] || kill "$child" 2>/dev/null
  rm -rf "$private"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# In the background, so that a signal ends this script at once; `timeout` passes it on.
limited() {
  timeout --kill-after=3 "$@" &
  child=$!
  wait $child
  result=$?
  child=
  return $result
}

install_client() {
  cp "$source/package.json" "$source/package-lock.json" "$private/client/"
  cd "$private/client" || exit 2
  limited 55 npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier \
    --prefer-offline --fetch-retries=1 --fetch-retry-mintimeout=1000 --logs-max=0 >"$private/npm.log" 2>&1 && return
  if grep -q EUSAGE "$private/npm.log"; then
    cat "$private/npm.log" >&2
    exit 1
  fi
  skip "the packages of the MCP client cannot be had"
}

mkdir "$private/client" "$private/home"
if [ -n "${ORCH_MCP_CACHE:-}" ]; then
  mkdir -p "$ORCH_MCP_CACHE" || exit 2
  cache=$(realpath "$ORCH_MCP_CACHE")
  kept=$cache/$(cksum <"$source/package-lock.json" | tr ' ' '-')
  if [ ! -d "$kept" ]; then
    install_client
    # Two runs may fill the cache at once: the first one to arrive is kept.
    fresh=$(mktemp -d "$cache/new.XXXXXX") || exit 2
    cp -R "$private/client/node_modules" "$fresh/" && mv -T "$fresh" "$kept" 2>/dev/null
    rm -rf "$fresh" "$private/client/node_modules"
  fi
  ln -s "$kept/node_modules" "$private/client/node_modules"
else
  install_client
fi
cp "$source/client_test.mjs" "$private/client/"

export HOME="$private/home" GIT_CONFIG_NOSYSTEM=1 ORCH_TEST_PROGRAM="$program"
unset XDG_CONFIG_HOME GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
export ORCH_TEST_REPOSITORY="$private/répo of agents"
git init --quiet --initial-branch=main "$ORCH_TEST_REPOSITORY" &&
  mkdir "$ORCH_TEST_REPOSITORY/src" &&
  echo 'int main() {}' >"$ORCH_TEST_REPOSITORY/src/main.cpp" &&
  git -C "$ORCH_TEST_REPOSITORY" add . &&
  git -C "$ORCH_TEST_REPOSITORY" -c user.name=Tester -c user.email=tester@example.org \
    commit --quiet --message "first" || exit 1
limited 50 node "$private/client/client_test.mjs"
