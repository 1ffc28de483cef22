#!/bin/sh
# The distribution's Python with kserve and bentoml, as one reproducible layer in $OUT that stands on the
# base layer. Bytecode is made here: the pods' root file system is read-only.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
chmod 755 "$work"
mkdir "$work/debs" "$work/root" "$work/wheels"
version=$(apt-cache show --no-all-versions python3-minimal | sed -n 's/^Version: \(3\.[0-9]*\).*/\1/p')
(cd "$work/debs" && apt-get -qq -o APT::Sandbox::User=root download \
  "python$version-minimal" "libpython$version-minimal" "libpython$version-stdlib" \
  libexpat1 zlib1g libbz2-1.0 liblzma5 libsqlite3-0 libffi8 libuuid1)

root=$work/root
for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$root"; done
# The base layer's /lib is a link to /usr/lib.
if [ -d "$root/lib" ] && [ ! -L "$root/lib" ]; then cp -a "$root/lib/." "$root/usr/lib/"; rm -rf "$root/lib"; fi
ln -s "python$version" "$root/usr/bin/python3"
rm -rf "$root/usr/share" "$root/etc" "$root/usr/sbin"

packages=$root/usr/local/lib/python$version/dist-packages
python3 -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --only-binary :all: \
  --implementation cp --python-version "$version" --platform manylinux_2_28_x86_64 \
  --platform manylinux_2_27_x86_64 --platform manylinux_2_26_x86_64 --platform manylinux_2_24_x86_64 \
  --platform manylinux2014_x86_64 --platform manylinux1_x86_64 \
  --require-hashes -r requirements.txt --target "$packages"
chmod -R a+rX "$root"
rm -rf "$packages/bin" "$packages"/*/tests "$packages"/*/*/tests
find "$root" -name __pycache__ -prune -exec rm -rf {} +
PYTHONHOME=$root/usr "$root/usr/bin/python$version" -m compileall -q -j 0 \
  --invalidation-mode unchecked-hash -s "$root" "$root/usr/lib/python$version" "$packages" || true # some of the packages hold templates that are no Python

tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=gnu -cf "$OUT/python.tar" -C "$root" .
