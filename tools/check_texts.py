#!/usr/bin/env python3
"""Texts are for people: fails where code parses an error's text or a description, a message writes an
option in one caller's words, or a page's prose is not wrapped.

    tools/check_texts.py [ROOT]

Who needs a fact asks for it: an error's type, a field, a function. A message may then become better without
breaking code. Checked are adascale/, python/, cli/ and bench/: no find, split, replace, startswith, `in`,
index or regular expression on `str(error)`, `what()` or `describe()`, or on a variable with such a text.
In adascale/ and python/, which Python and C++ users call too, no string holds a literal `--flag`, and none
with a space, which is a sentence and no key, a bare `seq_len` or `device=`: option("seq_len") names an option
as its caller writes it. The names are those of the options tables (core/options.h); words such as `device` or
`samples`, without an underscore, mean other things too unless `=` follows. Help lines in the tables may have
them.
Prose of the README, docs/ and the other pages has at most 100 characters a line; tables, code, comments and
a link's target do not count.
Prints `file:line: rule` for each fault and exits 1 if there was any.
"""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from cpp_strings import code_of, strings_of
from source_files import show_faults, source_files

FOLDERS = ("adascale", "python", "cli", "bench")
# Functions (in C++: files) that may: they shorten a foreign library's text to show it, and decide nothing.
ALLOWED = {
    ("adascale/core/error.cpp", ""): "shows nlohmann's text without its number",
    ("python/adascale/errors.py", "first_line"): "shows the first line of a foreign error",
    ("python/adascale/runtimes/openvino.py", "_reason"): "shows the last line, OpenVINO's summary",
}
# Files that may: the speller itself, and a hint for pip.
MAY_SAY_FLAGS = {"adascale/core/spelling.h", "adascale/core/spelling.cpp", "python/adascale/torch_minor.py"}
FLAG_RULE = 'says a flag to every caller; name the option by option("...")'
FLAG = re.compile(r"(?<![\w-])--\w")
# Names in messages that are no options there, by file, with the reason.
KEY_OF_A_LAYER = "a key inside a layer_config, the same for every caller"
MAY_SAY_NAMES = {
    ("adascale/core/spelling.cpp", "param_bw"): KEY_OF_A_LAYER,
    ("adascale/sim/layer_config.cpp", "param_bw"): KEY_OF_A_LAYER,
    ("adascale/sim/parts.cpp", "param_bw"): KEY_OF_A_LAYER,
}
NAME_RULE = 'names an option in one caller\'s words: {}; write option("...")'
TABLE_ROW = re.compile(r'\bvisit\(\s*"(\w+)"|\.alias = "(\w+)"')
NAMES_OUTSIDE_TABLES = {"layer_config", "in_place", "output_dir", "tokenizer", "formats", "data", "dry_run"}
WIDTH = 100
WIDTH_RULE = f"prose of more than {WIDTH} characters in a line; wrap it"
# Pages that may be wider, with the reason.
MAY_BE_WIDE = {
    "ARCHITECTURE.md": "a page of at most 100 lines",
}
NO_PROSE = re.compile(r"^```.*?^```$|<!--.*?-->|^ *\|.*?$|\$\$.*?\$\$", re.DOTALL | re.MULTILINE)
LINK_TARGET = re.compile(r"\]\([^)\n]*\)")
RULE = "parses the text of an error or a description; ask for the fact: a type, a field, a function"

PARSING = {
    *("find", "rfind", "index", "rindex", "count", "split", "rsplit", "splitlines", "partition"),
    *("rpartition", "replace", "removeprefix", "removesuffix", "startswith", "endswith", "translate"),
}
TEXT_FUNCTIONS = {"str", "repr", "first_line"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

CPP_TEXT = r"(?:\bwhat(?:_without_backtrace)?\(\)|\bdescribe\w*\()"
CPP_PARSING = r"(?:find\w*|rfind|substr|starts_with|ends_with|contains|replace|compare|erase)"
CPP_DIRECT = re.compile(rf"{CPP_TEXT}[^;]*?\)*\s*\.\s*{CPP_PARSING}\s*\(")
CPP_READER = re.compile(rf"(?:regex_\w+|strstr|strncmp|istringstream\s*\w*)\s*[({{][^;]*{CPP_TEXT}")
CPP_VARIABLE = re.compile(rf"[\w>]\s*&?\s+(\w+)\s*(?:=|\{{|\()[^;]*{CPP_TEXT}")


class Function:
    """One function's names that hold errors and texts of errors."""

    def __init__(self, node: ast.AST) -> None:
        self.errors: set[str] = set()
        self.texts: set[str] = set()
        self.nodes = list(own_nodes(node))
        if isinstance(node, FUNCTIONS):
            for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
                said = ast.unparse(argument.annotation) if argument.annotation else ""
                if re.search(r"\b\w*(Error|Exception)\b", said):
                    self.errors.add(argument.arg)
        for inner in self.nodes:
            if isinstance(inner, ast.ExceptHandler) and inner.name:
                self.errors.add(inner.name)
        for inner in self.nodes:
            if isinstance(inner, ast.Assign) and self.is_text(inner.value):
                self.texts |= {target.id for target in inner.targets if isinstance(target, ast.Name)}

    def is_text(self, node: ast.AST) -> bool:
        """Whether an expression is the text of an error or a description."""
        if isinstance(node, ast.Name):
            return node.id in self.texts
        if not isinstance(node, ast.Call):
            return False
        if isinstance(node.func, ast.Attribute):
            return node.func.attr == "describe" or self.is_text(node.func.value)
        named = isinstance(node.func, ast.Name) and node.func.id in TEXT_FUNCTIONS
        return named and any(isinstance(a, ast.Name) and a.id in self.errors for a in node.args)

    def parses(self, node: ast.AST) -> bool:
        """Whether a node takes a text apart."""
        if isinstance(node, ast.Subscript):
            return self.is_text(node.value)
        if isinstance(node, ast.Compare):
            looks_into = any(isinstance(op, ast.In | ast.NotIn) for op in node.ops)
            return looks_into and any(self.is_text(side) for side in node.comparators)
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            return False
        owner = node.func.value
        if isinstance(owner, ast.Name) and owner.id == "re":
            return any(self.is_text(argument) for argument in node.args)
        return node.func.attr in PARSING and self.is_text(owner)


def own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes inside, without those of functions inside."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, FUNCTIONS):
            yield child
            yield from own_nodes(child)


def python_faults(text: str) -> Iterator[tuple[int, str]]:
    """(line, function) of each fault."""
    tree = ast.parse(text)
    for node in [tree, *(inner for inner in ast.walk(tree) if isinstance(inner, FUNCTIONS))]:
        function = Function(node)
        yield from ((i.lineno, getattr(node, "name", "")) for i in function.nodes if function.parses(i))


def cpp_faults(text: str) -> Iterator[tuple[int, str]]:
    """(line, "") of each fault, statement by statement."""
    code = code_of(text)
    texts: set[str] = set()
    begin = 0
    for end in re.finditer(r"[;{}]|\n}", code):
        statement = code[begin : end.start()]
        line = code.count("\n", 0, end.start()) + 1
        parsed = "|".join(map(re.escape, texts))
        by_name = texts and re.search(rf"\b(?:{parsed})\s*\.\s*{CPP_PARSING}\s*\(", statement)
        if by_name or CPP_DIRECT.search(statement) or CPP_READER.search(statement):
            yield line, ""
        variable = CPP_VARIABLE.search(statement)
        if variable:
            texts.add(variable.group(1))
        if end.group() == "\n}":
            texts.clear()
        begin = end.end()


# A text, the line of its character at a position, and whether it is in a row of an options table: name, help
# and limits.
Text = tuple[str, Callable[[int], int], bool]


def strings_in_python(text: str) -> Iterator[Text]:
    """Without docstrings, which may speak of the command and of keywords; an f-string is one, with `{}`."""
    tree = ast.parse(text)
    passed_over = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) in passed_over:
            continue
        if isinstance(node, ast.JoinedStr):
            passed_over |= {id(value) for value in node.values}
            parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
            yield "".join(parts), lambda _, line=node.lineno: line, False
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value, lambda _, line=node.lineno: line, False


def strings_in_cpp(text: str) -> Iterator[Text]:
    """Literals side by side are one."""
    for string in strings_of(text):
        yield string.text, string.line_of, string.call == "visit"


def spelling_faults(name: str, text: str, names: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """(fault, option) of each string that says a flag or a bare name."""
    strings = strings_in_python(text) if name.endswith(".py") else strings_in_cpp(text)
    for string, line_of, is_row in strings:
        for found in FLAG.finditer("" if name in MAY_SAY_FLAGS else string):
            yield f"{name}:{line_of(found.start())}: {FLAG_RULE}", ""
        for found in names.finditer(string if " " in string and not is_row else ""):
            yield f"{name}:{line_of(found.start())}: {NAME_RULE.format(found.group())}", found.group()


def names_of_options(texts: dict[str, str]) -> re.Pattern[str]:
    """Matches names that have an underscore or come before `=`, but not `sim.in_place`, a field."""
    rows = [row for name, text in texts.items() if name.endswith(".h") for row in TABLE_ROW.findall(text)]
    names = NAMES_OUTSIDE_TABLES | {name for row in rows for name in row if name}
    bare = sorted(name for name in names if "_" in name)
    return re.compile(rf"(?<![\w.])(?:(?:{'|'.join(bare)})(?!\w)|(?:{'|'.join(sorted(names))})(?==[^=]|=$))")


def width_faults(root: Path) -> Iterator[str]:
    """Lines of prose that are too long, page by page."""
    for page in sorted([*root.glob("*.md"), *(root / "docs").glob("*.md"), *root.glob("*/README.md")]):
        name = page.relative_to(root).as_posix()
        prose = NO_PROSE.sub(lambda part: "\n" * part[0].count("\n"), page.read_text(encoding="utf-8"))
        for number, line in enumerate(prose.split("\n"), 1):
            if len(LINK_TARGET.sub("]", line)) > WIDTH and name not in MAY_BE_WIDE:
                yield f"{name}:{number}: {WIDTH_RULE}"


def faults_of(root: Path) -> list[str]:
    """All faults under the root, in file order; exceptions that nothing needs any more are faults too."""
    rules = {".py": python_faults, ".cpp": cpp_faults, ".h": cpp_faults, ".inl": cpp_faults}
    files = source_files(root, FOLDERS, rules, "check_texts: no source file")
    texts = {path.relative_to(root).as_posix(): path.read_text() for path in files}
    names = names_of_options(texts)
    faults, used = [], set()
    for name, text in texts.items():
        if name.startswith(("adascale/", "python/")):
            for fault, option in spelling_faults(name, text, names):
                if (name, option) in MAY_SAY_NAMES:
                    used.add((name, option))
                else:
                    faults.append(fault)
        for line, function in rules[Path(name).suffix](text):
            if (name, function) in ALLOWED:
                used.add((name, function))
            else:
                faults.append(f"{name}:{line}: {RULE}")
    faults.extend(width_faults(root))
    for name, function in sorted(ALLOWED.keys() - used):
        if name in texts:
            place = function or "the file"
            faults.append(f"{name}:1: {place} is excepted in tools/check_texts.py but parses nothing")
    for name, option in sorted(MAY_SAY_NAMES.keys() - used):
        if name in texts:
            faults.append(f"{name}:1: {option} is excepted in tools/check_texts.py but not said")
    return faults


if __name__ == "__main__":
    show_faults(
        faults_of, "texts: none is parsed, none names an option in one caller's words, prose is wrapped"
    )
