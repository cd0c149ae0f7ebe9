"""How every service logs: one line per event on stderr, as text or as JSON."""

import json
import logging
import re
from datetime import UTC, datetime
from typing import Literal

from pydantic import JsonValue

_FIELD = re.compile(r"(?:^|\s)([a-z_]+)=(\S*)")


def set_up_logging(level: str, form: Literal["text", "json"] = "text") -> None:
    """Log from this level up: time, level, module, text; as JSON also the `key=value` words of the text as fields."""
    if form == "text":
        logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        return
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler])


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time`, `level`, `logger`, `message`, `fields`, and `traceback` if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        message = record.getMessage()
        line: dict[str, JsonValue] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": message,
            "fields": dict(_FIELD.findall(message)),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
