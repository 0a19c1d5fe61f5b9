"""Equal findings are told once: the same rule and words but for whom or where, with a count, names and places.

What is an error in the file is told at each of its places, since each has to be mended.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.diagnostic import join_some
from siteward.access.model import account_of, scope_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.access.plan import Step

_BLANK = "…"
_QUOTED = re.compile(r"`([^`]+)`")


class Occurrence(Struct, frozen=True):
    """A diagnostic where it was found: on a step, on an instance, or on none."""

    said: Diagnostic
    instance: str = ""
    step: Step | None = None

    @property
    def place(self) -> Span | None:
        """The place of the finding, else that of the line which causes its step."""
        origin = self.step.origin if self.step else None
        return self.said.at or (origin.at if origin else None)


class Told(Struct, frozen=True, kw_only=True):
    """A finding and its equals.

    `said` is the first of them and `count` how many different ones they are. `about` are the people, else the sites, that
    they are about, where these are several, `instances` and `places` where they were found; each is named once. `seen` are the fingerprints of those that may be waived, each
    with what a waiver names. `subject` identifies the finding without
    any of that; `pattern` is its message without these names.
    """

    said: Diagnostic
    subject: tuple[str, ...]
    pattern: str
    count: int = 1
    about: tuple[str, ...] = ()
    instances: tuple[str, ...] = ()
    places: tuple[Span, ...] = ()
    seen: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """The instances that the finding is about, with a colon; empty for one about the files."""
        return f"{', '.join(self.instances)}: " if self.instances else ""

    def in_all(self, *, every: bool = False) -> str:
        """Return how many findings this stands for, with ten names, or with `every` one; empty for a single finding."""
        if not self.about:
            return f"{self.count} in all" if len(self.places) > 1 else ""
        different = f", of {len(self.about)}" if len(self.about) < self.count else ""
        return f"{self.count} in all{different}: {', '.join(self.about) if every else join_some(self.about)}"

    def more(self, *, every: bool = False) -> tuple[str, ...]:
        """Return what stands below the finding: how many it stands for, with `every` one also where they are."""
        at = f"at {', '.join(map(str, self.places))}" if every and len(self.places) > 1 else ""
        return tuple(filter(None, (self.in_all(every=every), at, *(self.seen if every else ()))))


def tell_once(found: Iterable[Occurrence]) -> tuple[Told, ...]:
    """Return the findings without their equals, in the order in which they were first found."""
    return tuple(map(merge, group_equal(found)))


def group_equal(found: Iterable[Occurrence]) -> tuple[Sequence[Occurrence], ...]:
    """Return the findings in groups of equals, in the order in which each group was first found."""
    groups: dict[tuple[object, ...], list[Occurrence]] = {}
    for occurrence in found:
        groups.setdefault(equality(occurrence), []).append(occurrence)
    return tuple(groups.values())


def merge(equal: Sequence[Occurrence]) -> Told:
    """Return equal findings as one."""
    first = equal[0]
    pattern, _ = _pattern(first)
    places = dict.fromkeys(place for occurrence in equal if (place := occurrence.place) is not None)
    instances = dict.fromkeys(name for occurrence in equal if (name := _instance(occurrence)))
    about = _about(equal)
    return Told(
        said=first.said,
        subject=_subject(first) if len(equal) == 1 else (pattern,),
        pattern=pattern,
        count=max(len(about), len({found.said.message for found in equal}), len(places)),
        about=about,
        instances=tuple(instances),
        places=tuple(places),
        seen=tuple(dict.fromkeys(_tell_seen(occurrence) for occurrence in equal if occurrence.said.seen)),
    )


def _tell_seen(found: Occurrence) -> str:
    """Return the fingerprint of a finding with what a waiver of it names."""
    about = f", about {found.said.thing}" if found.said.thing is not None else ""
    return f"seen {found.said.seen} (on {_instance(found)}{about})"


def _subject(found: Occurrence) -> tuple[str, ...]:
    """Return what identifies a finding without its line: what it is about, else its file and message."""
    said = found.said
    return (_instance(found), *(said.about or (said.at.file if said.at else "", said.message)))


def equality(found: Occurrence) -> tuple[object, ...]:
    """Return what equal findings have in common."""
    said = found.said
    message, hint = _pattern(found) if _folds(found) else (said.message, said.hint or "")
    place = None if _folds(found) else said.at
    return (said.code, said.severity, message, hint, said.suggestion, said.allowed, said.effect, place)


def _folds(found: Occurrence) -> bool:
    """Return whether a finding is told together with its equals at other places: all but errors in the file are."""
    said = found.said
    return not (said.blocks and said.at is not None and said.about is None and found.step is None)


def _pattern(found: Occurrence) -> tuple[str, str]:
    """Return the message and the hint of a finding without the names of whom and where it is about."""
    message, hint = found.said.message, found.said.hint or ""
    for name in sorted(dict.fromkeys(_names(found)), key=len, reverse=True):
        message, hint = _blank(message, name), _blank(hint, name)
    return message, hint


def _names(found: Occurrence) -> Iterator[str]:
    yield from _people(found)
    yield from _sites(found)
    yield from _quoted(found)


def _people(found: Occurrence) -> Iterator[str]:
    """Yield the names of the person that a finding is about: handle, login, and the address of a mail."""
    about, step = found.said.about, found.step
    names = (
        step.person if step else None,
        account_of(step.change.key) if step else None,
        account_of(about) if about else None,
        found.said.who,
    )
    yield from filter(None, names)


def _sites(found: Occurrence) -> Iterator[str]:
    """Yield the names of the site that a finding is about: the label, and the domain alone."""
    scope = scope_of(found.said.about) if found.said.about else None
    if scope is not None:
        yield from filter(None, (scope.name, scope.name.partition("#")[0]))


def _quoted(found: Occurrence) -> list[str]:
    """Return the names in backquotes that a finding about a row of the file has in its message."""
    in_file = found.said.at is not None and found.said.about is None
    return _QUOTED.findall(found.said.message) if in_file else []


def _blank(text: str, name: str) -> str:
    """Return a text with a name left blank wherever it stands as a word of its own."""
    if name not in text:
        return text
    first, *rest = text.split(name)
    for part in rest:
        whole = not (first[-1:].isalnum() or part[:1].isalnum())
        first += (_BLANK if whole else name) + part
    return first


def _about(equal: Sequence[Occurrence]) -> tuple[str, ...]:
    """Return what equal findings are about, each name once: what their messages name, else the people, else the sites."""
    message = equal[0].said.message
    kinds: tuple[Callable[[Occurrence], Iterable[str]], ...] = (_people, _sites, _quoted)
    told = [kind for kind in kinds if any(_blank(message, name) != message for name in kind(equal[0]))]
    named = (
        tuple(dict.fromkeys(name for found in equal for name in islice(kind(found), 1))) for kind in (*told, *kinds)
    )
    return next((names for names in named if len(names) > 1), ())


def _instance(found: Occurrence) -> str:
    return found.said.instance or found.instance
