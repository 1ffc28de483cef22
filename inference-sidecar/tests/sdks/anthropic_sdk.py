"""Anthropic's SDK, unchanged, against an egress: `anthropic_sdk.py BASE_URL`."""

import json
import sys

from anthropic import Anthropic, APIError, APIStatusError, BadRequestError, NotFoundError

from checks import check, each

MODELS = ["gpt", "claude"]
ASKED = [{"role": "user", "content": "Invite Zoë to the webinar."}]
SYSTEM = [{"type": "text", "text": "Write warmly.", "cache_control": {"type": "ephemeral"}}]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Bonn"]}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL = {"name": "weather", "description": "Tells degrees.", "input_schema": SCHEMA}

client = Anthropic(base_url=sys.argv[1], api_key="unused")


@check(MODELS)
def a_stream_says_the_same_as_a_plain_answer(model):
    plain = client.messages.create(model=model, max_tokens=20, system=SYSTEM, messages=ASKED)
    text = plain.content[0].text
    assert text and plain.usage.output_tokens > 0
    with client.messages.stream(model=model, max_tokens=20, system=SYSTEM, messages=ASKED) as stream:
        streamed = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert streamed == text == final.content[0].text
    assert final.stop_reason == plain.stop_reason
    assert final.usage.output_tokens == plain.usage.output_tokens


@check(MODELS)
def an_answer_that_is_cut_says_why(model):
    message = client.messages.create(model=model, max_tokens=2, messages=ASKED)
    assert message.stop_reason == "max_tokens"


@check(MODELS)
def a_tool_is_called_and_its_result_taken(model):
    called = client.messages.create(model=model, max_tokens=99, messages=ASKED, tools=[TOOL])
    assert called.stop_reason == "tool_use"
    call = called.content[0]
    assert call.name == "weather" and call.input == {"city": "Bonn"}
    turn = [
        *ASKED,
        {"role": "assistant", "content": called.content},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "21"}]},
    ]
    after = client.messages.create(model=model, max_tokens=99, messages=turn, tools=[TOOL])
    assert after.stop_reason == "end_turn" and after.content[0].text


@check(MODELS)
def a_streamed_tool_call_is_whole(model):
    with client.messages.stream(model=model, max_tokens=99, messages=ASKED, tools=[TOOL]) as stream:
        final = stream.get_final_message()
    assert final.content[0].input == {"city": "Bonn"}


@check(MODELS)
def an_answer_has_the_shape_asked_for(model):
    config = {"format": {"type": "json_schema", "schema": SCHEMA}}
    message = client.messages.create(model=model, max_tokens=99, messages=ASKED, output_config=config)
    assert json.loads(message.content[0].text) == {"city": "Bonn"}


@check(MODELS)
def tokens_are_counted(model):
    assert client.messages.count_tokens(model=model, messages=ASKED).input_tokens > 0


@check(["gpt"])
def models_are_listed_and_found(model):
    assert model in [listed.id for listed in client.models.list()]
    assert client.models.retrieve(model).id == model


@check(["gpt"])
def a_mistake_is_named(model):
    begun = [*ASKED, {"role": "assistant", "content": "Dear"}]
    try:
        client.messages.create(model=model, max_tokens=9, messages=begun)
    except BadRequestError as error:
        assert error.body["error"]["param"] == "messages[1].role", error.body
    else:
        raise AssertionError("it was accepted")


@check(["nobody"])
def an_unknown_model_is_not_found(model):
    try:
        client.messages.create(model=model, max_tokens=9, messages=ASKED)
    except NotFoundError as error:
        assert error.body["error"]["type"] == "not_found_error", error.body
    else:
        raise AssertionError("it was found")


@check(["failing"])
def a_failure_that_the_egress_gave_up_on_is_not_tried_again(model):
    try:
        client.messages.create(model=model, max_tokens=9, messages=ASKED)
    except APIStatusError as error:
        assert error.body["error"]["code"] == "routes_exhausted", error.body
    else:
        raise AssertionError("it was answered")


@check(["breaking"])
def a_stream_that_breaks_is_no_success(model):
    said = ""
    try:
        with client.messages.stream(model=model, max_tokens=99, messages=ASKED) as stream:
            for text in stream.text_stream:
                said += text
    except APIError as error:
        assert "stream_cut" in str(error.body), error.body
    else:
        raise AssertionError("it ended as if it were whole")
    assert said


each()
