"""Files compressed by Zstandard or gzip, in parts that are read as each has been checked."""

import io
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, Protocol

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SUFFIXES: Final = {"zstd": ".zst", "gzip": ".gz"}
"""How the names of files end, by how they are compressed."""

PART_BYTES: Final = 2**20
"""Bytes that are compressed as one part, with a checksum: what damage to it can cost."""

_READ: Final = 2**16
_OUT: Final = 2**20
"""Bytes read, and unpacked, at a time."""
_UNCHECKED: Final = 2**24
"""Bytes of a part, as others write them, that are held until it has been checked."""
_ZSTD: Final[dict[int, int]] = {
    zstd.CompressionParameter.compression_level: 3,
    zstd.CompressionParameter.checksum_flag: 1,
}
_GZIP_LEVEL: Final = 6
_GZIP: Final = 31
"""Of zlib: with a gzip header, and the largest window."""


class DamagedFileError(Exception):
    """Report that a compressed file is cut off, or holds something else than was written."""


def compression_of(path: Path) -> str | None:
    """Return how a file is compressed, by its name; None if it is not."""
    return next((name for name, end in SUFFIXES.items() if path.name.endswith(end)), None)


def plain_path(path: Path) -> Path:
    """Return the name that a file had before it was compressed."""
    compression = compression_of(path)
    return path.with_name(path.name.removesuffix(SUFFIXES[compression])) if compression else path


def compressed_paths(path: Path) -> list[Path]:
    """Return the names that a file may get when it is compressed."""
    return [path.with_name(path.name + suffix) for suffix in SUFFIXES.values()]


def compressed(part: bytes, compression: str) -> bytes:
    """Return a part of a file, compressed: several, one after the other, are a file too."""
    if compression == "gzip":
        packer = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP)
        return packer.compress(part) + packer.flush()
    return zstd.compress(part, options=_ZSTD)


class CheckedFile(io.RawIOBase):
    """A compressed file as it was before, of which only what has been checked is given out.

    Raises DamagedFileError where it is damaged. What lies before has been given out then; of a file
    that is cut off, also what there is of its last part.
    """

    def __init__(self, file: IO[bytes], compression: str) -> None:
        self._file = file
        self._parts = _parts(file, compression)
        self._held = memoryview(b"")

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, or a part of it; return how much, 0 at the end."""
        while not self._held:
            part = next(self._parts, None)
            if part is None:
                return 0
            self._held = memoryview(part)
        size = min(len(buffer), len(self._held))
        buffer[:size] = self._held[:size]
        self._held = self._held[size:]
        return size

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        """Go forward to a position, from the beginning; it is unpacked up to there."""
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("seeks from the beginning only")
        left, buffer = position, memoryview(bytearray(_OUT))
        while left and (size := self.readinto(buffer[: min(left, _OUT)])):
            left -= size
        return position - left

    def close(self) -> None:
        """Close the file below too."""
        self._file.close()
        super().close()


class _Unpacker(Protocol):
    """Unpack one part, as Python's decompressors do."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gunzip:
    """Let zlib look like the decompressors of Python's other modules."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=_GZIP)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data.lstrip(b"\0")  # gzip pads with zeros

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


def _parts(file: IO[bytes], compression: str) -> Iterator[bytes]:
    """Yield what parts hold, each once it has been checked; a very long one in pieces before."""
    data = file.read(_READ)
    while data:
        unpacker: _Unpacker = _Gunzip() if compression == "gzip" else zstd.ZstdDecompressor()
        held: list[bytes] = []
        while not unpacker.eof:
            if unpacker.needs_input and not data:
                data = file.read(_READ)
                if not data:
                    yield b"".join(held)
                    raise DamagedFileError("it is cut off")
            try:
                held.append(unpacker.decompress(data, _OUT))
            except (zstd.ZstdError, zlib.error) as error:
                raise DamagedFileError(str(error)) from error
            data = b""
            if sum(map(len, held)) > _UNCHECKED:
                yield b"".join(held)
                held = []
        yield b"".join(held)
        data = unpacker.unused_data or file.read(_READ)
