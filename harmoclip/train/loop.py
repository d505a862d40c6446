"""One run from its configuration: built, taken up where it was left, trained, watched, exported."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedType
from accelerate.utils import set_seed

from harmoclip.errors import InputError, TrainingError
from harmoclip.harmonized import Harmonized, harmonize
from harmoclip.losses import Positives
from harmoclip.models import load_model
from harmoclip.options import Options
from harmoclip.sharding import call_gathered
from harmoclip.train.batches import Batches
from harmoclip.train.checkpoint import Checkpoints, Progress, sweep, write_whole
from harmoclip.train.config import Config, differences, load_config, to_yaml
from harmoclip.train.evaluation import measure
from harmoclip.train.export import export
from harmoclip.train.parameters import parameter_groups, set_rates
from harmoclip.train.report import Report, read_lines
from harmoclip.train.schedule import rate
from harmoclip.train.sharding import ready_for_shards
from harmoclip.train.sources import held_out


class Run:
    """A training run; `train()` runs it to its end, from wherever an earlier process left it.

    Args:
        config: What to do.

    Raises:
        InputError: The folder holds a run of another configuration, or an option has an unknown value.
        DataError: The data is not what it should be.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.folder = Path(config.out)
        self._check_folder()
        self.accelerator = Accelerator(
            # without cpu=True, Accelerate takes each of several CPU processes for the only one
            cpu=not torch.accelerator.is_available(),
            gradient_accumulation_steps=config.optimizer.accumulate,
            log_with="tensorboard",
            project_dir=str(self.folder),
        )
        set_seed(config.seed)
        self.loaded = load_model(config.model.name, config.model.pretrained)
        self.shapes = {name: weight.shape for name, weight in self.loaded.model.state_dict().items()}
        harmo = _attach(self.loaded.model, config.objective)
        if self.accelerator.distributed_type == DistributedType.FSDP:
            ready_for_shards(harmo)
        groups = parameter_groups(self.loaded.model, config.optimizer)
        groups += _own_parameters(harmo, self.loaded.model)
        self.batches = Batches(config, self.loaded, self.accelerator)
        self.held_out = held_out(config, self.loaded)
        chosen = config.optimizer
        optimizer = torch.optim.AdamW(
            groups, lr=chosen.learning_rate, betas=(chosen.beta1, chosen.beta2), eps=chosen.epsilon
        )
        self.progress = Progress()
        self.harmo, self.optimizer = self.accelerator.prepare(harmo, optimizer)
        self.checkpoints = Checkpoints(
            self.folder / "checkpoints",
            self.accelerator,
            config.checkpoint.keep,
            {"progress": self.progress, "batches": self.batches},
        )

    def train(self) -> dict[str, float]:
        """Train to the last step and export the model to `final`.

        Returns:
            The losses of the last step, and the last measures where there is an evaluation.

        Raises:
            TrainingError: A loss is not finite.
        """
        config, progress = self.config, self.progress
        self._take_up()
        batches = iter(self.batches)
        with self._report() as report:
            report.say(f"{self._about()}, from step {progress.step} of {config.steps}")
            while progress.step < config.steps:
                losses = self._step(batches)
                progress.step += 1
                report.step(progress.step, losses, self.optimizer.param_groups[0]["lr"])
                if self.held_out is not None and self._due(config.evaluation.every):
                    self._evaluate(report)
                if self._due(config.checkpoint.every):
                    self.checkpoints.save(progress.step)
            self._export("final")
            report.say(f"the model is in {self.folder / 'final'}")
        self.accelerator.end_training()
        return self._result()

    def sweep(self) -> None:
        """Remove what is half-written."""
        sweep(self.folder)
        sweep(self.checkpoints.folder)

    # ------------------------------------------------------------------ one step

    def _step(self, batches: Iterator[Any]) -> dict[str, float]:
        chosen, accelerator = self.config.optimizer, self.accelerator
        factor = rate(
            self.progress.step, steps=self.config.steps, warmup=chosen.warmup, schedule=chosen.schedule
        )
        set_rates(self.optimizer.param_groups, chosen.learning_rate * factor, self.progress.step)
        parts = []
        for _ in range(accelerator.gradient_accumulation_steps):
            images, texts, grounding = (part.to(accelerator.device) for part in next(batches))
            with accelerator.accumulate(self.harmo):
                losses = self.harmo(images, texts, grounding)
                accelerator.backward(losses["loss"])
                if accelerator.sync_gradients and chosen.max_norm is not None:
                    accelerator.clip_grad_norm_(self.harmo.parameters(), chosen.max_norm)
                self.optimizer.step()
                self.optimizer.zero_grad()
            parts.append(torch.stack([value.detach() for value in losses.values()]))
        mean = accelerator.reduce(torch.stack(parts).mean(0), "mean").tolist()
        return self._finite(dict(zip(losses, mean, strict=True)))

    def _finite(self, losses: dict[str, float]) -> dict[str, float]:
        if not all(map(math.isfinite, losses.values())):
            raise TrainingError(
                f"step {self.progress.step + 1} gave {losses}: expected finite losses. The last checkpoint "
                "is from before it; lower optimizer.learning_rate, or train in bf16 instead of fp16."
            )
        return losses

    def _due(self, every: int) -> bool:
        return self.progress.step % every == 0 or self.progress.step == self.config.steps

    # ------------------------------------------------------------------ both sides

    def _evaluate(self, report: Report) -> None:
        """Measure both sides; keep the weights where their trade-off is the best so far."""
        assert self.held_out is not None
        samples, class_names = self.held_out
        harmo: Harmonized = self.accelerator.unwrap_model(self.harmo)
        chosen = (harmo, samples, self.loaded.tokenizer, class_names, self.config.data.batch_size)
        with self.accelerator.autocast():
            measures = call_gathered(harmo, lambda: measure(*chosen))
        report.measures(self.progress.step, measures)
        if self.progress.best is None or measures["trade_off"] > self.progress.best:
            self.progress.best = measures["trade_off"]
            self._export("best")

    def _export(self, name: str) -> None:
        state = self.accelerator.get_state_dict(self.harmo)
        if self.accelerator.is_main_process:
            weights = {key: state[f"model.{key}"].cpu().reshape(shape) for key, shape in self.shapes.items()}
            export(self.loaded.model, weights, self.loaded.name, self.folder / name)
        self.accelerator.wait_for_everyone()

    # ------------------------------------------------------------------ where a run lives

    def _check_folder(self) -> None:
        """A folder in which another configuration has made steps is not this run's."""
        written = self.folder / "config.yaml"
        if not written.exists() or not read_lines(self.folder / "losses.jsonl"):
            return
        differing = differences(load_config(written), self.config)
        if differing:
            raise InputError(
                f"{self.folder} holds a run of another configuration: {', '.join(differing)}. "
                "Give another `out`, or the same values, or remove that folder."
            )

    def _take_up(self) -> None:
        if self.accelerator.is_main_process:
            self.checkpoints.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self.folder / "config.yaml", to_yaml(self.config))
            self.sweep()
        self.accelerator.wait_for_everyone()
        self.checkpoints.resume()
        tracker = {"tensorboard": {"purge_step": self.progress.step + 1}}
        self.accelerator.init_trackers("tensorboard", init_kwargs=tracker)

    def _report(self) -> Report:
        config = self.config
        return Report(
            self.folder,
            self.accelerator,
            steps=config.steps,
            step=self.progress.step,
            log_every=config.log_every,
        )

    def _result(self) -> dict[str, float]:
        """The last losses and measures of the run, whichever process took them."""
        written = [read_lines(self.folder / name) for name in ("losses.jsonl", "measures.jsonl")]
        return {name: value for lines in written if lines for name, value in lines[-1].items()}

    def _about(self) -> str:
        precision = self.accelerator.mixed_precision
        return (
            f"{self.loaded.name} on {self.batches.about()}, {self.accelerator.num_processes} x "
            f"{self.config.data.batch_size} x {self.accelerator.gradient_accumulation_steps} a step, "
            f"{self.accelerator.device.type}, precision {'fp32' if precision == 'no' else precision}"
        )


def _attach(model: torch.nn.Module, objective: Mapping[str, Any]) -> Harmonized:
    """Harmonize with the options of a configuration; a teacher is the model as it is now."""
    return harmonize(model, Options(**{**objective, "positives": Positives(**objective["positives"])}))


def _own_parameters(harmo: torch.nn.Module, model: torch.nn.Module) -> list[dict[str, Any]]:
    """What harmonizing added to learn, such as a temperature of its own."""
    theirs = {id(p) for p in model.parameters()}
    own = [p for p in harmo.parameters() if id(p) not in theirs and p.requires_grad]
    return [{"params": own, "factor": 1.0, "start": 0, "weight_decay": 0.0}] if own else []


def train(config: Config) -> dict[str, float]:
    """Run a configuration to its end; an interrupt leaves complete checkpoints only."""
    run = Run(config)
    try:
        return run.train()
    except KeyboardInterrupt:
        if run.accelerator.is_main_process:
            run.sweep()
        raise
