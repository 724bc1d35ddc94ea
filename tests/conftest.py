"""What every test shares: an environment without network or telemetry, and where things lie."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    pass

ROOT = Path(__file__).resolve().parents[1]


def pytest_configure() -> None:
    """Set, before anything heavy is imported, what the Makefile sets for people."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # How long an example takes is the machine's load, not a fault: timings stay out of tests.
    settings.register_profile("pirta", deadline=None)
    settings.load_profile("pirta")


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


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    """An S3 server on loopback: one a session, since fsspec keeps the connections of a process."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def object_store(s3_address: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A bucket of the module's own, its server told to this process and its children."""
    import fsspec

    bucket = request.module.__name__.rsplit(".", 1)[-1].replace("_", "-")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", s3_address)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        fsspec.filesystem("s3").mkdir(bucket)
        yield f"s3://{bucket}"


@pytest.fixture(scope="session")
def synthetic_store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A prepared store of eight ellipsoid "brains": one case a label in `train` and in `val`.

    Every case has a territory map; strokes have a mask and a finding.
    """
    from bench.synthetic_store import write_synthetic_store

    root = str(tmp_path_factory.mktemp("prepared"))
    write_synthetic_store(root)
    return root


@pytest.fixture(scope="session")
def new_name() -> Callable[[], str]:
    """Names of collections that no test has used."""
    numbers = itertools.count()
    return lambda: f"test_{next(numbers)}"
