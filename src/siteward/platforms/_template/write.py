"""Writes changes by the server's own calls, each read back where its answer leaves the outcome open."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from msgspec import Struct

from siteward.access.model import EVERYWHERE, Account, Grant
from siteward.platforms._template.read import API, refresh
from siteward.platforms.confirm import DONE, Verdict, confirm, failed
from siteward.platforms.interface import Bundle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siteward.access.change import Change
    from siteward.access.state import Live
    from siteward.platforms.interface import Receipt
    from siteward.transport.http import Answer, Writer


class _Done(Struct, frozen=True):
    ok: Literal[True]


def bundle(changes: Sequence[Change], _live: Live) -> Sequence[Bundle]:
    """Return a bundle for each change: every call carries a single one."""
    return [Bundle(changes=(change,)) for change in changes]


def write(writer: Writer, bundle: Bundle, live: Live) -> Sequence[Receipt]:
    """Make the single change of a bundle and return its receipt."""
    (change,) = bundle.changes
    method, path, body = _call_for(change, bundle, live)

    def judge(answer: Answer) -> Verdict:
        if answer.ok:
            return DONE
        problem = API.refusal(writer, answer)
        return failed(str(problem), problem.hint, sure=answer.status < 500)

    def is_done() -> bool:
        return refresh(writer, [change.key], live)[change.key] == change.after

    send = partial(writer.command, method, path, json=body)
    # Every call sets a state and sends no mail, so it may be repeated.
    verdict = confirm(writer, send, judge, is_done, repeatable=True, parse=partial(API.parse, _Done))
    return [verdict.receipt(change.key)]


def _call_for(change: Change, bundle: Bundle, live: Live) -> tuple[Literal["PUT", "DELETE"], str, object]:
    """Return method, path and body of the call that makes a change."""
    match change.before, change.after:
        case None, Account(name=name):
            return "PUT", _path("accounts", name), {"password": bundle.passwords[name].reveal()}
        case Account(name=name), None:
            return "DELETE", _path("accounts", name), None
        case (Grant(subject=subject, scope=scope), None) | (_, Grant(subject=subject, scope=scope)):
            wanted = change.after.role if isinstance(change.after, Grant) else None
            if scope == EVERYWHERE:
                return "PUT", _path("accounts", subject.name), {"admin": wanted is not None}
            path = _path("grants", subject.name, live.sites[scope].id)
            return ("PUT", path, {"role": wanted}) if wanted else ("DELETE", path, None)
        case _:
            raise TypeError(f"no call carries this change of {change.key}")


def _path(*parts: str) -> str:
    """Return the path of a call, its parts encoded so that no name leads anywhere else."""
    return "/api/" + "/".join(quote(part, safe="") for part in parts)
