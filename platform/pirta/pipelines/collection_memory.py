"""What Milvus keeps in memory: the collections of releases that replicas hold, and no others.

Building and verifying load a collection for their own use, and let it go again. A question to a
collection that was let go loads it by itself, so that a switch in between costs time and no answer.
"""

from __future__ import annotations

from pirta.releases.store import ReleaseStore
from pirta.retrieval.index import Index


def free_memory(*, collection: str, index: Index, releases: ReleaseStore) -> None:
    """Unload a collection that no release on its way, in service or going out needs."""
    if all(release.collection != collection for release in releases.wanted()):
        index.unload(collection)
