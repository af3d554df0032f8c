"""The table of pipelines: each keeps the contract, and nothing but the table knows their names."""

from __future__ import annotations

import argparse
import ast
import itertools
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import imagenet_subset
import pipelines
from imagenet_subset.cli.commands.arguments import add_pipeline
from pipelines.base import Pipeline, PipelineUnavailableError
from pipelines.bounds import EXACT, EXACT_BY_ALL
from pipelines.choice import PipelineConfig, resolve
from pipelines.dali.batches import REACH
from pipelines.dali.graph import FAILED, FILTERS
from pipelines.kinds import AUTO, KINDS, NAMES, TABLE, UNASKED, Kind, bounds_of
from pipelines.request import PipelineRequest
from pipelines.rule import DEFAULT, INTERPOLATIONS, PixelRule
from tests.contracts.pipeline import PipelineContract
from tests.harness.tiers import thorough

MARKS: dict[str, tuple[pytest.MarkDecorator, ...]] = {"cpu": (), "gpu": (pytest.mark.gpu,)}


def chosen(kind: Kind) -> PipelineConfig:
    return resolve(PipelineRequest(kind.device, kind.name, batch_size=8), 2)


def can_be_had(kind: Kind) -> bool:
    try:
        return bool(chosen(kind))
    except PipelineUnavailableError:
        return False


def over(kinds: Iterable[Kind]) -> pytest.MarkDecorator:
    """A test for each of these kinds."""
    params = [
        pytest.param(kind, id=f"{kind.name}-{kind.device}", marks=MARKS[kind.device])
        for kind in kinds
    ]
    return pytest.mark.parametrize("kind", params)


@pytest.mark.parametrize("kind", TABLE, ids=lambda kind: f"{kind.name}-{kind.device}")
def test_a_shard_has_a_multiple_of_four_rows(kind: Kind) -> None:
    # Four rows are whole pages, see the test of that. What writes whole pages to a file writes none
    # that two shards share.
    for batch_size in (kind.batch_size, kind.batch_for(PixelRule(2048, 2048)), 1, 7, 16):
        for shared in (False, True):
            assert kind.rows_per_shard(batch_size, shared=shared) % 4 == 0


@over(TABLE)
def test_a_batch_of_large_images_has_fewer(kind: Kind) -> None:
    assert kind.batch_for(DEFAULT) == kind.batch_for(PixelRule(32, 8)) == kind.batch_size
    usual = kind.batch_size * DEFAULT.nbytes
    for crop in (256, 512, 1000, 2048):
        rule = PixelRule(2048, crop)
        batch = kind.batch_for(rule)
        assert batch == 1 or batch * rule.nbytes <= 4 * usual
        assert batch == kind.batch_size or (batch + 1) * rule.nbytes > 4 * usual


@over(TABLE)
def test_each_kind_opens_as_what_was_asked_for_or_says_what_to_do(kind: Kind) -> None:
    try:
        config = resolve(PipelineRequest(kind.device, kind.name), 3)
    except PipelineUnavailableError as error:
        said = str(error)
        assert "\n" not in said
        assert kind.install_line() in said or "--device cpu works without" in said
        pytest.skip(said)
    assert config.kind is kind
    assert config.why.startswith(f"{kind.device} ({kind.name}): ")
    assert config.batch_size == kind.batch_size
    assert (config.threads, config.processes) == ((3, 1) if kind.threaded else (1, 3))
    config.open().close()


BY_FILTER = [PixelRule(72, 64, name) for name in INTERPOLATIONS if name != DEFAULT.interpolation]


def over_both(*rules: PixelRule | tuple[PixelRule, pytest.MarkDecorator]) -> pytest.MarkDecorator:
    """A test for each kind that can be had and each of these rules whose filter it has."""
    params = []
    for kind in filter(can_be_had, TABLE):
        for given in rules:
            rule, *marks = given if isinstance(given, tuple) else (given,)
            if not kind.lacks(rule.interpolation):
                name = f"{kind.name}-{kind.device}-{rule.crop}-{rule.interpolation}"
                marks += MARKS[kind.device]
                params.append(pytest.param(kind, rule, id=name, marks=marks))
    return pytest.mark.parametrize(("kind", "rule"), params)


class EveryKind(PipelineContract):
    """Those that can't be had are skipped by the test above, with the reason."""

    kind: Kind

    def test_two_runs_give_the_same_bytes(self, pipeline: Pipeline) -> None:
        if self.kind.device == "gpu":
            pytest.skip("which GPU decoder takes an image can depend on its batch")
        super().test_two_runs_give_the_same_bytes(pipeline)


@over(filter(can_be_had, TABLE))
class TestEveryKind(EveryKind):
    @pytest.fixture
    def pipeline(self, kind: Kind) -> Iterator[Pipeline]:
        self.kind, self.bounds = kind, chosen(kind).bounds
        pipeline = chosen(kind).open()
        yield pipeline
        pipeline.close()


@over_both(
    PixelRule(72, 64),
    PixelRule(100, 97),
    *((rule, thorough("a filter of each kind")) for rule in BY_FILTER),
)
class TestEveryKindByAnotherRule(EveryKind):
    """A smaller crop, one whose rows are no multiple of anything, and every filter."""

    @pytest.fixture
    def pipeline(self, kind: Kind, rule: PixelRule) -> Iterator[Pipeline]:
        config = replace(chosen(kind), rule=rule)
        self.kind, self.bounds, self.rule = kind, config.bounds, rule
        pipeline = config.open()
        yield pipeline
        pipeline.close()


@over_both(*BY_FILTER)
def test_each_kind_scales_by_each_filter_that_it_has(kind: Kind, rule: PixelRule) -> None:
    config = replace(chosen(kind), rule=rule)
    contract = PipelineContract()
    contract.bounds, contract.rule = config.bounds, rule
    pipeline = config.open()
    contract.test_the_images_are_what_pillows_resize_and_crop_give(pipeline)
    contract.test_all_odd_images_in_one_run(pipeline)
    contract.test_extreme_sizes(pipeline)
    pipeline.close()


@over(filter(can_be_had, TABLE))
def test_what_decides_the_pixels_of_each_kind_is_in_the_provenance(kind: Kind) -> None:
    versions = chosen(kind).versions()
    assert versions.keys() >= {"pillow", *kind.wheels}
    assert "unknown" not in versions.values()


@over(TABLE)
def test_what_may_be_imported_ahead_never_fails(kind: Kind) -> None:
    """Where docstrings are left out, some packages can't be imported."""
    names = [*kind.modules, *itertools.chain(*kind.modules_by_filter.values())]
    script = f"import importlib\nfor name in {names}: importlib.import_module(name)"
    subprocess.run([sys.executable, "-OO", "-c", script], check=True)


def test_the_table_has_a_kind_once_and_each_pipeline_on_the_cpu() -> None:
    assert len(KINDS) == len(TABLE)
    assert {(name, "cpu") for name in NAMES} <= KINDS.keys()


def test_auto_takes_nothing_unasked_whose_pixels_are_not_pillows() -> None:
    assert all(kind.bounds == EXACT_BY_ALL and kind.device == "cpu" for kind in UNASKED)
    assert dict.fromkeys(INTERPOLATIONS, EXACT) == EXACT_BY_ALL
    assert len({kind.auto for kind in UNASKED}) == len(UNASKED)
    assert [kind.is_pillow for kind in UNASKED] == [False] * (len(UNASKED) - 1) + [True]
    assert [kind for kind in TABLE if kind.is_pillow] == [UNASKED[-1]]


def test_a_failure_of_dali_begins_as_the_table_says() -> None:
    assert {kind.failed for kind in TABLE if kind.software == "DALI"} == {FAILED}


def test_the_command_line_takes_the_names_of_the_table() -> None:
    parser = argparse.ArgumentParser()
    add_pipeline(parser)
    (choices,) = (a.choices for a in parser._actions if "--pipeline" in a.option_strings)
    assert choices == (AUTO, *NAMES)


def test_a_wrong_name_is_answered_with_the_names_of_the_table() -> None:
    with pytest.raises(ValueError, match=r"^pipeline is auto, .* or .*, not 'magick'$") as caught:
        PipelineRequest("cpu", "magick")
    assert all(f" {name}" in str(caught.value) for name in NAMES)


def test_a_pipeline_that_the_table_does_not_have_is_held_to_pillows_pixels() -> None:
    assert bounds_of("magick", "cpu", "bilinear") == EXACT


def test_a_filter_that_a_pipeline_has_not_is_held_to_pillows_pixels() -> None:
    assert bounds_of("dali", "cpu", "box") == EXACT


def test_dalis_filters_are_those_of_its_graph() -> None:
    assert {tuple(kind.bounds) for kind in TABLE if kind.software == "DALI"} == {tuple(FILTERS)}
    assert FILTERS.keys() == REACH.keys()


def test_no_code_outside_the_table_asks_for_a_pipelines_name() -> None:
    found = []
    for package in (pipelines, imagenet_subset):
        folder = Path(package.__file__ or "").parent
        for path in sorted(folder.rglob("*.py")):
            if path == folder / "kinds.py":
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Compare | ast.MatchValue) and names_within(node):
                    found.append(f"{path}:{node.lineno}")
    assert found == []


def names_within(node: ast.AST) -> bool:
    constants = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
    return not set(NAMES).isdisjoint(constants)


def test_the_table_imports_nothing_that_takes_long() -> None:
    script = (
        "import sys, pipelines.choice\n"
        "print(sorted({'numpy', 'PIL', 'llvmlite', 'nvidia', 'cupy'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
