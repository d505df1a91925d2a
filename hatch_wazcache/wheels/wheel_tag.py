"""The tag of a platform wheel, in its name and in its WHEEL file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from hatch_wazcache.engine.targets import Target

__all__ = ["tagged", "wheel_tag"]


def wheel_tag(
    earlier: str | None, target: Target, location: str, who: str = "another build hook"
) -> str:
    """Combine the target's platform tags with a Python and ABI tag.

    Args:
        earlier: the tag that the wheel already has, or None.
        target: the target that the wheel is for.
        location: the options' TOML path, for the message.
        who: the part of the build that gave the wheel its tag, for the message.

    Returns:
        A tag for a wheel's name (PEP 425), which may be a compressed set of tags.

    Raises:
        WazcacheError: the earlier tag is not a tag, or is for another platform than the target.
    """
    platforms = ".".join(target.platform_tags)
    if earlier is None:
        return f"py3-none-{platforms}"
    tagged = f'{location}: {who} tagged the wheel "{earlier}"'
    parts = str(earlier).split("-")
    if len(parts) != 3 or not all(parts):
        raise WazcacheError(
            f"{tagged}, which is not a wheel tag such as py3-none-any; correct that hook"
        )
    interpreter, abi, platform = parts
    if platform == "any":
        return f"{interpreter}-{abi}-{platforms}"
    if not all(target.accepts(tag) for tag in platform.split(".")):
        raise WazcacheError(
            f"{tagged}, which does not fit the target {target.name}; its files are for another "
            "platform, so build this target's wheel on that platform"
        )
    return earlier


def tagged(wheel_file: bytes, tag: str, *, pure: bool) -> bytes:
    """Write other tags into a WHEEL file. Its other lines stay; if it has these tags, all do.

    Args:
        wheel_file: the WHEEL file of a finished wheel, with at least one tag.
        tag: the new tag in the wheel's name, which may be a compressed set of tags.
        pure: whether the wheel is for every platform.
    """
    from packaging.tags import parse_tag

    new = {
        b"root-is-purelib": [f"Root-Is-Purelib: {'true' if pure else 'false'}"],
        b"tag": [f"Tag: {one}" for one in sorted(map(str, parse_tag(tag)))],
    }
    wanted = {text for texts in new.values() for text in texts}
    lines: list[bytes] = []
    replaced: set[str] = set()
    for line in filter(bytes.strip, wheel_file.splitlines()):
        field = line.partition(b":")[0].strip().lower()
        if field not in new:
            lines.append(line)
            continue
        replaced.add(line.decode("utf-8", "replace"))
        lines += [text.encode() for text in new[field]]
        new[field] = []
    if replaced == wanted:
        return wheel_file
    lines += [text.encode() for texts in new.values() for text in texts]
    return b"".join(line + b"\n" for line in lines)
