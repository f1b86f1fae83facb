# SPDX-License-Identifier: Apache-2.0
"""Values behave as the classes do that attrs writes all methods of."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.model.value import Value


@attrs.frozen(kw_only=True)
class Account(Value):
    """A value with what must not be shown, and what must not count."""

    name: str
    password: str = attrs.field(default="", repr=False)
    note: str = attrs.field(default="", eq=False)


@attrs.frozen(kw_only=True)
class Written:
    """The same, written by attrs."""

    name: str
    password: str = attrs.field(default="", repr=False)
    note: str = attrs.field(default="", eq=False)


@attrs.frozen
class Alike(Value):
    """Another class with the same fields."""

    name: str
    password: str = ""
    note: str = ""


@attrs.frozen
class Single(Value):
    """A value of one field."""

    content: object


@attrs.frozen
class Nothing(Value):
    """A value without fields."""


@attrs.frozen
class Own(Value):
    """A value that says itself how it is shown."""

    name: str

    def __repr__(self) -> str:
        return "its own"


fields = st.fixed_dictionaries({name: st.sampled_from(["", "a", "it's"]) for name in ("name", "password", "note")})


@given(fields, fields)
def test_values_compare_hash_and_show_as_attrs_does_it(one: dict[str, str], other: dict[str, str]) -> None:
    assert (Account(**one) == Account(**other)) == (Written(**one) == Written(**other))
    assert (Account(**one) != Account(**other)) == (Written(**one) != Written(**other))
    if Account(**one) == Account(**other):
        assert hash(Account(**one)) == hash(Account(**other))
    assert repr(Account(**one)) == repr(Written(**one)).replace("Written", "Account")


def test_secret_is_not_shown() -> None:
    assert "hunter2" not in repr(Account(name="a", password="hunter2"))  # noqa: S106 # it is the test's


def test_another_class_with_the_same_fields_is_another_value() -> None:
    assert Account(name="a") != Alike("a")
    assert Alike("a") != "a"
    assert len({Account(name="a"), Alike("a"), Account(name="a")}) == 2


def test_values_of_one_field_and_of_none() -> None:
    assert Single(1) == Single(1) != Single((1,))
    assert Nothing() == Nothing()
    assert hash(Nothing()) == hash(Nothing())
    assert repr(Nothing()) == "Nothing()"
    with pytest.raises(TypeError, match="unhashable"):
        hash(Single([]))


def test_methods_of_the_class_itself_stay() -> None:
    assert repr(Own("x")) == "its own"
    assert Own("x") == Own("x")


def test_values_are_frozen_and_have_no_other_attributes() -> None:
    value = Single(1)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        value.content = 2  # type: ignore[misc] # that is the test
    assert not hasattr(value, "__dict__")
    assert attrs.evolve(value, content=2) == Single(2)
