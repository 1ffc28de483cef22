"""OpenAI's SDK, unchanged, against an egress: `openai_sdk.py BASE_URL`."""

import sys

from openai import APIError, APIStatusError, BadRequestError, NotFoundError, OpenAI
from pydantic import BaseModel

from checks import check, each

MODELS = ["gpt", "claude"]
ASKED = [
    {"role": "system", "content": "Write warmly."},
    {"role": "user", "content": "Invite Zoë to the webinar."},
]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Bonn"]}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA, "strict": True}}

client = OpenAI(base_url=f"{sys.argv[1]}/v1", api_key="unused")


class Letter(BaseModel):
    opening: str
    closing: str


@check(MODELS)
def a_stream_says_the_same_as_a_plain_answer(model):
    plain = client.chat.completions.create(model=model, messages=ASKED, max_tokens=20)
    text = plain.choices[0].message.content
    assert text and plain.usage.completion_tokens > 0
    stream = client.chat.completions.create(
        model=model, messages=ASKED, max_tokens=20, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    streamed = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert streamed == text, (streamed, text)
    assert chunks[-1].usage.completion_tokens == plain.usage.completion_tokens


@check(MODELS)
def a_tool_is_called_and_its_result_taken(model):
    call = client.chat.completions.create(model=model, messages=ASKED, tools=[TOOL])
    message = call.choices[0].message
    assert call.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls[0].function.arguments.replace(" ", "") == '{"city":"Bonn"}'
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "21"}
    after = client.chat.completions.create(model=model, messages=[*ASKED, message, result], tools=[TOOL])
    assert after.choices[0].finish_reason == "stop" and after.choices[0].message.content


@check(MODELS)
def a_streamed_tool_call_is_whole(model):
    with client.chat.completions.stream(model=model, messages=ASKED, tools=[TOOL]) as stream:
        final = stream.get_final_completion()
    call = final.choices[0].message.tool_calls[0]
    assert call.function.name == "weather"
    assert call.function.arguments.replace(" ", "") == '{"city":"Bonn"}'


@check(MODELS)
def an_answer_has_the_shape_asked_for(model):
    parsed = client.chat.completions.parse(model=model, messages=ASKED, response_format=Letter)
    assert isinstance(parsed.choices[0].message.parsed, Letter)


@check(MODELS)
def a_response_streams_the_same_as_it_says_at_once(model):
    plain = client.responses.create(model=model, input="Invite Zoë.", instructions="Write warmly.")
    assert plain.status == "completed" and plain.output_text and plain.usage.total_tokens > 0
    with client.responses.stream(model=model, input="Invite Zoë.", instructions="Write warmly.") as stream:
        pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert "".join(pieces) == plain.output_text == final.output_text
    assert final.usage.output_tokens == plain.usage.output_tokens


@check(MODELS)
def a_response_that_is_cut_says_why(model):
    response = client.responses.create(model=model, input="Invite Zoë.", max_output_tokens=2)
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"


@check(MODELS)
def a_response_calls_a_tool_and_takes_its_result(model):
    tool = {"type": "function", "name": "weather", "parameters": SCHEMA, "strict": True}
    asked = [{"role": "user", "content": "How warm is it?"}]
    called = client.responses.create(model=model, input=asked, tools=[tool])
    call = called.output[0]
    assert call.type == "function_call" and call.arguments.replace(" ", "") == '{"city":"Bonn"}'
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "21"}
    after = client.responses.create(model=model, input=[*asked, call, result], tools=[tool])
    assert after.output_text
    with client.responses.stream(model=model, input=asked, tools=[tool]) as stream:
        final = stream.get_final_response()
    assert final.output[0].arguments.replace(" ", "") == '{"city":"Bonn"}'


@check(MODELS)
def a_response_has_the_shape_asked_for(model):
    parsed = client.responses.parse(model=model, input="Write a letter.", text_format=Letter)
    assert isinstance(parsed.output_parsed, Letter)


@check(["gpt"])
def texts_are_embedded(model):
    embedded = client.embeddings.create(model=model, input=["a", "b"])
    assert len(embedded.data) == 2 and len(embedded.data[0].embedding) > 0


@check(["gpt"])
def texts_are_judged(model):
    judged = client.moderations.create(model=model, input="Invite Zoë.")
    assert judged.results[0].flagged is False and judged.results[0].category_scores.violence < 0.5


@check(["gpt"])
def models_are_listed_and_found(model):
    assert model in [listed.id for listed in client.models.list()]
    assert client.models.retrieve(model).id == model


@check(MODELS)
def a_mistake_is_named(model):
    try:
        client.responses.create(model=model, input="x", previous_response_id="resp_1")
    except BadRequestError as error:
        assert error.param == "previous_response_id", error
    else:
        raise AssertionError("it was accepted")


@check(["nobody"])
def an_unknown_model_is_not_found(model):
    try:
        client.chat.completions.create(model=model, messages=ASKED)
    except NotFoundError as error:
        assert error.code == "model_not_found", error
    else:
        raise AssertionError("it was found")


@check(["failing"])
def a_failure_that_the_egress_gave_up_on_is_not_tried_again(model):
    try:
        client.chat.completions.create(model=model, messages=ASKED)
    except APIStatusError as error:
        assert error.code == "routes_exhausted", error
    else:
        raise AssertionError("it was answered")


@check(["breaking"])
def a_stream_that_breaks_is_no_success(model):
    said = ""
    try:
        for chunk in client.chat.completions.create(model=model, messages=ASKED, stream=True):
            said += chunk.choices[0].delta.content or ""
    except APIError as error:
        assert error.code == "stream_cut", error
    else:
        raise AssertionError("it ended as if it were whole")
    assert said
    kinds = [event.type for event in client.responses.create(model=model, input="x", stream=True)]
    assert kinds[-1] == "response.failed", kinds


each()
