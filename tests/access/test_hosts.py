"""Host names: what is one name, what is two, and which origin an address leads to."""

# ruff: noqa: RUF001 — names that look alike are what this is about

from __future__ import annotations

import re
import subprocess
import sys

import httpx
import idna
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from siteward.access.hosts import AddressError, domain_in, fold, origin_of

# The letters that IDNA 2003 takes for others and IDNA 2008 does not (UTS 46 section 7).
DEVIATIONS = "ßς\u200c\u200d"
LONG = "a" * 64


def encoded(name: str) -> bytes | None:
    """Return what the package `idna` makes of a name, `None` where it is none; one final dot does not count."""
    try:
        return idna.encode(name, uts46=True).removesuffix(b".")
    except idna.IDNAError:
        return None


def loosely(name: str) -> list[bytes | str]:
    """Return the labels of a name that is none: encoded where they can be, else letter by letter as UTS 46 maps them."""
    labels = re.split("[.\u3002\uff0e\uff61]", name)
    return [
        encoded(label) or "".join(map(mapped, label))
        for label in (labels[:-1] if labels[1:] and not labels[-1] else labels)
    ]


def mapped(letter: str) -> str:
    try:
        return idna.uts46_remap(letter, std3_rules=False)
    except idna.IDNAError:
        return letter.lower()


letters = st.sampled_from("aAbzZ09-_.*ßẞςΣσéÉe\u0301İıK﹒。．ſüÜ☃\u200c\u200d\u00ad／：＠ａ䷀नमस\u094dبه")
names = st.one_of(
    st.text(letters, max_size=12), st.text(max_size=12), st.from_regex(r"[a-z]{1,3}(\.[a-zßüς]{1,3}){1,2}")
)
pairs = st.one_of(
    st.tuples(names, names),
    names.flatmap(lambda name: st.sampled_from([name.upper(), name.lower(), name + ".", name.replace("ß", "ss")]).map(lambda other: (name, other))),
    names.flatmap(lambda name: st.just((name, (encoded(name) or b"").decode()))),
)  # fmt: skip


@given(pairs)
@example(("straße.example", "strasse.example"))
@example(("βόλος.example", "βόλοσ.example"))
@example(("نامه\u200cای.example", "نامهای.example"))
@example(("ΑΣ☃", "ας☃"))
def test_two_names_are_one_only_where_idna_says_so(pair: tuple[str, str]) -> None:
    """What `idna` encodes alike is one name; what it does not encode is no encoded name either."""
    one, other = pair
    same = fold(one) == fold(other)
    if encoded(one) is not None or encoded(other) is not None:
        assert same == (encoded(one) == encoded(other))
    elif same:
        assert loosely(one) == loosely(other)


@given(names)
def test_a_name_that_is_folded_stays_as_it_is(name: str) -> None:
    """Labels are folded when they are read and when they are compared."""
    assert fold(fold(name)) in {fold(name), fold(name).removesuffix(".")}


@given(st.text(max_size=40))
@example("https://[bad")
@example("https://x]:80:80/")
@example(f"https://{LONG * 20}ß.example:99999999999999999999/")
@example("\ud800.example")
def test_no_text_of_a_server_is_too_odd(text: str) -> None:
    """A live site may be called anything."""
    domain_in(text)
    assert domain_in(domain_in(text)) is not None


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("Shop.Example.org", "shop.example.org"),
        ("shop.example.org.", "shop.example.org"),
        ("HTTPS://Shop.Example.org./x?y#z", "shop.example.org"),
        ("https://anna:secret@shop.example.org", "shop.example.org"),
        ("https://shop.example.org:443/", "shop.example.org"),
        ("https://shop.example.org:", "shop.example.org"),
        ("http://shop.example.org:0080", "shop.example.org"),
        ("http://shop.example.org:443", "shop.example.org:443"),
        ("shop.example.org.:8080/", "shop.example.org:8080"),
        ("//shop.example.org:8080/a", "shop.example.org:8080"),
        ("bücher.example:8080", "xn--bcher-kva.example:8080"),
        ("BÜCHER.example/Blog/", "xn--bcher-kva.example/blog"),
        ("straße.example", "xn--strae-oqa.example"),
        ("XN--STRAE-OQA.example", "xn--strae-oqa.example"),
        ("shop。example．org", "shop.example.org"),
        ("*.straße.example", "*.xn--strae-oqa.example"),
        ("*ß.example", "*ß.example"),
        ("_dmarc.bücher.example", "_dmarc.xn--bcher-kva.example"),
        ("_BÜ.example", "_bü.example"),
        (f"{LONG}.example", f"{LONG}.example"),
        (f"{'É' * 64}.example", f"{'é' * 64}.example"),
        ("http://[2001:DB8::1]:8080/", "[2001:db8::1]:8080"),
        ("http://[2001:DB8::1]", "[2001:db8::1]"),
        ("::1", "::1"),
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("shop.example.org#f1", "shop.example.org#f1"),
        ("anna@shop.example.org", "anna@shop.example.org"),
        ("shop.example.org/https://docs.example.org", "shop.example.org/https://docs.example.org"),
        ("", ""),
        ("https:///", ""),
    ],
)
def test_a_domain_is_read_out_of_what_people_and_servers_write(text: str, domain: str) -> None:
    """Final dot, port, case, path and letters have one treatment, and reading again changes nothing."""
    assert domain_in(text) == domain
    assert domain_in(domain) == domain


def test_plain_names_do_not_wait_for_the_tables() -> None:
    """`idna` is loaded for names that need it alone."""
    code = (
        "import sys; from siteward.access.hosts import domain_in, origin_of; domain_in('https://Shop.example:80/'); {}"
    )
    for more, loaded in (("origin_of('https://x.example')", False), ("domain_in('ß.example')", True)):
        told = f"{code.format(more)}; print('idna' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
        assert done.stdout == f"{loaded}\n"


def sent_to(url: str) -> str | None:
    """Return the origin that httpx connects to, `None` where it refuses the address."""
    try:
        read = httpx.URL(url)
        read.host  # noqa: B018 — it decodes the host, and is read wherever httpx compares origins
    except (httpx.InvalidURL, UnicodeError):
        return None
    host = read.raw_host.decode("ascii").lower()
    host = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}.get(read.scheme)
    # After a scheme in capitals, httpx keeps a port that is the usual one.
    return f"{read.scheme}://{host}" + ("" if read.port in {None, usual} else f":{read.port}")


def judged(url: str) -> str | None:
    """Return the origin as we read it, `None` where we refuse the address."""
    try:
        return origin_of(url)
    except AddressError:
        return None


hosts = st.one_of(
    names,
    st.text(st.sampled_from("0123456789."), max_size=15),
    st.text(st.sampled_from("0123456789abcdefABCDEF:.%"), max_size=20).map(lambda text: f"[{text}]"),
    st.text(st.characters(max_codepoint=127), max_size=12),
    st.ip_addresses(v=6).map(lambda address: f"[{address.exploded.upper()}]"),
    st.ip_addresses(v=4).map(str),
    st.text(st.sampled_from("abzß"), min_size=1, max_size=4).map(lambda text: f"xn--{text}.example"),
)
ends = st.sampled_from(
    ["", "/", ":", ":80", ":443", ":8080/x", ":0", ":65536", ":٣", "80", "@x", "?a", "#a", "/ü", "\\@x", "\n"]
)


@given(st.sampled_from(["http", "https", "HTTPS", "httpſ", "ftp"]), hosts, ends)
@example("https", "[::1]", "8080")
@example("https", "K.example", "")
@example("HTTPS", "x.example", ":443")
@example("https", "xn--zz.example", "")
@example("https", "1.2.3.04", "")
def test_the_origin_is_what_httpx_connects_to(scheme: str, host: str, end: str) -> None:
    """Whatever is taken leads where it says, and nothing that httpx refuses is taken."""
    url = f"{scheme}://{host}{end}"
    assert judged(url) in {None, sent_to(url)}


plain = st.lists(
    st.one_of(
        st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,6}[a-z0-9])?", fullmatch=True),
        st.sampled_from(["0", "1", "255", "256", "01", "xn--strae-oqa", "xn--zz", "xn--i-7iq", "a_b"]),
    ),
    min_size=1,
    max_size=5,
)


@given(plain, st.sampled_from(["", "."]))
@example(["1", "2", "3", "256"], "")
@example(["xn--zz", "example"], "")
@example(["xn--strae-oqa", "example"], "")
def test_a_well_written_name_is_refused_only_where_httpx_refuses_it(labels: list[str], end: str) -> None:
    """The judgement in `validate`, made without httpx, is httpx's own."""
    url = f"https://{'.'.join(labels)}{end}"
    assert judged(url) == sent_to(url)


@pytest.mark.parametrize("letter", DEVIATIONS)
@pytest.mark.parametrize(
    "name", ["fa{}bc.example", "www.fa{}.example", "βόλο{}.example", "क्{}ष.example", "نامه{}ای.example"]
)
def test_a_letter_that_two_standards_read_differently_leads_nowhere(letter: str, name: str) -> None:
    """Neither reading is taken in silence; where it is a name, the one that is connected to is named."""
    host = name.format(letter)
    with pytest.raises(AddressError) as caught:
        origin_of(f"https://{host}:8443/x")
    if encoded(host) is None:
        assert caught.value.code == "bad-url"
    else:
        assert caught.value.code == "host-not-ascii"
        assert idna.encode(host, uts46=True).decode() in caught.value.hint
        assert origin_of(f"https://{fold(host)}:8443/x") == sent_to(f"https://{host}:8443/x")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://stats.example.org@evil.test", "secret-in-file"),
        ("https://anna:s3cret＠stats.example.org", "bad-url"),
        ("https://stats..example.org", "bad-url"),
        (f"https://{LONG}.example.org", "bad-url"),
        ("https://" + "a." * 127 + "org", "bad-url"),
        ("https://[fe80::1%25eth0]/", "bad-url"),
        ("https://stats.example.org/\ud800", "bad-url"),
        ("https://stats.example.org/" + "x" * 3000, "bad-url"),
        ("https://☃.example", "bad-url"),
        ("//stats.example.org", "bad-url"),
    ],
)
def test_an_address_that_cannot_be_used_says_why(url: str, code: str) -> None:
    """In a rule and a next step, without a word of the address."""
    with pytest.raises(AddressError) as caught:
        origin_of(url)
    assert caught.value.code == code
    assert caught.value.hint
    assert "s3cret" not in f"{caught.value} {caught.value.hint}"
