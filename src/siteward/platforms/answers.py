"""What the adapters share to turn an answer into rows: parsers made once, and an error that never quotes a body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from siteward.transport.errors import NotThePlatform

if TYPE_CHECKING:
    from siteward.transport.http import Answer

T = TypeVar("T")
_SHAPES: dict[object, TypeAdapter[Any]] = {}


def shape(kind: type[T]) -> TypeAdapter[T]:
    """Return what parses answers of that kind; made when first needed, because making one takes milliseconds."""
    if kind not in _SHAPES:
        _SHAPES[kind] = TypeAdapter(kind)
    return _SHAPES[kind]


def parsed(kind: type[T], answer: Answer, product: str, hint: str) -> T:
    """Return the answer's body as `kind`; raises `NotThePlatform`, with `hint`, where `product` would not answer so."""
    try:
        return shape(kind).validate_json(answer.content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        at = ".".join(str(each) for each in first["loc"])
        raise NotThePlatform(
            f"{answer.path} did not answer as {product} does ({at or 'body'}: {first['type']})", hint=hint
        ) from None
