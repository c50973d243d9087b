"""Setup of a project: context fields, and client tokens for reading flags."""

from typing import Literal

from flags.unleash.admin.api import AdminApi
from flags.unleash.admin.errors import ItemMissingError, NameTakenError, UnleashFailedError


def ensure_context_field(
    api: AdminApi, name: str, description: str, *, stickiness: bool
) -> Literal["created", "changed", "present"]:
    """Create the context field, or set its stickiness; return what was done."""
    try:
        field = api.call("GET", "context", name)
    except ItemMissingError:
        body = {"name": name, "description": description, "stickiness": stickiness}
        try:
            api.call("POST", "context", body=body)
        except NameTakenError:  # created by somebody else meanwhile
            return "present"
        except (
            UnleashFailedError
        ) as failure:  # created at the same moment: Unleash's database fails
            try:
                api.call("GET", "context", name)
            except ItemMissingError:
                raise failure from None
            return "present"
        return "created"
    if api.read(lambda: bool(field["stickiness"])) == stickiness:
        return "present"
    known = ("description", "legalValues", "sortOrder")
    body = {part: field[part] for part in known if field.get(part) is not None}
    api.call("PUT", "context", name, body=body | {"stickiness": stickiness})
    return "changed"


def client_token(api: AdminApi, name: str, environment: str, project: str) -> str:
    """Return the client (backend) token of that name for the project; create it if absent."""
    wanted = (environment, [project])
    answer = api.call("GET", "api-tokens", name)
    for token in api.read(lambda: list(answer["tokens"])):
        # unleash-server creates the type `backend` and lists it as `client`.
        reads_flags = token["type"] in {"backend", "client"}
        if reads_flags and (token["environment"], token["projects"]) == wanted:
            return str(token["secret"])
    body = {
        "tokenName": name,
        "type": "backend",
        "environment": environment,
        "projects": [project],
    }
    return str(api.call("POST", "api-tokens", body=body)["secret"])
