"""Which exceptions mean that a storage did not give what was asked for.

fsspec promises OSError; what botocore raises before S3 answers at all (no credentials, no
connection) is none. botocore is not imported here: it is there once an s3:// path is opened.
"""

from __future__ import annotations

import sys


def storage_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions to catch around a read, as of what has been loaded by now."""
    loaded = sys.modules.get("botocore.exceptions")
    return (OSError,) if loaded is None else (OSError, loaded.BotoCoreError)
