"""What schemathesis cannot read from the description: the rules that JSON Schema cannot state.

Requests that are meant to be accepted are mended to meet them, and ids in paths are replaced by those of rows that
are there. Links have such ids already, so the requests that follow one keep theirs. Loaded by schemathesis.
"""

import os
import secrets

import httpx
import schemathesis
from schemathesis.core.parameters import ParameterLocation

ORIGIN = os.environ["CONTRACT_ORIGIN"]
"""The MCP server: whatever schemathesis registers leads to it, and never to hosts that it made up."""
EVENT = os.environ["CONTRACT_EVENT"]
RESOURCE = os.environ["CONTRACT_RESOURCE"]
DELETED = os.environ["CONTRACT_DELETED"].split()
"""User ids of those who were deleted from the event."""
API = httpx.Client(
    base_url=os.environ["CONTRACT_API"],
    headers={"authorization": os.environ["CONTRACT_AUTHORIZATION"]},
    trust_env=False,
)
SEVERAL = 20
MOST = 5000
"""Issuing fewer keys than this finds nothing more than issuing several, and takes longer."""


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict) -> None:
    if not case.meta:
        return
    if case.method == "DELETE" and "attendee_id" not in case.path_parameters:
        spare(case.path_parameters)
    if case.meta.phase.name.value != "stateful" and not case.meta.is_negative_at(ParameterLocation.PATH):
        reach(case.path_parameters)
    if case.meta.phase.name.value != "stateful" and "If-Match" in (case.headers or {}):
        if case.meta.generation.mode.is_positive or not case.meta.is_negative_at(ParameterLocation.HEADER):
            # No tag that was made up is that of a row: links have one.
            case.headers["If-Match"] = "*"
        elif case.meta.is_negative_at(ParameterLocation.BODY):
            # A header that is refused would hide whether the body is.
            case.headers.pop("If-Match")
    if case.meta.generation.mode.is_positive:
        if isinstance(case.body, dict):
            mend(case.operation.label, case.body, case.path_parameters)


def spare(path: dict) -> None:
    """Deletes a copy in place of a row that other requests need."""
    if path.get("id") == EVENT:
        shown = API.get(f"/events/{EVENT}").raise_for_status().json()
        fields = ("name", "description", "organizer_name", "organizer_email", "start", "end", "time_zone")
        copy = {field: shown[field] for field in fields}
        path["id"] = API.post("/events", json=copy).raise_for_status().json()["id"]
    elif path.get("id") == RESOURCE:
        copy = {"deployment": secrets.token_hex(8), "endpoint": f"{ORIGIN}/mcp"}
        path["id"] = API.post("/resources", json=copy).raise_for_status().json()["id"]


def reach(path: dict) -> None:
    """Replaces ids that were made up by those of rows that nothing else needs."""
    if "attendee_id" in path:
        issued = API.post(f"/events/{EVENT}/attendees", json={"count": 1}).raise_for_status().json()
        path.update(id=EVENT, attendee_id=issued["items"][0]["id"])
    elif "user_id" in path and DELETED:
        path.update(id=EVENT, user_id=DELETED.pop())


def mend(label: str, body: dict, path: dict) -> None:
    match label:
        case "POST /events" | "PATCH /events/{id}":
            mend_event(body, path)
        case "POST /resources" | "PATCH /resources/{id}":
            mend_resource(body, path)
        case "POST /events/{id}/attendees":
            if SEVERAL < body.get("count", 0) < MOST:
                body["count"] = SEVERAL


def mend_event(body: dict, path: dict) -> None:
    if body.get("time_zone"):
        body["time_zone"] = "Europe/Berlin"
    if body.get("id") and "id" in path:
        # It cannot be changed.
        body["id"] = path["id"]
    elif body.get("id") and API.get(f"/events/{body['id']}").is_success:
        # Schemathesis likes to use what it got before.
        body.pop("id")
    if body.get("resources"):
        body["resources"] = [RESOURCE]
    for field in ("start", "end"):
        if body.get(field):
            # Neither a day that its month does not have, nor the end of the calendar.
            body[field] = "2" + body[field][1:8] + "28" + body[field][10:]
    if body.get("start") and body.get("end"):
        body["start"], body["end"] = sorted([body["start"], body["end"]])
        if body["start"][:16] == body["end"][:16]:
            body["end"] = "3" + body["end"][1:]
    elif "id" in path:
        # The other one is stored, and may be earlier or later.
        body.pop("start", None)
        body.pop("end", None)


def mend_resource(body: dict, path: dict) -> None:
    others = [row for row in API.get("/resources").raise_for_status().json()["items"] if row["id"] != path.get("id")]
    if body.get("deployment") in [row["deployment"] for row in others]:
        body["deployment"] = secrets.token_hex(8)
    if body.get("endpoint"):
        # As long as what was made up.
        body["endpoint"] = f"{ORIGIN}/mcp?api-version=1&".ljust(len(body["endpoint"]), "a")
        # A stored key is not sent to another host.
        body.setdefault("key", "backend-key")
    elif body.get("type") == "foundry-toolkit":
        # Its endpoint must set an api-version.
        body["type"] = "foundry-model"
