"""Numbers, sizes, sources and paths as people read them."""

import pytest

from genscope.report.wording import COLUMNS, bytes_of, fact_of, group_of, number_of, source_of, text_of


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (1234567, "1,234,567"),
        (-2.5, "−2.500"),
        (9.99996, "10.00"),
        (0.99999, "1.000"),
        (123456.7, "123,457"),
        (1.5e-7, "1.500×10⁻⁷"),
        (None, "–"),
        (3.0e12, "3.000×10¹²"),
    ],
)
def test_numbers_for_people(value: float | None, shown: str) -> None:
    assert number_of(value) == shown


def test_words_for_people() -> None:
    assert bytes_of(999) == "999 B" and bytes_of(412_345_678) == "412 MB"
    assert source_of("/home/me/model.pt") == "model.pt" and source_of("org/name") == "org/name" and source_of("C:\\x\\m.pt") == "m.pt"
    assert fact_of(["/a/b/c.pt", True, None]) == "c.pt, yes, –"
    assert text_of("/model/conv/Conv.weight") == "/model/conv/Conv.weight"
    assert text_of("could not read /home/me/x.bin now") == "could not read x.bin now"


def test_every_matrix_measure_has_words_and_a_group() -> None:
    from genscope.measures.load import load_matrix_measures

    for node in load_matrix_measures().measures(root="matrix"):
        assert node.name in COLUMNS, node.name
        assert group_of(node.name) != "Other" and COLUMNS[node.name][3].endswith(".")
