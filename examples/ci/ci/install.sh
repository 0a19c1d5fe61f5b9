#!/bin/sh
# Installs the wheel that ci/wheel names, and what it needs, by the hashes in ci/requirements-PYTHON.txt and nothing else.
set -eu

stop() {
    echo "nothing was installed: $1" >&2
    exit 1
}

wheel=$(sed -n '/^https:/p' ci/wheel)
case $wheel in
'' | *replace-me*) stop "ci/wheel holds a placeholder still; it says in words what to put there" ;;
esac
python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
locked=ci/requirements-$python.txt
[ -f "$locked" ] || stop "there is no $locked; make it with: sh ci/lock.sh $python"
grep -qxF "siteward @ $wheel \\" "$locked" || stop "$locked is for another wheel; make it anew: sh ci/lock.sh $python"
python3 -m pip install --disable-pip-version-check --no-input --quiet --require-hashes --only-binary :all: -r "$locked"
