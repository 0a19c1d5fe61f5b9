"""What the Umami stand-in asks of a request, and the words in which each release refuses the rest.

3.x answers with a tree (`properties.<field>.errors`), 2.x with a flat list (`"field: message"`); the recordings
02_users, 03_listing_paging and v2.20.2/01_v2_tour hold most of the sentences used here. Checks run before
anything else, authentication included (API.md section 1).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

MISSING = object()
_LARGEST = 2**53 - 1
_UUID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}|0{8}-(?:0{4}-){3}0{12}|f{8}-(?:f{4}-){3}f{12}",
    re.IGNORECASE,
)
_LOOSE_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


class UnfitError(Exception):
    """One value does not fit: `tree` is how 3.x says so, `flat` how 2.x does."""

    def __init__(self, tree: str, flat: str = "Invalid") -> None:
        super().__init__(tree)
        self.tree = tree
        self.flat = flat


Check: TypeAlias = Callable[[object], object]
Shape: TypeAlias = Mapping[str, Check]  # a check under "" is about all fields together


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of a request's data: the values that fit, or what does not (`whole`: the body itself)."""

    values: Mapping[str, object]
    whole: UnfitError | None = None
    fields: Mapping[str, UnfitError] | None = None

    @property
    def fits(self) -> bool:
        """Whether the request may go on."""
        return self.whole is None and not self.fields

    def tree(self) -> dict[str, object]:
        """Return what 3.x puts beside message, code and status."""
        if self.whole:
            return {"errors": [self.whole.tree]}
        return {
            "errors": [],
            "properties": {key: {"errors": [field.tree]} for key, field in (self.fields or {}).items()},
        }

    def flat(self) -> list[str]:
        """Return what 2.x puts as `error`."""
        return [f"{key}: {field.flat}" for key, field in (self.fields or {}).items()]


def read(shape: Shape, data: object) -> Reading:
    """Hold `data` against a shape; what the shape does not name is dropped."""
    if not isinstance(data, dict):
        return Reading({}, whole=_mistyped("object", data))
    values: dict[str, object] = {}
    wrong: dict[str, UnfitError] = {}
    for key, check in shape.items():
        if not key:
            continue
        try:
            value = check(data.get(key, MISSING))
        except UnfitError as unfit:
            wrong[key] = unfit
        else:
            if value is not MISSING:
                values[key] = value
    if "" in shape and not wrong:
        try:
            shape[""](values)
        except UnfitError as unfit:
            return Reading({}, whole=unfit)
    return Reading(values, fields=wrong)


def optional(check: Check) -> Check:
    """Let a value be left out."""
    return lambda value: MISSING if value is MISSING else check(value)


def nullable(check: Check) -> Check:
    """Let a value be left out, or be null."""
    return lambda value: value if value is MISSING or value is None else check(value)


def text(most: int | None = None, *, least: int = 0) -> Check:
    """Ask for a string of so many UTF-16 units, which is how the server counts."""

    def check(value: object) -> object:
        if not isinstance(value, str):
            raise _mistyped("string", value)
        size = len(value.encode("utf-16-le", "surrogatepass")) // 2
        if size < least:
            raise UnfitError(
                f"Too small: expected string to have >={least} characters",
                f"String must contain at least {least} character(s)",
            )
        if most is not None and size > most:
            raise UnfitError(
                f"Too big: expected string to have <={most} characters",
                f"String must contain at most {most} character(s)",
            )
        return value

    return check


def pattern(source: str, *, fold: bool = False) -> Check:
    """Ask for a string that holds the pattern somewhere: 2.x does not anchor its role patterns."""
    compiled = re.compile(source, re.IGNORECASE if fold else 0)

    def check(value: object) -> object:
        if not isinstance(value, str):
            raise _mistyped("string", value)
        if not compiled.search(value):
            raise UnfitError("Invalid string")
        return value

    return check


def one_of(*allowed: str, said: str = "") -> Check:
    """Ask for one of some words; `said` is what 3.x says where it does not list them."""
    words = "|".join(f'"{each}"' for each in allowed)
    old = " | ".join(f"'{each}'" for each in allowed)

    def check(value: object) -> object:
        if isinstance(value, str) and value in allowed:
            return value
        flat = f"Expected {old}, received {_kind(value)}"
        if isinstance(value, str):
            flat = f"Invalid enum value. Expected {old}, received '{value}'"
        raise UnfitError(said or f"Invalid option: expected one of {words}", "Required" if value is MISSING else flat)

    return check


def uuid(value: object) -> object:
    """Ask for a UUID of a known version, as 3.x does."""
    return _uuid(value, _UUID)


def loose_uuid(value: object) -> object:
    """Ask for something in the form of a UUID, as 2.x does."""
    return _uuid(value, _LOOSE_UUID)


def _uuid(value: object, form: re.Pattern[str]) -> str:
    if not isinstance(value, str):
        raise _mistyped("string", value)
    if not form.fullmatch(value):
        raise UnfitError("Invalid UUID", "Invalid uuid")
    return value.lower()


def boolean(value: object) -> object:
    """Ask for true or false."""
    if not isinstance(value, bool):
        raise _mistyped("boolean", value)
    return value


def mapping(value: object) -> object:
    """Ask for an object of any content."""
    if not isinstance(value, dict):
        raise _mistyped("record", value)
    return value


def positive(value: object) -> object:
    """Ask for a whole number above zero, written in a query: page and pageSize."""
    number = _number(value)
    if math.isnan(number) or math.isinf(number):
        word = "NaN" if math.isnan(number) else "Infinity"
        raise UnfitError(
            f"Invalid input: expected number, received {word}", f"Expected number, received {word.lower()}"
        )
    if number != int(number):
        raise UnfitError("Invalid input: expected int, received number", "Expected integer, received float")
    if number > _LARGEST:
        raise UnfitError(f"Too big: expected int to be <={_LARGEST}", "Expected integer, received float")
    if number <= 0:
        raise UnfitError("Too small: expected number to be >0", "Number must be greater than 0")
    return int(number)


def whole(value: object) -> object:
    """Ask for a whole number that may not be left out."""
    number = _number("undefined" if value is MISSING else value)
    if math.isnan(number):
        raise UnfitError("Invalid input: expected number, received NaN", "Expected number, received nan")
    if number != int(number):
        raise UnfitError("Invalid input: expected int, received number", "Expected integer, received float")
    return int(number)


def moment(value: object) -> object:
    """Ask for milliseconds since 1970, written in a query."""
    number = _number(value)
    if math.isnan(number):
        raise UnfitError("Invalid input: expected number, received NaN", "Expected number, received nan")
    return number


def _number(value: object) -> float:
    """Return what JavaScript's `Number` makes of a query's text."""
    if not isinstance(value, str):
        return float(value) if isinstance(value, int | float) else math.nan
    trimmed = value.strip()
    if not trimmed:
        return 0.0
    if re.fullmatch(r"[+-]?(Infinity|(\d+\.?\d*|\.\d+)(e[+-]?\d+)?)", trimmed, re.IGNORECASE):
        return float(trimmed)
    if re.fullmatch(r"0(x[0-9a-f]+|o[0-7]+|b[01]+)", trimmed, re.IGNORECASE):
        return float(int(trimmed, 0))
    return math.nan


def _mistyped(expected: str, value: object) -> UnfitError:
    flat = "Required" if value is MISSING else f"Expected {expected}, received {_kind(value)}"
    return UnfitError(f"Invalid input: expected {expected}, received {_kind(value)}", flat)


def _kind(value: object) -> str:
    kinds = {dict: "object", list: "array", str: "string", bool: "boolean", int: "number", float: "number"}
    return "undefined" if value is MISSING else "null" if value is None else kinds[type(value)]
