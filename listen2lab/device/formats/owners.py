"""Whose memory a category is, by the name that a tool gives it."""

from __future__ import annotations

import re

__all__ = ["FREED", "LAB_OWNERS", "OWNERS", "REST", "owner_of"]

FREED = "heap, freed and kept"
"""What was freed, and malloc keeps dirty: a sign of a high-water mark, and of no leak."""

_RULES = (
    ("measuring tools", r"performance tool data|stack logging|malloc_stack"),
    ("GPU buffers", r"ioaccelerator|iogpu|metal"),
    ("graphics and UI", (r"graphics|iosurface|\bcg |^core(animation|ui|image)"
      r"|coregraphics|colorsync|image ?io|gfx|egl|\bgl mtrack|layer|__glslbuiltins|^view")),
    ("stacks", r"^stack|\bstack( guard)?$|thread"),
    (FREED, r"malloc.*\(empty\)"),
    ("heap, large blocks", r"malloc[_ ](large|huge)"),
    ("heap, small blocks", r"malloc|native heap|^\[heap\]|scudo|^native$"),
    ("Java heap", r"dalvik heap|java heap|^dalvik$|dalvik-(main|large|zygote|non moving|free)"),
    ("VM allocate", r"^anonymous|^\[anon|vm_allocate|memory tag|app-specific tag|untagged"),
    ("code", r"^__|dyld|shlib|\.(so|jar|apk|ttf|dex|oat|art|vdex) mmap|^code$|\.so(\.\d+)*$"),
    ("mapped files", r"mapped file|mmap|ashmem|\.(onnx|ort|tflite|gguf|bin|dat|db)$"),
)  # fmt: skip

LAB_OWNERS = (
    "heap, large blocks", "heap, small blocks", FREED, "VM allocate", "mapped files", "stacks",
)  # fmt: skip
"""Owners whose memory the lab's pipeline has too: its engine, models, audio and alignments."""

OWNERS = (
    *LAB_OWNERS[:-1], "Java heap", "GPU buffers", "graphics and UI", "stacks", "code",
    "measuring tools", "frameworks and others",
)  # fmt: skip
"""Owners, in the order in which they are shown."""

REST = "not in any category"
"""What a footprint holds beyond all of its categories."""

_PATTERNS = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _RULES)


def owner_of(category: str) -> str:
    """Return the owner of a category, by its name.

    Parameters
    ----------
    category
        As a tool prints it: ``MALLOC_LARGE (empty)``, ``__DATA_CONST``, ``EGL mtrack``.

    Returns
    -------
    str
        One of `OWNERS`; what no rule knows is ``frameworks and others``.
    """
    for name, pattern in _PATTERNS:
        if pattern.search(category):
            return name
    return OWNERS[-1]
