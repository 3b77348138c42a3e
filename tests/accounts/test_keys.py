import pytest

from accounts.keys import Key, key_make, key_parse, secret_hash


def test_it_survives_being_written_and_read():
    key = key_make()
    assert key_parse(str(key)) == key


def test_it_looks_as_the_clients_expect():
    text = str(Key("A" * 8, "b" * 32))
    assert text.startswith("ap_AAAAAAAAbbbb")
    assert len(text) == 49


def test_two_keys_differ():
    assert key_make() != key_make()


@pytest.mark.parametrize(
    "text", ["", "ap_", "ap_" + "A" * 46, "sk_" + "A" * 46, "ap_" + "é" * 46, "x" * 10_000]
)
def test_it_refuses_what_cannot_be_a_key(text: str):
    assert key_parse(text) is None


@pytest.mark.parametrize("strange", ["\0", "-", " ", "\n", "é", "٣"])
def test_it_refuses_another_alphabet_even_with_the_right_checksum(strange: str):
    assert key_parse(str(Key("A" * 8, "b" * 31 + strange))) is None
    assert key_parse(str(Key("A" * 7 + strange, "b" * 32))) is None


def test_it_refuses_a_key_with_one_letter_changed():
    text = str(key_make())
    other = "A" if text[12] != "A" else "B"
    assert key_parse(text[:12] + other + text[13:]) is None


def test_the_hash_depends_on_the_pepper():
    assert secret_hash("s", pepper="a") != secret_hash("s", pepper="b")
    assert len(secret_hash("s", pepper="a")) == 32
