"""The segmenter as a component of a spaCy pipeline: `nlp.add_pipe("harmoclip_segmenter")`."""

from spacy.language import Language
from spacy.tokens import Doc

from harmoclip.segment.segmenter import CaptionSegmenter


@Language.factory("harmoclip_segmenter", default_config={"spans_key": "phrases", "keep_all": False})
def make_component(nlp: Language, name: str, spans_key: str, keep_all: bool) -> "SegmenterComponent":
    """Make the component; in a language other than English it must stand after the parser."""
    return SegmenterComponent(nlp, spans_key, keep_all)


class SegmenterComponent:
    """Writes phrases to `doc.spans[spans_key]`, labelled "phrase" or by why they cannot be grounded."""

    def __init__(self, nlp: Language, spans_key: str, keep_all: bool) -> None:
        self.segmenter = CaptionSegmenter(None if nlp.lang == "en" else nlp, keep_all=keep_all)
        self.spans_key = spans_key

    def __call__(self, doc: Doc) -> Doc:
        """Add the span group to the Doc; a phrase that ends inside a token of the Doc takes in all of it."""
        english = self.segmenter.nlp is None
        phrases = self.segmenter(doc.text) if english else self.segmenter.phrases(doc)
        doc.spans[self.spans_key] = [
            doc.char_span(p.start, p.end, label=p.reason or "phrase", alignment_mode="expand")
            for p in phrases
        ]
        return doc
