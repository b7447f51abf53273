"""Tool formats of agent frameworks, one file each, imported when used."""
