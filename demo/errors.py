"""Foreseen mishaps of the demo.

MrProberError
└── DemoError   the demo cannot start or cannot end as it should
"""

from common.errors import MrProberError


class DemoError(MrProberError):
    """Says in one line what is in the way and what to do."""
