"""Evidence from phones: an app's log, and what Apple's and Android's tools print of its memory.

`read` takes files of any of these kinds, alone or together, and says what was understood; `answer`
judges it.
"""

from listen2lab.device.answer import Answer, answer
from listen2lab.device.evidence import Evidence, NothingReadError, read
from listen2lab.device.formats.schema import Snapshot, difference

__all__ = ["Answer", "Evidence", "NothingReadError", "Snapshot", "answer", "difference", "read"]
