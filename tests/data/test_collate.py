import open_clip
import pytest
import torch
from PIL import Image

from harmoclip.data import Batch, Collator, Sample
from harmoclip.errors import DataError, GroundingError, InputError
from harmoclip.segment import phrase_id


@pytest.fixture(scope="module")
def tokenizer():
    return open_clip.get_tokenizer("ViT-B-32")


def sample(**changes):
    boxes = torch.tensor([[0.1, 0.1, 0.5, 0.9], [0.2, 0.0, 0.4, 0.5]])
    caption = "A dog near two cats"
    given = {"image": torch.rand(3, 8, 8), "caption": caption, "boxes": boxes}
    given |= {"phrases": ((0, 5), (11, 19)), "links": ((0, 1), (1, 1), (1, 0))}
    return Sample(**given | changes)


def test_a_batch_holds_the_samples(tokenizer):
    one, empty = sample(), Sample(torch.rand(3, 8, 8), "")
    other = sample(boxes=torch.tensor([[0.5, 0.5, 0.9, 1.0]]), links=((0, 1),))
    batch = Collator(tokenizer)([one, empty, other])
    images, texts, grounding = batch
    assert isinstance(batch, Batch)
    torch.testing.assert_close(images[2], other.image)
    torch.testing.assert_close(texts, tokenizer([one.caption, "", other.caption]))
    torch.testing.assert_close(grounding.boxes, torch.cat([one.boxes, other.boxes]))
    assert grounding.image_index.tolist() == [0, 0, 2]
    assert grounding.text_index.tolist() == [0, 0, 2, 2]
    assert grounding.links.tolist() == [[0, 1], [1, 1], [1, 0], [2, 3]]
    ids = [phrase_id("a dog"), phrase_id("two cats")]
    assert grounding.phrase_id.tolist() == ids * 2
    for (start, end), words in zip(grounding.spans.tolist(), ["a dog", "two cats"] * 2, strict=True):
        row = texts[0]
        assert tokenizer.decode(row[start:end].tolist()).strip() == words


def test_wordings_are_the_tokens(tokenizer):
    """Equal phrases of other words share an identity, not a wording; capitals are up to the tokenizer."""
    captions = ("A dog", "the dog", "a DOG")
    samples = [Sample(torch.rand(3, 8, 8), caption, phrases=((0, len(caption)),)) for caption in captions]
    grounding = Collator(tokenizer)(samples).grounding
    assert len(set(grounding.phrase_id.tolist())) == 1
    first, second, third = grounding.wording.tolist()
    assert first == third != second
    assert grounding.plan.first.sort().values.tolist() == [0, 1]


def test_phrases_past_the_context_lose_their_row_and_links(tokenizer):
    caption = "A dog " + "very " * 90 + "near two cats"
    late = (caption.index("two"), len(caption))
    batch = Collator(tokenizer)([sample(caption=caption, phrases=(late, (0, 5)), links=((0, 0), (1, 1)))])
    assert len(batch.grounding.spans) == 1
    assert batch.grounding.links.tolist() == [[1, 0]]
    assert len(batch.grounding.boxes) == 2


def test_images_of_different_shapes_are_refused(tokenizer):
    with pytest.raises(DataError, match="tensors of one shape"):
        Collator(tokenizer)([sample(), sample(image=torch.rand(3, 8, 9))])
    with pytest.raises(DataError, match="PIL image"):
        Collator(tokenizer)([sample(image=Image.new("RGB", (8, 8)))])


def test_an_impossible_box_is_an_error_that_names_it(tokenizer):
    with pytest.raises(GroundingError, match=r"boxes\[0\]"):
        Collator(tokenizer)([sample(boxes=torch.tensor([[0.4, 0.1, 0.2, 0.9], [0, 0, 1.0, 1]]))])


def test_images_are_known_again(tokenizer):
    image = torch.rand(3, 8, 8)
    named = [
        Sample(image, "a", key="1.jpg"),
        Sample(image + 1, "b", key="1.jpg"),
        Sample(image, "c", key="2.jpg"),
    ]
    first, second, third = Collator(tokenizer)(named).grounding.image_id.tolist()
    assert first == second != third
    given = Collator(tokenizer).grounding(Sample(image, "a", image_id=5), Sample(image, "a", image_id="5"))
    assert given.image_id[0] == 5
    assert given.image_id[1] != 5
    bare = Collator(tokenizer).grounding(*(Sample(i, "a") for i in (image, image.clone(), image + 1)))
    assert bare.image_id[0] == bare.image_id[1] != bare.image_id[2]


def test_texts_of_their_own_follow_the_captions(tokenizer):
    own = sample(phrases=((0, 5), "two white cats", "a brown dog"), links=((0, 0), (1, 1), (0, 2)))
    images, texts, grounding = Collator(tokenizer)([own, sample(phrases=("a brown dog",), links=((1, 0),))])
    assert len(images) == 2
    torch.testing.assert_close(texts[2:], tokenizer(["two white cats", "a brown dog"]))
    assert grounding.text_index.tolist() == [0, 2, 3, 3]
    assert grounding.links.tolist() == [[0, 0], [1, 1], [0, 2], [3, 3]]
    assert grounding.phrase_id[2] == grounding.phrase_id[3] == phrase_id("a brown dog")
    for text, (start, end), words in zip(
        grounding.text_index.tolist(), grounding.spans.tolist(), ["a dog", "two white cats", "a brown dog"],
        strict=False,
    ):  # fmt: skip
        assert tokenizer.decode(texts[text, start:end].tolist()).strip() == words


def test_a_fast_tokenizer_of_hugging_face_is_taken_as_it_is():
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "A", "dog", "near", "two", "cats"])}
    raw = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="[PAD]", unk_token="[UNK]")
    with pytest.raises(InputError, match="does not state how long a row is"):
        Collator(fast)
    fast.model_max_length = 8
    batch = Collator(fast)([sample()])
    assert batch.texts.tolist() == [[2, 3, 4, 5, 6, 0, 0, 0]]
    assert batch.grounding.spans.tolist() == [[0, 2], [3, 5]]


def test_negatives_and_further_captions_go_along(tokenizer):
    one = sample(
        phrases=((0, 5), "a blue dog"), links=((0, 0),), negatives=((0, 1),), more_captions=("A long one",)
    )
    other = sample(caption="", phrases=("a cat",), links=((1, 0),), more_captions=())
    _, texts, grounding = Collator(tokenizer)([one, other])
    torch.testing.assert_close(texts[2:], tokenizer(["a blue dog", "a cat", "A long one"]))
    assert grounding.negatives.tolist() == [[0, 1]]
    assert grounding.more_captions.tolist() == [[4], [-1]]
    assert grounding.captioned.tolist() == [True, False]
    dropped = Collator(tokenizer).grounding(one.drop_boxes({0: "too small"}))
    assert dropped.negatives.shape == (0, 2)


def test_a_text_of_its_own_that_is_too_long_keeps_the_words_that_fit(tokenizer):
    long = " a dog " + "that runs " * 60
    _, texts, grounding = Collator(tokenizer)([sample(phrases=(long,), links=((0, 0),))])
    (start, end), row = grounding.spans[0].tolist(), texts[1]
    assert (start, end) == (1, 76)
    assert tokenizer.decode(row[start:end].tolist()).startswith("a dog that runs")


def test_a_harmonized_model_takes_such_batches(tokenizer):
    import harmoclip

    model = open_clip.model.CLIP(
        32,
        {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8, "head_width": 16},
        {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 4, "layers": 2},
    )
    harmo = harmoclip.harmonize(model)
    one = sample(
        image=torch.rand(3, 32, 32), phrases=((0, 5), "a blue dog"), links=((0, 0),), negatives=((0, 1),),
        more_captions=("A dog, and more",),
    )  # fmt: skip
    other = sample(image=torch.rand(3, 32, 32), caption="", phrases=("a cat",), links=((1, 0),))
    images, texts, grounding = Collator(tokenizer)([one, other])
    loss = sum(harmo(images, texts, grounding).values())
    loss.backward()
    assert torch.isfinite(loss)
