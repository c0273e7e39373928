"""`edgeseg val`: figures, files, thresholds, splits and refusals."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg import manifest as mf
from edgeseg import metrics
from edgeseg.bundle import open_model
from edgeseg.data.layouts import open_dataset
from edgeseg.errors import DataError, OutputError
from edgeseg.evaluate import evaluate


def test_run_and_bundle_agree(tiny_run: Path, tiny_bundle: Path, tiny_data: Path, edgeseg_cli) -> None:
    run = edgeseg_cli("val", tiny_run, "--data", tiny_data, "--json", "-")
    bundle = edgeseg_cli("val", tiny_bundle, "--data", tiny_data, "--json", "-")
    assert run.code == bundle.code == 0
    assert (run.json["auc_from"], bundle.json["auc_from"]) == ("float", "uint8")
    assert run.json["n_images"] == bundle.json["n_images"] == 3
    for kind in ("per_image", "pooled"):
        # AUC aside: an untrained network says nearly the same everywhere, which uint8 rounds into ties.
        one, two = ({k: v for k, v in said.json[kind].items() if k != "auc"} for said in (run, bundle))
        assert one == pytest.approx(two, abs=2e-3)
    graph = edgeseg_cli("val", tiny_bundle / "graphs" / "float.onnx", "--data", tiny_data, "--json", "-")
    assert graph.json["pooled"] != {}
    assert graph.json["n_images"] == 12  # no manifest, no lists: all pairs
    assert "phantom all" in graph.json["frames"]
    assert (graph.json["trained_on"], graph.json["trained_beside"]) == (None, None)
    shown = edgeseg_cli("val", tiny_bundle / "graphs" / "float.onnx", "--data", tiny_data).out
    assert "NOT KNOWN how many of these images the model was trained on: a bare graph does not" in " ".join(
        shown.split()
    )


def test_a_copy_of_a_set_is_refused(tiny_bundle: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    copy = shutil.copytree(tiny_data, tmp_path / "copy")
    said = edgeseg_cli("val", tiny_bundle, "--data", tiny_data, "--data", copy).sentence(2)
    assert f"--data {copy}: holds the files of {tiny_data}; its frames would count twice" in said


def test_another_size(tiny_run: Path, tiny_bundle: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    """`val --imgsz` says of a run what a run of that size would say."""
    other = Path(shutil.copytree(tiny_run, tmp_path / "other"))
    manifest = json.loads((other / "manifest.json").read_text())
    for part in ("frame", "output"):
        manifest[part] |= {"height": 96, "width": 128}
    data = json.dumps(manifest).encode()
    (other / "manifest.json").write_bytes(data)
    (other / "manifest.sha256").write_text(f"{mf.sha256(data)}  manifest.json\n")
    # AUC, since an untrained network's probability is on one side of any threshold.
    trained, asked, wanted = (
        edgeseg_cli("val", *words, "--data", tiny_data, "--json", "-").json["pooled"]["auc"]
        for words in ([tiny_run], [tiny_run, "--imgsz", "96x128"], [other])
    )
    assert asked == wanted != trained
    refused = edgeseg_cli("val", tiny_run, "--imgsz", "95x128", "--data", tiny_data).sentence(2)
    assert "needs multiples of 8; take 96x128" in refused
    refused = edgeseg_cli("val", tiny_bundle, "--imgsz", "96x128", "--data", tiny_data).sentence(3)
    assert "an exported graph has one size; give --imgsz with the run" in refused


def test_figures_are_those_of_the_masks(tiny_bundle: Path, tiny_data: Path, edgeseg_cli) -> None:
    """Recomputed from what `infer` writes, with nothing of edgeseg's metrics."""
    import edgeseg

    said = edgeseg_cli("val", tiny_bundle, "--data", tiny_data, "--json", "-", "--threshold", 0.4).json
    dices = []
    with edgeseg.open(tiny_bundle).load(threshold=0.4) as model:
        for image in said["images"]:
            frame = cv2.imread(str(tiny_data / "images" / f"{image['name']}.png"))
            truth = cv2.imread(str(tiny_data / "masks" / f"{image['name']}.png"), 0) > 0
            mask = model(frame).mask > 0
            both = 2 * (mask & truth).sum()
            dices.append(both / (mask.sum() + truth.sum()) if mask.sum() + truth.sum() else 1.0)
            assert image["dice"] == pytest.approx(dices[-1])
    assert said["per_image"]["dice"] == pytest.approx(np.mean(dices))
    assert said["thresholds"] == [102]


def test_frames_without_a_target(tiny_bundle: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    """They need no masks; what stays free of a mask is counted, and is their mean Dice."""
    negatives = tmp_path / "set" / "negatives"
    negatives.mkdir(parents=True)
    for file in sorted((tiny_data / "images").glob("*.png"))[:3]:
        shutil.copy(file, negatives)
    stems = tmp_path / "all.txt"
    stems.write_text("\n".join(file.stem for file in negatives.iterdir()))
    for threshold, free in ((0, 0), (1, 3)):
        done = edgeseg_cli(
            "val", tiny_bundle, "--data", negatives.parent, "--split", stems, "--threshold", threshold, "--json", "-"
        )
        assert (done.json["n_negative"], done.json["n_mask_free"]) == (3, free)
        assert done.json["per_image"]["dice"] == free / 3
        shown = edgeseg_cli("val", tiny_bundle, "--data", negatives.parent, "--split", stems, "--threshold", threshold)
        assert f"{free} of 3 images without a target get no mask" in " ".join(shown.out.split())


def test_files(tiny_bundle: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    out = tmp_path / "val"
    done = edgeseg_cli("val", tiny_bundle, "--data", tiny_data, "--out", out, "--json", tmp_path / "v.json")
    assert done.code == 0
    assert "Dice" in done.out
    assert str(out / "worst.png") in done.out
    assert str(out / "curves.png") in done.out
    assert cv2.imread(str(out / "curves.png")).shape[1] > 1000
    with (out / "figures.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    said = json.loads((tmp_path / "v.json").read_text())
    assert 0 <= said["ece"] <= 1
    assert {"command", "seed", "commit", "machine", "date", "recipe"} <= set(said["provenance"])
    assert [row["name"] for row in rows] == [one["name"] for one in said["images"]]
    for row, one in zip(rows, said["images"], strict=True):
        assert float(row["dice"]) == pytest.approx(one["dice"], abs=1e-6)
        assert (row["sensitivity"] == "") == ("sensitivity" not in one)
    assert cv2.imread(str(out / "worst.png")).shape[1] % 384 == 0
    assert sorted(file.name for file in out.iterdir()) == ["curves.png", "figures.csv", "worst.png"]


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_splits_of_the_training(tiny_bundle: Path, tiny_data: Path, edgeseg_cli, split: str) -> None:
    counts = {"train": 8, "val": 1, "test": 3}
    done = edgeseg_cli("val", tiny_bundle, "--data", tiny_data, "--split", split, "--json", "-")
    assert done.json["n_images"] == counts[split]


def test_split_file(tiny_run: Path, tiny_bundle: Path, tiny_data: Path, edgeseg_cli) -> None:
    file = tiny_run / "splits" / "phantom.val.txt"
    done = edgeseg_cli("val", tiny_bundle, "--data", tiny_data, "--split", file, "--json", "-")
    assert [one["name"] for one in done.json["images"]] == file.read_text().split()
    assert "is neither train, val, test nor a file" in edgeseg_cli(
        "val", tiny_bundle, "--data", tiny_data, "--split", "all"
    ).sentence(3)


def test_thresholds_move_the_figures(tiny_bundle: Path, tiny_data: Path, edgeseg_cli) -> None:
    low, high = (
        edgeseg_cli("val", tiny_bundle, "--data", tiny_data, "--threshold", t, "--json", "-").json for t in (0, 1)
    )
    assert (low["thresholds"], high["thresholds"]) == ([1], [255])
    assert low["pooled"]["specificity"] <= high["pooled"]["specificity"]
    assert low["pooled"]["auc"] == high["pooled"]["auc"]


@pytest.fixture
def data(tiny_data: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_data, tmp_path / "set", ignore=shutil.ignore_patterns("*.mp4")))


def test_interval_by_sequence(tiny_bundle: Path, data: Path, tmp_path: Path, edgeseg_cli) -> None:
    """Frames of one sequence are drawn together, and one sequence alone says nothing of others."""
    stems = sorted(file.stem for file in (data / "images").iterdir())
    everything = tmp_path / "all.txt"
    everything.write_text("\n".join(stems))
    words = ["val", tiny_bundle, "--data", data, "--split", everything, "--json", tmp_path / "v.json"]
    said = {}
    for groups in ("", "abc", "a"):
        if groups:
            rows = [f"{stem},{groups[index % len(groups)]}" for index, stem in enumerate(stems)]
            (data / "groups.csv").write_text("\n".join(["stem,group", *rows]))
        done = edgeseg_cli(*words)
        assert done.code == 0
        said[groups] = json.loads((tmp_path / "v.json").read_text()) | {"out": done.out}
    assert [one["n_groups"] for one in said.values()] == [None, 3, 1]
    assert "group" not in said[""]["images"][0]
    assert [one["group"] for one in said["abc"]["images"][:4]] == [1, 2, 3, 1]
    images = said["abc"]["images"]
    ends = metrics.bootstrap_ci95([one["dice"] for one in images], [one["group"] for one in images])
    assert said["abc"]["dice_ci95"] == pytest.approx(ends)
    assert said[""]["dice_ci95"] not in (None, said["abc"]["dice_ci95"])
    assert "all of 3 sequences or patients" in said["abc"]["out"]
    assert "95 % interval" in said["abc"]["out"]
    assert said["a"]["dice_ci95"] is None
    assert "95 % interval" not in said["a"]["out"]
    assert "all of one sequence or patient" in said["a"]["out"]


def test_wrong_data(tiny_bundle: Path, data: Path, edgeseg_cli) -> None:
    words = ["val", tiny_bundle, "--data", data]
    assert "has no field-of-view mask; use --area frame" in edgeseg_cli(*words, "--area", "fov").sentence(3)
    (data / "images" / "0003.png").write_bytes(b"\x89PNG")
    assert "images/0003.png: is no readable image" in edgeseg_cli(*words).sentence(3)
    (data / "images" / "0003.png").unlink()
    assert "no image for mask 0003.png" in edgeseg_cli(*words).sentence(3)
    (data / "masks" / "0003.png").unlink()
    cv2.imwrite(str(data / "masks" / "0004.png"), np.zeros((7, 9), np.uint8))
    assert "images/0004.png is 160x120 but its mask 9x7" in edgeseg_cli(*words).sentence(3)
    assert "is no folder" in edgeseg_cli("val", tiny_bundle, "--data", data / "none").sentence(3)
    shutil.rmtree(data)
    data.mkdir()
    assert "no known data set layout" in edgeseg_cli(*words).sentence(3)


def test_wrong_engines(tiny_run: Path, tiny_bundle: Path, tiny_data: Path, edgeseg_cli) -> None:
    for words in (
        ["--precision", "int8"],
        ["--precision", "fp16"],
        ["--backend", "onnxruntime", "--precision", "bf16"],
    ):
        assert "holds no" in edgeseg_cli("val", tiny_bundle, "--data", tiny_data, *words).sentence(3)
    said = edgeseg_cli("val", tiny_run, "--data", tiny_data, "--backend", "openvino").sentence(2)
    assert "is a run, which has no engine yet; make one with: edgeseg export" in said
    assert "no such run" in edgeseg_cli("val", "nothing", "--data", tiny_data).sentence(3)


def test_fields_of_view_that_are_none(tiny_bundle: Path, data: Path, tmp_path: Path) -> None:
    pair, file = open_dataset(data).pairs[0], tmp_path / "fov.png"
    spec = open_model(tiny_bundle).spec
    for size, said in (
        ((120, 160), "fov.png: is black all over"),
        ((60, 80), "is 160x120 but its field of view 80x60"),
    ):
        cv2.imwrite(str(file), np.zeros(size, np.uint8))
        with pytest.raises(DataError, match=said):
            evaluate(
                [replace(pair, fov=file)], lambda x: np.zeros((1, *x.shape[:2]), np.uint8), spec, [128], area="fov"
            )


def test_out_that_cannot_be(tiny_bundle: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    (tmp_path / "file").write_text("x")
    assert edgeseg_cli("val", tiny_bundle, "--data", tiny_data, "--out", tmp_path / "file").sentence(5)
    assert (tmp_path / "file").read_text() == "x"


def test_out_in_a_run(tiny_bundle: Path, tiny_run: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    """Its curves.png is of the training."""
    before = (tiny_run / "curves.png").read_bytes()
    said = edgeseg_cli("val", tiny_bundle, "--data", tiny_data, "--out", tiny_run).sentence(2)
    assert f"--out {tiny_run} is a run, whose own curves.png would be lost; give another folder" in said
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "last.ckpt").write_bytes(b"x")
    assert edgeseg_cli("val", tiny_bundle, "--data", tiny_data, "--out", begun).sentence(2)
    assert (tiny_run / "curves.png").read_bytes() == before
    assert not (tiny_run / "figures.csv").exists()


def test_figures_outlive_a_full_disk(
    tiny_bundle: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edgeseg_cli
) -> None:
    def full(*_: object) -> None:
        raise OutputError("no space left")

    monkeypatch.setattr("edgeseg.val.write_outputs", full)
    words = ["--out", tmp_path / "out", "--json", tmp_path / "v.json"]
    done = edgeseg_cli("val", tiny_bundle, "--data", tiny_data, *words)
    assert done.code == 5
    assert "Dice" in done.out
    assert json.loads((tmp_path / "v.json").read_text())["n_images"] == 3


def test_frames_it_was_trained_on_are_said(tiny_run: Path, tiny_data: Path, edgeseg_cli) -> None:
    held_out = edgeseg_cli("val", tiny_run, "--data", tiny_data, "--json", "-")
    assert held_out.json["trained_on"] == 0
    stems = [*(tiny_run / "splits" / f"phantom.{name}.txt" for name in ("train", "test"))]
    mixed = tiny_run.parent / "mixed.txt"
    mixed.write_text("".join(file.read_text() for file in stems))
    trained = len(stems[0].read_text().split())
    said = edgeseg_cli("val", tiny_run, "--data", tiny_data, "--split", mixed, "--json", "-")
    assert said.json["trained_on"] == trained > 0
    shown = edgeseg_cli("val", tiny_run, "--data", tiny_data, "--split", mixed)
    assert f"the model was TRAINED on {trained} of these images" in " ".join(shown.out.split())
