import os
import signal
import subprocess
import sys
import time
from inspect import signature

import pytest
import typer
from typer.testing import CliRunner

import harmoclip
from harmoclip import cli
from harmoclip.errors import InputError


def run(*arguments):
    return CliRunner().invoke(cli.app, list(arguments))


def outcome(monkeypatch, *arguments):
    """The exit code of `harmoclip ARGUMENTS` in this process."""
    monkeypatch.setattr(sys, "argv", ["harmoclip", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code or 0


def test_help_names_every_command_and_shows_examples():
    text = run("--help").output
    assert all(name in text and f"harmoclip {name}" in text for name in cli.COMMANDS)


@pytest.mark.parametrize("arguments", [["--help"], ["segment", "--help"]])
def test_help_is_light(arguments):
    code = (
        "import sys; sys.argv = ['harmoclip', *sys.argv[1:]]\n"
        "from harmoclip.cli import app\n"
        "try: app()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'spacy', 'open_clip', 'transformers', 'triton'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help(name):
    result = run(name, "--help")
    assert result.exit_code == 0, result.output
    assert "Usage" in result.output


def test_version():
    assert run("--version").output.strip() == f"harmoclip {harmoclip.__version__}"


@pytest.mark.parametrize("arguments", [["nonsense"], ["demo", "--nope"], ["demo", "--steps", "0"]])
def test_misuse_exits_with_2(monkeypatch, arguments):
    assert outcome(monkeypatch, *arguments) == 2


def test_a_user_mistake_is_one_message_and_exit_code_2(monkeypatch, capsys):
    assert outcome(monkeypatch, "train", "no-such-file.yaml") == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("InputError: there is no configuration file no-such-file.yaml")
    assert not printed.out


def test_examples_in_help_are_real():
    for known in cli.COMMANDS.values():
        assert all(lines for lines in known.functions.values())
    for name, known in cli.COMMANDS.items():
        group = cli.load(name)
        for function, lines in known.functions.items():
            command = group.commands[function] if hasattr(group, "commands") else group
            options = {option for parameter in command.params for option in parameter.opts}
            for line in lines:
                _, words = line.split(f"harmoclip {name}", 1)
                assert {word for word in words.split() if word.startswith("--")} <= options, line
            assert lines[0] in command.epilog


@pytest.mark.skipif(
    "suggest_commands" not in signature(typer.Typer).parameters, reason="this typer suggests no commands"
)
def test_a_near_name_is_suggested():
    assert "Did you mean 'demo'" in run("demoo").output


@pytest.mark.parametrize("out", ["file", "/proc/x"])
@pytest.mark.parametrize(
    "command", [["demo", "--out"], ["evaluate", "ViT-B-32", "--scenes", "4", "--out"]], ids=lambda c: c[0]
)
def test_a_folder_that_cannot_be_is_found_before_the_work(monkeypatch, capsys, tmp_path, command, out):
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    assert outcome(monkeypatch, *command, out) == 2
    assert capsys.readouterr().err.startswith(f"InputError: --out is {out!r}, where nothing can be written")


def test_training_writes_nowhere_it_cannot(monkeypatch, capsys):
    assert outcome(monkeypatch, "train", "data.format=scenes", "out=/proc/x") == 2
    assert capsys.readouterr().err.startswith("InputError: out is '/proc/x', where nothing can be written")


@pytest.mark.parametrize(("error", "code"), [(InputError("[wrong]"), 2), (KeyboardInterrupt(), 130)])
def test_exit_codes(monkeypatch, error, code):
    import harmoclip.cli.train

    def fails(config: str) -> None:
        raise error

    monkeypatch.setattr(harmoclip.cli.train, "train", fails)
    assert outcome(monkeypatch, "train", "x") == code


def test_ctrl_c_leaves_nothing_half_written(tmp_path):
    from tests.helpers.tiny_clips import write_open_clip

    out = tmp_path / "run"
    options = ["data.format=scenes", "data.size=40", "data.batch_size=4", "steps=9999", "checkpoint.every=1"]
    name = write_open_clip(tmp_path / "model")
    process = subprocess.Popen(
        [sys.executable, "-m", "harmoclip", "train", f"model.name={name}", *options, f"out={out}"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # a background job of a shell, and all that it starts, would ignore the signal
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 300
    while not list(out.glob("checkpoints/step-*")) and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 130, errors
    assert not list(out.rglob("*.partial"))
