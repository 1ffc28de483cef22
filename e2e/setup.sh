#!/bin/sh
# Installs the packages the local cluster and its tools need. Does nothing where
# they are; where it cannot install them, says which.
set -eu
case ${AIOS_CLUSTER:-local} in kind | current) exit 0 ;; esac

missing=
need() { # package, then the files or commands any of which shows that it is there
  package=$1
  shift
  for sign in "$@"; do
    if [ -e "$sign" ] || PATH=$PATH:/usr/sbin:/sbin command -v "$sign" >/dev/null 2>&1; then return; fi
  done
  missing="$missing $package"
}
need util-linux unshare
need iproute2 ip
need nftables nft
need iptables iptables
need conntrack conntrack
need containerd containerd
need runc runc
need containernetworking-plugins /usr/lib/cni/ptp /opt/cni/bin/ptp
need g++ c++
need cmake cmake
need ninja-build ninja
need binutils strip
need libssl-dev /usr/include/openssl/ssl.h
need python3-pip pip3 pip
need nodejs node
need npm npm
need valgrind valgrind
need postgresql /usr/lib/postgresql/*/bin/initdb

if [ -n "$missing" ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "setup: install these packages first:$missing" >&2
    exit 1
  fi
  echo "setup: installing$missing"
  apt-get update -qq
  # shellcheck disable=SC2086 # a list of names
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
for program in cargo go; do
  if ! command -v "$program" >/dev/null 2>&1; then
    echo "setup: $program is missing; Rust is at https://rustup.rs, Go 1.26 at https://go.dev/dl" >&2
    exit 1
  fi
done
