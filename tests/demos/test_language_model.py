"""The partner that asks a language model, against a local server with OpenAI's endpoints."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from tests.fakes.openai_http import OpenAiHttp
from tests.fakes.serving import serving

from fastrtc.context import WebRTCError
from fastrtc.demos.language_model import MANNERS, LanguageModelPartner
from fastrtc.replies import Reply, current_reply

KEY = "sk-good"


@pytest.fixture
def service() -> Iterator[tuple[OpenAiHttp, str]]:
    fake = OpenAiHttp(lambda audio: "", answer=lambda messages: f"You said {messages[-1]['content']}. That is all.")
    fake.app.router.routes.append(Route("/v1/models", models))
    with serving(fake.app) as served:
        yield fake, f"{served.url}/v1"


async def models(_: Request) -> JSONResponse:
    return JSONResponse({"object": "list", "data": [{"id": "small-one"}, {"id": "other"}]})


def test_an_answer_comes_in_parts_and_the_conversation_is_kept(service: tuple[OpenAiHttp, str]) -> None:
    fake, url = service
    partner = LanguageModelPartner(url + "/", api_key=KEY)
    assert partner.greeting()
    parts = list(partner.answer("hello"))
    assert "".join(parts).strip() == "You said hello. That is all."
    assert len(parts) > 1
    list(partner.answer("more"))
    assert fake.chats[-1] == [
        {"role": "system", "content": MANNERS},
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "You said hello. That is all."},
        {"role": "user", "content": "more"},
    ]


def test_of_an_interrupted_answer_it_remembers_what_was_heard(service: tuple[OpenAiHttp, str]) -> None:
    fake, url = service
    partner = LanguageModelPartner(url, "small-one", KEY)
    reply = Reply(1, lambda: 1.0)
    reply.add(1.0, "You said hello.")
    reply.add(1.0, "That is all.")
    token = current_reply.set(reply)
    list(partner.answer("hello"))
    current_reply.reset(token)
    reply.freeze(1.0, interrupted=True)
    list(partner.answer("more"))
    assert fake.chats[-1][2] == {"role": "assistant", "content": "You said hello."}


def test_a_refusal_is_shown(service: tuple[OpenAiHttp, str], free_port: int) -> None:
    with pytest.raises(WebRTCError, match="answers 401"):
        list(LanguageModelPartner(service[1], "small-one", "sk-bad").answer("hello"))
    with pytest.raises(WebRTCError, match=f"127.0.0.1:{free_port}/v1 cannot be reached"):
        list(LanguageModelPartner(f"http://127.0.0.1:{free_port}/v1", "small-one").answer("hello"))


def test_a_server_without_models_says_what_to_do() -> None:
    async def none(_: Request) -> JSONResponse:
        return JSONResponse({"data": []})

    with (
        serving(Starlette(routes=[Route("/v1/models", none)])) as served,
        pytest.raises(WebRTCError, match="--llm-model"),
    ):
        list(LanguageModelPartner(f"{served.url}/v1", api_key="").answer("hello"))


def test_the_key_of_the_environment_is_sent(service: tuple[OpenAiHttp, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert "".join(LanguageModelPartner(service[1]).answer("hello"))
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(WebRTCError, match="answers 401"):
        list(LanguageModelPartner(service[1], "small-one").answer("hello"))
