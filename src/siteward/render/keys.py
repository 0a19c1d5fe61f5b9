"""Shows keys: as data, as cells of tables, and in a phrase; redacted where names may not be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.diagnostic import plural
from siteward.render import words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from siteward.access.api_key import HeldKey
    from siteward.render.privacy import Names

HEADER = ("key", "whose", "may", "made", "last used", "ends", "due")
"""The names of the columns of `cells`."""


def data(key: HeldKey) -> dict[str, object]:
    """Return a key as plain data; a moment that is not known is `None`, and so is the end of one that has none."""
    live, listed = key.live, key.listed
    due = listed.find_due(live.made if live is not None else None) if listed is not None else None
    moments = {
        "made": live.made if live is not None else None,
        "last_used": live.used if live is not None else None,
        "ends": live.ends if live is not None else None,
        "since": listed.since if listed is not None else None,
        "due": due,
    }
    return {
        "instance": key.instance,
        "name": key.name,
        "account": key.account,
        "person": key.handle,
        "owner": key.answers,
        "live": bool(live) if live is not None or key.shown else None,
        "declared": listed is not None,
        "holds": key.holds.word if key.holds is not None else None,
        "scopes": list(live.scopes) if live is not None else [],
        **{name: words.moment(at) if at is not None else None for name, at in moments.items()},
        "used_by": listed.used_by if listed is not None else None,
        "flags": list(key.flags),
        "why": key.why or None,
    }


def cells(key: HeldKey) -> tuple[str, ...]:
    """Return a key as the cells of a table under `HEADER`."""
    told = data(key)
    days = {name: words.day(str(told[name] or "")) for name in ("made", "last_used", "ends", "since", "due")}
    made = days["made"] or (f"{days['since']} (the file)" if days["since"] else "")
    return (
        key.name,
        f"{words.name_with_login(key.handle, key.account)} on {key.instance}",
        may(key),
        made,
        days["last_used"],
        days["ends"] or ("no end" if key.live is not None else ""),
        days["due"],
    )


def may(key: HeldKey) -> str:
    """Return what a key may do, in the word of its power and those of the platform."""
    scopes = f" ({', '.join(key.live.scopes)})" if key.live is not None and key.live.scopes else ""
    return f"{key.holds.word if key.holds is not None else 'not known'}{scopes}"


def remarks(key: HeldKey) -> tuple[str, ...]:
    """Return what is to be known of a key beside its cells, in phrases: what is wrong with it, first."""
    listed = key.listed
    tests = (
        (f"{key.who} {key.why}" if key.why else "orphaned", "orphaned" in key.flags),
        ("to be made anew", "overdue" in key.flags),
        ("not in the file", "undeclared" in key.flags),
        ("an older one of this name", "outdated" in key.flags),
        ("not among the live keys", "missing" in key.flags),
        ("whether it is live is not shown", not key.shown and key.live is None),
        ("made on another day than the file says", "redated" in key.flags),
        (f"used by {listed.used_by}" if listed is not None else "", listed is not None and bool(listed.used_by)),
        (f"owner {key.answers}{', who is not there' if 'unattended' in key.flags else ''}", key.answers is not None),
        ("nobody answers for it", key.answers is None and "unattended" in key.flags),
    )
    return tuple(text for text, holds in tests if holds)


def phrase(key: HeldKey) -> str:
    """Return a key in a phrase: its name, what it may do, the days that are known, and what is wrong with it."""
    _, _, able, made, used, ends, due = cells(key)
    days = (
        f"made {made}" if made else "",
        f"last used {used}" if used else "",
        "" if ends == "no end" or not ends else f"ends {ends}",
        f"due {due}" if due else "",
    )
    return f"{key.name} ({', '.join(filter(None, (able, *days, *remarks(key))))})"


def is_wrong(key: HeldKey) -> bool:
    """Return whether somebody has to do something about a key on the platform, or find out whose it is."""
    return not {"redated", "missing"}.issuperset(key.flags)


def count(keys: Sequence[HeldKey]) -> tuple[str, ...]:
    """Return the number of keys, and of those with which something is wrong, as phrases; none where there are none."""
    wrong = sum(map(is_wrong, keys))
    told = f", {wrong} to look at" if wrong else ""
    return (f"{plural(len(keys), 'key')}{told}",) if keys else ()


def unseen(why: Mapping[str, str]) -> tuple[str, ...]:
    """Return a sentence for each reason why keys are not shown, with the instances that it is of."""
    named: dict[str, list[str]] = {}
    for instance, reason in why.items():
        if reason:
            named.setdefault(reason, []).append(instance)
    return tuple(f"{', '.join(instances)}: not all keys can be read: {reason}" for reason, instances in named.items())


def redacted(keys: Iterable[HeldKey], names_of: Callable[[str], Names]) -> tuple[HeldKey, ...]:
    """Return keys without logins and addresses; one that no file lists has a number, for people called it what they liked."""
    return tuple(_redact(key, number, names_of(key.instance)) for number, key in enumerate(keys, 1))


def _redact(key: HeldKey, number: int, names: Names) -> HeldKey:
    listed = key.listed
    used_by = names.text(listed.used_by) if listed is not None and listed.used_by else None
    return replace(
        key,
        name=names.text(key.name) if listed is not None else f"key-{number}",
        account=names.name(key.account),
        answers=names.text(key.answers) if key.answers else None,
        listed=replace(listed, used_by=used_by) if listed is not None else None,
    )
