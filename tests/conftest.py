"""Settings shared by all tests."""

from __future__ import annotations

from hypothesis import settings

# No deadline (nothing here asserts on time), and the same examples in every run: a failure
# anywhere is a failure everywhere.
settings.register_profile("spinlogit", deadline=None, derandomize=True, print_blob=False)
settings.load_profile("spinlogit")
