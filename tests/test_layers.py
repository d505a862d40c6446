"""Imports run downwards: no room uses one above it, and no circle closes."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import harmoclip

ROOT = Path(harmoclip.__file__).parent
# a room may import those before it and those in its own line
ORDER = [
    {
        "errors",
        "recompute",
        "tensors",
        "tokenizers",
        "notebook",
        "hub",
        "lazy",
        "boxes",
        "files",
        "images",
        "prompts",
        "windows",
        "modes",
    },
    {"segment"},
    {"ops"},
    {"losses"},
    {"phrase_plan", "grounding_rules", "grounding", "crops"},
    {"capture", "models", "starter", "text_memory", "sharding", "towers", "interpolation", "stretch"},
    {"options", "objective", "checks", "encoding", "photographs"},
    {"harmonized", "exportable"},
    {"data", "draw"},
    {"evaluate"},
    {"train", "inspect"},
    {"demo"},
    {"cli"},
    {"__main__"},
]
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def room(module: str) -> str:
    return module.split(".")[0]


def imports(path: Path) -> set[str]:
    """The modules of the package that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] != "harmoclip":
                continue
            inside = name.removeprefix("harmoclip").removeprefix(".")
            while inside not in MODULES:
                inside = inside.rpartition(".")[0]
            found.add(inside)
    return found - {""}  # the face of the package loads its names when they are used


USES = {module: imports(path) for module, path in MODULES.items() if module}


def test_every_room_has_a_place():
    assert {room(module) for module in USES} <= set(LEVEL)


def test_no_import_runs_upwards():
    upwards = [
        f"{module} imports {used}"
        for module, others in USES.items()
        for used in others
        if LEVEL[room(used)] > LEVEL[room(module)]
    ]
    assert not upwards


def test_no_circle_closes_between_rooms():
    rooms: dict[str, set[str]] = {}
    for module, others in USES.items():
        rooms.setdefault(room(module), set()).update(room(used) for used in others)
    for name, others in rooms.items():
        others.discard(name)
    list(TopologicalSorter(rooms).static_order())  # a CycleError names the circle


def test_no_circle_closes_between_modules():
    """An import inside a function counts too: it may save time at the start, but not hide a circle."""
    modules = {module: others - {module} for module, others in USES.items()}
    list(TopologicalSorter(modules).static_order())
