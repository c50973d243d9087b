"""The compared outputs of an answer, and the recorded values of an input."""

import logging
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from flags.errors import AnswerUnreadableError, NonFiniteScoreError, ReadingError
from flags.pairing.extract import Extract, extractor
from flags.pairing.kinds.declared import ScoreSpec, kind_of_type, named_outputs
from flags.pairing.kinds.kind import Kind, Reader, Value
from flags.pairing.kinds.number import Number
from flags.pairing.kinds.score import Score
from flags.pairing.kinds.text import Text
from flags.pairing.kinds.text_recorder import TextRecorder

logger = logging.getLogger(__name__)

T = TypeVar("T")

ThresholdSpec = float | Extract | Mapping[str, float | Extract] | None
FieldSpec = Iterable[str] | Mapping[str, Extract] | None


@dataclass(frozen=True, slots=True)
class Reading:
    """The functions that read outputs and thresholds of answers, segments and features of inputs.

    `score` names one output or several (`{"name": ...}`): each is a path or a callable, or a
    declared kind such as `Category("species")`.
    `threshold` is a number, or a path or callable on the answer; one for all outputs, or a mapping
    by output name; None if nothing is decided (a regression). `segments` and `features` name the
    values of the input that are recorded: a list of paths, or `{"name": path or callable}`; none by
    default, because inputs may be personal data.
    """

    outputs: Mapping[str, Callable[[Any], Any]]
    """Outputs that are numbers."""
    threshold_of: Mapping[str, Callable[[Any], Any]]
    segment_of: Mapping[str, Callable[[Any], Any]]
    feature_of: Mapping[str, Callable[[Any], Any]]
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    """Outputs that are not numbers."""
    alarms_below: frozenset[str] = frozenset()
    """Outputs whose score is an alarm below the threshold."""
    texts: Mapping[str, TextRecorder] = field(default_factory=dict)
    """Recorders of the outputs that are texts."""
    declared_numbers: frozenset[str] = frozenset()
    """Outputs declared as `Number`, which need no threshold."""
    _readers: Mapping[str, Reader] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        score: ScoreSpec,
        threshold: ThresholdSpec = None,
        segments: FieldSpec = None,
        features: FieldSpec = None,
    ) -> "Reading":
        """Build a reading. Raises ReadingError, which names the wrong argument."""
        declared = named_outputs(score)
        kinds = {name: each for name, each in declared.items() if isinstance(each, Kind)}
        outputs = {
            name: extractor(
                each.of if isinstance(each, Score | Number) else each,
                f"score[{name!r}]" if isinstance(score, Mapping) else "score",
            )
            for name, each in declared.items()
            if not isinstance(each, Kind)
        }
        own = {
            name: each.threshold
            for name, each in declared.items()
            if isinstance(each, Score) and each.threshold is not None
        }
        numbers = [name for name, each in declared.items() if isinstance(each, Number)]
        return cls(
            outputs=outputs,
            threshold_of={**_thresholds(threshold, outputs, numbers), **_thresholds(own, outputs)},
            segment_of=_fields(segments, "segments"),
            feature_of=_fields(features, "features"),
            kinds=kinds,
            alarms_below=frozenset(
                name
                for name, each in declared.items()
                if isinstance(each, Score) and each.alarm == "below"
            ),
            texts={
                name: TextRecorder(name, kind)
                for name, kind in kinds.items()
                if isinstance(kind, Text)
            },
            declared_numbers=frozenset(numbers),
            _readers={name: kind.reader(name) for name, kind in kinds.items()},
        )

    @classmethod
    def nothing(cls) -> "Reading":
        """Build a reading for an API without compared outputs: only status and duration count."""
        return cls({}, {}, {}, {})

    @classmethod
    def inputs(cls, segments: FieldSpec, features: FieldSpec) -> "Reading":
        """Build a reading of inputs only."""
        return cls({}, {}, _fields(segments, "segments"), _fields(features, "features"))

    @property
    def reads_answers(self) -> bool:
        """Say whether any output is read from answers."""
        return bool(self.outputs or self.kinds)

    @property
    def without_threshold(self) -> set[str]:
        """Return the numbers that have no threshold and are not declared as `Number`."""
        return {*self.outputs} - {*self.threshold_of} - self.declared_numbers

    def of_answers(self, answers: type[Any], route: str) -> "Reading":
        """Return this reading with the kinds that follow from the types of `answers`.

        Raises ReadingError if the model class `answers` has no field for a path.
        """
        self._check(answers, route)
        found = {
            name: kind
            for name, get in self.outputs.items()
            if name not in self.threshold_of and (kind := kind_of_type(answers, get)) is not None
        }
        if not found:
            return self
        return replace(
            self,
            outputs={name: get for name, get in self.outputs.items() if name not in found},
            kinds={**self.kinds, **found},
            _readers={**self._readers, **{name: each.reader(name) for name, each in found.items()}},
        )

    def _check(self, answers: type[Any], route: str) -> None:
        known = getattr(answers, "model_fields", {})
        if not known or "root" in known:
            return
        for word, path in self.paths():
            first = path.split(".")[0]
            if first not in known and not hasattr(answers, first):
                raise ReadingError(
                    f"{word} {path!r} is not in an answer of {route}, which has {', '.join(known)}"
                )

    def paths(self) -> Iterator[tuple[str, str]]:
        """Yield argument and path of each value that is read from answers by a path."""
        for word, extracts in (("score", self.outputs), ("threshold", self.threshold_of)):
            for get in extracts.values():
                if path := getattr(get, "path", ""):
                    yield word, path
        for kind in self.kinds.values():
            for word, extract in kind.extracts.items():
                if isinstance(extract, str):
                    yield word, extract

    def scores(self, answer: Any) -> dict[str, float]:
        """Return the score of each output.

        Raises AnswerUnreadableError if an output is absent or not a number, and
        NonFiniteScoreError if it is NaN or infinite.
        """
        return {name: _number(name, extract, answer) for name, extract in self.outputs.items()}

    def thresholds(self, answer: Any) -> dict[str, float]:
        """Return the threshold of each output that has one; raises as `scores` does."""
        return {name: _number(name, extract, answer) for name, extract in self.threshold_of.items()}

    def decisions(
        self, scores: Mapping[str, float], thresholds: Mapping[str, float]
    ) -> dict[str, bool]:
        """Return, for each output with a threshold, whether its score is an alarm."""
        return {
            name: (scores[name] >= limit) is not (name in self.alarms_below)
            for name, limit in thresholds.items()
        }

    def values(self, answer: Any) -> dict[str, Mapping[str, Value]]:
        """Return the values of each output that is not a number; raises as `scores` does."""
        return {name: read(answer) for name, read in self._readers.items()}

    def segments(self, inputs: Any) -> dict[str, str]:
        """Return the segments of an input as strings; unreadable ones are left out."""
        found = ((name, _try(name, get, inputs, _text)) for name, get in self.segment_of.items())
        return {name: text for name, text in found if text is not None}

    def features(self, inputs: Any) -> dict[str, float]:
        """Return the features of an input as floats; all but finite numbers are left out."""
        found = ((name, _try(name, get, inputs, float)) for name, get in self.feature_of.items())
        return {name: value for name, value in found if value is not None and math.isfinite(value)}


def _thresholds(
    threshold: ThresholdSpec, outputs: Mapping[str, Any], numbers: Collection[str] = ()
) -> dict[str, Callable[[Any], Any]]:
    if threshold is None:
        return {}
    if not isinstance(threshold, Mapping):
        scores = [name for name in outputs if name not in numbers]
        return {name: _threshold(threshold, "threshold") for name in scores}
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
