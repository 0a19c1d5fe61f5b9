"""`python -m cli.clocked MOMENT VERB …` runs the program as if it were that moment; nothing of it can be told that."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from siteward.cli import session


def main() -> None:
    """Set the clock of this process, and run the command line."""
    moment = datetime.fromisoformat(sys.argv[1]).astimezone(UTC)
    session.now = lambda: moment
    sys.argv = [sys.argv[0], *sys.argv[2:]]
    from siteward.__main__ import main as run

    run()


if __name__ == "__main__":
    main()
