"""Who may see a string: each field of a record says it by its type, and redaction goes by that.

A string that is stored or handed on is one of these types, never a bare ``str``; a test fails for
a field that is. `listen2lab.study.redact` applies the rules before anything is written for others.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

__all__ = [
    "ComponentName", "ConditionName", "ExperimentName", "Fact", "FunctionName", "MachineLabel",
    "ModelName", "Private", "Public", "RunKey", "Sentence", "SourceFile", "TextName", "VersionText",
    "WorkloadName",
]  # fmt: skip

Public: TypeAlias = Annotated[str, msgspec.Meta(extra={"share": "public"})]
"""A code, a hash, a date, or a word that the lab itself has given: it leaves as it is."""

Private: TypeAlias = Annotated[str, msgspec.Meta(extra={"share": "private"})]
"""What somebody else wrote, or where their files lie: left out whole."""

Fact: TypeAlias = Annotated[str, msgspec.Meta(extra={"share": "fact"})]
"""What a machine says of itself: kept where it has the shape of such a fact and names nobody."""

VersionText: TypeAlias = Annotated[str, msgspec.Meta(extra={"share": "version"})]
"""A version: kept where it is one; what follows a ``+`` names somebody's build."""

ExperimentName: TypeAlias = Annotated[str, msgspec.Meta(extra={"share": "experiment"})]
"""Kept where it is plain, else numbered, as all names below."""

ConditionName: TypeAlias = Annotated[str, msgspec.Meta(extra={"share": "condition"})]
"""A condition's name."""

ComponentName: TypeAlias = Annotated[str, msgspec.Meta(extra={"share": "component"})]
"""The name of what a workload holds."""

MachineLabel: TypeAlias = Annotated[str, msgspec.Meta(extra={"share": "machine"})]
"""``machine-1`` is the lab's own; any other label is numbered."""

RunKey: TypeAlias = Annotated[str, msgspec.Meta(extra={"share": "run"})]
"""``experiment/condition/repeat``: shared by its parts."""

FunctionName: TypeAlias = Annotated[str, msgspec.Meta(extra={"share": "function"})]
"""A function of C, C++ or Python; one of another shape is left out."""

SourceFile: TypeAlias = Annotated[str, msgspec.Meta(extra={"share": "source"})]
"""A file of code: one of an installed package by its path there, any other left out."""

ModelName: TypeAlias = Annotated[str, msgspec.Meta(extra={"share": "model"})]
"""A voice or recognizer: named if it is generated or published; a folder is left out."""

TextName: TypeAlias = Annotated[str, msgspec.Meta(extra={"share": "text"})]
"""A book: named if it is the lab's own, else numbered."""

WorkloadName: TypeAlias = Annotated[str, msgspec.Meta(extra={"share": "workload"})]
"""A workload's file: its name without folders where it is plain."""

Sentence: TypeAlias = Annotated[str, msgspec.Meta(extra={"share": "sentence"})]
"""A question or prediction: kept if it is the lab's own."""
