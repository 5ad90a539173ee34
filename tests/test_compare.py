"""Two studies or conditions beside each other: numbers, what differs besides, a picture, a page."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
from msgspec.structs import replace
from small_studies import READING, build_study, edit, holding

import listen2lab as lab
from listen2lab.comparison.comparison import compare
from listen2lab.errors import InputError, UnknownNameError
from listen2lab.report.comparison import write_comparison
from listen2lab.report.text.compare import comparison_text
from listen2lab.study.plan import Plan

pytestmark = pytest.mark.slow  # runs of their own processes


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return a study of a workload that holds 20 MiB, in two conditions that are alike."""
    return holding(tmp_path_factory.mktemp("small"), 20, against=sys.executable).data


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Return a study of one that holds 32 MiB, in one condition."""
    return holding(tmp_path_factory.mktemp("large"), 32, "other").data


@pytest.fixture(scope="module")
def comparison(small, large):
    """Return the two compared."""
    return compare(small, large)


def test_the_difference_of_two_levels_is_found_with_its_interval(comparison):
    """12 MiB more are 12 MiB more, in level and peak, and not by chance."""
    (pair,) = comparison.pairs
    assert pair.a == pair.b == ("holds", "this")
    for change in (pair.end, pair.peak):
        assert change.difference == pytest.approx(12, abs=0.5)
        assert change.interval[0] > 11
        assert len(change.each_a) == len(change.each_b) == 3
    assert (pair.contrast.verdict, pair.contrast.about) == ("worse", "level")
    assert comparison.only_a == (("holds", "against"),)
    assert comparison.only_b == ()


def test_conditions_that_are_alike_are_unchanged(small):
    """Two conditions of one study: the same interpreter twice makes no difference."""
    path = small.folder.path
    found = compare(f"{path}:holds/this", f"{path}:holds/against")
    (pair,) = found.pairs
    assert (pair.a, pair.b) == (("holds", "this"), ("holds", "against"))
    assert pair.contrast.verdict == "unchanged"
    assert abs(pair.end.difference) < 1
    assert found.differences == ()
    assert found.caveats == ()


def test_what_else_differs_is_said_before_the_numbers(small, large, tmp_path):
    """Levels of another machine or version are compared with that caveat, and it comes first."""
    other = shutil.copytree(large.folder.path, tmp_path / "other")

    def change(manifest):
        setup = manifest["machines"]["machine-1"]
        setup["machine"]["kernel"] = "9.9"
        setup["versions"]["numpy"] = "1.0"

    edit(other / "manifest.json", change)
    found = compare(small, other)
    kinds = {each.name: each.about for each in found.differences}
    assert kinds == {"numpy": "version", "kernel": "machine", "workload": "input"}
    assert [caveat.code for caveat in found.caveats] == [
        "other-machine", "other-version", "other-input",
    ]  # fmt: skip
    lines = comparison_text(found).splitlines()
    assert "kernel" in lines[2]
    assert "numpy" in lines[3]
    assert next(k for k, line in enumerate(lines) if "B − A" in line) > 3


def test_a_picture_or_a_page_is_written(comparison, tmp_path):
    """SVG and PNG show it; the page needs no network and names no folder of this machine."""
    svg = write_comparison(comparison, tmp_path / "c.svg").read_text()
    assert svg.startswith("<svg")
    assert "holds / this" in svg
    assert "var(--" not in svg
    assert write_comparison(comparison, tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    page = write_comparison(comparison, tmp_path / "c.html").read_text()
    assert "<svg" in page
    assert "B ends 12" in page
    assert str(tmp_path.parent) not in page
    assert "https://" not in page
    with pytest.raises(InputError, match=r"\.svg, \.png or \.html"):
        write_comparison(comparison, tmp_path / "c.doc")


def test_two_studies_of_one_condition_are_compared_by_their_voices(tmp_path):
    """Nobody has to say which; voices are named, and curves are drawn for both."""
    voices = {"tiny": 20.0, "medium": 80.0}
    sides = []
    for k, (voice, mib) in enumerate(voices.items()):
        inputs = replace(READING, voice=f"/srv/voices/{voice}", voice_hash=str(k) * 64)
        item = replace(lab.experiments.baseline, name=f"own-{k}", steps=16)
        built = build_study(
            tmp_path / voice, {f"own-{k}/app": mib}, plan=Plan((item,), repeats=3, traced="none"),
            manifest={"inputs": inputs},
        )  # fmt: skip
        sides.append(lab.Study(built))
    found = lab.compare(*sides)
    (pair,) = found.record.pairs
    assert (pair.a, pair.b) == (("own-0", "app"), ("own-1", "app"))
    assert pair.end.difference == pytest.approx(60)
    (differ,) = (each for each in found.record.differences if each.name == "voice")
    assert (differ.before, differ.now) == ("tiny", "medium")
    (panel,) = found.plot_curves().axes
    assert sorted(max(line.get_ydata()) for line in panel.lines) == [50] * 3 + [110] * 3
    page = found.write(tmp_path / "c.html").read_text()
    assert page.count("<svg") == 2
    assert "/srv" not in page


def test_the_command_prints_json_and_writes_a_picture(small, large, tmp_path):
    """One JSON object, and the picture that was asked for."""
    sides = f"{small.folder.path}:holds/against", f"{large.folder.path}:holds/this"
    done = subprocess.run(
        [sys.executable, "-m", "listen2lab", "compare", *sides, "--json", "--out",
         tmp_path / "c.svg"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["pairs"][0]["a"] == ["holds", "against"]
    assert (tmp_path / "c.svg").exists()


def test_what_cannot_be_compared_is_said(small, large, tmp_path):
    """A study with itself, unknown names, nothing in common."""
    with pytest.raises(InputError, match="compared with itself"):
        compare(small, small.folder.path)
    with pytest.raises(UnknownNameError, match="did you mean 'holds'"):
        compare(f"{small.folder.path}:hold", large)
    with pytest.raises(UnknownNameError, match="condition of holds"):
        compare(f"{small.folder.path}:holds/against", large)
    renamed = shutil.copytree(large.folder.path, tmp_path / "renamed")
    edit(renamed / "manifest.json", lambda m: m["plan"]["experiments"][0].update(name="elsewhere"))
    with pytest.raises(InputError, match="no condition in common"):
        compare(small, renamed)  # two conditions and one: which is meant?
    with pytest.raises(lab.LabError, match="there is no such folder"):
        compare(small, tmp_path / "nowhere")


def test_few_or_lost_runs_are_a_caveat(small, large, tmp_path):
    """With one run there is no interval; without any, nothing to compare. Both are said."""
    few = shutil.copytree(large.folder.path, tmp_path / "few")
    for repeat in ("01", "02"):
        (few / "runs/holds/this" / repeat / "result.json").unlink()
    found = compare(small, few)
    assert found.pairs[0].end.interval is None
    assert found.pairs[0].contrast.verdict == "inconclusive"
    (notice,) = (each for each in found.caveats if each.code == "few-repeats")
    assert notice.values == {"needed": 3, "conditions": ["holds / this"]}
    shutil.rmtree(few / "runs")
    none = compare(small, few)
    assert none.pairs[0].end.difference is None
    assert none.pairs[0].contrast is None
    assert "no complete run" in comparison_text(none)
    write_comparison(none, tmp_path / "none.png")
