"""What is shown of the reference study, word for word: one golden file an output.

After a change that is meant: ``UPDATE_GOLDEN=1 pytest tests/test_golden.py``, and read the diff.
"""

from __future__ import annotations

import html
import os
import re
from pathlib import Path

import msgspec
import pytest

import listen2lab as lab
from listen2lab.experiment.catalog import public_names
from listen2lab.report import terminal
from listen2lab.report.html import page
from listen2lab.report.markdown import issue, short
from listen2lab.study.folder import SUMMARY
from listen2lab.study.redact import RedactedStudy

pytestmark = pytest.mark.slow  # runs of their own processes


GOLDEN = Path(__file__).parent / "golden"


def visible(text):
    """Return what a reader of a page sees: no tags, styles or pictures, a block a line."""
    text = re.sub(r"<(script|style|svg)\b.*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(
        r"</(p|li|tr|dt|dd|h\d|figcaption|summary|title)>", "\x00", " ".join(text.split())
    )
    text = html.unescape(re.sub(r"<[^>]*>", " ", text))
    lines = (" ".join(line.split()) for line in text.split("\0"))
    return "".join(f"{line}\n" for line in lines if line)


@pytest.fixture(scope="module")
def seen():
    """Return the reference study and its summary, judged anew, as they are shared."""
    study = lab.Study.reference()
    summary = study.summary(anew=True)
    if os.environ.get("UPDATE_GOLDEN"):
        study.folder.write(SUMMARY, summary)
    shared = RedactedStudy(study.data, public_names())
    return shared, shared.redaction.record(summary)


def test_what_the_reference_study_is_stored_with_is_what_it_says_today(seen):
    """Cards and notebooks read the stored summary."""
    shared, summary = seen
    stored = shared.redaction.record(lab.Study.reference().summary())
    assert msgspec.json.encode(stored) == msgspec.json.encode(summary)


@pytest.mark.parametrize(
    ("name", "render"),
    [
        ("report.txt", lambda study, summary: visible(page(study, summary))),
        ("summary.md", short),
        ("ISSUE.md", issue),
        ("terminal.txt", lambda study, summary: terminal.overview(study, summary) + "\n"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_what_is_shown_of_the_reference_study(seen, name, render):
    """Each output, as it stands in its golden file."""
    text = render(*seen)
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")
