import copy
import functools
import html
import pickle
import string
import warnings

import open_clip
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from harmoclip.errors import InputError
from harmoclip.segment import TokenSpan, align
from tests.helpers.tokenizers_to_align import FAST, behind_open_clip

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its import of pkg_resources is deprecated
    clip = pytest.importorskip("clip", reason="OpenAI's clip is not installed")

WORDS = [
    *("a man", "Red HAT", "dogs", "café", "cafe\u0301", "naïve", "don't", "t-shirt", "12", "3.5", "x" * 30),
    *(
        "“quoted”",
        "‘single’",
        "fish &amp; chips",
        "&lt;b&gt;",
        "&#233;",
        "&amp;quot;",
        "AT&T",
        "é",
        "🐶",
        "👩‍👩‍👧",
        "🇫🇷",
    ),
    *(
        "schÃ¶n",
        "â€œhiâ€\x9d",
        "ﬁre",
        "İstanbul",
        "ΟΔΟΣ",
        "犬と猫",
        "שלום",
        "a\u00a0b",
        "!!",
        "...",
        "''",
        "<start_of_text>",
    ),
    *("</w>", "\u200b", "\x07bell", "ＦＵＬＬ", "½", "[SEP]", "▁", "#", "@user", "http://a.b/c?d=e&f"),
]
SEPARATORS = [" ", "  ", "\n", "\t", "", "-", ", "]


@st.composite
def captions(draw: st.DrawFn) -> tuple[str, list[tuple[int, int]]]:
    """A caption of odd words, and spans over its words, over several of them, and anywhere."""
    text, edges = "", []
    for word in draw(st.lists(st.sampled_from(WORDS) | st.text(max_size=6), min_size=1, max_size=12)):
        text += draw(st.sampled_from(SEPARATORS)) if text else draw(st.sampled_from(["", " "]))
        edges.append((len(text), len(text) + len(word)))
        text += word
    spans = [(a, b) for a, b in edges if a < b]
    spans += [
        (spans[i][0], spans[j][1]) for i in range(len(spans)) for j in range(i + 1, min(i + 3, len(spans)))
    ]
    cut = draw(st.integers(0, max(len(text) - 1, 0)))
    if text:
        spans.append((cut, draw(st.integers(cut + 1, len(text)))))
    return text, spans


def squash(text: str) -> str:
    return "".join(text.split())


SIMPLE = open_clip.get_tokenizer("ViT-B-32")
CANONICAL = open_clip.SimpleTokenizer(clean="canonicalize", context_length=16)
CASED = open_clip.SimpleTokenizer(clean="whitespace")


def openai_rows(texts: list[str]) -> object:
    return clip.tokenize(texts, truncate=True)


@pytest.mark.parametrize(
    ("tokenizer", "row", "clean"),
    [
        (SIMPLE, SIMPLE, SIMPLE.clean_fn),
        (CANONICAL, CANONICAL, CANONICAL.clean_fn),
        (CASED, CASED, CASED.clean_fn),
        (clip.tokenize, openai_rows, SIMPLE.clean_fn),
    ],
    ids=["simple", "canonicalize", "cased", "openai"],
)
def test_byte_pair_tokens_decode_to_the_phrase(tokenizer, row, clean):
    aligner = align(tokenizer)

    @settings(max_examples=80, derandomize=True, deadline=None, phases=[Phase.explicit, Phase.generate])
    @given(captions())
    def law(case):
        caption, spans = case
        ids = row([caption])[0].tolist()
        for (start, end), span in zip(spans, aligner(caption, spans), strict=True):
            if span.status == "exact":
                says = SIMPLE.decode(ids[span.start : span.end])
                assert squash(says).casefold() == squash(clean(caption[start:end])).casefold()
            else:
                assert span == TokenSpan(0, 0, span.status)

    law()


@pytest.fixture(scope="module", params=list(FAST))
def fast(request):
    return FAST[request.param]()


def test_fast_tokens_decode_to_the_phrase(fast):
    options = {"truncation": True, "max_length": 24}
    aligner = align(functools.partial(fast, **options))
    normalizer = fast.backend_tokenizer.normalizer
    unknown = {fast.unk_token_id} - {None}

    def normal(text):
        return squash((normalizer.normalize_str(text) if normalizer else text).replace("▁", " "))

    @settings(max_examples=60, derandomize=True, deadline=None, phases=[Phase.explicit, Phase.generate])
    @given(captions())
    def law(case):
        caption, spans = case
        ids = fast([caption], **options)["input_ids"][0]
        for (start, end), span in zip(spans, aligner(caption, spans), strict=True):
            chosen = ids[span.start : span.end]
            if span.status == "exact" and not unknown & set(chosen):
                assert normal(fast.decode(chosen)) == normal(caption[start:end])

    law()


PLAIN = "A man in a red hat walks two dogs, near the man's  small “wooden” bench &amp; a table."


def spans_of(caption: str, *phrases: str) -> list[tuple[int, int]]:
    return [(caption.index(phrase), caption.index(phrase) + len(phrase)) for phrase in phrases]


PHRASES = ("A man", "a red hat", "two dogs", "the man's", "“wooden” bench", "a table")


@pytest.mark.parametrize("tokenizer", [SIMPLE, CASED, CANONICAL, clip.tokenize])
def test_ordinary_phrases_are_found(tokenizer):
    length = 16 if tokenizer is CANONICAL else 77
    for span in align(tokenizer)(PLAIN, spans_of(PLAIN, *PHRASES)):
        assert span.status == ("exact" if length == 77 or span.end else "truncated")


def test_ordinary_phrases_are_found_by_fast_tokenizers(fast):
    assert {span.status for span in align(fast)(PLAIN, spans_of(PLAIN, *PHRASES))} == {"exact"}


@pytest.mark.parametrize("name", ["bert", "t5", "gemma", "clip"])
@pytest.mark.parametrize("clean", ["whitespace", "canonicalize", "lower"])
def test_open_clip_wrapper(tmp_path, name, clean):
    tokenizer = behind_open_clip(tmp_path, name, context_length=20, clean=clean)
    spans = align(tokenizer)(PLAIN, spans_of(PLAIN, *PHRASES))
    row = tokenizer([PLAIN])[0].tolist()
    assert len(row) == 20
    assert spans[0].status == "exact"
    for phrase, span in zip(PHRASES, spans, strict=True):
        assert span.status in ("exact", "truncated")
        if span.status == "exact":
            says = tokenizer.tokenizer.decode(row[span.start : span.end])
            assert squash(says).casefold() == squash(tokenizer.clean_fn(phrase)).casefold()


def test_open_clip_clips_mode(tmp_path):
    tokenizer = behind_open_clip(tmp_path, "roberta", context_length=40, tokenizer_mode="clips")
    span = align(tokenizer)("a red hat on a man", [(0, 9)])[0]
    row = tokenizer(["a red hat on a man"])[0].tolist()
    assert tokenizer.tokenizer.decode(row[span.start : span.end]) == "a red hat"


def test_siglip_wrapper():
    tokenizer = open_clip.tokenizer.SigLipTokenizer.__new__(open_clip.tokenizer.SigLipTokenizer)
    tokenizer.tokenizer, tokenizer.context_length = FAST["t5"](), 64
    caption = "A man's red hat, _and_ two dogs!"
    spans = align(tokenizer)(caption, spans_of(caption, "A man's", "red hat", "two dogs"))
    row = tokenizer([caption])[0].tolist()
    says = [tokenizer.tokenizer.decode(row[span.start : span.end]) for span in spans]
    assert says == ["a mans", "red hat", "two dogs"]


def test_repeated_phrases_keep_their_places():
    caption = "a  dog next to a dog &amp; a dog"
    starts = [i for i in range(len(caption)) if caption.startswith("dog", i)]
    spans = align(SIMPLE)(caption, [(i, i + 3) for i in starts])
    assert [(span.start, span.end) for span in spans] == [(2, 3), (6, 7), (9, 10)]


def test_mended_text_elsewhere_does_not_hide_a_phrase():
    caption = "a schÃ¶n dog — and a cat with <b> &EACUTE; &eacute;"
    assert align(SIMPLE)(caption, spans_of(caption, "dog", "a cat"))[1].status == "exact"


@pytest.mark.parametrize("length", [8, 20])
def test_truncated_is_reported(length):
    caption = "a man and " * 40 + "a dog"
    tokenizer = open_clip.SimpleTokenizer(context_length=length)
    first, last = align(tokenizer)(caption, [(0, 5), (len(caption) - 5, len(caption))])
    assert first == TokenSpan(1, 3, "exact")
    assert last == TokenSpan(0, 0, "truncated")


def test_truncation_keeps_the_last_whole_phrase():
    tokenizer = open_clip.SimpleTokenizer(context_length=6)
    spans = align(tokenizer)("one two three four", [(4, 7), (14, 18), (8, 18)])
    assert spans == [TokenSpan(2, 3, "exact"), TokenSpan(4, 5, "exact"), TokenSpan(3, 5, "exact")]
    tokenizer = open_clip.SimpleTokenizer(context_length=5)
    spans = align(tokenizer)("one two three four", [(8, 13), (14, 18), (8, 18)])
    assert [span.status for span in spans] == ["exact", "truncated", "truncated"]


def test_left_padding_moves_positions():
    tokenizer = FAST["roberta"]()
    tokenizer.padding_side = "left"
    row = functools.partial(tokenizer, padding="max_length", max_length=30, return_tensors="pt")
    span = align(row)("a red hat", [(2, 9)])[0]
    ids = row(["a red hat"])["input_ids"][0].tolist()
    assert tokenizer.decode(ids[span.start : span.end]).strip() == "red hat"
    assert span.start > 10


def test_part_of_a_token_is_not_found():
    assert align(SIMPLE)("a giraffe", [(2, 5)]) == [TokenSpan(0, 0, "not_found")]
    assert align(SIMPLE)("  a giraffe", [(0, 2)]) == [TokenSpan(0, 0, "not_found")]
    assert align(CANONICAL)("a ! giraffe", [(2, 3)]) == [TokenSpan(0, 0, "not_found")]


def test_context_length_of_a_partial():
    short = functools.partial(SIMPLE, context_length=4)
    assert [s.status for s in align(short)("a red hat", [(0, 1), (6, 9)])] == ["exact", "truncated"]


@pytest.mark.parametrize("span", [(3, 3), (-1, 2), (0, 99), (4, 2)])
def test_impossible_spans_are_errors(span):
    with pytest.raises(InputError, match=r"Span 1 is .* expected 0 <= start < end <= 9"):
        align(SIMPLE)("a red hat", [(0, 1), span])


@pytest.mark.parametrize(
    "tokenizer", [string.capwords, html.escape, object(), open_clip.SimpleTokenizer(reduction_mask="simple")]
)
def test_tokenizers_that_cannot_be_aligned(tokenizer):
    with pytest.raises(InputError):
        align(tokenizer)


def test_aligner_travels_to_workers():
    aligner = pickle.loads(pickle.dumps(align(SIMPLE)))
    assert aligner("a red hat", [(2, 9)]) == [TokenSpan(2, 4, "exact")]


@pytest.mark.parametrize("name", FAST)
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_of_a_fast_tokenizer_finds_the_same(name, copied):
    tokenizer = FAST[name]()
    found = align(tokenizer)("a man walks two dogs", [(2, 5), (12, 20)])
    assert {span.status for span in found} == {"exact"}
    assert align(copied(tokenizer))("a man walks two dogs", [(2, 5), (12, 20)]) == found


@pytest.mark.parametrize("phrase", ["-white cat", "white cat", "s tail", "A black", "at", "rap"])
def test_part_of_a_word_is_not_found(phrase):
    caption = "A black-and-white cat's tail and a trap."
    start = caption.rindex(phrase)
    assert align(SIMPLE)(caption, [(start, start + len(phrase))])[0].status == "not_found"
