"""Where people sign in elsewhere: the identity providers of `tests/entra` and `tests/github`, as programs."""

from collections.abc import Iterator
from contextlib import contextmanager

from programs import ROOT, Program


@contextmanager
def provider(example: str, names: list[str]) -> Iterator[dict[str, str]]:
    """Runs one, and gives the variables by which the proxy finds it, as it prints them."""
    with Program(example, [str(ROOT / "target/debug/examples" / example)]) as program:
        variables = [f"AI_PROXY_{example.upper()}_{name}" for name in names]
        yield {name: program.says(rf"^{name}=(\S+)$")[1] for name in variables}
