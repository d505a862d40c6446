import pytest
import torch

from harmoclip.errors import InputError
from harmoclip.harmonized import harmonize
from harmoclip.models import load_model
from harmoclip.train.loop import Run
from harmoclip.train.model import ready_for_shards
from tests.helpers.tiny_clips import write_hugging_face

pytest_plugins = ["tests.helpers.small_runs"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def test_no_scalar_is_left_and_nothing_else_changes(clip, batch):
    harmo = harmonize(clip)
    before = {name: parameter for name, parameter in harmo.named_parameters() if parameter.ndim}
    loss = harmo(*batch)["loss"]
    clip.logit_scale.requires_grad_(False)
    ready_for_shards(harmo)
    after = dict(harmo.named_parameters())
    assert all(parameter.ndim for parameter in after.values())
    assert all(after[name] is parameter for name, parameter in before.items())
    assert not clip.logit_scale.requires_grad
    torch.testing.assert_close(harmo(*batch)["loss"], loss)


def test_the_blocks_of_both_towers_are_named(clip):
    harmo = harmonize(clip)
    ready_for_shards(harmo)
    assert harmo._no_split_modules == ["ResidualAttentionBlock"]


LORA = ["lora.rank=2", "lora.alpha=4", "data.batch_size=4", "steps=3", "checkpoint.every=2"]


@pytest.mark.parametrize("source", ["open_clip", "hugging_face"])
def test_adapters_learn_alone_and_are_merged_at_the_end(source, config, tmp_path, request):
    name = [] if source == "open_clip" else [f"model.name=hf:{write_hugging_face(tmp_path / 'tiny')}"]
    run = Run(config(tmp_path / "run", *LORA, *name))
    start = {key: value.clone() for key, value in run.harmo.model.state_dict().items()}
    assert all("lora_" in n for n, p in run.harmo.named_parameters() if p.requires_grad)
    run.train()
    apart = {
        key: float((value - start[key]).abs().max()) for key, value in run.harmo.model.state_dict().items()
    }
    learned = {key for key, change in apart.items() if change > 1e-6}  # PEFT adds and takes off in rounding
    assert learned
    assert not [key for key in learned if "lora_" not in key]
    assert {"vis" in key for key in learned} == {True, False}  # adapters of both towers
    final = tmp_path / "run" / "final"
    assert (final / "adapter" / "adapter_model.safetensors").is_file()
    stock = load_model(f"local-dir:{final}" if source == "open_clip" else str(final))
    images = torch.randn(2, 3, 32, 32)
    boxes = [torch.tensor([[0.1, 0.1, 0.8, 0.9]])] * 2
    for kind in ("plain", "value"):
        merged, adapted = (
            harmonize(m.eval(), tokenizer=stock.tokenizer, dense=kind) for m in (stock.model, run.harmo.model)
        )
        torch.testing.assert_close(
            merged.towers.encode_image(images), adapted.towers.encode_image(images), rtol=1e-4, atol=1e-5
        )
        torch.testing.assert_close(
            merged.encode_regions(images, boxes), adapted.encode_regions(images, boxes), rtol=1e-4, atol=1e-5
        )


def test_adapters_that_fit_nowhere_are_named(config, tmp_path):
    with pytest.raises(InputError, match=r"lora\.targets is \['nowhere'\]"):
        Run(config(tmp_path / "run", "lora.rank=2", "lora.targets=[nowhere]"))


@pytest.mark.parametrize("locked", ["optimizer.image_blocks=0", "optimizer.text_blocks=0"])
def test_a_locked_tower_can_be_balanced(locked, config, tmp_path):
    result = Run(config(tmp_path / "run", locked, "objective.balance=true", "steps=2")).train()
    assert result["loss"] > 0


def test_weights_of_half_precision_are_trained_in_float32(config, tmp_path):
    from transformers import CLIPModel

    folder = write_hugging_face(tmp_path / "tiny")
    CLIPModel.from_pretrained(folder).half().save_pretrained(folder)
    run = Run(config(tmp_path / "run", f"model.name=hf:{folder}", "steps=4", "optimizer.epsilon=1e-8"))
    assert {p.dtype for p in run.harmo.parameters()} == {torch.float32}
    assert run.train()["loss"] > 0
