import itertools
import sys

import open_clip
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import harmoclip
from harmoclip.data import Sample, transform_for
from harmoclip.data.linking.by_similarity import link, model_similarity
from harmoclip.errors import InputError, MissingDependencyError


def sample(regions, phrases):
    boxes = torch.tensor([[i / regions, 0.0, (i + 1) / regions, 1.0] for i in range(regions)]).view(-1, 4)
    return Sample(Image.new("RGB", (40, 40)), "abcdefgh", boxes, tuple((i, i + 1) for i in range(phrases)))


def test_one_to_one_is_the_best_of_all_assignments():
    for seed in range(8):
        scores = torch.rand(4, 3, generator=torch.Generator().manual_seed(seed))
        confidence = (scores / 0.3).softmax(0) * (scores / 0.3).softmax(1)
        best = max(
            itertools.permutations(range(4), 3),
            key=lambda rows: sum(confidence[r, p] for p, r in enumerate(rows)),
        )
        linked, matches = link(sample(4, 3), scores, threshold=0, temperature=0.3)
        assert linked.links == tuple((r, p) for p, r in enumerate(best))
        for match in matches:
            assert match.confidence == pytest.approx(float(confidence[match.region, match.phrase]), abs=1e-6)


@given(st.integers(0, 5), st.integers(0, 5), st.sampled_from(["one_to_one", "transport"]), st.integers(0, 30))
def test_laws_of_both_assignments(regions, phrases, assignment, seed):
    scores = torch.rand(regions, phrases, generator=torch.Generator().manual_seed(seed))
    given_sample = sample(max(regions, 1), phrases).drop_boxes({} if regions else {0: "unwanted"})
    loose, matches = link(given_sample, scores, assignment=assignment, threshold=0.2)
    assert [(m.region, m.phrase) for m in matches] == list(loose.links)
    assert all(0.2 <= m.confidence <= 1 + 1e-9 for m in matches)
    strict, _ = link(given_sample, scores, assignment=assignment, threshold=0.8)
    assert set(strict.links) <= set(loose.links)
    if assignment == "one_to_one":
        assert len({r for r, _ in loose.links}) == len({p for _, p in loose.links}) == len(loose.links)
    assert len({r for r, _ in strict.links}) == len(
        strict.links
    )  # more than half of a box goes to one phrase


def test_transport_gives_a_plural_all_its_boxes_and_leaves_the_rest():
    scores = torch.tensor([[0.30, 0.10], [0.29, 0.12], [0.11, 0.31], [0.10, 0.12]])
    linked, _ = link(sample(4, 2), scores, assignment="transport")
    assert linked.links == ((0, 0), (1, 0), (2, 1))


def test_pairs_that_cannot_be_are_never_linked():
    scores = torch.full((2, 2), -torch.inf)
    for assignment in ("one_to_one", "transport"):
        assert link(sample(2, 2), scores, assignment=assignment, threshold=0)[0].links == ()
        partly = scores.clone()
        partly[1] = torch.tensor([0.3, 0.1])
        assert {r for r, _ in link(sample(2, 2), partly, assignment=assignment, threshold=0)[0].links} == {1}


@pytest.mark.parametrize(
    ("scores", "options"),
    [
        (torch.rand(2, 3), {}),
        (torch.full((2, 2), torch.nan), {}),
        (torch.rand(2, 2), {"threshold": 1.5}),
        (torch.rand(2, 2), {"temperature": 0}),
        (torch.rand(2, 2), {"assignment": "greedy"}),
    ],
)
def test_what_cannot_be_linked_is_refused(scores, options):
    with pytest.raises(InputError, match="expected"):
        link(sample(2, 2), scores, **options)


def test_without_scipy_the_message_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(MissingDependencyError, match="SciPy"):
        link(sample(2, 2), torch.rand(2, 2))


def test_a_models_similarity_follows_its_boxes():
    vision = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8}
    text = {"width": 32, "heads": 2, "layers": 1, "context_length": 16}
    model = open_clip.model.CLIP(32, vision, text).eval()
    tokenizer = open_clip.SimpleTokenizer(context_length=16)
    config = {"size": 32, "resize_mode": "shortest"}
    picture = Image.effect_noise((64, 32), 90).convert("RGB")
    boxes = torch.tensor([[0.0, 0.0, 0.1, 1.0], [0.3, 0.1, 0.6, 0.9], [0.25, 0.0, 0.75, 1.0]])
    given_sample = Sample(picture, "a dog and a cat", boxes, ((0, 5), (10, 15)))
    with harmoclip.harmonize(model) as harmo:
        found = model_similarity(harmo, tokenizer, transform_for(config), given_sample)
        seen = transform_for(config)(given_sample)
        regions = harmo.encode_regions(seen.image[None], [seen.boxes])
    texts = torch.nn.functional.normalize(model.encode_text(tokenizer(["a dog", "a cat"])), dim=-1)
    assert (found[0] == -torch.inf).all()
    torch.testing.assert_close(found[1:], (regions @ texts.T).detach(), rtol=1e-4, atol=1e-5)
