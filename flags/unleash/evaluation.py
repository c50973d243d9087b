"""OpenFeature's flag evaluation methods, one for each type of value."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType
from openfeature.provider import AbstractProvider

from flags.unleash.document import FlagDocument, quoted
from flags.unleash.freshness import State
from flags.unleash.resolution import (
    TYPE_ERRORS,
    Evaluation,
    boolean_of,
    evaluate,
    failed,
    float_of,
    integer_of,
    metadata_of,
    object_of,
    off_for_all,
    reason_of,
    text_of,
    unleash_context,
)

T = TypeVar("T")


class FlagEvaluation(AbstractProvider):
    """A provider that evaluates flags by Unleash's engine; a subclass supplies the flags.

    `where` names the source in messages. If `counts`, evaluations of flags that are off for
    everyone, which do not reach the engine, are added to its usage counts.
    """

    def __init__(self, where: str, *, counts: bool) -> None:
        super().__init__()
        self._where = where
        self._counts = counts
        self._evaluated: set[str] = set()
        """Names of the flags that were evaluated in this process."""

    @abstractmethod
    def _flags(self) -> tuple[State, FlagDocument | None]:
        """Return the freshness of the flags, and the flags."""

    @abstractmethod
    def _why(self) -> str:
        """Return why there are no flags."""

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Return whether the flag is on; TYPE_MISMATCH if its variant is a text or a number."""
        return self._resolve(flag_key, default_value, evaluation_context, boolean_of)

    def resolve_string_details(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        """Return the variant's payload."""
        return self._resolve(flag_key, default_value, evaluation_context, text_of)

    def resolve_integer_details(
        self,
        flag_key: str,
        default_value: int,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        """Return the variant's payload as an integer."""
        return self._resolve(flag_key, default_value, evaluation_context, integer_of)

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        """Return the variant's payload as a float."""
        return self._resolve(flag_key, default_value, evaluation_context, float_of)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """Return the variant's JSON payload, an object or an array."""
        return self._resolve(flag_key, default_value, evaluation_context, object_of)

    def _resolve(
        self,
        flag_key: str,
        default: T,
        context: EvaluationContext | None,
        read: Callable[[Evaluation, T], T],
    ) -> FlagResolutionDetails[T]:
        self._evaluated.add(flag_key)
        state, document = self._flags()
        if state in (State.NOT_READY, State.EXPIRED) or document is None:
            return failed(default, ErrorCode.PROVIDER_NOT_READY, self._why())
        definition = document.flags.get(flag_key)
        if definition is None:
            return self._missing(flag_key, default, document)
        found = off_for_all(definition)
        if found is None:
            found = evaluate(document.engine, definition, unleash_context(context, definition))
        elif self._counts:
            document.engine.count_toggle(flag_key, False)
        try:
            value = read(found, default) if definition.enabled else default
        except TYPE_ERRORS as error:
            message = f"flag {quoted(flag_key)} is not of the type asked for: {error}"
            return failed(default, ErrorCode.TYPE_MISMATCH, message)
        return FlagResolutionDetails(
            value,
            reason=reason_of(definition, state),
            variant=found.variant,
            flag_metadata=metadata_of(definition, found),
        )

    def _missing(self, flag: str, default: T, document: FlagDocument) -> FlagResolutionDetails[T]:
        if (reason := document.left_out.get(flag)) is not None:
            message = f"flag {quoted(flag)} is left out: {reason}"
            return failed(default, ErrorCode.PARSE_ERROR, message)
        message = f"flag {quoted(flag)} does not exist in {self._where}"
        return failed(default, ErrorCode.FLAG_NOT_FOUND, message)
