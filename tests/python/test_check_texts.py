"""tools/check_texts.py on planted cases: each way to parse a text, or to name an option wrongly, is named."""

from pathlib import Path

import check_texts
import pytest

ROOT = Path(__file__).resolve().parents[2]


def faults(root: Path, path: str, *lines: str) -> list[str]:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n")
    return check_texts.faults_of(root)


@pytest.mark.parametrize(
    "line",
    [
        "if 'no batch' in str(error): pass",
        "if 'no batch' not in str(error): pass",
        "reason = str(error).removeprefix('sim: ')",
        "reason = str(error).strip().split(': ')[0]",
        "found = re.search(r'takes (\\d+)', str(error))",
        "begin = first_line(error).startswith('torch')",
        "part = str(error)[:10]",
        "settings = core.describe().rstrip().splitlines()",
    ],
)
def test_parsed_texts_in_python(tmp_path: Path, line: str) -> None:
    found = faults(tmp_path, "python/a.py", "def f(core):", "    try:", "        g()",
                   "    except Error as error:", f"        {line}")  # fmt: skip
    assert [fault.split(" ")[0] for fault in found][:1] == ["python/a.py:5:"]


def test_a_text_under_another_name_is_one_too(tmp_path: Path) -> None:
    (found,) = faults(
        tmp_path,
        "bench/a.py",
        "def f(error: RuntimeError):",
        "    text = str(error)",
        "    return 'x' in text",
    )
    assert found.startswith("bench/a.py:3: parses the text of an error")


@pytest.mark.parametrize(
    "line",
    [
        'if (std::string(error.what()).find("deterministic") != std::string::npos) return;',
        'if (error.what_without_backtrace().find("x") == 0) return;',
        "std::istringstream lines(describe_calls(program, {}));",
        "const auto first = describe(block).substr(0, 3);",
        'say("https://x"); if (std::regex_match(error.what(), pattern)) return;',
        "if (std::regex_match(error.what(), pattern)) return;",
    ],
)
def test_parsed_texts_in_cpp(tmp_path: Path, line: str) -> None:
    (found,) = faults(tmp_path, "adascale/tune/a.cpp", "void f() {", f"  {line}", "}")
    assert found.startswith("adascale/tune/a.cpp:2: parses the text of an error")


def test_a_variable_in_cpp(tmp_path: Path) -> None:
    lines = ["void f() {", "  const std::string text = error.what();", '  if (text.find("x")) return;', "}"]
    (found,) = faults(tmp_path, "cli/a.cpp", *lines, "void g() {", "  text.find(1);", "}")
    assert found.startswith("cli/a.cpp:3:")


def test_texts_may_be_shown(tmp_path: Path) -> None:
    shown = "    raise Error(f'{path}: {first_line(error)}: {str(error).rstrip()}') from error"
    assert faults(tmp_path, "python/a.py", "try:", "    g()", "except Error as error:", shown) == []
    assert faults(tmp_path, "cli/a.cpp", 'void f() { fail("{}: {}", path, first_line(error.what())); }') == []
    assert faults(tmp_path, "cli/b.cpp", "void f() {", "  names.find(x);  // not what().find()", "}") == []


def test_messages_name_options_as_their_caller_does(tmp_path: Path) -> None:
    cpp = ["void f() {", '  fail("no data; "', '       "give --seq-len");', "}"]
    (found,) = faults(tmp_path, "adascale/run/a.cpp", *cpp)
    assert found.startswith("adascale/run/a.cpp:3: says a flag to every caller")
    python = ['"""Text for --help."""', "def f():", "    raise Error(f'give {x} or --format hf')"]
    found = faults(tmp_path, "python/adascale/b.py", *python)[-1]
    assert found.startswith("python/adascale/b.py:3: says a flag")
    (tmp_path / "adascale/run/a.cpp").unlink()
    assert faults(tmp_path, "python/adascale/b.py", '"""Text for --help."""', "x = 'a -- b'") == []
    assert faults(tmp_path, "cli/a.cpp", 'void f() { fail("--threads: got {}", n); }') == []


TABLE = [
    'visit("group_size", options.group_size,',
    '      "with group_size 0; " "see group_size", OptionRule{});',
]


def test_a_row_of_an_options_table_may_say_names_but_no_flags(tmp_path: Path) -> None:
    assert faults(tmp_path, "adascale/sim/options.h", *TABLE) == []
    (found,) = faults(tmp_path, "adascale/sim/options.h", 'visit("seed", options.seed, "as --threads");')
    assert found.startswith("adascale/sim/options.h:1: says a flag to every caller")


@pytest.mark.parametrize(
    "line",
    [
        'fail("no groups; set group_size, "',
        'text = fmt::format("{}, group_size {}", name, size);',
        'objections.add("layer_config: pattern {} matches nothing", pattern);',
        'text = R"(group_size 32 of "x")";',
    ],
)
def test_a_bare_name_of_an_option_in_cpp(tmp_path: Path, line: str) -> None:
    faults(tmp_path, "adascale/sim/options.h", *TABLE)
    (found,) = faults(tmp_path, "adascale/sim/a.cpp", "void f() {", f"  {line}", "}")
    assert found.startswith("adascale/sim/a.cpp:2: names an option in one caller's words: ")


def test_a_bare_name_of_an_option_in_python(tmp_path: Path) -> None:
    faults(tmp_path, "adascale/sim/options.h", *TABLE)
    lines = ["def f(size):", '    """Sets group_size to it."""', "    raise Error(f'{size}: set group_size')"]
    (found,) = faults(tmp_path, "python/adascale/a.py", *lines)
    assert found.startswith(
        "python/adascale/a.py:3: names an option in one caller's words: group_size; write"
    )


@pytest.mark.parametrize(
    "line",
    [
        'fail("https://x; set group_size");',
        'add("//"); fail("set group_size now");',
        """if (c == '"') fail("set group_size now");""",
        """add('\\''); fail("set group_size now");  // the layer's""",
        """const int64_t most = 1'000'000; fail("set group_size now");""",
        'fail("set group_" "size now");',
        'fail("set group_" /* of the layer */ R"x(size now)x");',
        'visit("a", fail("set group_size now"));',
        'text = R"x(set ")" or group_size)x";',
        'fail("give samples= more");',
        'fail("give more by samples=");',
    ],
)
def test_a_bare_name_that_the_tokens_of_cpp_tell(tmp_path: Path, line: str) -> None:
    faults(tmp_path, "adascale/sim/options.h", *TABLE, 'visit("samples", options.samples, "", OptionRule{});')
    for file in ("adascale/sim/a.cpp", "python/a.cpp"):
        (found,) = faults(tmp_path, file, "void f() {", f"  {line}", "}")
        assert found.startswith(f"{file}:2: names an option in one caller's words: ")
        (tmp_path / file).unlink()


def test_literals_side_by_side_are_one_and_each_has_its_line(tmp_path: Path) -> None:
    faults(tmp_path, "adascale/sim/options.h", *TABLE)
    lines = ["void f() {", '  fail("no groups; "  // why', '       "set group_"', '       "size");', "}"]
    (found,) = faults(tmp_path, "adascale/sim/a.cpp", *lines)
    assert found.startswith("adascale/sim/a.cpp:3: names an option")


@pytest.mark.parametrize(
    "text",
    ["'give blocks= too'", "f'{x}: give tokenizer='", "f'{x}; set ' f'{y}: group_size'", "f'{x} {y}device='"],
)
def test_a_bare_name_before_an_equals_sign_in_python(tmp_path: Path, text: str) -> None:
    rows = [f'visit("{name}", options.x, "", OptionRule{{}});' for name in ("blocks", "device")]
    faults(tmp_path, "adascale/sim/options.h", *TABLE, *rows)
    (found,) = faults(tmp_path, "python/adascale/a.py", "def f(x, y):", f"    raise Error({text})")
    assert found.startswith("python/adascale/a.py:2: names an option in one caller's words: ")


@pytest.mark.parametrize(
    "line",
    [
        'fail("set {}", option("group_size"));',
        'fail("its samples or samples == 3 or num_samples=3");',
        '/* fail("set group_size now"); */',
        'visit("group_size", x, "as group_size 0", OptionRule{.why = "group_size 0 is none"});',
        'return {{"group_size", grid.group_size}};',
        'objections.add("sim.in_place: a run decides it itself");',
        'fail("its adascale_group_size is {}", size);',
        "return size;  // group_size of the layer",
    ],
)
def test_keys_fields_and_comments_may_be_names_of_options(tmp_path: Path, line: str) -> None:
    faults(tmp_path, "adascale/sim/options.h", *TABLE)
    assert faults(tmp_path, "adascale/sim/a.cpp", "void f() {", f"  {line}", "}") == []


def test_an_exception_that_is_not_needed_is_a_fault(tmp_path: Path) -> None:
    (found,) = faults(tmp_path, "python/adascale/errors.py", "def first_line(error): return ''")
    assert "first_line is excepted in tools/check_texts.py but parses nothing" in found
    found = faults(tmp_path, "adascale/sim/parts.cpp", "void f() {}")[-1]
    assert found == "adascale/sim/parts.cpp:1: param_bw is excepted in tools/check_texts.py but not said"


@pytest.mark.parametrize(
    ("line", "wide"),
    [
        ("x" * 101, True),
        ("- " + "word " * 20, True),
        ("x" * 100, False),
        ("| " + "cell " * 30 + "|", False),
        ("<!-- " + "x" * 100 + " -->", False),
        ("```\n" + "x" * 120 + "\n```", False),
        ("see [the page](" + "x" * 100 + ")", False),
    ],
)
def test_prose_is_wrapped(tmp_path: Path, line: str, wide: bool) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.md").write_text(f"# A page\n\n{line}\n")
    found = faults(tmp_path, "python/a.py", "x = 1")
    assert [fault.split(": ")[0] for fault in found] == (["docs/a.md:3"] if wide else [])


def test_an_empty_tree_is_not_a_clean_one(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no source file under"):
        check_texts.faults_of(tmp_path)


def test_this_tree_is_clean() -> None:
    assert check_texts.faults_of(ROOT) == []
