"""What holds for all tests."""

from hypothesis import settings

# The same examples in every run, and no verdict on a machine that happens to be busy.
settings.register_profile("mr-prober", derandomize=True, deadline=None)
settings.load_profile("mr-prober")
