"""The errors of the Admin API client, as a tree.

AdminError
    UnleashUnreachableError     nothing answers, or not in time
    NotUnleashError             something answers that is not Unleash
    UnleashFailedError          Unleash itself failed (5xx)
    RateLimitedError            Unleash wants fewer requests (429)
    TokenRefusedError           the token is unknown, or may not do this
    PersonalTokenError          the token is a person's, where one of its own is needed
    RequestRefusedError         Unleash calls the request wrong (4xx)
        NameTakenError          something of that name is there
        ItemMissingError        what the request is about is not there
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
    """The Admin API did not do what it was asked."""


class UnleashUnreachableError(AdminError):
    """Nothing answers at the URL, or not within the time limit."""


class NotUnleashError(AdminError):
    """Something answers at the URL, but not as Unleash's Admin API does."""


class UnleashFailedError(AdminError):
    """Unleash answered with a failure of its own (5xx)."""


class RateLimitedError(AdminError):
    """Unleash, or what stands before it, wants fewer requests (429)."""


class TokenRefusedError(AdminError):
    """The token is unknown to this Unleash, of the wrong kind, or lacks a permission."""


class PersonalTokenError(AdminError):
    """The token is a person's, so that what it does cannot be told from what the person does."""


class RequestRefusedError(AdminError):
    """Unleash calls the request wrong (4xx); the message is Unleash's."""


class NameTakenError(RequestRefusedError):
    """Something of that name is there already; an archived flag keeps its name."""


class ItemMissingError(RequestRefusedError):
    """What the request is about is not there."""


class ProjectMissingError(ItemMissingError):
    """Unleash has no such project."""


class EnvironmentMissingError(ItemMissingError):
    """The project has no such environment."""


class FlagMissingError(ItemMissingError):
    """The project has no such flag."""


class FlagKeyError(AdminError):
    """The key cannot be that of an Unleash flag."""


class FlagShapeError(AdminError):
    """The flag has no single rollout, so it is not clear what should be moved."""


class FlagChangedError(AdminError):
    """The rollout is not what it was expected to be: somebody else has moved it."""


class EnvironmentUnknownError(AdminError):
    """Nothing says in which environment a flag is to be moved."""


class RolloutRangeError(AdminError):
    """The rollout is not a whole number from 0 to 100; Unleash takes "150" and serves nobody."""


class PayloadError(AdminError):
    """The payload of a variant cannot be written as JSON."""


class TagError(AdminError):
    """Unleash stores tags of 2 to 50 characters only."""
