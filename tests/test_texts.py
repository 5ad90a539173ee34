"""What is read from files is what is spoken, and what cannot be read says why."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from listen2lab.errors import TextError, UnknownNameError
from listen2lab.notice import Notice
from listen2lab.report.text.notices import TEMPLATES, say
from listen2lab.texts import books
from listen2lab.texts import epub as _epub
from listen2lab.texts import markdown as _markdown
from listen2lab.texts.books import BUILT_IN, built_in, read_book
from listen2lab.texts.sentences import (
    longest_sentence,
    shorten,
    speakable,
    split_long,
    split_sentences,
)

CONTAINER = (
    '<?xml version="1.0"?><container xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
    '<rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>'
)
PACKAGE = (
    '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">'
    "<metadata><dc:title>The {title}</dc:title></metadata><manifest>{items}</manifest>"
    "<spine>{refs}</spine></package>"
)
PAGE = "<html><head><title>not spoken</title></head><body>{}</body></html>"


def make_epub(
    path, chapters, *, extra=(), refs=None, title="Book", compression=zipfile.ZIP_DEFLATED
):
    """Write an EPUB whose chapters are (name, bytes or str)."""
    items = "".join(
        f'<item id="c{i}" href="{name}" media-type="application/xhtml+xml"/>'
        for i, (name, _) in enumerate(chapters)
    )
    refs = refs or "".join(f'<itemref idref="c{i}"/>' for i in range(len(chapters)))
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("META-INF/container.xml", CONTAINER)
        archive.writestr("OPS/book.opf", PACKAGE.format(title=title, items=items, refs=refs))
        for name, body in chapters:
            archive.writestr("OPS/" + name.replace("%20", " "), body)
        for name, body in extra:
            archive.writestr(name, body)
    return path


@pytest.fixture
def text_file(tmp_path):
    """Return a function that writes a file and gives its path."""

    def write(content, name="text.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


# What comes with the lab


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_texts_can_be_read(name):
    """Each text that comes with the lab is found, clean, and within the app's limit."""
    book = read_book(built_in(name))
    assert book.paragraphs
    assert not book.notices
    assert all(ord(character) < 127 for p in book.paragraphs for character in p)


def test_built_in_texts_have_their_shapes():
    """The chapter varies in length; the long sentence is 110 s in one engine sentence."""
    novel = [len(p) for p in read_book(built_in("novel")).paragraphs]
    assert len(novel) >= 45
    assert min(novel) >= 40
    assert 600 <= max(novel) <= 700
    assert len(read_book(built_in("technical")).paragraphs) >= 30
    (long,) = read_book(built_in("long_sentence")).paragraphs
    assert longest_sentence(long) == len(long)
    assert not set(long) & set(".?!:;")
    assert 109 <= len(long) * 7 * 256 / 22_050 <= 111


def test_an_unknown_built_in_text_suggests_the_nearest():
    """A misspelt name is an error that helps."""
    with pytest.raises(UnknownNameError, match="did you mean 'novel'"):
        built_in("novle")


def test_an_installed_copy_comes_before_the_checkout(tmp_path, monkeypatch):
    """In a wheel there is no data folder: the package's own _texts is used."""
    package = tmp_path / "listen2lab"
    (package / "_texts").mkdir(parents=True)
    (package / "_texts" / "novel.md").write_text("x")
    monkeypatch.setattr(books, "__file__", str(package / "texts" / "books.py"))
    assert built_in("novel") == package / "_texts" / "novel.md"
    with pytest.raises(TextError, match="install the lab again"):
        built_in("technical")


# Plain text


def test_plain_text_is_split_at_blank_lines(text_file):
    """Lines of one paragraph join; lines of whitespace separate; all three line ends count."""
    path = text_file("One\ntwo.\n \t \nThree,\r\n\r\n\r\nfour\rfive.\n", "my book.txt")
    assert read_book(path).paragraphs == ("One two.", "Three,", "four five.")
    assert read_book(path).title == "my book"


def test_paragraphs_without_words_are_skipped_and_said(text_file):
    """A row of stars would be an empty call of the engine; the reader is told."""
    book = read_book(text_file("One\n\n* * *\n\n...\n\nT\0wo".replace("\0", "\x07")))
    assert book.paragraphs == ("One", "Two")
    assert book.notices == (
        Notice("text-silent-left-out", {"paragraphs": 2}),
        Notice("text-controls-left-out", {"characters": 1}),
    )


@pytest.mark.parametrize(
    ("encoding", "told"),
    [("utf-8", ""), ("utf-8-sig", ""), ("utf-16", "utf-16-le"), ("utf-32", "utf-32-le")],
)
def test_byte_order_marks_are_understood(text_file, encoding, told):
    """A mark at the start names the encoding and is not spoken."""
    book = read_book(text_file("Grüße, 世界".encode(encoding)))
    assert book.paragraphs == ("Grüße, 世界",)
    assert [notice.values["encoding"] for notice in book.notices] == ([told] if told else [])
    assert all(notice.values["said_by"] == "byte-order-mark" for notice in book.notices)


def test_big_endian_utf16_is_understood(text_file):
    """The other byte order, as some editors write it."""
    book = read_book(text_file(b"\xfe\xff" + "Hallo".encode("utf-16-be")))
    assert book.paragraphs == ("Hallo",)


def test_invalid_utf8_names_offset_line_and_cure(text_file):
    """The error says where the first bad byte is and what it probably means."""
    path = text_file(b"fine\n\nun caf\xe9 noir")
    with pytest.raises(TextError) as caught:
        read_book(path)
    message = str(caught.value)
    assert "byte 0xE9 at offset 12 (line 3)" in message
    assert "'un café noir'" in message
    assert "iconv" in message


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"", "a.txt", "is empty"),
        (b" \n\n\t\n", "a.txt", "nothing to speak"),
        (b"...\n\n!!!", "a.txt", "nothing to speak"),
        (b"\x7fELF\x02\x01\x01\0\0\0\0", "a.txt", "binary file"),
        ("hello".encode("utf-16-le"), "a.txt", "UTF-16 without a byte order mark"),
        (b"x" * 5000 + b"\0", "a.txt", "zero byte at offset 5000"),
        (b"\xff\xfeh", "a.txt", "not valid UTF-16"),
        (b"PK\x03\x04....", "a.txt", "rename it .epub"),
        (b"hello", "a.pdf", "reads .txt, .md and .epub"),
        (b"hello", "a", "reads .txt, .md and .epub"),
        (b"hello", "a.epub", "not a readable EPUB"),
    ],
)
def test_what_cannot_be_read_says_why(text_file, content, name, words):
    """Each kind of unusable file has its own sentence."""
    with pytest.raises(TextError, match=words):
        read_book(text_file(content, name))


def test_folders_pipes_and_missing_files_are_refused(tmp_path):
    """A folder called .txt does not raise something else, and a pipe does not hang."""
    (tmp_path / "folder.txt").mkdir()
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(TextError, match="is a folder"):
        read_book(tmp_path / "folder.txt")
    with pytest.raises(TextError, match="device, pipe or socket"):
        read_book(tmp_path / "pipe.txt")
    with pytest.raises(TextError, match="No such file"):
        read_book(tmp_path / "missing.txt")


def test_an_unreadable_file_is_refused(text_file):
    """Permission denied is a text error."""
    path = text_file("hello")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(TextError, match="Permission denied"):
        read_book(path)


def test_a_sparse_giant_is_refused_unread(tmp_path):
    """A file far larger than any book is refused by its size."""
    path = tmp_path / "log.txt"
    with path.open("wb") as stream:
        stream.truncate(2**40)
    with pytest.raises(TextError, match="was not read"):
        read_book(path)


@pytest.mark.parametrize(("size", "is_fine"), [(10_000, True), (10_001, False)])
def test_the_paragraph_limit_is_in_bytes(text_file, size, is_fine):
    """10,000 bytes of UTF-8 pass, one more does not, and the error names the paragraph."""
    words = "é" * ((size - 1) // 2) + "x" * (2 - size % 2)
    assert len(words.encode()) == size
    path = text_file(f"One\n\n{words}\n\nThree")
    if is_fine:
        assert len(read_book(path).paragraphs) == 3
        return
    with pytest.raises(TextError, match=r"paragraph 2 of 3 has 10,001 bytes.*blank line"):
        read_book(path)


# Markdown


MARKDOWN = {
    "# Title #": ["Title"],
    "Title\n===\nBody": ["Title", "Body"],
    "C#\n---\nx": ["C#", "x"],
    "# C#": ["C#"],
    "a *b* **c** ***d*** _e_ __f__ ~~g~~ **h *i* j**": ["a b c d e f g h i j"],
    "5 * 3 * 2 and snake_case_name and 2 ** 3": ["5 * 3 * 2 and snake_case_name and 2 ** 3"],
    "use `a*b*c` and ``d`` now": ["use a*b*c and d now"],
    r"\*not\* emphasis \`x\`": ["*not* emphasis `x`"],
    "[text](http://x.org/a_(b)) and [ref][1]\n\n[1]: http://x.org": ["text and ref"],
    "![a cat](cat.png) [![b](b.png)](http://x)": ["a cat b"],
    "<https://x.org/a> <me@x.org> a<br>b <b>c</b>": ["https://x.org/a me@x.org ab c"],
    "a < b and c > d\nwrapped > here": ["a < b and c > d wrapped > here"],
    "AT&amp;T &lt;b&gt; &copy;": ["AT&T <b> ©"],
    "- one\n- two\n  more\n* [x] three\n1. four": ["one", "two more", "three", "1. four"],
    "> quoted\n> on\n\n> > deep": ["quoted on", "deep"],
    "a\n\n---\n\n***\n\n- - -\n\nb\n***\nc": ["a", "b", "c"],
    "---\ntitle: x\n---\nbody": ["body"],
    "| a | b |\n|---|:-:|\n| c | d \\| e |": ["a, b", "c, d | e"],
    "```py\nx = *y*\n\nz\n```\nafter": ["x = *y*", "z", "after"],
    "- item\n\n    ```\n    code\n    ```\n\nafter": ["item", "code", "after"],
    "> ```\n> a > b\n> ```\nafter": ["a > b", "after"],
    "~~~\n``` # no heading\n~~~\nafter": ["``` # no heading", "after"],
    "```never closed": [],
    "```\nnever closed": ["never closed"],
    "``` inline ``` text": ["inline text"],
    "a<!-- b\n\nc -->d": ["ad"],
    "a <!-- open": ["a <!-- open"],
    "note[^1]\n\n[^1]: the *note*": ["note", "the note"],
    "line\\\nbreak  \nhere": ["line break here"],
}


@pytest.mark.parametrize("source", MARKDOWN)
def test_markdown_is_reduced_to_what_is_spoken(source):
    """Marks go, words stay; code keeps its own marks."""
    _, paragraphs, _ = _markdown.blocks(source)
    assert [speakable(p) for p in paragraphs if p.strip()] == MARKDOWN[source]


def test_markdown_files_have_their_heading_as_title(text_file):
    """The first heading names the book, and what was left out is noted."""
    book = read_book(text_file("---\na: b\n---\n\n# *My* book\n\nHello.<!-- x -->", "x.md"))
    assert book.title == "My book"
    assert book.paragraphs == ("My book", "Hello.")
    assert book.notices == (
        Notice("text-header-left-out"),
        Notice("text-comments-left-out", {"comments": 1}),
    )


@given(st.text(alphabet='ab \n#*_`~[]()<>!|-=\\&;1.:^"\t', max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_markdown_keeps_its_letters(source):
    """No input raises; outside links, tags, comments and info strings no letter is lost."""
    _, paragraphs, _ = _markdown.blocks(source)
    spoken = "".join(paragraphs)
    assert "\0" not in spoken
    if not set(source) & set("[]<>`~&-"):
        assert [c for c in spoken if c in "ab"] == [c for c in source if c in "ab"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit",
    [
        "[",
        "![",
        "*",
        "_",
        "`",
        "<",
        "<a",
        "**a ",
        "_a ",
        "> ",
        "<!--",
        "|",
        "\\",
        "~~",
        "[a](",
        "- ",
        "# ",
        "a*b ",
    ],
)
def test_hostile_markdown_takes_no_quadratic_time(unit):
    """Four times as many characters of any mark take no sixteen times as long."""

    def cpu_s(n):
        start = time.process_time()
        _markdown.blocks(unit * (n // len(unit)))
        return time.process_time() - start

    # Quadratic would be 16: a ratio, because coverage's tracing takes most of the time.
    assert cpu_s(200_000) < 9 * cpu_s(50_000) + 0.5


@pytest.mark.parametrize(("unit", "n"), [("* ", 150), ("> ", 150), ("1. ", 150)])
def test_what_is_nested_without_end_is_left_out_and_said(unit, n):
    """Two hundred levels of lists are nobody's text; what is in them does not vanish silently."""
    _, paragraphs, notices = _markdown.blocks("Before.\n\n" + unit * n * 2 + "deep")
    assert "Before." in paragraphs
    assert [notice.code for notice in notices] == ["text-nesting-left-out"]


# EPUB


def test_an_epub_is_read_in_the_order_of_its_spine(tmp_path):
    """Blocks become paragraphs; head, scripts and navigation are not spoken."""
    path = make_epub(
        tmp_path / "b.epub",
        [
            ("two.xhtml", PAGE.format("<p>Third<br/>line &amp; <i>last</i></p>")),
            (
                "ch%20one.xhtml",
                PAGE.format(
                    "<nav><p>contents</p></nav><h1>First</h1><div>loose <p>Second</p> end</div>"
                    "<script>x</script><table><tr><td>a</td> <td><b>b</b></td></tr></table>"
                    "<p>, kept</p><p>&#160;</p>"
                ),
            ),
        ],
        refs='<itemref idref="c1"/><itemref idref="c0"/><itemref idref="c1"/>',
        title="Sea &amp; Sky",
    )
    book = read_book(path)
    assert book.title == "The Sea & Sky"
    assert book.paragraphs == (
        "First", "loose", "Second", "end", "a, b", ", kept", "Third line & last",
    )  # fmt: skip


def test_an_epub_may_declare_its_character_set(tmp_path):
    """Old books are not all UTF-8; UTF-16 and declared Latin-1 are read and noted."""
    latin = b'<?xml version="1.0" encoding="ISO-8859-1"?>' + PAGE.format("<p>caf\xe9</p>").encode(
        "latin-1"
    )
    path = make_epub(
        tmp_path / "b.epub",
        [("a.xhtml", latin), ("b.xhtml", PAGE.format("<p>naïve</p>").encode("utf-16"))],
    )
    book = read_book(path)
    assert book.paragraphs == ("café", "naïve")
    assert [notice.values["said_by"] for notice in book.notices] == [
        "declaration",
        "byte-order-mark",
    ]


def test_documents_outside_the_reading_order_are_noted(tmp_path):
    """linear="no" is for what a reader does not meet on the way."""
    path = make_epub(
        tmp_path / "b.epub",
        [("a.xhtml", PAGE.format("<p>a</p>")), ("b.xhtml", PAGE.format("<p>b</p>"))],
        refs='<itemref idref="c0"/><itemref idref="c1" linear="no"/>',
    )
    book = read_book(path)
    assert book.paragraphs == ("a",)
    assert book.notices == (Notice("text-documents-left-out", {"documents": 1}),)


@pytest.mark.parametrize(
    ("algorithm", "is_locked"),
    [
        ("http://www.w3.org/2001/04/xmlenc#aes128-cbc", True),
        ("http://www.idpf.org/2008/embedding", False),
    ],
)
def test_locked_books_are_refused_and_scrambled_fonts_are_not(tmp_path, algorithm, is_locked):
    """DRM is told from font scrambling by its algorithm and what it covers."""
    encryption = (
        '<encryption xmlns:e="http://www.w3.org/2001/04/xmlenc#"><e:EncryptedData>'
        f'<e:EncryptionMethod Algorithm="{algorithm}"/><e:CipherData>'
        '<e:CipherReference URI="OPS/a.xhtml"/></e:CipherData></e:EncryptedData></encryption>'
    )
    path = make_epub(
        tmp_path / "b.epub",
        [("a.xhtml", PAGE.format("<p>a</p>"))],
        extra=[("META-INF/encryption.xml", encryption)],
    )
    if is_locked:
        with pytest.raises(TextError, match="copy-protected"):
            read_book(path)
    else:
        assert read_book(path).paragraphs == ("a",)


def test_a_password_is_refused(tmp_path):
    """A member with the encryption flag is locked too."""
    path = make_epub(tmp_path / "b.epub", [("a.xhtml", PAGE.format("<p>a</p>"))])
    data = bytearray(path.read_bytes())
    at = 0
    while (at := data.find(b"PK\x01\x02", at)) >= 0:
        data[at + 8] |= 1
        at += 4
    path.write_bytes(data)
    with pytest.raises(TextError, match="copy-protected"):
        read_book(path)


def test_entity_bombs_are_refused(tmp_path):
    """A package that declares entities is refused before anything is expanded."""
    bomb = '<!DOCTYPE p [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><package>&b;</package>'
    path = tmp_path / "b.epub"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("META-INF/container.xml", CONTAINER)
        archive.writestr("OPS/book.opf", bomb)
    with pytest.raises(TextError, match="declares entities"):
        read_book(path)


@pytest.mark.parametrize(
    ("page", "spoken"),
    [
        ("<p>a<![foo</p>", None),
        ("<div>" * 20_000 + "deep", ("deep",)),
        ("<head><title>no<body><p>yes", ("yes",)),
        ("<title/><p>a</p><script/><p>b<!-- c --></p>", ("a", "b")),
        ("<tr><td>a</td><td></td><td>b", ("a, b",)),
        ("x", ("x",)),
    ],
)
def test_pages_that_are_no_good_xhtml(tmp_path, page, spoken):
    """What books hold in truth: it is read as far as it goes, or refused as a text."""
    path = make_epub(tmp_path / "b.epub", [("a.xhtml", page)])
    if spoken is None:
        with pytest.raises(TextError):
            read_book(path)
    else:
        assert read_book(path).paragraphs == spoken


def test_zip_bombs_are_refused_by_ratio_and_by_total(tmp_path, monkeypatch):
    """What is unpacked is counted; neither one member nor many may exceed a book."""
    zeros = PAGE.format("<p>" + " " * 30_000_000 + "</p>")
    path = make_epub(tmp_path / "b.epub", [("a.xhtml", zeros)])
    with pytest.raises(TextError, match="zip bomb"):
        read_book(path)
    monkeypatch.setattr(_epub, "MAX_TEXT_BYTES", 10_000)
    page = PAGE.format("<p>words</p>" * 50)
    path = make_epub(tmp_path / "c.epub", [(f"{i}.xhtml", page) for i in range(30)])
    with pytest.raises(TextError, match="zip bomb"):
        read_book(path)


def test_a_lying_directory_does_not_get_past_the_count(tmp_path):
    """Sizes in the archive's directory are changed to small ones; nothing is unpacked for it."""
    zeros = PAGE.format("<p>" + " " * 30_000_000 + "</p>")
    path = make_epub(tmp_path / "b.epub", [("a.xhtml", zeros)])
    data = bytearray(path.read_bytes())
    real = len(zeros).to_bytes(4, "little")
    assert data.count(real) == 2  # local header and directory
    path.write_bytes(bytes(data).replace(real, (1000).to_bytes(4, "little")))
    with pytest.raises(TextError):
        read_book(path)


def test_too_many_members_are_refused(tmp_path, monkeypatch):
    """An archive of a million empty files is no book."""
    monkeypatch.setattr(_epub, "MAX_MEMBERS", 3)
    with pytest.raises(TextError, match="members"):
        read_book(make_epub(tmp_path / "b.epub", [("a.xhtml", "x")]))


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({}, "no META-INF/container.xml"),
        ({"META-INF/container.xml": "<container>"}, "cannot be parsed"),
        ({"META-INF/container.xml": "<container/>"}, "names no package"),
        ({"META-INF/container.xml": CONTAINER}, "'OPS/book.opf', which is not in the archive"),
        (
            {"META-INF/container.xml": CONTAINER, "OPS/book.opf": "<package/>"},
            "lists nothing to read",
        ),
    ],
)
def test_broken_epubs_say_what_is_broken(tmp_path, members, words):
    """Each missing piece is named."""
    path = tmp_path / "b.epub"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        for name, body in members.items():
            archive.writestr(name, body)
    with pytest.raises(TextError, match=words):
        read_book(path)


def test_a_chapter_packed_with_lzma_is_refused(tmp_path):
    """EPUB allows stored and deflated members only."""
    path = make_epub(tmp_path / "b.epub", [("a.xhtml", "x")], compression=zipfile.ZIP_LZMA)
    with pytest.raises(TextError, match="does not allow"):
        read_book(path)


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_damaged_epub_is_read_or_refused(tmp_path_factory, data):
    """Any byte changed, any tail cut: a book or a TextError, never anything else."""
    folder = tmp_path_factory.getbasetemp() / "fuzz"
    folder.mkdir(exist_ok=True)
    whole = folder / "whole.epub"
    if not whole.exists():
        make_epub(whole, [("a.xhtml", PAGE.format("<p>Some words to read.</p>" * 20))])
    content = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content))) :]
    damaged = folder / "damaged.epub"
    damaged.write_bytes(content)
    try:
        book = read_book(damaged)
    except TextError:
        return
    assert book.paragraphs


# Sentences


ANY_TEXT = st.text(alphabet=st.sampled_from("ab c.?!:;,-\"') \n\t—é"), max_size=300)


def test_speakable_does_two_things_only():
    """Whitespace collapses and controls vanish; everything else stays."""
    assert speakable("  a\u00a0\tb\nc\x1b[0m\x00\u00add\u2028e ") == "a b c[0m\u00add e"


@given(st.text(max_size=200))
def test_speakable_is_idempotent(text):
    """Twice is once."""
    assert speakable(speakable(text)) == speakable(text)


def test_sentences_end_where_a_space_follows_the_mark():
    """Decimals, quotes and a text without an end."""
    text = 'He paid 3.50. "Why?" she asked. (Really!) Note: it was late... and then'
    assert split_sentences(text) == [
        "He paid 3.50.", '"Why?"', "she asked.", "(Really!)", "Note:", "it was late...", "and then",
    ]  # fmt: skip
    assert split_sentences(" ") == []


@given(ANY_TEXT, st.integers(1, 60))
@settings(max_examples=300)
def test_splitting_loses_nothing(text, limit):
    """Joined pieces are the speakable text; none is longer than the limit unless one word is."""
    assert " ".join(split_sentences(text)) == speakable(text)
    pieces = split_long(text, limit)
    assert " ".join(pieces) == speakable(text)
    assert all(piece for piece in pieces)
    assert all(len(piece) <= limit or " " not in piece for piece in pieces)


def test_long_sentences_are_cut_at_commas_before_spaces():
    """A comma in the second half of what fits is preferred to the last space."""
    assert split_long("one two three, four five six", 20) == ["one two three,", "four five six"]
    assert split_long("a, bcd efg hij klm", 12) == ["a, bcd efg", "hij klm"]
    (long,) = read_book(built_in("long_sentence")).paragraphs
    pieces = split_long(long, 185)
    assert max(map(len, pieces)) <= 185
    assert sum(piece.endswith(",") for piece in pieces) >= len(pieces) - 3


def test_a_limit_below_one_is_a_mistake():
    """A programming error, not a user's."""
    with pytest.raises(ValueError, match="at least 1"):
        split_long("a", 0)


@pytest.mark.parametrize(
    ("text", "longest"),
    [
        ("", 0),
        ("abc", 3),
        ("ab. cde", 4),
        ("3.5", 2),
        ("one; two, three", 15),
        ("a:bc!d?", 3),
        ("...", 1),
    ],
)
def test_the_longest_sentence_is_counted_as_the_engine_splits(text, longest):
    """Every . : ? ! ends a sentence there, and nothing else does."""
    assert longest_sentence(text) == longest


def test_a_shortened_paragraph_keeps_its_sentences():
    """Of a sentence that is too long the first piece stays, with its last mark."""
    assert shorten("Short. This one, however, goes on and on.", 12) == "Short. This one."
    (long,) = read_book(built_in("long_sentence")).paragraphs
    assert len(shorten(long, 185)) <= 185


def test_every_notice_has_its_sentence():
    """What was left out of a text can be told in words, with nothing missing in them."""
    for notice in (
        Notice("text-header-left-out"),
        Notice("text-silent-left-out", {"paragraphs": 2}),
        Notice("text-decoded", {"name": "a", "encoding": "utf-16-le", "said_by": "declaration"}),
    ):
        assert notice.code in TEMPLATES
        assert not set(say(notice)) & set("{}")


def test_what_a_worker_needs_of_texts_is_light():
    """Cutting sentences needs no parser, no zipfile and no pathlib."""
    code = (
        "import sys, listen2lab.texts.sentences;"
        "heavy = ('zipfile', 'pathlib', 'html.parser', 'xml', 'json', 'msgspec', 'bs4');"
        "print([m for m in heavy if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert found.stdout.strip() == "[]"
