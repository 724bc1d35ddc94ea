"""Named plans of the pretraining experiment: the paper's tables 4 and 6 as settings.

Three arms share everything but stage 1: no pretraining, pretraining on few volumes ("small": 827
in the paper) and on many ("large": 39,259).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pirta.errors import TrainingError
from train_jobs import presets
from train_jobs.presets import MaeRun, TerritoryRun


@dataclass(frozen=True)
class ExperimentPlan:
    """What the arms are trained with.

    Attributes:
        num_small: volumes of the small arm's pretraining; the large one takes all there are.
        mae: stage 1 of the large arm; the small one takes as many steps.
        territory: stage 2 of every arm.
    """

    name: str
    num_small: int
    mae: MaeRun
    territory: TerritoryRun

    def stage_one(self, arm: str) -> MaeRun | None:
        """Return an arm's pretraining; None where it has none."""
        if arm == "none":
            return None
        return self.mae.model_copy(
            update={"num_volumes": self.num_small if arm == "small" else None}
        )


ARMS = ("none", "small", "large")


def paper() -> ExperimentPlan:
    """The paper's: 827 volumes against all."""
    return ExperimentPlan("paper", 827, presets.mae_paper(), presets.territory_paper())


def demo() -> ExperimentPlan:
    """Half an hour on two cores: short runs, whose arms differ as far as they can."""
    return ExperimentPlan(
        "demo",
        num_small=24,
        mae=presets.mae_demo().model_copy(update={"num_steps": 75, "save_every_steps": 75}),
        territory=presets.territory_demo().model_copy(
            update={"num_steps": 150, "save_every_steps": 75}
        ),
    )


def gpu() -> ExperimentPlan:
    """One GPU and some 16 cores that make its examples: two minutes an arm.

    The shipped encoder's network, long enough with labels that every arm tells the classes apart.
    """
    on_gpu = {"use_gpu": True, "loader_processes": 5}
    return ExperimentPlan(
        "gpu",
        num_small=24,
        mae=presets.mae_demo().model_copy(
            update=on_gpu | {"num_steps": 250, "save_every_steps": 125}
        ),
        territory=presets.territory_demo().model_copy(
            update=on_gpu | {"num_steps": 550, "save_every_steps": 183}
        ),
    )


def tiny() -> ExperimentPlan:
    """For tests: seconds."""
    return ExperimentPlan("tiny", 2, presets.mae_tiny(), presets.territory_tiny())


PLANS: Mapping[str, Callable[[], ExperimentPlan]] = {
    "paper": paper,
    "gpu": gpu,
    "demo": demo,
    "tiny": tiny,
}


def find_plan(name: str) -> ExperimentPlan:
    """Return the plan of that name.

    Raises:
        TrainingError: there is none.
    """
    if name not in PLANS:
        raise TrainingError(
            f"There is no experiment plan '{name}'.",
            remedy=f"The plans are: {', '.join(sorted(PLANS))}.",
        )
    return PLANS[name]()
