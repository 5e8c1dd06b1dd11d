"""The built-in page: static files, the browser client and the configuration that they read."""

from fastrtc.ui.page import PageConfig, page_routes, ui_app

__all__ = ["PageConfig", "page_routes", "ui_app"]
