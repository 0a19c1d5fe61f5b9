#!/bin/sh
# freezegun 1.5.5: where a test stops the clock, gidgethub 6.0.0 has two times and PyGithub 2.10.0 the real one.
#
# freezegun leaves some packages their real clock; one of them is `gi`, the Python binding of GTK. Names are compared by
# their first letters only, so that every module whose name begins with `gi` is left out: git (GitPython), gitlab,
# github, gidgethub, and a project's own git_history.py. The real time is handed out for functions of `time` and for
# names imported as `from datetime import datetime`; `datetime.datetime.now()` in the same module is stopped.
# Nothing is said: a test of an expiry, a retry or a token looks at another day than it says, and passes or fails by the
# calendar. freezegun.configure(default_ignore_list=[...]) without "gi" stops all of them.
#
# Expected: 2020 everywhere. Seen, with the clock stopped in 2020:
#   gidgethub, issue time of an app's token: real
#   gidgethub, clock of its rate limit: stopped
#   github, issue time of an app's token: real
#   github, birth of an access token: real
#   git_history.py, time.time(): real
#   our_history.py, the same text, time.time(): stopped
#   without gi in the list: stopped stopped stopped stopped stopped stopped
set -eu
here=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check \
  'freezegun==1.5.5' 'gidgethub==6.0.0' 'PyGithub==2.10.0' 'PyJWT[crypto]==2.15.1'
cd "$folder"
cat > git_history.py <<'PYTHON'
import time


def now():
    return time.time()
PYTHON
cp git_history.py our_history.py
cat > look.py <<'PYTHON'
from datetime import UTC, datetime

import freezegun
import git_history
import jwt
import our_history
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from gidgethub import apps, sansio
from github import Auth
from github.AccessToken import AccessToken

PLAIN = serialization.NoEncryption()
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, PLAIN
).decode()
NOON = datetime(2020, 1, 1, 12, tzinfo=UTC).timestamp()


def issued(token):
    return jwt.decode(token, options={"verify_signature": False})["iat"]


def look():
    with freezegun.freeze_time("2020-01-01"):
        limit_is_over = bool(sansio.RateLimit(limit=9, remaining=0, reset_epoch=NOON))
        times = {
            "gidgethub, issue time of an app's token": issued(apps.get_jwt(app_id="1", private_key=KEY)),
            "gidgethub, clock of its rate limit": NOON + 1 if limit_is_over else 0,
            "github, issue time of an app's token": issued(Auth.AppAuth(1, KEY).create_jwt()),
            "github, birth of an access token": AccessToken(None, {}, {}).created.timestamp(),
            "git_history.py, time.time()": git_history.now(),
            "our_history.py, the same text, time.time()": our_history.now(),
        }
    return {what: "stopped" if time < NOON else "real" for what, time in times.items()}


for what, clock in look().items():
    print(f"{what}: {clock}")
freezegun.configure(default_ignore_list=["threading"])
print("without gi in the list:", *look().values())
PYTHON
env/bin/python look.py > seen
cat seen
grep -E '^#   ' "$here" | cut -c5- | diff - seen
