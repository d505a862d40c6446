import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import normalize

from harmoclip.data.scenes import Scenes
from harmoclip.errors import EvaluationError, InputError
from harmoclip.evaluate import Captioned, phrase_ranking, rank_by_phrases, retrieval
from harmoclip.evaluate.registry import tasks_of, tasks_on
from harmoclip.evaluate.task import Request
from harmoclip.segment import CaptionSegmenter
from tests.helpers.small_world import small_encoder


def world(seed, images=7, texts=12, cells=4, dim=3):
    """Random vectors of images, captions and patches, and some phrases; not every caption has one."""
    g = torch.Generator().manual_seed(seed)
    owner = torch.cat([torch.arange(images), torch.randint(0, images, (texts - images,), generator=g)])
    text_of_phrase = torch.randint(0, texts, (9,), generator=g)
    return {
        "image": torch.randn(images, dim, generator=g),
        "text": torch.randn(texts, dim, generator=g),
        "dense": torch.randn(images, cells, dim, generator=g),
        "phrases": torch.randn(9, dim, generator=g),
        "text_of_phrase": text_of_phrase,
        "image_of_text": owner,
    }


def phrase_scores_by_hand(w):
    """`[M, N]` by plain loops: the mean best patch, less strangers', times the root of the count."""
    text, dense, phrases = (normalize(w[k], dim=-1) for k in ("text", "dense", "phrases"))
    found, count, images = torch.empty(len(text), len(dense)), torch.empty(len(text)), len(dense)
    for t in range(len(text)):
        own = phrases[w["text_of_phrase"] == t]
        own = own if len(own) else text[t : t + 1]
        count[t] = len(own)
        for i in range(images):
            found[t, i] = (own @ dense[i].T).amax(1).mean()
    owners = w["image_of_text"].tolist()
    strangers = [found[t, (i + 1 + t % (images - 1)) % images] for t, i in enumerate(owners)]
    return (found - torch.stack(strangers).mean()) * count[:, None].sqrt()


def scores_by_hand(w, share):
    plain = normalize(w["text"], dim=-1) @ normalize(w["image"], dim=-1).T
    return plain + share * phrase_scores_by_hand(w)


def ranks_by_hand(scores, owner):
    t2i = torch.stack([1 + (row > row[o]).sum() for row, o in zip(scores, owner, strict=True)])
    i2t = []
    for i, column in enumerate(scores.T):
        best = column[owner == i].max()
        i2t.append(1 + (column[owner != i] > best).sum())
    return torch.stack(i2t), t2i


@given(st.integers(0, 500), st.sampled_from([0.0, 0.5, 2.0]))
def test_with_all_as_candidates_it_equals_the_loops(seed, share):
    w = world(seed)
    found = rank_by_phrases(**w, top=100).metrics(share, ks=(1, 3))
    i2t, t2i = ranks_by_hand(scores_by_hand(w, share), w["image_of_text"])
    for name, ranks in (("i2t", i2t), ("t2i", t2i)):
        for k in (1, 3):
            assert found[f"phrase_{name}_r{k}"] == pytest.approx((ranks <= k).double().mean().item())
        assert found[f"phrase_{name}_median_rank"] == ranks.median().item()


@given(st.integers(0, 200), st.integers(1, 12))
def test_without_a_share_it_is_plain_retrieval_whatever_the_candidates(seed, top):
    w = world(seed)
    plain = retrieval(w["image"], w["text"], w["image_of_text"], ks=(1, 3))
    found = rank_by_phrases(**w, top=top).metrics(0.0, ks=(1, 3))
    assert {f"phrase_{name}": value for name, value in plain.items()} == pytest.approx(dict(found))


@given(st.integers(0, 200))
def test_candidates_are_the_best_by_the_global_vectors_and_are_ordered_by_the_score(seed):
    w = world(seed)
    ranking = rank_by_phrases(**w, top=3)
    plain = normalize(w["text"], dim=1) @ normalize(w["image"], dim=1).T
    order = ranking.images.order(0.7)
    scores = scores_by_hand(w, 0.7)
    for row, (candidates, expected) in enumerate(zip(order, plain.topk(3, 1).indices, strict=True)):
        assert set(candidates.tolist()) == set(expected.tolist())
        found = scores[row, candidates]
        assert (found[:-1] >= found[1:] - 1e-6).all()


def test_images_may_come_one_at_a_time_with_grids_of_their_own():
    w = world(3)
    grids = [patches.reshape(2, 2, 3) for patches in w["dense"]]
    one = rank_by_phrases(**w).metrics(0.5)
    assert dict(rank_by_phrases(**{**w, "dense": iter(grids)}).metrics(0.5)) == pytest.approx(dict(one))


def test_the_best_share_is_the_one_with_the_best_mean_r1():
    image, text = torch.tensor([[1.0, 0.2], [1.0, 0.1]]), torch.eye(2)
    dense = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    ranking = rank_by_phrases(image, text, dense, torch.eye(2), [0, 1])
    assert ranking.best_share((0.0, 0.01, 1.0, 2.0)) == 1.0
    same = rank_by_phrases(torch.eye(2), torch.eye(2), dense, torch.eye(2), [0, 1])
    assert same.best_share((1.0, 0.0)) == 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text_of_phrase": [0, 99]}, "the row of a caption for each phrase"),
        ({"text_of_phrase": [0]}, "the row of a caption for each phrase"),
        ({"dense": torch.ones(2, 4, 3)}, "patches of 2 images, but there are 7"),
        ({"dense": torch.ones(9, 4, 3)}, "patches of 9 images, but there are 7"),
    ],
)
def test_what_does_not_belong_together_is_an_error(change, message):
    w = {**world(0), "phrases": torch.ones(2, 3), "text_of_phrase": [0, 1]}
    with pytest.raises(InputError, match=message):
        rank_by_phrases(**{**w, **change})


def test_patches_that_are_not_finite_are_an_error_that_names_the_image():
    w = world(0)
    w["dense"][3, 1, 0] = float("nan")
    with pytest.raises(EvaluationError, match="image 3"):
        rank_by_phrases(**w)


def test_a_patch_without_any_feature_is_like_nothing_but_a_whole_image_is_an_error():
    w = world(2)
    w["dense"][3, 1:] = 0
    candidates, caption = rank_by_phrases(**w).images, int(w["text_of_phrase"][0])
    found = candidates.phrases[caption][candidates.found[caption] == 3]
    torch.testing.assert_close(found[0], phrase_scores_by_hand(w)[caption, 3])
    w["dense"][3] = 0
    with pytest.raises(EvaluationError, match="image 3"):
        rank_by_phrases(**w)


def test_an_image_goes_to_the_caption_with_more_evidence_not_to_a_vague_one():
    """By the global vectors the two are level; one phrase is there, or four that are seen nearly as well."""
    own = torch.tensor([[1.0, 0], [0, 1.0]])
    text = torch.tensor([[0.5, 0.75**0.5], [0.5, 0.75**0.5]])
    close, closer = torch.tensor([0.9, 0.19**0.5]), torch.tensor([0.88, (1 - 0.88**2) ** 0.5])
    phrases, owner = torch.stack([close, *[closer] * 4]), torch.tensor([0, 1, 1, 1, 1])
    ranking = rank_by_phrases(own, text, own[:, None], phrases, owner, [1, 0])
    assert ranking.texts.order(0.0)[0].tolist() == [0, 1]
    assert ranking.texts.order(1.0)[0].tolist() == [1, 0]


def test_what_all_cosines_have_in_common_favors_no_caption():
    """A direction that all vectors share raises every cosine, and longer captions no more than short ones."""
    w = world(5, images=40, texts=80, dim=16)
    shared = {k: torch.cat([0.3 * v / v.norm(dim=-1, keepdim=True), torch.ones(*v.shape[:-1], 1)], -1)
              for k, v in w.items() if v.is_floating_point()}  # fmt: skip
    one, other = rank_by_phrases(**w, top=40), rank_by_phrases(**{**w, **shared}, top=40)
    torch.testing.assert_close(one.texts.phrases * 0.09 / 1.09, other.texts.phrases, rtol=1e-4, atol=1e-5)


def test_one_image_alone_is_its_own_stranger():
    one = rank_by_phrases(torch.eye(2)[:1], torch.eye(2), torch.ones(1, 3, 2), torch.eye(2), [0, 1], [0, 0])
    assert one.metrics(0.5, ks=(1,))["phrase_t2i_r1"] == 1


def test_captions_without_any_phrase_are_their_own():
    w = {**world(1), "phrases": torch.empty(0, 3), "text_of_phrase": []}
    found = rank_by_phrases(**w).metrics(1.0)
    again = rank_by_phrases(
        **{**w, "phrases": w["text"], "text_of_phrase": torch.arange(len(w["text"]))}
    ).metrics(1.0)
    assert dict(found) == pytest.approx(dict(again))


# ---------------------------------------------------------------- a model on a retrieval set


def test_a_models_captions_are_ranked_by_their_own_phrases():
    scenes, encoder = Scenes("test", 6), small_encoder()
    encoder.batch_size = 4
    captions = [*(scenes[i].caption for i in range(6)), "It rains."]  # the last one names nothing
    captioned = Captioned(lambda i: scenes[i].image, 6, captions, torch.tensor([*range(6), 0]))
    segment = CaptionSegmenter()
    phrases = [(row, p.text) for row, caption in enumerate(captions) for p in segment(caption)]
    assert len(phrases) > 6
    squares = torch.stack([encoder._square(scenes[i].image) for i in range(6)])
    with torch.no_grad():
        expected = rank_by_phrases(
            encoder.image_vectors(captioned.read, 6), encoder.text_vectors(captions),
            encoder.harmo.encode_dense(squares), encoder.text_vectors([text for _, text in phrases]),
            [row for row, _ in phrases], captioned.image_of_text,
        )  # fmt: skip
    found = phrase_ranking(encoder, captioned)
    torch.testing.assert_close(found.images.phrases, expected.images.phrases)
    assert dict(found.metrics(0.5)) == pytest.approx(dict(expected.metrics(0.5)))


def test_a_model_on_captions_without_any_phrase():
    scenes, encoder = Scenes("test", 2), small_encoder()
    captioned = Captioned(lambda i: scenes[i].image, 2, ["It rains.", "It snows."], torch.arange(2))
    assert phrase_ranking(encoder, captioned).images.phrases.isfinite().all()


def test_a_share_adds_a_task_beside_plain_retrieval():
    encoder = small_encoder()
    plain, by_phrases, *_ = tasks_of("scenes", Request("5", phrase_share=0.4))
    assert [plain.name, by_phrases.name] == ["retrieval, scenes", "retrieval by phrases, scenes"]
    found = by_phrases.run(encoder)
    expected = phrase_ranking(encoder, Captioned.samples(Scenes("test", 5, seed=0))).metrics(0.4)
    assert dict(found) == dict(expected)
    assert by_phrases.headline(found) == (found["phrase_i2t_r1"] + found["phrase_t2i_r1"]) / 2
    none = tasks_of("scenes", Request("5", phrase_share=0.0))[1].run(encoder)
    assert none["phrase_i2t_r1"] == plain.run(encoder)["i2t_r1"]


def test_a_share_that_means_nothing_is_refused():
    with pytest.raises(InputError, match=r"phrase_share is -0\.1: expected a number from 0"):
        Request("5", phrase_share=-0.1)
    with pytest.raises(InputError, match=r"none of refcoco=here takes phrase_share, but 0\.4 is given"):
        tasks_on(["refcoco=here"], Request("", phrase_share=0.4))
