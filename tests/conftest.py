"""Shared fixtures: where the real data lives, one BLAS thread, and a runner for the command line."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


def data_folder() -> Path | None:
    """The folder of real checkpoints: ``GENSCOPE_DATA``, or ``../shared/data`` beside the repository."""
    named = os.environ.get("GENSCOPE_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real checkpoints and tables, or a skip that says what to set."""
    folder = data_folder()
    if folder is None:
        pytest.skip("real checkpoints not found: set GENSCOPE_DATA to their folder")
    return folder
