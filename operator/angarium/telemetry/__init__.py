"""What people who run Angarium see of it: metrics and log lines. Used by app and the plane alone."""

from angarium.telemetry.logs import AttemptLog, set_up_logging
from angarium.telemetry.metrics import Metrics

__all__ = ["AttemptLog", "Metrics", "set_up_logging"]
