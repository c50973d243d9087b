"""The operational alarms of a playbook: queries of Prometheus, Alertmanager or a webhook."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from flags.playbook.part import Address, Duration, Part, matching
from flags.printable import without_credentials

_LONGEST: Final = timedelta(minutes=1)


def _answerable(timeout: timedelta) -> timedelta:
    if not timedelta(0) < timeout <= _LONGEST:
        raise ValueError("must be more than 0s and at most 1m, since each look waits for it")
    return timeout


_Text = Annotated[str, Field(min_length=1)]
_Matcher = Annotated[
    str, AfterValidator(matching(r"\s*[^\s=!~]+\s*(=~|!~|!=|=)", "a matcher such as severity=page"))
]
_Variable = Annotated[
    str, AfterValidator(matching(r"[A-Za-z_]\w*$", "the name of an environment variable"))
]
_Timeout = Annotated[Duration, AfterValidator(_answerable)]
_Bound = Annotated[float, Field(allow_inf_nan=False)]


class ValueLimits(Part):
    """The upper and the lower limit of a value."""

    above: _Bound | None = Field(None, description="The limit is reached above this value.")
    below: _Bound | None = Field(None, description="The limit is reached below this value.")

    @property
    def given(self) -> bool:
        """Say whether a limit is set."""
        return self.above is not None or self.below is not None

    def reached(self, value: float) -> bool:
        """Say whether a value is beyond a limit."""
        return (self.above is not None and value > self.above) or (
            self.below is not None and value < self.below
        )

    def __str__(self) -> str:
        """Return the limits in words, e.g. `above 200`."""
        words = (("below", self.below), ("above", self.above))
        return " or ".join(f"{word} {value:g}" for word, value in words if value is not None)


class OperationalAlarmRule(Part):
    """An operational alarm: its source, the limits of its value, and when a rollback follows."""

    prometheus: _Text | None = Field(
        None, description="PromQL, asked as an instant query of the server in `PROMETHEUS_URL`."
    )
    alertmanager: Annotated[tuple[_Matcher, ...], Field(min_length=1)] | None = Field(
        None,
        description="Matchers, such as `severity=page`; the value is the number of alerts in the "
        "server in `ALERTMANAGER_URL` that match all of them, fire, and are neither silenced nor "
        "inhibited.",
    )
    webhook: Address | None = Field(
        None,
        description="URL that answers `pass`, `hold` or `rollback` in JSON, such as "
        '`{"decision": "hold", "reason": "freeze"}`. `${NAME}` is a variable of the environment.',
    )
    hold: ValueLimits = Field(
        ValueLimits(), description="Limits beyond which the flag is left as it is."
    )
    rollback: ValueLimits = Field(
        ValueLimits(), description="Limits beyond which the flag is rolled back, after `looks`."
    )
    empty: Literal["pass", "hold", "rollback"] = Field(
        "hold", description="What a query without a result means."
    )
    looks: int = Field(
        3, ge=1, description="Looks in a row at which the rollback limit must be reached."
    )
    lasting: Duration = Field(
        timedelta(minutes=1),
        description="Time between the first and the last of these looks, at least.",
    )
    timeout: _Timeout = Field(timedelta(seconds=5), description="Time limit of the whole answer.")
    token: _Variable | None = Field(
        None,
        description="Name of the environment variable with the bearer token. Not given: "
        "`PROMETHEUS_TOKEN` or `ALERTMANAGER_TOKEN`, and none for a webhook.",
    )

    @property
    def source(self) -> str:
        """Return the query in words, without the user and password of an address."""
        if self.prometheus is not None:
            return f"prometheus: {self.prometheus}"
        if self.alertmanager is not None:
            return f"alertmanager: {', '.join(self.alertmanager)}"
        return f"webhook: {without_credentials(self.webhook or '')}"

    @property
    def hold_limits(self) -> ValueLimits:
        """Return the hold limits in force: without given ones, any firing alert holds."""
        if self.alertmanager is not None and not self.hold.given:
            return ValueLimits(above=0)
        return self.hold

    def conflict(self) -> tuple[str, str] | None:
        """Return (key, error) of the first contradiction, None if there is none."""
        return next(self._conflicts(), None)

    def _conflicts(self) -> Iterator[tuple[str, str]]:
        kinds = ("prometheus", "alertmanager", "webhook")
        given = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(given) != 1:
            yield (
                given[-1] if given else kinds[0],
                f"is {'missing' if not given else 'one too many'}: an alarm has one of "
                "prometheus, alertmanager and webhook",
            )
            return
        if self.webhook is not None:
            for key in ("hold", "rollback"):
                if getattr(self, key).given:
                    yield key, "is for a value: a webhook answers pass, hold or rollback itself"
        elif not self.hold_limits.given and not self.rollback.given:
            yield "hold", "is missing: an alarm needs a limit, such as `hold: {above: 100}`"
        if self.prometheus is None and "empty" in self.model_fields_set:
            yield "empty", "is for prometheus only: no alert is 0 alerts"
        yield from self._limit_conflicts()

    def _limit_conflicts(self) -> Iterator[tuple[str, str]]:
        hold, back = self.hold_limits, self.rollback
        if hold.above is not None and back.above is not None and back.above < hold.above:
            yield "rollback", f"is above {back.above:g}, before the hold limit of {hold.above:g}"
        if hold.below is not None and back.below is not None and back.below > hold.below:
            yield "rollback", f"is below {back.below:g}, before the hold limit of {hold.below:g}"
