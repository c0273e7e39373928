"""Every shipped calibration recipe and device profile loads and means something."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgeseg import recipes
from edgeseg.bundle import open_model
from edgeseg.calibration.frames import KIND, Recipe
from edgeseg.data.layouts import open_dataset
from edgeseg.data.splits import list_sha256, resolve
from edgeseg.errors import DataError, InputError, UsageError
from edgeseg.export import forms, targets
from edgeseg.export.int8 import choose_frames
from edgeseg.export.request import request
from edgeseg.manifest import DataUse, SplitUse

SETS = {"cvc": "cvc_clinicdb", "kvasir": "kvasir_seg", "skin": "isic2017", "lung": "lung_ct_uiip", "drive": "drive"}


def test_names() -> None:
    assert recipes.names(KIND) == sorted([*SETS, "phantom"])


@pytest.mark.parametrize("name", recipes.names(KIND))
def test_calibration_recipe(name: str) -> None:
    recipe = recipes.load(KIND, name, Recipe)
    assert recipe.name == name
    for source in recipe.sources:
        assert source.split == "train"
        assert len(source.sha256) in (0, source.frames)


@pytest.mark.parametrize("name", SETS)
def test_no_recipe_lists_a_test_frame(name: str, data_dir: Callable[[str], Path]) -> None:
    import hashlib

    dataset = open_dataset(data_dir(SETS[name]))
    tested = {hashlib.sha256(p.image.read_bytes()).hexdigest() for p in dataset.subset(dataset.lists["test"])}
    for source in recipes.load(KIND, name, Recipe).sources:
        assert source.data == dataset.name
        assert not tested & set(source.sha256)


@pytest.mark.parametrize("name", recipes.names(targets.KIND))
def test_target(name: str) -> None:
    target = targets.load(name)
    assert target.name == name
    for precision in target.precisions:
        assert set(target.graphs(precision)) <= set(forms.GRAPHS)
        asked = request(targets=[name], **({"quantize": 32} if precision == "fp32" else {precision: True}))
        assert asked.wanted.graphs == target.graphs(precision)
        assert {wish.target.name for wish in asked.engines} == ({name} if target.engine else set())
    assert request(targets=[name]).wanted.graphs == target.graphs(target.precisions[0])
    assert request(targets=[name], engine=False).engines == ()


def test_unknown_and_broken(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no recipe 'nothing'"):
        recipes.load(KIND, "nothing", Recipe)
    bad = tmp_path / "bad.toml"
    bad.write_text('name = "bad"\ndescription = ""\n[[sources]]\nframes = 4\nsplit = "test"\n')
    with pytest.raises(InputError, match="never from val or test"):
        recipes.load(KIND, str(bad), Recipe)
    for value in ("9" * 5000, "[" * 3000 + "]" * 3000):
        bad.write_text(f"seed = {value}\n")
        with pytest.raises(InputError, match=r"bad\.toml: is not TOML"):
            recipes.load(KIND, str(bad), Recipe)


def test_options_of_export() -> None:
    assert request().wanted.graphs == ()
    assert request(quantize=8) == request(int8=True)
    assert request(quantize=16).wanted.graphs == ("fp16-trt-typed",)
    assert request(int8=True, targets=["x86-openvino"]).wanted.graphs == ("int8-cpu", "int8-cpu-7bit")
    assert request(batch=8).variants == ("-b8",)
    assert request(dynamic=True).variants == ("-dynamic",)
    for wrong in ({"quantize": 4}, {"batch": 4, "dynamic": True}, {"fp16": True, "targets": ["x86-openvino"]}):
        with pytest.raises(UsageError, match="--"):
            request(**wrong)


def test_a_shipped_recipe_that_does_not_fit_gives_way_to_a_draw_unless_it_was_asked_for(
    tiny_run: Path, tiny_data: Path
) -> None:
    manifest = open_model(tiny_run).manifest
    assert manifest is not None
    chosen = choose_frames([tiny_data], None, None, None, manifest)  # the phantom's asks for 24 frames, here are 8
    assert (chosen.recipe.name, len(chosen.frames), chosen.split) == ("drawn", 8, "train")
    assert choose_frames([tiny_data], None, None, 1, manifest).recipe.seed == 1
    for asked in (("phantom", None), (None, 24)):
        with pytest.raises(DataError, match="wants 24 frames"):
            choose_frames([tiny_data], *asked, None, manifest)


def test_another_split_of_a_known_set_is_calibrated_on_its_own_training_frames(
    tiny_run: Path, data_dir: Callable[[str], Path]
) -> None:
    """Of the frames that the shipped recipe lists, some are held out by ``train_seq.txt``."""
    root = data_dir("cvc_clinicdb")
    dataset = open_dataset(root)
    splits = resolve(dataset, 0, train_list=root / "train_seq.txt")
    manifest = open_model(tiny_run).manifest
    assert manifest is not None
    trained = [
        SplitUse(data=dataset.name, split=name, images=len(splits.of(name)), list_sha256=list_sha256(splits.of(name)))
        for name in ("train", "val", "test")
    ]
    use = DataUse(name=dataset.name, listing_sha256=dataset.listing_sha256, terms=dataset.terms)
    training = manifest.training.model_copy(update={"data": [use], "splits": trained})
    other = manifest.model_copy(update={"training": training})
    chosen = choose_frames([root], None, None, None, other)
    assert (chosen.recipe.name, len(chosen.frames)) == ("drawn", 128)
    assert {frame.pair.stem for frame in chosen.frames} <= set(splits.train)
    with pytest.raises(DataError, match="calibrate on other frames"):
        choose_frames([root], "cvc", None, None, other)
