"""The notifications of a playbook: addresses, link and rate limit."""

from typing import Annotated

from pydantic import Field

from flags.playbook.part import Address, Part


class NotifyPlan(Part):
    """Where messages go, and how many at most."""

    urls: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (),
        description="Addresses as the library apprise reads them, such as `${SLACK_URL}` or "
        "`mailto://${MAIL}`; `${NAME}` is a variable of the environment, in which secrets belong.",
    )
    link: Address | None = Field(
        None,
        description="Page that each message links to, such as the live page. Not given: the flag "
        "in Unleash.",
    )
    max_per_hour: int = Field(
        20,
        ge=1,
        description="Messages an hour to each address, at most. Changes of the flag are always "
        "sent; other news beyond the limit come with the next message.",
    )
