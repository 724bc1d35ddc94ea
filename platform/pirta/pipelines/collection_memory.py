"""What Milvus keeps in memory: the collections of releases that replicas hold, and no others.

Building, verifying and withdrawing load a collection for their own use, and let it go again. A
question to a collection that was let go loads it by itself, so that a switch in between costs time
and no answer.
"""

from __future__ import annotations

from pirta.releases.store import ReleaseStore
from pirta.retrieval.index import Index


def free_memory(*, collection: str, index: Index, releases: ReleaseStore) -> None:
    """Unload a collection that no release on its way, in service or going out needs."""
    uses = releases.collections()
    if not any(use.is_wanted and use.collection == collection for use in uses):
        index.unload(collection)
