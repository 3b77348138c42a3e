import socket
from typing import Any


def test_it_refuses_a_port_that_is_taken(run_script: Any) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = run_script("scripts/serve.py", "--port", str(port))
    assert result.stdout == ""
    assert result.stderr == (
        f"Port {port} on 127.0.0.1 cannot be used (Address already in use): "
        "stop the program that has it, or choose another with `make serve PORT=…`.\n"
    )
    assert result.returncode == 1


def test_it_refuses_a_port_that_does_not_exist(run_script: Any) -> None:
    result = run_script("scripts/serve.py", "--port", "70000")
    assert result.stderr == (
        "Port 70000 on 127.0.0.1 cannot be used (there is no such port): "
        "stop the program that has it, or choose another with `make serve PORT=…`.\n"
    )
    assert result.returncode == 1
