"""`harmoclip evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harmoclip.cli.looking import Dense, Device
from harmoclip.cli.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from harmoclip.evaluate.evaluated import Evaluated
    from harmoclip.models import LoadedModel


def _list_yardsticks(asked: bool) -> None:
    if not asked:
        return
    from rich.console import Console
    from rich.table import Table

    from harmoclip.evaluate.registry import YARDSTICKS

    table = Table("yardstick", "measures", "files expected", "--option", "arXiv")
    for name, known in YARDSTICKS.items():
        table.add_row(name, known.measures, known.layout, known.options, known.paper)
    Console().print(table)
    raise typer.Exit


Model = Annotated[str, typer.Argument(help="An open_clip name, hf:NAME, starter, or a local folder.")]
Pretrained = Annotated[str | None, typer.Option(help="Weights before: a tag or a file.")]
After = Annotated[str | None, typer.Option(help="Weights after: a file, a tag or an exported folder.")]
Against = Annotated[
    list[str] | None, typer.Option(help="Another model to stand beside: NAME or NAME,WEIGHTS; repeatable.")
]
On = Annotated[
    list[str] | None,
    typer.Option(help="What to measure: YARDSTICK=FOLDER or YARDSTICK:SPLIT=FOLDER; repeatable."),
]
List = Annotated[
    bool,
    typer.Option(
        "--list",
        help="Show every yardstick with the files it expects, and end.",
        is_eager=True,
        callback=_list_yardsticks,
    ),
]
Scenes = Annotated[int, typer.Option(min=0, help="Short for --on scenes=N: generated, nothing to download.")]
Coco = Annotated[Path | None, typer.Option(help="Short for --on coco=FOLDER.")]
Images = Annotated[Path | None, typer.Option(help="The images of --on, where not in their usual place.")]
Proposals = Annotated[
    Path | None, typer.Option(help="A detector's boxes for --on, in the format of COCO's results.")
]
PhraseShare = Annotated[
    float | None,
    typer.Option(min=0, help="Also rank by where a caption's phrases are, with this share, such as 0.4."),
]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", metavar="KEY=VALUE", help="More to tell what --on names; see --list."),
]
Regions = Annotated[str, typer.Option(help="Boxes as `dense` pooling, `crops`, or `masks`.")]
Context = Annotated[
    int | None, typer.Option(min=1, help="Stretch the models' context to so many tokens, for long captions.")
]
Shares = Annotated[
    str, typer.Option(help="Shares of the weights after in the averaging sweep; empty for none.")
]
Cache = Annotated[Path | None, typer.Option(help="A file that keeps vectors from one run to the next.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Images or texts encoded at a time.")]
Out = Annotated[Path, typer.Option(help="Folder of the report.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the scores as one JSON object.")]


def evaluate(
    model: Model,
    pretrained: Pretrained = None,
    after: After = None,
    against: Against = None,
    on: On = None,
    list_yardsticks: List = False,
    scenes: Scenes = 0,
    coco: Coco = None,
    images: Images = None,
    proposals: Proposals = None,
    phrase_share: PhraseShare = None,
    option: Options = None,
    dense: Dense = None,
    regions: Regions = "dense",
    context: Context = None,
    shares: Shares = "0.2,0.4,0.6,0.8",
    cache: Cache = None,
    batch_size: BatchSize = 64,
    device: Device = "cpu",
    out: Out = Path("harmoclip-evaluation"),
    json: AsJson = False,
) -> None:
    """Measure both sides of models, before and after training, and write a report."""
    from harmoclip.evaluate.cache import VectorCache
    from harmoclip.evaluate.comparison import Comparison
    from harmoclip.evaluate.encoder import Encoder
    from harmoclip.evaluate.regions import checked_regions
    from harmoclip.evaluate.registry import tasks_on
    from harmoclip.evaluate.task import Request
    from harmoclip.files import check_writable
    from harmoclip.harmonized import harmonize
    from harmoclip.models import load_model
    from harmoclip.stretch import with_context

    request = Request(
        "",
        images=images,
        regions=checked_regions(regions),
        proposals=proposals,
        phrase_share=phrase_share,
        options=tuple(option or ()),
    )
    tasks = tasks_on(_asked(on, scenes, coco), request)
    check_writable(out, "--out")
    with Progress() as progress:
        kept = VectorCache(cache)

        def encoder(loaded: LoadedModel) -> Encoder:
            ready = with_context(loaded, context)
            harmo = harmonize(ready.model, dense=dense, tokenizer=ready.tokenizer)
            return Encoder(harmo, ready.preprocess, ready.tokenizer, batch_size, progress.track, cache=kept)

        loaded = load_model(model, pretrained, device=device)
        later = _weights(loaded, after, context) if after else None
        others = {
            name: encoder(load_model(*_name_and_weights(name), device=device)) for name in against or []
        }
        comparison = Comparison(encoder(loaded), later, others)
        evaluated = comparison.evaluate(_title(model, pretrained, after), tasks, _shares(shares))
    _show(evaluated, out, json)


def _asked(on: list[str] | None, scenes: int, coco: Path | None) -> list[str]:
    """What to measure, written as `--on` has it."""
    from harmoclip.errors import InputError

    short = {f"scenes={scenes}": bool(scenes), f"coco={coco}": coco is not None}
    asked = [*(on or ()), *(text for text, given in short.items() if given)]
    if not asked:
        raise InputError(
            "nothing to measure: give --on YARDSTICK=FOLDER (--list shows which there are), --scenes or "
            "--coco."
        )
    return asked


def _show(evaluated: Evaluated, out: Path, as_json: bool) -> None:
    """Write the report, and print the tables; with JSON on standard output they go to standard error."""
    import json

    from rich.console import Console

    from harmoclip.evaluate.report import write_report
    from harmoclip.evaluate.tables import terminal_table

    page = write_report(out, evaluated)
    console = Console(stderr=as_json)
    for name, columns in evaluated.scores.items():
        console.print(terminal_table(name, columns))
    console.print(f"report: {page}", highlight=False)
    if as_json:
        print(json.dumps(evaluated.as_json()))


def _name_and_weights(text: str) -> tuple[str, str | None]:
    name, _, weights = text.partition(",")
    return name, weights or None


def _title(model: str, pretrained: str | None, after: str | None) -> str:
    """The models' names; only an architecture without weights of its own is random."""
    brings_weights = Path(model).is_dir() or ":" in model or model == "starter"
    before = model if brings_weights else f"{model}: {pretrained or 'random weights'}"
    return before + (f" and {after}" if after else "")


def _shares(text: str) -> list[float]:
    """Numbers in [0, 1] that commas separate."""
    from harmoclip.errors import InputError

    try:
        shares = [float(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise InputError(f"--shares is {text!r}: expected numbers with commas, such as 0.2,0.5.") from error
    if not all(0 <= share <= 1 for share in shares):
        raise InputError(f"--shares is {text!r}: expected numbers from 0 (before) to 1 (after).")
    return shares


def _weights(loaded: LoadedModel, after: str, context: int | None) -> Mapping[str, Tensor]:
    """The state of a folder's model, or of the named model with a file's or a tag's weights, stretched."""
    import copy

    from harmoclip.interpolation import check_same_weights
    from harmoclip.models import load_model, load_weights
    from harmoclip.stretch import with_context

    if Path(after).is_file():
        later = loaded._replace(model=copy.deepcopy(loaded.model))
        later.model.load_state_dict(load_weights(loaded, after))
    else:
        later = load_model(after) if Path(after).is_dir() else load_model(loaded.name, after)
    state: Mapping[str, Tensor] = with_context(later, context).model.state_dict()
    if context is None:
        check_same_weights(loaded.model.state_dict(), state, (repr(loaded.name), repr(after)))
    return state
