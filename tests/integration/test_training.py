"""One process: precision, compile, copies and files, schedules, balance and teachers."""

import copy

import pytest
import torch
from open_clip.model import CLIP
from safetensors.torch import load_file, save_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.torch_version import TorchVersion

import harmoclip
from harmoclip import Grounding
from harmoclip.errors import InputError
from harmoclip.losses.weights import gradient_norm
from tests.helpers.tiny_clips import random_boxes, random_texts, small_config


def small(**text):
    config = small_config(layers=2)
    config["text_cfg"]["layers"] = 2
    torch.manual_seed(1)
    return CLIP(**config, **text)


def draw(counts):
    """Images with so many boxes each; a caption has one phrase more, and the first box two of them."""
    texts, groundings = random_texts(len(counts)), []
    for count in counts:
        phrases = count + 1 if count else 0
        start = torch.randint(1, 7, (phrases,))
        links = [*([i, i] for i in range(count)), *([[0, count], [count - 1, 0]] if count > 1 else [])]
        groundings.append(
            Grounding(
                boxes=random_boxes(count),
                image_index=torch.zeros(count, dtype=torch.int64),
                spans=torch.stack([start, start + torch.randint(1, 4, (phrases,))], 1),
                text_index=torch.zeros(phrases, dtype=torch.int64),
                links=torch.tensor(links, dtype=torch.int64).view(-1, 2),
                phrase_id=torch.randint(12, (phrases,)),
            )
        )
    return torch.randn(len(counts), 3, 32, 32), texts, Grounding.collate(groundings)


def train(harmo, batches, rate=1e-3):
    optimizer = torch.optim.AdamW(harmo.parameters(), lr=rate)
    for batch in batches:
        optimizer.zero_grad()
        harmo(*batch)["loss"].backward()
        optimizer.step()


# ------------------------------------------------------------------ precision


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(dtype):
    harmo, batch = harmoclip.harmonize(small()), draw((3, 2, 4, 0))
    exact = harmo(*batch)
    exact["loss"].backward()
    expected = harmo.model.visual.proj.grad.clone()
    harmo.zero_grad()
    with torch.autocast("cpu", dtype):
        losses = harmo(*batch)
    losses["loss"].backward()
    assert all(value.dtype == torch.float32 for value in losses.values())
    torch.testing.assert_close(losses["loss"], exact["loss"], rtol=2e-2, atol=2e-2)
    grad = harmo.model.visual.proj.grad
    assert torch.nn.functional.cosine_similarity(grad.flatten(), expected.flatten(), dim=0) > 0.97


def test_gradient_scaler_gives_the_unscaled_gradients():
    harmo, batch = harmoclip.harmonize(small(), balance=True), draw((3, 2, 4, 0))
    harmo(*batch)["loss"].backward()
    expected = [p.grad.clone() for p in harmo.parameters()]
    optimizer = torch.optim.SGD(harmo.parameters(), lr=0.0)
    optimizer.zero_grad()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**14)
    scaler.scale(harmo(*batch)["loss"]).backward()
    scaler.unscale_(optimizer)
    torch.testing.assert_close([p.grad for p in harmo.parameters()], expected)
    scaler.step(optimizer)
    scaler.update()


@pytest.mark.filterwarnings("ignore:.* weights are float16")  # of ours: they do not train well
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_models(dtype):
    images, texts, grounding = draw((3, 2, 4, 0))
    exact = harmoclip.harmonize(small())(images, texts, grounding)["loss"]
    model = small().to(dtype)
    loss = harmoclip.harmonize(model)(images.to(dtype), texts, grounding)["loss"]
    loss.backward()
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, exact, rtol=5e-2, atol=5e-2)
    assert all(p.grad.isfinite().all() for p in model.parameters())


# ------------------------------------------------------------------ compile


ONE_GRAPH = torch.__version__ >= TorchVersion("2.10")


@pytest.mark.parametrize(
    ("options", "backend"),
    [
        ({}, "eager"),  # what is traced and guarded; the slow ones differentiate and lower it too
        pytest.param({}, "aot_eager", marks=pytest.mark.slow),
        pytest.param({"lexemes": "spans", "global_region": "image"}, "inductor", marks=pytest.mark.slow),
    ],
)
def test_compile_without_breaks_or_recompiles(options, backend):
    """One graph for all numbers of boxes (several before torch 2.10), with the values of eager mode."""
    torch.compiler.reset()
    harmo = harmoclip.harmonize(small(), **options)
    compiled = torch.compile(harmo, fullgraph=ONE_GRAPH, dynamic=True, backend=backend)
    for step, counts in enumerate([(2, 3, 2, 4), (3, 4, 0, 5), (5, 1, 3, 2), (7, 7, 8, 9), (2, 2, 3, 3)]):
        batch = draw(counts)
        expected = harmo(*batch)
        expected["loss"].backward()
        grad = harmo.model.visual.conv1.weight.grad.clone()
        harmo.zero_grad()
        with torch._dynamo.config.patch(error_on_recompile=ONE_GRAPH and step > 0):
            losses = compiled(*batch)
            losses["loss"].backward()
        torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(harmo.model.visual.conv1.weight.grad, grad, rtol=1e-3, atol=1e-5)
        harmo.zero_grad()


def with_region_texts(batch, extra):
    """The batch with texts of its own, each right for a box and wrong for the next, and a further caption."""
    images, texts, grounding = batch
    count = len(grounding.spans)
    own = torch.arange(extra)
    boxes = own % len(grounding.boxes)
    return (
        images,
        torch.cat([texts, random_texts(extra + 1)]),
        grounding.replace(
            spans=torch.cat([grounding.spans, torch.tensor([[1, 10]]).expand(extra, 2)]),
            text_index=torch.cat([grounding.text_index, len(texts) + own]),
            phrase_id=torch.cat([grounding.phrase_id, 10**6 + own]),
            links=torch.cat([grounding.links, torch.stack([boxes, count + own], 1)]),
            negatives=torch.stack([(boxes + 1) % len(grounding.boxes), count + own], 1),
            image_id=torch.arange(len(images)) // 2,
            captioned=torch.arange(len(images)) >= 0,
            more_captions=torch.full((len(images), 1), -1).index_fill(
                0, torch.tensor([0]), len(texts) + extra
            ),
        ),
    )


@pytest.mark.parametrize("lexemes", ["phrases", pytest.param("spans", marks=pytest.mark.slow)])
def test_compile_with_region_texts(lexemes):
    """One graph for all numbers of boxes, texts and negatives (several before torch 2.10)."""
    torch.compiler.reset()
    harmo = harmoclip.harmonize(small(), lexemes=lexemes, weights={"hard_negative": 0.5})
    compiled = torch.compile(harmo, fullgraph=ONE_GRAPH, dynamic=True, backend="eager")
    cases = [((2, 3, 2, 4), 6), ((3, 4, 0, 5), 5), ((5, 1, 3, 2), 7)]
    for step, (counts, extra) in enumerate(cases):
        batch = with_region_texts(draw(counts), extra)
        apart = torch.fx.experimental._config.patch(use_duck_shape=False)  # sizes that are equal by chance
        with torch._dynamo.config.patch(error_on_recompile=ONE_GRAPH and step > 0), apart:
            losses = compiled(*batch)
        losses["loss"].backward()
        torch.testing.assert_close(losses, harmo(*batch), rtol=1e-4, atol=1e-4)


# ------------------------------------------------------------------ copies and files


def test_ema_follows_and_stays_apart():
    harmo = harmoclip.harmonize(small())
    start = copy.deepcopy(harmo.state_dict())
    ema = AveragedModel(harmo, multi_avg_fn=get_ema_multi_avg_fn(0.5))
    ema.update_parameters(harmo)
    batch = draw((3, 2, 4, 0))
    train(harmo, [batch])
    ema.update_parameters(harmo)
    name = "model.visual.proj"
    middle = (start[name] + harmo.state_dict()[name]) / 2
    torch.testing.assert_close(ema.module.state_dict()[name], middle)
    expected = harmo(*batch)["loss"]
    assert ema(*batch)["loss"] != expected
    torch.testing.assert_close(harmo(*batch)["loss"], expected)


def test_safetensors_round_trip(tmp_path):
    options = {"temperatures": "separate", "weights": {"lexeme_region": [(0, 0.0), (4, 1.0)]}}
    harmo, batch = harmoclip.harmonize(small(), **options), draw((3, 2, 4, 0))
    train(harmo, [batch, batch])
    save_file(harmo.state_dict(), tmp_path / "harmo")
    other = harmoclip.harmonize(small(), **options)
    other.load_state_dict(load_file(tmp_path / "harmo"))
    assert other.objective.step == 2
    torch.testing.assert_close(other(*batch), harmo(*batch))
    save_file(harmo.model.state_dict(), tmp_path / "model")
    mixed = harmoclip.interpolate(small(), tmp_path / "model", 0.7)
    small().load_state_dict(mixed)


# ------------------------------------------------------------------ the global side


def test_schedules_count_training_steps():
    harmo, batch = harmoclip.harmonize(small(), weights={"lexeme_region": [(0, 0.0), (2, 1.0)]}), draw((3, 2))
    for factor in (0.0, 0.5, 1.0, 1.0):
        losses = harmo(*batch)
        rest = losses["global_contrastive_loss"] + 0.25 * losses["global_region_loss"]
        torch.testing.assert_close(losses["loss"] - rest, factor * losses["lexeme_region_loss"])
    harmo.eval()
    harmo(*batch)
    assert harmo.objective.step == 4


def test_balance_holds_region_terms_to_the_global_one(monkeypatch):
    norms = []

    def noted(loss, vectors):
        norms.append(gradient_norm(loss, vectors))
        return norms[-1]

    monkeypatch.setattr("harmoclip.objective.gradient_norm", noted)
    batch = draw((3, 2, 4, 5))
    harmo = harmoclip.harmonize(small(), balance=True, weights={"lexeme_region": 2})
    losses = harmo(*batch)
    limit, lexeme, region = norms
    expected = losses["global_contrastive_loss"]
    expected = expected + 2 * (limit / lexeme).clamp(max=1) * losses["lexeme_region_loss"]
    expected = expected + 0.25 * (limit / region).clamp(max=1) * losses["global_region_loss"]
    torch.testing.assert_close(losses["loss"], expected)
    assert limit < max(lexeme, region)
    with pytest.raises(InputError, match="balance"):
        harmoclip.harmonize(small(), balance=True, weights={"global_contrastive": 0})


def test_balanced_region_loss_of_an_own_loop():
    images, texts, grounding = draw((3, 2, 4, 5))
    harmo = harmoclip.harmonize(small(), balance=True)
    with harmo.capture() as captured:
        harmo.model(images, texts)
    losses = harmo(images, texts, grounding)
    torch.testing.assert_close(
        harmo.region_loss(captured, grounding), losses["loss"] - losses["global_contrastive_loss"]
    )


def test_teacher_holds_the_global_vectors():
    model, batch = small(), draw((3, 2))
    teacher = copy.deepcopy(model)
    with pytest.raises(InputError, match="requires_grad_"):
        harmoclip.harmonize(model, teacher=teacher)
    harmo = harmoclip.harmonize(model, teacher=teacher.requires_grad_(False), weights={"teacher": 2.0})
    losses = harmo(*batch)
    torch.testing.assert_close(losses["teacher_loss"], torch.tensor(0.0), rtol=0, atol=1e-6)
    train(harmo, [batch], rate=1e-2)
    losses = harmo(*batch)
    assert losses["teacher_loss"] > 1e-3
    images, texts, _ = batch
    cosines = [
        torch.cosine_similarity(student, target).mean()
        for student, target in (
            (model.encode_image(images), teacher.encode_image(images)),
            (model.encode_text(texts), teacher.encode_text(texts)),
        )
    ]
    torch.testing.assert_close(losses["teacher_loss"], 1 - sum(cosines) / 2)
    assert not harmo.teacher.training
    assert all(p.grad is None for p in teacher.parameters())


def test_separate_temperatures_learn_apart():
    harmo, batch = harmoclip.harmonize(small(), temperatures="separate"), draw((3, 2, 4, 5))
    torch.testing.assert_close(harmo(*batch), harmoclip.harmonize(small())(*batch))
    harmo(*batch)["loss"].backward()
    scales = [harmo.model.logit_scale, *harmo.objective.logit_scales.values()]
    assert len({round(scale.grad.item(), 9) for scale in scales}) == 3
