# Sourced by ./quickstart and ./check: installs what is missing from Debian, says what is done and how long it took.

packages_build="gcc libc6-dev cmake ninja-build pkg-config python3 protobuf-c-compiler protobuf-compiler
  libprotobuf-c-dev liblmdb-dev libuv1-dev libyajl-dev libicu-dev libstemmer-dev liblz4-dev libxxhash-dev libinih-dev
  libgoogle-perftools-dev"
packages_package="$packages_build debhelper dpkg-dev lintian"
packages_container="$packages_package systemd-container mmdebstrap"
packages_machine="$packages_package mmdebstrap qemu-system-x86 busybox-static cpio kmod e2fsprogs"
packages_test="$packages_container libcmocka-dev python3-pytest python3-protobuf python3-xapian python3-yaml lmdb-utils clang-14 binutils systemd
  zsh fish"

say() { printf '%s [%4ds] %s\n' "$(date +%H:%M:%S)" "$SECONDS" "$*"; }
stop() { printf '%s\n' "$*" >&2; exit 1; }

# The packages of a list that are not installed.
missing_packages() {
  for package in $1; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf '%s ' "$package"
  done
}

# need_packages LIST: installs what is missing as root or by `sudo -n`; else prints the one line that does, and stops.
need_packages() {
  command -v dpkg-query >/dev/null ||
    { say "not a Debian system: expecting the libraries and tools of deploy/setup.sh to be there"; return 0; }
  local missing as=
  missing=$(missing_packages "$1")
  [ -n "$missing" ] || { say "every package that is needed is installed"; return 0; }
  if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null ||
      stop "Some packages are missing. Install them with this line, then run this again:

  sudo apt-get install --no-install-recommends -y ${missing% }"
    as="sudo -n"
  fi
  say "installing: ${missing% }"
  $as apt-get -qq update || stop "apt-get update failed: is the network there?"
  # One word per package is wanted here.
  # shellcheck disable=SC2086
  $as env DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y $missing >/dev/null ||
    stop "apt-get install failed"
  say "installed"
}

# build PRESET [-DOPTION=VALUE...]: configures and builds into build/PRESET.
build() {
  say "building build/$1"
  mkdir -p build
  { cmake --preset "$@" && cmake --build --preset "$1"; } >"build/$1.log" 2>&1 ||
    { tail -n 40 "build/$1.log"; stop "the build failed; all of it is in build/$1.log"; }
  say "built build/$1"
}
