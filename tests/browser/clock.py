"""A clock of a program's own."""

from pathlib import Path

FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)


def starting_at(utc: str, speed: int = 1) -> dict[str, str]:
    """The variables for a clock that stands at this instant when the program starts, and goes on from there."""
    assert FAKETIME, "Debian's faketime is needed: make test-browser installs it"
    since = f"@{utc} x{speed}" if speed > 1 else f"@{utc}"
    return {"LD_PRELOAD": str(FAKETIME), "FAKETIME": since, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "TZ": "UTC"}
