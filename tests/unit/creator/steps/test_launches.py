"""What the starter is told."""

from creator.steps.launches import Launch, User, launch_of_json

LAUNCH = Launch(
    folder="/data/run/018f",
    arguments=("/bin/terraform", "plan", "-out=ü"),
    working_directory="/data/recipe",
    environment={"PATH": "/bin"},
    time_limit_seconds=7200.0,
    grace_seconds=300.0,
    start_before_seconds=1.5,
)


def test_a_launch_arrives_as_it_was_sent() -> None:
    assert launch_of_json(LAUNCH.to_json()) == LAUNCH


def test_the_user_arrives_with_all_groups() -> None:
    launch = Launch(**{**vars(LAUNCH), "user": User(uid=65534, gid=65534, groups=(1, 2))})

    assert launch_of_json(launch.to_json()) == launch


def test_the_processes_of_a_step_carry_its_id() -> None:
    assert LAUNCH.whole_environment == {"PATH": "/bin", "MR_PROBER_STEP": "018f"}
