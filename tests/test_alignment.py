"""Words in time: the trellis against brute force, matching, the service, loading late."""

from __future__ import annotations

import asyncio
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listen2lab.errors import EngineError
from listen2lab.pipeline.alignment import (
    Alignment,
    AlignmentService,
    LateAligner,
    Word,
    match_words,
    place_words,
)
from listen2lab.pipeline.forced import best_path, can_align, labels_of, spans, trellis
from listen2lab.pipeline.log import AppLog
from listen2lab.pipeline.recognizer import heard_characters
from listen2lab.pipeline.synthesis import Speech


def brute_force(log_probs, labels, blank):
    """Score every sequence of classes whose CTC reading is the labels."""
    best = -np.inf
    n_frames, n_classes = log_probs.shape
    for path in itertools.product(range(n_classes), repeat=n_frames):
        merged = [key for key, _ in itertools.groupby(path)]
        if [key for key in merged if key != blank] == list(labels):
            best = max(best, sum(log_probs[t, c] for t, c in enumerate(path)))
    return best


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n_frames=st.integers(1, 6),
    labels=st.lists(st.integers(0, 2), min_size=1, max_size=4),
    blank=st.integers(0, 2),
)
def test_the_trellis_finds_the_best_of_all_paths(seed, n_frames, labels, blank):
    """Its score, its path and its feasibility agree with trying everything."""
    labels = np.array([label for label in labels if label != blank], dtype=np.int64)
    if not len(labels):
        return
    log_probs = np.log(np.random.default_rng(seed).dirichlet(np.ones(3), n_frames))
    log_probs = log_probs.astype(np.float32)
    expected = brute_force(log_probs, labels, blank)
    assert can_align(n_frames, labels) == np.isfinite(expected)
    if not np.isfinite(expected):
        return
    cells = trellis(log_probs, labels, blank)
    assert cells.dtype == np.float32
    assert cells.shape == (n_frames, 2 * len(labels) + 1)
    assert max(cells[-1, -1], cells[-1, -2]) == pytest.approx(expected, abs=1e-4)
    path = best_path(cells, labels)
    states = [blank if s % 2 == 0 else int(labels[s // 2]) for s in path]
    assert sum(log_probs[t, c] for t, c in enumerate(states)) == pytest.approx(expected, abs=1e-4)
    read = [s // 2 for s, _ in itertools.groupby(path) if s % 2]
    assert read == list(range(len(labels)))


def test_spans_are_the_frames_of_each_label():
    """Blanks belong to nobody, and the end is the frame after the last."""
    assert spans([0, 1, 1, 2, 3, 5, 5, 6], 3) == [(1, 3), (4, 5), (5, 7)]


def test_repeated_labels_need_a_blank_between_them():
    """Two equal labels do not fit into two frames, two different ones do."""
    assert can_align(2, np.array([1, 2]))
    assert not can_align(2, np.array([1, 1]))
    assert can_align(3, np.array([1, 1]))


def _heard(text, step=0.1):
    return [(c, k * step, (k + 1) * step) for k, c in enumerate(text)]


def test_words_lie_where_their_characters_were_heard():
    """A perfect reading gives each word its first character's beginning and last one's end."""
    found = match_words("One two, three.", _heard("one two, three."), 1.5)
    assert [word.text for word in found.words] == ["One", "two,", "three."]
    times = [time for word in found.words for time in word[1:]]
    assert times == pytest.approx([0.0, 0.3, 0.4, 0.8, 0.9, 1.5])
    assert not found.is_estimated


@pytest.mark.parametrize("heard", ["one xxx three", "one twa three", "on two thre"])
def test_misread_characters_move_a_word_little(heard):
    """A word that was misread stays between its neighbours, near where it was."""
    found = match_words("one two three", _heard(heard), 1.3)
    assert found.words[1].start_s == pytest.approx(0.4, abs=0.15)
    assert found.words[1].end_s == pytest.approx(0.7, abs=0.15)
    assert found.words[2].start_s >= found.words[1].start_s


def test_nothing_recognised_spreads_the_words_and_says_so():
    """Silence or a wrong language still gives every word a time, marked as estimated."""
    found = match_words("one two three", _heard("###"), 6.0)
    assert found.is_estimated
    assert len(found.words) == 3
    assert 0 <= found.words[0].start_s < found.words[1].start_s < found.words[2].end_s <= 6.0
    assert match_words("one", [], 1.0).is_estimated


@settings(max_examples=200, deadline=None)
@given(
    text=st.text("ab c,é’ß", max_size=40),
    heard=st.text("ab c,e'", max_size=40),
    duration_s=st.floats(0.1, 20),
)
def test_times_are_in_order_and_within_the_speech(text, heard, duration_s):
    """Whatever was heard: one entry a word, none outside, none before its predecessor."""
    found = match_words(text, _heard(heard, duration_s / 40), duration_s)
    assert [word.text for word in found.words] == text.split()
    starts = [word.start_s for word in found.words]
    assert starts == sorted(starts)
    assert all(0 <= word.start_s <= word.end_s <= duration_s for word in found.words)


def test_characters_without_a_time_are_interpolated():
    """The word in the middle lies halfway between the known ones."""
    found = place_words("a b c", {0: (1.0, 1.2), 2: (3.0, 3.2)}, 4.0)
    assert found.words[1] == pytest.approx(("b", 2.0, 2.2))


def test_tokens_of_several_characters_share_their_time():
    """And a token before a pause does not last through it."""
    heard = heard_characters(["ab", " ", "c"], [0.0, 0.4, 0.5], 3.0)
    assert [c for c, _, _ in heard] == ["a", "b", " ", "c"]
    assert [t for h in heard for t in h[1:]] == pytest.approx(
        [0.0, 0.2, 0.2, 0.4, 0.4, 0.5, 0.5, 1.0]
    )


def test_spelling_with_characters():
    """The space is a label between words; unknown characters go with their neighbours."""
    ids = {"a": 0, "b": 1, "▁": 2, "'": 3, "<blk>": 4}
    assert labels_of("Aé b’", ids) == [(0, 0, 2), (2, 2, 0), (1, 2, 1), (3, 3, 1)]
    assert labels_of("#a#b# ##", ids) == [(0, 0, 3), (1, 3, 2), (2, 5, 0)]
    assert labels_of("###", ids) == []


def test_spelling_with_pieces():
    """The longest piece that fits comes first, with the beginning of a word in it."""
    ids = {"▁": 0, "▁th": 1, "e": 2, "▁the": 3, "r": 4, "t": 5, "<blk>": 6}
    assert labels_of("the there rt", ids) == [
        (3, 0, 3),
        (3, 3, 3), (4, 6, 1), (2, 7, 1),
        (0, 8, 0), (4, 8, 1), (5, 9, 1),
    ]  # fmt: skip


SPEECH = Speech(b"", 10, 10, (10,))


class Counting:
    """Aligns by counting how often it was asked."""

    def __init__(self):
        self.n = 0

    def align(self, text, speech):
        """Give the one word the count as its time."""
        self.n += 1
        if text == "bad":
            raise EngineError("planted")
        return Alignment([Word(text, float(self.n), float(self.n))])


def _service(**kwargs):
    lines = []
    aligner = Counting()
    service = AlignmentService(aligner, AppLog(lines.append, lambda: 0), **kwargs)
    return service, aligner, lines


def test_the_service_keeps_the_latest_and_logs_hits():
    """The least recently used leaves first; a hit counts as use."""

    async def main():
        service, aligner, lines = _service(max_size=2)
        for paragraph in (0, 1, 0, 2, 0, 1):
            await service.align(paragraph, "text", SPEECH)
        assert aligner.n == 4  # 1 was dropped for 2, and made again
        assert (service.hits, service.misses) == (2, 4)
        assert set(service.kept) == {"0:text", "1:text"}
        assert lines == [
            "[PhonemeAlign] ✅ Cache hit for paragraph 0 (hits: 1, misses: 2, rate: 33.3%)",
            "[PhonemeAlign] ✅ Cache hit for paragraph 0 (hits: 2, misses: 3, rate: 40.0%)",
        ]

    asyncio.run(main())


@pytest.mark.parametrize(("max_size", "kept"), [(0, 0), (100, 100), (None, 120)])
def test_the_services_size(max_size, kept):
    """None at all, the app's hundred, and all."""

    async def main():
        service, _, _ = _service(max_size=max_size)
        for paragraph in range(120):
            await service.align(paragraph, "text", SPEECH)
        assert len(service.kept) == kept
        assert service.key_bytes >= sum(map(len, service.kept))
        service.kept.clear()
        assert service.kept == {}

    asyncio.run(main())


def test_the_key_holds_paragraph_and_text():
    """The same text elsewhere, or another text here, is another entry; an error is not kept."""

    async def main():
        service, aligner, _ = _service()
        await service.align(0, "a", SPEECH)
        await service.align(1, "a", SPEECH)
        await service.align(0, "b", SPEECH)
        assert aligner.n == 3
        with pytest.raises(EngineError):
            await service.align(0, "bad", SPEECH)
        assert len(service.kept) == 3

    asyncio.run(main())


class Loaded(Counting):
    """An aligner that tells when it is loaded and closed, with a trellis of its own."""

    alive = 0

    def __init__(self):
        super().__init__()
        Loaded.alive += 1
        self.trellis_bytes, self.peak_trellis_bytes = 0, 10

    def close(self):
        """Be gone."""
        Loaded.alive -= 1


@pytest.mark.parametrize(("keeps", "n_loaded"), [(True, 1), (False, 0)])
def test_an_aligner_that_is_loaded_late(keeps, n_loaded):
    """At its first use and kept, or for each use; also after an error nothing else stays."""
    loads = []
    late = LateAligner(lambda: loads.append(1) or Loaded(), keeps=keeps)
    assert Loaded.alive == 0
    with pytest.raises(EngineError):
        late.align("bad", SPEECH)
    for _ in range(2):
        assert late.align("text", SPEECH).words[0].text == "text"
        assert Loaded.alive == n_loaded
    assert len(loads) == (1 if keeps else 3)
    assert (late.trellis_bytes, late.peak_trellis_bytes) == (0, 10)
    late.close()
    late.close()
    assert Loaded.alive == 0


def test_an_alignments_size_grows_with_its_words():
    """The estimate counts tuples, strings and numbers, not only the outer object."""
    one = Alignment([Word("word", 0.0, 1.0)]).n_bytes
    hundred = Alignment([Word("word", 0.0, 1.0)] * 100).n_bytes
    assert 150 < (hundred - one) / 99 < 300
