#!/usr/bin/env python3
"""Makes of a folder of archives what a release publishes: SHA256SUMS and krew's manifest, byocni.yaml.

The manifest's template is krew/byocni.yaml.tmpl, in the words of krew-release-bot; addresses and digests are those of
the archives in the folder. All platforms of the template must be there; --partial leaves out those that are not.
"""

import argparse
import hashlib
import os
import re
import sys
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[2] / "krew/byocni.yaml.tmpl"
# In the template; the name of the project is part of it, so that nothing else is taken for it.
REPOSITORY = "OWNER/kubectl-byocni"
ARCHIVE = re.compile(r'^( *)\{\{ ?addURIAndSha "(https://\S+/(\S+))" \.TagName ?\}\}$')


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dist", type=Path, required=True, help="the folder with the archives")
    parser.add_argument("--tag", required=True, help="the tag of the release, with its v")
    parser.add_argument(
        "--repository", default=os.environ.get("GITHUB_REPOSITORY") or REPOSITORY, help="OWNER/NAME that releases"
    )
    parser.add_argument("--partial", action="store_true", help="only the platforms that are there")
    given = parser.parse_args()
    if not re.fullmatch(r"v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?", given.tag):
        sys.exit(f"error: {given.tag} is no version as krew wants it, such as v1.2.3")

    text = TEMPLATE.read_text().replace(REPOSITORY, given.repository)
    text = re.sub(r"\{\{ ?\.TagName ?\}\}", given.tag, text)
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    # One block for each platform, and what comes before the first.
    starts = [at for at, line in enumerate(lines) if line == "  - selector:"] + [len(lines)]
    manifest, sums, missing = lines[: starts[0]], [], []
    for start, end in zip(starts, starts[1:]):
        block = lines[start:end]
        at, found = next((at, ARCHIVE.match(line)) for at, line in enumerate(block) if ARCHIVE.match(line))
        indent, address, name = found.groups()
        archive = given.dist / name
        if not archive.is_file():
            missing.append(name)
            continue
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        beside = archive.with_name(f"{name}.sha256").read_text().split()[0]
        if beside != digest:
            sys.exit(f"error: {archive} is not what was packed: its sha256 is {digest}, {name}.sha256 says {beside}")
        block[at : at + 1] = [f"{indent}uri: {address}", f"{indent}sha256: {digest}"]
        manifest += block
        sums.append(f"{digest}  {name}\n")
    if not sums or (missing and not given.partial):
        sys.exit(f"error: not in {given.dist}: {', '.join(missing)}")
    if any("{{" in line for line in manifest):
        sys.exit(f"error: {TEMPLATE.name} has a place that nothing fills: {[l for l in manifest if '{{' in l]}")
    for part in sorted(given.dist.glob(f"kubectl-byocni_{given.tag}_*.cdx.json")):
        sums.append(f"{hashlib.sha256(part.read_bytes()).hexdigest()}  {part.name}\n")
    (given.dist / "byocni.yaml").write_text("\n".join(manifest) + "\n")
    (given.dist / "SHA256SUMS").write_text("".join(sorted(sums, key=lambda line: line.split()[1])))


if __name__ == "__main__":
    main()
