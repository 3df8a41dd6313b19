#!/bin/sh
# Installs the Debian packages that building and testing need and that are missing.
# Does nothing, in well under a second, when all are there. Needs root or password-less sudo;
# without either it prints the command to run.
set -eu

packages="g++ make cmake ninja-build ccache pkg-config git tmux
  libcaf-dev libsqlitecpp-dev libsqlite3-dev nlohmann-json3-dev catch2 libgit2-dev libfmt-dev libcli11-dev
  libtomlplusplus-dev"
[ "${1:-}" != --tidy ] || packages="$packages clang-format clang-tidy"
[ "${1:-}" != --package ] || packages="$packages dpkg-dev"

missing=""
for package in $packages; do
  [ -s "/var/lib/dpkg/info/$package.list" ] || [ -s "/var/lib/dpkg/info/$package:$(dpkg --print-architecture).list" ] ||
    missing="$missing $package"
done
[ -n "$missing" ] || exit 0

install="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then
  as_root=""
elif sudo -n true 2>/dev/null; then
  as_root="sudo -n"
else
  echo "Missing packages. Run this as root, then try again:" >&2
  echo "  apt-get update && $install" >&2
  exit 1
fi
echo "installing:$missing" >&2
# Standard output belongs to the server that may be started next.
$as_root apt-get update >&2
$as_root env DEBIAN_FRONTEND=noninteractive $install >&2
