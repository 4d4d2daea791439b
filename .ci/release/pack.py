#!/usr/bin/env python3
"""Packs one binary as krew wants it: .tar.gz, or .zip for windows, with the licence inside.

Beside the archive it writes the archive's sha256, as `sha256sum -c` reads it, and the list of the crates in the binary
as CycloneDX. The same sources and the same binary give the same bytes: names in order, no owner, and the time of the
commit. Prints the path of the archive. Only Python's own library, as it must run on every kind of builder.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2]
# Files with a licence or what it wants to be told, by the beginning of their names.
LICENCES = ("license", "licence", "copying", "copyright", "notice", "unlicense")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, required=True, help="what was built")
    parser.add_argument("--platform", required=True, help="krew's: OS_ARCH")
    parser.add_argument("--target", required=True, help="cargo's, whose crates are listed")
    parser.add_argument("--tag", required=True, help="the tag of the release, with its v")
    parser.add_argument("--dist", type=Path, required=True, help="the folder to write to")
    given = parser.parse_args()

    crates = crates_of(given.target)
    windows = given.platform.startswith("windows_")
    files = {
        "LICENSE": ((SOURCES / "LICENSE").read_bytes(), 0o644),
        "THIRD-PARTY-LICENSES.txt": (licences(crates), 0o644),
        "kubectl-byocni.exe" if windows else "kubectl-byocni": (given.binary.read_bytes(), 0o755),
    }
    name = f"kubectl-byocni_{given.tag}_{given.platform}"
    packed, ending = (zip_of(files), "zip") if windows else (tar_of(files), "tar.gz")
    archive = given.dist / f"{name}.{ending}"
    digest = hashlib.sha256(packed).hexdigest()
    write(archive, packed)
    write(given.dist / f"{archive.name}.sha256", f"{digest}  {archive.name}\n".encode())
    write(given.dist / f"{name}.cdx.json", parts_list(crates, given, archive.name, digest))
    print(archive)


def write(path, content):
    """Whole or not at all: a test may look at the folder at any time."""
    draft = path.with_name(path.name + ".new")
    draft.write_bytes(content)
    draft.replace(path)


def epoch():
    """The time of all files: SOURCE_DATE_EPOCH, else that of the commit, else the first that a zip can hold."""
    first = 315532800
    if os.environ.get("SOURCE_DATE_EPOCH"):
        return max(first, int(os.environ["SOURCE_DATE_EPOCH"]))
    asked = subprocess.run(
        ["git", "-C", SOURCES, "log", "-1", "--format=%ct"], capture_output=True, text=True, check=False
    )
    return max(first, int(asked.stdout)) if asked.returncode == 0 else first


def tar_of(files):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, (content, mode) in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), mode, epoch()
            tar.addfile(entry, io.BytesIO(content))
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=packed, mode="wb", compresslevel=9, mtime=0) as stream:
        stream.write(raw.getvalue())
    return packed.getvalue()


def zip_of(files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, (content, mode) in sorted(files.items()):
            entry = zipfile.ZipInfo(name, time.gmtime(epoch())[:6])
            # Of unix, wherever it is made: only so it has a mode.
            entry.create_system, entry.external_attr = 3, (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return packed.getvalue()


def crates_of(target):
    """The crates that the binary is made of, ours first, then by name and version; each with what it needs itself.

    Without those that only tests or build scripts need. Cargo's answer goes through the features that are on, so that
    a crate that is locked but not compiled is not listed.
    """
    asked = subprocess.run(
        ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target],
        cwd=SOURCES,
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode != 0:
        sys.exit(asked.stderr)
    metadata = json.loads(asked.stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    needs = {
        node["id"]: [dep["pkg"] for dep in node["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]
        for node in metadata["resolve"]["nodes"]
    }
    root = metadata["resolve"]["root"]
    reached, waiting = {root}, [root]
    while waiting:
        for need in needs[waiting.pop()]:
            if need not in reached:
                reached.add(need)
                waiting.append(need)
    checksums = locked()
    crates = [
        {
            "name": package["name"],
            "version": package["version"],
            "licence": (package["license"] or "").replace("/", " OR "),
            "description": " ".join((package["description"] or "").split()),
            "folder": Path(package["manifest_path"]).parent,
            "sha256": checksums.get((package["name"], package["version"])),
            "needs": sorted(purl(packages[need]) for need in needs[package["id"]]),
            "purl": purl(package),
            "ours": package["id"] == root,
        }
        for package in (packages[id] for id in reached)
    ]
    return sorted(crates, key=lambda crate: (not crate["ours"], crate["name"], crate["version"]))


def locked():
    """The checksum of each crate's archive, by name and version."""
    found, crate = {}, {}
    for line in (SOURCES / "Cargo.lock").read_text().splitlines():
        if line == "[[package]]":
            crate = {}
        key, _, value = line.partition(" = ")
        crate[key] = value.strip('"')
        if key == "checksum":
            found[crate["name"], crate["version"]] = crate["checksum"]
    return found


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def licences(crates):
    """The texts of all crates' licences; one that several crates share word for word stands there once."""
    texts = {}
    for crate in crates:
        if crate["ours"]:
            continue
        called = f"{crate['name']} {crate['version']} ({crate['licence']})"
        found = [
            path
            for path in sorted(crate["folder"].iterdir())
            if path.is_file() and path.name.lower().startswith(LICENCES)
        ]
        for path in found:
            text = path.read_text(encoding="utf-8", errors="replace").strip().replace("\r\n", "\n")
            texts.setdefault(text, []).append(called)
        if not found:
            # Its archive has none; the names of the licences are what it says of itself.
            texts.setdefault("(no text in the crate's archive)", []).append(called)
    pages = ["The crates that kubectl-byocni is made of, besides its own code, and their licences.\n"]
    for text, named in sorted(texts.items(), key=lambda item: item[1]):
        rule = "-" * 80
        pages.append(f"{rule}\n" + "\n".join(dict.fromkeys(named)) + f"\n{rule}\n\n{text}\n")
    return "\n".join(pages).encode()


def parts_list(crates, given, archive, digest):
    """The crates as CycloneDX 1.5 (https://cyclonedx.org/docs/1.5/json/)."""

    def component(crate, kind):
        listed = {
            "type": kind,
            "bom-ref": crate["purl"],
            "name": crate["name"],
            "version": crate["version"],
            "description": crate["description"],
            "licenses": [{"expression": crate["licence"]}],
            "purl": crate["purl"],
        }
        if crate["sha256"]:
            listed["hashes"] = [{"alg": "SHA-256", "content": crate["sha256"]}]
        return listed

    ours, others = crates[0], crates[1:]
    main_part = component(ours, "application")
    main_part["hashes"] = [{"alg": "SHA-256", "content": digest}]
    main_part["properties"] = [
        {"name": "byocni:archive", "value": archive},
        {"name": "byocni:target", "value": given.target},
    ]
    bom = {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch())),
            "component": main_part,
        },
        "components": [component(crate, "library") for crate in others],
        "dependencies": [{"ref": crate["purl"], "dependsOn": crate["needs"]} for crate in crates],
    }
    return (json.dumps(bom, indent=2, ensure_ascii=False) + "\n").encode()


if __name__ == "__main__":
    main()
