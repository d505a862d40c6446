"""Link phrases to boxes where nobody did, by how similar a model finds them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import Tensor

from harmoclip.data.sample import Sample
from harmoclip.errors import InputError, MissingDependencyError

if TYPE_CHECKING:
    from harmoclip.data.collate import Batch
    from harmoclip.harmonized import Harmonized
    from harmoclip.tokenizers import Tokenizer

Assignment = Literal["one_to_one", "transport"]


class Match(NamedTuple):
    """A link with the confidence in it, 0 to 1."""

    region: int
    phrase: int
    confidence: float


def link(
    sample: Sample,
    similarity: Tensor,
    *,
    assignment: Assignment = "one_to_one",
    threshold: float = 0.5,
    temperature: float = 0.02,
) -> tuple[Sample, list[Match]]:
    """Link a sample's phrases to its boxes by their similarity.

    With `one_to_one`, the confidence of a pair is the product of two softmaxes of `similarity / temperature`,
    over the phrases of the box and over the boxes of the phrase, and the assignment is the one with the
    highest sum. With `transport`, a phrase may have several boxes: the confidence is the share of the box
    that an entropic optimal transport (Cuturi, arXiv 1306.0895) brings to the phrase. Every box weighs 1 and
    every phrase as much as the boxes it may have; a further bin, as similar to all as the median pair, takes
    what fits nowhere (Sarlin et al., arXiv 1911.11763).

    Args:
        sample: With boxes and phrases; its links are replaced.
        similarity: `[R, P]`, cosine similarities; -inf for a pair that cannot be.
        assignment: Which of the two.
        threshold: Pairs with less confidence are left out, 0 to 1.
        temperature: How sharp similarities are read; of the order of their spread.

    Returns:
        The sample with its links, and the confidence of each, in the order of the links.

    Raises:
        InputError: The similarities are not `[R, P]`, or hold NaN, or a number is out of range.
        MissingDependencyError: `one_to_one` without SciPy.

    Example:
        >>> from PIL import Image
        >>> boxes = torch.tensor([[0, 0, 0.5, 1], [0.5, 0, 1, 1]])
        >>> sample = Sample(Image.new("RGB", (8, 8)), "a dog, a cat", boxes, ((0, 5), (7, 12)))
        >>> link(sample, torch.tensor([[0.1, 0.3], [0.3, 0.1]]))[0].links
        ((1, 0), (0, 1))
    """
    expected = (len(sample.boxes), len(sample.phrases))
    if tuple(similarity.shape) != expected or similarity.isnan().any():
        raise InputError(
            f"similarity has shape {list(similarity.shape)} and {int(similarity.isnan().sum())} NaN: "
            f"expected {list(expected)}, one row a box and one column a phrase, without NaN."
        )
    matches = find_matches(similarity, assignment=assignment, threshold=threshold, temperature=temperature)
    return sample.replace(links=tuple((m.region, m.phrase) for m in matches)), matches


def find_matches(
    similarity: Tensor,
    *,
    assignment: Assignment = "one_to_one",
    threshold: float = 0.5,
    temperature: float = 0.02,
) -> list[Match]:
    """The matches of boxes and phrases of one image by their similarity, as `link` describes it.

    Args:
        similarity: `[R, P]`, without NaN.
        assignment: As of `link`.
        threshold: As of `link`.
        temperature: As of `link`.

    Raises:
        InputError: A number is out of range.
        MissingDependencyError: `one_to_one` without SciPy.
    """
    if not 0 <= threshold <= 1 or temperature <= 0 or assignment not in _ASSIGNMENTS:
        raise InputError(
            f"assignment is {assignment!r}, threshold {threshold}, temperature {temperature}: expected "
            f"{' or '.join(_ASSIGNMENTS)}, a threshold in [0, 1] and a temperature over 0."
        )
    if not similarity.numel():
        return []
    return _ASSIGNMENTS[assignment](similarity.double() / temperature, threshold)


@torch.no_grad()
def model_similarity(
    harmo: Harmonized,
    tokenizer: Tokenizer,
    transform: Callable[[Sample], Sample],
    sample: Sample,
) -> Tensor:
    """The cosine similarity `[R, P]` of a sample's boxes and phrases, each phrase a text of its own.

    Boxes that the transform drops are -inf from everything. A transform that squashes the image drops none.

    Args:
        harmo: A harmonized model.
        tokenizer: The model's own.
        transform: Such as `transform_for(model)`.
        sample: With boxes and phrases in the image as it is.
    """
    rows = torch.arange(len(sample.boxes))
    seen = transform(sample.replace(labels=rows, links=()))
    similarity = torch.full((len(sample.boxes), len(sample.phrases)), -torch.inf)
    if len(seen.boxes) and sample.phrases:
        device = next(harmo.parameters()).device
        images = torch.as_tensor(seen.image)[None].to(device)
        regions = harmo.encode_regions(images, [seen.boxes.to(device)])
        texts = harmo.towers.encode_text(tokenizer(list(sample.phrase_texts)).to(device)).float()
        similarity[seen.labels] = (regions @ torch.nn.functional.normalize(texts, dim=-1).T).cpu()
    return similarity


@torch.no_grad()
def link_batch(harmo: Harmonized, batch: Batch, *, threshold: float = 0.5) -> Batch:
    """Link phrases to boxes of the images of a batch that come without any link, as `link` does one to one.

    Args:
        harmo: A harmonized model that is not trained, such as a copy of the one that is.
        batch: On the device of the model.
        threshold: Pairs with less confidence are left out, 0 to 1.
    """
    images, texts, grounding = batch
    if not len(grounding.boxes) or not len(grounding.spans):
        return batch
    regions = harmo.encode_regions(images, grounding.boxes, grounding.image_index)
    similarity = (regions @ harmo.encode_phrases(texts, grounding).T).cpu()
    owner_of_box, owner_of_phrase = grounding.image_index.cpu(), grounding.text_index.cpu()
    links = grounding.links.tolist()
    linked = {int(owner_of_box[region]) for region, _ in links}
    for image in sorted(set(range(len(images))) - linked):
        rows, columns = ((owner == image).nonzero()[:, 0] for owner in (owner_of_box, owner_of_phrase))
        found = find_matches(similarity[rows][:, columns], threshold=threshold)
        links += [[int(rows[match.region]), int(columns[match.phrase])] for match in found]
    made = torch.tensor(links, dtype=torch.int64, device=grounding.links.device).view(-1, 2)
    return batch._replace(grounding=grounding.replace(links=made))


def _one_to_one(scores: Tensor, threshold: float) -> list[Match]:
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise MissingDependencyError(
            'one_to_one needs SciPy: pip install "harmoclip[data]", or use assignment="transport".'
        ) from error
    confidence = (scores.softmax(0).nan_to_num() * scores.softmax(1).nan_to_num()).where(
        scores > -torch.inf, 0
    )
    pairs = zip(*linear_sum_assignment(confidence.numpy(), maximize=True), strict=True)
    return _confident(confidence, [(int(r), int(p)) for r, p in pairs], threshold)


def _transport(scores: Tensor, threshold: float) -> list[Match]:
    regions, phrases = scores.shape
    known = scores[scores > -torch.inf]
    if not len(known):
        return []
    padded = torch.nn.functional.pad(scores, (0, 1, 0, 1), value=known.median().item())
    each = max(1.0, regions / phrases)
    mass_out = torch.tensor([1.0] * regions + [each * phrases], dtype=scores.dtype)
    mass_in = torch.tensor([each] * phrases + [float(regions)], dtype=scores.dtype)
    share = _sinkhorn(padded, mass_out.log(), mass_in.log())[:regions, :phrases].exp()
    return _confident(share, share.nonzero().tolist(), threshold)


def _sinkhorn(scores: Tensor, log_rows: Tensor, log_columns: Tensor, steps: int = 100) -> Tensor:
    """The logarithm of the plan with these marginals that is nearest to the scores."""
    u, v = torch.zeros_like(log_rows), torch.zeros_like(log_columns)
    for _ in range(steps):
        u = log_rows - (scores + v).logsumexp(1)
        v = log_columns - (scores + u[:, None]).logsumexp(0)
    u = log_rows - (scores + v).logsumexp(1)  # what leaves a box adds up to 1
    return scores + u[:, None] + v


def _confident(confidence: Tensor, pairs: Iterable[tuple[int, int]], threshold: float) -> list[Match]:
    found = [Match(r, p, float(confidence[r, p])) for r, p in pairs]
    kept = [match for match in found if match.confidence >= threshold and match.confidence > 0]
    return sorted(kept, key=lambda match: (match.phrase, match.region))


_ASSIGNMENTS: dict[str, Callable[[Tensor, float], list[Match]]] = {
    "one_to_one": _one_to_one,
    "transport": _transport,
}
