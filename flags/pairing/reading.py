"""The compared numbers of an answer, and the recorded values of an input."""

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from flags.errors import AnswerUnreadableError, NonFiniteScoreError, ReadingError

logger = logging.getLogger(__name__)

T = TypeVar("T")

Extract = str | Callable[[Any], Any]
"""An attribute path such as `result.probability` or `0.score`, or a callable on the whole value."""

ScoreSpec = Extract | Mapping[str, Extract]
ThresholdSpec = float | Extract | Mapping[str, float | Extract] | None
FieldSpec = Iterable[str] | Mapping[str, Extract] | None


@dataclass(frozen=True, slots=True)
class Reading:
    """Say how scores, thresholds, segments and features are read.

    `score` names one output (path or callable) or several (`{"name": path or callable}`).
    `threshold` is a number, or a path or callable on the answer; one for all outputs, or a mapping
    by output name; None where nothing is decided (a regression). `segments` and `features` name
    what of the input is recorded: a list of paths, or `{"name": path or callable}`; nothing by
    default, because inputs may be personal data.
    """

    outputs: Mapping[str, Callable[[Any], Any]]
    threshold_of: Mapping[str, Callable[[Any], Any]]
    segment_of: Mapping[str, Callable[[Any], Any]]
    feature_of: Mapping[str, Callable[[Any], Any]]

    @classmethod
    def of(
        cls,
        score: ScoreSpec,
        threshold: ThresholdSpec = None,
        segments: FieldSpec = None,
        features: FieldSpec = None,
    ) -> "Reading":
        """Build a reading; raise ReadingError naming the argument that is wrong."""
        outputs = _outputs(score)
        return cls(
            outputs=outputs,
            threshold_of=_thresholds(threshold, outputs),
            segment_of=_fields(segments, "segments"),
            feature_of=_fields(features, "features"),
        )

    @classmethod
    def nothing(cls) -> "Reading":
        """Build a reading of an API without compared numbers: statuses and durations only."""
        return cls({}, {}, {}, {})

    @classmethod
    def inputs(cls, segments: FieldSpec, features: FieldSpec) -> "Reading":
        """Build a reading of inputs only."""
        return cls({}, {}, _fields(segments, "segments"), _fields(features, "features"))

    def check(self, answers: type[Any], route: str) -> None:
        """Raise ReadingError if a path cannot be in an answer of the model class `answers`."""
        known = getattr(answers, "model_fields", {})
        if not known or "root" in known:
            return
        for word, paths in (("score", self.outputs), ("threshold", self.threshold_of)):
            for path in (getattr(extract, "path", "") for extract in paths.values()):
                first = path.split(".")[0]
                if first and first not in known and not hasattr(answers, first):
                    raise ReadingError(
                        f"{word} {path!r} is not in an answer of {route}, which has "
                        f"{', '.join(known)}"
                    )

    def scores(self, answer: Any) -> dict[str, float]:
        """Return the score of each output.

        Raises AnswerUnreadableError where an output is absent or no number, and
        NonFiniteScoreError where it is NaN or infinite.
        """
        return {name: _number(name, extract, answer) for name, extract in self.outputs.items()}

    def thresholds(self, answer: Any) -> dict[str, float]:
        """Return the threshold of each output that has one; raises as `scores` does."""
        return {name: _number(name, extract, answer) for name, extract in self.threshold_of.items()}

    def segments(self, inputs: Any) -> dict[str, str]:
        """Return the segments of an input as strings; what cannot be read is left out."""
        found = ((name, _try(name, get, inputs, _text)) for name, get in self.segment_of.items())
        return {name: text for name, text in found if text is not None}

    def features(self, inputs: Any) -> dict[str, float]:
        """Return the features of an input as floats; what is no finite number is left out."""
        found = ((name, _try(name, get, inputs, float)) for name, get in self.feature_of.items())
        return {name: value for name, value in found if value is not None and math.isfinite(value)}


def _outputs(score: ScoreSpec) -> dict[str, Callable[[Any], Any]]:
    if isinstance(score, str):
        return {score.rsplit(".", 1)[-1]: extractor(score, "score")}
    if callable(score):
        name = getattr(score, "__name__", "score")
        return {"score" if name == "<lambda>" else name: score}
    if isinstance(score, Mapping) and score:
        return {name: extractor(extract, f"score[{name!r}]") for name, extract in score.items()}
    raise ReadingError(
        f"score is {score!r}: it must be an attribute path of the answer (such as "
        "'fraud_probability'), a callable on the answer, or a mapping of names to these"
    )


def _thresholds(
    threshold: ThresholdSpec, outputs: Mapping[str, Any]
) -> dict[str, Callable[[Any], Any]]:
    if threshold is None:
        return {}
    if not isinstance(threshold, Mapping):
        return {name: _threshold(threshold, "threshold") for name in outputs}
    unknown = sorted(set(threshold) - set(outputs))
    if unknown:
        raise ReadingError(
            f"threshold names the outputs {unknown}, which score does not: it has {sorted(outputs)}"
        )
    return {name: _threshold(value, f"threshold[{name!r}]") for name, value in threshold.items()}


def _threshold(value: float | Extract, where: str) -> Callable[[Any], Any]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise ReadingError(f"{where} is {value!r}: it must be a finite number")
        return lambda _answer: value
    return extractor(value, where)


def _fields(spec: FieldSpec, where: str) -> dict[str, Callable[[Any], Any]]:
    if spec is None:
        return {}
    if isinstance(spec, str):
        raise ReadingError(f"{where} is the string {spec!r}: it must be a list, such as [{spec!r}]")
    if isinstance(spec, Mapping):
        return {name: extractor(get, f"{where}[{name!r}]") for name, get in spec.items()}
    if not isinstance(spec, Iterable):
        raise ReadingError(f"{where} is {spec!r}: it must be a list of paths, or a mapping")
    fields: dict[str, Callable[[Any], Any]] = {}
    for path in spec:
        if not isinstance(path, str):
            raise ReadingError(f"{where} lists {path!r}, which has no name: use a mapping for it")
        name = path.rsplit(".", 1)[-1]
        if name in fields:
            raise ReadingError(
                f"{where} has two paths that end in {name!r}: name them by a mapping"
            )
        fields[name] = extractor(path, where)
    return fields


def extractor(extract: Extract | float, where: str) -> Callable[[Any], Any]:
    """Return what reads a value: a callable as it is, a path step by step; or ReadingError."""
    if callable(extract):
        return extract
    if not isinstance(extract, str) or not all(extract.split(".")):
        raise ReadingError(
            f"{where} is {extract!r}: it must be an attribute path such as 'result.score', "
            "or a callable"
        )
    steps = tuple(extract.split("."))

    def follow(value: Any) -> Any:
        for step in steps:
            value = _step(value, step)
        return value

    follow.path = extract  # type: ignore[attr-defined]  # for the check against the schema
    return follow


def _step(value: Any, step: str) -> Any:
    if isinstance(value, Mapping):
        return value[step]
    if step.lstrip("-").isdigit():
        return value[int(step)]
    own = getattr(value, "__dict__", None)
    if own is not None and step in own:  # sparing models the search for what they have not
        return own[step]
    if hasattr(value, "iloc"):  # a pandas object: the column or key
        return value[step]
    return getattr(value, step)


def _number(name: str, extract: Callable[[Any], Any], answer: Any) -> float:
    try:
        value = extract(answer)
        number = float(value.item() if hasattr(value, "item") else value)
    except Exception as error:
        raise AnswerUnreadableError(
            f"{name} cannot be read from an answer of type {type(answer).__name__}: "
            f"{type(error).__name__}"
        ) from error
    if not math.isfinite(number):
        raise NonFiniteScoreError(f"{name} is {number}")
    return number


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _try(
    name: str, extract: Callable[[Any], Any], inputs: Any, convert: Callable[[Any], T]
) -> T | None:
    try:
        return convert(extract(inputs))
    except Exception as error:  # a wrong path must not cost an answer; it shows as missing data
        logger.debug("%s could not be read from an input: %s", name, type(error).__name__)
        return None
