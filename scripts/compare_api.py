"""Compares the public names, signatures and defaults with those of FastRTC 0.0.34; prints differences as JSON.

    python scripts/compare_api.py                                            with the facts in fastrtc_0_0_34.json
    python scripts/compare_api.py --python /path/to/original/bin/python      with an installed original
    python scripts/compare_api.py --python /path/to/original/bin/python --write      brings the facts up to date

Nothing is imported from the other environment: a small program run by its interpreter describes it. Besides modules
and classes it describes what instances have (``Stream``, ``ReplyOnPause``, ``WebRTC`` ...): attributes set when one
is made. A parameter that only we have, with a default and after or beside the original's, is no difference unless
``--all`` asks for it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

FACTS = Path(__file__).with_name("fastrtc_0_0_34.json")

DESCRIBE = r"""
import importlib, inspect, json, re, sys, warnings
warnings.simplefilter("ignore")
MODULES = ("fastrtc", "fastrtc.utils", "fastrtc.tracks", "fastrtc.pause_detection", "fastrtc.pause_detection.protocol",
           "fastrtc.pause_detection.silero", "fastrtc.reply_on_pause", "fastrtc.reply_on_stopwords", "fastrtc.stream",
           "fastrtc.credentials", "fastrtc.speech_to_text", "fastrtc.speech_to_text.stt_", "fastrtc.text_to_speech",
           "fastrtc.text_to_speech.tts", "fastrtc.webrtc", "fastrtc.webrtc_connection_mixin", "fastrtc.websocket")
NOISE = ("__init__", "__call__")

def default(value):
    if value is inspect.Parameter.empty:
        return "required"
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))

def parameters(call):
    try:
        found = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):
        return None
    return [[p.name, p.kind.name, default(p.default)] for p in found]

def describe(value):
    if inspect.isclass(value):
        members = {}
        own = {n for c in value.__mro__ if c.__module__.split(".")[0] == "fastrtc" for n in vars(c)}
        for name in sorted(own):
            if name.startswith("_") and name not in NOISE:
                continue
            member = inspect.getattr_static(value, name)
            if isinstance(member, (staticmethod, classmethod)):
                member = member.__func__
            member = inspect.unwrap(member)
            if inspect.isfunction(member) and member.__module__.split(".")[0] == "gradio":
                # A listener that Gradio makes for each event; its parameters are Gradio's.
                members[name] = {"kind": "method", "parameters": None}
            elif inspect.isfunction(member):
                kind = "async " if inspect.iscoroutinefunction(member) else ""
                members[name] = {"kind": kind + "method", "parameters": parameters(member)}
            elif isinstance(member, property):
                members[name] = {"kind": "property"}
            else:
                members[name] = {"kind": "attribute"}
        return {"kind": "class", "parameters": parameters(value), "members": members}
    value = inspect.unwrap(value)
    if inspect.isfunction(value):
        kind = "async " if inspect.iscoroutinefunction(value) else ""
        return {"kind": kind + "function", "parameters": parameters(value)}
    return {"kind": "value"}

found = {}
for module_name in MODULES:
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        found[module_name] = str(error)
        continue
    if module_name == "fastrtc":
        names = sorted(set(module.__all__))
    else:
        names = [n for n, v in vars(module).items() if not n.startswith("_") and not inspect.ismodule(v)
                 and type(v).__name__ not in ("TypeVar", "ParamSpec")
                 and str(getattr(v, "__module__", "")).split(".")[0] == "fastrtc"]
    found[module_name] = {}
    for name in names:
        value = getattr(module, name)
        if name == "WebRTC":
            value = type(value())
        found[module_name][name] = {**describe(value), "home": str(getattr(value, "__module__", ""))}

import fastrtc

class Model:
    def vad(self, audio, options): return 0.0, []
    def stt(self, audio): return ""
    def warmup(self): pass

def plain(audio):
    yield audio

def made(base, *args, **options):
    abstract = {name: lambda self, *args: None for name in getattr(base, "__abstractmethods__", ())}
    return type("Own", (base,), abstract)(*args, **options)

INSTANCES = {
    "Stream": lambda: fastrtc.Stream(fastrtc.ReplyOnPause(plain, model=Model()), modality="audio"),
    "WebRTC": lambda: fastrtc.WebRTC(),
    "ReplyOnPause": lambda: fastrtc.ReplyOnPause(plain, model=Model()),
    "StreamHandler": lambda: made(fastrtc.StreamHandler),
    "AsyncStreamHandler": lambda: made(fastrtc.AsyncStreamHandler),
    "AudioVideoStreamHandler": lambda: made(fastrtc.AudioVideoStreamHandler),
    "AsyncAudioVideoStreamHandler": lambda: made(fastrtc.AsyncAudioVideoStreamHandler),
    "VideoStreamHandler": lambda: fastrtc.VideoStreamHandler(plain),
    "AdditionalOutputs": lambda: fastrtc.AdditionalOutputs(1),
    "CloseStream": lambda: fastrtc.CloseStream(),
    "WebRTCData": lambda: fastrtc.WebRTCData(webrtc_id="id"),
    "AlgoOptions": lambda: fastrtc.AlgoOptions(),
    "SileroVadOptions": lambda: fastrtc.SileroVadOptions(),
}

def attributes(instance):
    everything = {name for name in {*dir(type(instance)), *vars(instance)} if not name.startswith("_")}
    # What a base of another package brings (Gradio's components, Pydantic's models) is not the original's own.
    bases = [c for c in type(instance).__mro__ if c.__module__.split(".")[0] in ("gradio", "pydantic")]
    foreign = {name for base in bases for name in dir(base)}
    if any(base.__module__.startswith("gradio.") for base in bases):
        import gradio
        foreign |= set(vars(gradio.Textbox()))
    return {"all": sorted(everything), "own": sorted(everything - foreign)}

found["instances"] = {name: attributes(make()) for name, make in INSTANCES.items()}
json.dump(found, sys.__stdout__)
"""

Description = dict[str, Any]


def describe(python: str = sys.executable) -> Description:
    """Public names of the fastrtc that this interpreter finds, module by module, and attributes of instances."""
    # Another interpreter's packages must not be mixed with those that PYTHONPATH names for this one.
    isolated = [] if python == sys.executable else ["-E"]
    printed = subprocess.run([python, *isolated, "-c", DESCRIBE], check=True, stdout=subprocess.PIPE, text=True).stdout
    description: Description = json.loads(printed)
    return description


def facts_of(description: Description) -> Description:
    """What the comparison needs to know of the original."""
    facts: Description = {}
    for module, names in description.items():
        if module == "instances":
            facts[module] = {name: attributes["own"] for name, attributes in names.items()}
        elif isinstance(names, str):
            raise SystemExit(f"{module} cannot be imported there: {names}")
        else:
            facts[module] = {
                name: {key: value for key, value in description.items() if key != "home"}
                for name, description in names.items()
                # Elsewhere what a module only imports is no name of its own.
                if module == "fastrtc" or f"{description['home']}.".startswith(f"{module}.")
            }
    return facts


def as_text(facts: Description) -> str:
    """The facts as JSON, a name a line."""
    modules = (
        f"{json.dumps(module)}: {{\n"
        + ",\n".join(f"  {json.dumps(name)}: {json.dumps(names[name], sort_keys=True)}" for name in sorted(names))
        + "\n}"
        for module, names in facts.items()
    )
    return "{\n" + ",\n".join(modules) + "\n}\n"


def compare_parameters(theirs: list[list[str]] | None, ours: list[list[str]] | None, *, every: bool) -> list[str]:
    """Differences of two parameter lists, the original's order kept."""
    if theirs is None or ours is None:
        return []
    mine = {name: (kind, default) for name, kind, default in ours}
    catch_all = {kind for _, kind, _ in ours} & {"VAR_KEYWORD"}
    found = []
    for name, kind, default in theirs:
        if name not in mine:
            if not catch_all:
                found.append(f"no parameter {name} (default {default})")
        elif mine[name] != (kind, default):
            found.append(f"parameter {name}: {kind} {default} there, {' '.join(mine[name])} here")
    shared = [name for name, *_ in theirs if name in mine]
    if shared != [name for name, *_ in ours if name in shared]:
        found.append("other order of parameters")
    known = {name for name, *_ in theirs}
    for name, kind, default in ours:
        if name not in known and (every or (default == "required" and not kind.startswith("VAR"))):
            found.append(f"further parameter {name} (default {default})")
    return found


def compare_member(theirs: Description, ours: Description | None, *, every: bool) -> list[str]:
    """Differences of one name."""
    if ours is None:
        return ["missing"]
    if theirs["kind"] != ours["kind"]:
        return [f"{theirs['kind']} there, {ours['kind']} here"]
    found = compare_parameters(theirs.get("parameters"), ours.get("parameters"), every=every)
    members = ours.get("members", {})
    for name, member in theirs.get("members", {}).items():
        found += [f"{name}: {text}" for text in compare_member(member, members.get(name), every=every)]
    if every:
        found += [f"{name}: only here" for name in members if name not in theirs.get("members", {})]
    return found


def compare(facts: Description, ours: Description, *, every: bool = False) -> dict[str, list[str]]:
    """Differences of every public name of the original, keyed by module and name.

    Args:
        facts: As :func:`facts_of` gives them.
        ours: As :func:`describe` gives it.
        every: Name what only we have as well.
    """
    found: dict[str, list[str]] = {}
    for module, names in facts.items():
        if module == "instances":
            continue
        here = ours.get(module, {})
        if isinstance(here, str):
            found[module] = [here]
            continue
        for name, description in names.items():
            differences = compare_member(description, here.get(name), every=every)
            if differences:
                found[f"{module}.{name}"] = differences
    for name, attributes in facts["instances"].items():
        known = found.get(f"fastrtc.{name}", [])
        absent = [
            f"{attribute}: missing" for attribute in attributes if attribute not in ours["instances"][name]["all"]
        ]
        found[f"fastrtc.{name}"] = known + [text for text in absent if text not in known]
    return {name: differences for name, differences in found.items() if differences}


def main() -> None:
    """Print the differences; the exit status says whether a name of ``fastrtc`` itself differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", help="interpreter of an environment with the original, instead of the facts")
    parser.add_argument("--write", action="store_true", help="write the facts, instead of comparing")
    parser.add_argument("--all", action="store_true", help="name what only we have as well")
    options = parser.parse_args()
    if options.write and options.python is None:
        parser.error("--write needs --python")
    facts = json.loads(FACTS.read_text()) if options.python is None else facts_of(describe(options.python))
    if options.write:
        FACTS.write_text(as_text(facts))
        return
    differences = compare(facts, describe(), every=options.all)
    print(json.dumps(differences, indent=2))
    sys.exit(any(key.startswith("fastrtc.") and key.count(".") == 1 for key in differences))


if __name__ == "__main__":
    main()
