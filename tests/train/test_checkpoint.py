"""Weights from file to network: the same ones, a narrower one's, or none; checkpoints and manifests that are none."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from edgeseg.bundle import open_model
from edgeseg.errors import InputError, ModelError
from edgeseg.nets.dnlnet import DNLNet
from edgeseg.train.checkpoint import OUTER, AtomicCheckpointIO, is_whole, load_weights, weights_bytes
from edgeseg.train.write import write_manifest


def test_a_grown_network_computes_what_the_narrow_one_did_and_learns_in_its_new_channels() -> None:
    torch.manual_seed(0)
    narrow = DNLNet(width=4)
    narrow.train()(torch.randn(4, 3, 32, 32))  # batch norms with statistics of their own
    x = torch.randn(2, 3, 40, 24)
    fine = DNLNet(width=4, fine=12)
    load_weights(fine, weights_bytes(narrow, {}), "here", grow=True)
    assert torch.allclose(fine.eval()(x), narrow.eval()(x), atol=1e-5)
    fine.train()(x).square().mean().backward()
    new = fine.head.weight.grad
    assert new is not None
    assert (new[:, 4:].abs() > 0).all()


def test_every_stage_may_grow() -> None:
    torch.manual_seed(0)
    narrow, wide = (DNLNet(width=width, context="none", attention="none") for width in (4, 8))
    x = torch.randn(2, 3, 40, 24)
    narrow.train()(x)
    load_weights(wide, weights_bytes(narrow, {}), "here", grow=True)
    assert torch.allclose(wide.eval()(x), narrow.eval()(x), atol=1e-5)


def test_weights_of_another_network_are_refused() -> None:
    data = weights_bytes(DNLNet(width=8), {})
    for grow in (False, True):
        with pytest.raises(ModelError, match="another network"):
            load_weights(DNLNet(width=4), data, "here", grow=grow)
    with pytest.raises(ModelError, match="another network"):
        load_weights(DNLNet(width=12), data, "here")
    with pytest.raises(ModelError, match="no safetensors"):
        load_weights(DNLNet(width=4), b"not at all", "here", grow=True)


def test_from_a_run_of_another_network(tiny_run: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    out = tmp_path / "out"
    words = ["--data", tiny_data, "--imgsz", "64x96", "--quiet", "--out", out, "--from"]
    unet = tmp_path / "unet.toml"
    unet.write_text('name = "mine"\nextends = "npnet-phantom"\nnetwork.name = "unet"\n')
    for given in (tiny_run, "npnet-polyp"):
        said = edgeseg_cli("train", unet, *words, given).sentence(3)
        assert f"--from {given}: is of the network npnet, and recipe mine trains unet; give a model of unet" in said
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "weights.safetensors").write_bytes((tiny_run / "weights.safetensors").read_bytes())
    other = tmp_path / "other.toml"
    other.write_text('name = "other"\nextends = "npnet-phantom"\nnetwork.options.attention = "se"\n')
    for recipe, given, network in (
        (unet, bare, "recipe mine's unet"),
        (other, tiny_run, "recipe other's npnet"),
    ):
        said = edgeseg_cli("train", recipe, *words, given).sentence(3)
        assert f"--from {given}: holds the weights of another network, or of {network} with other options" in said
        assert "state_dict" not in said
    assert not out.exists()


def test_a_checkpoint_that_lacks_something_is_refused_before_it_is_loaded(tiny_run: Path, tmp_path: Path) -> None:
    whole = torch.load(tiny_run / "last.ckpt", weights_only=True)
    state = whole["callbacks"]["Recorder"]
    needed = state.keys() - {"commit"}  # older ones do not tell it
    assert is_whole(whole)
    assert is_whole(whole | {"callbacks": {"Recorder": {key: state[key] for key in needed}}})

    wrong: list[object] = [{key: value for key, value in state.items() if key != gone} for gone in needed]
    wrong += [state | {key: None} for key in needed]
    wrong += [state | {"identity": {"recipe": 1}}, state | {"rows": [1]}, state | {"weights": {"x": 1}}, None]
    assert not any(is_whole(whole | {"callbacks": {"Recorder": one}}) for one in wrong)
    assert not any(is_whole({key: value for key, value in whole.items() if key != gone}) for gone in OUTER)

    given: list[dict[str, str]] = []
    file = tmp_path / "last.ckpt"
    for one in (whole | {"callbacks": {"Recorder": state | {"identity": None}}}, None, 3):
        torch.save(one, file)
        with pytest.raises(InputError, match=r"last\.ckpt: is no checkpoint of edgeseg's; remove it to start again"):
            AtomicCheckpointIO(given.append).load_checkpoint(file)
    AtomicCheckpointIO(given.append).load_checkpoint(tiny_run / "last.ckpt")
    assert given == [state["identity"]]


def test_a_flipped_bit_of_a_checkpoint_is_refused(tiny_run: Path, tmp_path: Path) -> None:
    """In weights, which would be gone on with, and in what says how to read them, which ends in many errors."""
    whole = (tiny_run / "last.ckpt").read_bytes()
    file = tmp_path / "last.ckpt"
    with zipfile.ZipFile(tiny_run / "last.ckpt") as archive:
        parts = {part.filename: archive.read(part) for part in archive.infolist() if part.file_size >= 64}
    pickled = next(name for name in parts if name.endswith("data.pkl"))
    flips = [(name, len(parts[name]) // 2) for name in list(parts)[:4]]
    flips += [(pickled, place) for place in range(0, len(parts[pickled]), len(parts[pickled]) // 12)]
    for name, place in flips:
        data = bytearray(whole)
        data[whole.index(parts[name]) + place] ^= 4
        file.write_bytes(data)
        with pytest.raises(InputError, match=r"last\.ckpt: cannot be resumed from; remove it .*its part .* is not as"):
            AtomicCheckpointIO(lambda _: None).load_checkpoint(file)


def test_a_checkpoint_on_a_full_disk(tmp_path: Path) -> None:
    """torch.save makes a RuntimeError of it that tells of no disk."""
    code = (
        "import resource, signal, sys, torch; from edgeseg.errors import OutputError\n"
        "from edgeseg.train.checkpoint import AtomicCheckpointIO\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: AtomicCheckpointIO(print).save_checkpoint({'x': torch.zeros(9999)}, sys.argv[1])\n"
        "except OutputError as error: print(error); sys.exit(error.exit_code)\n"
    )
    file = tmp_path / "last.ckpt"
    file.write_text("old")
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True)
    assert done.returncode == 5, done.stderr
    assert done.stdout.startswith(f"cannot write {file}: File too large")
    assert file.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["last.ckpt"]


def test_whatever_fails_in_a_checkpoint_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "last.ckpt"
    torch.save({}, file)
    for error in (IndexError("pop from empty list"), AttributeError("x"), TypeError("y"), RecursionError()):
        monkeypatch.setattr("torch.load", lambda *_, error=error, **__: (_ for _ in ()).throw(error))
        with pytest.raises(InputError, match=r"last\.ckpt: cannot be resumed from; remove it to start again"):
            AtomicCheckpointIO(lambda _: None).load_checkpoint(file)


def test_a_manifest_that_could_not_be_read_is_not_written(tiny_run: Path, tmp_path: Path) -> None:
    manifest = open_model(tiny_run).manifest
    assert manifest is not None
    long = manifest.terms.model_copy(update={"notice": "x" * 1025})
    with pytest.raises(InputError, match=r"manifest\.json: is not written: has a string over 1024 bytes at te"):
        write_manifest(tmp_path, manifest.model_copy(update={"terms": long}))
    assert not list(tmp_path.iterdir())
