"""Settings shared by all tests."""

from __future__ import annotations

import signal

from hypothesis import settings

# No deadline (nothing here asserts on time), and the same examples in every run: a failure
# anywhere is a failure everywhere.
settings.register_profile("spinlogit", deadline=None, derandomize=True, print_blob=False)
settings.load_profile("spinlogit")

# Whatever is started in the background by a shell ignores Ctrl-C, and so does all that it starts;
# the tests of interruption need it as a user at a terminal has it.
signal.signal(signal.SIGINT, signal.default_int_handler)
