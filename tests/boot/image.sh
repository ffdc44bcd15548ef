# Sourced by run: a Debian root file system for the guest, and for a machine also a kernel and what it starts with. Made
# once, kept in $cache, made again a week later or when a list of packages changes.
cache=${MAYFLY_BOOT_CACHE:-$PWD/build/boot}
suite=bookworm

# A bare system, and what runs the tests in it.
guest_packages=systemd,systemd-sysv,dbus,libpam-systemd,procps,python3-minimal,python3-pytest,python3-protobuf

# Guests have no network: what is installed in them later is in an archive of their own. First what our packages depend on.
package_needs="liblmdb0 libuv1 libprotobuf-c1 libyajl2 libicu72 libstemmer0d liblz4-1 libxxhash0 libinih1 libtcmalloc-minimal4"
guest_later="$package_needs autopkgtest dpkg-dev gcc libc6-dev pkg-config libprotobuf-c-dev prometheus prometheus-node-exporter"

make_rootfs() {
  local key
  key=$(cat tests/boot/archive.sh - <<<"$suite $guest_packages $guest_later $(date +%G-%V)" | md5sum | cut -c1-12)
  rootfs=$cache/rootfs-$key.tar
  [ -f "$rootfs" ] && return
  say "making a root file system of $suite" >&2
  rm -f "$cache"/rootfs-*.tar "$cache"/disk-*.img
  MAYFLY_GUEST_LATER=$guest_later mmdebstrap --quiet --format=tar --variant=minbase --include="$guest_packages" --skip=cleanup/apt \
    --customize-hook="$PWD/tests/boot/archive.sh" \
    "$suite" "$rootfs.part" >"$cache/rootfs.log" 2>&1 || no_rootfs
  mv "$rootfs.part" "$rootfs"
}

# Without a network that is no failure of ours.
no_rootfs() {
  rm -f "$rootfs.part"
  tail -n 20 "$cache/rootfs.log" >&2
  ! grep -qE 'apt-get update .* failed|Failed to fetch|Unable to fetch' "$cache/rootfs.log" ||
    skip "Debian's archive cannot be reached"
  stop "the root file system was not made"
}

# As a directory below `place`, which is on a file system of its own in a container and kept in the cache for a machine.
unpack_rootfs() { tar -x --numeric-owner -C "$1" --exclude='./dev/*' -f "$rootfs"; }

make_disk() {
  disk=${rootfs/rootfs-/disk-}
  disk=${disk%.tar}.img
  [ -f "$disk" ] && return
  say "making a disk of it" >&2
  local place
  place=$(mktemp -d "$cache/disk.XXXXXX")
  unpack_rootfs "$place"
  mke2fs -q -t ext4 -O ^has_journal -d "$place" "$disk.part" 2G
  rm -rf "$place"
  mv "$disk.part" "$disk"
}

# Debian's kernel for clouds, unpacked and not installed.
make_kernel() {
  kernel=$cache/kernel
  [ -f "$cache/initrd.img" ] && return
  say "fetching a kernel" >&2
  local package
  package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
  [ -n "$package" ] || stop "apt knows no linux-image-cloud-amd64"
  rm -rf "$kernel"
  mkdir -p "$kernel"
  (cd "$cache" && apt-get -q -o APT::Sandbox::User= download "$package" >kernel.log 2>&1) || stop "the kernel cannot be fetched"
  dpkg -x "$cache"/linux-image-*.deb "$kernel"
  rm "$cache"/linux-image-*.deb
  make_initrd
}

# busybox, the modules that a virtual disk needs, and init.sh.
make_initrd() {
  local version place module
  version=$(ls "$kernel/lib/modules")
  place=$(mktemp -d "$cache/initrd.XXXXXX")
  mkdir -p "$place"/{bin,dev,proc,sys,mnt,payload,modules}
  cp /bin/busybox "$place/bin/busybox"
  cp tests/boot/init.sh "$place/init"
  chmod +x "$place/init"
  /sbin/depmod -b "$kernel" "$version"
  for module in virtio_pci virtio_blk virtio_rng ext4; do
    /sbin/modprobe -d "$kernel" -S "$version" --show-depends "$module" 2>/dev/null | sed -n 's/^insmod \([^ ]*\).*/\1/p'
  done | awk '!seen[$0]++' >"$cache/modules"
  while read -r module; do
    cp "$module" "$place/modules"
    basename "$module" >>"$place/modules/order"
  done <"$cache/modules"
  (cd "$place" && find . | cpio -o -H newc --quiet) >"$cache/initrd.part"
  rm -rf "$place"
  mv "$cache/initrd.part" "$cache/initrd.img"
}
