"""Class names in sentences: the prompt ensembles of the field."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from harmoclip.errors import InputError, unknown_name
from harmoclip.tensors import l2_normalize

Prompts = Literal["name", "photo", "vild", "imagenet"]

# the choice of words is ViLD's (arXiv 2104.13921); CLIPSelf, FineCLIP and DenseVLM use the same
_OPENINGS = (
    "There is {one} in the scene.", "There is the {name} in the scene.", "a photo of {one} in the scene.",
    "a photo of the {name} in the scene.", "a photo of one {name} in the scene.", "itap of {one}.",
    "itap of my {name}.", "itap of the {name}.", "a photo of {one}.", "a photo of my {name}.",
    "a photo of the {name}.", "a photo of one {name}.", "a photo of many {name}.",
)  # fmt: skip
_THINGS = ("nice", "cool", "weird", "small", "large", "clean", "dirty", "hard to see")
_PHOTOS = (
    "good", "bad", "bright", "dark", "low resolution", "cropped", "close-up", "jpeg corrupted", "blurry",
    "pixelated", "black and white",
)  # fmt: skip
_ARTICLE = re.compile(r"^\s*(?:an?|the)\s+(?=\S)", re.IGNORECASE)
_MADE_OF = ("plastic", "toy", "plushie", "cartoon", "embroidered")


def vild_sentences(name: str) -> list[str]:
    """The 63 sentences of ViLD for a class name, those that begin with an article opened by "This is".

    Example:
        >>> vild_sentences("apple")[0], len(vild_sentences("apple"))
        ('There is an apple in the scene.', 63)
    """
    one = f"{article(name)} {name}"
    texts = [opening.format(one=one, name=name) for opening in _OPENINGS]
    for word in _PHOTOS:
        texts += [f"a {word} photo of {one}.", f"a {word} photo of the {name}."]
    for word in _THINGS:
        texts += [f"a photo of a {word} {name}.", f"a photo of the {word} {name}."]
    for word in _MADE_OF:
        texts += [f"{article(word)} {word} {name}.", f"the {word} {name}."]
    texts += [f"a painting of the {name}.", f"a painting of a {name}."]
    return [f"This is {text}" if text.startswith(("a", "the")) else text for text in texts]


def sentences(name: str, prompts: Prompts) -> list[str]:
    """The texts whose mean vector stands for a class.

    Args:
        name: The class name; underscores are read as spaces, and sentences bring their own article.
        prompts: `name` alone, one `photo` of it, the 63 sentences of `vild`, or the 80 of CLIP on `imagenet`.

    Raises:
        InputError: The name of the ensemble is unknown.
    """
    name = name.replace("_", " ")
    if prompts == "name":
        return [name]
    name = _ARTICLE.sub("", name)
    if prompts == "photo":
        return [f"a photo of {with_article(name)}."]
    if prompts == "vild":
        return vild_sentences(name)
    if prompts == "imagenet":
        from open_clip import OPENAI_IMAGENET_TEMPLATES

        return [template(name) for template in OPENAI_IMAGENET_TEMPLATES]
    raise InputError(f"prompts is {prompts!r}: expected name, photo, vild or imagenet.")


def checked_prompts(prompts: str) -> Prompts:
    """The ensemble of that name, or an InputError that lists what is known."""
    known: tuple[Prompts, ...] = get_args(Prompts)
    if prompts not in known:
        raise InputError(unknown_name("prompts are", prompts, known))
    return known[known.index(prompts)]


def class_vectors(names: Sequence[str], prompts: Prompts, encode: Callable[[list[str]], Tensor]) -> Tensor:
    """One vector a class, `[K, D]`: the mean of its sentences' normalized vectors.

    Args:
        names: The classes.
        prompts: The sentences that stand for one, see `sentences`.
        encode: Texts to vectors `[N, D]`.
    """
    return mean_vectors([sentences(name, prompts) for name in names], encode)


def mean_vectors(texts: Sequence[Sequence[str]], encode: Callable[[list[str]], Tensor]) -> Tensor:
    """The mean `[K, D]` of the normalized vectors of each group of texts.

    Args:
        texts: K groups.
        encode: Texts to vectors `[N, D]`.
    """
    vectors = l2_normalize(encode([text for group in texts for text in group]))
    return torch.stack([group.mean(0) for group in vectors.split([len(group) for group in texts])])


def with_article(name: str) -> str:
    """A name as a caption says it, which is what regions learn from; an article of its own is replaced.

    Example:
        >>> with_article("dog"), with_article("an orange")
        ('a dog', 'an orange')
    """
    name = _ARTICLE.sub("", name)
    return f"{article(name)} {name}"


def article(word: str) -> str:
    """`a` or `an`, by the first letter."""
    return "an" if word[0].lower() in "aeiou" else "a"
