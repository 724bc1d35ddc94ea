"""What a report needs from others: four small protocols.

A test passes plain objects, Serve passes deployment handles, the archive job passes batch
workers. A part may hold several releases at once, so each call names the one that it is for. Each
part raises `PirtaError` for what a person can mend, `UnknownReleaseError` where it does not hold
the release; it never answers with another.
"""

from __future__ import annotations

from typing import Protocol

from pirta.contracts.encoding import EncodedStudy, SearchRequest
from pirta.contracts.report import RetrievedCase
from pirta.contracts.study import PreparedStudy, StudyFiles
from pirta.reporting.prompt import Prompt


class Preparer(Protocol):
    """Makes the volume that the encoder reads."""

    async def prepare(self, study: StudyFiles) -> PreparedStudy:
        """Return the study on the encoder's grid."""
        ...


class Encoder(Protocol):
    """Puts a prepared study into the space of a release's index."""

    async def encode(self, prepared: PreparedStudy, *, release_id: str) -> EncodedStudy:
        """Return its embedding and the classifier's probabilities."""
        ...


class Retriever(Protocol):
    """Finds the nearest verified cases."""

    async def search(self, request: SearchRequest) -> tuple[RetrievedCase, ...]:
        """Return at most `request.top_k` cases that its policy lets be seen, nearest first."""
        ...


class Writer(Protocol):
    """The language model."""

    async def write(self, prompt: Prompt, *, answer_regex: str, release_id: str) -> str:
        """Return the model's text for one prompt, decoded as the release says.

        `answer_regex` is what the text has to match; see `pirta.reporting.answer`.
        """
        ...
