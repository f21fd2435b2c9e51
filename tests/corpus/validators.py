"""What others say about a payload: the types of the official SDKs, and the one vendor's own request validator.

They are an independent opinion and no oracle: types of a new SDK refuse what older servers took, so a complaint counts
only where the history, before it was cut or carried over, did not cause it too.
"""

from __future__ import annotations

import importlib.util
import json
import re
import warnings
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, TypeAlias

__all__ = ["INSTALLED", "complaints"]

Validator: TypeAlias = Callable[[list[Any], Any], set[str]]

_PACKAGES = {
    "anthropic": "anthropic",
    "bedrock": "botocore",
    "google": "google.genai",
    "mistral": "mistral_common",
    "openai_chat": "openai",
    "openai_responses": "openai",
}


_PLACES = re.compile(r"call id \S+|[0-9]+")


def _found(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # the package above it is missing
        return False


INSTALLED = {wire: package for wire, package in _PACKAGES.items() if _found(package)}
"""The wires that somebody else has an opinion on here, and who."""


def complaints(wire: str, messages: Any, system: Any = None) -> set[str]:
    """What the wire's validator finds, without positions in lists; empty where there is none."""
    if isinstance(messages, str):  # what one wire also takes
        messages = [{"role": "user", "content": messages}]
    return _validator(wire)(messages, system) if wire in INSTALLED else set()


@cache
def _validator(wire: str) -> Validator:
    with warnings.catch_warnings():  # of the SDKs' own imports
        warnings.simplefilter("ignore")
        return _MAKERS[wire]()


def _eager(schema: Any) -> Any:
    """A core schema whose iterables are read at once: pydantic reads them lazily, and so not at all."""
    if isinstance(schema, dict):
        changed = {key: _eager(value) for key, value in schema.items()}
        if changed.get("type") == "generator":
            changed["type"] = "list"
        return changed
    if isinstance(schema, (list, tuple)):
        return type(schema)(_eager(value) for value in schema)
    return schema


def _typed(entry_type: Any) -> Validator:
    """Each entry by the SDK's type of a message."""
    from pydantic import TypeAdapter
    from pydantic_core import SchemaValidator, ValidationError

    adapter = TypeAdapter(entry_type)
    schema = adapter.core_schema
    validator = SchemaValidator(_eager(schema)) if isinstance(schema, dict) else adapter

    def validate(messages: list[Any], _system: Any) -> set[str]:
        found: set[str] = set()
        for entry in messages:
            try:
                validator.validate_python(entry)
            except ValidationError as exc:
                for error in exc.errors(include_url=False, include_input=False, include_context=False):
                    place = ".".join(str(step) for step in error["loc"] if not isinstance(step, int))
                    found.add(f"{error['type']} at {place}")
        return found

    return validate


def _openai_chat() -> Validator:
    from openai.types.chat import ChatCompletionMessageParam

    return _typed(ChatCompletionMessageParam)


def _openai_responses() -> Validator:
    from openai.types.responses import ResponseInputItemParam

    validate = _typed(ResponseInputItemParam)

    def lenient(messages: list[Any], system: Any) -> set[str]:
        return validate([_whole(entry) for entry in messages], system)

    return lenient


def _whole(item: Any) -> Any:
    """An item with the ids, states and empty lists that the type demands and the service does not.

    Recorded requests have encrypted reasoning and messages of the model without them, and taking an id off is what a
    cut may have to do.
    """
    if item.get("type") == "reasoning":
        return {"id": "rs_", **item}
    if item.get("role") == "assistant" and isinstance(item.get("content"), list):
        content = [{"annotations": [], **part} for part in item["content"]]
        return {"type": "message", "id": "msg_", "status": "completed", **item, "content": content}
    return item


def _anthropic() -> Validator:
    from anthropic.types.beta import BetaMessageParam  # more than the plain one: what is accepted includes beta

    return _typed(BetaMessageParam)


def _google() -> Validator:
    from google.genai.types import Content

    return _typed(Content)


def _bedrock() -> Validator:
    loaders, models, validating = (import_module(f"botocore.{name}") for name in ("loaders", "model", "validate"))
    service = models.ServiceModel(loaders.Loader().load_service_model("bedrock-runtime", "service-2"))
    shape = service.operation_model("Converse").input_shape
    validator = validating.ParamValidator()

    def validate(messages: list[Any], system: Any) -> set[str]:
        report = validator.validate({"modelId": "m", "messages": messages, "system": system or []}, shape)
        return {re.sub(r"\[\d+\]", "", line) for line in report.generate_report().splitlines()}

    return validate


def _mistral() -> Validator:
    from mistral_common.exceptions import MistralCommonException
    from mistral_common.protocol.instruct.request import ChatCompletionRequest
    from mistral_common.protocol.instruct.validator import MistralRequestValidatorV13, ValidationMode

    validator = MistralRequestValidatorV13(ValidationMode.serving)
    unsayable = (KeyError, TypeError, ValueError, AttributeError)

    def validate(messages: list[Any], _system: Any) -> set[str]:
        given = [_flat(entry) for entry in json.loads(json.dumps(messages))]  # it changes what it is given
        try:
            request: Any = ChatCompletionRequest.model_validate({"model": "m", "messages": given})
        except unsayable:
            try:
                request = ChatCompletionRequest.from_openai(given, model="m")
            except (*unsayable, MistralCommonException) as exc:
                return {f"{type(exc).__name__}: mistral_common cannot say it"}
        try:
            validator.validate_messages(request.messages)
        except MistralCommonException as exc:
            said = _PLACES.sub("", str(exc))
            return {f"{type(exc).__name__}: {said}"}
        return set()

    return validate


_API_ONLY = ("document_url", "file", "reference")
"""Parts that Mistral's API takes and mistral_common, which knows what its tokenizers do, has no type for."""


def _flat(entry: Any) -> Any:
    """The message as mistral_common can say it: thinking is one text, and what only the API has is a text."""
    content = entry.get("content")
    if not isinstance(content, list):
        return entry
    out: list[Any] = []
    for part in content:
        if part.get("type") in _API_ONLY:
            out.append({"type": "text", "text": part["type"]})
        elif part.get("type") == "thinking" and isinstance(part.get("thinking"), list):
            out.append({**part, "thinking": "".join(text.get("text", "") for text in part["thinking"])})
        else:
            out.append(part)
    return {**entry, "content": out}


_MAKERS: dict[str, Callable[[], Validator]] = {
    "anthropic": _anthropic,
    "bedrock": _bedrock,
    "google": _google,
    "mistral": _mistral,
    "openai_chat": _openai_chat,
    "openai_responses": _openai_responses,
}
