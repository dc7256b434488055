"""Every generation of client against every generation of server: the guide's two tools."""

from datetime import datetime, timedelta, timezone

import pytest
from conftest import CLIENTS

GUIDE_SERVERS = ["guide-fastmcp2", "guide-fastmcp3", "guide-fastmcp4"]


@pytest.mark.parametrize("client_name", CLIENTS)
@pytest.mark.parametrize("server_name", GUIDE_SERVERS)
def test_lists_and_calls_both_tools(server_name, client_name, client, reach):
    facts = client(client_name).do("tools", reach(server_name), message="Hällo, wörld ☕")

    assert sorted(facts["tools"]) == ["echo", "get_current_utc_time"]
    assert facts["echo"] == "Hällo, wörld ☕"
    age = datetime.now(timezone.utc) - datetime.fromisoformat(facts["time"])
    assert timedelta(0) <= age < timedelta(seconds=30)
