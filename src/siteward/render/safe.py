"""Names as they may be shown: what is invisible, or would steer a terminal or a log, is written out.

Every renderer sends foreign text through `show` before it adds the escapes of its own format.
"""

from __future__ import annotations

import json
import re
import unicodedata

_INVISIBLE = (
    "\x00-\x1f\x7f-\xa0\xad"  # C0, C1, no-break space, soft hyphen
    "\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f"
    "\u2000-\u200f\u2028-\u202f\u205f-\u206f"  # spaces, zero-width, bidi marks, separators
    "\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\ud800-\udfff\ue000-\uf8ff\U000f0000-\U0010ffff"  # surrogates and private use: no agreed picture
)
# A backslash is doubled where it would read as one of our own escapes, so that two names never look alike; the
# runners of GitHub Actions and Azure take "##[" and "##vso[" for a command wherever it stands in a line.
_UNSAFE = re.compile(rf"\\(?=[xuU\\{_INVISIBLE}])|[{_INVISIBLE}]|##(?=\[|[vV][sS][oO]\[)")
_STEERING = re.compile(r"#(?=\[|vso\[)", re.IGNORECASE)
# GitHub's runner looks for "::" behind any blanks; colour goes through it unseen.
_COMMAND = re.compile(r"^((?:\s|\x1b\[[0-9;]*m)*)::", re.MULTILINE)


def show(text: str) -> str:
    r"""Return `text` with everything invisible or steering as a visible escape (`\\x1b`, `\\u202e`).

    The result is one line, valid in UTF-8, and different for different texts.
    """
    return _UNSAFE.sub(lambda found: "".join(map(_visible, found.group())), text)


def as_json(document: object, indent: int) -> str:
    """Return plain data as JSON in ASCII, ending with a line break; a name in it steers no log, and is read as it was."""
    return _STEERING.sub(r"\\u0023", json.dumps(document, indent=indent)) + "\n"


def no_commands(text: str) -> str:
    """Return finished text in which no line can be taken for a command by the log of GitHub Actions."""
    return _COMMAND.sub(r"\1\\x3a:", text)


def _visible(char: str) -> str:
    code = ord(char)
    if char == "\\":
        return r"\\"
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def cells(text: str) -> int:
    """Return how many columns a terminal gives to `text` (wide characters take two, combining ones none)."""
    if text.isascii():
        return len(text)
    return sum(_cell(char) for char in text)


def _cell(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
