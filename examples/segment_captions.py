"""Find the phrases of a caption, the tokens that say them, and draw them.

    python examples/segment_captions.py "A man in a red hat walks two dogs." --picture caption.svg

The picture is an SVG, which any browser shows.
"""

from pathlib import Path
from typing import Annotated

import open_clip
import typer

from harmoclip.draw import draw_phrases
from harmoclip.segment import CaptionSegmenter, align


def main(
    caption: Annotated[str, typer.Argument()] = "A man in a red hat walks two dogs on top of a hill.",
    picture: Annotated[Path | None, typer.Option(help="SVG to write")] = None,
) -> None:
    segment = CaptionSegmenter(keep_all=True)
    tokenizer = open_clip.get_tokenizer("ViT-B-32")
    phrases = segment(caption)
    spans = align(tokenizer)(caption, [(phrase.start, phrase.end) for phrase in phrases])
    for phrase, span in zip(phrases, spans, strict=True):
        attributes = ", ".join(f"{attribute.text} ({attribute.kind})" for attribute in phrase.attributes)
        print(f"{phrase.text!r:24} head {phrase.head.lemma:10} tokens {span.start}:{span.end} {span.status}")
        print(f"{'':24} {attributes or 'no attributes'}; {phrase.reason or 'can be grounded'}")
        for relation in phrase.relations:
            print(f"{'':24} {relation.text} -> {phrases[relation.object].text}")
    if picture is not None:
        picture.write_text(draw_phrases(caption, phrases), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
