"""Host names: the one form in which they are compared, and the address that an instance is told apart by.

Everything that reads or compares a host does it here, the transport too, so that what is judged is what is connected
to. httpx encodes names by IDNA 2008, with the package `idna`; Python's own codec is of 2003 and takes four letters (ß, ς
and two joiners) for others, so that one domain would be judged and another one used. `idna` is slow to import and is
loaded only for names that need it.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from urllib.parse import quote, unquote

_DOTS = re.compile("[.\u3002\uff0e\uff61]")
_ADDRESS = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//")
_LONGEST_NAME, _LONGEST_LABEL, _LONGEST_URL = 253, 63, 2048

_URL = re.compile(r"(?P<scheme>[A-Za-z]{3,5})://(?P<authority>[^/?#]*)(?P<rest>.*)")
_CLEAN = re.compile(r"[^\s\x00-\x1f\x7f\\\ud800-\udfff]+")
_PLACE = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]+)(?::(?P<port>[0-9]{1,5})?)?")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?")
_IPV4 = re.compile(r"[0-9]+(\.[0-9]+){3}")
_PORTS = {"http": 80, "https": 443, "ldap": 389, "ldaps": 636}
_FORMS = {"https": "write it as https://stats.example.org", "ldaps": "write it as ldaps://ldap.example.org"}
HTTP, LDAP = ("http", "https"), ("ldap", "ldaps")
"""The schemes of an address that an instance, or a directory, may have; the second one of each is encrypted."""
_PART = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,=:@-]|%[0-9A-Fa-f]{2})+")
_CODED = re.compile("%([0-9A-Fa-f]{2})")
_NEEDLESSLY_CODED = re.compile(r"[A-Za-z0-9_~-]")
_PLAINLY = "write it plainly, such as https://example.org/stats: no empty parts, no . or .., no coded / or ."


class AddressError(ValueError):
    """A URL that no credential can be sent to: `code` is a rule id, `hint` a next step."""

    code: str
    hint: str

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


@lru_cache(maxsize=65536)
def fold(host: str) -> str:
    """Return a host name as it is compared: lower-cased, in ASCII, without its final dot; never raises.

    Each label is mapped by UTS 46 and encoded by IDNA 2008. One that is no such name (too long, with an underscore
    beside other letters, a pattern) stays text in lower case, which equals no encoded name.
    """
    if host.isascii():
        return host.lower().removesuffix(".")
    return ".".join(map(_encode_label, _DOTS.split(host))).removesuffix(".")


@lru_cache(maxsize=65536)
def domain_in(text: str) -> str:
    """Return the domain that a text names, folded; it is empty where there is none, and nothing is raised.

    Of an address (`https://…`, `//…`) that is its host. Elsewhere the path belongs to the domain, as on Plausible, and
    is lower-cased. A port stays, but for the one that an address of its scheme has anyway: what answers on another port
    is another site.
    """
    text = text.strip()
    address = _ADDRESS.match(text)
    if address is None:
        head, _, path = text.partition("/")
        path = path.rstrip("/").lower()
        return _with_port(head, None) + (f"/{path}" if path else "")
    authority = re.split(r"[/?#\\]", text[address.end() :], maxsplit=1)[0]
    scheme = address[0].partition(":")[0].lower()
    return _with_port(authority.rpartition("@")[2].removesuffix(":"), _PORTS.get(scheme))


def origin_of(url: str, schemes: tuple[str, str] = HTTP) -> str:
    """Return scheme, host and port that httpx will connect to for `url`, the port only where it is not the usual one.

    Raises `AddressError` for what is no address of these schemes, holds a user or a password, or has a host that is not
    ASCII or that httpx does not take. Path, query and fragment are not looked at beyond the characters in them.
    """
    found = _URL.fullmatch(url) if _CLEAN.fullmatch(url) and len(url) <= _LONGEST_URL else None
    scheme = found["scheme"].lower() if found else ""
    wrong, form = f"this is not a valid {' or '.join(schemes)} address", _FORMS[schemes[1]]
    if found is None or scheme not in schemes:
        raise AddressError("bad-url", wrong, form)
    authority = found["authority"]
    if "@" in authority:
        hint = "give them beside the address; a file is no place for secrets"
        raise AddressError("secret-in-file", "credentials in the address", hint)
    place = _PLACE.fullmatch(authority)
    port = int(place["port"] or _PORTS[scheme]) if place else 0
    if place is None or not 0 < port < 65536:
        raise AddressError("bad-url", wrong, form)
    host = place["host"]
    if not host.isascii() and _is_host(fold(host)):
        hint = f"write {fold(host)} in its place, if that is the server you mean"
        raise AddressError("host-not-ascii", "the host of the address is not written in ASCII", hint)
    host = host.lower()
    if not host.isascii() or not _is_host(host):
        raise AddressError("bad-url", "the address names no host that can be connected to", form)
    return f"{scheme}://{host}" + ("" if port == _PORTS[scheme] else f":{port}")


def address_of(url: str, schemes: tuple[str, str] = HTTP) -> str:
    """Return the origin of `url` with its base path, without a final slash: what an instance is told apart by.

    The path is written as it is sent. Raises `AddressError` as `origin_of` does, and for a path that servers read in
    several ways (dots, empty parts, coded slashes): what is judged would not be what is reached.
    """
    origin = origin_of(url, schemes)
    found = _URL.fullmatch(url)
    path = re.split("[?#]", found["rest"], maxsplit=1)[0].rstrip("/") if found else ""
    return origin + "".join(f"/{_base_part(part)}" for part in path.split("/")[1:])


def covers(base: str, path: str) -> bool:
    """Return whether `path`, as it is sent, leads to the base path or below it, however often a server decodes it.

    Parts are compared whole: `/stats` does not cover `/stats2`. Dot parts may stand below the base, where a name that
    holds them was coded, but nothing may climb out of it.
    """
    if path != base and not path.startswith(f"{base}/"):
        return False
    below = path.removeprefix(base)
    while not _climbs(below):
        decoded = unquote(below)
        if decoded == below:
            return True
        below = decoded
    return False


def _climbs(path: str) -> bool:
    """Return whether dot parts of a path lead out of where it begins, for servers that merge or end parts their own way."""
    depth = 0
    for part in re.split(r"[/\\]", path):
        name = part.partition(";")[0]
        depth += -1 if name == ".." else name not in {"", "."}
        if depth < 0:
            return True
    return False


def _base_part(part: str) -> str:
    """Return one part of a base path as it is sent; raises `AddressError` for one with more than one reading."""
    written = quote(part, safe="%!$&'()*+,=:@~") if not part.isascii() else part
    known = _PART.fullmatch(written) is not None
    plain = _CODED.sub(_decode_once, written) if known else ""
    if not known or plain in {".", ".."}:
        raise AddressError(
            "bad-url",
            "the path of the address is one that servers read in different ways",
            _PLAINLY,
        )
    return plain


def _decode_once(found: re.Match[str]) -> str:
    """Return a coded byte as it is sent: plain where that is the same; raises `AddressError` for one that means something."""
    byte = int(found[1], 16)
    if byte >= 0x80 or byte == 0x20:
        return f"%{found[1].upper()}"
    if _NEEDLESSLY_CODED.fullmatch(chr(byte)):
        return chr(byte)
    raise AddressError(
        "bad-url", f"the path of the address holds %{found[1].upper()}, which servers read in different ways", _PLAINLY
    )


def _encode_label(label: str) -> str:
    if label.isascii() or len(label) > _LONGEST_NAME:
        return _lower(label)
    import idna  # noqa: PLC0415 — nearly all names are ASCII, and its tables take longer to load than a small file

    try:
        return idna.encode(label, uts46=True).decode("ascii")
    except ValueError:
        return _lower(label)


def _lower(label: str) -> str:
    """Return a label in lower case, letter by letter: as a whole, Python ends Greek words in a letter of their own."""
    return label.lower() if label.isascii() else "".join(map(str.lower, label))


def _with_port(place: str, usual: int | None) -> str:
    """Return the folded host of `host:port`, with the port unless it is the usual one."""
    host, _, port = place.rpartition(":")
    if not re.fullmatch("[0-9]{1,5}", port) or not host or (":" in host and not host.endswith("]")):
        return fold(place)
    return fold(host) if int(port) == usual else f"{fold(host)}:{int(port)}"


def _is_host(host: str) -> bool:
    """Return whether httpx connects to a lower-cased ASCII host.

    It refuses addresses that are none, and cannot show a name that begins as an encoded one and is none; sockets refuse
    labels that are empty or too long.
    """
    if host.startswith("["):
        return re.fullmatch(r"\[[0-9a-f:.]+\]", host) is not None and _parses(ipaddress.IPv6Address, host[1:-1])
    if _IPV4.fullmatch(host):
        return _parses(ipaddress.IPv4Address, host)
    labels = host.removesuffix(".").split(".")
    if sum(map(len, labels)) + len(labels) - 1 > _LONGEST_NAME:
        return False
    if not all(_LABEL.fullmatch(label) and len(label) <= _LONGEST_LABEL for label in labels):
        return False
    return not host.startswith("xn--") or _decodes(host)


def _parses(kind: type[ipaddress.IPv4Address | ipaddress.IPv6Address], text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def _decodes(host: str) -> bool:
    import idna  # noqa: PLC0415 — see above

    try:
        idna.decode(host)
    except ValueError:
        return False
    return True
