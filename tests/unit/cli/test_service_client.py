"""What the command line makes of files and of the service's answers."""

from __future__ import annotations

import io
import json
import socket
import zipfile
from pathlib import Path

import httpx
import pytest

from pirta.errors import (
    FileMissingError,
    RegistryError,
    UnavailableError,
    error_classes,
)
from pirta_cli.service_client import (
    ServiceClient,
    error_of_response,
    read_registry_file,
    read_study_file,
    read_study_folder,
)


def _answer(status: int, body: object) -> httpx.Response:
    return httpx.Response(status, content=json.dumps(body).encode())


@pytest.mark.parametrize("kind", error_classes(), ids=lambda kind: kind.code)
def test_each_error_code_comes_back_as_its_own_class(kind: type) -> None:
    response = _answer(422, {"error": {"code": kind.code, "message": "What.", "remedy": "Do."}})
    error = error_of_response(response)
    assert type(error) is kind
    assert str(error) == "What. Do."


@pytest.mark.parametrize("body", [[], {"error": "no"}, {"detail": "x"}, {"error": {"code": "x"}}])
def test_an_answer_in_another_form_is_named_as_such(body: object) -> None:
    error = error_of_response(_answer(500, body))
    assert isinstance(error, UnavailableError)
    assert "500" in error.message


def test_a_missing_study_file_names_its_role_and_path(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match=r"The ADC file .*none\.nii\.gz does not exist"):
        read_study_file(tmp_path / "none.nii.gz", role="ADC")


def test_an_empty_study_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.nii.gz").touch()
    with pytest.raises(FileMissingError, match="is empty"):
        read_study_file(tmp_path / "empty.nii.gz", role="DWI")


def test_a_study_folder_is_sent_as_one_zip_without_hidden_files(tmp_path: Path) -> None:
    for name in ("a/1.dcm", "b.json", ".hidden", ".git/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    with zipfile.ZipFile(io.BytesIO(read_study_folder(tmp_path))) as packed:
        assert {name: packed.read(name) for name in packed.namelist()} == {
            "a/1.dcm": b"a/1.dcm",
            "b.json": b"b.json",
        }
    assert read_study_folder(tmp_path / "b.json") == b"b.json"
    with pytest.raises(FileMissingError, match="The study file"):
        read_study_folder(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileMissingError, match="holds no file"):
        read_study_folder(tmp_path / "empty")


def test_a_study_is_posted_under_its_fields_and_no_file_name_goes_along(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[dict[str, object]] = []
    monkeypatch.setattr(
        httpx, "post", lambda *_a, **kwargs: seen.append(kwargs) or httpx.Response(500)
    )
    client = ServiceClient("http://127.0.0.1:1", token=None, timeout_s=5)
    for parts in ({"study": b"s"}, {"dwi": b"d", "b0": b"b", "b_value_s_mm2": 800.0}):
        with pytest.raises(UnavailableError):
            client.report(**parts)
    kind = "application/octet-stream"
    assert seen[0]["files"] == {"study": ("study", b"s", kind)}
    assert seen[1]["files"] == {"dwi": ("dwi", b"d", kind), "b0": ("b0", b"b", kind)}
    assert seen[1]["data"] == {"b_value": "800"}


@pytest.mark.parametrize("text", ["age: 3", "[" * 100_000], ids=["words", "endless nesting"])
def test_a_registry_file_that_is_no_json_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "registry.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RegistryError, match="is not JSON"):
        read_registry_file(path)


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"age_years": -3}, "age_years"), ({"nihss": 99}, "nihss"), ({"wheight": 1}, "wheight")],
)
def test_a_bad_registry_field_is_named(
    tmp_path: Path, fields: dict[str, object], words: str
) -> None:
    path = tmp_path / "registry.json"
    path.write_text(json.dumps(fields), encoding="utf-8")
    with pytest.raises(RegistryError, match=words):
        read_registry_file(path)


def test_nothing_listening_is_told_with_the_command_that_helps() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    client = ServiceClient(f"http://127.0.0.1:{port}", token=None, timeout_s=5)
    with pytest.raises(UnavailableError, match="pirta serve"):
        client.report(dwi=b"x", adc=b"y")


def test_images_for_this_machine_pass_by_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    seen: list[object] = []
    monkeypatch.setattr(
        httpx, "post", lambda *_a, **kwargs: seen.append(kwargs["trust_env"]) or httpx.Response(500)
    )
    for host in ("127.0.0.1", "localhost", "pirta.hospital.example"):
        with pytest.raises(UnavailableError):
            ServiceClient(f"http://{host}:{port}", token=None, timeout_s=5).report(dwi=b"", adc=b"")
    assert seen == [False, False, True]
