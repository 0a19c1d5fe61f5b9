"""Every recorded exchange with a real Matomo or Piwik is asked of the stand-in, and the answers are the same."""

from __future__ import annotations

import json
import re
from email.header import decode_header
from typing import Any

import pytest

from platforms.matomo.recorded import Entry, Server, body_of, comparable, entries, files, headers_of, scrubbed
from platforms.matomo.scenarios import HASHES, SCENARIOS

SETTINGS_FORM = "the form of a site's settings page, 8 KB of labels that no access depends on"
OUT_OF_REACH = {
    "08_sites#34": SETTINGS_FORM,
    "08_sites.m416#34": SETTINGS_FORM,
    "08_sites.m314#34": SETTINGS_FORM,
}
HEADERS_CUT = "21"  # from this recording on, of the headers the type of the content alone was kept
TIMING = {
    "12_concurrency": "counts and wall-clock times of calls that raced; a fake answers one request at a time",
    "13_scale": "sizes and seconds, most without the parameters sent; test_scale asks the same of the fake",
}


def _is_timing(file: str) -> bool:
    return file.startswith(tuple(TIMING))


def _hashed(entry: Entry) -> Entry:
    """Return the entry with the md5, or the long list, that the recording leaves out."""
    for start, value in HASHES.items():
        if entry.note.startswith(start):
            params = json.loads(json.dumps(entry.data["params"]).replace("<HEX32>", value))
            return Entry(entry.file, {**entry.data, "params": params})
    if entry.note == "1,200 entries":
        again = "method=UsersManager.setUserAccess&userLogin=ww&access=view&idSites=1"
        return Entry(entry.file, {**entry.data, "params": {"urls": [again] * 1200}})
    return entry


def _whole(body: object) -> object:
    """Return a recorded list with the entries that the recording says it left out, which are all alike."""
    left_out = re.fullmatch(r"\.\.\. (\d+) entries in all", str(body[-1])) if isinstance(body, list) and body else None
    if left_out is None or not isinstance(body, list):
        return body
    return [*body[:-1], *[body[0]] * (int(left_out[1]) - len(body) + 1)]


def _told(status: object, body: object, headers: dict[str, str]) -> tuple[object, object, dict[str, str]]:
    return status, comparable(scrubbed(body)), headers_of(headers)


@pytest.mark.parametrize("file", [file for file in files() if not _is_timing(file)])
def test_the_stand_in_answers_as_recorded(file: str) -> None:
    recorded = list(entries(file))
    server = Server(recorded[0].release)
    scenario = SCENARIOS[recorded[0].scenario](server)
    asked = 0
    for entry in recorded:
        scenario.before(entry)
        if not entry.is_exchange:
            _check_remark(server, entry)
            continue
        answer = server.exchange(_hashed(entry), scenario.token(entry))
        if str(entry) in OUT_OF_REACH:
            continue
        asked += 1
        headers: Any = entry.data["headers"]
        kept = {
            name: value for name, value in answer.headers.items() if entry.scenario < HEADERS_CUT or name in headers
        }
        got = _told(answer.status_code, body_of(answer), kept)
        assert got == _told(entry.data["status"], _whole(entry.data["body"]), headers), (
            f"{entry}: {entry.method} {entry.note}"
        )
    assert asked >= 7, "a recording without exchanges proves nothing"


def _check_remark(server: Server, entry: Entry) -> None:
    """Compare what a remark tells of mails, access rows, reports and users with the state."""
    match entry.data:
        case {"mails": list(mails)}:
            sent = sorted((mail.to, mail.subject[:30]) for mail in server.state.mails)
            assert sent == sorted((mail["To"], _subject(mail["Subject"])[:30]) for mail in mails), str(entry)
            server.state.mails.clear()
        case {"n": str(count)} if entry.note.startswith("reports"):
            assert len(server.state.reports) == int(count), str(entry)
        case {"n": str(count)} if entry.note == "number of superusers":
            assert len(server.state.superusers()) == int(count), str(entry)
        case {"rows": str(rows)} if entry.note == "users left":
            assert [row.split("\t")[0] for row in rows.split("\n")] == [u.login for u in server.state.sorted_users()]
        case {"rows": list(rows), "sql": str(sql)} if "from matomo_access" in sql:
            only = re.search(r"where login='(\w+)'", sql)
            stored = [row for row in server.state.all_rows() if only is None or row.login == only[1]]
            columns = [
                (row.access,) if only and "select access " in sql else (row.login, str(row.site), row.access)
                for row in stored
            ]
            assert sorted(columns) == sorted(map(tuple, rows)), str(entry)
        case {"rows": list(rows), "sql": str(sql)} if "from matomo_user " in sql:
            users = [user for user in server.state.sorted_users() if user.login != "anonymous"]
            stated = [(user.login, user.email, str(int(user.superuser))) for user in users]
            assert sorted(stated) == sorted(map(tuple, rows)), str(entry)
        case {"rows": str(rows)} if re.fullmatch(r"([^\t\n]+\t\d+\t[a-z_]+\n?)*", rows):
            wanted = [tuple(row.split("\t")) for row in rows.split("\n") if row]
            found = [(row.login, str(row.site), row.access) for row in server.state.all_rows()]
            assert all(operation in found for operation in wanted), str(entry)
            assert rows or not _rows_of(entry, found), str(entry)


def _rows_of(entry: Entry, found: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Return the rows that a remark about none speaks of."""
    site = re.search(r"site (\d+)", entry.note)
    login = re.search(r"rows of (\w+)", entry.note)
    return [row for row in found if (site and row[1] == site[1]) or (login and row[0] == login[1])]


def _subject(raw: str) -> str:
    text, charset = decode_header(raw)[0]
    return (text.decode(charset or "ascii") if isinstance(text, bytes) else text).replace("_", " ")


def test_what_is_out_of_reach_is_named_and_real() -> None:
    known = {str(entry) for file in files() if not _is_timing(file) for entry in entries(file)}
    assert set(OUT_OF_REACH) <= known
    assert all(any(file.startswith(start) for file in files()) for start in TIMING)
