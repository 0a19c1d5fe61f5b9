#!/bin/sh
# Encrypts the plan on its way from job to job, with PLAN_KEY: `seal.sh seal` and `seal.sh open`. Whoever may read the
# artifacts of a repository reads no plan.
set -eu
umask 077
case ${1:-} in
seal) openssl enc -aes-256-cbc -pbkdf2 -salt -pass env:PLAN_KEY -in plan.json -out "plan-$INSTANCE.sealed" ;;
open)
    for sealed in plan-*.sealed; do
        [ -e "$sealed" ] || continue # no job has left a plan
        plan=${sealed%.sealed}.json
        openssl enc -d -aes-256-cbc -pbkdf2 -pass env:PLAN_KEY -in "$sealed" -out "$plan"
        [ "$plan" != "plan-${INSTANCE:-}.json" ] || mv "$plan" plan.json
    done
    if [ -n "${INSTANCE:-}" ] && [ ! -f plan.json ]; then
        echo "there is no plan of $INSTANCE" >&2
        exit 1
    fi
    ;;
*)
    echo "usage: seal.sh seal | open" >&2
    exit 1
    ;;
esac
