"""What reaches the Unleash client: good flags only, and the last good ones until there are more."""

import json
import os
from pathlib import Path

import pytest
from UnleashClient.constants import ETAG, FEATURES_URL

from flags.unleash.cache import FlagsFile, LastKnownGood
from tests.support.fakes import Looks
from tests.support.flags_file import FlagsOnDisk, document, gradual

URL, TOKEN = "http://127.0.0.1:4242/api", "default:production.a-very-secret-token"
FIVE, TEN = document(gradual("5")), document(gradual("10"))
BAD = ["", "nonsense", "<html>502</html>", "[]", '{"features": 5}', document(gradual(5))]


@pytest.fixture
def looks() -> Looks:
    """Return a record of what the cache reports."""
    return Looks()


class TestFlagsFile:
    def test_flags_are_read_once_and_then_confirmed(
        self, flags_file: FlagsOnDisk, looks: Looks
    ) -> None:
        flags_file.write_text(FIVE)
        cache = FlagsFile(flags_file.path, looks)
        assert [cache.get(FEATURES_URL) for _ in range(3)] == [FIVE] * 3
        assert [each.flags["flag"].rollout for each in looks.documents] == [5.0]
        assert looks.confirmations == 2
        assert looks.errors == []

    def test_an_edit_is_seen_at_the_next_look(self, flags_file: FlagsOnDisk, looks: Looks) -> None:
        flags_file.write_text(FIVE)
        cache = FlagsFile(flags_file.path, looks)
        cache.get(FEATURES_URL)
        flags_file.write_text(TEN)
        assert cache.get(FEATURES_URL) == TEN
        assert [each.flags["flag"].rollout for each in looks.documents] == [5.0, 10.0]

    def test_an_edit_in_place_of_the_same_length_is_seen(
        self, flags_file: FlagsOnDisk, looks: Looks
    ) -> None:
        flags_file.write_text(FIVE)
        cache = FlagsFile(flags_file.path, looks)
        cache.get(FEATURES_URL)
        flags_file.path.write_text(FIVE.replace('"5"', '"6"'))
        os.utime(flags_file.path, ns=(1, 1))
        assert cache.get(FEATURES_URL) == FIVE.replace('"5"', '"6"')

    @pytest.mark.parametrize("bad", BAD)
    def test_a_bad_edit_keeps_the_last_good_flags(
        self, flags_file: FlagsOnDisk, looks: Looks, bad: str
    ) -> None:
        flags_file.write_text(FIVE)
        cache = FlagsFile(flags_file.path, looks)
        cache.get(FEATURES_URL)
        flags_file.write_text(bad)
        assert cache.get(FEATURES_URL) == FIVE
        assert cache.get(FEATURES_URL) == FIVE
        assert len(looks.errors) == 2
        assert str(flags_file.path) in looks.errors[0]
        flags_file.write_text(TEN)
        assert cache.get(FEATURES_URL) == TEN
        assert len(looks.errors) == 2

    def test_a_file_that_vanishes_keeps_the_last_good_flags(
        self, flags_file: FlagsOnDisk, looks: Looks
    ) -> None:
        flags_file.write_text(FIVE)
        cache = FlagsFile(flags_file.path, looks)
        cache.get(FEATURES_URL)
        kept = flags_file.path.rename(flags_file.path.with_suffix(".kept"))
        assert cache.get(FEATURES_URL) == FIVE
        assert looks.errors == [
            f"the flags file {flags_file.path} cannot be read: No such file or directory"
        ]
        kept.rename(flags_file.path)
        assert cache.get(FEATURES_URL) == FIVE
        assert len(looks.documents) == 2  # read anew: the same file may hold something else

    def test_without_a_file_there_are_no_flags(self, flags_file: FlagsOnDisk, looks: Looks) -> None:
        cache = FlagsFile(flags_file.path, looks)
        assert cache.get(FEATURES_URL) is None
        assert len(looks.errors) == 1

    def test_a_folder_or_other_bytes_than_utf_8_are_errors(
        self, tmp_path: Path, looks: Looks
    ) -> None:
        assert FlagsFile(tmp_path, looks).get(FEATURES_URL) is None
        latin = tmp_path / "latin.json"
        latin.write_bytes(b'{"features": [], "x": "\xff"}')
        assert FlagsFile(latin, looks).get(FEATURES_URL) is None
        assert "Is a directory" in looks.errors[0]
        assert looks.errors[1].endswith("cannot be read: it is not UTF-8")

    def test_what_else_the_client_keeps_is_kept_in_memory(
        self, flags_file: FlagsOnDisk, looks: Looks
    ) -> None:
        cache = FlagsFile(flags_file.path, looks)
        cache.mset({"a": 1, "b": 2})
        assert (cache.get("a"), cache.get("c", 3), cache.exists("b")) == (1, 3, True)
        cache.destroy()
        assert not cache.exists("a")


def cache_of(
    looks: Looks,
    folder: Path | None = None,
    *,
    url: str = URL,
    token: str = TOKEN,
    bootstrap: Path | None = None,
) -> LastKnownGood:
    return LastKnownGood(looks, url=url, token=token, folder=folder, bootstrap=bootstrap)


class TestLastKnownGood:
    def test_a_good_answer_is_kept_with_its_etag(self, looks: Looks) -> None:
        cache = cache_of(looks)
        cache.set(FEATURES_URL, FIVE)
        cache.set(ETAG, "v1")
        assert (cache.get(FEATURES_URL), cache.get(ETAG)) == (FIVE, "v1")
        assert looks.documents[0].flags["flag"].rollout == 5.0
        assert not cache.bootstrapped

    @pytest.mark.parametrize("bad", BAD)
    def test_a_bad_answer_is_refused_and_its_etag_with_it(self, looks: Looks, bad: str) -> None:
        """With the ETag kept, the server would answer 304 to what was never taken."""
        cache = cache_of(looks)
        cache.set(FEATURES_URL, FIVE)
        cache.set(ETAG, "v1")
        cache.set(FEATURES_URL, bad)
        cache.set(ETAG, "v2")
        assert (cache.get(FEATURES_URL), cache.get(ETAG)) == (FIVE, "v1")
        assert looks.errors[0].startswith(f"the answer of {URL} is")
        cache.set(FEATURES_URL, TEN)
        cache.set(ETAG, "v3")
        assert (cache.get(FEATURES_URL), cache.get(ETAG)) == (TEN, "v3")

    def test_the_first_answer_may_be_the_bad_one(self, looks: Looks) -> None:
        cache = cache_of(looks)
        cache.set(FEATURES_URL, "nonsense")
        cache.set(ETAG, "v1")
        assert cache.get(FEATURES_URL) is None
        assert not cache.exists(ETAG)

    def test_the_last_good_answer_is_there_after_a_restart(
        self, tmp_path: Path, looks: Looks
    ) -> None:
        cache_of(looks, tmp_path / "not" / "there").set(FEATURES_URL, FIVE)
        again = cache_of(looks, tmp_path / "not" / "there")
        assert again.get(FEATURES_URL) == FIVE
        assert again.bootstrapped
        assert not again.exists(ETAG)  # the first look asks for everything

    def test_a_bad_answer_never_reaches_the_disk(self, tmp_path: Path, looks: Looks) -> None:
        cache = cache_of(looks, tmp_path)
        cache.set(FEATURES_URL, FIVE)
        for bad in BAD:
            cache.set(FEATURES_URL, bad)
        assert cache_of(looks, tmp_path).get(FEATURES_URL) == FIVE

    def test_the_client_s_clean_up_leaves_the_file(self, tmp_path: Path, looks: Looks) -> None:
        cache = cache_of(looks, tmp_path)
        cache.set(FEATURES_URL, FIVE)
        cache.destroy()
        assert cache.get(FEATURES_URL) is None
        assert cache_of(looks, tmp_path).get(FEATURES_URL) == FIVE

    def test_two_environments_or_servers_never_share_a_file(
        self, tmp_path: Path, looks: Looks
    ) -> None:
        identities = [
            (URL, "default:development.x"),
            (URL, "default:production.x"),
            ("http://127.0.0.1:4243/api", "default:production.x"),
            (URL + "\ndefault", ":production.x"),
        ]
        for rollout, (url, token) in enumerate(identities):
            cache_of(looks, tmp_path, url=url, token=token).set(
                FEATURES_URL, document(gradual(str(rollout)))
            )
        assert len(list(tmp_path.iterdir())) == len(identities)
        for rollout, (url, token) in enumerate(identities):
            kept = cache_of(looks, tmp_path, url=url, token=token).get(FEATURES_URL)
            assert kept == document(gradual(str(rollout)))

    def test_the_token_is_neither_in_the_name_nor_in_the_file(
        self, tmp_path: Path, looks: Looks
    ) -> None:
        cache = cache_of(looks, tmp_path)
        cache.set(FEATURES_URL, FIVE)
        cache.set(ETAG, "v1")
        (path,) = tmp_path.iterdir()
        secret = TOKEN.rsplit(".", 1)[-1]
        assert secret not in path.name
        assert secret not in path.read_text()
        assert path.stat().st_mode & 0o077 == 0  # flags may name customers: the owner's only

    @pytest.mark.parametrize("corrupt", [*BAD[:4], FIVE[:-5], "\udcff"])
    def test_a_corrupt_file_is_not_used_and_said_so_and_replaced(
        self, tmp_path: Path, looks: Looks, corrupt: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        cache_of(looks, tmp_path).set(FEATURES_URL, FIVE)
        (path,) = tmp_path.iterdir()
        path.write_bytes(corrupt.encode("utf-8", "surrogateescape"))
        cache = cache_of(looks, tmp_path)
        assert cache.get(FEATURES_URL) is None
        assert not cache.bootstrapped
        assert f"flags kept in {path} are not used" in caplog.text
        cache.set(FEATURES_URL, TEN)
        assert path.read_text() == TEN

    def test_the_file_is_replaced_in_one_step(
        self, tmp_path: Path, looks: Looks, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A reader, or a crash, finds the old flags or the new ones, never a part."""
        cache = cache_of(looks, tmp_path)
        cache.set(FEATURES_URL, FIVE)
        (path,) = tmp_path.iterdir()
        seen: list[tuple[str, str]] = []
        replace = os.replace

        def watch(source: str, target: Path) -> None:
            seen.append((Path(source).read_text(), target.read_text()))
            replace(source, target)

        monkeypatch.setattr(os, "replace", watch)
        cache.set(FEATURES_URL, TEN)
        assert seen == [(TEN, FIVE)]
        assert list(tmp_path.iterdir()) == [path]

    def test_a_folder_that_cannot_be_written_costs_only_the_file(
        self, tmp_path: Path, looks: Looks, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").write_text("")
        cache = cache_of(looks, tmp_path / "file" / "folder")
        cache.set(FEATURES_URL, FIVE)
        assert cache.get(FEATURES_URL) == FIVE
        assert len(looks.documents) == 1
        assert "could not be kept in" in caplog.text

    def test_a_failed_write_leaves_nothing_behind(
        self, tmp_path: Path, looks: Looks, caplog: pytest.LogCaptureFixture
    ) -> None:
        cache = cache_of(looks, tmp_path)
        cache.set(FEATURES_URL, FIVE)
        (path,) = tmp_path.iterdir()
        path.unlink()
        (path / "in the way").mkdir(parents=True)  # nothing can be moved onto a folder
        cache.set(FEATURES_URL, TEN)
        assert "could not be kept in" in caplog.text
        assert list(tmp_path.iterdir()) == [path]

    def test_a_bootstrap_is_used_where_nothing_is_kept_yet(
        self, tmp_path: Path, looks: Looks
    ) -> None:
        bootstrap = tmp_path / "bootstrap.json"
        bootstrap.write_text(FIVE)
        cache = cache_of(looks, tmp_path / "cache", bootstrap=bootstrap)
        assert cache.get(FEATURES_URL) == FIVE
        assert cache.bootstrapped
        cache.set(FEATURES_URL, TEN)
        assert cache_of(looks, tmp_path / "cache", bootstrap=bootstrap).get(FEATURES_URL) == TEN
        assert bootstrap.read_text() == FIVE

    def test_a_corrupt_file_falls_back_to_the_bootstrap(self, tmp_path: Path, looks: Looks) -> None:
        bootstrap = tmp_path / "bootstrap.json"
        bootstrap.write_text(TEN)
        cache_of(looks, tmp_path / "cache").set(FEATURES_URL, FIVE)
        (path,) = (tmp_path / "cache").iterdir()
        path.write_text("corrupt")
        assert cache_of(looks, tmp_path / "cache", bootstrap=bootstrap).get(FEATURES_URL) == TEN

    def test_flags_of_any_script_survive_the_disk(self, tmp_path: Path, looks: Looks) -> None:
        text = json.dumps(json.loads(document(gradual("5", "drapeau-été-旗"))), ensure_ascii=False)
        cache_of(looks, tmp_path).set(FEATURES_URL, text)
        assert cache_of(looks, tmp_path).get(FEATURES_URL) == text
