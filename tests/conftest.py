"""What holds for all tests."""

import signal

from hypothesis import settings

# The same examples in every run, and no verdict on a machine that happens to be busy.
settings.register_profile("mr-prober", derandomize=True, deadline=None)
settings.load_profile("mr-prober")

# A shell starts what runs in its background deaf to Ctrl-C, and programs under test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
