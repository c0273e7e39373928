"""The model card: what a reader must find is in it, from the manifest alone."""

from __future__ import annotations

from pathlib import Path

from edgeseg import manifest as mf
from edgeseg.export import card
from edgeseg.export.card import UNRECORDED


def test_card_of_the_contracts_example() -> None:
    manifest = mf.parse((Path(__file__).parents[1] / "data" / "contract_manifest.json").read_bytes())
    text = card.write(manifest).decode()
    assert "- cvc_clinicdb: 441 train, 49 val, 122 test. Terms: research and education only." in text
    assert "- before that, recipe npnet-kvasir: kvasir_seg: 721 train. Terms: research and educational use." in text
    assert UNRECORDED not in text
    assert "Intended: Research on polyp segmentation in white-light colonoscopy." in text
    assert "Not intended: diagnosis, NBI or other enhanced light." in text
    assert "**Trained on CVC-ClinicDB: research and education only.**" in text
    assert "polyp: 128 of 255, by the rule max dice on cvc_clinicdb val" in text
    assert "error (ECE) of the pixels is 0.0210" in text
    assert "| 192 | 0.8400 | 0.9300 |" in text
    assert "| int8-cpu | openvino | cvc_clinicdb val | 49 | 0.9012 |" in text


def test_card_without_an_operating_point() -> None:
    manifest = mf.parse((Path(__file__).parents[1] / "data" / "contract_manifest.json").read_bytes())
    text = card.write(manifest.model_copy(update={"operating_points": []})).decode()
    assert "## Operating point" not in text


def test_card_of_a_model_from_one_that_nothing_is_known_of() -> None:
    manifest = mf.parse((Path(__file__).parents[1] / "data" / "contract_manifest.json").read_bytes())
    training = manifest.training.model_copy(update={"ancestors": None})
    assert f"- {UNRECORDED}" in card.write(manifest.model_copy(update={"training": training})).decode()
