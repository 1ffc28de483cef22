"""Names of the fields and events that OpenAI's and Anthropic's SDKs know, as JSON: what tables of translation must
have a row for."""

import json
import sys
import typing

import anthropic.types as a
import openai.types.chat as c
import openai.types.responses as r
from anthropic.types import message_create_params, raw_message_stream_event
from openai.types.chat import chat_completion, chat_completion_chunk, completion_create_params
from openai.types.responses import response_create_params, response_input_param, response_stream_event


def fields(*types):
    names = set()
    for one in [member for each in types for member in members(each)]:
        model = getattr(one, "model_fields", None)
        names |= set(model) if model else set(typing.get_type_hints(one))
    return sorted(names)


def members(one):
    """Types of a union, or the one that it is."""
    if typing.get_origin(one) is typing.Union or hasattr(one, "__metadata__"):
        for each in typing.get_args(one):
            yield from members(each)
    elif isinstance(one, type):
        yield one


def kinds(union):
    """Values of `type` that a union tells its members by."""
    names = set()
    for one in members(union):
        model = getattr(one, "model_fields", None)
        hint = model["type"].annotation if model else typing.get_type_hints(one).get("type")
        while hint is not None and typing.get_origin(hint) is not typing.Literal:
            args = typing.get_args(hint)
            hint = args[0] if args else None
        names |= set(typing.get_args(hint)) if hint is not None else set()
    return sorted(names)


published = {
    "chat": {
        "": fields(completion_create_params.CompletionCreateParamsNonStreaming, completion_create_params.CompletionCreateParamsStreaming),
        "system": fields(c.ChatCompletionSystemMessageParam, c.ChatCompletionDeveloperMessageParam),
        "user": fields(c.ChatCompletionUserMessageParam),
        "assistant": fields(c.ChatCompletionAssistantMessageParam),
        "tool": fields(c.ChatCompletionToolMessageParam),
        "part": kinds(c.ChatCompletionContentPartParam),
        "text": fields(c.ChatCompletionContentPartTextParam),
        "tools": fields(c.ChatCompletionFunctionToolParam),
    },
    "messages": {
        "": fields(message_create_params.MessageCreateParamsNonStreaming, message_create_params.MessageCreateParamsStreaming),
        "message": fields(a.MessageParam),
        "block": kinds(a.ContentBlockParam),
        "text": fields(a.TextBlockParam),
        "tools": fields(a.ToolParam),
        "output_config": fields(a.OutputConfigParam),
    },
    "responses": {
        "": fields(response_create_params.ResponseCreateParamsNonStreaming, response_create_params.ResponseCreateParamsStreaming),
        "item": kinds(response_input_param.ResponseInputItemParam),
        "reasoning": fields(r.response_create_params.Reasoning),
        "text": fields(r.ResponseTextConfigParam),
        "tools": fields(r.FunctionToolParam),
    },
    "completion": {
        "": fields(c.ChatCompletion),
        "choice": fields(chat_completion.Choice),
        "message": fields(c.ChatCompletionMessage),
        "usage": fields(__import__("openai.types", fromlist=["CompletionUsage"]).CompletionUsage),
    },
    "chunk": {
        "": fields(c.ChatCompletionChunk),
        "choice": fields(chat_completion_chunk.Choice),
        "delta": fields(chat_completion_chunk.ChoiceDelta),
    },
    "message": {
        "": fields(a.Message),
        "block": kinds(a.ContentBlock),
        "usage": fields(a.Usage),
    },
    "event": {
        "": kinds(raw_message_stream_event.RawMessageStreamEvent),
        "delta": kinds(a.RawContentBlockDelta),
    },
}
print(json.dumps(published, indent=1))
