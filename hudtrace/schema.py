"""JSON Schemas from Python signatures, and arguments checked against them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_type_hints

from hudtrace.errors import InvalidArguments
from hudtrace.messages import to_json
from hudtrace.nulls import without_stray_nulls

if TYPE_CHECKING:
    from pydantic import BaseModel

Json = dict[str, Any]
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a function: their JSON Schema, and how to check values."""

    schema: Json
    model: type[BaseModel]
    aliases: Mapping[str, str]  # argument name → field name of the model
    open: bool  # takes **kwargs

    def validate(self, arguments: Mapping[str, Any], what: str) -> dict[str, Any]:
        """Return *arguments* as the Python values that the function wants.

        Raises `InvalidArguments` with a line for each field that is wrong;
        *what* names the function in it. Defaults are left to the function.
        """
        from pydantic import ValidationError

        given = without_stray_nulls(dict(arguments), self.schema)
        known = {k: v for k, v in given.items() if k in self.aliases}
        extra = {k: v for k, v in given.items() if k not in self.aliases}
        problems = [] if self.open else [_unexpected(k, self.aliases) for k in extra]
        values: dict[str, Any] = {}
        try:
            model = self.model.model_validate(known)
            values = {
                name: getattr(model, field)
                for name, field in self.aliases.items()
                if name in known
            }
        except ValidationError as error:
            problems += [_line(detail) for detail in error.errors()]
        if problems:
            raise InvalidArguments(
                f"invalid arguments for {what}:\n" + "\n".join(problems)
            )
        return {**values, **extra}


def parameters_of(function: Callable[..., Any]) -> Parameters:
    """Read the parameters of *function* from its type hints and docstring.

    Descriptions come from `Annotated[..., Field(description=...)]`, else from
    the docstring (Google, NumPy or reST). A parameter without a hint takes
    any JSON value. Raises TypeError for a hint that has no JSON Schema.
    """
    from pydantic import ConfigDict, PydanticUserError, create_model

    described = _described(inspect.getdoc(function) or "")
    hints = _hints(function)
    signature = inspect.signature(function)
    fields: dict[str, Any] = {}
    aliases: dict[str, str] = {}
    is_open = False
    for position, (name, parameter) in enumerate(signature.parameters.items()):
        if parameter.kind in _VARIADIC:
            is_open = is_open or parameter.kind is inspect.Parameter.VAR_KEYWORD
            continue
        # Field names of their own: an argument may be called `copy` or `_x`.
        field_name = f"p{position}"
        hint = hints.get(name, Any)
        fields[field_name] = (hint, _field(parameter, name, described.get(name)))
        aliases[name] = field_name
    try:
        model = create_model(
            f"{getattr(function, '__name__', 'tool')}_arguments",
            __config__=ConfigDict(
                arbitrary_types_allowed=True, protected_namespaces=()
            ),
            **fields,
        )
        return Parameters(_schema(model, is_open), model, aliases, is_open)
    except PydanticUserError as error:
        raise TypeError(_unusable(function, hints, error)) from error


def summary_of(function: Callable[..., Any]) -> str:
    """Return what the docstring says before its sections, as one text."""
    import docstring_parser

    doc = docstring_parser.parse(inspect.getdoc(function) or "")
    return (doc.description or "").strip()


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    target = inspect.unwrap(function)
    if not inspect.isroutine(target) and callable(target):
        target = type(target).__call__
    try:
        return get_type_hints(target, include_extras=True)
    except NameError as error:
        raise TypeError(
            f"cannot read the type hints of {function!r}: {error}; the names in them "
            f"must be importable from its module"
        ) from error


def _unusable(
    function: Callable[..., Any], hints: Mapping[str, Any], error: Exception
) -> str:
    """Say which parameter of *function* has a type that arguments cannot have."""
    name = getattr(function, "__name__", repr(function))
    wrong = [key for key in inspect.signature(function).parameters if key in hints]
    wrong = [key for key in wrong if not _is_usable(hints[key])]
    where = f"parameter {wrong[0]}" if wrong else "a parameter"
    if getattr(error, "code", None) == "typed-dict-version":
        return (
            f"{name}: {where} uses typing.TypedDict, which cannot be checked before "
            f"Python 3.12; write 'from typing_extensions import TypedDict' instead"
        )
    why = str(error).partition("\n")[0]
    return f"{name}: {where} has a type that JSON cannot be checked against: {why}"


def _is_usable(hint: Any) -> bool:
    from pydantic import ConfigDict, PydanticUserError, create_model

    config = ConfigDict(arbitrary_types_allowed=True)
    try:
        create_model("probe", __config__=config, field=(hint, ...)).model_json_schema()
    except PydanticUserError:
        return False
    return True


def _field(parameter: inspect.Parameter, name: str, description: str | None) -> Any:
    from pydantic import Field
    from pydantic.fields import FieldInfo

    default = parameter.default
    extra: dict[str, Any] = {"alias": name}
    if description:
        extra["description"] = description
    if default is inspect.Parameter.empty:
        return Field(**extra)
    if isinstance(default, FieldInfo):
        return FieldInfo.merge_field_infos(default, **extra)
    return Field(default, **extra)


def _schema(model: type[BaseModel], is_open: bool) -> Json:
    from pydantic.json_schema import GenerateJsonSchema

    class Quiet(GenerateJsonSchema):
        """Leaves out defaults that JSON cannot hold, without a warning."""

        def emit_warning(self, kind: Any, detail: str) -> None:
            """Say nothing: the function has its default anyway."""

    schema = model.model_json_schema(by_alias=True, schema_generator=Quiet)
    schema.pop("title", None)
    _drop_generated_titles(schema)
    schema.setdefault("properties", {})
    if not is_open:
        schema["additionalProperties"] = False
    return schema


def _drop_generated_titles(node: Any) -> None:
    if isinstance(node, dict):
        for name, child in (node.get("properties") or {}).items():
            if isinstance(child, dict):
                title = child.get("title")
                if isinstance(title, str) and title.lower().replace(
                    " ", "_"
                ) == name.lower().strip("_"):
                    del child["title"]
        for child in node.values():
            _drop_generated_titles(child)
    elif isinstance(node, list):
        for child in node:
            _drop_generated_titles(child)


@functools.lru_cache(maxsize=1024)
def _described(docstring: str) -> Mapping[str, str]:
    import docstring_parser

    parsed = docstring_parser.parse(docstring)
    return {p.arg_name: p.description for p in parsed.params if p.description}


#: What pydantic calls by the names of Python's types.
_EXPECTED = {
    "an object": "dict_type mapping_type model_type model_attributes_type "
    "dataclass_type typed_dict_type",
    "an array": "list_type tuple_type set_type frozen_set_type iterable_type "
    "iteration_error",
    "null": "none_required",
}
_WORDS = {kind: words for words, kinds in _EXPECTED.items() for kind in kinds.split()}


def _line(detail: Any) -> str:
    where = ".".join(str(part) for part in detail["loc"]) or "arguments"
    if detail["type"] == "missing":
        return f"- {where}: missing, but required"
    words = _WORDS.get(detail["type"])
    wrong = f"Input should be {words}" if words else detail["msg"]
    return f"- {where}: {wrong} (got {to_json(detail.get('input')):.60})"


def _unexpected(name: str, known: Mapping[str, str]) -> str:
    there = f"it takes: {', '.join(known)}" if known else "it takes none"
    return f"- {name}: no such argument ({there})"
