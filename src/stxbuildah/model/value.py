# SPDX-License-Identifier: Apache-2.0
"""The base of values: their comparison, hash and representation, written once.

attrs writes these methods for every class, and Python compiles them when the module is imported. That is half of what
a class of attrs costs, and with a hundred classes an eighth of a short update; most of them are never called.
"""

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import attrs

_METHODS = ("__eq__", "__hash__", "__repr__")


class Value:
    """A frozen class of attrs whose instances are equal when they are of the same class and their fields are equal.

    ``attrs.field(eq=False)`` and ``repr=False`` mean what they always mean; ``order`` is not for it. To be used with
    ``attrs.frozen`` alone, for what can change has no hash.
    """

    __slots__ = ()
    __attrs_attrs__: ClassVar[tuple["attrs.Attribute[object]", ...]]

    def __init_subclass__(cls) -> None:
        """Put the methods into the class itself: attrs leaves alone what it finds there, not what is inherited."""
        super().__init_subclass__()
        for name in _METHODS:
            if name not in cls.__dict__:
                setattr(cls, name, getattr(Value, name))

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self._compared())

    def __hash__(self) -> int:
        return hash((self.__class__, *(getattr(self, name) for name in self._compared())))

    def __repr__(self) -> str:
        shown = (f"{field.name}={getattr(self, field.name)!r}" for field in self.__attrs_attrs__ if field.repr)
        return f"{self.__class__.__qualname__}({', '.join(shown)})"

    @classmethod
    def _compared(cls) -> tuple[str, ...]:
        return tuple(field.name for field in cls.__attrs_attrs__ if field.eq)
