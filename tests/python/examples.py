"""Executes the `grpcurl` examples of a document with a client of its own: the same requests, without grpcurl.

Usage: examples.py DOCUMENT SOCKET ADDRESS, with the generated modules on PYTHONPATH. Lines of the document that are
indented and begin with `grpcurl` are examples, up to a line that does not end with a backslash. SOCKET and ADDRESS stand in
place of the default socket and of localhost:50051.
"""

import shlex
import sys

import grpc
import rustbgpd_pb2 as pb
import rustbgpd_pb2_grpc as stubs
from google.protobuf import json_format

SOCKET = "/var/lib/rustbgpd/grpc.sock"
ADDRESS = "localhost:50051"
# Flags of grpcurl that the examples use, and whether a value follows.
FLAGS = {"-plaintext": False, "-unix": False, "-d": True, "-H": True}


def examples(path):
    """The command lines."""
    command = ""
    with open(path, encoding="utf-8") as document:
        for line in document:
            if command or line.startswith("    grpcurl "):
                command += " " + line.strip().removesuffix("\\")
                if not line.rstrip().endswith("\\"):
                    yield command.strip()
                    command = ""


def execute(command, socket, address):
    """What the daemon answers, as JSON; of a stream the first answer."""
    words = shlex.split(command)[1:]
    flags, rest = {}, []
    while words:
        word = words.pop(0)
        if word.startswith("-"):
            flags[word] = words.pop(0) if FLAGS[word] else True
        else:
            rest.append(word)
    assert flags.get("-plaintext"), "all examples are in clear text"
    where, what = rest
    expected = SOCKET if "-unix" in flags else ADDRESS
    assert where == expected, f"an address that the test does not know: {where}"
    target = f"unix:{socket}" if "-unix" in flags else address
    metadata = [tuple(part.strip() for part in flags["-H"].split(":", 1))] if "-H" in flags else []
    metadata = [(name.lower(), value) for name, value in metadata]
    if what == "list":
        return ""
    service, method = what.removeprefix("rustbgpd.v1.").split("/")
    descriptor = pb.DESCRIPTOR.services_by_name[service].methods_by_name[method]
    request = json_format.Parse(flags.get("-d", "{}"), getattr(pb, descriptor.input_type.name)())
    with grpc.insecure_channel(target) as channel:
        stub = getattr(getattr(stubs, f"{service}Stub")(channel), method)
        answer = stub(request, timeout=20, metadata=metadata)
        if hasattr(answer, "initial_metadata"):
            answer.initial_metadata()
            answer.cancel()
            return ""
        return json_format.MessageToJson(answer)


def main():
    document, socket, address = sys.argv[1:]
    failed = count = 0
    for command in examples(document):
        count += 1
        try:
            execute(command, socket, address)
        except (grpc.RpcError, json_format.ParseError, KeyError, ValueError, AssertionError) as error:
            failed += 1
            print(f"{command}\n  {error}")
    print(f"{count} examples, {failed} failed")
    return 1 if failed or not count else 0


if __name__ == "__main__":
    sys.exit(main())
