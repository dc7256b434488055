"""A full room at work: many sessions at once, and not one failed call."""

import os

import pytest

WORKERS = 50
ROUNDS = int(os.environ.get("AI_PROXY_SOAK_ROUNDS", "20"))


@pytest.mark.timeout(30 * ROUNDS)
@pytest.mark.parametrize("generation", [3, 4])
def test_soak(generation, client, reach):
    way = reach(f"guide-fastmcp{generation}")

    facts = client(f"fastmcp{generation}").do("workers", way, seconds=25 * ROUNDS, workers=WORKERS, rounds=ROUNDS)

    assert facts["failures"] == []
    assert facts["calls"] == WORKERS * ROUNDS * 3
