"""The splices of one text: lines and words that go, come, or are replaced, by what stands around them.

In lists and tables of one line each a row goes with its own lines, and a new one comes as a line below the one it
follows. In brackets a row goes with one comma. Where that would not do, the one list or table is printed anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from siteward.declaration.row_text import print_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siteward.declaration.nodes import Entry, Layout, Node

Added = tuple["Entry | None", "str | None", Any]
"""What is put in: the entry it follows (`None`: it is the first), its key, if it has one, and its value."""


class Splices:
    """The changes of one text so far: `touched` are the tables and lists they are in, `gone` what they take away."""

    def __init__(self, layout: Layout, root: Node) -> None:
        self.layout = layout
        self.text = layout.text
        self.root = root
        self.touched: list[Node] = []
        self.gone: list[Node] = []
        self._changes: list[tuple[int, int, str]] = []

    # -- what is edited

    def replace(self, entry: Entry, parent: Node, value: Any) -> None:
        """Put another value in the place of one."""
        self.touched.append(parent)
        self.gone.append(entry.value)
        self._put(entry, value)

    def edit(self, node: Node, gone: Sequence[Entry], added: Sequence[Added], now: Any) -> None:
        """Take entries out of a table or list and put others in; `now` is all of it as it is meant."""
        self.touched.append(node)
        self.gone += [part for entry in gone for part in (entry.key, entry.value) if part is not None]
        if node.bracketed:
            if not self._open_brackets(node, added):
                self._edit_in_brackets(node, gone, added)
        elif self._is_in_lines(node):
            self._edit_lines(node, gone, added)
        else:
            self._print_anew(node, now)

    def apply(self) -> tuple[str, ...]:
        """Return the text with all changes; twice where the file had no last line break, at first without one now.

        A text in lines at its end may need the break.
        """
        after, merged = self.text, _merge(self._changes)
        self._join_at_end(merged)
        for start, end, new in reversed(merged):
            after = after[:start] + new + after[end:]
        if not merged or self.layout.breaks(len(self.text)):
            return (after,)
        return (after.rstrip("\r\n"), after)

    def _join_at_end(self, changes: list[tuple[int, int, str]]) -> None:
        """Let a new line at the end of a text without a last line break take the place of one that goes."""
        size = len(self.text)
        for number, (start, end, new) in enumerate(changes[1:], 1):
            first, last, _ = changes[number - 1]
            if start == size and first < last == size and self.layout.line_start(first) == first:
                changes[number] = (start, end, new.lstrip("\r\n"))

    def _change(self, start: int, end: int, new: str = "") -> None:
        self._changes.append((start, end, new))

    # -- in lines

    def _is_in_lines(self, node: Node) -> bool:
        """Return whether a table or list without brackets has its own line for each entry, but perhaps the first."""
        starts = self._line_signs(node)
        return not any(around.bracketed for around in node.around()) and all(
            self.layout.begins_line(at) and self.layout.ends_line(entry.end)
            for at, entry in zip(starts[1:], node.entries[1:], strict=True)
        )

    def _line_signs(self, node: Node) -> list[int]:
        """Return where each entry begins in its line: at its key, or at the hyphen before it."""
        if node.kind == "map":
            return [entry.start for entry in node.entries]
        found, at = [], self.layout.skip_properties(node.start)
        for entry in node.entries:
            at = self.layout.skip(at)
            found.append(at)
            at = entry.end
        return found

    def _edit_lines(self, node: Node, gone: Sequence[Entry], added: Sequence[Added]) -> None:
        signs = dict(zip(map(id, node.entries), self._line_signs(node), strict=True))
        left = [entry for entry in node.entries if entry not in gone]
        if not left and not added:
            self._empty(node, signs)
            return
        column = self.layout.column(signs[id(node.entries[0])])
        for entry in gone:
            self._remove_line(node, entry, signs, left)
        for after, key, value in added:
            lines = self._lines_for(node, column, key, value, after or node.entries[0])
            first = signs[id(node.entries[0])]
            if after is None and self.layout.begins_line(first):
                at = self.layout.line_start(first)
                self._change(at, at, lines + self.layout.line_break(at))
            else:
                self._add_below((after or node.entries[0]).end, lines)

    def _add_below(self, at: int, lines: str) -> None:
        """Put lines below the one in which something ends."""
        end = self.layout.line_end(at)
        line_break = self.layout.line_break(end)
        self._change(end, end, lines + line_break if self.layout.breaks(end) else line_break + lines)

    def _remove_line(self, node: Node, entry: Entry, signs: Mapping[int, int], left: Sequence[Entry]) -> None:
        """Take the lines of an entry out; the first one may share its line with the hyphen of the row it begins."""
        sign, end = signs[id(entry)], self.layout.line_end(entry.end)
        if self.layout.begins_line(sign):
            self._change(self.layout.line_start(sign), end)
            return
        following = next((other for other in left if other.start > entry.start), None)
        if following is None or entry is not node.entries[0] or "#" in self.text[end : signs[id(following)]]:
            self._change(sign, end - len(self.layout.breaks(end)))
        else:
            self._change(sign, signs[id(following)])

    def _empty(self, node: Node, signs: Mapping[int, int]) -> None:
        """Take all entries out, and leave brackets where the table or list was named."""
        word = "{}" if node.kind == "map" else "[]"
        if not all(self.layout.begins_line(at) for at in signs.values()):
            self._change(signs[id(node.entries[0])], node.end, word)
            return
        head = self._head(node)
        self._change(head, head, f" {word}")
        for entry in node.entries:
            at = signs[id(entry)]
            self._change(self.layout.line_start(at), self.layout.line_end(entry.end))

    def _head(self, node: Node) -> int:
        """Return where a table or list in lines is named: after its anchor, the colon or the hyphen before it."""
        after = self.layout.skip_properties(node.start)
        if after > node.start:
            return after
        parent = node.parent
        signs = self._line_signs(parent) if parent is not None else []
        for entry, sign in zip(parent.entries if parent is not None else (), signs, strict=True):
            if entry.value is node:
                return sign + 1 if entry.key is None else self.layout.skip(entry.key.end) + 1
        return node.start

    def _lines_for(self, node: Node, column: int, key: str | None, value: Any, like: Entry) -> str:
        """Return a new entry as lines, in the style of one that stands beside it."""
        indent = " " * column
        if key is not None:
            below = self._rows_below(value) if node.parent is None or _holds_rows(value) else None
            if below is not None:
                inner = " " * (column + self._usual_indent())
                return self._join(f"{indent}{print_value(key)}:", (f"{inner}{row}" for row in below))
            return f"{indent}{print_value(key)}: {print_value(value)}"
        if isinstance(value, dict) and value and like.value.kind == "map" and not like.value.bracketed:
            gap = max(self.layout.column(like.value.entries[0].start) - column - 1, 1)
            rows = [f"{print_value(name)}: {print_value(inner)}" for name, inner in value.items()]
            first = f"{indent}-{' ' * gap}{rows[0]}"
            return self._join(first, (f"{indent} {' ' * gap}{row}" for row in rows[1:]))
        return f"{indent}- {print_value(value)}"

    def _rows_below(self, value: Any) -> list[str] | None:
        """Return the rows of a whole new section, a line each; `None` for what fits into one line."""
        if _holds_rows(value):
            return [f"- {print_value(inner)}" for inner in value]
        if isinstance(value, dict) and value and all(isinstance(inner, dict | list) for inner in value.values()):
            return [line for name, inner in value.items() for line in self._key_lines(name, inner)]
        return None

    def _key_lines(self, name: str, value: Any) -> list[str]:
        """Return a key of a whole new section with its value; rows stand in lines of their own."""
        rows = self._rows_below(value) if _holds_rows(value) else None
        if rows is None:
            return [f"{print_value(name)}: {print_value(value)}"]
        return [f"{print_value(name)}:", *(" " * self._usual_indent() + row for row in rows)]

    def _join(self, first: str, others: Any) -> str:
        return self.layout.line_break(len(self.text)).join((first, *others))

    def _usual_indent(self) -> int:
        """Return by how many columns the sections of the file are indented."""
        for entry in self.root.entries:
            if entry.value.kind == "map" and not entry.value.bracketed and entry.value.entries:
                return max(self.layout.column(entry.value.entries[0].start), 1)
        return 2

    # -- in brackets

    def _open_brackets(self, node: Node, added: Sequence[Added]) -> bool:
        """Turn an empty section (`grants: []`) into lines; return whether it was one."""
        parent = node.parent
        of_root = parent is not None and parent.parent is None and not parent.bracketed
        value = {key: value for _, key, value in added} if node.kind == "map" else [value for *_, value in added]
        rows = self._rows_below(value) if of_root else None
        inner = self.text[node.start + 1 : node.end - 1]
        if node.entries or inner.strip(" ") or rows is None or self.text[node.start] not in "[{":
            return False
        indent = " " * self._usual_indent()
        start = node.start
        while self.text[start - 1] == " ":
            start -= 1
        self._change(start, node.end)
        self._add_below(node.end, self._join(f"{indent}{rows[0]}", (f"{indent}{row}" for row in rows[1:])))
        return True

    def _edit_in_brackets(self, node: Node, gone: Sequence[Entry], added: Sequence[Added]) -> None:
        left = [entry for entry in node.entries if entry not in gone]
        opening = self.layout.skip_properties(node.start)
        opening = self.layout.skip(opening) + 1
        ends_in_comma = bool(node.entries) and self._comma(node, node.entries[-1]) is not None
        keeps_comma: list[Entry] = []
        for number, (after, key, value) in enumerate(added):
            printed = print_value(value) if key is None else f"{print_value(key)}: {print_value(value)}"
            before, last = self._last_kept(node, after, left), number == len(added) - 1
            if before is None:
                self._change(opening, opening, f"{printed}, " if left or not last else printed)
            elif self._is_alone(node, before):
                is_end = last and before is left[-1] and not ends_in_comma
                self._add_line_in_brackets(node, before, f"{printed}{'' if is_end else ','}")
                keeps_comma.append(before)
            else:
                self._change(before.end, before.end, f", {printed}")
        for entry in gone:
            self._remove_in_brackets(node, entry)
        if gone and left and node.entries[-1] in gone and not ends_in_comma and left[-1] not in keeps_comma:
            comma = self._comma(node, left[-1])
            if comma is not None:
                self._change(comma, comma + 1)

    def _last_kept(self, node: Node, after: Entry | None, left: Sequence[Entry]) -> Entry | None:
        """Return the last entry that stays, up to the one that a new one follows."""
        if after is None:
            return None
        upto = node.entries[: node.entries.index(after) + 1]
        return next((entry for entry in reversed(upto) if entry in left), None)

    def _comma(self, node: Node, entry: Entry) -> int | None:
        """Return where the comma after an entry in brackets is; `None` for the last one without."""
        at = self.layout.skip(entry.end)
        return at if at < node.end and self.text[at] == "," else None

    def _is_alone(self, node: Node, entry: Entry) -> bool:
        """Return whether an entry in brackets has its lines for itself."""
        comma = self._comma(node, entry)
        end = entry.end if comma is None else comma + 1
        return self.layout.begins_line(entry.start) and self.layout.ends_line(end)

    def _add_line_in_brackets(self, node: Node, before: Entry, printed: str) -> None:
        """Put a line for a new entry below one that has a line for itself."""
        comma = self._comma(node, before)
        if comma is None and (before.end, before.end, ",") not in self._changes:
            self._change(before.end, before.end, ",")
        indent = " " * self.layout.column(before.start)
        self._add_below(before.end if comma is None else comma, f"{indent}{printed}")

    def _remove_in_brackets(self, node: Node, entry: Entry) -> None:
        """Take an entry in brackets out, with the comma behind it."""
        number, comma = node.entries.index(entry), self._comma(node, entry)
        following = node.entries[number + 1] if number + 1 < len(node.entries) else None
        end = entry.end if comma is None else comma + 1
        if self.layout.begins_line(entry.start) and self.layout.ends_line(end):
            self._change(self.layout.line_start(entry.start), self.layout.line_end(end))
        elif following is not None and comma is not None and self._on_one_line(entry.end, following.start):
            self._change(entry.start, following.start)
        else:
            start = entry.start
            while self.text[start - 1] in " \t" and not self.layout.begins_line(entry.start):
                start -= 1
            self._change(start, end)

    def _on_one_line(self, start: int, end: int) -> bool:
        return not set("\r\n#") & set(self.text[start:end])

    # -- whole values

    def _put(self, entry: Entry, value: Any) -> None:
        """Put a printed value where another one stands."""
        node, printed = entry.value, print_value(value)
        if node.kind in {"map", "list"} and not node.bracketed and self._is_below(node):
            head = self._head(node)
            self._change(head, head, f" {printed}")
            signs = self._line_signs(node)
            self._change(self.layout.line_start(signs[0]), self.layout.line_end(node.end))
        elif node.start == node.end:
            colon = self.layout.skip(entry.key.end) + 1 if entry.key is not None else node.start
            self._change(colon, colon, f" {printed}")
        else:
            self._change(node.start, node.end, printed)

    def _is_below(self, node: Node) -> bool:
        """Return whether a table or list in lines begins on a line of its own."""
        return self.layout.begins_line(self._line_signs(node)[0])

    def _print_anew(self, node: Node, now: Any) -> None:
        """Print a whole table or list in brackets in the place of what stands there in a way of its own."""
        start = self._line_signs(node)[0]
        self._change(start, node.end, print_value(now))


def _holds_rows(value: Any) -> bool:
    """Return whether a value is a list of tables, which are rows."""
    return isinstance(value, list) and bool(value) and all(isinstance(inner, dict) for inner in value)


def _merge(changes: Sequence[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Return changes in their order in the text, with removals that overlap as one."""
    merged: list[tuple[int, int, str]] = []
    for start, end, new in sorted(changes, key=lambda change: (change[0], change[1])):
        if merged and start < merged[-1][1]:
            first, last, text = merged[-1]
            merged[-1] = (first, max(last, end), text + new)
        else:
            merged.append((start, end, new))
    return merged
