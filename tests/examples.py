"""Say how many examples Hypothesis tries: the profile decides, and a test may ask for a share of that number.

The profiles are "quick" (`make quick`), "ci" (`make test`, and pytest without options) and "deep" (`make deep`). Choose
one by hand with `pytest --hypothesis-profile=deep tests/store/test_model.py`.
"""

from hypothesis import HealthCheck, settings


def register_profiles() -> None:
    """Make the profiles known to Hypothesis, and load the one that rules unless an option names another."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    for name, examples, steps in ("quick", 15, 25), ("ci", 100, 40), ("deep", 2000, 60):
        settings.register_profile(
            name, max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=slow
        )
    settings.load_profile("ci")


def examples(share: float) -> settings:
    """Return settings with the profile's number of examples multiplied by `share`.

    For tests whose examples take much longer than those of others, or much less time. Use it as a decorator, or as the
    settings of a state machine.
    """
    return settings(max_examples=max(1, round(share * settings().max_examples)))
