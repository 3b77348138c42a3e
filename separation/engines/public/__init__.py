"""Networks that others published weights of, and the way to run them.

An entry's `network` table says which: `architecture`, the checkpoint's `outputs` by the names of
stems here, and the `options` that its authors' configuration gives under `model`.
"""

from separation.engines.backends import REFERENCE, Backend

BACKENDS = (Backend(REFERENCE, frozenset(), f"{__name__}.engine"),)
"""Only PyTorch: none of these comes with this software, and few machines ever load one."""
