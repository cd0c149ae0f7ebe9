"""Records: nothing secret in them, the worst first, whole or not at all."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from agent.flights import Excerpt, Flight
from agent.plan import Batch
from agent.recorder.format import Line, line_of, lines_in
from agent.recorder.reader import Found, Wanted
from agent.recorder.records import MAX_COMBINATIONS, Moment, is_good, record_of, record_text
from agent.verdict import Verdict
from common.contracts.records import RunRecord
from common.contracts.states import Outcome
from common.masking import MASK
from tests.unit.agent.factories import SECOND_NS, run_key, run_result, run_spec

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MOMENT = Moment(NOW, 200 * SECOND_NS)
SECRET = "correct-horse-battery"


def flight(outcome: Outcome = Outcome.FAILURE, *, reason: str = "no answer", **spec: Any) -> Flight:
    whole = run_result(outcome, reason=reason, seconds=2)
    return Flight(run_spec(**spec), whole, (whole,), exit_code=1)


def record(one: Flight, number: int = 7) -> RunRecord:
    return record_of(one, number, MOMENT, user="nobody")


def test_tells_times_as_people_do() -> None:
    made = record(flight())
    assert made.ended_at == NOW - timedelta(seconds=100)
    assert made.seconds == 2
    assert made.started_at - made.due_at == timedelta(seconds=0.25)
    assert made.user == "nobody"
    assert not made.is_good


def test_holds_no_secret_wherever_it_was() -> None:
    one = flight(
        arguments=("./check", f"--key={SECRET}"),
        environment={"VAR_KEY": SECRET, "VAR_PIN": "1234", "VAR_PORT": "80"},
        secrets=(SECRET,),
        secret_names=frozenset({"VAR_KEY", "VAR_PIN"}),
    )
    one.stdout = Excerpt(f"the key is {SECRET}".encode(), printed_bytes=32)
    half = SECRET.encode()
    one.stderr = Excerpt(b"said " + half[:10], half[10:] + b" twice", 500, 600)
    text = record(one).model_dump_json() + record_text(record(one))
    assert SECRET not in text
    assert "1234" not in text
    assert SECRET[:10] not in text
    assert SECRET[10:] not in text
    assert record(one).environment == {"VAR_KEY": MASK, "VAR_PIN": MASK, "VAR_PORT": "80"}


def test_of_a_batch_the_bad_ones_come_first_and_all_are_counted() -> None:
    count = MAX_COMBINATIONS + 50
    keys = tuple(run_key(1, f'{{"target":{number}}}') for number in range(count))
    labels = tuple({"target": str(number)} for number in range(count))
    outcomes = [Outcome.SUCCESS] * count
    outcomes[70], outcomes[120] = Outcome.BROKEN, Outcome.FAILURE
    results = tuple(
        run_result(outcome, key=key, reason=outcome.value)
        for key, outcome in zip(keys, outcomes, strict=True)
    )
    one = Flight(run_spec(batch=Batch("[]", keys, labels)), run_result(), results, exit_code=0)
    made = record(one)
    assert not is_good(one)
    assert (made.outcome, made.reason) == (Outcome.FAILURE, "failure")
    assert [entry.labels["target"] for entry in made.combinations[:3]] == ["120", "70", "0"]
    assert made.left_out == 50


def test_a_record_reads_like_a_page() -> None:
    one = flight(labels={"target": "h2"})
    one.stderr = Excerpt(b"line 1\n", b"line 9\n", 100, 114)
    one.whole = one.whole._replace(starved=True)
    text = record_text(record(one))
    assert "outcome: failure: no answer\n  target=h2: failure: no answer\n" in text
    assert "flags: starved" in text
    assert "--- stderr, 114 bytes\nline 1\n\n[... 100 bytes cut ...]\nline 9\n" in text


def test_a_line_is_the_record_again() -> None:
    (line,) = lines_in(line_of(record(flight())))
    assert line
    assert line.number == 7
    assert line.record() == record(flight())


def test_what_a_crash_cut_off_is_skipped_and_counted() -> None:
    whole = line_of(record(flight()))
    newer = b'{"format":99,"number":8,"x":1}\n'
    found = list(lines_in(whole + whole[:-20] + b"\n" + newer + b"\x00\xff\n" + whole[:40]))
    assert [line is not None for line in found] == [True, False, False, False, False]


def test_the_newest_come_or_the_first_ones_after_a_number() -> None:
    found = Found()
    for number in (5, 3, 9, 1):
        content = line_of(record(flight(), number)).strip()
        found.lines[number] = Line(number, content)
    found.lines[7] = Line(7, b'{"format":1,"number":7,"flipped":bits}')
    newest = found.records(Wanted(limit=3))
    assert [one.number for one in newest.records] == [5, 9]
    assert (newest.newest, newest.damaged) == (9, 1)
    following = found.records(Wanted(limit=2, after=1))
    assert [one.number for one in following.records] == [3, 5]
    assert following.newest == 5
    nothing = found.records(Wanted(after=9))
    assert (nothing.records, nothing.newest) == ([], 9)


def test_a_success_with_another_outcome_than_its_run_is_good() -> None:
    whole = run_result(Outcome.SUCCESS)
    assert is_good(Flight(run_spec(), whole, (whole,)))
    timed_out = run_result(Outcome.TIMEOUT)
    assert is_good(Flight(run_spec(), timed_out, (whole,)))
    assert Verdict(Outcome.SUCCESS) == whole.verdict
    assert UUID(int=1) == whole.key.prober_id
