import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.cli.conftest import Run


def test_describe_keeps_the_contract(run: Run, checkpoint: Path) -> None:
    document = json.loads(run("describe", checkpoint, "--json").out)
    assert document["source"] == "small.safetensors"
    first = next(row for row in document["tensors"] if row["name"] == "conv.weight")
    assert first["shape"] == [16, 8, 3, 3] and first["dtype"] == "float32" and first["n_bytes"] == 16 * 8 * 9 * 4


def test_describe_lists_tensors_that_give_no_matrix(run: Run, tmp_path: Path) -> None:
    save_file({"w.weight": np.ones((4, 3), np.float32), "steps": np.arange(6).reshape(2, 3)}, tmp_path / "with_integers.safetensors")
    rows = {row["name"]: row for row in json.loads(run("describe", tmp_path / "with_integers.safetensors", "--json").out)["tensors"]}
    assert rows["steps"]["shape"] == [2, 3] and rows["steps"]["dtype"] == "int64" and rows["steps"]["n_bytes"] == 48
    assert rows["steps"]["n_matrices"] == 0 and "integer" in rows["steps"]["reason"] and rows["w.weight"]["reason"] is None
    shown = run("describe", tmp_path / "with_integers.safetensors").out
    assert "int64" in shown and "2 tensors, 18 elements, 96 B" in shown


def test_compare_pairs_layers_and_lists_the_rest(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    from safetensors.numpy import load_file

    tensors = load_file(checkpoint)
    moved = {name: array for name, array in tensors.items() if name != "conv.weight"}
    moved["fc2.weight"] = tensors["fc2.weight"] * 2
    moved["extra.weight"] = rng.standard_normal((20, 20)).astype(np.float32)
    save_file(moved, tmp_path / "moved.safetensors")
    done = run("compare", checkpoint, tmp_path / "moved.safetensors", "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    rows = {row["layer"]: row for row in document["matrices"]}
    assert rows["fc2.weight"]["relative_change"]["values"] == pytest.approx([0.0, 1.0])
    assert rows["fc2.weight"]["log_spectral_norm"]["change"] == pytest.approx(2 * np.log10(2))
    assert rows["fc2.weight"]["alpha"]["change"] == pytest.approx(0, abs=1e-9)
    assert rows["fc1.weight"]["relative_change"]["change"] == 0
    assert rows["fc1.weight"]["subspace_overlap"]["values"][1] == pytest.approx(1)
    assert {entry["layer"] for entry in document["unmatched"]} == {"conv.weight", "extra.weight"}
    assert run("compare", checkpoint).code == 2


def test_compare_with_scores_ranks(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    lines = ["model,test_error"]
    for index in range(8):
        save_file({"w.weight": (rng.standard_normal((60, 40)) * 1.3**index).astype(np.float32)}, tmp_path / f"m{index}.safetensors")
        lines.append(f"m{index},{index / 10}")
    (tmp_path / "scores.csv").write_text("\n".join(lines))
    done = run("compare", *sorted(tmp_path.glob("*.safetensors")), "--scores", tmp_path / "scores.csv", "--json")
    assert done.code == 0, done.err
    ranking = {row["measure"]: row for row in json.loads(done.out)["summary"]["ranking"]}
    assert ranking["log_spectral_norm"]["kendall"] == pytest.approx(1.0)
    assert ranking["log_spectral_norm"]["p_value"] < 0.01
    assert run("compare", *sorted(tmp_path.glob("*.safetensors")), "--scores", tmp_path / "scores.csv").code == 0


def test_explain(run: Run) -> None:
    done = run("explain", "alpha")
    assert done.code == 0
    for word in ("Formula", "Clauset", "plan", "matrix -> spectrum"):
        assert word in done.out
    assert run("explain", "alhpa").code == 2 and "alpha" in run("explain", "alhpa").err
    assert json.loads(run("explain", "alpha", "--json").out)["name"] == "alpha"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(run: Run, shell: str) -> None:
    done = run("completion", shell)
    assert done.code == 0 and "_GENSCOPE_COMPLETE" in done.out


def test_every_command_has_help(run: Run) -> None:
    from genscope.cli.main import cli

    for name, command in cli.commands.items():
        assert (command.help and command.short_help is not None) or command.get_short_help_str(), name
        for parameter in command.params:
            assert getattr(parameter, "help", "argument") != "", f"{name} {parameter.name}"


@pytest.mark.parametrize("option", ["--csv", "--html", "--parquet"])
def test_a_result_is_not_written_over_its_checkpoint(run: Run, checkpoint: Path, option: str) -> None:
    before = checkpoint.read_bytes()
    done = run("analyze", checkpoint, option, checkpoint, "--resamples", "0")
    assert done.code == 2 and "the input itself" in done.err
    assert checkpoint.read_bytes() == before
