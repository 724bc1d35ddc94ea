"""Make a phantom cohort on disk: a BIDS-like tree of NIfTI files, and its table.

Every case has a seed of its own, drawn from the plan's, so the files do not depend on the
number of workers or their order. A case's folder is written under another name and renamed
when it is whole; the table comes last. A second call with the same plan finishes what a first
one left, and does nothing where the table is there. Templates are loaded once a worker.

    cohort.parquet  cohort_plan.json  dataset_description.json
    sub-X/ses-01/dwi/sub-X_ses-01_{dwi,adc}.{nii.gz,json}
    derivatives/truth/sub-X/ses-01/dwi/sub-X_ses-01_{msk,territories}.nii.gz
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pirta.cohort.lesions import LesionPlan, plan_lesion
from pirta.cohort.nifti_bytes import nifti_bytes
from pirta.cohort.phantom import Phantom, make_phantom
from pirta.cohort.presets import CaseBatch, CohortPlan
from pirta.cohort.registry_rows import make_registry
from pirta.cohort.report_text import raw_report
from pirta.cohort.scanner import jittered
from pirta.cohort.table import read_cohort, write_cohort
from pirta.cohort.template import Template, load_template
from pirta.contracts.case import CaseRecord
from pirta.contracts.finding import Label
from pirta.errors import ManifestError

TABLE_NAME = "cohort.parquet"
_PLAN_NAME = "cohort_plan.json"
_FORMAT_VERSION = 1  # raise it whenever the same plan makes other files
_LARGEST_CHUNK = 8


@dataclass(frozen=True)
class CaseOrder:
    """One case to be made: everything a worker needs."""

    case_id: str
    seed: int
    label: Label
    batch: CaseBatch


def make_cohort(
    plan: CohortPlan,
    out: Path,
    *,
    num_workers: int = 2,
    on_progress: Callable[[int, int], None] | None = None,
) -> str:
    """Make the cohort in `out` and return the path of its table.

    Args:
        num_workers: processes; 1 works in this one.
        on_progress: called with (cases done, cases in all) as they come.

    Raises:
        ManifestError: `out` holds another cohort, or files that are none.
    """
    table = out / TABLE_NAME
    orders = case_orders(plan)
    _claim(plan, out)
    if table.is_file() and len(read_cohort(str(table))) == len(orders):
        _tell(on_progress, len(orders), len(orders))
        return str(table)
    records: dict[str, CaseRecord] = {}
    _tell(on_progress, 0, len(orders))
    for made in _carry_out(orders, out, num_workers):
        records.update({record.case_id: record for record in made})
        _tell(on_progress, len(records), len(orders))
    _write_json(
        out / "dataset_description.json",
        {
            "Name": f"PIRTA phantom cohort '{plan.name}'",
            "BIDSVersion": "1.9.0",
            "DatasetType": "raw",
            "License": "CC0",
            "GeneratedBy": [{"Name": "pirta.cohort", "Description": "Simulated. No patients."}],
        },
    )
    write_cohort(str(table), [records[order.case_id] for order in orders])
    return str(table)


def case_orders(plan: CohortPlan) -> list[CaseOrder]:
    """Return the plan's cases, each with its id and its own seed."""
    orders: list[CaseOrder] = []
    for batch in plan.batches:
        for label, count in batch.counts:
            for _ in range(count):
                case_id = f"{plan.name}{len(orders) + 1:04d}"
                seed = int(np.random.SeedSequence([plan.seed, len(orders)]).generate_state(1)[0])
                orders.append(CaseOrder(case_id, seed, label, batch))
    return orders


def make_case(order: CaseOrder, out: Path, template: Template) -> CaseRecord:
    """Make one case's files, unless they are there, and return its row.

    The row follows from the seed alone: what is on disk need not be read again.
    """
    rng = np.random.default_rng(order.seed)
    scanner = jittered(order.batch.scanner, rng) if order.batch.jitter else order.batch.scanner
    plan = None if order.label is Label.NORMAL else plan_lesion(rng, label=order.label)
    finding = None if plan is None else plan.finding
    raw, truth = _folders(order.case_id)
    stem = f"sub-{order.case_id}_ses-01"
    record = CaseRecord(
        case_id=order.case_id,
        patient_id=f"patient-{order.case_id}",
        site=scanner.site,
        scanner=scanner.name,
        split=order.batch.split,
        dwi_uri=f"{raw}/ses-01/dwi/{stem}_dwi.nii.gz",
        adc_uri=f"{raw}/ses-01/dwi/{stem}_adc.nii.gz",
        mask_uri=f"{truth}/ses-01/dwi/{stem}_msk.nii.gz",
        territory_uri=f"{truth}/ses-01/dwi/{stem}_territories.nii.gz"
        if order.batch.keep_territories
        else None,
        registry=make_registry(rng, finding),
        finding=finding,
        report_text=raw_report(rng, finding),
    )
    if not (out / raw).is_dir():
        phantom = make_phantom(order.seed, scanner, plan, template=template)
        _write_case(phantom, plan, record, out)
    return record


def _write_case(phantom: Phantom, plan: LesionPlan | None, record: CaseRecord, out: Path) -> None:
    """Write the truth first, then the images, each folder whole or not at all."""
    raw, truth = _folders(record.case_id)
    images: dict[str, NDArray[np.generic]] = {record.mask_uri or "": phantom.mask_IJK}
    if record.territory_uri is not None:
        images[record.territory_uri] = phantom.territory_IJK
    _write_folder(out, truth, images, phantom.affine, {})
    scanner = phantom.scanner
    sidecar = {
        "DiffusionBValue": scanner.b_value_s_mm2,
        "EchoTime": round(scanner.te_ms / 1000, 5),
        "SliceThickness": scanner.slice_mm,
        "Manufacturer": "Phantom",
        "ManufacturersModelName": scanner.name,
        "SkullStripped": scanner.stripped,
    }
    dwi_uri, adc_uri = record.pair_uris
    images = {dwi_uri: phantom.dwi_IJK, adc_uri: phantom.adc_IJK}
    sidecars: dict[str, object] = {
        dwi_uri: {**sidecar, "Lesion": _lesion_facts(plan, phantom)},
        adc_uri: {**sidecar, "Units": scanner.adc_unit},
    }
    _write_folder(out, raw, images, phantom.affine, sidecars)


def _lesion_facts(plan: LesionPlan | None, phantom: Phantom) -> dict[str, object] | None:
    if plan is None:
        return None
    return {
        "Finding": plan.finding.sentence(),
        "VolumeMl": round(phantom.lesion_volume_ml, 3),
        "AdcRatio": round(plan.adc_ratio, 4),
        "T2Ratio": round(plan.t2_ratio, 4),
        "Foci": plan.num_foci,
    }


def _write_folder(
    out: Path,
    folder: str,
    images: dict[str, NDArray[np.generic]],
    affine: NDArray[np.float64],
    sidecars: dict[str, object],
) -> None:
    """Fill `folder` under another name, then rename it into place."""
    final = out / folder
    draft = final.with_name(f".{final.name}.{os.getpid()}.part")
    for uri, values in images.items():
        path = draft / Path(uri).relative_to(folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(nifti_bytes(values, affine))
    for uri, content in sidecars.items():
        path = draft / Path(uri).relative_to(folder)
        _write_json(path.with_name(path.name.removesuffix(".nii.gz") + ".json"), content)
    if final.exists():  # left by a run that was cut off between the two folders
        shutil.rmtree(final)
    draft.rename(final)


def _carry_out(
    orders: Sequence[CaseOrder], out: Path, num_workers: int
) -> Iterator[list[CaseRecord]]:
    """Yield finished chunks in whatever order they come."""
    template = load_template()
    if num_workers <= 1:
        for order in orders:
            yield [make_case(order, out, template)]
        return
    size = max(1, min(len(orders) // (8 * num_workers), _LARGEST_CHUNK))
    chunks = [orders[start : start + size] for start in range(0, len(orders), size)]
    # Workers start fresh: a forked one would share this process's threads and locks. The
    # template travels with each chunk, which costs less than loading it.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_workers, mp_context=context) as pool:
        waiting = {pool.submit(_make_chunk, chunk, out, template) for chunk in chunks}
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()


def _make_chunk(orders: Sequence[CaseOrder], out: Path, template: Template) -> list[CaseRecord]:
    return [make_case(order, out, template) for order in orders]


def _claim(plan: CohortPlan, out: Path) -> None:
    """Say whose folder this is, or find that it is already this plan's."""
    content = {"format_version": _FORMAT_VERSION, "plan": asdict(plan)}
    marker = out / _PLAN_NAME
    if marker.is_file():
        if marker.read_text(encoding="utf-8") != _json(content):
            raise ManifestError(
                f"The folder {out} holds a cohort made from another plan than '{plan.name}', "
                "or by another version.",
                remedy="Name another folder, or remove this one.",
            )
        return
    if out.is_dir() and any(out.iterdir()):
        raise ManifestError(
            f"The folder {out} is not empty and holds no phantom cohort.",
            remedy="Name a new or an empty folder.",
        )
    out.mkdir(parents=True, exist_ok=True)
    _write_json(marker, content)


def _folders(case_id: str) -> tuple[str, str]:
    """The case's folders in the table's folder: images, and truth."""
    return f"sub-{case_id}", f"derivatives/truth/sub-{case_id}"


def _write_json(path: Path, content: object) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    draft.write_text(_json(content), encoding="utf-8")
    draft.replace(path)


def _json(content: object) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _tell(on_progress: Callable[[int, int], None] | None, done: int, total: int) -> None:
    if on_progress is not None:
        on_progress(done, total)
