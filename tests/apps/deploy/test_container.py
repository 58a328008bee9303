"""The Dockerfile and the script that packages the app, as far as they can be checked without a container engine."""

import fnmatch
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "apps" / "deploy"


@pytest.fixture
def instructions():
    """Name and arguments of each instruction."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def arguments(instructions, name):
    return [words for instruction, words in instructions if instruction == name]


def test_the_container_runs_without_root_on_a_base_of_choice(instructions):
    known = {"ARG", "FROM", "RUN", "COPY", "ENV", "WORKDIR", "USER", "ENTRYPOINT"}
    assert {name for name, _ in instructions} <= known
    assert instructions[0] == ("ARG", "BASE=python:3.11-slim") and instructions[1] == ("FROM", "${BASE}")
    assert not re.match(r"(root|0)\b", arguments(instructions, "USER")[-1])
    assert [name for name, _ in instructions[-2:]] == ["USER", "ENTRYPOINT"]
    environment = " ".join(arguments(instructions, "ENV"))
    assert {"HOME=/tmp", "USER=unicoal"} <= set(environment.split())  # a number as user has neither home nor name


def test_what_the_image_needs_goes_to_the_builder_and_nothing_else(instructions):
    lines = [
        line for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] not in ("#", "")
    ]
    taken = {line[1:] for line in lines if line.startswith("!")}
    assert lines[0] == "*"
    assert {"requirements.txt", "pyproject.toml", "unicoal_components", "bundles"} <= taken
    assert not any(fnmatch.fnmatch(name, pattern) for name in ("tests", ".git", "apps") for pattern in taken)
    for copied in arguments(instructions, "COPY"):
        source, _ = copied.split()
        assert source == "." or source in taken
    assert {"setup.py", "README.md", "LICENSE"} <= taken  # the wheel is built from these too


def test_the_program_of_the_image_is_the_command_of_the_package(instructions):
    (program,) = json.loads(arguments(instructions, "ENTRYPOINT")[0])
    assert program in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


def test_the_package_holds_app_package_requirements_and_model(tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "monai-deploy").write_text('#!/bin/sh\necho "$@"\ncp -R "$(dirname "$2")/.." "$COPY"\n')
    (tools / "monai-deploy").chmod(0o755)
    copy = tmp_path / "copy"
    command = ["bash", str(DEPLOY / "package.sh"), "name:1", "--platform", "x86_64"]
    path = f"{tools}:/usr/bin:/bin"
    said = subprocess.run(command, env={"PATH": path, "COPY": str(copy)}, capture_output=True, text=True, check=True)
    assert said.stdout.startswith("package ") and said.stdout.endswith("--tag name:1 --platform x86_64\n")
    app, model = copy / "app", copy / "models" / "unified"
    assert all((app / path.name).is_file() for path in [*DEPLOY.glob("*.py"), DEPLOY / "app.yaml"])
    assert (app / "unicoal_components" / "__init__.py").is_file() and (model / "models" / "model.pt").is_file()
    wanted = (ROOT / "requirements.txt").read_text() + (DEPLOY / "requirements.txt").read_text()
    assert (app / "requirements.txt").read_text() == wanted
    assert not list(copy.rglob("__pycache__"))


def test_packaging_without_a_name_or_the_packager_says_what_is_missing(tmp_path):
    def run(*words):
        command = ["/bin/bash", str(DEPLOY / "package.sh"), *words]
        return subprocess.run(command, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False)

    assert run().returncode != 0 and "name" in run().stderr
    assert run("name:1").returncode == 1 and "monai-deploy" in run("name:1").stderr
