"""`python -m benchmarks.papers`: rows, stored results, what is missing said so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
ROOT = Path(__file__).parents[2]
WHOLE = {"command": "edgeseg val", "commit": "abc", "machine": "m", "date": "d", "recipe": "unet-cvc-paper"}


def ran(*words: object) -> str:
    call = [sys.executable, "-m", "benchmarks.papers", *map(str, words)]
    return subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    folder = tmp_path_factory.mktemp("results")
    base = {"model": "x", "frames": "cvc_clinicdb test"}
    for seed, dice in enumerate((0.8, 0.84, 0.88)):
        value = base | {"per_image": {"dice": dice, "iou": 0.7}, "provenance": WHOLE | {"seed": seed}}
        (folder / f"unet-{seed}.json").write_text(json.dumps(value))
    (folder / "old.json").write_text(json.dumps(base | {"model": "npnet-cvc-paper", "per_image": {"dice": 0.9}}))
    (folder / "elsewhere.json").write_text(
        json.dumps(base | {"frames": "kvasir_seg test", "model": "npnet-cvc-paper", "per_image": {"dice": 0.1}})
    )
    whole = base | {"frames": "drive test", "pooled": {"auc": 0.99}, "per_image": {"auc": 0.98}}
    whole |= {"provenance": WHOLE | {"recipe": "dnlnet-drive-paper", "seed": 0, "epochs": 200}}
    (folder / "whole.json").write_text(json.dumps(whole | {"area": "frame"}))
    (folder / "inside.json").write_text(json.dumps(whole | {"area": "fov", "pooled": {"auc": 0.5}}))
    (folder / "other.json").write_text('{"rows": []}')
    return {row["name"]: row for row in json.loads(ran("--json", "-", "--results", folder))["rows"]}


def test_spread_over_seeds(said: dict[str, dict]) -> None:
    row = said["U-Net, CVC-ClinicDB"]
    assert row["ours"]["dice"] == "0.8400 ± 0.0400 (n=3)"
    assert (row["paper"]["parameters_m"], row["ours"]["parameters_m"]) == ("34.53", "34.53")
    assert (row["paper"]["gmac"], row["ours"]["gmac"]) == ("110.46", "110.46")
    assert row["status"] == "3 runs: unet-0.json, unet-1.json, unet-2.json"


def test_a_file_that_lacks_its_origin_is_marked(said: dict[str, dict]) -> None:
    row = said["NPNet, CVC-ClinicDB"]
    assert row["ours"]["dice"] == "0.9000"  # and nothing of the other set
    assert row["status"] == "1 run: old.json; incomplete: no command, commit, date, machine, seed"


def test_what_cannot_be_run_or_is_not_there_is_said(said: dict[str, dict]) -> None:
    assert said["DNL-Net, intracranial CTA"]["status"].startswith("cannot be run: private")
    assert said["NPNet, lung CT"]["status"].startswith("cannot be run: private or missing data")
    assert said["SegNet, CVC-ClinicDB"]["status"] == "no stored result"
    assert "dice" not in said["SegNet, CVC-ClinicDB"]["ours"]
    assert len([name for name in said if name.startswith("comparator: ")]) == 12
    still_open = {name for name in said if said[name]["status"].startswith("open: not built")}
    assert still_open == {f"comparator: {name}" for name in ("SA-Net", "SSCA-Net", "DEU-Net")}
    assert said["comparator: ENet"]["ours"] == {"parameters_m": "0.36"}
    assert said["comparator: ENet"]["status"] == "no stored result"
    assert len([name for name in said if name.startswith("ablation: ")]) == 6
    assert said["ablation: full"]["ours"]["parameters_m"] == "0.70"
    assert said["ablation: Baseline"]["ours"]["parameters_m"] == "0.40"


def test_figures_inside_the_field_of_view_are_no_whole_images(said: dict[str, dict]) -> None:
    row = said["DNL-Net, DRIVE (whole images, pooled)"]
    assert row["ours"]["auc"] == "0.9900"
    assert row["status"] == "1 run: whole.json; 200 epochs, in the last training"


def test_every_stored_result_of_a_whole_run_has_a_row() -> None:
    """A file that `val` or `benchmarks.drive` wrote on a set of the papers must not be lost for its recipe's name."""
    from benchmarks import papers

    folder = ROOT / "benchmarks" / "results"
    used = " ".join(row.status for row in papers.rows(folder))
    # Across sets and by sequence: not in the papers' tables, but in benchmarks/results/README.md.
    beside = {"npnet-cvc-paper.kvasir-test.json", "npnet-polyp.kvasir-test.json", "npnet-cvc-seq.cvc-test-seq.json"}
    beside |= {
        f"{run}.{frames}.json"
        for run in ("npnet-cvc", "npnet-cvc-taught", "npnet-cvc-long")
        for frames in ("cvc-test-seq", "kvasir-test")
    }
    beside |= {
        f"{run}.{frames}.json"
        for run in (
            *(f"npnet-cvc-{how}-seed{seed}" for how in ("from-skin", "each") for seed in range(3)),
            "npnet-cvc-seq-taught",
            "npnet-cvc-taught-from-skin",
            "npnet-cvc-taught-192",
            "npnet-cvc-taught-192-seed1",
            "npnet-cvc-each-taught",
            "npnet-cvc-each-longer",
        )
        for frames in ("cvc-test-seq", "kvasir-test")
    }
    beside |= {f"loss-{loss}.cvc-val.json" for loss in ("dice_ce", "frame_dice_ce", "deep")}
    beside |= {"npnet-kvasir.cvc-test.json", "npnet-kvasir.kvasir-test.json"}
    beside |= {
        "effunet-polyp-long.cvc-test-seq.json",
        "effunet-polyp-long.val.json",
        "effunet-cvc-seq.cvc-test-seq.json",
        "effunet-cvc-seq-224x288.cvc-test-seq.json",
        "effunet-cvc-each.cvc-test-seq.json",
        "npnet-polyp-small.cvc-test.json",
        "npnet-polyp-small.kvasir-test.json",
    }
    beside |= {f"{net}-frames-polyp.cvc-test.json" for net in ("npnet", "effunet")}
    beside |= {"npnet-frames-chain.cvc-test.json"}
    beside |= {"effunet-cvc-frames.cvc-test.json", "effunet-frames.cvc-test.json", "effunet-skin-long.isic-test.json"}
    beside |= {f"dnlnet-vessel.drive-test-fov-{precision}.json" for precision in ("int8", "fp32")}
    elsewhere = ("colondb", "endotect", "endotect-negative", "colon-free-test")
    beside |= {f"{run}.{name}.json" for run in ("npnet-polyp", "npnet-polyp-hospitals") for name in elsewhere}
    beside |= {"npnet-polyp.bkai.json", "npnet-polyp-hospitals.neopolyp-test.json"}
    beside |= {f"npnet-polyp-hospitals.{name}-test.json" for name in ("cvc", "kvasir")}
    beside |= {f"dnlnet-vessel.chase-{part}.json" for part in ("train", "test", "test-own")}
    beside |= {"dnlnet-vessel.stare.json", "dnlnet-vessel.hrf-test.json"}
    missing = {one.file for one in papers.load(folder) if one.file not in used}
    assert missing <= beside
    page = (folder / "README.md").read_text()
    assert all(name.removesuffix(".json") in page for name in missing)


def test_changed_frames_keep_their_targets() -> None:
    import cv2
    import numpy as np

    from benchmarks.changes import CHANGES

    frame = np.random.default_rng(0).integers(40, 200, (96, 128, 3), dtype=np.uint8)
    truth = np.zeros((96, 128), np.uint8)
    cv2.circle(truth, (90, 30), 10, 1, -1)
    for name, change in CHANGES.items():
        image, target = change(frame, truth)
        assert image.shape[:2] == target.shape
        assert np.array_equal(image, frame) == (name == "as it is")
        if name.endswith("x"):
            assert target.sum() == truth.sum()
            assert target.shape == tuple(int(side / float(name[:-1])) for side in truth.shape)
        else:
            assert np.array_equal(target, truth)


def test_a_size_that_was_not_timed_says_why(tmp_path: Path) -> None:
    from benchmarks import papers

    stored = ROOT / "benchmarks" / "results" / "nonlocal-cpu.json"
    (tmp_path / stored.name).write_text(stored.read_text())
    ours, status = papers.cost_row("nl", tmp_path)
    assert set(ours) == {"ms_96"}
    assert "192x192 not timed there: one map takes 5.4 GB an image" in status
    assert "not timed" not in papers.cost_row("dnl", tmp_path)[1]


def test_tables_for_people_name_what_our_sources_lack() -> None:
    text = ran("--markdown")
    assert ran() == text  # in a pipe
    assert "| 1 | SegNet, CVC-ClinicDB | 29.44 → 29.44 | 67.67 → 67.67 | ? → – |" in text
    assert "0.7766 → 0.7931 ± 0.0224 (n=3)" in text
    assert "DeepLabV3+" in text
