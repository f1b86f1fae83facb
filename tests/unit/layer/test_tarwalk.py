# SPDX-License-Identifier: Apache-2.0
import itertools
from collections.abc import Iterable

import attrs
import pytest

from stxbuildah.errors import InputError, RegistryError
from stxbuildah.layer.tarwalk import Limits, Member, MemberKind, relative_path, walk
from tests.unit.layer.tar_maker import (
    BLOCK,
    END,
    GNU,
    V7,
    base_256,
    filled,
    header,
    long_name,
    member,
    pax,
    pax_record,
    pieces,
)

LIMITS = Limits()


def everything(path: str, size: int) -> int:
    return size


def members(data: bytes | Iterable[bytes], limits: Limits = LIMITS, wanted: int | None = None) -> list[Member]:
    chunks = [data] if isinstance(data, bytes) else data
    return list(walk(chunks, limits=limits, wanted=lambda _, size: size if wanted is None else wanted))


def refused(data: bytes, sentence: str, limits: Limits = LIMITS) -> None:
    with pytest.raises(InputError, match=sentence):
        members(data, limits)


def test_the_kinds_of_members() -> None:
    data = b"".join(
        [
            member(b"./", type_flag=b"5", mode=0o755),
            member(b"etc/", type_flag=b"5", mode=0o100755, uid=1, gid=2, mtime=3),
            member(b"./etc/motd", b"hello", mode=0o4644, mtime=1_700_000_000),
            member(b"etc/link", type_flag=b"2", target=b"../a//b/", mode=0o777),
            member(b"etc/hard", type_flag=b"1", target=b"./etc/motd"),
            member(b"dev/null", type_flag=b"3", device=(1, 3), mode=0o666),
            member(b"dev/sda", type_flag=b"4", device=(8, 0)),
            member(b"run/pipe", type_flag=b"6"),
            member(b"contiguous", b"c", type_flag=b"7"),
            member(b"unknown", b"u", type_flag=b"Z"),
            member(b"old", b"o", type_flag=b"\0", magic=V7),
            member(b"older/", type_flag=b"\0", magic=V7),
            member(b"etc/.wh.gone"),
            END,
        ]
    )

    assert members(data) == [
        Member("", MemberKind.DIRECTORY, mode=0o755),
        Member("etc", MemberKind.DIRECTORY, mode=0o755, uid=1, gid=2, mtime=3),
        Member("etc/motd", mode=0o4644, size=5, mtime=1_700_000_000, content=b"hello"),
        Member("etc/link", MemberKind.SYMLINK, mode=0o777, target="../a//b/"),
        Member("etc/hard", MemberKind.HARDLINK, target="./etc/motd"),
        Member("dev/null", MemberKind.CHARACTER_DEVICE, mode=0o666, major=1, minor=3),
        Member("dev/sda", MemberKind.BLOCK_DEVICE, major=8),
        Member("run/pipe", MemberKind.FIFO),
        Member("contiguous", size=1, content=b"c"),
        Member("unknown", size=1, content=b"u"),
        Member("old", size=1, content=b"o"),
        Member("older", MemberKind.DIRECTORY),
        Member("etc/.wh.gone"),
    ]


@pytest.mark.parametrize("size", [1, 3, 511, 512, 513, 1024, 5000])
def test_pieces_of_any_size(size: int) -> None:
    data = b"".join(
        [
            long_name(b"long/" * 40 + b"a"),
            member(b"short", b"x" * 700),
            pax({b"path": b"p" * 200, b"SCHILY.xattr.user.a": b"\0\xff"}),
            member(b"q", b"y" * 512),
            member(b"last", b"z"),
            END,
        ]
    )

    assert members(pieces(data, size)) == [
        Member("long/" * 40 + "a", size=700, content=b"x" * 700),
        Member("p" * 200, size=512, content=b"y" * 512, xattrs=(("user.a", b"\0\xff"),)),
        Member("last", size=1, content=b"z"),
    ]


def test_only_what_is_wanted_is_kept() -> None:
    asked: list[tuple[str, int]] = []

    def wanted(path: str, size: int) -> int:
        asked.append((path, size))
        return {"all": size, "start": 3, "more": size + 5, "less": -1}.get(path, 0)

    names = (b"all", b"start", b"none", b"more", b"less")
    data = b"".join(member(name, b"0123456789" * 100) for name in names) + member(b"d", type_flag=b"5") + END

    found = list(walk([data], limits=LIMITS, wanted=wanted))

    assert [len(each.content) for each in found] == [1000, 3, 0, 1000, 0, 0]
    assert found[1].content == b"012"
    assert asked == [(name.decode(), 1000) for name in names]


def test_a_directory_or_link_has_no_content_whatever_its_size_says() -> None:
    # As for Go's archive/tar: pax allows a hard link to say its file's size.
    data = b"".join(member(b"a", type_flag=flag, size=5000, target=b"b") for flag in (b"1", b"2", b"3", b"5", b"6"))

    assert [each.size for each in members(data + member(b"b") + END)] == [0] * 6


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (b"a/b", "a/b"),
        (b"/a/b", "a/b"),
        (b"./a/b/", "a/b"),
        (b"a//b///", "a/b"),
        (b"a/./b/.", "a/b"),
        (b"a/c/../b", "a/b"),
        (b".a/..b/...", ".a/..b/..."),
        (b"a/.b", "a/.b"),
        (b"\xff\xc3\xbc", "\udcff\u00fc"),
        (b".", ""),
        (b"/", ""),
        (b"a/..", ""),
    ],
)
def test_paths_are_normal(name: bytes, path: str) -> None:
    assert [each.path for each in members(member(name, type_flag=b"5") + END)] == [path]
    assert relative_path(name.decode("utf-8", "surrogateescape")) == path


@pytest.mark.parametrize("name", [b"..", b"../a", b"a/../../b", b"./../a", b"/../a", b"a/b/../../../c"])
@pytest.mark.parametrize("flag", [b"0", b"1", b"5"])
def test_leaving_the_root(name: bytes, flag: bytes) -> None:
    path, target = (b"link", name) if flag == b"1" else (name, b"")

    refused(member(path, type_flag=flag, target=target) + END, "leaves the root")


def test_ustar_prefixes() -> None:
    data = b"".join(
        [
            member(b"name", prefix=b"a/prefix"),
            # GNU tar keeps times there, star divides the field.
            member(b"gnu", magic=GNU, tail=b"07654321000\0"),
            member(b"star", tail=b"p".ljust(131, b"\0") + b"01234567012\0" * 2 + bytes(8) + b"tar\0"),
            END,
        ]
    )

    assert [each.path for each in members(data)] == ["a/prefix/name", "gnu", "p/star"]


def test_numbers_in_base_256_and_with_spaces() -> None:
    large = 0o77777777777 + 5
    data = b"".join(
        [
            member(b"a", uid=base_256(3_000_000, 8), gid=b"  144 \0 ", mtime=base_256(-5, 12), mode=b"644 "),
            member(b"b", uid=b"", gid=b" " * 8, mtime=base_256(2**40, 12)),
            header(b"c", size=base_256(large, 12)),
        ]
    )
    chunks = itertools.chain([data], itertools.repeat(bytes(1 << 20), large // (1 << 20) + 1), [bytes(2048)])

    assert members(chunks, wanted=0) == [
        Member("a", uid=3_000_000, gid=0o144, mtime=-5),
        Member("b", mtime=2**40),
        Member("c", size=large),
    ]


def test_pax_records_win_over_the_header() -> None:
    records = {
        b"path": b"other/name",
        b"linkpath": b"",
        b"size": b"3",
        b"uid": b"4294967295",
        b"gid": b"70000",
        b"mtime": b"-1.25",
        b"comment": b"unknown ones are passed over",
        b"SCHILY.xattr.security.capability": b"\1\0=\n\2",
        b"SCHILY.xattr.a": b"",
    }
    data = pax(records) + header(b"name") + filled(b"abc") + member(b"next") + END

    assert members(data) == [
        Member(
            "other/name",
            size=3,
            uid=4294967295,
            gid=70000,
            mtime=-2,
            xattrs=(("a", b""), ("security.capability", b"\1\0=\n\2")),
            content=b"abc",
        ),
        Member("next"),
    ]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(b"5", 5), (b"5.999999999", 5), (b"-5", -5), (b"-5.0", -5), (b"-0.1", -1), (b"7.", 7), (b"", 9)],
)
def test_pax_times_are_rounded_down(text: bytes, seconds: int) -> None:
    assert [each.mtime for each in members(pax({b"mtime": text}) + member(b"a", mtime=9) + END)] == [seconds]


def test_global_records_count_for_nothing() -> None:
    # So it is in Go's archive/tar, and containers/storage and Docker pass the header over.
    data = pax({b"path": b"x", b"uid": b"5", b"comment": b"a commit"}, type_flag=b"g")

    assert members(data + member(b"a") + END + data) == [Member("a")]
    assert members(data + END) == []


def test_long_names_of_gnu() -> None:
    name, target = b"n" * 150, b"t" * 300
    link = header(b"short", type_flag=b"2", target=b"t", magic=GNU)
    data = long_name(target, type_flag=b"K") + long_name(name) + link + member(b"next", magic=GNU) + END

    assert members(data) == [Member(name.decode(), MemberKind.SYMLINK, target=target.decode()), Member("next")]


def test_extended_attributes_that_repeat_and_names_that_are_removed() -> None:
    data = pax([(b"path", b"a"), (b"path", b""), (b"SCHILY.xattr.b", b"1"), (b"SCHILY.xattr.b", b"2")])

    assert members(data + member(b"kept") + END) == [Member("kept", xattrs=(("b", b"2"),))]


def test_checksums_of_signed_bytes() -> None:
    # Old programs summed signed bytes.
    data = member(b"\xe9\xff", signed=True) + END

    assert [each.path for each in members(data)] == ["\udce9\udcff"]


@pytest.mark.parametrize("form", [b"%06o\0 ", b"%07o\0", b"%6o \0", b"%o"])
def test_checksums_written_in_other_ways(form: bytes) -> None:
    block = bytearray(header(b"a"))
    total = sum(block[:148]) + 8 * ord(" ") + sum(block[156:])
    block[148:156] = (form % total).ljust(8, b"\0")

    assert members(bytes(block) + END) == [Member("a")]


@pytest.mark.parametrize("checksum", [b" 12345\0 ", b"0012345\0", b"", b"77777777"])
def test_wrong_checksums(checksum: bytes) -> None:
    refused(header(b"\xe9", checksum=checksum.ljust(8, b"\0")) + END, "the checksum of a header is wrong")


def test_the_end() -> None:
    one = member(b"a", b"abc")

    for data in (one + END, one + bytes(BLOCK), one, one[:-1], one[: BLOCK + 3], one + END + b"anything" * 1000):
        assert [each.path for each in members(data)] == ["a"]
    assert members(b"") == members(END) == members(bytes(10240)) == []


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (member(b"a", b"abc")[: BLOCK + 2], "truncated in a file"),
        (member(b"a", b"abc")[:BLOCK], "truncated in a file"),
        (header(b"a", size=2**20), "truncated in a file"),
        (member(b"a")[:100], "truncated, or its tar damaged"),
        (member(b"a") + bytes(100), "truncated, or its tar damaged"),
        (member(b"a") + bytes(BLOCK) + member(b"b"), "truncated, or its tar damaged"),
        (member(b"a") + bytes(BLOCK) + bytes(100), "truncated, or its tar damaged"),
        (pax({b"path": b"x"}), "ends after an extended header"),
        (long_name(b"x") + END, "ends after an extended header"),
        (pax({b"path": b"x" * 600})[: BLOCK + 100], "truncated in an extended header"),
        (member(b"a") + b"this is no tar" * 100, "(a number should be|checksum).*after the member 'a'"),
    ],
)
def test_truncated_and_damaged(data: bytes, sentence: str) -> None:
    refused(data, sentence)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"size": base_256(-1, 12)}, "a file of -1 bytes"),
        ({"size": base_256(2**62, 12)}, "a file of 4611686018427387904 bytes"),
        ({"size": base_256(2**80, 12)}, "more than 64 bits"),
        ({"size": b"-1"}, "a number should be"),
        ({"size": b"1_0"}, "a number should be"),
        ({"size": b"9"}, "a number should be"),
        ({"uid": base_256(-2, 8)}, "the owner -2:0"),
        ({"gid": base_256(2**32, 8)}, "the owner 0:4294967296"),
        ({"type_flag": b"M"}, "none of a file system"),
        ({"type_flag": b"D"}, "none of a file system"),
        ({"name": b"./"}, "the root of the layer is a regular file"),
        ({"name": b""}, "the root of the layer is a regular file"),
        ({"type_flag": b"3", "device": (-1, 0)}, "a number should be"),
    ],
)
def test_absurd_fields(fields: dict[str, object], sentence: str) -> None:
    refused(header(**{"name": b"a", **fields}) + bytes(BLOCK), sentence)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "body",
    [
        b"5 a=b\n",
        b"7 a=b\n",
        b"06 a=b\n",
        b"6 a=b ",
        b"6 abc\n",
        b"5 =b\n",
        b"a",
        b"99999999999999999999 a=b\n",
        b"-6 a=b\n",
        b"3 \n",
        pax_record(b"path", b"a\0b"),
        pax_record(b"a\0", b"b"),
        pax_record(b"size", b"-5"),
        pax_record(b"size", b"5.0"),
        pax_record(b"size", b"9" * 19),
        pax_record(b"size", b"1" * 5000),
        pax_record(b"uid", b"1_0"),
        pax_record(b"uid", b"4294967296"),
        pax_record(b"mtime", b"1e5"),
        pax_record(b"mtime", b"nan"),
        pax_record(b"mtime", b"9" * 19),
    ],
)
def test_damaged_pax_records(body: bytes) -> None:
    refused(member(b"x", body, type_flag=b"x") + member(b"a") + END, "a pax header|the owner")


def test_limits() -> None:
    def limits(**changes: int) -> Limits:
        return attrs.evolve(LIMITS, **changes)

    two = member(b"a/b", b"abc") + member(b"b", b"abcd") + END

    assert len(members(two, limits(entries=2, path=3, component=1, content=4, total=len(two), trailing=0))) == 2
    refused(two, r"more than 1 members \(at the member 'b', byte 1536", limits(entries=1))
    refused(two, r"a path has more than 2 bytes \(at the member 'a/b'", limits(path=2, component=1))
    refused(two, "has 4 bytes, more than 3", limits(content=3))
    refused(two, f"holds more than {len(two) - 1} bytes", limits(total=len(two) - 1))
    refused(two + b"\0", "more than 0 bytes after the end", limits(trailing=0))
    refused(member(b"a/bcd") + END, "a part of a path has more than 2 bytes", limits(component=2))
    refused(member(b"a", type_flag=b"2", target=b"abcde"), "target of a link has more than 4", limits(path=4))
    refused(pax({b"path": b"a" * 600}), "extended headers of a member have more than 1000", limits(pax=1000))
    refused(long_name(b"a") * 3, "extended headers of a member have more than 1100", limits(pax=1100))
    refused(pax({}, type_flag=b"g") * 9, "more than 8 members", limits(entries=8))
    refused(header(b"a", type_flag=b"L", size=base_256(-600, 12)), "extended headers")


def test_the_errors_of_the_stream_pass() -> None:
    def failing(error: Exception) -> Iterable[bytes]:
        yield member(b"a", b"abc")
        raise error

    with pytest.raises(InputError, match=r"^damaged \(after the member 'a', byte 1024 of the tar\)$") as caught:
        members(failing(InputError("damaged", hint="pull again", details=["more"])))
    assert (caught.value.hint, caught.value.details) == ("pull again", ("more",))
    with pytest.raises(RegistryError, match=r"^reset$"):
        members(failing(RegistryError("reset")))


def test_a_stream_that_fails_at_once_is_told_as_it_is() -> None:
    def damaged(piece: bytes) -> bytes:
        raise InputError("another size")

    with pytest.raises(InputError, match=r"^another size$"):
        members(map(damaged, [b""]))
