"""The preprocessor's deployment: bytes of a DWI/ADC pair to the encoder's grid, on the CPU.

It stands apart from the encoder, so that CPU nodes can feed a GPU.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from pirta.contracts.study import PreparedStudy, StudyFiles
from pirta.imaging.prepare import prepare_study
from pirta.imaging.strip import make_stripper
from pirta.log import make_logger
from pirta.settings import PreprocessingSettings, QualitySettings


class Preprocessor:
    """One replica: one skull stripper, loaded once, and each site's quality limits."""

    def __init__(
        self,
        settings: PreprocessingSettings,
        *,
        quality: QualitySettings,
        site_quality: Mapping[str, QualitySettings],
    ) -> None:
        self._settings = settings
        self._quality, self._site_quality = quality, dict(site_quality)
        self._stripper = make_stripper(settings)
        self._log = make_logger()
        # One thread: the stripper's network is not made for two at a time, also when a caller
        # has gone away and its study is still being worked on.
        self._thread = ThreadPoolExecutor(max_workers=1)

    async def prepare(self, study: StudyFiles) -> PreparedStudy:
        """Return the study on the encoder's grid.

        Raises:
            QualityError: the study's site refuses images of this quality.
            InputError: the files cannot be used.
        """
        started_s = time.monotonic()
        prepared = await asyncio.get_running_loop().run_in_executor(
            self._thread,
            partial(
                prepare_study,
                study.images,
                settings=self._settings,
                quality=self._site_quality.get(study.site.lower(), self._quality),
                stripper=self._stripper,
            ),
        )
        self._log.info(
            "study prepared", study_id=study.study_id, duration_s=time.monotonic() - started_s
        )
        return prepared
