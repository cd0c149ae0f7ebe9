"""What this process remembers of grids: parsed documents and the cells of their hosts, so that a look at a large grid resolves nothing again."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock

from api.services.documents import StoredDocument
from api.services.grid import CellShape, shapes_of
from common.contracts.configuration import ConfigurationDocument
from common.contracts.resolution import Host

_MAX_CLUSTERS = 50
# Names of combinations take most of the room: about a hundred bytes each.
_MAX_NAMES = 500_000

_HostKey = tuple[str, tuple[tuple[str, str], ...]]


@dataclass
class _Known:
    etag: str
    document: ConfigurationDocument
    cells: dict[_HostKey, Sequence[CellShape]] = field(default_factory=dict)
    names: int = 0


class Grids:
    """By cluster, for its newest document; the clusters that nobody looked at for longest make room. Several threads may use it."""

    def __init__(self, *, max_names: int = _MAX_NAMES) -> None:
        self._max_names = max_names
        self._lock = Lock()
        self._by_cluster: OrderedDict[str, _Known] = OrderedDict()

    def document(
        self,
        slug: str,
        stored: StoredDocument,
        read: Callable[[StoredDocument], ConfigurationDocument] = StoredDocument.parsed,
    ) -> ConfigurationDocument:
        """The document behind the bytes, read once."""
        with self._lock:
            known = self._by_cluster.get(slug)
            if known and known.etag == stored.etag:
                self._by_cluster.move_to_end(slug)
                return known.document
        parsed = read(stored)
        with self._lock:
            self._by_cluster[slug] = _Known(stored.etag, parsed)
            self._by_cluster.move_to_end(slug)
            while len(self._by_cluster) > _MAX_CLUSTERS:
                self._by_cluster.popitem(last=False)
        return parsed

    def shapes(self, document: ConfigurationDocument, host: Host) -> Sequence[CellShape]:
        """The same as `shapes_of`, remembered if the document is."""
        key = (host.name, tuple(sorted(host.labels.items())))
        known = self._by_cluster.get(document.cluster.slug)
        if known is None or known.document is not document:
            return shapes_of(document, host)
        found = known.cells.get(key)
        if found is None:
            found = shapes_of(document, host)
            self._keep(known, key, found)
        return found

    def _keep(self, known: _Known, key: _HostKey, cells: Sequence[CellShape]) -> None:
        size = sum(len(cell.combinations) + 1 for cell in cells)
        with self._lock:
            slug = known.document.cluster.slug
            if self._by_cluster.get(slug) is not known or key in known.cells:
                return  # a newer document came meanwhile, or another thread was faster
            while self._is_full(size) and next(iter(self._by_cluster)) != slug:
                self._by_cluster.popitem(last=False)
            if not self._is_full(size):
                known.cells[key] = cells
                known.names += size

    def _is_full(self, more: int) -> bool:
        return sum(one.names for one in self._by_cluster.values()) + more > self._max_names
