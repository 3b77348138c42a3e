"""Fetches files of a repository on the model hub; a program of its own (see `hub_files`).

`python -m separation.weights.hub_client REPOSITORY REVISION FOLDER NAME...`; HF_TOKEN is the key.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

# What it says of a repository whose terms were not accepted.
REFUSED = "stemwright: access refused"


def main(repository: str, revision: str, folder: str, names: Sequence[str]) -> int:
    """Fetch the files; return the exit status."""
    try:
        for name in names:
            hf_hub_download(repository, name, revision=revision or None, local_dir=folder)
    except (GatedRepoError, RepositoryNotFoundError):  # the latter where there is no token
        sys.stderr.write(REFUSED + "\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]))
