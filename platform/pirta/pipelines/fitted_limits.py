"""The limits of abstention that were fitted for an encoder, read for a release that holds it.

`python -m train_jobs.fit_abstention` writes the file. Similarities of another encoder, or over
another number of neighbours, are other numbers, so the file is refused for them.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from pirta.contracts.abstention import AbstentionLimits
from pirta.errors import ManifestError
from pirta.models.checkpoint import verify_manifest
from pirta.settings import Settings


class _Fitted(BaseModel):
    """What of the file decides; the figures beside it are for people."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    limits: AbstentionLimits
    encoder_sha256: str
    top_k: int


def read_fitted_limits(path: Path, *, encoder_sha256: str, top_k: int) -> AbstentionLimits:
    """Return the limits of a file.

    Raises:
        ManifestError: the file is missing or in another form, or was fitted for another encoder
            or another number of neighbours.
    """
    remedy = "Fit them with `python -m train_jobs.fit_abstention`, or leave --abstention out."
    try:
        fitted = _Fitted.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ManifestError(f"{path} cannot be read ({error.strerror}).", remedy=remedy) from None
    except ValidationError as error:
        fields = sorted({".".join(map(str, item["loc"])) or "no JSON" for item in error.errors()})
        raise ManifestError(
            f"{path} holds no limits of abstention: {', '.join(fields)}.", remedy=remedy
        ) from None
    if fitted.encoder_sha256 != encoder_sha256:
        raise ManifestError(
            f"{path} was fitted for the encoder {fitted.encoder_sha256[:12]}, the release has "
            f"{encoder_sha256[:12]}.",
            remedy=remedy,
        )
    if fitted.top_k != top_k:
        raise ManifestError(
            f"{path} was fitted with {fitted.top_k} neighbours, index.top_k is {top_k}.",
            remedy=remedy,
        )
    return fitted.limits


def limits_for(path: Path | None, settings: Settings) -> AbstentionLimits:
    """Return the limits of a file for a build with these settings; cautious ones where None.

    Raises:
        ManifestError: as `read_fitted_limits`.
        CheckpointError: the encoder's folder cannot be used.
    """
    if path is None:
        return AbstentionLimits()
    from pirta.models.runtime import ENCODER_KIND  # brings torch along

    encoder = verify_manifest(settings.encoder.path, kind=ENCODER_KIND)
    return read_fitted_limits(path, encoder_sha256=encoder.sha256, top_k=settings.index.top_k)
