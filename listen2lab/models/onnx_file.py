"""What an ONNX file says about itself, by the onnx package: in the parent, before a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from listen2lab.errors import VoiceError
from listen2lab.models.voices import LFS_POINTER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["ModelFacts", "metadata_entries", "read_model"]

# A protobuf message, which an ONNX file is, cannot be longer.
_MAX_MODEL_BYTES = 2**31 - 1


class ModelFacts(NamedTuple):
    """What an ONNX file says about itself."""

    metadata: dict[str, str]
    inputs: tuple[str, ...]
    n_bytes: int


def read_model(path: Path) -> ModelFacts:
    """Read a model's metadata and the names of its inputs; weights elsewhere are not looked for."""
    import onnx  # 30 MiB and half a second, which only a check need pay
    from google.protobuf.message import DecodeError

    try:
        size = path.stat().st_size
        if size == 0:
            raise VoiceError(f"{path} is empty (0 bytes); copy or fetch the model again")
        if size > _MAX_MODEL_BYTES:
            raise VoiceError(f"{path} has {size:,} bytes, and no ONNX model is over 2 GiB")
        with path.open("rb") as stream:
            if stream.read(len(LFS_POINTER)) == LFS_POINTER:
                raise VoiceError(
                    f"{path} is a Git LFS pointer and not the model itself; "
                    "run `git lfs pull` where it came from, or download the file"
                )
            stream.seek(0)
            model = onnx.load(stream, format="protobuf", load_external_data=False)
    except DecodeError as error:
        raise _no_model(path, size, "it is no protobuf message, or ends inside one") from error
    except OSError as error:
        raise VoiceError(f"the model {path} cannot be read: {error.strerror or error}") from error
    opset = any(each.version for each in model.opset_import if each.domain in ("", "ai.onnx"))
    if not (model.ir_version and model.HasField("graph") and opset):
        raise _no_model(path, size, "it has no version, operator set or graph")
    return ModelFacts(
        metadata={_string(each.key): _string(each.value) for each in model.metadata_props},
        inputs=tuple(_string(each.name) for each in model.graph.input),
        n_bytes=size,
    )


def metadata_entries(metadata: Mapping[str, str]) -> bytes:
    """Encode metadata so that, appended to an ONNX file, it belongs to the model.

    Protobuf concatenates repeated fields, and ``metadata_props`` is one: no rewriting is needed.
    """
    import onnx

    model = onnx.ModelProto()
    onnx.helper.set_model_props(model, dict(metadata))
    return bytes(model.SerializeToString())


def _no_model(path: Path, size: int, why: str) -> VoiceError:
    return VoiceError(
        f"{path.name} is not a whole ONNX model ({why}; the file has {size:,} bytes). "
        "It was not loaded: copy or fetch it again"
    )


def _string(value: str | bytes) -> str:
    """Protobuf hands out bytes where a string is not UTF-8."""
    return value if isinstance(value, str) else value.decode("utf-8", "replace")
