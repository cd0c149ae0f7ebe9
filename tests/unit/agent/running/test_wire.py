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
    message = wire.start_request(7, program, script=1, at_ns=9, descriptors=3)
    (first, second) = wire.messages_in(wire.packet_of([wire.signal_request(6, 15), message]))
    assert wire.fields_of(first) == [wire.SIGNAL, b"6", b"15"]
    *heard, known = wire.parsed_start(second)
    assert heard == [7, 1, 9, 3]
    assert (known.folder, known.cpu_seconds) == (folder.encode(), 3)
    assert known.arguments == [argument.encode() for argument in arguments]
    assert known.environment == {
        name.encode(): value.encode() for name, value in environment.items()
    }


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
    late_us=st.integers(0, 2**62),
)
def test_an_end_comes_through(
    exit_code: int,
    usage: tuple[int, int, int],
    elapsed_us: int | None,
    *,
    signalled: bool,
    late_us: int,
) -> None:
    end = wire.RunEnd(5, exit_code, "memory_mb", usage, elapsed_us=elapsed_us, signalled=signalled)
    end.late_us = late_us
    (message,) = wire.messages_in(wire.packet_of([wire.end_message(end)]))
    heard = wire.parsed_end(wire.fields_of(message))
    assert (heard.number, heard.exit_code, heard.breach) == (5, exit_code, "memory_mb")
    assert (heard.user_us, heard.system_us, heard.peak_rss_bytes) == usage
    assert (heard.elapsed_us, heard.late_us) == (elapsed_us, late_us)
    assert heard.signalled is signalled
