"""Load a spaCy pipeline with only the components that the segmenter needs."""

from typing import TYPE_CHECKING

from harmoclip.errors import InputError, MissingDependencyError

if TYPE_CHECKING:
    from spacy.language import Language

_UNUSED = ("ner", "entity_linker", "entity_ruler", "senter", "textcat")


def load_pipeline(name: str) -> "Language":
    """Load a spaCy pipeline without the components that segmenting does not use.

    Args:
        name: A pipeline's package or folder.

    Raises:
        MissingDependencyError: Nothing is installed under the name.
        InputError: The pipeline has no parser.
    """
    import spacy

    try:
        nlp = spacy.load(name, exclude=_UNUSED)
    except OSError as error:
        raise MissingDependencyError(
            f"No spaCy pipeline {name!r} is installed ({error}). Install it, for example with "
            f"`python -m spacy download {name}`, or give the path of its folder. English needs none."
        ) from error
    check_pipeline(nlp)
    return nlp


def check_pipeline(nlp: "Language") -> None:
    """Raise InputError unless the pipeline gives what noun phrases are found by."""
    if "parser" not in nlp.pipe_names:
        raise InputError(
            f"The segmenter needs a spaCy pipeline with a dependency parser; this one ({nlp.lang}) has only "
            f"[{', '.join(nlp.pipe_names)}]. Use one such as fr_core_news_sm."
        )
    if "noun_chunks" not in (nlp.Defaults.syntax_iterators or {}):
        raise InputError(
            f"spaCy has no noun chunks for the language {nlp.lang!r}, so it cannot be segmented."
        )


def unused_components(nlp: "Language") -> list[str]:
    """Components of a pipeline that segmenting can do without."""
    return [name for name in nlp.pipe_names if name in _UNUSED]
