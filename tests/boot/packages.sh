# Sourced by run: the Debian packages that the guest is given, built when their source has changed, and `raised`, the same
# programs in a package of the next version, for an upgrade and a downgrade.

# Contents of what goes into the packages, with git's list of files or without it.
source_key() {
  { git ls-files -z --cached --others --exclude-standard 2>/dev/null || find . \( -path ./build -o -path ./.quickstart \) -prune -o -type f -print0; } |
    sed -z 's,^\./,,' | grep -zvE '^(tests|bench|\.ci|docs/.*\.(png|svg))' | LC_ALL=C sort -z |
    xargs -0 sha256sum 2>/dev/null | sha256sum | cut -c1-16
}

# $made is where they are.
make_packages() {
  local key stamp=build/package/built-from
  made=$PWD/build/package
  key=$(source_key)
  [ "$(cat "$stamp" 2>/dev/null)" = "$key" ] && return
  rm -f "$made"/*.deb
  deploy/package deb >&2
  echo "$key" >"$stamp"
}

# Copies the packages into $1: mayfly.deb, libmayfly-dev.deb, raised.deb.
give_packages() {
  make_packages
  cp "$made"/mayfly_*.deb "$1/mayfly.deb"
  cp "$made"/libmayfly-dev_*.deb "$1/libmayfly-dev.deb"
  raise_version "$1/mayfly.deb" "$1/raised.deb"
}

# Version X.Y becomes X.Y+1, and the configuration file is another one, as it may be between versions.
raise_version() {
  local place version
  place=$(mktemp -d "$cache/raised.XXXXXX")
  dpkg-deb -R "$1" "$place"
  version=$(sed -n 's/^Version: //p' "$place/DEBIAN/control" | awk -F. '{ print $1 "." $2 + 1 ".0" }')
  sed -i "s/^Version: .*/Version: $version/" "$place/DEBIAN/control"
  printf '\n; Of version %s.\n' "$version" >>"$place/etc/mayfly/mayfly.conf"
  sed -i "s,^[0-9a-f]*  etc/mayfly/mayfly.conf$,$(md5sum <"$place/etc/mayfly/mayfly.conf" | cut -c1-32)  etc/mayfly/mayfly.conf," \
    "$place/DEBIAN/md5sums"
  dpkg-deb --root-owner-group -b "$place" "$2" >/dev/null
  rm -rf "$place"
}
