"""From a prepared store to a release: embed, fill a collection, write the record.

The collection's name comes from its content. So building the same again changes nothing, a build
that was killed goes on, and a release that is being served never sees another's rows. A collection
that is there is never dropped or made anew: what is missing in it is written, and what was added
live stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pirta.cohort.store_files import join
from pirta.contracts.release import Calibration, Decoding, IndexKind, Release
from pirta.errors import CheckpointError, CollectionExistsError, UnavailableError
from pirta.models.checkpoint import current_commit, verify_manifest
from pirta.pipelines.cohort_rows import cohort_cases, index_rows
from pirta.pipelines.collection_memory import free_memory
from pirta.pipelines.kept_embeddings import EMBEDDINGS, embed_resumably
from pirta.releases.store import ReleaseStore
from pirta.reporting.prompt import prompt_sha256
from pirta.retrieval.index import Index, IndexRow, row_sha256, rows_sha256
from pirta.settings import IndexSettings, Settings, WriterSettings

_ROWS_AT_ONCE = 1000
_DEFAULT_CALIBRATION = Calibration()

OnProgress = Callable[[int, int, str], None]
"""Called as `on_progress(done, total, what)`; `what` is "embedded" or "indexed"."""


def build_release(
    store: str,
    *,
    settings: Settings,
    index: Index,
    releases: ReleaseStore,
    actor: str,
    split: str | None = "index",
    calibration: Calibration = _DEFAULT_CALIBRATION,
    embeddings: str | None = None,
    num_workers: int = 1,
    on_progress: OnProgress | None = None,
) -> Release:
    """Embed the cases of a split (all where None), index them, and record the release.

    Withdrawn cases are left out.

    Args:
        calibration: its number of neighbours is that of the settings where it names none.
        embeddings: folder where finished embeddings are kept for a build that goes on; below
            the store where None.

    Raises:
        ManifestError: the store holds no finished run, no case of the split, or a text that
            seems to identify a person.
        DuplicateCaseError: a case stands twice in it, with different content.
        CheckpointError: the encoder's or the writer's folder cannot be used.
        FingerprintError: the store was prepared otherwise than the encoder wants.
        StoreError: the embeddings cannot be kept.
        UnavailableError: the index or the release store does not answer.
    """
    cases = cohort_cases(store, split)
    # Looked at before the long part, so that a wrong folder is told at once.
    writer = _writer_parts(settings.writer)
    embedded = embed_resumably(
        cases,
        store=store,
        folder=embeddings or join(store, EMBEDDINGS),
        encoder=settings.encoder,
        left_out=releases.withdrawn(),
        num_workers=num_workers,
        on_progress=_telling(on_progress, "embedded"),
    )
    rows = index_rows(embedded, origin="build")
    content = rows_sha256(rows)
    kind = index_kind(len(rows), settings.index)
    release = Release(
        encoder_path=settings.encoder.path.resolve().as_posix(),
        encoder_sha256=embedded.encoder_sha256,
        preprocessing_fingerprint=embedded.preprocessing_fingerprint,
        collection=f"cases_{kind.lower()}_{content[:16]}",
        index_kind=kind,
        index_sha256=content,
        num_cases=len(rows),
        dimensions=int(embedded.embeddings_ND.shape[1]),
        writer_base_path=writer.base_path,
        writer_base_sha256=writer.base_sha256,
        writer_adapter_path=writer.adapter_path,
        writer_adapter_sha256=writer.adapter_sha256,
        prompt_sha256=prompt_sha256(),
        decoding=Decoding(max_answer_tokens=settings.writer.max_answer_tokens),
        calibration=calibration.model_copy(
            update={"top_k": calibration.num_neighbours(settings.index.top_k)}
        ),
        commit=current_commit(Path(__file__).parent),
    )
    fill_collection(index, release, rows, on_progress=_telling(on_progress, "indexed"))
    releases.add(release, actor=actor)
    free_memory(collection=release.collection, index=index, releases=releases)
    return release


def index_kind(num_rows: int, settings: IndexSettings) -> IndexKind:
    """Return exact search for what it is quick enough for, else the graph."""
    return "FLAT" if num_rows <= settings.flat_up_to_rows else "HNSW"


def fill_collection(
    index: Index,
    release: Release,
    rows: Sequence[IndexRow],
    *,
    on_progress: Callable[[int, int], None],
) -> None:
    """Write what the release's collection lacks of its rows, and bring them into their final form.

    The collection is made where it is not there.

    Raises:
        UnavailableError: the index does not answer, or did not keep every row.
    """
    collection = release.collection
    # It is there from an earlier build, or another one of the same content was quicker. One that
    # was killed while it made the collection may have left it half made, which this finishes.
    with suppress(CollectionExistsError):
        index.create(collection, release.dimensions, kind=release.index_kind)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        some = rows[start : start + _ROWS_AT_ONCE]
        lacking = _lacking(index, collection, some)
        if lacking:
            index.upsert(collection, lacking)
        on_progress(start + len(some), len(rows))
    count = index.count(collection)
    if count < len(rows):
        raise UnavailableError(
            f"The index kept {count} of {len(rows)} rows in {collection}.",
            remedy="Build it again; see the log of Milvus.",
        )
    # Also where nothing was lacking: the build that wrote it may have been killed before this.
    index.seal(collection)


def _lacking(index: Index, collection: str, rows: Sequence[IndexRow]) -> list[IndexRow]:
    there = index.get(collection, [row.case_id for row in rows])
    known = {row.case_id: row_sha256(row) for row in there}
    return [row for row in rows if known.get(row.case_id) != row_sha256(row)]


@dataclass(frozen=True)
class _WriterParts:
    base_path: str
    base_sha256: str
    adapter_path: str
    adapter_sha256: str


def _writer_parts(writer: WriterSettings) -> _WriterParts:
    base = verify_manifest(writer.base_path, kind="writer_base")
    adapter = verify_manifest(writer.adapter_path, kind="writer_adapter")
    trained_on = adapter.config.get("base_sha256")
    if trained_on != base.sha256:
        raise CheckpointError(
            f"The writer's adapter was trained on the base {str(trained_on)[:12]}, the settings "
            f"name {base.sha256[:12]}.",
            remedy="Name the base and the adapter that belong together, or train the adapter anew.",
        )
    return _WriterParts(
        base_path=writer.base_path.resolve().as_posix(),
        base_sha256=base.sha256,
        adapter_path=writer.adapter_path.resolve().as_posix(),
        adapter_sha256=adapter.sha256,
    )


def _telling(on_progress: OnProgress | None, what: str) -> Callable[[int, int], None]:
    def tell(done: int, total: int) -> None:
        if on_progress is not None:
            on_progress(done, total, what)

    return tell
