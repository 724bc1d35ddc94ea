"""The preprocessor's deployment: bytes of a DWI/ADC pair to the encoder's grid, on the CPU.

It stands apart from the encoder, so that CPU nodes can feed a GPU.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from pirta.contracts.study import PreparedStudy, StudyFiles
from pirta.imaging.prepare import prepare_study
from pirta.imaging.read_pair import open_archive
from pirta.imaging.strip import make_stripper
from pirta.log import make_logger
from pirta.pipelines.pseudonyms import pseudonym_of_images
from pirta.settings import PreprocessingSettings, QualitySettings


class Preprocessor:
    """One replica: one skull stripper, loaded once, and each site's quality limits."""

    def __init__(
        self,
        settings: PreprocessingSettings,
        *,
        quality: QualitySettings,
        site_quality: Mapping[str, QualitySettings],
        patient_key: str | None,
    ) -> None:
        """Load the skull stripper.

        Args:
            patient_key: of the pseudonym that a study's DICOM gives its patient, the same as
                where the cases of the index got theirs; None: the images are not asked.
        """
        self._settings = settings
        self._quality, self._site_quality = quality, dict(site_quality)
        self._patient_key = patient_key
        self._stripper = make_stripper(settings)
        self._log = make_logger()
        # One thread: the stripper's network is not made for two at a time, also when a caller
        # has gone away and its study is still being worked on.
        self._thread = ThreadPoolExecutor(max_workers=1)

    async def prepare(self, study: StudyFiles) -> PreparedStudy:
        """Return the study on the encoder's grid.

        Raises:
            QualityError: the study's site refuses images of this quality.
            InputError: the files cannot be used, or are of more than one patient.
        """
        started_s = time.monotonic()
        prepared = await asyncio.get_running_loop().run_in_executor(
            self._thread,
            self._prepare,
            study,
        )
        self._log.info(
            "study prepared", study_id=study.study_id, duration_s=time.monotonic() - started_s
        )
        return prepared

    def _prepare(self, study: StudyFiles) -> PreparedStudy:
        images = open_archive(study.images)
        key = self._patient_key
        patient_id = None if key is None else pseudonym_of_images(images, key)
        prepared = prepare_study(
            images,
            settings=self._settings,
            quality=self._site_quality.get(study.site.lower(), self._quality),
            stripper=self._stripper,
        )
        return replace(prepared, patient_id=patient_id)
