"""Compares the public names, signatures and defaults with those of an installed FastRTC; prints differences as JSON.

    python scripts/compare_api.py --python /path/to/original/bin/python [--all]

Nothing is imported from the other environment: a small program run by its interpreter describes it. A parameter that
only we have, with a default and after or beside the original's, is no difference unless ``--all`` asks for it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

DESCRIBE = r"""
import importlib, inspect, json, re, sys, warnings
warnings.simplefilter("ignore")
MODULES = ("fastrtc", "fastrtc.utils", "fastrtc.tracks", "fastrtc.pause_detection", "fastrtc.reply_on_pause",
           "fastrtc.reply_on_stopwords", "fastrtc.stream", "fastrtc.credentials", "fastrtc.speech_to_text",
           "fastrtc.text_to_speech")
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
            if inspect.isfunction(member):
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
                 and str(getattr(v, "__module__", "")).split(".")[0] == "fastrtc"]
    found[module_name] = {}
    for name in names:
        value = getattr(module, name)
        found[module_name][name] = {**describe(value), "home": str(getattr(value, "__module__", ""))}
json.dump(found, sys.__stdout__)
"""

Description = dict[str, Any]


def describe(python: str) -> Description:
    """Public names of the fastrtc that this interpreter finds, module by module."""
    printed = subprocess.run([python, "-c", DESCRIBE], check=True, capture_output=True, text=True).stdout
    description: Description = json.loads(printed)
    return description


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
            found.append(f"{name}: {kind} {default} there, {' '.join(mine[name])} here")
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


def compare(theirs: Description, ours: Description, *, every: bool) -> dict[str, list[str]]:
    """Differences of every public name of the original, keyed by module and name."""
    found: dict[str, list[str]] = {}
    for module, names in theirs.items():
        if isinstance(names, str):
            continue
        here = ours.get(module, {})
        if isinstance(here, str):
            found[module] = [here]
            continue
        for name, description in names.items():
            if module != "fastrtc" and not f"{description['home']}.".startswith(f"{module}."):
                continue  # the original's module only imports it
            differences = compare_member(description, here.get(name), every=every)
            if differences:
                found[f"{module}.{name}"] = differences
    return found


def main() -> None:
    """Print the differences; the exit status says whether a name of ``fastrtc`` itself differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", required=True, help="interpreter of the environment with the original")
    parser.add_argument("--all", action="store_true", help="name what only we have as well")
    options = parser.parse_args()
    differences = compare(describe(options.python), describe(sys.executable), every=options.all)
    print(json.dumps(differences, indent=2))
    sys.exit(any(key.startswith("fastrtc.") and key.count(".") == 1 for key in differences))


if __name__ == "__main__":
    main()
