from contract import framework

it = framework("langchain")


def test_import():
    """It is there."""
