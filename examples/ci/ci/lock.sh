#!/bin/sh
# Writes the hashes of the wheel that ci/wheel names, and of all it needs, for each Python that is named:
# `lock.sh 3.12 3.13` makes ci/requirements-3.12.txt and ci/requirements-3.13.txt. Needs uv; review the difference.
set -eu
wheel=$(sed -n '/^https:/p' ci/wheel)
for python in "$@"; do
    echo "siteward[age] @ $wheel" |
        uv pip compile --quiet --no-header --no-annotate --generate-hashes --python-version "$python" \
            --output-file "ci/requirements-$python.txt" -
done
