"""Tables as people have them: clean ones read fully, broken ones refused in one sentence, odd cells counted."""

from pathlib import Path

import numpy as np
import pandas
import pytest

from genscope.errors import GenscopeError, UnsupportedInput, UsageError
from genscope.evaluation.table import read_table


def write(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv(tmp_path: Path, separator: str) -> None:
    text = "model,family,alpha,test_error\na,vgg,2.5,30\nb,vgg,,1e1\nc,res,4,12.5%\n".replace(",", separator)
    table = read_table(write(tmp_path, text))
    assert table.models == ("a", "b", "c")
    assert table.numbers["alpha"][[0, 2]].tolist() == [2.5, 4.0] and np.isnan(table.numbers["alpha"][1])
    assert table.numbers["test_error"].tolist() == [30, 10, 12.5]
    assert table.texts == {"family": ("vgg", "vgg", "res")}
    assert table.labels("test_error") == ("30", "10", "12.5")


def test_frames_parquet_and_mappings_agree(tmp_path: Path) -> None:
    columns = {"model": ["a", "b", "c"], "alpha": [1.0, None, 3.0], "test_error": [3, 2, 1]}
    frame = pandas.DataFrame(columns)
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_csv(tmp_path / "t.csv", index=False)
    tables = [read_table(source) for source in (columns, frame, tmp_path / "t.parquet", str(tmp_path / "t.csv"), frame.set_index("model"))]
    for table in tables:
        assert table.models == ("a", "b", "c")
        assert np.array_equal(table.numbers["alpha"], [1, np.nan, 3], equal_nan=True)
        assert table.numbers["test_error"].tolist() == [3, 2, 1]


def test_odd_cells_are_counted(tmp_path: Path) -> None:
    text = "\ufeffmodel,alpha,test_error\na,2,3\nb,oops,4\nc,-inf,5\nd,NaN,6\ne,=1+1,7\nf,5,8\ng,6,9\n"
    table = read_table(write(tmp_path, text))
    assert np.isnan(table.numbers["alpha"]).tolist() == [False, True, True, True, True, False, False]
    assert "2 cell(s) are not numbers and 1 cell(s) are infinite or beyond 1e150" in " ".join(table.notes)


def test_what_python_takes_for_a_number_but_people_do_not(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, 'model,a,b\nx,1_000,"1,013.5"\ny,2,"1,234"\nz,3,"1,234,567"\n'))
    assert np.isnan(table.numbers["a"][0])
    assert np.array_equal(table.numbers["b"], [1013.5, np.nan, 1234567], equal_nan=True)  # the middle one may be a decimal comma


def test_repeated_models_are_told_apart_by_another_column_or_refused(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "series,model,e\nA,x,1\nB,x,2\nB,y,3\n"))
    assert table.models == ("A/x", "B/x", "B/y") and "told apart by series" in table.notes[0]
    seeds = read_table(write(tmp_path, "model,seed,e\nx,0,1\nx,1,2\ny,0,3\n"))
    assert seeds.models == ("0/x", "1/x", "0/y") and seeds.labels("model") == ("x", "x", "y")
    two = read_table(write(tmp_path, "model,data,seed,e\nx,A,0,1\nx,A,1,2\nx,B,0,3\n"))
    assert two.models == ("A/0/x", "A/1/x", "B/0/x")
    with pytest.raises(GenscopeError, match=r"the model name 'x' appears 2 times in column 'model'"):
        read_table(write(tmp_path, "model,e\nx,1\nx,2\ny,3\n"))


def test_rows_without_names_are_numbered(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "alpha,test_error\n1,2\n3,4\n"))
    assert table.models == ("row 1", "row 2")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "holds no rows"),
        ("model,alpha\n", "holds no rows"),
        ("model,alpha\na,1\nb,2,3\n", "row 3 has 3 cells where the header has 2"),
        ("model,alpha,alpha\na,1,2\n", "two columns are named 'alpha'"),
        ("model,family\na,x\nb,y\n", "no column holds numbers"),
        (b"\xff\xfe\x00a", "not UTF-8"),
        ("model,a\nx,\0\n", "NUL"),
        ('model,a\n"x,1\n', "not a well-formed CSV"),
        ("m" * 50 + ",a\n" + "x" * 1_100_000 + ",1\n", "not a well-formed CSV"),
    ],
)
def test_broken_tables_are_one_sentence(tmp_path: Path, content: str | bytes, sentence: str) -> None:
    with pytest.raises(GenscopeError, match=sentence) as caught:
        read_table(write(tmp_path, content))
    assert str(caught.value).startswith("t.csv: ") and "\n" not in str(caught.value)


def test_other_bad_sources(tmp_path: Path) -> None:
    with pytest.raises(GenscopeError, match="not a readable Parquet"):
        read_table(write(tmp_path, b"PAR1 no", "t.parquet"))
    with pytest.raises(GenscopeError, match=r"gone\.csv: could not be read"):
        read_table(tmp_path / "gone.csv")
    with pytest.raises(UnsupportedInput, match="folder"):
        read_table(tmp_path)
    with pytest.raises(UsageError, match="not int"):
        read_table(3)
    with pytest.raises(GenscopeError, match="different lengths"):
        read_table({"model": ["a"], "x": [1, 2]})
