#!/usr/bin/env python3
"""Writes a container image as an OCI archive, for `ctr images import`.

usage: pack.py OUT.tar REFERENCE [--entrypoint WORD]... [--cmd WORD]... LAYER_DIR...

Each folder becomes one layer. Owners, times and order are fixed, so that the same files always make the same
digest: a layer that two images share is then stored once.
"""
import argparse
import hashlib
import io
import json
import os
import tarfile
import tempfile


def anonymous(entry):
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


def layer(folder, scratch):
    """The folder as an uncompressed tar file: (path, size, digest)."""
    path = os.path.join(scratch, str(len(os.listdir(scratch))))
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        # tarfile goes through folders in sorted order.
        for name in sorted(os.listdir(folder)):
            tar.add(os.path.join(folder, name), name, filter=anonymous)
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return path, os.path.getsize(path), "sha256:" + digest.hexdigest()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("reference")
    parser.add_argument("--entrypoint", action="append", default=[])
    parser.add_argument("--cmd", action="append", default=[])
    parser.add_argument("layers", nargs="+")
    options = parser.parse_args()
    arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    kind = "application/vnd.oci.image."

    with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(options.out))) as scratch, \
            tarfile.open(options.out, "w") as out:

        def put(name, data):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            out.addfile(entry, io.BytesIO(data))

        def blob(value, media_type):
            data = json.dumps(value, sort_keys=True).encode()
            digest = "sha256:" + hashlib.sha256(data).hexdigest()
            put("blobs/" + digest.replace(":", "/"), data)
            return {"mediaType": kind + media_type, "digest": digest, "size": len(data)}

        layers = []
        for folder in options.layers:
            path, size, digest = layer(folder, scratch)
            out.add(path, "blobs/" + digest.replace(":", "/"), filter=anonymous)
            layers.append({"mediaType": kind + "layer.v1.tar", "digest": digest, "size": size})
        config = blob({
            "architecture": arch,
            "os": "linux",
            "config": {
                "Entrypoint": options.entrypoint or None,
                "Cmd": options.cmd or None,
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/bin"],
            },
            "rootfs": {"type": "layers", "diff_ids": [one["digest"] for one in layers]},
        }, "config.v1+json")
        manifest = blob({
            "schemaVersion": 2,
            "mediaType": kind + "manifest.v1+json",
            "config": config,
            "layers": layers,
        }, "manifest.v1+json")
        manifest["annotations"] = {"io.containerd.image.name": options.reference}
        manifest["platform"] = {"os": "linux", "architecture": arch}
        put("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        put("index.json", json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode())


main()
