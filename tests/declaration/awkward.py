"""Files as people write them, each awkward in a way of its own: what an edit must leave alone."""

from __future__ import annotations

import re

_BLOCK = """\
# The access of our sites.
version: 1
groups:
  readers:
    - anna    # first
    # between
    - fatou   # second
  writers: [ben, "carla"]

# Who may do what. Ask the platform team before you edit this.
grants:
  # the docs
  - {to: readers, role: view, sites: docs.example.org}  # OPS-1
  - to: [anna, ben]  # who
    # what they may do
    role: edit
    sites:
      # one
      - blog.example.org    # first
      - "shop.example.org"  # second
    ticket: OPS-2
  # the last
  - {to: writers, role: manage, sites: [docs.example.org, shop.example.org], ticket: OPS-3}
# Portable names.
roles: {}
"""

_FLAT = """\
version: 1
groups:
    readers: [anna, fatou]
    writers:
    -   ben
    -   carla   # she too
grants:
-   to: readers
    role: view
    sites: docs.example.org
-   to: ben
    role: edit
    sites: [docs.example.org]


-   {to: carla, role: edit, sites: docs.example.org}
"""

_BRACKETS = """\
version: 1
groups: {readers: [anna, fatou], writers: [ben]}
grants: [
  {to: readers, role: view, sites: docs.example.org},   # one
  # between
  {to: [ben, anna], role: edit,
   sites: [docs.example.org,
           shop.example.org]},
  {to: ben, role: view, sites: shop.example.org}  # no comma
]
"""

_JSON = """\
{"version": 1, "groups": {"readers": ["anna", "fatou"]}, "grants": [{"to": "readers", "role": "view", "sites": "docs.example.org"}, \
{"to": ["anna", "ben"], "role": "edit", "sites": ["docs.example.org", "shop.example.org"]}]}
"""

_PRETTY_JSON = """\
{
  "version": 1,
  "groups": {
    "readers": [
      "anna",
      "fatou"
    ]
  },
  "grants": [
    {
      "to": "readers",
      "role": "view",
      "sites": "docs.example.org"
    },
    {
      "to": ["anna", "ben"],
      "role": "edit",
      "sites": [
        "docs.example.org",
        "shop.example.org"
      ]
    }
  ]
}
"""

_SCALARS = """\
version: 1
groups:
  readers:
  - anna
  - fatou
grants:
- to: readers
  role: view
  sites: docs.example.org
  reason: |
    reads the docs

    # and this is no comment
- to: anna
  reason: >-
    folded
    text
  role: edit
  sites: docs.example.org
- to: ben
  role: view
  sites: docs.example.org
  reason: |+
    kept

- to: carla
  reason: a plain text
    over two lines   # with a comment
  role: view
  sites: "docs.\\
    example.org"
"""

_QUOTED = """\
"version": 1
'groups':
  "readers": ['anna', "fatou"]
  'other readers':
    - "anna"
    - 'it''s # no comment'
"grants":
  - "to": 'readers'
    'role': "view"
    "sites": ["docs.example.org", '*.example.org', "a: b, c]"]
  - {'to': "anna", "role": 'edit', sites: "docs.example.org"}
"""

_ANCHORS = """\
version: 1
groups:
  readers: &readers [anna, fatou]
  others: *readers
  third: &unused
    - carla
    - dora
grants:
  - {to: ben, role: view, sites: &docs docs.example.org}
  - {to: others, role: view, sites: *docs}
  - &row
    to: carla
    role: edit
    sites: [a.example.org, b.example.org]
  - to: dora
    role: view
    sites: [*docs, b.example.org]
"""

_MERGE = """\
version: 1
defaults: &defaults {role: view, sites: docs.example.org}
groups:
  readers: [anna, fatou]
grants:
  - <<: *defaults
    to: readers
  - to: anna
    <<: *defaults
    role: edit
  - {<<: *defaults, to: [ben, carla]}
"""

_ODD = """\
%YAML 1.2
---   # begins here
version: 1
groups:
  readers:   # the readers

    - anna
    -   fatou


  empty: []
grants:
  -
    to: readers
    role: view
    sites: docs.example.org
  - # on its own
    to: [
      anna,   # first
      ben     # second
    ]
    role:    edit
    sites: docs.example.org
  -   to: carla
      role: view
      sites:
      - docs.example.org
      - shop.example.org
# the end
...
# after the end
"""

_LONG = f"""\
version: 1
groups:
  readers: [{", ".join(f"user-{number}" for number in range(400))}]
  few: [anna, ben]
grants:
  - {{to: readers, role: view, sites: [{", ".join(f"site-{number}.example.org" for number in range(300))}], reason: "{"x " * 3000}"}}
  - {{to: few, role: edit, sites: docs.example.org, reason: {"y" * 5000}}}
"""

_DEEP = """\
version: 1
groups:
  readers:
    members:
      - {user: anna, until: 2027-01-31}
      - user: fatou    # for a while
        until: 2027-03-31
        ticket: HR-1
      - ben
    owner: anna
  writers: {members: [{user: ben, from: 2026-01-01}, carla], owner: [anna, ben]}
grants:
  - to: [readers, writers]
    role: view
    sites: ["*.example.org", '!internal.example.org',
            # a comment in brackets
            'tag:blog' , "x"]
    on: [stats , eu]
  - {to: {}, role: view, sites: []}
  - to: anna
    role: edit
    sites: docs.example.org
"""

_LETTERS = """\
version: 1
groups:
  lesende: [anna, Dörte]   # größer
  読者: [anna, ben, 山田]
grants:
  - {to: lesende, role: view, sites: docs.example.org, reason: "für Zoë 🙂"}   # schön
  - {to: 読者, role: view, sites: docs.example.org}
"""

_SHORT = "version: 1\ngroups: {}\ngrants:\n  - {to: anna, role: view, sites: docs.example.org}  # the only one\n"
_NONE = "version: 1\ngroups: {}   # none yet\ngrants: []  # none yet\n# the end\n"

_BASES = {
    "in lines": _BLOCK,
    "flat lists": _FLAT,
    "in brackets": _BRACKETS,
    "json": _JSON,
    "json in lines": _PRETTY_JSON,
    "long texts": _SCALARS,
    "quotes": _QUOTED,
    "anchors": _ANCHORS,
    "merge keys": _MERGE,
    "markers": _ODD,
    "long lines": _LONG,
    "nested": _DEEP,
    "letters": _LETTERS,
    "one row": _SHORT,
    "empty": _NONE,
}


def _tabbed(text: str) -> str:
    """Return a text with tabs after its values, where comments and line ends are."""
    return re.sub(r"(?<=\S) +#", "\t#", text).replace(" edit\n", " edit\t\n")


AWKWARD = {
    **_BASES,
    **{f"{name}, CRLF": text.replace("\n", "\r\n") for name, text in _BASES.items()},
    **{f"{name}, no last line break": text.rstrip("\n") for name, text in _BASES.items()},
    **{
        f"{name}, CRLF and no last line break": text.rstrip("\n").replace("\n", "\r\n") for name, text in _BASES.items()
    },
    "in lines, tabs": _tabbed(_BLOCK),
    "nested, tabs": _tabbed(_DEEP),
    "in lines, with a marker": f"---\n{_BLOCK}...\n",
    "in lines, CR": _BLOCK.replace("\n", "\r"),
}
