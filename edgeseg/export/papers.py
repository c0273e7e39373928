"""The documents of a bundle (report, bill of materials, card), and ``verify --update``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgeseg import manifest as mf
from edgeseg.backends import runs_here
from edgeseg.bundle import Source, require_manifest
from edgeseg.export import card, report, rewrite, sbom
from edgeseg.export.check import ENGINES
from edgeseg.export.report import Findings

WRITTEN = ("report", "sbom", "card")


@dataclass(frozen=True)
class Paper:
    """A document on its way into a bundle."""

    role: str
    file: str
    data: bytes


def document(paper: Paper) -> mf.Document:
    """The manifest's entry of a document."""
    return mf.Document.model_validate(
        {"role": paper.role, "file": paper.file, "size": len(paper.data), "sha256": mf.sha256(paper.data)}
    )


def written(manifest: mf.Manifest, findings: Findings | None) -> list[Paper]:
    """Report (without findings none), SBOM and card of a bundle whose other documents are already in its manifest."""
    return [
        *([] if findings is None else [Paper("report", "report.html", report.write(manifest, findings))]),
        Paper("sbom", "sbom.cdx.json", sbom.write(manifest)),
        Paper("card", "card.md", card.write(manifest)),
    ]


def with_papers(manifest: mf.Manifest, findings: Findings | None) -> tuple[mf.Manifest, list[Paper]]:
    """The manifest with its documents, and the documents; without findings no report."""
    papers = written(manifest, findings)
    return manifest.model_copy(update={"documents": [*manifest.documents, *map(document, papers)]}), papers


def update(
    source: Source,
    evaluations: Sequence[mf.Evaluation],
    findings: Findings,
    engine_gates: Mapping[str, mf.Gate] | None = None,
) -> None:
    """Writes a whole new bundle with what this machine measured, in place of the old one.

    Measurements of the same graph, backend, data, machine and purpose replace the old ones: what decided at export
    stays. Without any the report stays too: its figures are of what was measured then. A graph whose gate was *parity*
    passes when each CPU runtime that computes it right measured it within budget (the caller checked that).
    ``engine_gates`` are those of the engines that ran here.

    Raises:
        OutputError: the disk; the old bundle stays.
        ModelError: the bundle changed meanwhile.
    """
    old = require_manifest(source)

    def key(one: mf.Evaluation) -> tuple[str, ...]:
        return one.subject, one.backend, one.data, one.split, one.machine, one.purpose

    fresh = {key(one) for one in evaluations}
    kept = [one for one in old.evaluations if key(one) not in fresh]
    measured = {(one.subject, one.backend) for one in evaluations}
    graphs = [
        one.model_copy(update={"gate": "passed"})
        if {(one.name, name) for name in ENGINES if runs_here(one.name, one.form, name)} <= measured
        else one
        for one in old.graphs
    ]
    again = WRITTEN if findings.measured else ("sbom", "card")
    base = old.model_copy(
        update={
            "evaluations": [*kept, *evaluations],
            "graphs": graphs,
            "engines": [
                one.model_copy(update={"gate": better(one.gate, (engine_gates or {}).get(one.name, one.gate))})
                for one in old.engines
            ],
            "documents": [one for one in old.documents if one.role not in again],
        }
    )
    manifest, papers = with_papers(base, findings if findings.measured else None)
    rewrite.write(source, manifest, {paper.file: paper.data for paper in papers})


def better(old: mf.Gate, new: mf.Gate) -> mf.Gate:
    """The further of two gates: a run without labelled frames takes nothing back."""
    order: tuple[mf.Gate, ...] = ("pending", "parity", "passed")
    return max(old, new, key=order.index)
