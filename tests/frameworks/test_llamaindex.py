from contract import framework

it = framework("llama_index.core")


def test_import():
    """It is there."""
