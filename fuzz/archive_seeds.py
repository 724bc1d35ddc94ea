"""Seed studies in archives: zip, tar and tar.gz of another seed's files, and of nothing good."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from fuzz.study import Study

Kind = Literal["zip", "tar", "tar.gz"]


def packed(study: Study, kind: Kind) -> Study:
    """Return a study with its files in one archive."""
    return replace(study, parts={"archive": pack(study.parts, kind)}, form="archive")


def pack(files: Mapping[str, bytes], kind: Kind) -> bytes:
    """Return an archive of files, name to bytes."""
    stream = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(zipfile.ZipInfo(f"study/{name}"), data, zipfile.ZIP_DEFLATED)
        return stream.getvalue()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"study/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    plain = stream.getvalue()  # tarfile's own gzip would hold the time of day
    return gzip.compress(plain, 6, mtime=0) if kind == "tar.gz" else plain


def unpack_plainly(data: bytes) -> dict[str, bytes]:
    """Return an archive's files as Python's own modules give them."""
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {one.filename: archive.read(one) for one in archive.infolist()}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        contents = ((member.name, tar.extractfile(member)) for member in tar if member.isreg())
        return {name: stream.read() for name, stream in contents if stream is not None}
