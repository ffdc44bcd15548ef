#!/bin/bash
# A hook of mmdebstrap: archive.sh ROOT. Fetches $MAYFLY_GUEST_LATER with all that they need, and makes an archive of that in
# ROOT, which is then all that its apt knows of: guests have no network.
set -euo pipefail
root=$1
chroot "$root" apt-get clean
# One word per package is wanted here.
# shellcheck disable=SC2086
chroot "$root" apt-get -qq -y --no-install-recommends --download-only install $MAYFLY_GUEST_LATER
mkdir "$root/srv/archive"
mv "$root"/var/cache/apt/archives/*.deb "$root/srv/archive"
(cd "$root/srv/archive" && dpkg-scanpackages . /dev/null >Packages)
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/srv/archive ./' >"$root/etc/apt/sources.list"
chroot "$root" apt-get -qq update
