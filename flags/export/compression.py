"""Files compressed by Zstandard or gzip, in parts, each with a checksum that the reader checks."""

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
"""File name suffix by compression."""

PART_BYTES: Final = 2**20
"""Bytes that are compressed as one part with one checksum: the most that a damaged byte costs."""

_READ_BYTES: Final = 2**16
_UNPACKED_BYTES: Final = 2**20
"""Bytes that are read, and bytes that are unpacked, at a time."""
_MAX_UNCHECKED_BYTES: Final = 2**24
"""Other programs write larger parts than we do. Up to this size, a part is held in memory until its
checksum has been checked; a larger part is given out before."""
_ZSTD: Final[dict[int, int]] = {
    zstd.CompressionParameter.compression_level: 3,
    zstd.CompressionParameter.checksum_flag: 1,
}
_GZIP_LEVEL: Final = 6
_GZIP: Final = 31
"""zlib's `wbits` for a gzip header and the largest window."""


class DamagedFileError(Exception):
    """A compressed file is cut off, or its content does not match its checksum."""


def compression_of(path: Path) -> str | None:
    """Return the compression of a file by its suffix; None if it is not compressed."""
    return next((name for name, end in SUFFIXES.items() if path.name.endswith(end)), None)


def plain_path(path: Path) -> Path:
    """Return the path that a file had before it was compressed."""
    compression = compression_of(path)
    return path.with_name(path.name.removesuffix(SUFFIXES[compression])) if compression else path


def compressed_paths(path: Path) -> list[Path]:
    """Return the paths that a file may get when it is compressed."""
    return [path.with_name(path.name + suffix) for suffix in SUFFIXES.values()]


def compressed(part: bytes, compression: str) -> bytes:
    """Compress one part of a file. Compressed parts, concatenated, are a valid compressed file."""
    if compression == "gzip":
        packer = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP)
        return packer.compress(part) + packer.flush()
    return zstd.compress(part, options=_ZSTD)


class CheckedFile(io.RawIOBase):
    """The unpacked content of a compressed file, given out part by part after the checksum check.

    Reading raises DamagedFileError at a damaged part, after all parts before it were given out. If
    the file is cut off, the incomplete last part is given out before the error.
    """

    def __init__(self, file: IO[bytes], compression: str) -> None:
        self._file = file
        self._parts = _parts(file, compression)
        self._unread = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into `buffer` and return the number of bytes read, 0 at the end."""
        while not self._unread:
            part = next(self._parts, None)
            if part is None:
                return 0
            self._unread = memoryview(part)
        size = min(len(buffer), len(self._unread))
        buffer[:size] = self._unread[:size]
        self._unread = self._unread[size:]
        return size

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        """Skip forward to `position` by unpacking up to there, from the beginning of the file."""
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("seeks from the beginning only")
        left, buffer = position, memoryview(bytearray(_UNPACKED_BYTES))
        while left and (size := self.readinto(buffer[: min(left, _UNPACKED_BYTES)])):
            left -= size
        return position - left

    def close(self) -> None:
        """Close this file and the compressed one."""
        self._file.close()
        super().close()


class _Unpacker(Protocol):
    """A decompressor of one part, with the interface of Python's decompressors."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gunzip:
    """zlib's decompressor with the interface of the decompressors of Python's other modules."""

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
    """Yield the unpacked parts, each after its checksum was checked; a very large one in pieces."""
    data = file.read(_READ_BYTES)
    while data:
        unpacker: _Unpacker = _Gunzip() if compression == "gzip" else zstd.ZstdDecompressor()
        pieces: list[bytes] = []
        while not unpacker.eof:
            if unpacker.needs_input and not data:
                data = file.read(_READ_BYTES)
                if not data:
                    yield b"".join(pieces)
                    raise DamagedFileError("it is cut off")
            try:
                pieces.append(unpacker.decompress(data, _UNPACKED_BYTES))
            except (zstd.ZstdError, zlib.error) as error:
                raise DamagedFileError(str(error)) from error
            data = b""
            if sum(map(len, pieces)) > _MAX_UNCHECKED_BYTES:
                yield b"".join(pieces)
                pieces = []
        yield b"".join(pieces)
        data = unpacker.unused_data or file.read(_READ_BYTES)
