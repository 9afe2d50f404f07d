"""The command as a user calls it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from genscope.cli.main import cli
from genscope.errors import UsageError

TINY = ["approximate", "--variables", "2,4", "--units", "1,2,4", "--seeds", "2", "--restarts", "1", "--steps", "3", "--jobs", "1"]


def test_a_table_exponents_and_a_verdict(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, [*TINY, "--html", str(tmp_path / "page.html")], catch_exceptions=False)
    assert done.exit_code == 0
    for word in ("tree_shared", "theorem", "Units for polynomials", "upper bounds of"):
        assert word in done.stdout
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Error against units" in page and "What optimization hides" in page


def test_json_is_one_document_with_the_promised_fields() -> None:
    done = CliRunner().invoke(cli, [*TINY, "--architecture", "shallow", "--json", "-q"], catch_exceptions=False)
    document = json.loads(done.stdout)
    assert document["verb"] == "approximate" and len(document["networks"]) == 6
    assert {"architecture", "variables", "n_units", "n_parameters", "error", "error_low", "error_high", "status", "reason"} <= set(
        document["networks"][0]
    )
    assert {row["architecture"] for row in document["exponents"]} == {"shallow"}
    assert [row["tree"] for row in document["unit_counts"] if row["variables"] == 4] == [18, 30, 45]


@pytest.mark.parametrize("wrong", [["--variables", "two"], ["--variables", "3"], ["--architecture", "ring"]])
def test_wrong_options_are_one_sentence(wrong: list[str]) -> None:
    with pytest.raises(UsageError, match=r"\.$"):
        CliRunner().invoke(cli, ["approximate", *wrong], catch_exceptions=False)
