"""Words: each code has a sentence, each name goes out harmless, each record is said."""

from __future__ import annotations

import ast
import re
import string
from pathlib import Path
from xml.dom import minidom

import pytest
from hypothesis import given
from hypothesis import strategies as st

import listen2lab
from listen2lab.findings.hypotheses import HYPOTHESES, SENTENCES
from listen2lab.findings.records import ConsumesAnswer, Finding, Summary
from listen2lab.notice import VALUE_RULES, Notice
from listen2lab.report.style import new_figure, safe_label, styled, to_png, to_svg, to_svg_file
from listen2lab.report.template import template
from listen2lab.report.terminal import table
from listen2lab.report.text import findings as finding_words
from listen2lab.report.text.command import rendered
from listen2lab.report.text.escape import as_code, markdown, one_line, printable
from listen2lab.report.text.format import fill, size
from listen2lab.report.text.notices import TEMPLATES, say
from listen2lab.study.records import Call, InputsRecord

HOSTILE = (
    "<script>alert(1)</script>", "![x](http://a.b/c)", "[y](javascript:z)", "a|b", "`code`",
    "**bold**", "# head", "&lt;b&gt;", "\x1b[31mred\x1b[0m", "\x00\x07", "two\nlines\r\n- three",
    "\u202egnp.exe", "$\\frac{1}{0}$", "$x", "'\"><svg onload=x>", "www.evil.example", "\ud800",
)  # fmt: skip
PACKAGE = Path(listen2lab.__file__).parent


def notices():
    """Yield each code that the package makes a notice of, with the names of its values."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if "device" in path.relative_to(PACKAGE).as_posix():  # has words of its own
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            is_notice = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Notice"
            if is_notice and node.args and isinstance(node.args[0], ast.Constant):
                values = node.args[1] if len(node.args) > 1 else ast.Dict([], [])
                names = values.keys if isinstance(values, ast.Dict) else []
                known = {each.value for each in names if isinstance(each, ast.Constant)}
                yield node.args[0].value, known, f"{path.name}:{node.lineno}"


def test_every_notice_has_its_words():
    """A code without a sentence would be shown as a code."""
    found = list(notices())
    assert len(found) > 30
    assert [where for code, _, where in found if code not in TEMPLATES | SENTENCES] == []


def test_no_code_has_two_sentences():
    """It would not be known which of them is said."""
    assert not TEMPLATES.keys() & SENTENCES.keys()
    several = [code for each in HYPOTHESES.values() for code in each.sentences]
    assert len(several) == len(set(several))


def test_a_notice_of_another_version_is_still_said():
    """A file may hold codes that this version does not know."""
    assert say(Notice("of-tomorrow", {"runs": 3, "why": None})) == "of-tomorrow (runs 3, why None)"


def test_optional_values_are_said_where_they_are():
    """A line's number, a step, and conditions that may have been renamed."""
    values = {"run": "a/b/00", "file": "steps.jsonl", "message": "it has no step"}
    assert "steps.jsonl is damaged" in say(Notice("run-damaged", values))
    assert "steps.jsonl, line 3, is" in say(Notice("run-damaged", {**values, "line": 3}))
    assert "before the first step" in say(Notice("no-sample", {"seconds": 5.0, "step": None}))
    stray = {"condition": "a/c", "runs": 2, "without": ["a/b"]}
    assert "a/b is planned and not there" in say(Notice("not-planned", stray))


def test_names_of_values_are_ruled():
    """What a notice says of names is shared by their kinds; a name without a rule is private."""
    assert VALUE_RULES["message"] == "private"
    assert VALUE_RULES["run"] == "run"


# -- one exit each


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_comes_out_of_a_name_in_markdown(name):
    """No tag, link, picture, table's border, heading, line end or control character."""
    said = markdown(f"x {name}")
    assert "\n" not in said
    outside = re.sub(r"\\.", "", re.sub(r"`[^`]*`", "", said))
    assert not set(outside) & set("<>[]|*~`")
    assert "://" not in outside
    assert not any(ord(c) < 32 for c in said)
    assert not markdown(name).startswith("#")
    (cell,) = re.findall(r"^\| (.*) \|$", f"| {said} |")
    assert not re.search(r"(?<!\\)\|", cell)


@given(st.text(alphabet=string.printable + "äß中\u202e\x1b", max_size=60))
def test_markdown_is_left_of_no_text(text):
    """Whatever a name is, no raw tag and no second line."""
    said = markdown(text)
    assert "\n" not in said
    assert not re.search(r"(?<!\\)<(?![^`]*`)", re.sub(r"`[^`]*`", "", said))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_terminal_gets_no_control_characters(name):
    """An escape sequence in a name could rewrite what was printed before."""
    for said in (printable(name), table(("name", "MiB"), [(name, "1")])):
        assert not [c for c in said if c != "\n" and (ord(c) < 32 or c in "\u202e\ud800\x7f")]
    assert "\n" not in one_line(name)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_picture_shows_a_name_as_it_is(name):
    """No formula, no tag; the file is whole XML."""
    figure = new_figure(3, 2)
    with styled():
        axes = figure.subplots()
        axes.set_title(safe_label(name))
        axes.set_yticks([0], [safe_label(name)])
    assert to_png(figure)[:4] == b"\x89PNG"
    whole = to_svg_file(figure, label=name)
    minidom.parseString(whole.encode())  # noqa: S318 - our own
    inline = to_svg(figure, label=name)
    minidom.parseString(inline.encode())  # noqa: S318 - our own
    assert "<script" not in inline
    if name.startswith("$"):
        assert name[:3] in whole


@pytest.mark.parametrize("name", HOSTILE)
def test_a_page_holds_a_name_as_text(name):
    """Escaped by the template; code between backticks is the only markup of a sentence."""
    assert not re.search(r"<(?!/?code>)", as_code(name))
    finding = Finding(claim=name, finding="refuted")
    said = template("opening.html.j2").render(
        summary=Summary(
            format=2, created="", inputs=InputsRecord(), findings={"H7": finding}
        ),
        in_words=finding_words,
        opening={
            "answers": [{"name": "leak", "question": name, "sentences": [name]}],
            "picture": None, "parts": [], "notes": [], "findings": [], "consumes": ConsumesAnswer(),
        }
    )  # fmt: skip
    assert "<script" not in said
    assert "<svg" not in said
    assert "\x1b" not in said


def test_code_in_a_sentence_is_code_and_nothing_else_is():
    """A path that holds audio reads as code; what comes from elsewhere stays text."""
    assert as_code("`a.b[...]` holds <i>3</i> & `x`; one ` alone") == (
        "<code>a.b[...]</code> holds &lt;i&gt;3&lt;/i&gt; &amp; <code>x</code>; one ` alone"
    )


# -- records in words


def test_a_call_is_a_command_or_python():
    """The same record, as it was called."""
    arguments = {"experiments": ["all"], "voice": "medium", "levels": [1, "2"], "trace": "none",
                 "texts": ["a b.txt"], "knobs": {"num_threads": 2, "player": "drops"}}  # fmt: skip
    assert rendered(Call("run", arguments)) == (
        "listen2lab run all --voice medium --levels 1,2 --trace none --text 'a b.txt' "
        "--set num_threads=2 --set player=drops"
    )
    assert rendered(Call("watch", {"file": "a.py", "steps": 20}, shell=False)) == (
        "lab.watch('a.py', steps=20)"
    )


def test_a_template_is_filled_by_the_one_formatter():
    """Sizes, intervals, counts and lists."""
    values = {"held": [3 * 2**20, 2**20, 5 * 2**20], "n": 12345, "each": [2**20, 2**30]}
    assert fill("{held:effect}; {n:count}; {each:sizes}", values) == (
        "3.0 MiB (95 % between 1.0 and 5.0); 12,345; 1.0 MiB and 1,024 MiB"
    )
    assert size(None) == "an unknown amount"


def test_where_quantities_disagree_it_is_said_which_of_them_grew():
    """Pages of files can be dropped, live objects cannot: the sentence has the amounts."""
    from listen2lab.findings.records import ConditionNumbers, Quantity
    from listen2lab.report.text.verdicts import why

    numbers = ConditionNumbers(
        verdict="inconclusive",
        reasons=("quantities-disagree",),
        grew=("mapped",),
        quantities={
            "anonymous": Quantity("baseline", 10.0),
            "rss": Quantity("leak", 65546.0),
            "python_blocks": Quantity("leak", 2.0),
        },
    )
    said = why("quantities-disagree", numbers, "step")
    assert "64 KiB a step are pages of files, which can be dropped" in said
    assert "live blocks grow by 2 a step" in said
    assert "no file backs do not surely grow" in said


def test_bounds_that_differ_are_printed_differently():
    """However narrow an interval is; and a large rate has no exponent."""
    from listen2lab.report.text.format import rate, rates

    assert rates([102400.0, 102390.0, 102410.0]) == ["100.00 KiB", "99.99 KiB", "100.01 KiB"]
    assert rates([0.0]) == ["0.000 KiB"]
    assert rate(3230 * 1024) == "3.15 MiB"


def test_a_crash_says_at_which_step_and_nothing_else_is_judged():
    """A run that ended at step 30 did measure something; that no step did any work is not said."""
    from listen2lab.findings.records import ConditionNumbers
    from listen2lab.notice import Notice
    from listen2lab.report.text.study import ended, verdict
    from listen2lab.study.records import RunRecord

    crashed = RunRecord(outcome="crashed", why=Notice("signal", {"name": "SIGSEGV"}), last_step=30)
    assert ended(crashed) == "crashed after step 30: ended by SIGSEGV"
    numbers = ConditionNumbers(
        verdict="inconclusive", reasons=("nothing-measured",), runs={"crashed": 3}
    )
    assert verdict(numbers, "step") == "No complete run, so there is nothing to judge."
