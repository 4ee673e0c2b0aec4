"""C++ as the checks of texts read it: its strings, and its code without strings and comments."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

PREFIX = r"(?<!\w)(?:u8|[uUL])?"
TOKEN = re.compile(
    r"(?P<comment>//(?:[^\\\n]|\\.)*|/\*.*?\*/)"
    rf'|{PREFIX}R"(?P<mark>[^()\\\s]*)\((?P<raw>.*?)\)(?P=mark)"'
    r'|"(?P<plain>(?:[^"\\\n]|\\.)*)"'
    # No character: the mark between the digits of 1'000, which follows one.
    rf"|{PREFIX}'(?P<character>(?:[^'\\\n]|\\.)+)'",
    re.DOTALL,
)
CALL = re.compile(r"(\w*)\s*\(|\)")


@dataclass(frozen=True)
class CppString:
    """A literal, joined with those beside it."""

    text: str
    lines: list[int]  # of each character
    call: str  # the function among whose arguments it is, or in the braces of one of them: "visit"

    def line_of(self, position: int) -> int:
        """The line of a character."""
        return self.lines[position]


def code_of(text: str) -> str:
    """The same with blanks for comments and `_` for what is inside strings and characters; lines stay."""

    def blank(token: re.Match[str]) -> str:
        filler = " " if token["comment"] is not None else "_"
        inside = re.sub(r"[^\n]", filler, token.group())
        return inside if token["comment"] is not None else f'"{inside[1:-1]}"'

    return TOKEN.sub(blank, text)


def strings_of(text: str) -> Iterator[CppString]:
    """Each string; literals with nothing but blanks and comments between are one."""
    code, joined, end = code_of(text), None, 0
    for token in TOKEN.finditer(text):
        group = "raw" if token["raw"] is not None else "plain"
        if token[group] is None:
            continue
        first = text.count("\n", 0, token.start(group)) + 1
        lines = [first + token[group].count("\n", 0, i) for i in range(len(token[group]))]
        if joined is not None and not code[end : token.start()].strip():
            joined = CppString(joined.text + token[group], joined.lines + lines, joined.call)
        else:
            if joined is not None:
                yield joined
            joined = CppString(token[group], lines, _call_at(code, token.start()))
        end = token.end()
    if joined is not None:
        yield joined


def _call_at(code: str, position: int) -> str:
    """The name before the innermost parenthesis open there; "" outside of all."""
    begin = max(code.rfind(";", 0, position), code.rfind("\n}", 0, position)) + 1
    open_calls: list[str] = []
    for found in CALL.finditer(code, begin, position):
        if found.group() != ")":
            open_calls.append(found[1])
        elif open_calls:
            open_calls.pop()
    return open_calls[-1] if open_calls else ""
