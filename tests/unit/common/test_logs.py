"""Logs for programs: one JSON object a line."""

import json
import logging

from common.logs import JsonFormatter


def _line(message: str, *arguments: object, **more: object) -> dict[str, object]:
    record = logging.LogRecord("api.edge", logging.INFO, __file__, 1, message, arguments, None)
    record.__dict__.update(more)
    line: dict[str, object] = json.loads(JsonFormatter().format(record))
    return line


def test_words_with_values_become_fields() -> None:
    line = _line("request id=%s path=%s status=%d", "a1", "/x?y=1", 200)
    assert line["fields"] == {"id": "a1", "path": "/x?y=1", "status": "200"}
    assert (line["level"], line["logger"]) == ("INFO", "api.edge")
    assert line["message"] == "request id=a1 path=/x?y=1 status=200"
    assert str(line["time"]).endswith("+00:00")


def test_a_line_stays_one_line() -> None:
    error = ValueError("first\nsecond")
    line = _line("it failed\nindeed", exc_info=(ValueError, error, None))
    assert "ValueError" in str(line["traceback"])
    assert "\n" not in json.dumps(line)
