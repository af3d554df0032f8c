"""What the command line takes, `build` and `verify` in Python take too."""

from __future__ import annotations

import argparse
import inspect
from types import ModuleType

import pytest

import imagenet_subset
from imagenet_subset.cli.commands import build, verify

OF_A_TERMINAL = {
    "dry_run": "imagenet_subset.building.outlook.look_ahead gives the facts",
    "quiet": "nothing is printed unless progress=True",
    "json": "the report has to_dict",
    "all": "sample=None",
    "file": "the first argument, path",
    "help": "help()",
}
"""Flags without a twin, and what Python has in place of each."""
OF_PYTHON = {"path"}
OTHER_DEFAULTS = {"progress": "Python shows nothing unless it is asked to"}


def flags(module: ModuleType) -> dict[str, argparse.Action]:
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return {action.dest: action for action in parser._actions}


@pytest.mark.parametrize(
    ("module", "function"),
    [(build, imagenet_subset.build), (verify, imagenet_subset.verify)],
    ids=["build", "verify"],
)
def test_every_flag_has_its_twin(module: ModuleType, function: object) -> None:
    assert callable(function)
    parameters = inspect.signature(function).parameters
    assert flags(module).keys() - OF_A_TERMINAL.keys() == parameters.keys() - OF_PYTHON


def test_twins_have_the_same_defaults() -> None:
    parameters = inspect.signature(imagenet_subset.build).parameters
    differing = {
        name: (action.default, parameters[name].default)
        for name, action in flags(build).items()
        if name in parameters.keys() - OTHER_DEFAULTS.keys()
        and not action.required
        and action.default != parameters[name].default
    }
    assert not differing


def test_every_twin_is_explained() -> None:
    for function in (imagenet_subset.build, imagenet_subset.verify):
        text = inspect.getdoc(function) or ""
        for name in inspect.signature(function).parameters:
            assert f"\n{name}" in text or f", {name}\n" in text, name
