#!/bin/sh
# The rootfs every image stands on, as one reproducible layer in $OUT: glibc and
# the C++ runtime, TLS roots, time zones and an unprivileged user. The packages
# are the builder's own, so that a binary built here finds the same libraries.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
chmod 755 "$work"
mkdir "$work/debs" "$work/root"
ssl=libssl3
if ! apt-cache show --no-all-versions libssl3 >/dev/null 2>&1; then ssl=libssl3t64; fi
(cd "$work/debs" && apt-get -qq -o APT::Sandbox::User=root download \
  libc6 libgcc-s1 libgomp1 libstdc++6 "$ssl" ca-certificates tzdata)

root=$work/root
for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$root"; done
for folder in lib lib64; do
  if [ ! -e "$root/$folder" ] && [ -d "$root/usr/$folder" ]; then ln -s "usr/$folder" "$root/$folder"; fi
done
rm -rf "$root/usr/share/doc" "$root/usr/share/man" "$root/usr/share/lintian" "$root/usr/sbin" \
  "$root"/usr/lib/*/gconv "$root/usr/share/bug" "$root/usr/share/gcc" "$root/usr/share/gdb"

# What update-ca-certificates would do on installation.
mkdir -p "$root/etc/ssl/certs"
cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"
rm -rf "$root/usr/share/ca-certificates"
printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
mkdir -p "$root/home/nonroot" "$root/tmp" "$root/usr/local/bin"
chmod 1777 "$root/tmp"

tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=gnu -cf "$OUT/base.tar" -C "$root" .
