"""The one list of options: for Python, configuration files and commands, and the terms they ask for."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, Self

from harmoclip.errors import InputError
from harmoclip.losses.distillation import TeacherTerm
from harmoclip.losses.global_contrastive import CaptionContrast, GlobalContrastiveTerm
from harmoclip.losses.global_region import GlobalRegion, GlobalRegionTerm
from harmoclip.losses.hard_negative import HardNegativeTerm
from harmoclip.losses.lexeme_region import LexemeRegionTerm
from harmoclip.losses.positives import Positives
from harmoclip.losses.terms import Term
from harmoclip.losses.weights import Weight, checked_weights

Lexemes = Literal["spans", "phrases", "both"]
Temperatures = Literal["shared", "separate"]

# every term that a harmonized model can have: a new one is a line here
TERMS: tuple[type[Term], ...] = (
    GlobalContrastiveTerm,
    LexemeRegionTerm,
    GlobalRegionTerm,
    HardNegativeTerm,
    TeacherTerm,
)


def default_weights() -> dict[str, Weight]:
    """The weight of each term, unless the user gives another.

    Example:
        >>> default_weights()["lexeme_region"]
        1.0
    """
    return {term.name: term.weight for term in TERMS}


@dataclass(frozen=True)
class Options:
    """What `harmonize` does with a model: the one list of its options, for Python, files and commands.

    Args:
        dense: The kind of dense image feature, such as `plain`, `value` or `self`; the tower's default where
            it is None. `harmo.towers.image.kinds` lists those of a model.
        normalize_dense: Project every patch into the joint space and give it L2 norm 1 before boxes pool
            them, as CLIPSelf and FineCLIP do, instead of pooling first. Costs more.
        lexemes: What a phrase is: its tokens in the caption's context (`spans`), its own text encoded alone
            (`phrases`), or both, their losses averaged. A text of its own is its own context.
        global_region: What an image's regions are held to: its `caption` (the mean of several) or its `image`
            vector, by contrast of the regions' mean; or each region to the vector of its own crop, by the
            teacher where there is one, otherwise by the model itself (`crops`), or by the model with gradient
            (`live_crops`).
        several_captions: Whether an image's further captions join one contrast of images with all captions of
            the batch (`joint`), or each kind has a loss of its own and the losses are added (`separate`), as
            for long and short ones in FG-CLIP.
        weights: Factors of the terms in the sum: `global_contrastive` 1, `lexeme_region` 1, `global_region`
            0.25, `hard_negative` 0, `teacher` 1, unless they are given. Each is a number,
            or a schedule `[(step, weight), ...]` with straight lines between its points, where a step is one
            forward in training mode. A term of weight 0 is not computed.
        balance: Scale each region term down wherever its gradient in the vectors it judges is larger than
            that of the global contrastive term in the global vectors.
        temperatures: One learned temperature, the model's (`shared`), or one more for each region term
            (`separate`), which begin at the model's.
        positives: Which phrases are right for which boxes beyond the links.
        distinct_phrases: Whether a region chooses among the distinct phrases of the batch, each of which
            stands once, or among all linked ones, where frequent phrases are held down.
        row_negatives: Whether a grounding's negatives join their region's row of the lexeme-region loss; the
            term `hard_negative` judges them in a loss of their own, where it has a weight.
        local_loss: With several ranks, each takes its own rows against all columns; False lets every rank
            compute the whole loss. Both give the same value and gradients.
        teacher: Hold the global vectors to those of a frozen model: the one that `harmonize(teacher=...)` is
            given, or a copy of the model as it is then.

    Raises:
        InputError: An option has an unknown value.

    Example:
        >>> Options(lexemes="both").weights["global_region"]
        0.25
    """

    dense: str | None = field(
        default=None, metadata={"meaning": "the kind of dense image feature; null: the tower's default"}
    )
    normalize_dense: bool = field(
        default=False, metadata={"meaning": "give every patch L2 norm 1 before boxes pool them, as CLIPSelf"}
    )
    lexemes: Lexemes = field(
        default="phrases", metadata={"meaning": "a phrase in its caption, as a text of its own, or both"}
    )
    global_region: GlobalRegion = field(
        default="caption", metadata={"meaning": "what an image's regions are held to"}
    )
    several_captions: CaptionContrast = field(
        default="joint",
        metadata={"meaning": "an image's further captions: one contrast, or each kind's own loss"},
    )
    weights: Mapping[str, Weight] = field(
        default_factory=default_weights,
        metadata={"meaning": "of each loss: a number, or a schedule [[step, weight], ...]"},
    )
    balance: bool = field(
        default=False,
        metadata={"meaning": "keep the gradients of region terms below that of the global term"},
    )
    temperatures: Temperatures = field(
        default="shared", metadata={"meaning": "one temperature, or one more for each region term"}
    )
    positives: Positives = field(
        default_factory=Positives, metadata={"meaning": "which phrases are right beyond the links"}
    )
    distinct_phrases: bool = field(
        default=True,
        metadata={"meaning": "each phrase stands once among a region's choices, however frequent"},
    )
    row_negatives: bool = field(
        default=True, metadata={"meaning": "negatives join the row of their region in the lexeme-region loss"}
    )
    local_loss: bool = field(
        default=True, metadata={"meaning": "each rank computes its own rows of a loss, not the whole"}
    )
    teacher: bool = field(
        default=False, metadata={"meaning": "hold the global vectors to those of a frozen copy of the model"}
    )

    def __post_init__(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            if isinstance(option.default, bool) and not isinstance(value, bool):
                raise InputError(f"{option.name} is {value!r}: expected True or False.")
        if not isinstance(self.positives, Positives):
            raise InputError(
                f"positives is {self.positives!r}: expected a harmoclip.losses.Positives, such as "
                "Positives(overlap=None)."
            )
        one_of("lexemes", self.lexemes, ("spans", "phrases", "both"))
        one_of("global_region", self.global_region, ("caption", "image", "crops", "live_crops"))
        one_of("several_captions", self.several_captions, ("joint", "separate"))
        one_of("temperatures", self.temperatures, ("shared", "separate"))
        defaults = default_weights()
        weights = {**defaults, **checked_weights(self.weights, tuple(defaults))}
        if self.balance and not weights["global_contrastive"]:
            raise InputError("balance=True holds the region terms to the global one, whose weight is 0.")
        object.__setattr__(self, "weights", weights)

    def terms(self) -> list[Term]:
        """The terms that have a weight, in their order; each is given the options that it has fields for."""
        named = [t for t in TERMS if self.weights[t.name] and (self.teacher or t is not TeacherTerm)]
        return [t(**{option.name: getattr(self, option.name) for option in fields(t)}) for t in named]

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """These options with some replaced by name; None leaves an option as it is.

        Raises:
            InputError: There is no such option, or its value is unknown.
        """
        known = [option.name for option in fields(self)]
        for name in changes:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}."
                raise InputError(f"there is no option {name!r}: {hint}")
        return replace(self, **{name: value for name, value in changes.items() if value is not None})


def one_of(name: str, value: str, known: Sequence[str]) -> str:
    """The value, or an InputError that lists what is known."""
    if value not in known:
        raise InputError(f"{name}={value!r} is unknown: expected one of {', '.join(map(repr, known))}.")
    return value


def signature_with_options(function: Callable[..., Any]) -> inspect.Signature:
    """That of a function that takes options by name, with every one of them, for `help` and notebooks."""
    signature, defaults = inspect.signature(function), Options()
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    options = [
        inspect.Parameter(
            o.name, inspect.Parameter.KEYWORD_ONLY, default=getattr(defaults, o.name), annotation=o.type
        )
        for o in fields(Options)
        if o.name not in signature.parameters
    ]
    return signature.replace(parameters=[*own, *options])
