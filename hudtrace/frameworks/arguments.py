"""Arguments for frameworks that want pydantic models or annotated parameters.

They say to a model just what the tool's JSON Schema says, and check nothing:
the tool itself checks, once, and tells the model what is wrong in its own words.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    create_model,
    model_serializer,
    model_validator,
)
from pydantic_core import core_schema

from hudtrace.frameworks.schemas import inlined

Json = dict[str, Any]
_TYPES: Mapping[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "array": list,
    "object": dict,
}


class Says:
    """Makes an annotation have a JSON Schema, and take any value as it is."""

    def __init__(self, schema: Json) -> None:
        self._schema = schema

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Take any value."""
        return core_schema.any_schema()

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> Json:
        """Return the schema, a copy that may be changed."""
        return copy.deepcopy(self._schema)


def type_saying(name: str, schema: Json) -> Any:
    """Return a type that says *schema*, for annotations that lose their metadata."""
    says = Says(schema)
    hooks = {
        "__get_pydantic_core_schema__": says.__get_pydantic_core_schema__,
        "__get_pydantic_json_schema__": says.__get_pydantic_json_schema__,
    }
    return type(name, (), {key: staticmethod(hook) for key, hook in hooks.items()})


class Arguments(BaseModel):
    """The arguments of one call, as they were sent."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())
    _sent: Json = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _keep(cls, given: Any, handler: Any) -> Any:
        made = handler(given)
        if isinstance(given, Mapping):
            made._sent = dict(given)
        return made

    @model_serializer(mode="plain")
    def sent(self) -> Json:
        """Return the arguments that were given, and no others, in their order."""
        return dict(self._sent)


def arguments_model(name: str, schema: Json) -> type[Arguments]:
    """Make a pydantic model of the arguments that *schema* describes.

    Its JSON Schema is *schema*, without references, wherever it is used; its
    fields are there to be read. Every value is accepted.
    """
    whole = inlined(schema)
    fields: dict[str, Any] = {}
    for key, part in whole.get("properties", {}).items():
        if not _may_be_field(key):
            continue  # kept all the same, as an extra
        described = Field(default=None, description=part.get("description"))
        fields[key] = (Annotated[python_type(part), Says(part)], described)

    def says(cls: Any, core: Any, handler: Any) -> Json:
        return copy.deepcopy(whole)

    made = create_model(name, __base__=Arguments, **fields)
    made.__get_pydantic_json_schema__ = classmethod(says)  # type: ignore[assignment]
    made.model_rebuild(force=True)
    return made


def python_type(schema: Json) -> Any:
    """Return the Python type that a plain *schema* has, Any for others."""
    return _TYPES.get(str(schema.get("type")), Any)


def _may_be_field(name: str) -> bool:
    return (
        name.isidentifier()
        and not name.startswith("_")
        and not hasattr(Arguments, name)
    )
