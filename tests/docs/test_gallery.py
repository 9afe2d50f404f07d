"""The gallery says what the committed store of runs says, and shows every figure in both themes."""

import importlib.util
import re
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from genscope.core.results import Result
from genscope.experiments.registry import experiments

REPOSITORY = Path(__file__).parents[2]
GALLERY = REPOSITORY / "docs" / "gallery"


@pytest.fixture(scope="module")
def gallery() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gallery", REPOSITORY / "docs" / "gallery.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def found(gallery: ModuleType) -> dict[str, Result]:
    return gallery.results(gallery.STORE, figure=False)


def test_pages_are_what_the_store_says(gallery: ModuleType, found: dict[str, Result]) -> None:
    shown = dict(found)
    for name, experiment in experiments().items():
        if (GALLERY / "images" / f"{name}_light.png").is_file():
            shown[name].curves["figure"] = {}  # type: ignore[index]
            assert experiment.draw is not None
    for name, text in gallery.pages(shown).items():
        assert (GALLERY / name).read_text(encoding="utf-8") == text, "run: python docs/gallery.py"


def test_the_readme_counts_what_the_gallery_counts(gallery: ModuleType, found: dict[str, Result]) -> None:
    readme = gallery.README.read_text(encoding="utf-8")
    assert gallery.with_words(readme, gallery.readme_words(found)) == readme, "run: python docs/gallery.py"


def test_every_picture_has_two_themes_and_is_shown() -> None:
    pages = "\n".join(page.read_text(encoding="utf-8") for page in GALLERY.glob("*.md"))
    shown = set(re.findall(r"\(images/([^)#]+)#only-(?:light|dark)\)", pages))
    assert shown == {path.name for path in (GALLERY / "images").glob("*.png")}
    assert Counter(name.rsplit("_", 1)[0] for name in shown).most_common()[-1][1] == 2


def test_every_decided_claim_has_its_figure_drawn(found: dict[str, Result]) -> None:
    for name, result in found.items():
        drawn = (GALLERY / "images" / f"{name}_light.png").is_file()
        assert drawn or experiments()[name].draw is None or result.rows == [], name


def test_gallery_and_store_stay_small() -> None:
    for folder, most in ((GALLERY, 5_000_000), (REPOSITORY / "experiments" / "stores", 8_000_000)):
        assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < most


def test_every_paper_is_told_of_and_every_experiment_has_a_section() -> None:
    pages = {page.stem: page.read_text(encoding="utf-8") for page in GALLERY.glob("*.md")}
    assert len(pages) == 6
    anchors = re.findall(r"\{ #([\w-]+) \}", "\n".join(pages.values()))
    assert sorted(anchors) == sorted(name.lower() for name in experiments())
