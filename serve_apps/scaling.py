"""Serve options of a deployment, from its block of `settings.scaling`.

Every limit is set here on purpose: Serve's own defaults are unbounded queues, and a shutdown
that may be shorter than an answer takes.
"""

from __future__ import annotations

from typing import Any

from pirta.settings import ReplicaSettings, Settings

# How much longer than the longest answer a replica may drain.
_SHUTDOWN_MARGIN_S = 15.0


def scaling_options(
    replicas: ReplicaSettings, settings: Settings, *, with_actor_options: bool = True
) -> dict[str, Any]:
    """Return keyword arguments for `serve.deployment(...).options`."""
    options: dict[str, Any] = {
        "autoscaling_config": {
            "min_replicas": replicas.min_replicas,
            "max_replicas": max(replicas.min_replicas, replicas.max_replicas),
            "target_ongoing_requests": replicas.target_ongoing_requests,
        },
        "max_ongoing_requests": replicas.max_ongoing_requests,
        "max_queued_requests": settings.gateway.max_queued_requests,
        "graceful_shutdown_timeout_s": settings.writer.timeout_s + _SHUTDOWN_MARGIN_S,
        "health_check_period_s": 5.0,
    }
    if with_actor_options:
        options["ray_actor_options"] = {
            "num_cpus": replicas.num_cpus,
            "num_gpus": replicas.num_gpus,
        }
    return options
