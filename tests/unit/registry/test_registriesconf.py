# SPDX-License-Identifier: Apache-2.0
"""registries.conf: which files count, what they mean, where an image is looked for."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.errors import InputError, ProblemsError
from stxbuildah.model.reference import ImageReference
from stxbuildah.registry.endpoint import Endpoint
from stxbuildah.registry.registriesconf import Registries, normal, prefix_length, read_registries, rewritten

DIGEST = "sha256:" + "a" * 64


def written(folder: Path, text: str) -> Registries:
    path = folder / "registries.conf"
    path.write_text(text)
    return read_registries({"CONTAINERS_REGISTRIES_CONF": str(path)}, root=folder / "no-system")


def places(registries: Registries, image: str, *, pull: bool = True) -> list[str]:
    """Each endpoint in short: ``registry repository``, ``!`` for insecure and ``~`` for a mirror."""
    return [
        f"{place.registry} {place.repository}" + "!" * place.insecure + "~" * place.mirror
        for place in registries.endpoints(ImageReference.parse(image), pull=pull)
    ]


# The example of containers-registries.conf(5).
EXAMPLE = """
unqualified-search-registries = ["example.com"]
[[registry]]
prefix = "example.com/foo"
insecure = false
blocked = false
location = "internal-registry-for-example.com/bar"
[[registry.mirror]]
location = "example-mirror-0.local/mirror-for-foo"
[[registry.mirror]]
location = "example-mirror-1.local/mirrors/foo"
insecure = true
[[registry]]
location = "registry.com"
[[registry.mirror]]
location = "mirror.registry.com"
"""


def test_the_example_of_the_manual_page(tmp_path: Path) -> None:
    registries = written(tmp_path, EXAMPLE)
    assert places(registries, "example.com/foo/image:latest") == [
        "example-mirror-0.local mirror-for-foo/image~",
        "example-mirror-1.local mirrors/foo/image!~",
        "internal-registry-for-example.com bar/image",
    ]
    assert places(registries, "registry.com/image:latest") == ["mirror.registry.com image~", "registry.com image"]
    assert places(registries, "example.com/foobar") == ["example.com foobar"]


def test_a_push_goes_to_the_name_itself(tmp_path: Path) -> None:
    registries = written(tmp_path, EXAMPLE + '[[registry]]\nlocation = "plain.example:5000"\ninsecure = true\n')
    assert places(registries, "example.com/foo/image:1", pull=False) == ["example.com foo/image"]
    assert places(registries, "plain.example:5000/a", pull=False) == ["plain.example:5000 a!"]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("debian", "docker.io library/debian"),
        ("team/app:1", "docker.io team/app"),
        ("docker.io/debian", "docker.io library/debian"),
        ("index.docker.io/debian", "docker.io library/debian"),
        ("localhost/a", "localhost a"),
        ("127.0.0.1:5000/a/b@" + DIGEST, "127.0.0.1:5000 a/b"),
    ],
)
def test_nothing_configured(image: str, expected: str) -> None:
    assert places(Registries(), image) == [expected]


def test_docker_is_reached_under_another_name() -> None:
    assert Endpoint(registry="docker.io", repository="library/debian").host == "registry-1.docker.io"
    assert Endpoint(registry="quay.example:1", repository="a").host == "quay.example:1"


def test_the_longest_prefix_wins(tmp_path: Path) -> None:
    registries = written(
        tmp_path,
        """
        [[registry]]
        prefix = "*.example.com"
        insecure = true
        [[registry]]
        prefix = "r.example.com"
        location = "one.example.net"
        [[registry]]
        prefix = "r.example.com/team"
        location = "two.example.net/of-team"
        [[registry]]
        prefix = "r.example.com/team/app:1"
        location = "three.example.net/app:1"
        """,
    )
    assert places(registries, "s.r.example.com/x:1") == ["s.r.example.com x!"]
    assert places(registries, "s.example.com:5000/x:1") == ["s.example.com:5000 x!"]
    assert places(registries, "r.example.com/x:1") == ["one.example.net x"]
    assert places(registries, "r.example.com/team/app:2") == ["two.example.net of-team/app"]
    assert places(registries, "r.example.com/teams/app:2") == ["one.example.net teams/app"]
    assert places(registries, "r.example.com/team/app:1") == ["three.example.net app"]
    assert places(registries, "example.com/x") == ["example.com x"]


@pytest.mark.parametrize(
    ("setting", "by_tag", "by_digest"),
    [
        ("", True, True),
        ('pull-from-mirror = "all"', True, True),
        ('pull-from-mirror = "digest-only"', False, True),
        ('pull-from-mirror = "tag-only"', True, False),
    ],
)
def test_when_a_mirror_is_asked(setting: str, by_tag: bool, by_digest: bool, tmp_path: Path) -> None:
    text = f'[[registry]]\nlocation = "r.example"\n[[registry.mirror]]\nlocation = "m.example"\n{setting}\n'
    registries = written(tmp_path, text)
    assert ("m.example a~" in places(registries, "r.example/a:1")) is by_tag
    assert ("m.example a~" in places(registries, f"r.example/a@{DIGEST}")) is by_digest


def test_mirrors_for_digests_alone(tmp_path: Path) -> None:
    text = '[[registry]]\nlocation = "r.example"\nmirror-by-digest-only = true\n'
    text += '[[registry.mirror]]\nlocation = "m.example"\n'
    registries = written(tmp_path, text)
    assert places(registries, "r.example/a:1") == ["r.example a"]
    assert places(registries, f"r.example/a@{DIGEST}") == ["m.example a~", "r.example a"]


def test_blocked_is_blocked_by_any_name(tmp_path: Path) -> None:
    registries = written(
        tmp_path,
        """
        [[registry]]
        location = "bad.example"
        blocked = true
        [[registry]]
        prefix = "good.example"
        location = "bad.example/inside"
        """,
    )
    message = rf"bad\.example/a is blocked by {re.escape(str(tmp_path))}/registries\.conf \(prefix bad\.example\)"
    for pull in (True, False):
        with pytest.raises(InputError, match=message):
            registries.endpoints(ImageReference.parse("bad.example/a:1"), pull=pull)
    with pytest.raises(InputError, match=r"bad\.example/inside/a is blocked by"):
        registries.endpoints(ImageReference.parse("good.example/a:1"), pull=True)


def test_a_location_that_makes_no_image(tmp_path: Path) -> None:
    registries = written(tmp_path, '[[registry]]\nprefix = "r.example"\nlocation = "Upper/Case"\n')
    with pytest.raises(InputError, match=r"registries\.conf: the location Upper/Case makes 'Upper/Case/a:1' of"):
        registries.endpoints(ImageReference.parse("r.example/a:1"), pull=True)
    registries = written(tmp_path, '[[registry]]\nprefix = "r.example"\nlocation = "mirror"\n')
    with pytest.raises(InputError, match=r"the location mirror names no registry for r\.example/a:1"):
        registries.endpoints(ImageReference.parse("r.example/a:1"), pull=True)


def test_all_mistakes_of_all_files_are_told(tmp_path: Path) -> None:
    home = tmp_path / "home/.config/containers"
    (home / "registries.conf.d").mkdir(parents=True)
    (home / "registries.conf").write_text(
        """
        unqualified-search-registries = "docker.io"
        short-name-mode = "maybe"
        [[registry]]
        insecure = true
        [[registry]]
        prefix = "a.example"
        [[registry]]
        location = "https://b.example"
        insecure = "yes"
        pull-from-mirror = "all"
        mirror-by-digest-only = true
        [[registry.mirror]]
        [[registry.mirror]]
        location = "c.example"
        pull-from-mirror = "all"
        [[registry]]
        prefix = "d.example/1"
        location = "d.example"
        [[registry]]
        location = "d.example"
        blocked = true
        [aliases]
        "registry.example/x" = "quay.example/x"
        y = "quay.example/y:1"
        """
    )
    (home / "registries.conf.d/broken.conf").write_text("= 1")
    (home / "registries.conf.d/old.conf").write_text("[registries.search]\nregistries = []\n")
    (home / "registries.conf.d/ignored.txt").write_text("= 1")
    with pytest.raises(ProblemsError) as caught:
        read_registries({"HOME": str(tmp_path / "home")}, root=tmp_path)
    told = [str(problem).removeprefix(f"{home}/") for problem in caught.value.problems]
    assert [line.partition(" at line")[0].partition(" (")[0] for line in told] == [
        "registries.conf: a [[registry]] has neither prefix nor location",
        "registries.conf: the [[registry]] with prefix a.example has no location",
        "registries.conf: 'https://b.example' has a scheme; write host:port/path alone",
        "registries.conf: pull-from-mirror is for mirrors, and not for the [[registry]] https://b.example",
        "registries.conf: a mirror of https://b.example has no location",
        (
            "registries.conf: https://b.example has mirror-by-digest-only, and its mirror c.example pull-from-mirror; "
            "one of them goes"
        ),
        "registries.conf: insecure is 'yes', neither true nor false",
        "registries.conf: the location d.example is given twice, with unlike blocked",
        "registries.conf: unqualified-search-registries is no array of strings",
        "registries.conf: the alias 'registry.example/x' is no short name; it has no registry, no tag and no digest",
        "registries.conf: the alias y stands for 'quay.example/y:1', not for a registry and a repository alone",
        "registries.conf: short-name-mode is 'maybe', none of enforcing, permissive, disabled",
        "registries.conf.d/broken.conf: is not TOML: Invalid statement",
        (
            "registries.conf.d/old.conf: [registries.search], [registries.insecure] and [registries.block] are "
            "version 1, which is not read; write unqualified-search-registries and [[registry]] tables"
        ),
    ]


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the file .*/none that CONTAINERS_REGISTRIES_CONF names is not there"):
        read_registries({"CONTAINERS_REGISTRIES_CONF": str(tmp_path / "none")})


def test_the_systems_file_counts_where_the_user_has_none(tmp_path: Path) -> None:
    (tmp_path / "etc/containers").mkdir(parents=True)
    (tmp_path / "etc/containers/registries.conf").write_text('[[registry]]\nlocation = "s.example"\ninsecure = true\n')
    for environment in ({}, {"HOME": str(tmp_path / "home")}):
        assert places(read_registries(environment, root=tmp_path), "s.example/a") == ["s.example a!"]


def test_later_files_replace_tables_lists_and_aliases(tmp_path: Path) -> None:
    home = tmp_path / ".config/containers"
    (home / "registries.conf.d").mkdir(parents=True)
    recorded = tmp_path / "cache/containers/short-name-aliases.conf"
    recorded.parent.mkdir(parents=True)
    system = tmp_path / "system/etc/containers"
    (system / "registries.conf.d").mkdir(parents=True)
    # The user's own file takes this one's place, but not that of its drop-in files.
    (system / "registries.conf").write_text('[[registry]]\nlocation = "s.example"\nblocked = true\n')
    (system / "registries.conf.d/00.conf").write_text(
        '[[registry]]\nlocation = "s.example"\ninsecure = true\n[aliases]\nthree = "system.example/three"\n'
        'four = "system.example/four"\n'
    )
    (home / "registries.conf").write_text(
        'unqualified-search-registries = ["a.example"]\n[[registry]]\nlocation = "r.example"\ninsecure = true\n'
        '[aliases]\none = "q.example/one"\ntwo = "q.example/two"\nthree = "q.example/three"\n'
    )
    (home / "registries.conf.d/10.conf").write_text(
        '[[registry]]\nlocation = "r.example"\n[[registry.mirror]]\nlocation = "m.example"\n[aliases]\none = ""\n'
    )
    (home / "registries.conf.d/20.conf").write_text('unqualified-search-registries = ["b.example", "docker.io"]\n')
    recorded.write_text('[aliases]\ntwo = "recorded.example/two"\n')
    registries = read_registries(
        {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}, root=tmp_path / "system"
    )

    def candidates(name: str) -> list[str]:
        return [str(candidate) for candidate in registries.candidates(ImageReference.parse(name))]

    assert places(registries, "r.example/a") == ["m.example a~", "r.example a"]
    assert places(registries, "s.example/a") == ["s.example a!"]
    # Drop-in files count more than registries.conf, the system's too.
    assert candidates("three:7") == ["system.example/three:7"]
    assert candidates("four") == ["system.example/four:latest"]
    assert candidates("one") == ["b.example/one:latest", "docker.io/library/one:latest"]
    assert candidates("quay.example/x") == ["quay.example/x:latest"]
    assert candidates(f"two@{DIGEST}") == [f"recorded.example/two@{DIGEST}"]


def test_short_names_that_lead_nowhere_or_to_several_places(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the short name app:1 has no alias, and registries\.conf names no"):
        Registries().candidates(ImageReference.parse("app:1"))
    several = 'unqualified-search-registries = ["a.example", "b.example"]\nshort-name-mode = "enforcing"\n'
    with pytest.raises(InputError, match=r"app may be in a\.example, b\.example, and registries\.conf demands"):
        written(tmp_path, several).candidates(ImageReference.parse("app"))


PARTS = st.from_regex(r"[a-z0-9]{1,3}", fullmatch=True)
NAMES = st.builds(
    "/".join, st.tuples(st.sampled_from(["r.io", "a.r.io", "r.io:5000", "localhost:1"]), PARTS, PARTS, PARTS)
)


@given(NAMES, st.sampled_from(["", ":1", f"@{DIGEST}"]), st.integers(1, 4))
def test_every_beginning_that_ends_with_a_part_matches(name: str, suffix: str, count: int) -> None:
    prefix = "/".join(name.split("/")[:count])
    assert prefix_length(name + suffix, prefix) == len(prefix)
    assert rewritten(name + suffix, prefix, "new.example/x") == "new.example/x" + (name + suffix)[len(prefix) :]
    assert rewritten(name + suffix, prefix, prefix) == name + suffix


@given(NAMES, st.data())
def test_a_prefix_matches_whole_parts_alone(name: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(name)))
    matches = prefix_length(name, name[:cut]) is not None
    assert matches == (cut == len(name) or name[cut] in ":/@")


@given(st.lists(PARTS, min_size=1, max_size=3), NAMES)
def test_a_wildcard_matches_any_host_below_it_and_keeps_the_rest(labels: list[str], name: str) -> None:
    text = f"{'.'.join(labels)}.wild.example/{name}"
    length = prefix_length(text, "*.wild.example")
    assert length is not None
    assert rewritten(text, "*.wild.example", "m.example") == f"m.example/{name}"
    assert prefix_length(f"wild.example/{name}", "*.wild.example") is None
    assert prefix_length(f"other.example/x.wild.example/{name}", "*.wild.example") is None


@given(NAMES)
def test_normalizing_twice_changes_nothing(name: str) -> None:
    once = normal(ImageReference.parse(name))
    assert normal(once) == once
