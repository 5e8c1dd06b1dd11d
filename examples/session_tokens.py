"""Session tokens: who has logged in may talk, for an hour at most, and the handler knows who it is.

    pip install fastrtc
    python examples/session_tokens.py        # then open http://127.0.0.1:7860, and log in as ada with "lovelace"

The app checks the password and mints a token that is good for a minute; the page shows it when it connects, over
WebRTC or a WebSocket alike. Nobody can forge one, and without one there is no session. Here the token goes to the
built-in page behind a ``#``, which browsers send to no server. ``SESSION_SECRET`` in the environment keeps tokens valid
over restarts.
"""

import hmac
import os

import uvicorn
from fastapi import FastAPI, HTTPException
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from starlette.routing import Mount

from fastrtc import AdditionalOutputs, ReplyOnPause, Stream, get_current_context
from fastrtc.limits import Limits
from fastrtc.tokens import SessionTokens

PASSWORDS = {"ada": "lovelace", "alan": "turing"}
PAGE = """<!doctype html>
<title>Session tokens</title>
<form><input name="name" placeholder="name"><input name="password" type="password"><button>Talk</button></form>
<p id="problem"></p>
<script>
  document.querySelector("form").onsubmit = async (event) => {
    event.preventDefault();
    const body = JSON.stringify(Object.fromEntries(new FormData(event.target)));
    const answer = await fetch("token", { method: "POST", headers: { "Content-Type": "application/json" }, body });
    if (answer.ok) location.href = `talk/#token=${(await answer.json()).token}`;
    else document.querySelector("#problem").textContent = "Wrong name or password.";
  };
</script>"""


class Login(BaseModel):
    name: str
    password: str


def reply(audio):
    user = get_current_context().user
    yield AdditionalOutputs(f"{user['name']} said this")
    yield audio


tokens = SessionTokens(os.environ.get("SESSION_SECRET"), lifetime_s=60)
stream = Stream(
    ReplyOnPause(reply),
    modality="audio",
    concurrency_limit=5,
    time_limit=3600,
    authorize=tokens,
    limits=Limits(max_memory_mb=2_000),
)

app = FastAPI()
stream.mount(app)
app.router.routes.append(Mount("/talk", routes=stream.page(base="..")))


@app.get("/")
def index() -> HTMLResponse:
    return HTMLResponse(PAGE)


@app.post("/token")
def token(login: Login) -> dict[str, str]:
    known = PASSWORDS.get(login.name, "")
    if not known or not hmac.compare_digest(known.encode(), login.password.encode()):
        raise HTTPException(401, "wrong name or password")
    return {"token": tokens.mint({"name": login.name})}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("PORT", "7860")))
