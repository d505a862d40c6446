"""One run from its configuration: built, taken up where it was left, trained, watched, exported."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedType
from accelerate.tracking import get_available_trackers
from accelerate.utils import gather_object, set_seed

from harmoclip.data import Batch
from harmoclip.data.linking.by_similarity import link_batch
from harmoclip.errors import InputError, MissingDependencyError, TrainingError
from harmoclip.files import check_writable, sweep, write_whole
from harmoclip.harmonized import Harmonized, harmonize
from harmoclip.sharding import call_gathered
from harmoclip.train.checkpoint import Checkpoints
from harmoclip.train.config import Config, keys
from harmoclip.train.config_file import differences, load_config, to_yaml
from harmoclip.train.crop_cache import CropCache
from harmoclip.train.data import Batches, Counted, Counts, check_grounding, held_out
from harmoclip.train.evaluation import Yardsticks, measure
from harmoclip.train.export import export
from harmoclip.train.log import LOSSES, MEASURES, Log, Unwatched, Watch, read_lines
from harmoclip.train.model import build, frozen_copy, load, ready_for_shards
from harmoclip.train.optimizer import make_optimizer, rate, set_rates

LEFT_OUT = "left_out.txt"
ENOUGH = 500
"""Samples among which there has to be what the region terms learn from."""


class Position:
    """How far a run is, and what it has seen; kept in its checkpoints."""

    def __init__(self) -> None:
        self.step = 0
        self.best: float | None = None
        self.seen = Counts()

    def state_dict(self) -> dict[str, Any]:
        """The state as plain values."""
        return {"step": self.step, "best": self.best, "seen": list(self.seen)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state up again."""
        self.step, self.best, self.seen = state["step"], state["best"], Counts(*state["seen"])


class Run:
    """A training run; `train()` runs it to its end, from wherever an earlier process left it.

    Args:
        config: What to do.
        watch: Who follows it, on the main process.

    Raises:
        InputError: The folder holds a run of another configuration or cannot be written to, or an option has
            an unknown value.
        DataError: The data is not what it should be.
    """

    def __init__(self, config: Config, watch: Watch | None = None) -> None:
        self.config, self.watch = config, watch or Unwatched()
        self.folder = Path(config.out)
        self.accelerator = Accelerator(
            # without cpu=True, Accelerate takes each of several CPU processes for the only one
            cpu=not torch.accelerator.is_available(),
            gradient_accumulation_steps=config.optimizer.accumulate,
            log_with=_tracker(config.tracker),
            project_dir=str(self.folder),
        )
        if self.accelerator.is_main_process:
            check_writable(self.folder, "out")
        self.accelerator.wait_for_everyone()
        self.position = Position()
        self.checkpoints = Checkpoints(
            self.folder / "checkpoints", self.accelerator, config.checkpoint.keep, {"progress": self.position}
        )
        self._check_folder()
        set_seed(config.seed)
        self.loaded = load(config)
        self.shapes = {name: weight.shape for name, weight in self.loaded.model.state_dict().items()}
        self.batches = Batches(config, self.loaded, self.accelerator)
        self.checkpoints.parts = {"progress": self.position, "batches": self.batches}
        self.held_out = held_out(config, self.loaded)
        self.yardsticks = Yardsticks(config.evaluation, held_out=self.held_out is not None)
        self.linker = self._linker()  # of the model as it was loaded
        harmo = build(self.loaded, config.objective, config.lora)
        if self.accelerator.distributed_type == DistributedType.FSDP:
            if config.lora.rank is not None:
                raise InputError("lora.rank is given under FSDP: adapters are trained without it only.")
            ready_for_shards(harmo)
        self.crops = self._crop_cache(harmo)
        optimizer = make_optimizer(harmo, config.optimizer)
        self.harmo, self.optimizer = self.accelerator.prepare(harmo, optimizer)

    def train(self) -> dict[str, float]:
        """Train to the last step and export the model to `final`.

        Returns:
            The losses of the last step, and the last measures where there is an evaluation.

        Raises:
            TrainingError: A loss is not finite, or the data holds nothing that a region term learns from.
        """
        config, position = self.config, self.position
        self._take_up()
        batches = iter(self.batches)
        log = self._log()
        log.say(f"{self._about()}, from step {position.step} of {config.steps}")
        if self.held_out is not None and self.held_out.broken:  # the same on every process
            self._note_broken(self.held_out.broken, log)
        if position.step == 0 and self.yardsticks.tasks:
            self._evaluate(log)
        while position.step < config.steps:
            losses, counts = self._step(batches, log)
            position.step += 1
            position.seen += counts
            log.step(position.step, losses, self.optimizer.param_groups[0]["lr"], counts.samples)
            self._check_seen()
            if self.yardsticks.best and self._due(config.evaluation.every):
                self._evaluate(log)
            if self._due(config.checkpoint.every):
                if self.crops is not None:
                    self.crops.write()
                self.checkpoints.save(position.step)
        self._export("final")
        log.say(f"the model is in {self.folder / 'final'}")
        self.accelerator.end_training()
        return self._result()

    def sweep(self) -> None:
        """Remove what is half-written."""
        sweep(self.folder)
        sweep(self.checkpoints.folder)

    # ------------------------------------------------------------------ one step

    def _step(self, batches: Iterator[Counted], log: Log) -> tuple[dict[str, float], Counts]:
        """Losses and counts of one step, over all processes."""
        chosen, accelerator = self.config.optimizer, self.accelerator
        factor = rate(
            self.position.step, steps=self.config.steps, warmup=chosen.warmup, schedule=chosen.schedule
        )
        set_rates(self.optimizer.param_groups, chosen.learning_rate * factor, self.position.step)
        parts, counts, broken = [], Counts(), []
        for _ in range(accelerator.gradient_accumulation_steps):
            batch, found, missed = next(batches)
            batch = self._linked(_moved(batch, accelerator.device))
            counts += found._replace(links=len(batch.grounding.links))
            broken += missed
            with accelerator.accumulate(self.harmo):
                crops = None if self.crops is None else self.crops(batch.images, batch.grounding)
                losses = self.harmo(*batch, crops)
                accelerator.backward(losses["loss"])
                if accelerator.sync_gradients and chosen.max_norm is not None:
                    accelerator.clip_grad_norm_(self.harmo.parameters(), chosen.max_norm)
                self.optimizer.step()
                self.optimizer.zero_grad()
            parts.append(torch.stack([value.detach() for value in losses.values()]))
        mine = torch.stack(parts).mean(0)
        numbers = torch.cat([mine, mine.new_tensor([*counts, len(broken)])])
        mean = accelerator.reduce(numbers, "mean").tolist()
        *totals, missing = (round(value * accelerator.num_processes) for value in mean[len(losses) :])
        if missing:
            self._note_broken(broken, log)
        return self._finite(dict(zip(losses, mean, strict=False))), Counts(*totals)

    def _crop_cache(self, harmo: Harmonized) -> CropCache | None:
        """Where the teacher's vectors of crops are kept, if they are."""
        if self.config.data.crops is None:
            return None
        if self.accelerator.distributed_type == DistributedType.FSDP:
            raise InputError("data.crops is given under FSDP: crops are kept without it only.")
        return CropCache(self.config.data.crops, harmo, rank=self.accelerator.process_index)

    def _linked(self, batch: Batch) -> Batch:
        if self.linker is None:
            return batch
        return link_batch(self.linker, batch, threshold=self.config.data.link_threshold)

    def _linker(self) -> Harmonized | None:
        """The model at the start of the run, where phrases are linked to boxes by what it finds similar."""
        if self.config.data.link != "similarity":
            return None
        copy = frozen_copy(self.loaded.model).to(self.accelerator.device)
        return harmonize(copy, tokenizer=self.loaded.tokenizer).eval()

    def _finite(self, losses: dict[str, float]) -> dict[str, float]:
        if not all(map(math.isfinite, losses.values())):
            raise TrainingError(
                f"step {self.position.step + 1} gave {losses}: expected finite losses. The last checkpoint "
                "is from before it; lower optimizer.learning_rate, or train in bf16 instead of fp16."
            )
        return losses

    def _due(self, every: int) -> bool:
        return self.position.step % every == 0 or self.position.step == self.config.steps

    # ------------------------------------------------------------------ what the data holds

    def _check_seen(self) -> None:
        """Stop where there is nothing that a region term learns from."""
        seen, enough = self.position.seen, min(ENOUGH, self.batches.samples() or ENOUGH)
        if seen.samples >= enough or self.position.step == self.config.steps:
            check_grounding(seen, self.config.objective)

    def _note_broken(self, broken: list[str], log: Log) -> None:
        """Keep the names of samples that could not be read, each once."""
        found = list(dict.fromkeys(" ".join(line.split()) for line in gather_object(broken)))
        if not self.accelerator.is_main_process:
            return
        path = self.folder / LEFT_OUT
        known = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        new = [line for line in found if line not in known]
        if new and not known:
            log.say(f"samples that cannot be read are left out and named in {path}, such as: {new[0]}")
        write_whole(path, "".join(f"{line}\n" for line in [*known, *new]))

    # ------------------------------------------------------------------ both sides

    def _evaluate(self, log: Log) -> None:
        """Measure both sides; keep the weights where their trade-off is the best so far."""
        harmo: Harmonized = self.accelerator.unwrap_model(self.harmo)
        with self.accelerator.autocast():
            measures = call_gathered(harmo, lambda: self._measures(harmo))
        log.measures(self.position.step, measures)
        score = self.yardsticks.score(measures)
        if self.position.best is None or score > self.position.best:
            self.position.best = score
            self._export("best")

    def _measures(self, harmo: Harmonized) -> dict[str, float]:
        """On the held-out samples, and by the yardsticks."""
        batch_size, found = self.config.data.batch_size, {}
        if self.held_out is not None:
            samples, class_names, _ = self.held_out
            found = measure(harmo, samples, self.loaded.tokenizer, class_names, batch_size)
        return found | self.yardsticks.measure(harmo, self.loaded, batch_size)

    def _export(self, name: str) -> None:
        state = self.accelerator.get_state_dict(self.harmo)
        if self.accelerator.is_main_process:
            harmo: Harmonized = self.accelerator.unwrap_model(self.harmo)
            weights = {key.removeprefix("model."): value for key, value in state.items()}
            export(harmo.model, weights, self.shapes, self.loaded, self.folder / name)
        self.accelerator.wait_for_everyone()

    # ------------------------------------------------------------------ where a run lives

    def _check_folder(self) -> None:
        """A folder in which another configuration has made steps is not this run's."""
        written, made = self.folder / "config.yaml", self.checkpoints.newest_step()
        if not written.exists() or not read_lines(self.folder / LOSSES):
            return
        differing = differences(load_config(written), self.config, fixed_only=True)
        if differing:
            raise InputError(
                f"{self.folder} holds a run of another configuration: {', '.join(differing)}. "
                "Give another `out`, or the same values, or remove that folder."
            )
        if self.config.steps < made:
            raise InputError(
                f"steps is {self.config.steps}, but the run in {self.folder} has made {made}: expected "
                f"{made} or more. A run can be made longer, not shorter."
            )

    def _take_up(self) -> None:
        if self.accelerator.is_main_process:
            self.checkpoints.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self.folder / "config.yaml", to_yaml(self.config))
            self.sweep()
        self.accelerator.wait_for_everyone()
        self.checkpoints.resume()
        self._begin_tracker()

    def _begin_tracker(self) -> None:
        """Curves go on where the checkpoint is."""
        tracker = self.config.tracker
        options: dict[str, dict[str, object]] = {
            "tensorboard": {"purge_step": self.position.step + 1},
            "wandb": {"name": self.folder.name, "dir": str(self.folder), "resume": "allow"},
            "mlflow": {"run_name": self.folder.name},
        }
        if tracker == "tensorboard":  # the name of its folder
            self.accelerator.init_trackers(tracker, None, {tracker: options[tracker]})
        elif tracker != "none":
            chosen = {found.name: found.value for found in keys(self.config)}
            self.accelerator.init_trackers("harmoclip", chosen, {tracker: options[tracker]})

    def _log(self) -> Log:
        return Log(
            self.folder,
            self.accelerator,
            self.watch,
            steps=self.config.steps,
            step=self.position.step,
            log_every=self.config.log_every,
        )

    def _result(self) -> dict[str, float]:
        """The last losses and measures of the run, whichever process took them."""
        written = [read_lines(self.folder / name) for name in (LOSSES, MEASURES)]
        return {name: value for lines in written if lines for name, value in lines[-1].items()}

    def _about(self) -> str:
        precision = self.accelerator.mixed_precision
        return (
            f"{self.loaded.name} on {self.batches.about()}, {self.accelerator.num_processes} x "
            f"{self.config.data.batch_size} x {self.accelerator.gradient_accumulation_steps} a step, "
            f"{self.accelerator.device.type}, precision {'fp32' if precision == 'no' else precision}"
        )


def _moved(batch: Batch, device: torch.device) -> Batch:
    return Batch(batch.images.to(device), batch.texts.to(device), batch.grounding.to(device))


def _tracker(name: str) -> str | None:
    """The tracker as Accelerate knows it; it leaves out in silence what is not installed."""
    if name == "none":
        return None
    if name not in {tracker.value for tracker in get_available_trackers()}:
        raise MissingDependencyError(f"tracker is {name}, which is not installed: pip install {name}.")
    return name


def train(config: Config, watch: Watch | None = None) -> dict[str, float]:
    """Run a configuration to its end; an interrupt leaves complete checkpoints only.

    Args:
        config: What to do, such as `load_config("run.yaml")`.
        watch: Who follows the run, on the main process.

    Returns:
        The losses of the last step, and the last measures where there is an evaluation.
    """
    run = Run(config, watch)
    try:
        return run.train()
    except KeyboardInterrupt:
        if run.accelerator.is_main_process:
            run.sweep()
        raise
