"""A function fits on a screen and a module in a head."""

from __future__ import annotations

from tests.tidy.house import Module, functions, modules

FUNCTION_LINES = 70
MODULE_LINES = 800

#: What may be longer, and why: "module.py:function" or "module.py". An entry that is no longer
#: needed fails, so the list only shrinks.
ALLOWED: dict[str, str] = {}


def too_long(module: Module) -> dict[str, int]:
    """The functions of a module, and the module itself, that are over their length."""
    found = {}
    for name, node in functions(module):
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        if length > FUNCTION_LINES:
            found[f"{module.name}:{name}"] = length
    if len(module.lines) > MODULE_LINES:
        found[module.name] = len(module.lines)
    return found


def test_no_function_or_module_is_too_long() -> None:
    found = {name: length for module in modules() for name, length in too_long(module).items()}
    assert {name: n for name, n in found.items() if name not in ALLOWED} == {}
    assert set(ALLOWED) - set(found) == set(), "allowed to be long, but no longer long"


def test_each_allowance_has_a_reason() -> None:
    assert [name for name, reason in ALLOWED.items() if len(reason) < 20] == []


def test_the_check_sees_a_long_function_and_a_long_module() -> None:
    body = "    pass\n"
    long = Module.of("a.py", "class A:\n  def f(self):\n" + body * FUNCTION_LINES)
    assert too_long(long) == {"a.py:A.f": FUNCTION_LINES + 1}
    assert too_long(Module.of("a.py", "def f():\n" + body * (FUNCTION_LINES - 1))) == {}
    assert too_long(Module.of("b.py", "x = 1\n" * (MODULE_LINES + 1))) == {"b.py": MODULE_LINES + 1}
