"""`If-None-Match` as RFC 9110 has it: a list, `*`, weak tags."""

import re

_TAG = re.compile(r'(?:W/)?("[^"]*")')


def none_match(header: str | None, etag: str) -> bool:
    """Whether the caller lacks what this ETag stands for: False means 304. Weak tags count as strong ones."""
    if header is None:
        return True
    return header.strip() != "*" and etag not in _TAG.findall(header)
