# Sourced by run. A virtual machine of QEMU's own code generator: KVM may be there and not work, and is not looked at.
LIMIT=${MAYFLY_BOOT_LIMIT:-600} # seconds; a machine that is busy with other things needs more

is_possible() { :; }

boot() {
  make_disk
  make_kernel
  local payload_disk=$1.img said=$1/said
  mke2fs -q -t ext4 -O ^has_journal -d "$1" "$payload_disk" 256M
  timeout -k 5 "$LIMIT" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 1 -m 2048 -nodefaults -display none \
    -serial stdio -net none -no-reboot -kernel "$kernel"/boot/vmlinuz-* -initrd "$cache/initrd.img" \
    -drive file="$disk",if=virtio,format=raw,snapshot=on -drive file="$payload_disk",if=virtio,format=raw,snapshot=on \
    -device virtio-rng-pci -append "console=ttyS0 panic=-1 quiet mitigations=off random.trust_cpu=1 \
      systemd.show_status=0 systemd.mask=serial-getty@ttyS0.service systemd.mask=console-getty.service \
      systemd.wants=mayfly-boot.service systemd.hostname=mayfly-boot" </dev/null 2>&1 | sed -u 's,\r,,' | tee "$said" || true
  rm -f "$payload_disk"
  result_of "$said"
}
