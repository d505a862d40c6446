import pytest

from harmoclip.errors import InputError
from harmoclip.train.config import Config, keys
from harmoclip.train.config_file import differences, load_config, to_yaml


def test_printed_configuration_reads_back_and_shows_every_default(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text(to_yaml(Config()))
    assert load_config(file) == Config()
    printed = [line.partition(":")[0] for line in file.read_text().splitlines()[1:]]
    assert printed == ["  " * k.depth + k.name.rsplit(".", 1)[-1] for k in keys(Config(), sections=True)]


def test_printed_configuration_says_what_every_own_key_means_and_what_there_is_to_choose_from():
    lines = to_yaml(Config()).splitlines()
    for found in keys(Config(), sections=True):
        name = found.name.rsplit(".", 1)[-1]
        if not found.name.startswith("objective."):
            assert any(line.strip().startswith(f"{name}:") and "  # " in line for line in lines)
    assert any("schedule: cosine  # cosine, linear, constant: " in line for line in lines)
    assert any(line.startswith("log_every: 10") and line.endswith("*") for line in lines)


def test_overrides_win_over_the_file_and_keep_the_rest(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("steps: 7\noptimizer: {learning_rate: 3e-4, warmup: 2}\nobjective: {lexemes: spans}\n")
    config = load_config(file, ["optimizer.warmup=9", "objective.weights.lexeme_region=0.25"])
    assert (config.steps, config.optimizer.learning_rate, config.optimizer.warmup) == (7, 3e-4, 9)
    assert config.objective.lexemes == "spans"
    assert config.objective.weights == {**Config().objective.weights, "lexeme_region": 0.25}


@pytest.mark.parametrize(
    ("override", "nearest"),
    [
        ("optimizer.learning_rat=1", "optimizer.learning_rate"),
        ("learning_rate=1", "optimizer.learning_rate"),
        ("objective.weight=1", "objective.weights"),
        ("objective.weights.lexeme_regio=1", "objective.weights.lexeme_region"),
        ("batchsize=4", "data.batch_size"),
    ],
)
def test_unknown_key_names_the_nearest(override, nearest):
    with pytest.raises(InputError, match=f"no key {override.split('=')[0]}.*Did you mean {nearest}"):
        load_config(None, [override])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("steps=many", "steps is 'many': expected int"),
        ("steps=1.5", "expected int"),
        ("steps=0", "steps is 0: expected 1 or more"),
        ("optimizer.schedule=step", "expected cosine or linear or constant"),
        ("data.unit=inch", "data.unit is 'inch': expected fraction or pixel or null"),
        ("optimizer.layer_decay=1.5", "layer_decay is 1.5"),
        ("data.flip=2", "data.flip is 2.0: expected at most 1"),
        ("data.workers=-1", "data.workers is -1: expected 0 or more"),
        ("optimizer=3", "expected keys and values"),
        ("steps", "expected KEY=VALUE"),
        ("steps=[1", r"steps is '\[1': expected int"),
        ("objective.lexemes=words", "expected spans or phrases or both"),
    ],
)
def test_wrong_values_are_named(override, message):
    with pytest.raises(InputError, match=message):
        load_config(None, [override])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: {name: null}", "model.name is None: expected str"),
        ("optimizer: {schedule: [1]}", r"optimizer.schedule is \[1\]: expected cosine"),
        ("optimizer: {warm: 3}", "no key optimizer.warm. Did you mean optimizer.warmup"),
        ("- steps", "holds a list: expected keys and values"),
        ("steps: [1", "not YAML"),
        ("steps:", "steps is None: expected int"),
    ],
)
def test_wrong_files_are_named(text, message, tmp_path):
    (tmp_path / "run.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        load_config(tmp_path / "run.yaml")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no configuration file .*none\.yaml"):
        load_config(tmp_path / "none.yaml")


def test_null_is_taken_where_it_may_stand():
    assert load_config(None, ["optimizer.max_norm=null", "optimizer.unlock_at=3"]).optimizer.max_norm is None


def test_differences_are_named():
    config = load_config(None, ["steps=5", "objective.weights.lexeme_region=3"])
    assert differences(Config(), Config()) == []
    assert differences(Config(), config) == [
        "steps was 1000 and is 5",
        "objective.weights.lexeme_region was 1.0 and is 3.0",
    ]
