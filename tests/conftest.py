"""Hypothesis profiles: 40 examples a law; in CI 200 and a fixed seed, so that a red run can be repeated."""

import os
import signal

from hypothesis import HealthCheck, settings

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("default", max_examples=40, deadline=None, suppress_health_check=SLOW)
settings.register_profile("ci", parent=settings.get_profile("default"), max_examples=200, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

# A shell starts background jobs with Ctrl-C ignored, which a training leaves as it is; the tests send that signal.
signal.signal(signal.SIGINT, signal.default_int_handler)
