"""workflow/code.yaml is current and names every rule; layout and prose of the rules do not count."""

import json
import re
import subprocess

import pytest
import yaml
from paths import REPOSITORY
from test_digest import INTERPRETERS

from molclr.digest import code_digest
from workflow import digests

RULES = '''# What it makes.
"""A file of rules."""
PATHS = [f"{name}.csv" for name in "ab"]


rule split:
    """Assign molecules."""
    output:
        f"data/{{table}}.{PATHS[0]!r:>{10}}",
    params:
        **code_of("molclr.data.splits"),
    shell:
        """molclr split {output:q}"""


def names():
    """Of tables."""
    return "text"
'''


def test_the_digests_are_those_of_the_present_code():
    assert digests.CODE.read_text() == digests.code_yaml(), (
        "run `python -m workflow.digests` and commit workflow/code.yaml"
    )


def test_every_rule_that_runs_something_has_a_digest_of_its_code():
    for path in (REPOSITORY / "workflow/rules").glob("*.smk"):
        headers = r"^ *(?:rule|use rule \w+ as) (\w+)[^\n]*:\n(.*?)(?=^ *rule |^ *use rule |\Z)"
        rules = re.findall(headers, path.read_text(), re.MULTILINE | re.DOTALL)
        run = [name for name, body in rules if re.search(r"^ *(shell|params):", body, re.MULTILINE)]
        assert [name for name, names in digests.code_of_rules(path) if names] == run
        assert path.read_text().count("code_of(") == len(run)


def test_the_code_of_an_encoder_of_ones_own_is_in_it(monkeypatch, tmp_path):
    """Of that of params.yaml, which DVC has; no other configuration changes the file."""
    assert digests.named_modules() == []
    for name in ("Snakefile", "workflow", "molclr"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    (tmp_path / "params.yaml").write_text("encoder: {name: 'own_encoder:GAT', layers: 2}")
    monkeypatch.setattr(digests, "REPOSITORY", tmp_path)
    before, after = (yaml.safe_load(text) for text in (digests.CODE.read_text(), digests.code_yaml()))
    own = code_digest("own_encoder")
    for stage in before:
        assert after[stage] == before[stage] | ({"own": own} if stage in ("pretrain", "finetune") else {})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# What it makes.\n", ""),
        ("A file of rules.", "Some rules."),
        ('    """Assign molecules."""\n', ""),
        ("Of tables.", "Of all tables."),
        ("rule split:", "rule split:  # in three"),
        ("    params:\n", "\n    params:\n"),
        ("        **code", "            **code"),
    ],
)
def test_layout_and_prose_of_rules_do_not_count(before, after):
    assert before in RULES
    assert digests.meaning_of_rules(RULES.replace(before, after)) == digests.meaning_of_rules(RULES)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("molclr split", "molclr split --seed 1"),
        ("{PATHS[0]", "{PATHS[1]"),
        ('"text"', '"texts"'),
        ("    params:\n        **code", "    params:\n        **old_code"),
    ],
)
def test_every_change_of_meaning_of_rules_counts(before, after):
    assert before in RULES
    assert digests.meaning_of_rules(RULES.replace(before, after)) != digests.meaning_of_rules(RULES)


@pytest.mark.parametrize("python", INTERPRETERS, ids=lambda path: path.parts[-3])
def test_every_version_of_python_reads_the_same_rules(python):
    """With a stand-in for PyYAML, which reading needs not."""
    program = (
        "import json, sys, types; sys.modules['yaml'] = types.ModuleType('yaml'); from workflow import digests;"
        "print(json.dumps([digests.meaning_of_rules(text) for text in json.load(sys.stdin)]))"
    )
    texts = [RULES, *(path.read_text() for path in sorted((REPOSITORY / "workflow/rules").glob("*.smk")))]
    given = json.dumps(texts)
    result = subprocess.run([python, "-c", program], input=given, cwd=REPOSITORY, text=True, capture_output=True)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == [*map(digests.meaning_of_rules, texts)]
