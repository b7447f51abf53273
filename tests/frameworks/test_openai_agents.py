from contract import framework

it = framework("agents")


def test_import():
    """It is there."""
