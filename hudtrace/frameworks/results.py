"""Results of tools, for frameworks that take text and maybe images."""

from __future__ import annotations

from hudtrace.tools import ContentBlock, ToolResult


def told(result: ToolResult) -> str:
    """Return *result* as text, which says so if it is an error."""
    text = result.text
    if result.is_error and not text.lower().startswith("error"):
        return f"Error: {text}"
    return text


def shows(result: ToolResult) -> bool:
    """Say whether there is an image in *result*."""
    return not result.is_error and any(b["type"] == "image" for b in result.content)


def data_url(image: ContentBlock) -> str:
    """Return an image's block as a URL that holds the image."""
    return f"data:{image.get('mimeType', 'image/png')};base64,{image.get('data', '')}"
