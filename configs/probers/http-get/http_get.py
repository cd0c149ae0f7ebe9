"""GET VAR_URL, expect a status below 400 and VAR_EXPECTED_TEXT, if set. Exit 0: so it is, 1: not, 3: broken prober."""

import argparse
import os
import signal
import sys
import time
import traceback
from urllib.parse import urlsplit

MAX_BODY_BYTES = 1024 * 1024
MAX_REDIRECTS = 5


def broken(*error):
    """Our own bug must not blame the target: exit 3 instead of Python's 1."""
    traceback.print_exception(*error)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(3)


sys.excepthook = broken

import requests  # noqa: E402 - after the hook: a missing package is not the target's fault


class OutOfTimeError(BaseException):
    """The deadline of the whole check; no Exception, so that no library takes it for one of its own."""


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(3, f"{self.prog}: {message}\n")


def http_url(text):
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise argparse.ArgumentTypeError(f"expected http://… or https://…, not {text!r}")
    return text


def positive_seconds(text):
    seconds = float(text)
    if not 0 < seconds < 86400:
        raise ValueError
    return seconds


def options():
    parser = Parser(description=__doc__)
    parser.add_argument("--url", type=http_url, default=os.environ.get("VAR_URL"))
    parser.add_argument("--expected-text", default=os.environ.get("VAR_EXPECTED_TEXT"))
    parser.add_argument(
        "--timeout-seconds",
        type=positive_seconds,
        default=os.environ.get("VAR_TIMEOUT_SECONDS", "2"),
    )
    given = parser.parse_args()
    if not given.url:
        parser.error("no URL: set VAR_URL or --url")
    return given


def out_of_time(_signal, _frame):
    raise OutOfTimeError


def get(url, time_limit):
    """Status and body; requests' own timeout is for each read, so a dripping server needs the alarm as well."""
    signal.signal(signal.SIGALRM, out_of_time)
    signal.setitimer(signal.ITIMER_REAL, time_limit)
    try:
        with requests.Session() as session:
            session.trust_env = False  # no proxy, no .netrc: the target itself is checked
            session.max_redirects = MAX_REDIRECTS
            with session.get(url, timeout=time_limit, stream=True) as answer:
                return answer.status_code, beginning_of(answer)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def beginning_of(answer):
    """The body, or as much of it as we read."""
    body = b""
    for chunk in answer.iter_content(64 * 1024):
        body += chunk
        if len(body) >= MAX_BODY_BYTES:
            break
    return body


def reason_of(error):
    """The innermost cause, in one line: requests wraps the interesting one several times."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
    return " ".join(
        (getattr(error, "strerror", None) or str(error) or type(error).__name__).split()
    )


def main():
    given = options()
    started = time.monotonic()
    try:
        status, body = get(given.url, given.timeout_seconds)
    except (OutOfTimeError, requests.Timeout):
        sys.exit(f"no answer of {given.url} within {given.timeout_seconds} s")
    except (
        requests.RequestException,
        ValueError,
    ) as error:  # urllib3 lets some ValueErrors through
        sys.exit(f"cannot get {given.url}: {reason_of(error)}")
    print("# TYPE http_get_seconds gauge")
    print(f"http_get_seconds {time.monotonic() - started:.6f}")
    print("# TYPE http_get_status gauge")
    print(f"http_get_status {status}")
    if status >= 400:
        sys.exit(f"{given.url} answered with status {status}")
    if given.expected_text and given.expected_text.encode() not in body:
        sys.exit(f"{given.url} answered without the text {given.expected_text!r}")


if __name__ == "__main__":
    main()
