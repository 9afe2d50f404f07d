"""``genscope rank`` on the command line: a table for people, strict JSON for programs, one sentence for mistakes."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from genscope.cli.rank import command
from genscope.errors import GenscopeError


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "models.csv"
    rows = [f"m{k},{'v' if k < 5 else 'r'},{k % 4},{k},{(k * 7) % 11},{100 - k - k % 3}" for k in range(10)]
    path.write_text("model,family,depth,good,=bad,accuracy\n" + "\n".join(rows) + "\n")
    return path


def run(*arguments: object) -> tuple[str, str]:
    done = CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False, standalone_mode=False)
    return done.stdout, done.stderr


def test_people_read_a_table_and_a_verdict(table: Path) -> None:
    out, err = run(table, "--group", "family", "--bootstrap", 50)
    assert "good" in out and "10 models against accuracy" in out and "baseline" in out
    assert "target column guessed: accuracy" in err and "guessed" not in out


def test_programs_read_json(table: Path) -> None:
    out, _ = run(table, "--target", "accuracy", "--axis", "depth", "--covariate", "depth", "--json", "--bootstrap", 50)
    document = json.loads(out, parse_constant=pytest.fail)
    assert document["n_models"] == 10 and {row["measure"] for row in document["measures"]} == {"good", "=bad", "depth"}
    assert document["measures"][0]["kendall"] < -0.8


def test_files(table: Path, tmp_path: Path) -> None:
    run(table, "--csv", tmp_path / "out.csv", "--out", tmp_path / "saved", "--bootstrap", 50, "-q")
    text = (tmp_path / "out.csv").read_text()
    assert text.startswith("measure,") and "\n'=bad," in text
    assert json.loads((tmp_path / "saved" / "result.json").read_text())["verb"] == "rank"


def test_scores_are_joined_and_the_unmatched_listed(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("model,alpha\n" + "".join(f"m{k},{k}\n" for k in range(6)))
    (tmp_path / "s.csv").write_text("model,error\n" + "".join(f"m{k},{2 * k}\n" for k in range(5)))
    out, err = run(tmp_path / "t.csv", "--scores", tmp_path / "s.csv", "--json", "--bootstrap", 50)
    assert json.loads(out)["measures"][0]["kendall"] == 1.0
    assert "unmatched: m5: no score" in err


def test_mistakes(table: Path, tmp_path: Path) -> None:
    with pytest.raises(GenscopeError, match="did you mean accuracy"):
        run(table, "--target", "acuracy")
    with pytest.raises(GenscopeError, match="could not be read"):
        run(tmp_path / "none.csv")
