"""From a prepared store to a release: embed, fill a new collection, count, write the record.

The collection's name comes from its content, so that building the same index again changes
nothing, and a release that is being served never sees another's rows.

Axis suffixes: N cases, D embedding dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pirta.cohort.known_labels import check_labels_known
from pirta.cohort.prepared_store import PreparedCase, read_prepared
from pirta.contracts.finding import finding_sentence
from pirta.contracts.release import Release
from pirta.errors import CheckpointError, ManifestError, ReleaseError, UnavailableError
from pirta.models.checkpoint import CheckpointManifest, current_commit, verify_manifest
from pirta.pipelines.embed import EmbeddedCases, embed_cases
from pirta.releases.record import write_release
from pirta.reporting.prompt import prompt_sha256
from pirta.retrieval.index import Index, IndexRow, rows_sha256
from pirta.settings import Settings


def build_index(
    store: str,
    *,
    settings: Settings,
    index: Index,
    out: Path,
    split: str | None = "index",
    num_workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> Release:
    """Embed the cases of a split (all where None), index them, and write the release to `out`.

    Raises:
        ManifestError: the store holds no finished run, no case of the split, or cases whose
            label nobody stated: a report would cite them as normal.
        CheckpointError: the encoder's or the writer's folder cannot be used.
        FingerprintError: the store was prepared otherwise than the encoder wants.
        UnavailableError: the index does not answer, or did not keep every row.
    """
    cases = _cases_of(store, split)
    writer = settings.writer
    # Looked at before the long part, so that a wrong folder is told at once.
    base_sha256 = verify_manifest(writer.base_path, kind="writer_base").sha256
    adapter = verify_manifest(writer.adapter_path, kind="writer_adapter")
    _check_pair(adapter, base_sha256)
    embedded = embed_cases(
        cases, encoder=settings.encoder, num_workers=num_workers, on_progress=on_progress
    )
    rows = index_rows(embedded)
    content = rows_sha256(rows)
    collection = f"cases_{content[:16]}"
    dimensions = int(embedded.embeddings_ND.shape[1])
    _fill(index, collection, rows, dimensions)
    release = Release(
        encoder_path=settings.encoder.path.resolve().as_posix(),
        encoder_sha256=embedded.encoder_sha256,
        preprocessing_fingerprint=embedded.preprocessing_fingerprint,
        collection=collection,
        index_sha256=content,
        num_cases=len(rows),
        dimensions=dimensions,
        writer_base_path=writer.base_path.resolve().as_posix(),
        writer_base_sha256=base_sha256,
        writer_adapter_path=writer.adapter_path.resolve().as_posix(),
        writer_adapter_sha256=adapter.sha256,
        prompt_sha256=prompt_sha256(),
        commit=current_commit(Path(__file__).parent),
    )
    write_release(out, release)
    return release


def _check_pair(adapter: CheckpointManifest, base_sha256: str) -> None:
    trained_on = adapter.config.get("base_sha256")
    if trained_on != base_sha256:
        raise CheckpointError(
            f"The writer's adapter was trained on the base {str(trained_on)[:12]}, the settings "
            f"name {base_sha256[:12]}.",
            remedy="Name the base and the adapter that belong together, or train the adapter anew.",
        )


def index_rows(embedded: EmbeddedCases) -> list[IndexRow]:
    """Return the rows of an index; registry and report text, the patient's own, stay outside."""
    return [
        IndexRow(
            case_id=one.case.case_id,
            patient_id=one.case.patient_id,
            site=one.case.site,
            label=one.case.label,
            finding=one.case.finding,
            findings_text=finding_sentence(one.case.finding),
            embedding_D=embedding_D,
        )
        for one, embedding_D in zip(embedded.cases, embedded.embeddings_ND, strict=True)
    ]


def _cases_of(store: str, split: str | None) -> list[PreparedCase]:
    prepared = read_prepared(store)
    cases = [one for one in prepared if split is None or one.case.split == split]
    if not cases:
        splits = sorted({one.case.split for one in prepared})
        raise ManifestError(
            f"{store} holds no case of the split '{split}', only of {', '.join(splits)}.",
            remedy="Name one of these splits, or all of them.",
        )
    check_labels_known(store, cases)
    return cases


def _fill(index: Index, collection: str, rows: list[IndexRow], dimensions: int) -> None:
    # The name stands for the content: a whole collection of this name may be in use right now.
    if not _is_there(index, collection, len(rows)):
        index.create(collection, dimensions)
        index.upsert(collection, rows)
    count = index.count(collection)
    if count != len(rows):
        raise UnavailableError(
            f"The index kept {count} of {len(rows)} rows in {collection}.",
            remedy="Build it again; see the log of Milvus.",
        )


def _is_there(index: Index, collection: str, num_rows: int) -> bool:
    try:
        return index.count(collection) == num_rows
    except ReleaseError:
        return False
