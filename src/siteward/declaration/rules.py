"""The rules a declaration can break: the id of each and what it demands, in one sentence."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

RULES: Mapping[str, str] = MappingProxyType(
    {
        # files
        "unreadable": "A file that is named must be there and readable.",
        "not-a-file": "A declaration is read from regular files only.",
        "too-large": "All files together may have 20 MB.",
        "not-utf-8": "Files are UTF-8.",
        "byte-order-mark": "Files begin without a byte order mark.",
        "include-path": "An include is a path relative to the root file, with forward slashes.",
        "include-outside": "Includes, and what they link to, stay under the root file's folder.",
        "include-not-yaml": "Includes are .yaml or .yml files.",
        "include-twice": "No file is included twice.",
        # YAML
        "yaml": "A file must be YAML.",
        "tab": "YAML is indented with spaces.",
        "bad-character": "Control characters and exotic line ends stand in a file only as escapes.",
        "empty-file": "A file must hold something.",
        "several-documents": "A file holds one YAML document.",
        "not-a-mapping": "A file holds keys and values.",
        "duplicate-key": "No key is given twice in one place.",
        "key-not-text": "Keys are text, and not empty.",
        "null": "No value is null; what is not meant is left out.",
        "tag": "YAML tags have no meaning here.",
        "unquoted": "Text that YAML would read as something else is quoted.",
        "alias-bomb": "Aliases may repeat a bounded number of values.",
        "alias-loop": "An alias must not repeat something that holds it.",
        "too-deep": "Values nest to a bounded depth.",
        # grammar
        "unknown-key": "Only keys of the grammar may stand in a file.",
        "missing-key": "Keys that the grammar needs must be there.",
        "wrong-type": "A value is of the kind its key takes.",
        "wrong-value": "A value satisfies what its key asks.",
        "unknown-value": "A value is one of those its key allows.",
        "out-of-range": "A number lies within its bounds.",
        # dates
        "bad-date": "A date is a day of the calendar, or an instant.",
        "instant-without-offset": "An instant says its offset from UTC.",
        "ends-before-it-begins": "`until` is not before `from`.",
        "unknown-timezone": "`timezone` is a name of the time zone database.",
        "window-on-exclusion": "Who is left out of a group is left out for good.",
        # instances and policy
        "instance-name": "The name of an instance can stand in the name of an environment variable.",
        "instance-collision": "No two instances read the same credentials.",
        "bad-url": "An address is http or https, with a host and without query or fragment.",
        "secret-in-file": "Credentials never stand in a file.",
        "unknown-platform": "A platform is one that is supported.",
        "self-missing": "Where the platform cannot tell whose credentials are used, `self` says so.",
        "native-groups": "`native` is for platforms that have groups.",
        "onboarding": "Accounts begin in a way the platform has.",
        "unknown-blind-spot": "`accept_blind` names what the platform cannot show.",
        "no-modules": "Module switches are for platforms that have modules.",
        "no-public-access": "`public` is for platforms where everybody may be let in.",
        "admins-range": "At most as many admins as at least.",
        "rule-id": "A rule has an id in lower-case words that none of Siteward's own rules has.",
        "rule-twice": "No two rules in one place have the same id.",
        "rule-without-effect": "A rule demands something.",
        "rule-of-nobody": "A rule on a user or a role speaks of one there is.",
        # names
        "declared-twice": "A name is declared in one file.",
        "unknown-instance": "An instance that is named is declared.",
        "unknown-user": "A user or group that is named is declared.",
        "unknown-role": "A role is portable, declared, or a platform's own.",
        "unknown-tag": "A tag that is selected is some site's.",
        "reserved-role": "Portable roles are not declared anew.",
        "name-clash": "No group has the name of a user.",
        "group-cycle": "No group holds itself.",
        "group-depth": "Groups nest to a bounded depth.",
        "unused-group": "A group is used somewhere.",
        "empty-name": "Names are not empty.",
        "name-too-long": "Names have at most 255 characters.",
        "hostile-character": "Names hold nothing that hides, reorders or controls text.",
        # people
        "bad-email": "An e-mail is an address.",
        "email-twice": "No two users have one e-mail.",
        "email-needed": "Where accounts are e-mails, whoever is granted something has one.",
        "account-twice": "No two users are one account.",
        "self-declared": "The account whose credentials are used is never declared.",
        "protected-login": "A protected account is nobody's login.",
        "previously-clash": "A former name leads to one user only.",
        "former-login-remains": "A former login is gone once there is a new one.",
        # grants
        "grant-to-nobody": "A grant is to somebody.",
        "grant-without-sites": "A grant of a site role names sites.",
        "account-role-without-on": "A grant of an account role names its instances.",
        "only-exclusions": "What is left out is left out of something.",
        "names-nothing": "A list that narrows names something.",
        "role-not-on-platform": "A role exists on every platform its grant reaches.",
        "role-of-another-platform": "A platform's own role is granted on that platform.",
        "unknown-extra": "An extra is one the platform has.",
        "external-group": "A group whose members only a directory knows is granted where the platform has groups.",
        "incomparable-roles": "Of two roles on one site, one holds the other.",
        "wildcard-too-powerful": "A grant on a pattern carries at most what the policy allows patterns.",
        "beyond-include": "What an include grants lies within its bounds.",
        "unknown-site": "A site that is named exists.",
        "ambiguous-site": "A site that is named is one site.",
        "matches-nothing": "A selector matches something.",
        "not-managed": "A site that is named is one the instance manages.",
    }
)
