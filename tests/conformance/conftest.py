# SPDX-License-Identifier: Apache-2.0
"""Where the corpus of real inputs is. Without it these tests are skipped, and say so."""

import os
from pathlib import Path

import pytest

BESIDE = Path(__file__).resolve().parents[3] / "shared" / "corpus"


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real inputs: STXB_CORPUS, else ``../shared/corpus`` beside the checkout."""
    folder = Path(os.environ.get("STXB_CORPUS", BESIDE))
    if not folder.is_dir():
        pytest.skip(f"the corpus of real inputs is not here: no folder {folder} (STXB_CORPUS names another)")
    return folder
