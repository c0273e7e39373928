"""Model card, report and bill of materials: what a reader must find is in them, from the manifest alone."""

from __future__ import annotations

import json
from pathlib import Path

from edgeseg import manifest as mf
from edgeseg.export import card, report, sbom
from edgeseg.export.card import UNRECORDED


def test_card_of_the_contracts_example() -> None:
    manifest = mf.parse((Path(__file__).parents[1] / "data" / "contract_manifest.json").read_bytes())
    text = card.write(manifest).decode()
    assert "- cvc_clinicdb: 441 train, 49 val, 122 test. Terms: research and education only." in text
    assert "- before that, recipe npnet-kvasir, weights 5df6e0e27613: kvasir_seg: 721 train. Terms: " in text
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


def test_data_of_earlier_trainings_is_in_report_and_bill_of_materials() -> None:
    manifest = mf.parse((Path(__file__).parents[1] / "data" / "contract_manifest.json").read_bytes())
    page = report.write(manifest, report.Findings()).decode()
    assert "<td>npnet-kvasir</td><td>kvasir_seg</td><td>train</td><td>721</td>" in page
    assert "<li>kvasir_seg: research and educational use</li>" in page
    assert UNRECORDED not in page
    # The set has grown between the two trainings: it is in twice, by names of their own.
    (kvasir,) = (manifest.training.ancestors or [])[0].data
    grown = kvasir.model_copy(update={"listing_sha256": "f" * 64, "terms": "other terms"})
    training = manifest.training.model_copy(update={"data": [*manifest.training.data, grown], "ancestors": None})
    assert UNRECORDED in report.write(manifest.model_copy(update={"training": training}), report.Findings()).decode()
    training = training.model_copy(update={"ancestors": manifest.training.ancestors})
    bill = json.loads(sbom.write(manifest.model_copy(update={"training": training})))
    sets = {one["name"]: one["properties"][0]["value"] for one in bill["components"] if "data set" in one["name"]}
    assert sets == {
        "data set cvc_clinicdb": "research and education only",
        "data set kvasir_seg": "other terms",
        f"data set kvasir_seg {kvasir.listing_sha256[:12]}": "research and educational use",
    }
