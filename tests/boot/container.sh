# Sourced by run. systemd-nspawn on a throw-away root: a mount namespace of its own, a tmpfs, no network, and control
# groups below ours, so that nothing of the host's is touched; they are removed afterwards.
LIMIT=${MAYFLY_BOOT_LIMIT:-300} # seconds; alone on two processors 70 do
group=mayfly-boot-$$

# One directory for each hierarchy that systemd uses: the whole of version 2, or its own of version 1 and `unified`.
our_groups() {
  local own
  own=$(sed -n 's/^0:://p' /proc/self/cgroup)
  if [ "$(stat -fc %T /sys/fs/cgroup 2>/dev/null)" = cgroup2fs ]; then
    echo "/sys/fs/cgroup${own%/}/$group"
  else
    [ ! -d /sys/fs/cgroup/unified ] || echo "/sys/fs/cgroup/unified${own%/}/$group"
    own=$(sed -n 's/^[0-9]*:name=systemd://p' /proc/self/cgroup)
    [ ! -d /sys/fs/cgroup/systemd ] || echo "/sys/fs/cgroup/systemd${own%/}/$group"
  fi
}

remove_groups() {
  local made
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    for made in "${groups[@]}"; do
      [ ! -d "$made" ] || find "$made" -depth -type d -exec rmdir {} \; 2>/dev/null || true
    done
    [ -n "$(ls -d "${groups[@]}" 2>/dev/null)" ] || return 0
    sleep 0.2
  done
  echo "note: control groups are left: ${groups[*]}" >&2
}

# Before anything is built or downloaded for it.
is_possible() {
  [ "$(id -u)" = 0 ] || skip "only root may start one"
  unshare -m --propagation private true 2>/dev/null || skip "no mount namespace of its own can be made here"
  mapfile -t groups < <(our_groups)
  [ ${#groups[@]} -gt 0 ] || skip "there are no control groups that systemd could use"
  mkdir "${groups[@]}" 2>/dev/null || { remove_groups; skip "no control group can be made below ${groups[0]%/*}"; }
  remove_groups
}

# In the namespace: $1 the payload. The file system is unpacked to memory, 450 MB. A host that lets nspawn run nothing at
# all is no place for this tier: 77, as where it is not possible.
inside='set -eu
root=$1/root; mkdir "$root"; mount -t tmpfs -o size=2G,mode=755 none "$root"
tar -x --numeric-owner -C "$root" --exclude="./dev/*" -f "$ROOTFS"
mkdir -p "$root/boot-tests"; for file in "$1"/*; do [ "$file" = "$root" ] || cp -a "$file" "$root/boot-tests/"; done
cp "$1/mayfly-boot.service" "$root/etc/systemd/system/"
ln -sf /dev/null "$root/etc/systemd/system/console-getty.service"  # it would take the terminal
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
nspawn="systemd-nspawn -q -D $root --register=no --keep-unit --private-network --link-journal=no --machine=$NAME"
$nspawn --pipe true >"$1/probe" 2>&1 || { echo "nspawn-says $(grep -v "^Attempted to remove" "$1/probe" | tail -n 1)"; exit 77; }
exec $nspawn --hostname=mayfly-boot --boot --console=read-only \
  systemd.wants=mayfly-boot.service systemd.show_status=0 systemd.log_target=journal'

boot() {
  local made said=$1/said
  mkdir "${groups[@]}"
  (
    for made in "${groups[@]}"; do echo $BASHPID >"$made/cgroup.procs"; done
    ROOTFS=$rootfs NAME=$group exec timeout -k 5 "$LIMIT" unshare -m --propagation private bash -c "$inside" sh "$1"
  ) </dev/null 2>&1 | sed -u 's,\r,,' | tee "$said" || true
  remove_groups
  ! grep -q '^nspawn-says' "$said" || skip "systemd-nspawn runs nothing here: $(sed -n 's/^nspawn-says //p' "$said")"
  result_of "$said"
}
