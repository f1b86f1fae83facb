# SPDX-License-Identifier: Apache-2.0
"""The text of --module-src and MODULE_SRC."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from stxbuildah.directive.modulesource import SCHEMES, parse_module_source
from stxbuildah.errors import InputError
from stxbuildah.model.module import ModuleSource

BASE = Path("/updates")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("modules/aodh", {"folder": Path("/updates/modules/aodh")}),
        ("/src/aodh|8.1.0.dev28", {"folder": Path("/src/aodh"), "version": Version("8.1.0.dev28")}),
        (".|1.0+stx.1", {"folder": Path("/updates"), "version": Version("1.0+stx.1")}),
        ("./a:b", {"folder": Path("/updates/a:b")}),
        ("modules/x|", {"folder": Path("/updates/modules/x")}),
        # The guide's own example.
        (
            "https://github.com/starlingx-staging/stx-nova|stx/stein.1",
            {"url": "https://github.com/starlingx-staging/stx-nova", "ref": "stx/stein.1"},
        ),
        ("https://git.example/nova.git", {"url": "https://git.example/nova.git"}),
        ("https://git.example/nova||2.0", {"url": "https://git.example/nova", "version": Version("2.0")}),
        ("file:///src/nova|v1|2.0", {"url": "file:///src/nova", "ref": "v1", "version": Version("2.0")}),
        (
            "ssh://git@git.example:29418/nova|refs/changes/34/1234/5",
            {"url": "ssh://git@git.example:29418/nova", "ref": "refs/changes/34/1234/5"},
        ),
        ("git@git.example:group/nova.git|1.2", {"url": "git@git.example:group/nova.git", "ref": "1.2"}),
        ("mirrors/nova.git|master", {"url": "file:///updates/mirrors/nova.git", "ref": "master"}),
        ("with space.git", {"url": "file:///updates/with%20space.git"}),
    ],
)
def test_what_is_understood(text: str, expected: dict[str, object]) -> None:
    assert parse_module_source(text, BASE) == ModuleSource(text=text, **expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "'' is not a module source"),
        ("|1.0", "'|1.0' is not a module source"),
        ("a\nb", r"'a\nb' is not a module source"),
        (
            "ext::sh -c 'id'",
            "the module source \"ext::sh -c 'id'\" names a git remote helper, which may run any program",
        ),
        ("fd::17/foo", "the module source 'fd::17/foo' names a git remote helper, which may run any program"),
        ("https::https://h/x", "the module source 'https::https://h/x' names a git remote helper"),
        ("git://git.example/nova", "module sources are not fetched by 'git'"),
        ("ftp://git.example/nova", "module sources are not fetched by 'ftp'"),
        ("://git.example/nova", "module sources are not fetched by 'an empty scheme'"),
        ("git.example:nova", "the module source 'git.example:nova' is neither a folder nor a git repository"),
        ("-oProxyCommand=id@h:x", "the module source '-oProxyCommand=id@h:x' is neither"),
        ("git@-oProxyCommand=id:x", "the module source 'git@-oProxyCommand=id:x' is neither"),
        ("ssh://-oProxyCommand=id/x", "'ssh://-oProxyCommand=id/x' names no server"),
        ("ssh://-l@host/x", "'ssh://-l@host/x' names no server"),
        ("https://git.example", "'https://git.example' names a server but no repository"),
        ("https://[::1/x", "'https://[::1/x' is no URL: Invalid IPv6 URL"),
        ("https://h:port/x", "'https://h:port/x' is no URL: Port could not be cast to integer value as 'port'"),
        ("file://server/x", "'file://server/x' names no folder of this machine"),
        ("file:relative", "the module source 'file:relative' is neither a folder nor a git repository"),
        ("https://h/x|-b", "the git ref '-b' starts with a dash: git would read it as an option"),
        ("https://h/x|--upload-pack=id", "the git ref '--upload-pack=id' starts with a dash"),
        ("https://h/x|a..b", "'a..b' is no name of a git ref"),
        ("https://h/x|HEAD~1", "'HEAD~1' is no name of a git ref"),
        ("https://h/x|a b", "'a b' is no name of a git ref"),
        ("https://h/x|a:b", "'a:b' is no name of a git ref"),
        ("https://h/x|a.lock", "'a.lock' is no name of a git ref"),
        ("https://h/x|a|b|c", "the module source 'https://h/x|a|b|c' has 1 field(s) too many"),
        ("folder|ref|1.0", "the module source 'folder|ref|1.0' has 1 field(s) too many"),
        ("folder|stein", "'stein' in the module source 'folder|stein' is no version after PEP 440"),
        ("https://h/x|ref|one", "'one' in the module source 'https://h/x|ref|one' is no version after PEP 440"),
    ],
)
def test_what_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_module_source(text, BASE)
    assert caught.value.message.startswith(sentence)
    assert caught.value.hint


@pytest.mark.parametrize(
    "text",
    ["https://me:secret@h/x|a|b|c", "https://me:secret@h/x|r|bad", "https://secret@h", "https://me:secret@h:p/x"],
)
def test_a_password_is_in_no_error(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_module_source(text, BASE)
    assert "secret" not in caught.value.message + caught.value.hint


def test_a_source_is_shown_without_its_password() -> None:
    assert parse_module_source("https://me:secret@h/x|ref", BASE).shown == "https://h/x|ref"
    assert parse_module_source("ssh://git@h/x|ref", BASE).shown == "ssh://git@h/x|ref"


@given(st.text(max_size=60))
def test_any_text_is_a_safe_source_or_an_error(text: str) -> None:
    try:
        source = parse_module_source(text, BASE)
    except InputError:
        return
    assert (source.folder is None) != (source.url == "")
    assert not source.ref.startswith("-")
    assert not source.url.startswith("-")
    assert "::" not in source.url.split("/")[0]
    if "://" in source.url:
        assert source.url.split("://")[0].lower() in SCHEMES


@given(
    st.sampled_from(["ext::", "-", "git://", "https://", "file://", "ssh://", "x@", "a.git", "dir"]),
    st.text(alphabet="abc@:/|-._~%[] \\1", max_size=30),
)
def test_texts_that_are_almost_right(start: str, rest: str) -> None:
    test_any_text_is_a_safe_source_or_an_error.hypothesis.inner_test(start + rest)  # type: ignore[attr-defined]
