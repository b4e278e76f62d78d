"""Mutants that are not applied, or that nobody tries, prove nothing."""
import pathlib

import pytest

import mutants

GATES = "".join(f.read_text() for f in pathlib.Path(__file__).parent.glob("test_*.py"))


@pytest.mark.parametrize("name", mutants.MUTANTS)
def test_mutant_fits_the_tree_and_is_tried(name):
    assert not mutants.misfit(name)
    assert f'"{name}"' in GATES
