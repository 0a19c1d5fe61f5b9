"""The command `siteward` of a shell, in a fork of the process that has loaded the program: `python -S -E ask.py VERB …`.

Such a shell has `LOADED_SOCKET` in its environment, where that process is asked, and `LOADED_MOMENT`, which may be empty.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from tempfile import TemporaryFile


def main() -> None:
    """Let the program run with the streams, folder and environment of this process, and leave as it does."""
    env = dict(os.environ)
    asking, moment = int(env.pop("LOADED_SOCKET")), env.pop("LOADED_MOMENT")
    folder = os.getcwd()  # noqa: PTH109 — to load `pathlib` takes longer than all the rest
    request = {"words": sys.argv[1:], "folder": folder, "env": env, "moment": moment}
    answer, answering = socket.socketpair()
    with TemporaryFile() as file, socket.socket(fileno=asking) as place:
        file.write(json.dumps(request).encode())
        file.seek(0)
        socket.send_fds(place, [b"!"], [file.fileno(), 0, 1, 2, answering.fileno()])
    answering.close()
    with answer.makefile() as lines:
        _, code = map(int, lines.read().split())
    sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
