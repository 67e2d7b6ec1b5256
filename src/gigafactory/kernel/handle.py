"""A pool's state as compiled functions are handed it: one address instead of thirty arrays.

A table of addresses and shapes stands in memory beside the arrays; `s.job` in a compiled function
reads the table. Handing the arrays over one by one, in seven parts each, made calls dear and the
code so large that compiling it took twice as long.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_builtin, lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import NativeValue, models, register_model, typeof_impl, unbox
from numba.np.arrayobj import load_item, populate_array, store_item
from numba.np.numpy_support import from_dtype

from gigafactory.kernel.state import State, new_state

#: Numbers in the table per array: its address, then its shape.
_ROW = 4


class Handle:
    """The address of a table that says where the arrays of a state are.

    Args:
        state: the arrays; kept alive by the handle, never to be replaced under it.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self._table = np.zeros((len(state), _ROW), np.int64)
        for row, array in zip(self._table, state, strict=True):
            assert array.flags.c_contiguous
            row[0] = array.ctypes.data
            row[1 : 1 + array.ndim] = array.shape
        self.address = int(self._table.ctypes.data)


class _HandleType(types.Type):
    def __init__(self) -> None:
        super().__init__(name="gigafactory.kernel.Handle")


_HANDLE = _HandleType()


@typeof_impl.register(Handle)
def _type_of(_value: Any, _context: Any) -> Any:
    return _HANDLE


@register_model(_HandleType)
class _HandleModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, ir.IntType(64))


@unbox(_HandleType)
def _unbox(_kind: Any, value: Any, c: Any) -> Any:
    address = c.pyapi.object_getattr_string(value, "address")
    native = c.pyapi.long_as_longlong(address)
    c.pyapi.decref(address)
    return NativeValue(native, is_error=cgutils.is_not_null(c.builder, c.pyapi.err_occurred()))


class _Plain(types.Array):
    """An array of the state, whose indices are never negative.

    numba would add the extent to a negative index, as Python does: a comparison and a load more at
    every access, a fifth of the kernel's time.
    """

    def __init__(self, dtype: Any, ndim: int) -> None:
        super().__init__(dtype, ndim, "C", name=f"gigafactory.kernel.Plain({dtype}, {ndim}d)")


register_model(_Plain)(models.ArrayModel)


def _at(context: Any, builder: Any, kind: Any, array: Any, of: Any, index: Any) -> Any:
    """The address of an item."""
    many = isinstance(of, types.BaseTuple)
    kinds = of.types if many else (of,)
    indices = cgutils.unpack_tuple(builder, index, len(kinds)) if many else [index]
    words = [
        context.cast(builder, one, k, types.intp) for one, k in zip(indices, kinds, strict=True)
    ]
    laid = context.make_array(kind)(context, builder, array)
    return cgutils.get_item_pointer(context, builder, kind, laid, words)


@lower_builtin(operator.getitem, _Plain, types.Integer)
@lower_builtin(operator.getitem, _Plain, types.BaseTuple)
def _get(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Read an item; of a record its address."""
    kind, of = signature.args
    return load_item(
        context, builder, kind, _at(context, builder, kind, arguments[0], of, arguments[1])
    )


@lower_builtin(operator.setitem, _Plain, types.Integer, types.Any)
@lower_builtin(operator.setitem, _Plain, types.BaseTuple, types.Any)
def _set(context: Any, builder: Any, signature: Any, arguments: Any) -> None:
    """Write an item."""
    kind, of, value = signature.args
    where = _at(context, builder, kind, arguments[0], of, arguments[1])
    store_item(
        context, builder, kind, context.cast(builder, arguments[2], value, kind.dtype), where
    )


_SMALLEST = new_state(
    jobs=0,
    nodes=1,
    node_size=1,
    rack_nodes=1,
    pod_nodes=1,
    tenants=1,
    quotas=1,
    origin_ns=0,
    end_ns=0,
    depth=1,
)
#: Of each array: its row in the table, and its type.
_FIELDS = {
    name: (row, _Plain(from_dtype(array.dtype), array.ndim))
    for row, (name, array) in enumerate(zip(State._fields, _SMALLEST, strict=True))
}


@infer_getattr
class _Attributes(AttributeTemplate):
    """The types of the arrays."""

    key = _HandleType

    def generic_resolve(self, _kind: Any, name: str) -> Any:  # type: ignore[override]
        return _FIELDS[name][1] if name in _FIELDS else None


@lower_getattr_generic(_HandleType)
def _read(context: Any, builder: Any, _kind: Any, value: Any, name: str) -> Any:
    """Lay an array over the memory that the table names."""
    row, kind = _FIELDS[name]
    word = ir.IntType(64)
    table = builder.inttoptr(value, word.as_pointer())

    def entry(k: int) -> Any:
        found = builder.load(builder.gep(table, [ir.Constant(word, row * _ROW + k)]))
        # the table never changes under a call: no need to read it again after every write
        found.set_metadata("invariant.load", builder.module.add_metadata([]))
        return found

    shape = [entry(1 + k) for k in range(kind.ndim)]
    size = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    strides = [ir.Constant(word, size)]
    for extent in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], extent))
    array = context.make_array(kind)(context, builder)
    populate_array(
        array,
        data=builder.inttoptr(entry(0), array.data.type),
        shape=shape,
        strides=strides,
        itemsize=size,
        meminfo=None,
    )
    return array._getvalue()
