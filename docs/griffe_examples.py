"""Lets mkdocstrings show `Example:` sections as code, and the keys of a configuration with their meaning."""

import ast
import re
from typing import Any

import griffe


class Examples(griffe.Extension):
    """Says in the parser's words what our sources say in theirs."""

    def on_object(self, *, obj: griffe.Object, **ignored: Any) -> None:
        """Called for every object once it is read; an `Example:` is code to the parser in the plural only."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.M)

    def on_class_members(self, *, cls: griffe.Class, **ignored: Any) -> None:
        """Called for every class; `key(default, meaning, ...)` is shown as a default and a line of text."""
        lines = []
        for name, attribute in cls.attributes.items():
            value = attribute.value
            if isinstance(value, griffe.ExprCall) and str(value.function) == "key":
                attribute.value, meaning, *_ = value.arguments
                lines.append(f"    {name}: {ast.literal_eval(str(meaning))}")
        if lines and cls.docstring:
            cls.docstring.value += "\n\nAttributes:\n" + "\n".join(lines)
