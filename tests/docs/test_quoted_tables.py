"""Tables that a page quotes from another one."""

import pytest
from quoted_tables import replace_marks

PAGE = """\
# Title

## Scores & more

| a |
|---|
| 1 |

### Details

| b |
|---|
| 2 |

## Other

| c |
|---|
| 3 |
"""


@pytest.fixture
def docs(tmp_path):
    (tmp_path / "page.md").write_text(PAGE)
    return tmp_path


def test_a_mark_becomes_the_table_of_its_section(docs):
    assert replace_marks("x\n\n<!-- table: page.md#scores--more -->\ny", docs) == "x\n\n| a |\n|---|\n| 1 |\n\ny"
    assert "| 2 |" in replace_marks("<!-- table 2: page.md#scores--more -->", docs)


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        ("<!-- table 3: page.md#scores--more -->", "page.md#scores--more has 2 tables, not 3"),
        ("<!-- table: page.md#nothing -->", "page.md has no section #nothing"),
    ],
)
def test_a_mark_without_a_table_ends_the_build(docs, mark, reason):
    with pytest.raises(ValueError, match=reason):
        replace_marks(mark, docs)
