# Becomes the first process of a machine: builds its root in new namespaces, then runs systemd.
#
# The root is an overlay of this system: what is written goes to a tmpfs and dies with the machine. Of its units only those
# start that /lib/systemd wants for a bare boot, less hardware and clock.
set -e
mount --make-rprivate /
W=/mnt
mount -t tmpfs -o size=2g,mode=0755 machine $W
mkdir $W/up $W/wk $W/root
mount -t overlay overlay -o lowerdir=/,upperdir=$W/up,workdir=$W/wk $W/root
R=$W/root
mkdir -p $R/proc $R/sys $R/dev $R/run $R/tmp
mount -t proc -o nosuid,nodev,noexec proc $R/proc
mount -t sysfs -o nosuid,nodev,noexec sysfs $R/sys
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 $R/sys/fs/cgroup
mount -t tmpfs -o mode=0755,nosuid tmpfs $R/dev
mkdir $R/dev/pts $R/dev/shm
for d in "null 3" "zero 5" "full 7" "random 8" "urandom 9"; do
    mknod -m 666 "$R/dev/${d% *}" c 1 "${d#* }"
done
mknod -m 666 $R/dev/tty c 5 0
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts $R/dev/pts
ln -s pts/ptmx $R/dev/ptmx
ln -s /proc/self/fd $R/dev/fd
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs $R/dev/shm
mount -t tmpfs -o mode=0755,nosuid,nodev tmpfs $R/run
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs $R/tmp
mkdir -p $R/run/lab $R/run/old
E=$R/etc/systemd/system
rm -rf $E/*.wants $E/*.requires
printf '[Unit]\nDescription=A machine of the lab\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\n' > $E/lab.target
ln -sf lab.target $E/default.target
for u in systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udev-trigger.service \
    systemd-sysctl.service systemd-modules-load.service systemd-remount-fs.service systemd-random-seed.service \
    systemd-timesyncd.service systemd-pstore.service systemd-firstboot.service systemd-hwdb-update.service \
    systemd-binfmt.service proc-sys-fs-binfmt_misc.automount systemd-machine-id-commit.service ldconfig.service \
    systemd-tmpfiles-setup-dev.service kmod-static-nodes.service dev-hugepages.mount dev-mqueue.mount \
    sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount \
    systemd-update-utmp.service systemd-journal-flush.service systemd-networkd.service systemd-resolved.service \
    getty.target console-getty.service apparmor.service; do
    ln -sf /dev/null $E/$u
done
: > $R/etc/fstab
ip link set lo up
hostname "$1"
cd $R
pivot_root . run/old
cd /
mount --make-rshared /
umount -l /run/old
rmdir /run/old
export container=lab PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
unset NOTIFY_SOCKET LISTEN_FDS LISTEN_PID
exec setpriv --bounding-set -sys_module,-sys_time,-sys_rawio /lib/systemd/systemd --system \
    --log-target=journal --show-status=no --crash-reboot=no </dev/null
