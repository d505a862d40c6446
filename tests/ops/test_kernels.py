import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from packaging.version import Version

triton = pytest.importorskip("triton", reason="triton is not installed")

from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

from harmoclip.ops.backends import triton_kernels as kernels  # noqa: E402
from harmoclip.ops.backends.triton import OPTIONS, TILE  # noqa: E402

TRITON = Version(triton.__version__)
POINTERS = {"index": "*i64", "order": "*i64", "offsets": "*i64"}


def signature(kernel, element, weight):
    types = dict.fromkeys(kernel.arg_names, "i32")
    for name in kernel.arg_names:
        if name in {"rows", "cols", "starts", "extents"}:
            types[name] = weight
        elif name in {"tokens", "grad", "out"}:
            types[name] = element
        types[name] = POINTERS.get(name, types[name])
    return types


@pytest.mark.parametrize("capability", [80, 90, 100, 120])
@pytest.mark.parametrize(
    "element",
    [
        "*fp32",
        "*fp16",
        pytest.param("*bf16", marks=pytest.mark.slow),
        pytest.param("*fp64", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("name", ["pool_kernel", "spread_kernel", "correlate_kernel", "factor_kernel"])
def test_every_kernel_compiles_for_every_card(name, element, capability, tmp_path):
    if capability >= 100 and Version("3.3") > TRITON:
        pytest.skip("the assembler of this triton is older than the card")
    weight = "*fp64" if element == "*fp64" else "*fp32"
    kernel = getattr(kernels, name)
    types = signature(kernel, element, weight)
    if name in {"correlate_kernel", "factor_kernel"}:
        types["out"] = weight
    constants = {name: value for name, value in {**TILE, "BLOCK": 128}.items() if name in types}
    types.update(dict.fromkeys(constants, "constexpr"))
    source = ASTSource(kernel, types, constants)
    binary = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=OPTIONS)
    assert binary.asm["cubin"][:4] == b"\x7fELF"
    assert binary.metadata.shared <= 1024  # bytes a block
    if Version("3.3") <= TRITON and element != "*fp64":  # whose sums take more registers than there are
        spills = name == "spread_kernel" and Version("3.7") > TRITON  # whose assembler keeps fewer registers
        kept_in_memory = resources(binary.asm["cubin"], tmp_path)["STACK"]  # bytes
        assert kept_in_memory <= (192 if spills else 64)


def resources(cubin, folder):
    """What the assembler says that machine code takes: registers, stack and so on of a thread."""
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    (folder / "kernel.cubin").write_bytes(cubin)
    command = [str(tool), "--dump-resource-usage", str(folder / "kernel.cubin")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {name: int(value) for name, value in re.findall(r"(\w+):(\d+)", said)}


@pytest.mark.skipif(
    Version("3.3") > TRITON or (Version("3.7") > TRITON and Version(np.__version__) >= Version("2.4")),
    reason="the interpreter of this triton needs an older numpy",
)
def test_kernels_agree_with_the_path_of_the_cpu_under_the_interpreter():
    # triton reads the variable when it is imported, so the kernels run in a process of their own
    cases = Path(__file__).parents[1] / "helpers" / "interpreted.py"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(cases)]
    run = subprocess.run(command, env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    assert "passed" in run.stdout
    assert "skipped" not in run.stdout
