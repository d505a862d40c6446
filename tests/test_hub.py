"""Look-ups on the hub where there is no network: at once, and with a message."""

import socket

import pytest

import harmoclip
from harmoclip import hub
from harmoclip.errors import InputError


@pytest.fixture
def no_network(monkeypatch):
    """Nobody answers, and nobody may be asked twice."""
    asked = []

    def refuse(address, *args, **kwargs):
        asked.append(address)
        raise OSError("no network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(hub, "getproxies", dict)
    monkeypatch.delenv("ALL_PROXY", raising=False)
    return asked


@pytest.mark.parametrize(
    ("name", "pretrained"),
    [
        ("hf:somebody/no-clip", None),
        ("hf-hub:somebody/no-clip", None),
        ("ViT-B-32", "laion2b_s34b_b79k"),
        ("ViT-B-16-SigLIP", None),  # its tokenizer
    ],
)
def test_a_model_that_is_nowhere_is_an_error_at_once(
    no_network, name, pretrained, tmp_path, monkeypatch, caplog
):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    before = constants.HF_HUB_OFFLINE
    with pytest.raises(
        InputError, match=r"is not on this disk, and https://huggingface\.co cannot be reached"
    ):
        harmoclip.load_model(name, pretrained)
    assert "Retrying" not in caplog.text
    assert before == constants.HF_HUB_OFFLINE
    assert len(no_network) == 1


def test_what_needs_no_network_asks_for_none(no_network):
    harmoclip.load_model("RN50")
    assert not no_network


def test_other_errors_stay_what_they_are(monkeypatch):
    monkeypatch.setattr(hub, "reachable", lambda address: True)
    with pytest.raises(RuntimeError, match="another"), hub.from_hub("a"):
        raise RuntimeError("another")


def test_a_proxy_is_trusted(monkeypatch):
    monkeypatch.setattr(hub, "getproxies", lambda: {"https": "http://127.0.0.1:9"})
    assert hub.reachable("https://example.org")
