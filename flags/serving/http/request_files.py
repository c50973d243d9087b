"""The files of a request, kept until both sides are done with them."""

import asyncio
import logging
import shutil
import tempfile
from pathlib import Path, PurePath
from typing import Any

import pydantic
from starlette.requests import Request

from flags.pairing.call import Call
from flags.pairing.images import in_memory, with_changed_fields
from flags.serving.bentoml_private import request_tempdir_pool

logger = logging.getLogger(__name__)


class RequestFiles:
    """The files of one request: uploads, and files in the `temp_dir` of the sides' contexts.

    BentoML removes them once the answer was sent, when the shadow may not even have begun. Here
    they stay until the answer was sent and the pair is recorded: `release` is called after each.
    """

    def __init__(self, request: Request) -> None:
        """Take the folder of the uploads over from BentoML, if there is one."""
        self._uploads: str | None = getattr(request.state, "temp_dir", None)
        if self._uploads is not None:
            del request.state.temp_dir
        self._folders: list[str] = []
        self._releases = 0

    def new_folder(self) -> str:
        """Return a new folder, which is removed with the request's files."""
        folder = tempfile.mkdtemp(prefix="bentoml-flags-request-")
        self._folders.append(folder)
        return folder

    def with_images(self, call: Call) -> Call:
        """Return `call` with images that are in memory: BentoML closes uploads after the answer."""
        return Call(
            tuple(in_memory(value) for value in call.args),
            {name: in_memory(value) for name, value in call.kwargs.items()},
        )

    def with_copies(self, call: Call) -> Call:
        """Return `call` with copies of its files, under the same names; raises OSError."""
        return Call(
            tuple(self._copy(value) for value in call.args),
            {name: self._copy(value) for name, value in call.kwargs.items()},
        )

    def release(self) -> None:
        """Remove the files at the second call."""
        self._releases += 1
        if self._releases == 2 and (self._uploads or self._folders):
            asyncio.get_running_loop().run_in_executor(None, self._remove)

    def _copy(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._copy(each) for each in value]
        if isinstance(value, pydantic.BaseModel):
            return with_changed_fields(value, self._copy)
        if not isinstance(value, PurePath):
            return value
        return Path(shutil.copy2(value, Path(self.new_folder()) / value.name))

    def _remove(self) -> None:
        try:
            if self._uploads is not None:
                request_tempdir_pool.release(self._uploads)
        except OSError:
            logger.exception("the files of a request could not be removed")
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)
