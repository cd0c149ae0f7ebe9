"""`output: nagios`: plugins as Nagios and its successors run them, https://nagios-plugins.org/doc/guidelines.html. Pure.

The first line is the verdict's text; what stands after `|`, there and after the last line of text, is performance data:
`'label'=value[unit];[warn];[crit];[min];[max]`, separated by spaces.
"""

import re
from collections.abc import Iterable, Iterator

from agent.outputs.printed import BadLineError, Bounds, Gathering, Printed, Sample
from agent.verdict import Verdict
from common.contracts.reports import shortened
from common.contracts.states import Outcome

# Longer ones are no plugin's: check_disk of a hundred mounts needs 10,000.
MAX_LINE_LENGTH = 100_000

# The bound on a quoted label keeps a line of quotes from being read again and again.
_ITEM = re.compile(r"(?:'((?:[^']|''){1,200})'|([^\s'=]+))=(\S*)")
_WORD = re.compile(r"\S+")
_VALUE = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)([^\d.;]*)")
_KIB = 1024
# What a unit is called in the metric's name, and how many of that one of it is.
_UNITS = {
    "": ("value", 1.0),
    "s": ("seconds", 1.0), "ms": ("seconds", 1e-3), "us": ("seconds", 1e-6), "ns": ("seconds", 1e-9),
    "%": ("ratio", 0.01),
    "B": ("bytes", 1), "KB": ("bytes", _KIB), "MB": ("bytes", _KIB**2), "GB": ("bytes", _KIB**3),
    "TB": ("bytes", _KIB**4), "KiB": ("bytes", _KIB), "MiB": ("bytes", _KIB**2),
    "GiB": ("bytes", _KIB**3), "TiB": ("bytes", _KIB**4),
    "c": ("counter", 1.0),  # since whenever: what accumulates it is not us, so for us it is a gauge
}  # fmt: skip
_SAID = {
    1: (Outcome.FAILURE, "warning"),
    2: (Outcome.FAILURE, "critical"),
    3: (Outcome.BROKEN, "unknown"),
}


def nagios_samples(lines: Iterable[str], bounds: Bounds) -> Printed:
    """The performance data as `nagios_perfdata_<base unit>{label="…"}`; each bad item counts as a bad line."""
    gathering = Gathering(bounds)
    for line in _performance_data(lines):
        if len(line) > MAX_LINE_LENGTH:
            gathering.refuse(line, f"longer than {MAX_LINE_LENGTH} characters")
            continue
        for item in _items(line):
            try:
                if sample := _sample(item):
                    gathering.add(sample)
            except BadLineError as problem:
                gathering.refuse(item, problem)
    return gathering.result()


def nagios_verdict(exit_code: int, stdout: str, stderr: str) -> Verdict:
    """What a plugin's exit status means; the text is its first line, as Nagios shows it."""
    if exit_code == 0:
        return Verdict(Outcome.SUCCESS)
    text = _first_text(stdout) or _first_text(stderr)
    outcome, word = _SAID.get(exit_code, (Outcome.BROKEN, f"exit status {exit_code}"))
    return Verdict(outcome, shortened(f"{word}: {text}" if text else word))


def _performance_data(lines: Iterable[str]) -> Iterator[str]:
    is_data = False
    for number, line in enumerate(lines):
        if is_data:
            yield line
            continue
        _, bar, data = line.partition("|")
        yield data
        # After the first line text may follow; after a bar in that, only data does.
        is_data = bool(bar) and number > 0


def _items(line: str) -> Iterator[str]:
    """`label=value` each, as they stand there; what is neither is an item up to the next space."""
    position = 0
    while word := _WORD.search(line, position):
        item = _ITEM.match(line, word.start()) or word
        yield item[0]
        position = item.end()


def _sample(item: str) -> Sample | None:
    parts = _ITEM.fullmatch(item)
    if parts is None:
        raise BadLineError("not performance data like `time=0.01s;;;0`")
    quoted, plain, numbers = parts.groups()
    label = quoted.replace("''", "'") if quoted else plain
    text = numbers.split(";", maxsplit=1)[0]
    if text == "U":  # the plugin could not find out
        return None
    value = _VALUE.fullmatch(text)
    if value is None:
        raise BadLineError("not a number with a unit")
    number, unit = value.groups()
    if unit not in _UNITS:
        labels = (("label", label), ("unit", unit))
        return Sample("nagios_perfdata_value", labels, float(number))
    base, factor = _UNITS[unit]
    return Sample(f"nagios_perfdata_{base}", (("label", label),), float(number) * factor)


def _first_text(output: str) -> str:
    first = output.strip().split("\n", maxsplit=1)[0].partition("|")[0]
    return "".join(letter if letter.isprintable() else " " for letter in first).strip()
