"""What every test shares: an environment without network or telemetry, and where things lie."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pirta.cohort.prepared_store import PreparedCase
    from pirta.contracts.finding import Label

ROOT = Path(__file__).resolve().parents[1]


def pytest_configure() -> None:
    """Set, before anything heavy is imported, what the Makefile sets for people."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real cases beside the checkout; the test is skipped where it is absent."""
    folder = ROOT / ".." / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no shared/data beside the checkout: the real cases are not here")
    return folder.resolve()


@pytest.fixture(scope="module")
def object_store() -> Iterator[str]:
    """An S3 server on loopback with the bucket "store", told to this process and its children."""
    import fsspec
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        fsspec.filesystem("s3").mkdir("store")
        yield "s3://store"
    server.stop()


@pytest.fixture(scope="session")
def synthetic_store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A prepared store of eight ellipsoid "brains": one case a label in `train` and in `val`.

    Every case has a territory map; strokes have a mask and a finding.
    """
    from pirta.cohort.prepared_store import close_run
    from pirta.contracts.finding import Label

    root = str(tmp_path_factory.mktemp("prepared"))
    rows = [
        _write_synthetic_case(root, label, split, seed)
        for seed, (split, label) in enumerate(
            (split, label) for split in ("train", "val") for label in Label
        )
    ]
    close_run(root, rows, [])
    return root


def _write_synthetic_case(root: str, label: Label, split: str, seed: int) -> PreparedCase:
    import numpy as np

    from pirta.cohort.lesions import grow_lesion, insert_lesion, plan_lesion
    from pirta.cohort.prepared_store import CaseArrays, write_case
    from pirta.contracts.case import CaseRecord
    from pirta.contracts.study import GRID_SHAPE, GRID_SPACING_MM, Registry

    rng = np.random.default_rng(seed)
    x, y, z = np.ix_(*[np.linspace(-1.3, 1.3, side, dtype=np.float32) for side in GRID_SHAPE])
    radius = np.sqrt(x**2 + y**2 + z**2)
    brain = radius < 1
    outer = np.where(y < -0.3, 3, 1)
    territory = (np.where(radius < 0.45, 2, outer) * brain).astype(np.uint8)
    noise = 0.05 * rng.standard_normal((2, *GRID_SHAPE), dtype=np.float32)
    dwi, adc = brain * (1 + noise[0]), brain * (np.float32(0.85) + noise[1])
    mask, finding = None, None
    if label != "normal":
        plan = plan_lesion(rng, label=label)
        share = grow_lesion(rng, plan, territory, GRID_SPACING_MM)
        dwi, adc = insert_lesion(dwi, adc, share, plan=plan, b_value_s_mm2=1000.0)
        mask, finding = (share > 0.5).astype(np.uint8), plan.finding
    case = CaseRecord(
        case_id=f"{split}-{label}",
        patient_id=f"{split}-{label}",
        site="site-a",
        scanner="scanner-a",
        split=split,
        dwi_uri="dwi.nii.gz",
        adc_uri="adc.nii.gz",
        registry=Registry(),
        finding=finding,
        report_text="known",
    )
    arrays = CaseArrays(np.stack([dwi, adc]), mask, territory)
    return write_case(root, case, arrays, fingerprint="synthetic", facts={})
