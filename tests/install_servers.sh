#!/bin/sh
# Installs the servers that the tests start, and the programs named as arguments, when they are missing and this
# user may install packages.
set -u
missing=""
command -v redis-server >/dev/null 2>&1 || missing="$missing redis-server"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null 2>&1 || missing="$missing postgresql"
command -v nginx >/dev/null 2>&1 || [ -x /usr/sbin/nginx ] || missing="$missing nginx"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium fonts-noto-cjk"
for program in "$@"; do
    command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
    [ "$program" != gcc ] || echo '#include <dlfcn.h>' | gcc -E - >/dev/null 2>&1 || missing="$missing libc6-dev"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "not installed:$missing (tests that need them are skipped, and fail with CI=true)"
    exit 0
fi
echo "installing:$missing"
# The tests start servers of their own: Debian must not start one as well.
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing >/dev/null || echo "could not install:$missing"
