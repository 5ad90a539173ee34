"""What an ONNX file says about itself, read without the onnx package and without its weights.

An ONNX file is one protobuf message, ``ModelProto``: fields of (tag, value), where a value that
has a length can be passed over by it. The walk touches the metadata, the graph's input names and
the lengths of everything else, and must arrive exactly at the end of the file: a truncated model
does not. Field numbers and wire types are those of ``onnx.proto`` and of protobuf's encoding.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from listen2lab.errors import VoiceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import BinaryIO

__all__ = ["ModelFacts", "metadata_entries", "read_model"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# ModelProto
_IR_VERSION, _GRAPH, _OPSET_IMPORT, _METADATA_PROPS = 1, 7, 8, 14
# OperatorSetIdProto, GraphProto, ValueInfoProto, StringStringEntryProto
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_GRAPH_INPUT, _GRAPH_OUTPUT = 11, 12
_VALUE_NAME = 1
_ENTRY_KEY, _ENTRY_VALUE = 1, 2

# The largest voices have some 10,000 nodes and weights; random bytes would go on for minutes.
_MAX_FIELDS = 500_000
# Metadata of real voices is under 1 KiB; some hold a lexicon.
_MAX_TEXT_BYTES = 2**24
_LFS_POINTER = b"version https://git-lfs"


class ModelFacts(NamedTuple):
    """What was found on the way through a model."""

    ir_version: int
    opset: int
    """Version of the standard operators."""
    metadata: dict[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class _DamageError(Exception):
    """The bytes are not what protobuf allows here."""


def read_model(path: str) -> ModelFacts:
    """Read a model's metadata and the names of its inputs and outputs.

    Parameters
    ----------
    path
        An ``.onnx`` file.

    Returns
    -------
    ModelFacts
        Its facts.

    Raises
    ------
    VoiceError
        The file cannot be read, is empty, a Git LFS pointer, truncated, or no ONNX model.
    """
    name = os.path.basename(path)  # noqa: PTH119 - pathlib would cost a worker 1 MiB
    try:
        with open(path, "rb") as stream:  # noqa: PTH123
            size = os.fstat(stream.fileno()).st_size
            if size == 0:
                raise VoiceError(f"{path} is empty (0 bytes); copy or fetch the model again")
            if stream.read(len(_LFS_POINTER)) == _LFS_POINTER:
                raise VoiceError(
                    f"{path} is a Git LFS pointer and not the model itself; "
                    "run `git lfs pull` where it came from, or download the file"
                )
            stream.seek(0)
            return _Walk(stream).model(size)
    except _DamageError as error:
        raise VoiceError(
            f"{name} is not a whole ONNX model ({error}; the file has {size:,} bytes). "
            "It was not loaded: copy or fetch it again"
        ) from error
    except OSError as error:
        raise VoiceError(f"the model {path} cannot be read: {error.strerror or error}") from error


def metadata_entries(metadata: Mapping[str, str]) -> bytes:
    """Encode metadata so that, appended to an ONNX file, it belongs to the model.

    Protobuf concatenates repeated fields, and ``metadata_props`` is one: no rewriting is needed.

    Parameters
    ----------
    metadata
        Keys and values to add.

    Returns
    -------
    bytes
        The encoded entries.
    """
    parts = []
    for key, value in metadata.items():
        entry = _text_field(_ENTRY_KEY, key) + _text_field(_ENTRY_VALUE, value)
        parts.append(_varint(_METADATA_PROPS << 3 | _BYTES) + _varint(len(entry)) + entry)
    return b"".join(parts)


def _text_field(number: int, text: str) -> bytes:
    encoded = text.encode("utf-8", "replace")
    return _varint(number << 3 | _BYTES) + _varint(len(encoded)) + encoded


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class _Walk:
    """One pass over a stream that is at the start of a message."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._at = 0
        self._fields = 0

    def model(self, size: int) -> ModelFacts:
        ir_version = opset = 0
        has_graph = False
        metadata: dict[str, str] = {}
        inputs: list[str] = []
        outputs: list[str] = []
        for number, wire, value in self._message(size):
            if (number, wire) == (_IR_VERSION, _VARINT):
                ir_version = value
            elif (number, wire) == (_GRAPH, _BYTES):
                has_graph = True
                self._graph(self._at + value, inputs, outputs)
            elif (number, wire) == (_OPSET_IMPORT, _BYTES):
                opset = self._opset(self._at + value) or opset
            elif (number, wire) == (_METADATA_PROPS, _BYTES):
                texts = self._texts(self._at + value, _ENTRY_KEY, _ENTRY_VALUE)
                metadata[texts.get(_ENTRY_KEY, "")] = texts.get(_ENTRY_VALUE, "")
            elif wire == _BYTES:
                self._skip(value)
        if not ir_version or not has_graph or not opset:
            raise _DamageError("it has no version, operator set or graph")
        return ModelFacts(ir_version, opset, metadata, tuple(inputs), tuple(outputs))

    def _graph(self, end: int, inputs: list[str], outputs: list[str]) -> None:
        for number, wire, value in self._message(end):
            if wire == _BYTES and number in (_GRAPH_INPUT, _GRAPH_OUTPUT):
                name = self._texts(self._at + value, _VALUE_NAME).get(_VALUE_NAME, "")
                (inputs if number == _GRAPH_INPUT else outputs).append(name)
            elif wire == _BYTES:
                self._skip(value)

    def _opset(self, end: int) -> int:
        """Return the version if the set is the standard one, else 0."""
        version, domain = 0, ""
        for number, wire, value in self._message(end):
            if (number, wire) == (_OPSET_VERSION, _VARINT):
                version = value
            elif (number, wire) == (_OPSET_DOMAIN, _BYTES):
                domain = self._text(value)
            elif wire == _BYTES:
                self._skip(value)
        return version if domain in ("", "ai.onnx") else 0

    def _texts(self, end: int, *wanted: int) -> dict[int, str]:
        """Return the text in the wanted fields of a small message."""
        texts: dict[int, str] = {}
        for number, wire, value in self._message(end):
            if wire == _BYTES and number in wanted:
                texts[number] = self._text(value)
            elif wire == _BYTES:
                self._skip(value)
        return texts

    def _message(self, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield (field number, wire type, value or length) up to `end`, which must be hit."""
        while self._at < end:
            self._fields += 1
            if self._fields > _MAX_FIELDS:
                raise _DamageError(f"it has more than {_MAX_FIELDS:,} fields")
            tag = self._read_varint()
            number, wire = tag >> 3, tag & 7
            if number == 0 or wire not in (_VARINT, _FIXED64, _BYTES, _FIXED32):
                raise _DamageError(f"no field can begin with {tag} at byte {self._at:,}")
            if wire == _VARINT:
                yield number, wire, self._read_varint()
            elif wire == _BYTES:
                length = self._read_varint()
                if self._at + length > end:
                    raise _DamageError(
                        f"it ends inside field {number}, which needs {length:,} bytes "
                        f"from byte {self._at:,}"
                    )
                yield number, wire, length
            else:
                self._skip(8 if wire == _FIXED64 else 4)
                yield number, wire, 0
        if self._at != end:
            raise _DamageError(f"a field runs past byte {end:,}")

    def _read_varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._stream.read(1)
            if not byte:
                raise _DamageError(f"it ends at byte {self._at:,} inside a number")
            self._at += 1
            value |= (byte[0] & 0x7F) << shift
            if byte[0] < 0x80:
                return value
        raise _DamageError(f"the number before byte {self._at:,} is too long")

    def _skip(self, length: int) -> None:
        self._at += length
        self._stream.seek(self._at)

    def _text(self, length: int) -> str:
        if length > _MAX_TEXT_BYTES:
            raise _DamageError(f"a text of {length:,} bytes at byte {self._at:,}")
        data = self._stream.read(length)
        self._at += len(data)
        if len(data) < length:
            raise _DamageError(f"it ends at byte {self._at:,} inside a text")
        return data.decode("utf-8", "replace")
