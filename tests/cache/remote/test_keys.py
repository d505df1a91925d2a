"""Keys: where they come from, which of them count, and that the private one is never shown."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import traceback
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from hatch_wazcache.cache.remote.key_texts import base64_text
from hatch_wazcache.cache.remote.keys import SigningKey, TrustedKeys, user_keys_file
from hatch_wazcache.errors import WazcacheError
from tests.support.marks import as_ordinary_user, as_root
from tests.support.signatures import SIGNER, STRANGER, trusting

TODAY = date(2026, 5, 17)
YESTERDAY, TOMORROW = TODAY - timedelta(days=1), TODAY + timedelta(days=1)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
ORDER = 2**252 + 27742317777372353535851937790883648493
"""The order of the group of Ed25519: RFC 8032, section 5.1."""

LOW_ORDER = [
    "00" * 32,
    "01" + "00" * 31,
    "ec" + "ff" * 30 + "7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "01" + "00" * 30 + "80",
    "ed" + "ff" * 30 + "7f",
    "ee" + "ff" * 30 + "7f",
    "ff" * 32,
]
"""The points of low order, and other ways to write them: https://eprint.iacr.org/2020/1244."""


def read(
    variable: str = "",
    file: Path | None = None,
    project: tuple[str, ...] = (),
    today: date = TODAY,
) -> TrustedKeys:
    environment = {"WAZCACHE_TRUSTED_KEYS": variable} if variable else {}
    return TrustedKeys.read(
        environment, file, project, "tool.wazcache.remote.trusted-keys", today=today
    )


def trusts(trusted: TrustedKeys, key: SigningKey = SIGNER) -> bool:
    return trusted.verify(key.public, b"text", key.sign(b"text")) == ""


# the private key


def test_a_private_key_that_was_made_can_be_read_again():
    made = SigningKey.generate()
    again = SigningKey.read(made.text)
    assert (again.public, again.text) == (made.public, made.text)
    assert again.sign(b"text") == made.sign(b"text")
    assert SigningKey.generate().text != made.text


def test_the_public_key_is_that_of_rfc_8032():
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    assert SigningKey(seed).public == f"wazcache-public-{base64_text(public)}"


@pytest.mark.parametrize(
    "text",
    [
        "{key}", "{key}\n", "\ufeff{key}", "\ufeff# mine\r\n\r\n{key}\r\n", "  {key}  # mine",
        "# {other}\n{key}\n# the end",
    ],
    ids=repr,
)  # fmt: skip
def test_a_private_key_is_read_from_a_file(tmp_path: Path, text: str):
    path = tmp_path / "key"
    path.write_bytes(text.format(key=SIGNER.text, other=STRANGER.text).encode())
    assert SigningKey.read(str(path)).public == SIGNER.public


def test_a_private_key_is_read_from_a_file_below_the_home(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "key").write_text(SIGNER.text)
    assert SigningKey.read("~/key").public == SIGNER.public


def wrong_private_keys() -> list[str]:
    text = SIGNER.text
    body = text.removeprefix("wazcache-private-")
    return [
        body, text[:-1], f"{text}A", f"{text}=", f"{text} {STRANGER.text}", text.upper(),
        f'"{text}"', f"wazcache-private-{body[:20]} {body[20:]}", f"{text}+", SIGNER.public,
        text.replace("private", "public"), f"wazcache-private_{body}", f"{text[:-1]}é",
        f"{body}\0", "x" * 5000 + body, " ", f"/no/such/{body}", f"{text[:-1]}{after(text[-1])}",
    ]  # fmt: skip


def after(letter: str) -> str:
    """Return the letter with the same first four of its six bits, and other last ones."""
    return ALPHABET[ALPHABET.index(letter) ^ 1]


@pytest.mark.parametrize("number", range(len(wrong_private_keys())))
@pytest.mark.parametrize("as_file", [False, True])
def test_a_wrong_private_key_is_one_message_that_does_not_show_it(
    tmp_path: Path, number: int, as_file: bool
):
    text = value = wrong_private_keys()[number]
    if as_file:
        value = str(tmp_path / "key")
        Path(value).write_text(text, "utf-8")
    with pytest.raises(WazcacheError) as caught:
        SigningKey.read(value)
    message = str(caught.value)
    assert message.startswith("WAZCACHE_SIGNING_KEY")
    assert "wazcache-private-" in message
    assert "\n" not in message
    shown = "".join(traceback.format_exception(caught.value))
    body = SIGNER.text.removeprefix("wazcache-private-")
    for part in (body[:20], body[20:40], body.upper()[:20]):
        assert part not in message
        assert part not in shown


def test_a_file_of_a_private_key_that_cannot_be_read_is_one_message(tmp_path: Path):
    with pytest.raises(WazcacheError, match=r"^WAZCACHE_SIGNING_KEY: .* cannot be read: Is a dir"):
        SigningKey.read(str(tmp_path))
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(WazcacheError, match="link cannot be read: No such file"):
        SigningKey.read(str(tmp_path / "link"))
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WazcacheError, match="binary is not a text file"):
        SigningKey.read(str(tmp_path / "binary"))
    with pytest.raises(WazcacheError, match="/dev/zero is too large"):
        SigningKey.read("/dev/zero")


@as_ordinary_user
def test_a_file_of_a_private_key_without_permission_is_one_message(tmp_path: Path):
    path = tmp_path / "key"
    path.write_text(SIGNER.text)
    path.chmod(0)
    with pytest.raises(WazcacheError, match=r"key cannot be read: Permission denied$"):
        SigningKey.read(str(path))


def test_a_private_key_is_not_shown_and_not_given_to_another_process():
    body = SIGNER.text.removeprefix("wazcache-private-")
    raw = bytes(range(32))
    for text in (repr(SIGNER), str(SIGNER), f"{SIGNER}", f"{SIGNER!a}", repr([SIGNER])):
        assert body not in text
        assert repr(raw)[2:20] not in text
        assert SIGNER.public in text
    with pytest.raises(TypeError):
        pickle.dumps(SIGNER)
    assert not hasattr(SIGNER, "__dict__")


# the public keys


@pytest.mark.parametrize(
    "text",
    [
        "{a}", "{a}\n", " {a} ", "{b} {a}", "{b},{a}", "{b}, {a}", "{b}\n{a}", "{b}\r\n{a}\r\n",
        "# ours\n{a}", "{b} # theirs\n\n{a}\t# ours", "{b} revoked=2020-01-01, {a}", "{a} {a}",
    ],
    ids=repr,
)  # fmt: skip
def test_keys_are_read_from_the_variable_and_from_a_file(tmp_path: Path, text: str):
    text = text.format(a=SIGNER.public, b=STRANGER.public)
    path = tmp_path / "trusted keys"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    for trusted in (read(text), read(str(path)), read(file=path)):
        assert trusted
        assert trusts(trusted)


def test_a_comment_is_not_a_key():
    assert not trusts(read(f"{STRANGER.public} # {SIGNER.public}"))
    assert not trusts(read(f"{STRANGER.public} # x\r{SIGNER.public}\u2028{SIGNER.public}"))


def test_without_keys_nothing_is_trusted(tmp_path: Path):
    for trusted in (read(), read(" \n"), read("# nothing\n"), read(file=tmp_path / "missing")):
        assert not trusted
        assert not trusts(trusted)


def test_several_keys_are_trusted_at_once_so_that_keys_can_be_replaced():
    old, new = SIGNER, STRANGER
    before, meanwhile = read(old.public), read(f"{old.public}\n{new.public}")
    after_ = read(f"{old.public} revoked={TODAY}\n{new.public}")
    assert [trusts(before, key) for key in (old, new)] == [True, False]
    assert [trusts(meanwhile, key) for key in (old, new)] == [True, True]
    assert [trusts(after_, key) for key in (old, new)] == [False, True]


@pytest.mark.parametrize(
    ("day", "trusted"), [(YESTERDAY, False), (TODAY, False), (TOMORROW, True)], ids=str
)
def test_a_key_is_trusted_until_the_day_on_which_it_is_revoked(day: date, trusted: bool):
    both = read(f"{STRANGER.public} {SIGNER.public} revoked={day}")
    assert trusts(both) is trusted
    assert trusts(both, STRANGER)
    problem = both.verify(SIGNER.public, b"text", SIGNER.sign(b"text"))
    assert problem == (
        "" if trusted else f"is signed by {SIGNER.public}, which was revoked on {day}"
    )
    assert bool(read(f"{SIGNER.public} revoked={day}")) is trusted


def test_the_day_is_that_of_the_clock_in_utc():
    # Two days, so that the test may run at midnight.
    now = datetime.now(timezone.utc).date()
    for days, trusted in ((-2, False), (2, True)):
        assert trusts(trusting(f"{SIGNER.public} revoked={now + timedelta(days)}")) is trusted


def test_the_earliest_of_several_days_counts():
    for lines in (
        f"{SIGNER.public} revoked={TOMORROW} revoked={YESTERDAY}",
        f"{SIGNER.public} revoked={YESTERDAY}\n{SIGNER.public}",
        f"{SIGNER.public}\n{SIGNER.public} revoked={YESTERDAY}\n{SIGNER.public} revoked={TOMORROW}",
    ):
        assert not trusts(read(lines))


def test_the_variable_does_not_bring_back_what_the_file_revokes(tmp_path: Path):
    path = tmp_path / "trusted-keys"
    path.write_text(f"{SIGNER.public} revoked={TODAY}\n")
    assert not trusts(read(f"{SIGNER.public} {STRANGER.public}", path))
    path.write_text(f"{SIGNER.public}\n")
    assert not trusts(read(f"{SIGNER.public} revoked={TODAY} {STRANGER.public}", path))


# the keys of a project


@pytest.mark.parametrize("line", ["{a}", "{a} revoked=2999-01-01", "{a}, {b} revoked=2999-01-01"])
def test_the_keys_of_a_project_alone_count_for_nothing(line: str):
    trusted = read(project=(line.format(a=SIGNER.public, b=STRANGER.public),))
    assert not trusted
    assert not trusts(trusted)


def test_the_keys_of_a_project_count_beside_one_of_the_machine(tmp_path: Path):
    path = tmp_path / "trusted-keys"
    path.write_text(STRANGER.public)
    assert trusts(read(STRANGER.public, project=(SIGNER.public,)))
    assert trusts(read(file=path, project=(f"{SIGNER.public} # the releases",)))
    assert trusts(read(file=path, project=(SIGNER.public,)), STRANGER)


@pytest.mark.parametrize("by", ["the machine", "the project"])
def test_the_keys_of_a_project_count_for_nothing_beside_a_revoked_one(by: str):
    revoked = f"{STRANGER.public} revoked={TODAY}"
    if by == "the machine":
        trusted = read(revoked, project=(SIGNER.public,))
    else:
        trusted = read(STRANGER.public, project=(revoked, SIGNER.public))
    assert not trusted
    assert not trusts(trusted)


def test_what_a_project_revokes_counts_for_the_keys_of_the_machine():
    other = SigningKey.generate()
    trusted = read(f"{SIGNER.public} {other.public}", project=(f"{SIGNER.public} revoked={TODAY}",))
    assert not trusts(trusted)
    assert trusts(trusted, other)


def test_a_project_does_not_bring_back_what_the_machine_revokes():
    for line in (SIGNER.public, f"{SIGNER.public} revoked={TOMORROW}"):
        trusted = read(f"{STRANGER.public} {SIGNER.public} revoked={TODAY}", project=(line,))
        assert not trusts(trusted)


def test_a_wrong_key_of_a_project_is_one_message_with_its_path():
    with pytest.raises(
        WazcacheError, match=r"^tool\.wazcache\.remote\.trusted-keys\[1\] = wazcache-public-x: must"
    ):
        read(project=(SIGNER.public, "wazcache-public-x"))


# wrong keys


@pytest.mark.parametrize(
    "words",
    [
        "{a}x", "{a}=", "wazcache-public-", "{a} revoked=tomorrow", "{a} revoked=20260101",
        "{a} revoked=2026-02-30", "revoked=2026-01-01", "{a}\nrevoked=2026-01-01", "{a} revoked",
        "{a};{a}", "{a} nonsense", "wazcache-public-é", "{a}\xa0{a}",
    ],
    ids=ascii,
)  # fmt: skip
def test_a_wrong_line_is_one_message(tmp_path: Path, words: str):
    text = words.format(a=SIGNER.public)
    path = tmp_path / "keys"
    path.write_text(text, "utf-8")
    for value in (str(path), text):
        if value == text and not text.startswith("wazcache-"):
            continue
        with pytest.raises(WazcacheError) as caught:
            read(value)
        assert str(caught.value).startswith("WAZCACHE_TRUSTED_KEYS")
        assert "wazcache-public-…" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_each_last_letter_of_a_key_but_one_in_four_is_wrong():
    """32 bytes need 43 letters with two bits that mean nothing, and must be 0."""
    same = [SIGNER.public[:-1] + letter for letter in ALPHABET]
    group = ALPHABET.index(SIGNER.public[-1]) // 4
    for number, text in enumerate(same):
        if number // 4 == group and text != SIGNER.public:
            with pytest.raises(WazcacheError, match="must be public keys"):
                read(text)
    assert trusts(read(SIGNER.public))


@pytest.mark.parametrize("point", LOW_ORDER)
def test_a_key_of_low_order_is_refused(point: str):
    """Whoever knows such a key can sign anything for it: R = A, S = 0."""
    public = f"wazcache-public-{base64_text(bytes.fromhex(point))}"
    with pytest.raises(WazcacheError, match=f"^{public[:22]}… is not a public key"):
        read(f"{SIGNER.public} {public}")
    unchecked = TrustedKeys({public: None}, TODAY)
    for first in LOW_ORDER:
        forged = bytes.fromhex(first) + bytes(32)
        for number in range(8):
            assert unchecked.verify(public, b"%d" % number, forged)


@pytest.mark.parametrize(
    "words", ["{p}", "{a} {p}", "{a}\n{p} # mine", "{a}{p}", "{a} revoked={p}"]
)
def test_a_private_key_among_trusted_keys_is_one_message_that_does_not_show_it(
    tmp_path: Path, words: str
):
    text = words.format(a=SIGNER.public, p=STRANGER.text)
    path = tmp_path / "keys"
    path.write_text(text)
    for arguments in ((text,), (str(path),), ("", path), (SIGNER.public, None, (text,))):
        with pytest.raises(WazcacheError, match="private key") as caught:
            read(*arguments)
        assert STRANGER.text[20:40] not in str(caught.value)


@pytest.mark.parametrize("before", ["", SIGNER.public, "wazcache-public-!", "revoked=", "x="])
def test_a_private_key_without_its_beginning_is_not_shown(before: str):
    text = f"{STRANGER.public} {before}{STRANGER.text.removeprefix('wazcache-private-')}"
    with pytest.raises(WazcacheError, match="must be public keys") as caught:
        read(text)
    assert STRANGER.text[25:40] not in str(caught.value)


def test_a_part_of_a_private_key_is_not_shown(tmp_path: Path):
    path = tmp_path / "keys"
    path.write_text(f"{SIGNER.public}\n{STRANGER.text.removeprefix('wazcache-private-')}\n")
    with pytest.raises(WazcacheError, match="keys, line 2: must be public keys") as caught:
        read(str(path))
    assert STRANGER.text[20:40] not in str(caught.value)
    with pytest.raises(WazcacheError, match="its value is neither") as caught:
        read(STRANGER.text.removeprefix("wazcache-private-"))
    assert STRANGER.text[20:40] not in str(caught.value)


# the files


def test_a_file_of_trusted_keys_that_cannot_be_read_is_one_message(tmp_path: Path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    (tmp_path / "large").write_text(f"# {'x' * 70000}\n{SIGNER.public}")
    (tmp_path / "utf-16").write_text(SIGNER.public, "utf-16")
    for name, problem in (
        ("folder", "cannot be read: Is a directory"),
        ("link", "cannot be read: No such file"),
        ("large", "is too large"),
        ("utf-16", "is not a text file in UTF-8"),
    ):
        with pytest.raises(WazcacheError, match=f"^WAZCACHE_TRUSTED_KEYS: .*/{name} {problem}"):
            read(str(tmp_path / name))
    for name in ("folder", "large", "utf-16"):
        with pytest.raises(WazcacheError, match=f"^{tmp_path}/{name} "):
            read(file=tmp_path / name)


@as_ordinary_user
def test_a_file_of_trusted_keys_without_permission_is_one_message(tmp_path: Path):
    path = tmp_path / "keys"
    path.write_text(SIGNER.public)
    path.chmod(0)
    for arguments in ((str(path),), ("", path)):
        with pytest.raises(WazcacheError, match=r"keys cannot be read: Permission denied$"):
            read(*arguments)


@pytest.mark.parametrize("mode", [0o666, 0o622])
def test_a_users_file_that_others_can_write_is_refused(tmp_path: Path, mode: int):
    path = tmp_path / "trusted-keys"
    path.write_text(SIGNER.public)
    path.chmod(mode)
    with pytest.raises(
        WazcacheError, match=f"{path} can be written by others .mode {mode:o}; chmod"
    ):
        read(file=path)


@as_root
def test_a_users_file_of_another_user_is_refused(tmp_path: Path):
    path = tmp_path / "trusted-keys"
    path.write_text(SIGNER.public)
    os.chown(path, 12345, 12345)
    with pytest.raises(WazcacheError, match="belongs to another user"):
        read(file=path)


def test_a_users_file_in_a_folder_that_others_can_write_is_refused(tmp_path: Path):
    folder = tmp_path / "config"
    folder.mkdir()
    path = folder / "trusted-keys"
    path.write_text(SIGNER.public)
    folder.chmod(0o777)
    with pytest.raises(WazcacheError, match="could be replaced by others"):
        read(file=path)


def test_the_users_file_is_in_the_folder_for_configuration(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert user_keys_file() == tmp_path / "hatch-wazcache" / "trusted-keys"


# signatures


def test_a_signature_counts_for_its_message_only():
    trusted, signature = read(SIGNER.public), SIGNER.sign(b"text")
    assert trusted.verify(SIGNER.public, b"text", signature) == ""
    for message in (b"", b"texT", b"text\0"):
        assert "did not make" in trusted.verify(SIGNER.public, message, signature)
    for wrong in (b"", signature[:-1], signature + b"\0", bytes(64), STRANGER.sign(b"text")):
        assert "did not make" in trusted.verify(SIGNER.public, b"text", wrong)


def test_the_second_form_of_a_signature_is_refused():
    """With S + L in place of S, careless programs accept the same signature again."""
    trusted, signature = read(SIGNER.public), SIGNER.sign(b"text")
    number = int.from_bytes(signature[32:], "little")
    for times in range(1, 16):
        if (other := number + times * ORDER) < 2**256:
            second = signature[:32] + other.to_bytes(32, "little")
            assert "did not make" in trusted.verify(SIGNER.public, b"text", second)


def test_a_key_that_is_not_trusted_is_named():
    problem = read(SIGNER.public).verify(STRANGER.public, b"text", STRANGER.sign(b"text"))
    assert problem == f"is signed by {STRANGER.public}, which is not one of the trusted keys"


@pytest.mark.parametrize("public", ["", "\x1b[31m", "wazcache-public-", "x" * 60000])
def test_a_strangers_text_in_place_of_a_key_is_not_shown(public: str):
    assert read(SIGNER.public).verify(public, b"", bytes(64)) == (
        "is signed by something that is not a public key"
    )


# PyNaCl


WITHOUT = """
import sys
sys.modules["nacl"] = None
from hatch_wazcache.cache.remote.keys import SigningKey, TrustedKeys
from hatch_wazcache.errors import WazcacheError
import hatch_wazcache.cache.remote.signature
assert not TrustedKeys.read({}, None, [sys.argv[2]])
for read in (
    lambda: SigningKey.read(sys.argv[1]),
    SigningKey.generate,
    lambda: TrustedKeys.read({"WAZCACHE_TRUSTED_KEYS": sys.argv[2]}, None),
):
    try:
        read()
    except WazcacheError as error:
        print(error)
"""


def test_without_pynacl_there_is_one_message_that_says_how_to_install_it():
    words = [sys.executable, "-c", WITHOUT, SIGNER.text, SIGNER.public]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    for line in lines:
        assert 'pip install "hatch-wazcache[remote]"' in line
        assert SIGNER.text not in line
    assert done.stderr == ""


def test_reading_no_keys_imports_no_pynacl():
    code = (
        "import sys; from hatch_wazcache.cache.remote import keys, signature;"
        "keys.TrustedKeys.read({}, None); print([m for m in sys.modules if 'nacl' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_a_pipe_that_nobody_writes_to_is_refused_and_does_not_hang(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    problem = r"pipe cannot be read: it is a pipe$"
    for reading in (
        lambda: SigningKey.read(str(pipe)), lambda: read(str(pipe)), lambda: read(file=pipe),
    ):  # fmt: skip
        with pytest.raises(WazcacheError, match=problem):
            reading()


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_a_users_file_that_is_a_link_to_nothing_is_one_message(tmp_path: Path):
    gone, loop = tmp_path / "gone", tmp_path / "loop"
    gone.symlink_to(tmp_path / "nothing")
    loop.symlink_to(loop)
    for link, problem in ((gone, "No such file"), (loop, "Too many levels")):
        with pytest.raises(WazcacheError, match=rf"{link.name} cannot be read: {problem}"):
            read(file=link)
