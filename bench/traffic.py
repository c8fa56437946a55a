"""What went over the wire in one run, from the logs of both registries."""

import re
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

BLOB = re.compile(r"/blobs/(sha256:[0-9a-f]{64})$")


@dataclass
class Traffic:
    """Requests by method and side, and blobs.

    `source_bytes` is what the source sent of blobs, `unique_bytes` the size of the distinct ones among them.
    `uploads` and `mounts` are those that the target took, `uploaded` is the number of distinct blobs uploaded.
    """

    source: Counter = field(default_factory=Counter)
    target: Counter = field(default_factory=Counter)
    tokens: int = 0
    source_bytes: int = 0
    unique_bytes: int = 0
    uploads: int = 0
    uploaded: int = 0
    mounts: int = 0

    @property
    def requests(self):
        """All of them, those to the token service, too."""
        return self.source.total() + self.target.total() + self.tokens

    @property
    def byte_ratio(self):
        """Source bytes ÷ unique bytes; 0 where no blob was read."""
        return self.source_bytes / self.unique_bytes if self.unique_bytes else 0.0


def of(source, target, tokens):
    """Sums up the requests that source and target logged, and the number of those for tokens."""
    traffic = Traffic(Counter(each.method for each in source), Counter(each.method for each in target), tokens)
    sizes = {}
    for each in source:
        blob = BLOB.search(urlsplit(each.path).path)
        if each.method == "GET" and each.status in (200, 206) and blob:
            traffic.source_bytes += each.size
            sizes[blob[1]] = max(sizes.get(blob[1], 0), each.size)
    traffic.unique_bytes = sum(sizes.values())
    uploaded = set()
    for each in target:
        parts = urlsplit(each.path)
        query = parse_qs(parts.query)
        if each.method not in ("POST", "PUT") or each.status != 201 or "/blobs/uploads/" not in parts.path:
            continue
        if "mount" in query:
            traffic.mounts += 1
        else:
            traffic.uploads += 1
            uploaded.update(query.get("digest", []))
    traffic.uploaded = len(uploaded)
    return traffic


def by_method(counts):
    """Such as "GET 20 · HEAD 400"."""
    return " · ".join(f"{method} {count:,}" for method, count in sorted(counts.items())) or "–"
