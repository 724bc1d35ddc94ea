"""Runs a real Milvus without containers, for tests and benchmarks: the PyPI wheel `milvus`.

The wheel (Linux on x86_64 only) carries the standalone server with its own etcd and message
queue. Its Python code is used to unpack the programs and to write their configuration; the
process is ours, so that it can be killed and started again. All of its ports are free ones. This
version cannot be told which interface to listen on: keep it to machines whose network you trust.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.error import URLError

from pirta.errors import UnavailableError

_LOOPBACK = "127.0.0.1"
_READY_TIMEOUT_S = 120.0
_PORT_SETTINGS = (
    "proxy_port", "proxy_internal_port", "root_coord_port", "query_coord_port", "query_node_port",
    "index_coord_port", "index_node_port", "data_coord_port", "data_node_port", "etcd_port",
)  # fmt: skip
_EMBEDDED_ETCD = """\
listen-client-urls: http://{loopback}:{client}
advertise-client-urls: http://{loopback}:{client}
listen-peer-urls: http://{loopback}:{peer}
initial-advertise-peer-urls: http://{loopback}:{peer}
initial-cluster: default=http://{loopback}:{peer}
"""


def is_installed() -> bool:
    """Return whether the wheel is installed beside this Python."""
    return importlib.util.find_spec("milvus") is not None


class StandaloneMilvus:
    """A Milvus over `folder`. `start` after `kill` finds the same rows again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = _free_ports(len(_PORT_SETTINGS) + 2)
        self._process: subprocess.Popen[bytes] | None = None
        self.uri = f"http://{_LOOPBACK}:{self._ports[0]}"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self._process is not None, "it was started"
        return self._process.pid

    def start(self) -> None:
        """Start the server and wait until it calls itself healthy.

        Raises:
            UnavailableError: it ended at once, or was not ready in time.
        """
        metrics_port, etcd_peer_port = self._ports[-2:]
        if self._process is None:
            self._configure(etcd_peer_port)
        program = _unpacked() / "milvus"
        environment = os.environ | {
            "DEPLOY_MODE": "STANDALONE",
            "ETCD_CONFIG_PATH": str(self._folder / "configs" / "etcd.yaml"),
            "LD_LIBRARY_PATH": str(program.parent),
            "METRICS_PORT": str(metrics_port),
            "MILVUS_RUN_DIR": str(self._folder / "run"),
        }
        log_path = self._folder / "logs" / "milvus.log"
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [program, "run", "standalone"],
                cwd=self._folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait_until_healthy(metrics_port, log_path)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """End the server as a crash would: it is made for that, and a graceful end takes 15 s."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def _configure(self, etcd_peer_port: int) -> None:
        import milvus

        ports = dict(zip(_PORT_SETTINGS, self._ports, strict=False))
        milvus.MilvusServerConfig(data_dir=str(self._folder), **ports).resolve()
        etcd = _EMBEDDED_ETCD.format(
            loopback=_LOOPBACK, client=ports["etcd_port"], peer=etcd_peer_port
        )
        (self._folder / "configs" / "etcd.yaml").write_text(etcd, encoding="utf-8")

    def _wait_until_healthy(self, metrics_port: int, log_path: Path) -> None:
        assert self._process is not None, "it was started"
        deadline_s = time.monotonic() + _READY_TIMEOUT_S
        while time.monotonic() < deadline_s:
            if self._process.poll() is not None:
                raise UnavailableError(
                    f"Milvus ended at once with exit code {self._process.returncode}.",
                    remedy=f"See {log_path}.",
                )
            try:
                url = f"http://{_LOOPBACK}:{metrics_port}/healthz"
                with urllib.request.urlopen(url, timeout=5) as answer:
                    if answer.read() == b"OK":
                        return
            except (URLError, OSError):
                pass
            time.sleep(0.1)
        raise UnavailableError(
            f"Milvus was not ready within {_READY_TIMEOUT_S:g} s.", remedy=f"See {log_path}."
        )


def _unpacked() -> Path:
    """Return the folder of the programs; unpacked into the environment once, in half a minute."""
    import milvus

    kept = Path(sys.prefix) / "share" / f"milvus-{milvus.__version__}"
    if not kept.is_dir():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as fresh:
            milvus._initialize_data_files(fresh)
            with contextlib.suppress(OSError):  # another process was quicker
                Path(fresh).replace(kept)
            # TemporaryDirectory wants to remove what it made.
            Path(fresh).mkdir(exist_ok=True)
    return kept / "bin"


def _free_ports(number: int) -> list[int]:
    """Return ports that nobody listens on; each is held until all are found."""
    probes = [socket.socket() for _ in range(number)]
    try:
        for probe in probes:
            probe.bind((_LOOPBACK, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
