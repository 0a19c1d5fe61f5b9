"""The languages Piwik PRO accepts: a few of them, with any region that ISO 3166-1 has (API.md section 3)."""

from __future__ import annotations

import re

LANGUAGES = ("ca", "de", "en", "es", "fi", "fr", "nl", "sv")
REGIONS = frozenset(
    """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY
    BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK
    FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR
    IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK
    ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM
    PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF
    TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
    """.split()  # noqa: SIM905 — two hundred and forty-nine quoted words are no help
)
_TAG = re.compile(r"([a-z]{2,3})-([A-Z]{2})")


def objection(tag: str) -> str | None:
    """Return why Piwik PRO would refuse a language, or `None` where it would not."""
    found = _TAG.fullmatch(tag)
    if found is None:
        return f"`{tag}` is no language tag such as de-DE"
    if found[1] not in LANGUAGES:
        return f"Piwik PRO has no `{found[1]}`; it has {', '.join(LANGUAGES)}"
    if found[2] not in REGIONS:
        return f"`{found[2]}` is no region of ISO 3166-1"
    return None
