"""What agent and launchers say to each other comes through as it was said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.running import wire

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
names = st.text(st.characters(codec="utf-8", exclude_characters="\0="), min_size=1)


@given(
    arguments=st.lists(texts, min_size=1, max_size=5),
    environment=st.dictionaries(names, texts, max_size=5),
    folder=texts,
)
def test_a_start_comes_through(
    arguments: list[str], environment: dict[str, str], folder: str
) -> None:
    program = wire.encoded_program(arguments, environment, folder=folder, cpu_seconds=3)
    packet = wire.start_request(7, program, script=1)
    heard = wire.parsed_start(packet.split(b"\0"))
    assert (heard.number, heard.folder, heard.cpu_seconds, heard.script) == (7, folder, 3, 1)
    assert (heard.arguments, heard.environment) == (arguments, environment)


@pytest.mark.parametrize(
    ("arguments", "environment"), [(["a\0b"], {}), (["a"], {"B": "c\0d"}), (["a"], {"B\0": "c"})]
)
def test_what_no_program_could_get_is_refused(
    arguments: list[str], environment: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match="NUL"):
        wire.encoded_program(arguments, environment, folder="/", cpu_seconds=1)


@given(
    exit_code=st.integers(-64, 255),
    usage=st.tuples(*[st.integers(0, 2**62)] * 3),
    elapsed_us=st.none() | st.integers(0, 2**62),
    signalled=st.booleans(),
)
def test_an_end_comes_through(
    exit_code: int, usage: tuple[int, int, int], elapsed_us: int | None, *, signalled: bool
) -> None:
    end = wire.RunEnd(5, exit_code, "memory_mb", usage, elapsed_us=elapsed_us, signalled=signalled)
    packet = wire.end_message(end)
    heard = wire.parsed_end(packet.split(b"\0"))
    assert (heard.number, heard.exit_code, heard.breach) == (5, exit_code, "memory_mb")
    assert (heard.user_us, heard.system_us, heard.peak_rss_bytes) == usage
    assert heard.elapsed_us == elapsed_us
    assert heard.signalled is signalled
