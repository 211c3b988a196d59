"""Content type ``hg_conversation``: conversations as JSON texts, in today's form or that of the former class."""

from __future__ import annotations

from typing import Any, ClassVar

from oipserver.codecs import CodecError, register_input_codec

from .elements import ElementsCodec
from .json import json_decode, json_encode

_FORMER_KEYS = {"uuid", "past_user_inputs", "generated_responses", "new_user_input"}
Message = dict[str, Any]


@register_input_codec
class HuggingfaceConversationCodec(ElementsCodec):
    """Each conversation as a list of messages, ``{"role": ..., "content": ...}``, which text generation takes.

    What transformers' former class Conversation was encoded as decodes to such a list too.
    """

    ContentType: ClassVar[str | None] = "hg_conversation"

    @classmethod
    def can_encode(cls, payload: Any) -> bool:
        return isinstance(payload, list) and bool(payload) and all(map(_is_conversation, payload))

    @classmethod
    def to_texts(cls, payload: Any) -> list[str]:
        return [json_encode(conversation) for conversation in payload]

    @classmethod
    def from_texts(cls, texts: list[str | bytes], name: str) -> Any:
        return [_conversation(text, name) for text in texts]


def _is_conversation(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(message, dict) and {"role", "content"} <= message.keys() for message in value)
    )


def _conversation(text: str | bytes, name: str) -> list[Message]:
    try:
        value = json_decode(text)
    except ValueError as error:
        raise CodecError(f"'{name}' holds an element that is not JSON: {error}") from error
    if isinstance(value, dict) and value.keys() >= {"new_user_input"} and value.keys() <= _FORMER_KEYS:
        return _messages(value)
    if not _is_conversation(value):
        raise CodecError(f"'{name}' holds an element that is no list of messages with 'role' and 'content'")
    messages: list[Message] = value
    return messages


def _messages(former: dict[str, Any]) -> list[Message]:
    said = [str(text) for text in [*(former.get("past_user_inputs") or []), former["new_user_input"]]]
    answered = [str(text) for text in former.get("generated_responses") or []]
    messages: list[Message] = []
    for turn, text in enumerate(said):
        messages.append({"role": "user", "content": text})
        if turn < len(answered):
            messages.append({"role": "assistant", "content": answered[turn]})
    return messages
