"""The errors of the Admin API client, as a tree.

AdminError
    UnleashUnreachableError     nothing answers, or not in time
    NotUnleashError             something answers that is not Unleash
    UnleashFailedError          Unleash itself failed (5xx)
    RateLimitedError            Unleash wants fewer requests (429)
    TokenRefusedError           the token is unknown, or may not do this
    PersonalTokenError          the token is a person's, where one of its own is needed
    RequestRefusedError         Unleash refuses the request as invalid (4xx)
        NameTakenError          the name is in use
        ItemMissingError        the item that the request names does not exist
            ProjectMissingError
            EnvironmentMissingError
            FlagMissingError
    FlagKeyError                a key that no Unleash flag can have
    FlagShapeError              the flag has no single rollout that could be moved
    FlagChangedError            somebody else moved the flag in between
    EnvironmentUnknownError     nothing says which environment is meant
    RolloutRangeError           a rollout that is not a whole number from 0 to 100
    PayloadError                a variant payload that is not JSON
    TagError                    a tag that Unleash cannot store
"""

from flags.errors import FlagsError


class AdminError(FlagsError):
    """A request to the Admin API failed."""


class UnleashUnreachableError(AdminError):
    """Nothing answers at the URL, or not within the time limit."""


class NotUnleashError(AdminError):
    """Something answers at the URL, but not as Unleash's Admin API does."""


class UnleashFailedError(AdminError):
    """Unleash answered with a failure of its own (5xx)."""


class RateLimitedError(AdminError):
    """Unleash, or a proxy in front of it, wants fewer requests (429)."""


class TokenRefusedError(AdminError):
    """The token is unknown to this Unleash, of the wrong kind, or lacks a permission."""


class PersonalTokenError(AdminError):
    """The token is a person's, so the event log cannot distinguish the tool from the person."""


class RequestRefusedError(AdminError):
    """Unleash refuses the request as invalid (4xx); the message is Unleash's."""


class NameTakenError(RequestRefusedError):
    """The name is in use already; an archived flag keeps its name."""


class ItemMissingError(RequestRefusedError):
    """The item that the request names does not exist."""


class ProjectMissingError(ItemMissingError):
    """Unleash has no such project."""


class EnvironmentMissingError(ItemMissingError):
    """The project has no such environment."""


class FlagMissingError(ItemMissingError):
    """The project has no such flag."""


class FlagKeyError(AdminError):
    """The key is not valid for an Unleash flag."""


class FlagShapeError(AdminError):
    """The flag has not exactly one gradual rollout, so it is not clear which one to change."""


class FlagChangedError(AdminError):
    """The rollout has not the expected value: somebody else has changed it."""


class EnvironmentUnknownError(AdminError):
    """No option, variable or token names the environment of the flag."""


class RolloutRangeError(AdminError):
    """The rollout is not from 0 to 100; Unleash would store "150" and evaluate it as 0."""


class PayloadError(AdminError):
    """The payload of a variant cannot be written as JSON."""


class TagError(AdminError):
    """Unleash stores tags of 2 to 50 characters only."""
