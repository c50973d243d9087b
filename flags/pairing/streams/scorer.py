"""A scorer of one side of an API whose answers are streams."""

from dataclasses import replace

from flags.errors import AnswerUnreadableError
from flags.pairing.assignment import Side
from flags.pairing.call import Call, CallResult
from flags.pairing.observation import Observation, Status
from flags.pairing.reading import Reading
from flags.pairing.scorer import Scored, Scorer, Tag
from flags.pairing.side_threads import SideThreads
from flags.pairing.streams.digest import StreamDigest
from flags.pairing.streams.items import StreamModel, item_source
from flags.pairing.streams.side_stream import Encode, SideStream, encode_item


class StreamScorer(Scorer):
    """Score one side of an API whose answers are streams.

    A score is read from all items of a stream that reached its end: texts and bytes joined,
    anything else as a list.
    """

    def __init__(
        self,
        side: Side,
        model: StreamModel,
        reading: Reading,
        *,
        tag: Tag = None,
        threads: SideThreads | None = None,
        encode: Encode = encode_item,
        unreadable_is_error: bool = True,
    ) -> None:
        """Score `model` as `side`; `encode` returns the content to send for an item."""
        super().__init__(
            side,
            model,
            reading,
            tag=tag,
            threads=threads,
            unreadable_is_error=unreadable_is_error,
        )
        self._encode = encode

    def open(self, call: Call | Exception) -> SideStream:
        """Return the stream of `call`, not begun; an exception in its place is the side's error."""
        digest = StreamDigest(keep=self._reading.reads_answers)
        arguments = call if isinstance(call, Call) else Call()
        source = item_source(self._model, arguments, self._threads)
        stream = SideStream(self.side, source, digest, self._encode)
        if isinstance(call, Exception):
            stream.fail(Status.ERROR, call)
        return stream

    def at_first_item(self, stream: SideStream) -> Scored:
        """Return the result of a stream when its first item is available, or its begin failed."""
        if stream.status is not Status.OK and stream.error is not None:
            return self.failed(stream.status, stream.error, stream.seconds)
        return Scored(Observation(Status.OK, model=self.tag), stream)

    async def end(self, stream: SideStream) -> Scored:
        """Stop the model of `stream`, from which no more items are taken; return the result."""
        await stream.close()
        scored = self._read_whole(stream)
        content = stream.digest.content(first_item=stream.first_item, complete=stream.complete)
        if not stream.complete and not content.items:
            return scored
        return replace(scored, observation=replace(scored.observation, content=content))

    def _read_whole(self, stream: SideStream) -> Scored:
        if stream.status is not Status.OK:
            return self.failed(stream.status, stream.error or RuntimeError(), stream.seconds)
        error: Exception | BaseException | None = stream.error
        if error is None:
            try:
                answer = stream.digest.answer() if self._reading.reads_answers else None
            except AnswerUnreadableError as too_long:
                error = too_long
            else:
                return self._observed(CallResult(answer, None, stream.seconds), {})
        return Scored(
            Observation(
                Status.OK, duration=stream.seconds, model=self.tag, error=type(error).__name__
            )
        )
