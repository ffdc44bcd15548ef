#!/bin/busybox sh
# The first process of a virtual machine: mounts its disk, gives it the payload, and makes way for systemd.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
while read -r module; do $b insmod "/modules/$module"; done </modules/order
until [ -b /dev/vdb ]; do $b sleep 0.1; done
$b mount -t ext4 -o noatime /dev/vda /mnt
$b mount -t ext4 -o ro /dev/vdb /payload
$b mkdir -p /mnt/boot-tests
$b cp -a /payload/. /mnt/boot-tests/
$b cp /payload/mayfly-boot.service /mnt/etc/systemd/system/
$b umount /payload
$b mount --move /dev /mnt/dev
$b umount /sys
$b umount /proc
exec $b switch_root /mnt /lib/systemd/systemd
